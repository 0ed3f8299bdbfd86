// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes: what stat() shows and what changes by chmod(), truncate(), utimes() and their like.
 * The lower inode has them, but for the size of a regular file, which its header says, and for
 * times that delayed writes have renewed.
 */
#include "kmod/lower.h"

#include <linux/mm.h>
#include <linux/slab.h>

#define COPIED_FLAGS (S_SYNC | S_NOATIME | S_APPEND | S_IMMUTABLE | S_DIRSYNC)

/**
 * ecfs_copy_owner() - take over what the lower inode says of who may do what
 * @inode:	any
 *
 * Read and stored under one lock: else an older value, read earlier, could be stored last.
 */
void ecfs_copy_owner(struct inode *inode)
{
	const struct inode *lower = ecfs_lower_inode(inode);

	spin_lock(&inode->i_lock);
	inode->i_mode = READ_ONCE(lower->i_mode);
	inode->i_uid = lower->i_uid;
	inode->i_gid = lower->i_gid;
	spin_unlock(&inode->i_lock);
}

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

	ecfs_copy_owner(inode);
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
	inode_set_flags(inode, lower->i_flags & COPIED_FLAGS, COPIED_FLAGS);
	spin_unlock(&inode->i_lock);
	inode_set_atime_to_ts(inode, inode_get_atime(lower));
	if (!S_ISREG(inode->i_mode))
		i_size_write(inode, i_size_read(lower));
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
		target = ecfs_read_target(path->dentry, &len);
		if (IS_ERR(target))
			return;
		stat->size = len;
		kfree(target);
	}
}

int ecfs_getattr(ecfs_idmap_t *idmap, const struct path *path, struct kstat *stat, u32 mask,
		 unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	struct path lower = ecfs_lower_path(inode->i_sb, ecfs_lower_dentry(path->dentry));
	/* Before the look below: they may be stored right after it. */
	bool newer = test_bit(ECFS_I_TIMES, &ecfs_i(inode)->flags);
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
	if (newer || test_bit(ECFS_I_TIMES, &ecfs_i(inode)->flags)) {
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
	if (!size)
		set_bit(ECFS_I_EMPTIED, &ei->flags);
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

/*
 * A kernel with CONFIG_READ_ONLY_THP_FOR_FS makes large folios of a mapped program that nobody has
 * open for writing, whatever its filesystem knows of them. open() for writing drops them, truncate()
 * by a path does not. From here on there come no others: the caller counts as a writer.
 */
static int drop_huge(struct address_space *mapping)
{
	int err;

	smp_mb();	/* pairs with the one in collapse_file(), as in the open() of the VFS */
	if (!ecfs_nr_huge(mapping))
		return 0;
	filemap_invalidate_lock(mapping);
	unmap_mapping_range(mapping, 0, 0, 0);
	err = filemap_write_and_wait(mapping);
	if (!err)
		truncate_inode_pages(mapping, 0);
	filemap_invalidate_unlock(mapping);
	return err;
}

static int set_size(struct inode *inode, struct dentry *dentry, struct iattr *attr)
{
	loff_t old_size;
	int err = ecfs_file_get(inode, dentry, true);

	if (err)
		return err;
	old_size = i_size_read(inode);
	err = drop_huge(inode->i_mapping);
	if (!err)
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

int ecfs_setattr(ecfs_idmap_t *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	struct iattr lower_attr;
	int err;

	err = setattr_prepare(ECFS_NOP_IDMAP, dentry, attr);
	if (!err && IS_IMMUTABLE(inode))
		err = -EPERM;		/* before anything is cut that cannot be cut below */
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

/*
 * With the bit at once: ecfs_copy_attr() must not overwrite them, and who stores them below must not
 * take the bit for the times that were.
 */
static void renew_times(struct inode *inode)
{
	struct timespec64 now = current_time(inode);

	spin_lock(&inode->i_lock);
	set_bit(ECFS_I_TIMES, &ecfs_i(inode)->flags);
	inode_set_mtime_to_ts(inode, now);
	inode_set_ctime_to_ts(inode, now);
	spin_unlock(&inode->i_lock);
	mark_inode_dirty_sync(inode);
}

int ecfs_update_time(ECFS_UPDATE_TIME_ARGS)
{
	if (ECFS_UPDATES_ATIME)
		touch_lower(inode);
	if (ECFS_UPDATES_OTHER_TIMES)
		renew_times(inode);
	return 0;
}
