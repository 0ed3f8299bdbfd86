/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one way to touch the lower filesystem. Whatever changes a name or an attribute below goes
 * through an ecfs_do_<op>() here: it takes write access to the lower mount (which also waits
 * while the lower filesystem is frozen) and the locks that the VFS call wants. Names and
 * attributes are changed with the caller's credentials, content is opened and header bytes are
 * written with the mounter's.
 */
#ifndef ECFS_LOWER_H
#define ECFS_LOWER_H

#include "kmod/ecfs.h"

static inline struct path ecfs_lower_path(struct super_block *sb, struct dentry *lower)
{
	return (struct path){ .mnt = ecfs_sb(sb)->lower_mnt, .dentry = lower };
}

static inline int ecfs_do_notify_change(struct super_block *sb, struct dentry *lower,
					struct iattr *attr)
{
	struct vfsmount *mnt = ecfs_sb(sb)->lower_mnt;
	int err = mnt_want_write(mnt);

	if (err)
		return err;
	inode_lock(d_inode(lower));
	err = notify_change(ECFS_NOP_IDMAP, lower, attr, ECFS_DELEG);
	inode_unlock(d_inode(lower));
	mnt_drop_write(mnt);
	return err;
}

/* What ecfs_do_make() is to make. */
struct ecfs_make {
	umode_t mode;		/* with the file type */
	dev_t dev;
	const char *target;	/* of a symlink, as it stands below */
};

/* Makes *lower, a negative dentry. It can be replaced by the one that a mkdir returns. */
static inline int ecfs_do_make(struct super_block *sb, struct dentry **lower,
			       const struct ecfs_make *make)
{
	struct vfsmount *mnt = ecfs_sb(sb)->lower_mnt;
	struct dentry *parent;
	int err = mnt_want_write(mnt);

	if (err)
		return err;
	err = ecfs_start_change(*lower, &parent);
	if (err)
		goto out;
	switch (make->mode & S_IFMT) {
	case S_IFREG:
		err = ecfs_vfs_create(parent, *lower, make->mode);
		break;
	case S_IFDIR:
		err = ecfs_vfs_mkdir(parent, lower, make->mode & ~S_IFMT);
		break;
	case S_IFLNK:
		err = ecfs_vfs_symlink(parent, *lower, make->target);
		break;
	default:
		err = ecfs_vfs_mknod(parent, *lower, make->mode, make->dev);
		break;
	}
	ecfs_end_change(parent);
out:
	mnt_drop_write(mnt);
	return err;
}

/*
 * The second reference keeps the dentry positive: whoever has the file open, or stands in the
 * directory, goes on through it.
 */
static inline int ecfs_do_unlink(struct super_block *sb, struct dentry *lower, bool dir)
{
	struct vfsmount *mnt = ecfs_sb(sb)->lower_mnt;
	struct dentry *parent;
	int err = mnt_want_write(mnt);

	if (err)
		return err;
	err = ecfs_start_change(lower, &parent);
	if (err)
		goto out;
	dget(lower);
	if (d_is_negative(lower))
		err = -ENOENT;
	else if (dir)
		err = ecfs_vfs_rmdir(parent, lower);
	else
		err = vfs_unlink(ECFS_NOP_IDMAP, d_inode(parent), lower, ECFS_DELEG);
	ecfs_end_change(parent);
	dput(lower);
out:
	mnt_drop_write(mnt);
	return err;
}

static inline int ecfs_do_link(struct super_block *sb, struct dentry *old, struct dentry *new)
{
	struct vfsmount *mnt = ecfs_sb(sb)->lower_mnt;
	struct dentry *parent;
	int err = mnt_want_write(mnt);

	if (err)
		return err;
	err = ecfs_start_change(new, &parent);
	if (err)
		goto out;
	err = vfs_link(old, ECFS_NOP_IDMAP, d_inode(parent), new, ECFS_DELEG);
	ecfs_end_change(parent);
out:
	mnt_drop_write(mnt);
	return err;
}

static inline int ecfs_do_rename(struct super_block *sb, struct dentry *old, struct dentry *new,
				 unsigned int flags)
{
	struct vfsmount *mnt = ecfs_sb(sb)->lower_mnt;
	int err = mnt_want_write(mnt);

	if (err)
		return err;
	err = ecfs_vfs_rename(old, new, flags);
	mnt_drop_write(mnt);
	return err;
}

static inline int ecfs_do_setxattr(struct super_block *sb, struct dentry *lower,
				   const char *name, const void *value, size_t len, int flags)
{
	struct vfsmount *mnt = ecfs_sb(sb)->lower_mnt;
	int err = mnt_want_write(mnt);

	if (err)
		return err;
	/*
	 * The VFS has converted the capability for the caller's namespace on the way to us:
	 * vfs_setxattr() would do it a second time.
	 */
	if (!strcmp(name, XATTR_NAME_CAPS)) {
		inode_lock(d_inode(lower));
		err = __vfs_setxattr_locked(ECFS_NOP_IDMAP, lower, name, value, len, flags,
					    ECFS_DELEG);
		inode_unlock(d_inode(lower));
	} else {
		err = vfs_setxattr(ECFS_NOP_IDMAP, lower, name, (void *)value, len, flags);
	}
	mnt_drop_write(mnt);
	return err;
}

static inline int ecfs_do_removexattr(struct super_block *sb, struct dentry *lower,
				      const char *name)
{
	struct vfsmount *mnt = ecfs_sb(sb)->lower_mnt;
	int err = mnt_want_write(mnt);

	if (err)
		return err;
	/*
	 * A write takes the capabilities of a file away, whoever writes: vfs_removexattr() would
	 * ask for CAP_SETFCAP. Who calls removexattr() was asked for it on the way to us.
	 */
	if (!strcmp(name, XATTR_NAME_CAPS)) {
		inode_lock(d_inode(lower));
		err = __vfs_removexattr(ECFS_NOP_IDMAP, lower, name);
		inode_unlock(d_inode(lower));
	} else {
		err = vfs_removexattr(ECFS_NOP_IDMAP, lower, name);
	}
	mnt_drop_write(mnt);
	return err;
}

static inline ssize_t ecfs_do_getxattr(struct dentry *lower, const char *name, void *value,
				       size_t len)
{
	if (!strcmp(name, XATTR_NAME_CAPS))	/* see ecfs_do_setxattr() */
		return __vfs_getxattr(lower, d_inode(lower), name, value, len);
	return vfs_getxattr(ECFS_NOP_IDMAP, lower, name, value, len);
}

#endif
