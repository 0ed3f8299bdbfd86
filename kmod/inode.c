// SPDX-License-Identifier: GPL-2.0-only
/*
 * Inodes: one for each lower inode, and what can be done to names and attributes. Names below are
 * made and removed with the caller's credentials, so that owners, quotas and permissions are those
 * that the lower filesystem would have given.
 */
#include "kmod/lower.h"

#include <linux/fs_stack.h>
#include <linux/slab.h>

/* The vault document and its previous version, in the root of the lower directory. */
static const char *const reserved_names[] = {
	"ecryptfs-vault.json",
	"ecryptfs-vault.json.bak",
};

bool ecfs_name_reserved(const struct inode *dir, const char *name, size_t len)
{
	size_t i;

	if (dir != d_inode(dir->i_sb->s_root))
		return false;
	for (i = 0; i < ARRAY_SIZE(reserved_names); i++)
		if (len == strlen(reserved_names[i]) && !memcmp(name, reserved_names[i], len))
			return true;
	return false;
}

static bool dentry_reserved(struct inode *dir, const struct dentry *dentry)
{
	return ecfs_name_reserved(dir, dentry->d_name.name, dentry->d_name.len);
}

#define COPIED_FLAGS (S_SYNC | S_NOATIME | S_APPEND | S_IMMUTABLE | S_DIRSYNC)

/**
 * ecfs_copy_attr() - take over what the lower inode says now
 * @inode:	any
 *
 * Not the size of regular files, which the header says; and not the times of a file whose
 * delayed writes are newer than the lower inode knows.
 */
void ecfs_copy_attr(struct inode *inode)
{
	struct inode *lower = ecfs_lower_inode(inode);
	unsigned int nlink;

	inode->i_mode = lower->i_mode;
	inode->i_uid = lower->i_uid;
	inode->i_gid = lower->i_gid;
	/* set_nlink() counts the inodes that lost their last name: one caller at a time. */
	spin_lock(&inode->i_lock);
	nlink = READ_ONCE(lower->i_nlink);
	if (inode->i_nlink != nlink)
		set_nlink(inode, nlink);
	/* Under the lock a newer time does not come between the test and the copy. */
	if (!test_bit(ECFS_I_TIMES, &ecfs_i(inode)->flags)) {
		inode_set_mtime_to_ts(inode, inode_get_mtime(lower));
		inode_set_ctime_to_ts(inode, inode_get_ctime(lower));
	}
	spin_unlock(&inode->i_lock);
	inode_set_flags(inode, lower->i_flags & COPIED_FLAGS, COPIED_FLAGS);
	inode_set_atime_to_ts(inode, inode_get_atime(lower));
	if (!S_ISREG(inode->i_mode))
		i_size_write(inode, i_size_read(lower));
}

static int inode_test(struct inode *inode, void *lower)
{
	return ecfs_i(inode)->lower == lower;
}

static int inode_set(struct inode *inode, void *lower)
{
	ecfs_i(inode)->lower = igrab(lower);
	if (!ecfs_i(inode)->lower)
		return -ESTALE;
	inode->i_ino = ecfs_i(inode)->lower->i_ino;
	return 0;
}

static void setup_new(struct inode *inode, struct dentry *lower_dentry)
{
	struct inode *lower = ecfs_lower_inode(inode);

	inode->i_generation = lower->i_generation;
#ifdef CONFIG_FS_POSIX_ACL
	inode->i_acl = ACL_DONT_CACHE;	/* the lower inode's are the ones that count */
	inode->i_default_acl = ACL_DONT_CACHE;
#endif
	ecfs_copy_attr(inode);
	switch (lower->i_mode & S_IFMT) {
	case S_IFREG:
		inode->i_op = &ecfs_file_iops;
		inode->i_fop = &ecfs_file_fops;
		inode->i_mapping->a_ops = &ecfs_aops;
		ecfs_meta_peek(inode, lower_dentry);
		break;
	case S_IFDIR:
		inode->i_op = &ecfs_dir_iops;
		inode->i_fop = &ecfs_dir_fops;
		break;
	case S_IFLNK:
		inode->i_op = &ecfs_symlink_iops;
		break;
	default:
		inode->i_op = &ecfs_special_iops;
		init_special_inode(inode, lower->i_mode, lower->i_rdev);
		break;
	}
}

/**
 * ecfs_iget() - the upper inode of a lower dentry
 * @sb:	ours
 * @lower_dentry:	positive
 *
 * Return: referenced inode, or ERR_PTR: -EXDEV for another filesystem below, -EREMOTE for a
 * case-insensitive directory, -ESTALE, -ENOMEM.
 */
struct inode *ecfs_iget(struct super_block *sb, struct dentry *lower_dentry)
{
	struct inode *lower = d_inode(lower_dentry), *inode;

	if (lower->i_sb != ecfs_sb(sb)->lower_root->d_sb)
		return ERR_PTR(-EXDEV);
	if (IS_CASEFOLDED(lower))
		return ERR_PTR(-EREMOTE);
	inode = iget5_locked(sb, (unsigned long)lower, inode_test, inode_set, lower);
	if (!inode)
		return ERR_PTR(-ENOMEM);
	if (ecfs_inode_is_new(inode)) {
		setup_new(inode, lower_dentry);
		unlock_new_inode(inode);
	} else {
		ecfs_copy_attr(inode);
	}
	return inode;
}

/*
 * Names
 */

static int encode(struct inode *dir, const struct dentry *dentry, char **ret_name,
		  size_t *ret_len)
{
	struct ecfs_sb *sbi = ecfs_sb(dir->i_sb);
	int err;

	err = ecfs_name_encode(sbi, dentry->d_name.name, dentry->d_name.len, ret_name, ret_len);
	if (!err && *ret_len > sbi->lower_name_max) {
		kfree(*ret_name);
		err = -ENAMETOOLONG;
	}
	return err;
}

/* A directory that is known elsewhere is moved here, and d_time has to follow. */
static struct dentry *splice_dir(struct inode *inode, struct dentry *dentry)
{
	struct ecfs_sb *sbi = ecfs_sb(dentry->d_sb);
	struct dentry *alias;

	down_read(&sbi->move_sem);
	alias = d_splice_alias(inode, dentry);
	if (!IS_ERR_OR_NULL(alias) && ecfs_lower_dentry(alias))
		WRITE_ONCE(alias->d_time, ecfs_name_hash(ecfs_lower_dentry(alias)));
	up_read(&sbi->move_sem);
	return alias;
}

static struct dentry *lookup(struct inode *dir, struct dentry *dentry, unsigned int flags)
{
	struct dentry *lower_dir = ecfs_lower_dentry(dentry->d_parent), *lower;
	struct inode *inode;
	size_t len;
	char *name;
	int err;

	if (dentry_reserved(dir, dentry)) {
		d_add(dentry, NULL);
		return NULL;
	}
	if (IS_CASEFOLDED(d_inode(lower_dir)))	/* since when it was empty: see ecfs_iget() */
		return ERR_PTR(-EREMOTE);
	err = encode(dir, dentry, &name, &len);
	if (err)
		return ERR_PTR(err);
	lower = ecfs_lookup_lower(name, lower_dir, len);
	kfree(name);
	if (IS_ERR(lower))
		return lower;
	ecfs_set_lower(dentry, lower);
	if (d_is_negative(lower)) {
		d_add(dentry, NULL);
		return NULL;
	}
	inode = ecfs_iget(dir->i_sb, lower);
	if (!IS_ERR(inode) && S_ISDIR(inode->i_mode))
		return splice_dir(inode, dentry);
	return d_splice_alias(inode, dentry);	/* takes an ERR_PTR as well */
}

static void copy_dir_attr(struct inode *dir)
{
	ecfs_copy_attr(dir);
}

/* Gives a file that was just made its header, by opening it for writing once. */
static int init_file(struct inode *inode, struct dentry *dentry)
{
	int err = ecfs_file_get(inode, dentry, true);

	if (!err)
		ecfs_file_put(inode);
	return err;
}

static int make(struct inode *dir, struct dentry *dentry, const struct ecfs_make *what)
{
	struct super_block *sb = dir->i_sb;
	struct dentry *lower, *made;
	struct inode *inode;
	int err;

	if (dentry_reserved(dir, dentry))
		return -EACCES;
	if (S_ISREG(what->mode) && READ_ONCE(ecfs_sb(sb)->locked))
		return -ENOKEY;
	lower = ecfs_lower_dentry(dentry);
	err = ecfs_do_make(dentry, what, &made);
	if (made != lower) {		/* a mkdir may find that another dentry is the one */
		ecfs_set_lower(dentry, dget(made));
		dput(lower);
	}
	if (err)
		goto out;
	if (d_really_is_negative(made)) {
		/* The filesystem below has another dentry for the directory: a lookup finds it. */
		d_drop(dentry);
		copy_dir_attr(dir);
		err = S_ISDIR(what->mode) ? 0 : -ESTALE;
		goto out;
	}
	inode = ecfs_iget(sb, made);
	if (IS_ERR(inode)) {
		err = PTR_ERR(inode);
		goto out;
	}
	if (S_ISREG(inode->i_mode))
		err = init_file(inode, dentry);
	if (err) {
		/* No file without a header: nobody could open it. */
		if (ecfs_do_unlink(dentry, false))
			ecfs_warn(inode, "a file without a header stays behind");
		ecfs_copy_attr(inode);
		iput(inode);
		d_drop(dentry);
		goto out;
	}
	ecfs_copy_attr(inode);
	d_instantiate(dentry, inode);
	copy_dir_attr(dir);
out:
	dput(made);
	return err;
}

static int create(ecfs_idmap_t *idmap, struct inode *dir, struct dentry *dentry, umode_t mode,
		  bool excl)
{
	struct ecfs_make what = { .mode = mode | S_IFREG };

	return make(dir, dentry, &what);
}

#ifdef ECFS_HAVE_MKDIR_DENTRY
static struct dentry *mkdir(ecfs_idmap_t *idmap, struct inode *dir, struct dentry *dentry,
			    umode_t mode)
{
	struct ecfs_make what = { .mode = mode | S_IFDIR };

	return ERR_PTR(make(dir, dentry, &what));
}
#else
static int mkdir(ecfs_idmap_t *idmap, struct inode *dir, struct dentry *dentry, umode_t mode)
{
	struct ecfs_make what = { .mode = mode | S_IFDIR };

	return make(dir, dentry, &what);
}
#endif

static int mknod(ecfs_idmap_t *idmap, struct inode *dir, struct dentry *dentry, umode_t mode,
		 dev_t dev)
{
	struct ecfs_make what = { .mode = mode, .dev = dev };

	return make(dir, dentry, &what);
}

static int symlink(ecfs_idmap_t *idmap, struct inode *dir, struct dentry *dentry,
		   const char *target)
{
	struct ecfs_make what = { .mode = S_IFLNK };
	size_t len;
	char *lower;
	int err;

	err = ecfs_name_encode(ecfs_sb(dir->i_sb), target, strlen(target), &lower, &len);
	if (err)
		return err;
	what.target = lower;
	err = make(dir, dentry, &what);
	kfree(lower);
	return err;
}

static int tmpfile(ecfs_idmap_t *idmap, struct inode *dir, struct file *file, umode_t mode)
{
	struct super_block *sb = dir->i_sb;
	struct dentry *dentry = file->f_path.dentry;
	struct path parent = ecfs_lower_path(sb, ecfs_lower_dentry(dentry->d_parent));
	struct file *lower;
	struct inode *inode;
	int err;

	err = mnt_want_write(parent.mnt);
	if (err)
		return err;
	lower = ecfs_tmpfile_open(&parent, mode, O_RDWR | O_LARGEFILE |
				  (file->f_flags & O_EXCL), ecfs_sb(sb)->cred);
	mnt_drop_write(parent.mnt);
	if (IS_ERR(lower))
		return finish_open_simple(file, PTR_ERR(lower));

	inode = ecfs_iget(sb, lower->f_path.dentry);
	if (IS_ERR(inode)) {
		err = PTR_ERR(inode);
		goto out;
	}
	ecfs_set_lower(dentry, dget(lower->f_path.dentry));
	err = init_file(inode, dentry);
	if (err) {
		iput(inode);
		goto out;
	}
	set_nlink(inode, 1);		/* d_tmpfile() takes it away */
	d_tmpfile(file, inode);
out:
	fput(lower);
	return finish_open_simple(file, err);
}

static int link(struct dentry *old, struct inode *dir, struct dentry *new)
{
	struct inode *inode = d_inode(old);
	int err;

	if (dentry_reserved(dir, new))
		return -EACCES;
	err = ecfs_do_link(old, new);
	if (err)
		return err;
	ihold(inode);
	ecfs_copy_attr(inode);
	d_instantiate(new, inode);
	copy_dir_attr(dir);
	return 0;
}

static int remove(struct inode *dir, struct dentry *dentry, bool is_dir)
{
	int err = ecfs_do_unlink(dentry, is_dir);

	if (err)
		return err;
	ecfs_copy_attr(d_inode(dentry));
	copy_dir_attr(dir);
	d_drop(dentry);		/* its lower dentry is gone for good */
	return 0;
}

static int unlink(struct inode *dir, struct dentry *dentry)
{
	return remove(dir, dentry, false);
}

static int rmdir(struct inode *dir, struct dentry *dentry)
{
	return remove(dir, dentry, true);
}

static int rename(ecfs_idmap_t *idmap, struct inode *old_dir, struct dentry *old,
		  struct inode *new_dir, struct dentry *new, unsigned int flags)
{
	int err;

	if (dentry_reserved(old_dir, old) || dentry_reserved(new_dir, new))
		return -EACCES;
	err = ecfs_do_rename(old, new, flags);
	if (err)
		return err;
	ecfs_copy_attr(d_inode(old));
	if (d_really_is_positive(new))
		ecfs_copy_attr(d_inode(new));
	copy_dir_attr(old_dir);
	if (new_dir != old_dir)
		copy_dir_attr(new_dir);
	return 0;
}

/*
 * Symlinks
 */

/* The upper target, NUL-terminated, for kfree(); or ERR_PTR. */
static char *read_target(struct dentry *dentry, size_t *ret_len)
{
	struct dentry *lower = ecfs_lower_dentry(dentry);
	DEFINE_DELAYED_CALL(done);
	const char *text;
	char *target;
	int err;

	text = vfs_get_link(lower, &done);
	if (IS_ERR(text))
		return ERR_CAST(text);
	err = ecfs_name_decode(ecfs_sb(dentry->d_sb), text, strlen(text), false, &target, ret_len);
	do_delayed_call(&done);
	if (err == -EBADMSG)
		err = -EINVAL;	/* what readlink() says of what is no link of ours */
	return err ? ERR_PTR(err) : target;
}

static const char *get_link(struct dentry *dentry, struct inode *inode,
			    struct delayed_call *done)
{
	size_t len;
	char *target;

	if (!dentry)
		return ERR_PTR(-ECHILD);
	target = read_target(dentry, &len);
	if (!IS_ERR(target))
		set_delayed_call(done, kfree_link, target);
	return target;
}

/*
 * Attributes
 */

static int permission(ecfs_idmap_t *idmap, struct inode *inode, int mask)
{
	struct inode *lower = ecfs_lower_inode(inode);
	int err;

	/* Somebody may have changed them below; nothing tells us. */
	if (inode->i_mode != lower->i_mode || !uid_eq(inode->i_uid, lower->i_uid) ||
	    !gid_eq(inode->i_gid, lower->i_gid)) {
		inode->i_mode = lower->i_mode;
		inode->i_uid = lower->i_uid;
		inode->i_gid = lower->i_gid;
	}
	err = generic_permission(ECFS_NOP_IDMAP, inode, mask);
	if (!err && lower->i_op->permission)	/* a lower filesystem with rules of its own */
		err = inode_permission(ECFS_NOP_IDMAP, lower, mask);
	return err;
}

/*
 * Blocks of the content alone. Metadata in the xattr can take a block of its own below, for which
 * nothing but the sum tells.
 */
static u64 own_blocks(const struct ecfs_inode *ei, u64 blocks, loff_t size)
{
	u64 data = round_up(size, ECFMT_EXTENT_LEN) / 512;
	u64 one = i_blocksize(ei->lower) / 512;

	if (ei->place == ECFMT_PLACE_XATTR)
		return blocks >= data + one ? blocks - one : blocks;
	return blocks - min_t(u64, blocks, ei->header_len / 512);
}

static void own_size(const struct path *path, struct inode *inode, struct kstat *stat)
{
	const struct ecfs_inode *ei = ecfs_i(inode);
	size_t len;
	char *target;

	if (S_ISREG(inode->i_mode)) {
		stat->size = i_size_read(inode);
		stat->blocks = own_blocks(ei, stat->blocks, stat->size);
	} else if (S_ISLNK(inode->i_mode)) {
		target = read_target(path->dentry, &len);
		if (IS_ERR(target))
			return;
		stat->size = len;
		kfree(target);
	}
}

static int getattr(ecfs_idmap_t *idmap, const struct path *path, struct kstat *stat, u32 mask,
		   unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	struct path lower = ecfs_lower_path(inode->i_sb, ecfs_lower_dentry(path->dentry));
	int err;

	err = ecfs_vfs_getattr(&lower, stat, mask, flags);
	if (err)
		return err;
	ecfs_copy_attr(inode);
	stat->dev = inode->i_sb->s_dev;
	stat->ino = inode->i_ino;
	stat->attributes &= ~(STATX_ATTR_DAX | STATX_ATTR_VERITY | STATX_ATTR_MOUNT_ROOT);
	stat->attributes_mask &= ~(STATX_ATTR_DAX | STATX_ATTR_VERITY);
	stat->result_mask &= ~STATX_DIOALIGN;	/* the lower file's rules are not ours */
	if (test_bit(ECFS_I_TIMES, &ecfs_i(inode)->flags)) {
		stat->mtime = inode_get_mtime(inode);
		stat->ctime = inode_get_ctime(inode);
	}
	own_size(path, inode, stat);
	return 0;
}

/* Shrinks the lower file to what @size needs. With the mounter's rights, like its content. */
static int trim_below(struct inode *inode, u64 lower_len)
{
	struct iattr attr = { .ia_valid = ATTR_SIZE, .ia_size = lower_len };
	struct ecfs_inode *ei = ecfs_i(inode);
	const struct cred *old;
	struct file *lower;
	int err;

	if (i_size_read(ei->lower) < lower_len)
		return 0;
	if (i_size_read(ei->lower) == lower_len &&
	    !test_and_clear_bit(ECFS_I_RESERVED, &ei->flags))
		return 0;
	lower = ecfs_lower_file(ei);
	if (!lower)
		return -EIO;
	old = override_creds(ecfs_sb(inode->i_sb)->cred);
	err = ecfs_do_notify_change(inode->i_sb, lower->f_path.dentry, &attr);
	revert_creds(old);
	fput(lower);
	return err;
}

/* Also for the size that it has: that gives back what was reserved behind it. */
static int truncate_down(struct inode *inode, loff_t size)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	u64 lower_len;
	int err;

	/* Old data behind the new end must not come back when the file grows again. */
	err = ecfs_zero_tail(inode, size);
	if (err)
		return err;
	filemap_invalidate_lock(inode->i_mapping);
	truncate_setsize(inode, size);
	filemap_invalidate_unlock(inode->i_mapping);
	WRITE_ONCE(ei->backed, min_t(loff_t, ei->backed, round_up(size, ECFMT_EXTENT_LEN)));
	err = ecfs_meta_shrink(inode, size);
	if (!err)
		err = ecfmt_lower_len(size, ei->header_len, &lower_len);
	if (!err)
		err = trim_below(inode, lower_len);
	return err;
}

/*
 * Passthrough: the lower file is the file. Nothing is flushed and no folio within the file is
 * dropped, so that a full disk costs no byte that stays.
 */
static int truncate_raw(struct inode *inode, loff_t size)
{
	struct iattr attr = { .ia_valid = ATTR_SIZE, .ia_size = size };
	struct ecfs_inode *ei = ecfs_i(inode);
	struct file *lower = ecfs_lower_file(ei);
	loff_t old_size = i_size_read(inode);
	int err;

	if (!lower)
		return -EIO;
	filemap_invalidate_lock(inode->i_mapping);
	err = ecfs_do_notify_change(inode->i_sb, lower->f_path.dentry, &attr);
	if (err)
		goto out;
	if (size > old_size)	/* what a mapping left behind the end must not come up */
		truncate_pagecache(inode, old_size);
	truncate_setsize(inode, size);
	WRITE_ONCE(ei->backed, round_up(size, ECFMT_EXTENT_LEN));
	/* Writeback was on its way with what is cut off now? It has ended. */
	if (i_size_read(ei->lower) > size)
		err = ecfs_do_notify_change(inode->i_sb, lower->f_path.dentry, &attr);
out:
	filemap_invalidate_unlock(inode->i_mapping);
	fput(lower);
	return err;
}

/**
 * ecfs_truncate() - change the size of a regular file
 * @inode:	regular
 * @size:	bytes
 *
 * Context: inode_lock held, ecfs_file_get() for writing done.
 */
int ecfs_truncate(struct inode *inode, loff_t size)
{
	loff_t old_size = i_size_read(inode);

	if (ecfs_i(inode)->kind != ECFS_KIND_CRYPT)
		return truncate_raw(inode, size);
	if (size == old_size && !test_bit(ECFS_I_RESERVED, &ecfs_i(inode)->flags))
		return 0;
	return size > old_size ? ecfs_grow(inode, size) : truncate_down(inode, size);
}

static int set_size(struct inode *inode, struct dentry *dentry, struct iattr *attr)
{
	loff_t old_size;
	int err = ecfs_file_get(inode, dentry, true);

	if (err)
		return err;
	old_size = i_size_read(inode);
	err = ecfs_truncate(inode, attr->ia_size);
	/* Below the size may not have changed at all, but the times have to. */
	if (!err && old_size != attr->ia_size && !(attr->ia_valid & ATTR_MTIME))
		attr->ia_valid |= ATTR_MTIME | ATTR_CTIME;
	ecfs_file_put(inode);
	return err;
}

/* Times that are chosen count, whatever a delayed write has noted and is about to store. */
static int set_below(struct inode *inode, struct dentry *lower, struct iattr *attr)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	int err;

	if (!(attr->ia_valid & ATTR_MTIME))
		return ecfs_do_notify_change(inode->i_sb, lower, attr);
	mutex_lock(&ei->meta_lock);
	err = ecfs_do_notify_change(inode->i_sb, lower, attr);
	if (!err) {
		spin_lock(&inode->i_lock);
		clear_bit(ECFS_I_TIMES, &ei->flags);
		inode_set_mtime_to_ts(inode, inode_get_mtime(ei->lower));
		inode_set_ctime_to_ts(inode, inode_get_ctime(ei->lower));
		spin_unlock(&inode->i_lock);
	}
	mutex_unlock(&ei->meta_lock);
	return err;
}

static int setattr(ecfs_idmap_t *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	struct iattr lower_attr;
	int err;

	err = setattr_prepare(ECFS_NOP_IDMAP, dentry, attr);
	if (err)
		return err;
	lower_attr = *attr;
	if (attr->ia_valid & ATTR_SIZE) {
		if (!S_ISREG(inode->i_mode))
			return -EINVAL;
		err = set_size(inode, dentry, &lower_attr);
		if (err)
			return err;
	}
	lower_attr.ia_valid &= ~(ATTR_SIZE | ATTR_FILE | ATTR_OPEN);
	/* The VFS has worked out the mode already; the lower one wants to do that itself. */
	if (lower_attr.ia_valid & (ATTR_KILL_SUID | ATTR_KILL_SGID))
		lower_attr.ia_valid &= ~ATTR_MODE;
	if (lower_attr.ia_valid)
		err = set_below(inode, ecfs_lower_dentry(dentry), &lower_attr);
	ecfs_copy_attr(inode);
	return err;
}

/*
 * Access times are the lower inode's. Other times of a file are renewed here by delayed writes,
 * and ecfs_meta_store() brings them down.
 */
static void touch_lower(struct inode *inode)
{
	struct dentry *dentry = d_find_any_alias(inode);
	struct path lower;

	if (!dentry)
		return;
	lower = ecfs_lower_path(inode->i_sb, ecfs_lower_dentry(dentry));
	if (lower.dentry)
		touch_atime(&lower);
	inode_set_atime_to_ts(inode, inode_get_atime(ecfs_lower_inode(inode)));
	dput(dentry);
}

/* Before the new times are set: ecfs_copy_attr() overwrites them no more. */
static void keep_times(struct inode *inode)
{
	spin_lock(&inode->i_lock);
	set_bit(ECFS_I_TIMES, &ecfs_i(inode)->flags);
	spin_unlock(&inode->i_lock);
}

#if defined(ECFS_HAVE_FS_UPDATE_TIME)
static int update_time(struct inode *inode, enum fs_update_time type, unsigned int flags)
{
	if (type == FS_UPD_ATIME) {
		touch_lower(inode);
		return 0;
	}
	keep_times(inode);
	return generic_update_time(inode, type, flags);
}
#elif defined(ECFS_HAVE_UPDATE_TIME_TS)
static int update_time(struct inode *inode, struct timespec64 *now, int flags)
{
	if (flags & S_ATIME)
		touch_lower(inode);
	flags &= ~S_ATIME;
	if (!flags)
		return 0;
	keep_times(inode);
	return generic_update_time(inode, now, flags);
}
#else
static int update_time(struct inode *inode, int flags)
{
	if (flags & S_ATIME)
		touch_lower(inode);
	flags &= ~S_ATIME;
	if (!flags)
		return 0;
	keep_times(inode);
	generic_update_time(inode, flags);
	return 0;
}
#endif

/*
 * Access control lists
 */

#ifdef ECFS_HAVE_GET_INODE_ACL
static struct posix_acl *get_inode_acl_below(struct inode *inode, int type, bool rcu)
{
	struct inode *lower = ecfs_lower_inode(inode);

	return rcu ? get_cached_acl_rcu(lower, type) : get_inode_acl(lower, type);
}

static int set_acl(ecfs_idmap_t *idmap, struct dentry *dentry, struct posix_acl *acl, int type)
{
	struct inode *inode = d_inode(dentry);
	struct dentry *lower = ecfs_lower_dentry(dentry);
	const char *name = posix_acl_xattr_name(type);
	struct vfsmount *mnt = ecfs_sb(inode->i_sb)->lower_mnt;
	int err = mnt_want_write(mnt);

	if (err)
		return err;
	err = acl ? vfs_set_acl(ECFS_NOP_IDMAP, lower, name, acl) :
		    vfs_remove_acl(ECFS_NOP_IDMAP, lower, name);
	mnt_drop_write(mnt);
	ecfs_copy_attr(inode);
	return err;
}
#define ACL_OPS .get_inode_acl = get_inode_acl_below, .set_acl = set_acl
#else
static struct posix_acl *get_acl_below(struct inode *inode, int type, bool rcu)
{
	struct inode *lower = ecfs_lower_inode(inode);

	return rcu ? get_cached_acl_rcu(lower, type) : get_acl(lower, type);
}

static int set_acl(ecfs_idmap_t *idmap, struct inode *inode, struct posix_acl *acl, int type)
{
	struct inode *lower = ecfs_lower_inode(inode);
	struct vfsmount *mnt = ecfs_sb(inode->i_sb)->lower_mnt;
	int err = mnt_want_write(mnt);

	if (err)
		return err;
	inode_lock(lower);
	err = set_posix_acl(ECFS_NOP_IDMAP, lower, type, acl);
	inode_unlock(lower);
	mnt_drop_write(mnt);
	ecfs_copy_attr(inode);
	return err;
}
#define ACL_OPS .get_acl = get_acl_below, .set_acl = set_acl
#endif

static int fileattr_get(struct dentry *dentry, ecfs_fileattr_t *attr)
{
	return vfs_fileattr_get(ecfs_lower_dentry(dentry), attr);
}

/* An immutable file cannot be written any more: what is delayed goes down first. */
static int fileattr_set(ecfs_idmap_t *idmap, struct dentry *dentry, ecfs_fileattr_t *attr)
{
	struct inode *inode = d_inode(dentry);
	struct vfsmount *mnt = ecfs_sb(inode->i_sb)->lower_mnt;
	int err = 0;

	/* Names are compared byte by byte here: see ecfs_iget(). */
	if (attr->flags_valid && (attr->flags & FS_CASEFOLD_FL))
		return -EOPNOTSUPP;
	if (S_ISREG(inode->i_mode))
		err = filemap_write_and_wait(inode->i_mapping) ?: ecfs_meta_store(inode, false);
	if (!err)
		err = mnt_want_write(mnt);
	if (err)
		return err;
	err = vfs_fileattr_set(ECFS_NOP_IDMAP, ecfs_lower_dentry(dentry), attr);
	mnt_drop_write(mnt);
	ecfs_copy_attr(inode);
	return err;
}

#define COMMON_OPS				\
	.permission	= permission,		\
	.getattr	= getattr,		\
	.setattr	= setattr,		\
	.listxattr	= ecfs_listxattr,	\
	.update_time	= update_time

const struct inode_operations ecfs_dir_iops = {
	COMMON_OPS, ACL_OPS,
	.lookup		= lookup,
	.create		= create,
	.link		= link,
	.unlink		= unlink,
	.symlink	= symlink,
	.mkdir		= mkdir,
	.rmdir		= rmdir,
	.mknod		= mknod,
	.rename		= rename,
	.tmpfile	= tmpfile,
	.fileattr_get	= fileattr_get,
	.fileattr_set	= fileattr_set,
};

const struct inode_operations ecfs_file_iops = {
	COMMON_OPS, ACL_OPS,
	.fileattr_get	= fileattr_get,
	.fileattr_set	= fileattr_set,
};

const struct inode_operations ecfs_symlink_iops = {
	COMMON_OPS,
	.get_link	= get_link,
};

const struct inode_operations ecfs_special_iops = {
	COMMON_OPS, ACL_OPS,
};
