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

/* Where the lower dentry of @dentry must stand. The upper parent is locked: it stays there. */
static inline struct ecfs_place ecfs_place(const struct dentry *dentry)
{
	return (struct ecfs_place){
		.parent = ecfs_lower_dentry(dentry->d_parent),
		.child = ecfs_lower_dentry(dentry),
		.name = dentry->d_time,
	};
}

/*
 * Makes the lower file of @dentry, which is negative. *ret is referenced, also on failure. It can
 * be another dentry than that of @dentry, one that a mkdir has returned.
 */
static inline int ecfs_do_make(const struct dentry *dentry, const struct ecfs_make *make,
			       struct dentry **ret)
{
	struct vfsmount *mnt = ecfs_sb(dentry->d_sb)->lower_mnt;
	const struct ecfs_place place = ecfs_place(dentry);
	int err = mnt_want_write(mnt);

	*ret = dget(place.child);
	if (err)
		return err;
	err = ecfs_start_change(&place);
	if (err)
		goto out;
	switch (make->mode & S_IFMT) {
	case S_IFREG:
		err = ecfs_vfs_create(place.parent, *ret, make->mode);
		break;
	case S_IFDIR:
		err = ecfs_vfs_mkdir(place.parent, ret, make->mode & ~S_IFMT);
		break;
	case S_IFLNK:
		err = ecfs_vfs_symlink(place.parent, *ret, make->target);
		break;
	default:
		err = ecfs_vfs_mknod(place.parent, *ret, make->mode, make->dev);
		break;
	}
	ecfs_end_change(&place);
out:
	mnt_drop_write(mnt);
	return err;
}

/*
 * The second reference keeps the dentry positive: whoever has the file open, or stands in the
 * directory, goes on through it.
 */
static inline int ecfs_do_unlink(const struct dentry *dentry, bool dir)
{
	struct vfsmount *mnt = ecfs_sb(dentry->d_sb)->lower_mnt;
	const struct ecfs_place place = ecfs_place(dentry);
	int err = mnt_want_write(mnt);

	if (err)
		return err;
	err = ecfs_start_change(&place);
	if (err)
		goto out;
	dget(place.child);
	if (d_is_negative(place.child))
		err = -ENOENT;
	else if (dir)
		err = ecfs_vfs_rmdir(place.parent, place.child);
	else
		err = vfs_unlink(ECFS_NOP_IDMAP, d_inode(place.parent), place.child, ECFS_DELEG);
	ecfs_end_change(&place);
	dput(place.child);
out:
	mnt_drop_write(mnt);
	return err;
}

static inline int ecfs_do_link(const struct dentry *old, const struct dentry *new)
{
	struct vfsmount *mnt = ecfs_sb(new->d_sb)->lower_mnt;
	const struct ecfs_place place = ecfs_place(new);
	int err = mnt_want_write(mnt);

	if (err)
		return err;
	err = ecfs_start_change(&place);
	if (err)
		goto out;
	err = vfs_link(ecfs_lower_dentry(old), ECFS_NOP_IDMAP, d_inode(place.parent), place.child,
		       ECFS_DELEG);
	ecfs_end_change(&place);
out:
	mnt_drop_write(mnt);
	return err;
}

/* A parallel lookup that finds the lower dentries elsewhere waits until we have noted it. */
static inline int ecfs_do_rename(struct dentry *old, struct dentry *new, unsigned int flags)
{
	struct ecfs_sb *sbi = ecfs_sb(old->d_sb);
	const struct ecfs_place from = ecfs_place(old), to = ecfs_place(new);
	int err = mnt_want_write(sbi->lower_mnt);

	if (err)
		return err;
	down_read(&sbi->move_sem);
	err = ecfs_vfs_rename(&from, &to, flags);
	if (!err) {
		WRITE_ONCE(old->d_time, ecfs_name_hash(from.child));
		WRITE_ONCE(new->d_time, ecfs_name_hash(to.child));
	}
	up_read(&sbi->move_sem);
	mnt_drop_write(sbi->lower_mnt);
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
