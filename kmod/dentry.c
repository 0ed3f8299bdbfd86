// SPDX-License-Identifier: GPL-2.0-only
/*
 * A dentry's d_fsdata is the lower dentry that it stands for, referenced from when it is set
 * until the dentry is freed. NULL for the names that are reserved.
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
	return d_inode_rcu(lower) != (inode ? READ_ONCE(ecfs_i(inode)->lower) : NULL);
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
	if (ecfs_dentry_stale(dentry))
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
