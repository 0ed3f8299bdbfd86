// SPDX-License-Identifier: GPL-2.0-only
/*
 * Extended attributes go through as they are, except the one in which the metadata of a file may
 * stand: through the mount it does not exist.
 */
#include "kmod/lower.h"

#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/xattr.h>

static bool is_ours(const char *name)
{
	return !strcmp(name, ECFMT_XATTR_NAME);
}

static int xattr_get(const struct xattr_handler *handler, struct dentry *dentry,
		     struct inode *inode, const char *name, void *buf, size_t len)
{
	struct dentry *lower = ecfs_lower_dentry(dentry);

	if (is_ours(name))
		return -ENODATA;
	return ecfs_do_getxattr(lower, name, buf, len);
}

/*
 * The kernel takes the capabilities of a file away when it is written. What is delayed here was
 * written before they are given, and goes down before.
 */
static int settle(struct inode *inode, const char *name)
{
	if (!S_ISREG(inode->i_mode) || strcmp(name, XATTR_NAME_CAPS))
		return 0;
	return ecfs_write_back(inode);
}

static int set_lower(struct dentry *dentry, struct inode *inode, const char *name,
		     const void *value, size_t len, int flags)
{
	struct dentry *lower = ecfs_lower_dentry(dentry);
	int err;

	if (is_ours(name))
		return value ? -EACCES : -ENODATA;
	if (value) {
		err = settle(inode, name);
		if (err)
			return err;
		err = ecfs_do_setxattr(inode->i_sb, lower, name, value, len, flags);
	} else {
		err = ecfs_do_removexattr(inode->i_sb, lower, name);
	}
	ecfs_copy_attr(inode);
	return err;
}

#ifdef ECFS_HAVE_MNT_IDMAP
static int xattr_set(const struct xattr_handler *handler, struct mnt_idmap *idmap,
		     struct dentry *dentry, struct inode *inode, const char *name,
		     const void *value, size_t len, int flags)
#else
static int xattr_set(const struct xattr_handler *handler, struct user_namespace *idmap,
		     struct dentry *dentry, struct inode *inode, const char *name,
		     const void *value, size_t len, int flags)
#endif
{
	return set_lower(dentry, inode, name, value, len, flags);
}

static const struct xattr_handler other_handler = {
	.prefix	= "",	/* all */
	.get	= xattr_get,
	.set	= xattr_set,
};

const struct xattr_handler *const ecfs_xattr_handlers[] = {
#ifndef ECFS_HAVE_GET_INODE_ACL
	/* Later kernels route these to the inode operations by themselves. */
	&posix_acl_access_xattr_handler,
	&posix_acl_default_xattr_handler,
#endif
	&other_handler,
	NULL
};

/* Cuts our attribute out of a list of NUL-terminated names. Returns the new length. */
static ssize_t cut_ours(char *list, ssize_t len)
{
	char *name = list;

	while (name < list + len) {
		size_t n = strnlen(name, list + len - name) + 1;

		if (n > (size_t)(list + len - name))
			break;
		if (is_ours(name)) {
			memmove(name, name + n, list + len - (name + n));
			return len - n;
		}
		name += n;
	}
	return len;
}

/* The whole list is fetched also when only its length is asked for: ours must not count. */
ssize_t ecfs_listxattr(struct dentry *dentry, char *list, size_t size)
{
	struct dentry *lower = ecfs_lower_dentry(dentry);
	ssize_t len = vfs_listxattr(lower, NULL, 0);
	char *all;

	if (len <= 0)
		return len;
	all = kvmalloc(len, GFP_KERNEL);
	if (!all)
		return -ENOMEM;
	len = vfs_listxattr(lower, all, len);
	if (len > 0)
		len = cut_ours(all, len);
	if (len > 0 && size) {
		if (len > size)
			len = -ERANGE;
		else
			memcpy(list, all, len);
	}
	kvfree(all);
	return len;
}
