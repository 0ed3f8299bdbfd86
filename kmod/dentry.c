// SPDX-License-Identifier: GPL-2.0-only
/*
 * A dentry's d_fsdata is the lower dentry that it stands for, referenced from when it is set
 * until the dentry is freed. NULL for the names that are reserved. Its d_time is the name hash of
 * the lower dentry, parent included: another one tells that it was moved or renamed behind us.
 */
#include "kmod/lower.h"

/*
 * The lower dentry was renamed, removed or replaced behind us, or a name came to be where we saw
 * none. Only looks, so that it is good under RCU as well: dentries are freed by RCU.
 */
bool ecfs_dentry_stale(struct dentry *dentry)
{
	struct dentry *lower = ecfs_lower_dentry(dentry);
	struct inode *inode = d_inode_rcu(dentry);

	if (!lower || IS_ROOT(dentry))
		return false;
	if (d_unhashed(lower))
		return !inode || inode->i_nlink;	/* a file from O_TMPFILE has no name */
	if (d_inode_rcu(lower) != (inode ? READ_ONCE(ecfs_i(inode)->lower) : NULL))
		return true;
	return ecfs_name_hash(lower) != READ_ONCE(dentry->d_time);
}

/* Not because of a rename of our own, which is between moving the lower dentry and noting it. */
static bool stale_for_good(struct dentry *dentry)
{
	struct ecfs_sb *sbi = ecfs_sb(dentry->d_sb);
	bool stale;

	if (!ecfs_dentry_stale(dentry))
		return false;
	down_write(&sbi->move_sem);
	stale = ecfs_dentry_stale(dentry);
	up_write(&sbi->move_sem);
	return stale;
}

static int d_revalidate_common(struct dentry *dentry, unsigned int flags)
{
	struct dentry *lower = ecfs_lower_dentry(dentry);

	if (!lower)
		return 1;
	if (flags & LOOKUP_RCU) {
		if ((lower->d_flags & DCACHE_OP_REVALIDATE) || ecfs_dentry_stale(dentry))
			return -ECHILD;
		return 1;
	}
	if (stale_for_good(dentry))
		return 0;
	return ecfs_revalidate_lower(lower, flags);
}

static int d_revalidate(ECFS_D_REVALIDATE_ARGS)
{
	return d_revalidate_common(dentry, flags);
}

static void d_release(struct dentry *dentry)
{
	dput(dentry->d_fsdata);
}

const struct dentry_operations ecfs_dentry_ops = {
	.d_revalidate	= d_revalidate,
	.d_release	= d_release,
};
