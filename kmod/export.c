// SPDX-License-Identifier: GPL-2.0-only
/*
 * File handles: the lower filesystem's own, behind one word with its type. What the lower
 * filesystem cannot make a handle for has none here either.
 */
#include "kmod/lower.h"

#include <linux/exportfs.h>

#define HANDLE_TYPE 0xec

static int encode_fh(struct inode *inode, u32 *fh, int *max_len, struct inode *parent)
{
	struct inode *lower_parent = parent ? ecfs_lower_inode(parent) : NULL;
	int len = *max_len - 1, type;

	if (len < 0)
		len = 0;
	type = ecfs_encode_lower_fh(ecfs_lower_inode(inode), (struct fid *)(fh + 1), &len,
				    lower_parent);
	*max_len = len + 1;
	if (type < 0 || type == FILEID_INVALID)
		return FILEID_INVALID;
	fh[0] = type;
	return HANDLE_TYPE;
}

static bool is_reserved(struct ecfs_sb *sbi, struct dentry *lower)
{
	bool ret;

	spin_lock(&lower->d_lock);	/* keeps the name */
	ret = lower->d_parent == sbi->lower_root &&
	      ecfs_name_reserved(d_inode(sbi->sb->s_root), lower->d_name.name,
				 lower->d_name.len);
	spin_unlock(&lower->d_lock);
	return ret;
}

/*
 * What is not below our root is not ours, however it was guessed. A file that is in no cached
 * directory has no path to judge by: without our key it cannot be opened, except where the mount
 * shows the bytes of any file.
 */
static int acceptable(void *context, struct dentry *lower)
{
	struct ecfs_sb *sbi = context;

	if (is_subdir(lower, sbi->lower_root))
		return !is_reserved(sbi, lower);
	if (d_is_dir(lower) || is_subdir(lower, lower->d_sb->s_root))
		return false;
	return !(sbi->opts.flags & (ECFS_OPT_PASSTHROUGH | ECFS_OPT_ENCRYPTED_VIEW)) ||
	       capable(CAP_DAC_READ_SEARCH);
}

/* Takes over the reference to @lower. */
static struct dentry *obtain(struct super_block *sb, struct dentry *lower)
{
	struct ecfs_sb *sbi = ecfs_sb(sb);
	struct inode *inode = ecfs_iget(sb, lower);
	struct dentry *dentry;
	bool known;

	if (lower == sbi->lower_root && !IS_ERR(inode)) {
		iput(inode);
		dput(lower);
		return dget(sb->s_root);
	}
	/*
	 * A new alias stands for nothing yet: no lookup puts it into the tree before it does. Two of
	 * us may make it at once. lookup() sets d_time.
	 */
	down_write(&sbi->move_sem);
	dentry = d_obtain_alias(inode);		/* takes an ERR_PTR as well */
	known = IS_ERR(dentry) || cmpxchg(&dentry->d_fsdata, NULL, lower);
	up_write(&sbi->move_sem);
	if (known)
		dput(lower);
	return dentry;
}

static struct dentry *fh_to_dentry(struct super_block *sb, struct fid *fid, int len, int type)
{
	struct ecfs_sb *sbi = ecfs_sb(sb);
	u32 *fh = (u32 *)fid;
	struct dentry *lower;

	if (type != HANDLE_TYPE || len < 2 || fh[0] > 0xff)
		return NULL;
	lower = exportfs_decode_fh(sbi->lower_mnt, (struct fid *)(fh + 1), len - 1, fh[0],
				   acceptable, sbi);
	if (IS_ERR_OR_NULL(lower))
		return lower;
	return obtain(sb, lower);
}

static struct dentry *get_parent(struct dentry *child)
{
	struct dentry *lower = ecfs_lower_dentry(child), *parent;

	if (!lower || IS_ROOT(lower))
		return ERR_PTR(-ESTALE);
	parent = dget_parent(lower);
	if (!is_subdir(parent, ecfs_sb(child->d_sb)->lower_root)) {
		dput(parent);
		return ERR_PTR(-ESTALE);
	}
	return obtain(child->d_sb, parent);
}

const struct export_operations ecfs_export_ops = {
	.encode_fh	= encode_fh,
	.fh_to_dentry	= fh_to_dentry,
	.get_parent	= get_parent,
};
