// SPDX-License-Identifier: GPL-2.0-only
/*
 * Inodes: one for each lower inode, and what can be done to names. Names below are made and removed
 * with the caller's credentials, so that owners, quotas and permissions are those that the lower
 * filesystem would have given.
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

/*
 * Programs replace a file by writing another and renaming it, without an fsync(); filesystems have
 * learned to begin writing its data before its name. Here its size belongs to that, and we wait: half
 * of such a file may be zeros elsewhere, but without its header there is nothing of it.
 */
static int settle_replacement(struct inode *inode, const struct dentry *new)
{
	struct address_space *below;
	int err;

	if (!S_ISREG(inode->i_mode) || d_really_is_negative(new))
		return 0;
	err = ecfs_write_back(inode);
	if (err)
		return err;
	below = ecfs_lower_inode(inode)->i_mapping;
	err = filemap_fdatawrite(below);
	return err ?: filemap_fdatawait_keep_errors(below);
}

static int rename(ecfs_idmap_t *idmap, struct inode *old_dir, struct dentry *old,
		  struct inode *new_dir, struct dentry *new, unsigned int flags)
{
	int err;

	if (dentry_reserved(old_dir, old) || dentry_reserved(new_dir, new))
		return -EACCES;
	err = settle_replacement(d_inode(old), new);
	if (err)
		return err;
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
char *ecfs_read_target(struct dentry *dentry, size_t *ret_len)
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
	target = ecfs_read_target(dentry, &len);
	if (!IS_ERR(target))
		set_delayed_call(done, kfree_link, target);
	return target;
}

/*
 * Permissions
 */

static int permission(ecfs_idmap_t *idmap, struct inode *inode, int mask)
{
	struct inode *lower = ecfs_lower_inode(inode);
	int err;

	/* Somebody may have changed them below; nothing tells us. */
	if (inode->i_mode != lower->i_mode || !uid_eq(inode->i_uid, lower->i_uid) ||
	    !gid_eq(inode->i_gid, lower->i_gid))
		ecfs_copy_owner(inode);
	err = generic_permission(ECFS_NOP_IDMAP, inode, mask);
	if (!err && lower->i_op->permission)	/* a lower filesystem with rules of its own */
		err = inode_permission(ECFS_NOP_IDMAP, lower, mask);
	return err;
}

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

static int set_fileattr_below(struct inode *inode, struct dentry *dentry, ecfs_fileattr_t *attr)
{
	struct vfsmount *mnt = ecfs_sb(inode->i_sb)->lower_mnt;
	int err = mnt_want_write(mnt);

	if (err)
		return err;
	err = vfs_fileattr_set(ECFS_NOP_IDMAP, ecfs_lower_dentry(dentry), attr);
	mnt_drop_write(mnt);
	ecfs_copy_attr(inode);
	return err;
}

/*
 * What is delayed goes down first: an immutable file cannot be written any more. With the lock,
 * nobody makes a mapped page dirty in between.
 */
static int fileattr_set(ecfs_idmap_t *idmap, struct dentry *dentry, ecfs_fileattr_t *attr)
{
	struct inode *inode = d_inode(dentry);
	int err = 0;

	/* Names are compared byte by byte here: see ecfs_iget(). */
	if (attr->flags_valid && (attr->flags & FS_CASEFOLD_FL))
		return -EOPNOTSUPP;
	if (!S_ISREG(inode->i_mode))
		return set_fileattr_below(inode, dentry, attr);
	filemap_invalidate_lock(inode->i_mapping);
	if (!IS_IMMUTABLE(inode))
		err = ecfs_write_back(inode);
	if (!err)
		err = set_fileattr_below(inode, dentry, attr);
	filemap_invalidate_unlock(inode->i_mapping);
	return err;
}

#define COMMON_OPS				\
	.permission	= permission,		\
	.getattr	= ecfs_getattr,		\
	.setattr	= ecfs_setattr,		\
	.listxattr	= ecfs_listxattr,	\
	.update_time	= ecfs_update_time

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
