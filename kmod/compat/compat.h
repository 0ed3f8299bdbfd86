/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that differs between kernels. Comes in front of everything else, by types.h; the rest of
 * the module is written in the newest spelling. ECFS_HAVE_x come from feature.sh, which looks at the headers.
 */
#ifndef ECFS_COMPAT_H
#define ECFS_COMPAT_H

#undef pr_fmt
#define pr_fmt(fmt) "ecfs: " fmt

#include <linux/version.h>
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "ecfs needs Linux 6.1 or later"
#endif

#include <linux/dcache.h>
#include <linux/exportfs.h>
#include <linux/fs.h>
#include <linux/fileattr.h>
#ifdef ECFS_HAVE_FILELOCK
#include <linux/filelock.h>
#endif
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/pagemap.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/uio.h>
#include <linux/writeback.h>
#include <linux/xattr.h>

/* The map of ids of a mount: a user namespace before there was struct mnt_idmap. */
#ifdef ECFS_HAVE_MNT_IDMAP
typedef struct mnt_idmap ecfs_idmap_t;
#define ECFS_NOP_IDMAP (&nop_mnt_idmap)
#else
typedef struct user_namespace ecfs_idmap_t;
#define ECFS_NOP_IDMAP (&init_user_ns)
#endif

#ifdef ECFS_HAVE_FILE_KATTR
typedef struct file_kattr ecfs_fileattr_t;
#else
typedef struct fileattr ecfs_fileattr_t;
#endif

/* "No delegation to break", which we never ask for. */
#ifdef ECFS_HAVE_DELEGATED_INODE
#define ECFS_DELEG ((struct delegated_inode *)NULL)
#else
#define ECFS_DELEG ((struct inode **)NULL)
#endif

#ifndef ECFS_HAVE_INODE_MTIME_ACC
static inline struct timespec64 inode_get_mtime(const struct inode *inode)
{
	return inode->i_mtime;
}

static inline struct timespec64 inode_get_atime(const struct inode *inode)
{
	return inode->i_atime;
}

static inline struct timespec64 inode_set_mtime_to_ts(struct inode *inode, struct timespec64 ts)
{
	inode->i_mtime = ts;
	return ts;
}

static inline struct timespec64 inode_set_atime_to_ts(struct inode *inode, struct timespec64 ts)
{
	inode->i_atime = ts;
	return ts;
}
#endif

static inline bool ecfs_inode_is_new(struct inode *inode)
{
#ifdef ECFS_HAVE_INODE_STATE_ACC
	return inode_state_read_once(inode) & I_NEW;
#else
	return inode->i_state & I_NEW;
#endif
}

#ifndef ECFS_HAVE_FILEMAP_SPLICE_READ
#define filemap_splice_read generic_file_splice_read
#endif

#ifndef ECFS_HAVE_SET_DEFAULT_D_OP
#define set_default_d_op(sb, ops) ((sb)->s_d_op = (ops))
#endif

/*
 * Whoever calls a filesystem's getattr has asked the security module about the upper path. It must
 * not be asked about the lower one: our private mount is no place that a profile could name. Later
 * kernels have a flag for that, which does not concern the lower filesystem.
 */
static inline int ecfs_vfs_getattr(const struct path *path, struct kstat *stat, u32 mask,
				   unsigned int flags)
{
#ifdef AT_GETATTR_NOSEC
	flags &= ~AT_GETATTR_NOSEC;
#endif
	return vfs_getattr_nosec(path, stat, mask, flags);
}

static inline bool ecfs_can_mmap(struct file *file)
{
#ifdef ECFS_HAVE_MMAP_PREPARE
	return can_mmap_file(file);
#else
	return file->f_op->mmap;
#endif
}

/* Large folios that khugepaged made, which asked nobody. */
static inline int ecfs_nr_huge(struct address_space *mapping)
{
#ifdef ECFS_HAVE_NR_THPS
	return filemap_nr_thps(mapping);
#else
	return 0;
#endif
}

/* Both put the folio locked into ret. 0 or -errno. */
static inline int ecfs_folio_grab(struct address_space *mapping, pgoff_t index,
				  struct folio **ret)
{
	struct folio *folio;

	folio = __filemap_get_folio(mapping, index, FGP_LOCK | FGP_WRITE | FGP_CREAT | FGP_STABLE,
				    mapping_gfp_mask(mapping));
#ifdef ECFS_HAVE_GET_FOLIO_ERRPTR
	if (IS_ERR(folio))
		return PTR_ERR(folio);
#else
	if (!folio)
		return -ENOMEM;
#endif
	*ret = folio;
	return 0;
}

/* Before 6.12 the caller of vfs_iter_write() takes the freeze protection, later nobody may. */
static inline ssize_t ecfs_iter_write(struct file *file, struct iov_iter *iter, loff_t *pos)
{
#ifdef ECFS_HAVE_SB_WRITE_IN_ITER
	return vfs_iter_write(file, iter, pos, 0);
#else
	ssize_t len;

	file_start_write(file);
	len = vfs_iter_write(file, iter, pos, 0);
	file_end_write(file);
	return len;
#endif
}

/* One folio of a writeback walk; unlocks it. */
typedef int (*ecfs_writeback_fn)(struct folio *folio, struct writeback_control *wbc, void *data);

#ifdef ECFS_HAVE_WRITEBACK_ITER
static inline int ecfs_writeback_walk(struct address_space *mapping,
				      struct writeback_control *wbc, ecfs_writeback_fn fn,
				      void *data)
{
	struct folio *folio = NULL;
	int err = 0;

	while ((folio = writeback_iter(mapping, wbc, folio, &err)))
		err = fn(folio, wbc, data);
	return err;
}
#else
struct ecfs_walk {
	ecfs_writeback_fn fn;
	void *data;
};

static inline int ecfs_walk_page(struct page *page, struct writeback_control *wbc, void *data)
{
	struct ecfs_walk *walk = data;

	return walk->fn(page_folio(page), wbc, walk->data);
}

static inline int ecfs_writeback_walk(struct address_space *mapping,
				      struct writeback_control *wbc, ecfs_writeback_fn fn,
				      void *data)
{
	struct ecfs_walk walk = { .fn = fn, .data = data };

	return write_cache_pages(mapping, wbc, ecfs_walk_page, &walk);
}
#endif

static inline struct dentry *ecfs_lookup_lower(const char *name, struct dentry *base, int len)
{
#ifdef ECFS_HAVE_LOOKUP_NOPERM
	struct qstr qstr = QSTR_INIT(name, len);
	int err = inode_permission(ECFS_NOP_IDMAP, d_inode(base), MAY_EXEC);

	if (err)
		return ERR_PTR(err);
	return lookup_noperm_unlocked(&qstr, base);
#else
	return lookup_one_len_unlocked(name, base, len);
#endif
}

static inline int ecfs_revalidate_lower(struct dentry *lower, unsigned int flags)
{
	if (!(lower->d_flags & DCACHE_OP_REVALIDATE))
		return 1;
#ifdef ECFS_HAVE_D_REVALIDATE_DIR
	{
		struct dentry *parent = dget_parent(lower);
		struct name_snapshot name;
		int ret;

		take_dentry_name_snapshot(&name, lower);
		ret = lower->d_op->d_revalidate(d_inode(parent), &name.name, lower, flags);
		release_dentry_name_snapshot(&name);
		dput(parent);
		return ret;
	}
#else
	return lower->d_op->d_revalidate(lower, flags);
#endif
}

#ifdef ECFS_HAVE_D_REVALIDATE_DIR
#define ECFS_D_REVALIDATE_ARGS struct inode *dir, const struct qstr *name, \
			       struct dentry *dentry, unsigned int flags
#else
#define ECFS_D_REVALIDATE_ARGS struct dentry *dentry, unsigned int flags
#endif

/* A lower dentry, and where it has to stand for the upper one to mean it. All borrowed. */
struct ecfs_place {
	struct dentry *parent;
	struct dentry *child;
	unsigned long name;	/* ecfs_name_hash() of the child when it was looked up */
};

/* Changes when a dentry gets another name or another parent: the parent is hashed in. */
static inline unsigned long ecfs_name_hash(const struct dentry *dentry)
{
	return READ_ONCE(dentry->d_name.hash_len);
}

/* Under the lock of the parent, which keeps it so. */
static inline bool ecfs_in_place(const struct ecfs_place *place)
{
	return place->child->d_parent == place->parent && !d_unhashed(place->child) &&
	       ecfs_name_hash(place->child) == place->name;
}

/*
 * Lock the parent for a change of the child; end with ecfs_end_change(). -ESTALE if the child
 * was moved, renamed or unhashed: the VFS then looks the path up afresh.
 */
static inline int ecfs_start_change(const struct ecfs_place *place)
{
	struct inode *dir = d_inode(place->parent);

	inode_lock_nested(dir, I_MUTEX_PARENT);
	if (ecfs_in_place(place) && !IS_DEADDIR(dir))
		return 0;
	inode_unlock(dir);
	return -ESTALE;
}

static inline void ecfs_end_change(const struct ecfs_place *place)
{
	inode_unlock(d_inode(place->parent));
}

static inline int ecfs_vfs_create(struct dentry *parent, struct dentry *child, umode_t mode)
{
#ifdef ECFS_HAVE_START_CREATING
	return vfs_create(ECFS_NOP_IDMAP, child, mode, ECFS_DELEG);
#else
	return vfs_create(ECFS_NOP_IDMAP, d_inode(parent), child, mode, true);
#endif
}

/* Puts the dentry that became the directory into *child, which may be another one. */
static inline int ecfs_vfs_mkdir(struct dentry *parent, struct dentry **child, umode_t mode)
{
#ifdef ECFS_HAVE_MKDIR_DENTRY
	struct dentry *made = vfs_mkdir(ECFS_NOP_IDMAP, d_inode(parent), dget(*child), mode
#ifdef ECFS_HAVE_START_CREATING
					, ECFS_DELEG
#endif
					);

	if (IS_ERR(made)) {
#ifdef ECFS_HAVE_START_CREATING
		/* It has unlocked the parent, as if we had come by start_creating(). */
		inode_lock_nested(d_inode(parent), I_MUTEX_PARENT);
#endif
		return PTR_ERR(made);
	}
	dput(*child);
	*child = made;
	return 0;
#else
	return vfs_mkdir(ECFS_NOP_IDMAP, d_inode(parent), *child, mode);
#endif
}

#ifdef ECFS_HAVE_START_CREATING
#define ecfs_vfs_mknod(parent, child, mode, dev) \
	vfs_mknod(ECFS_NOP_IDMAP, d_inode(parent), child, mode, dev, ECFS_DELEG)
#define ecfs_vfs_symlink(parent, child, target) \
	vfs_symlink(ECFS_NOP_IDMAP, d_inode(parent), child, target, ECFS_DELEG)
#define ecfs_vfs_rmdir(parent, child) \
	vfs_rmdir(ECFS_NOP_IDMAP, d_inode(parent), child, ECFS_DELEG)
#else
#define ecfs_vfs_mknod(parent, child, mode, dev) \
	vfs_mknod(ECFS_NOP_IDMAP, d_inode(parent), child, mode, dev)
#define ecfs_vfs_symlink(parent, child, target) \
	vfs_symlink(ECFS_NOP_IDMAP, d_inode(parent), child, target)
#define ecfs_vfs_rmdir(parent, child) \
	vfs_rmdir(ECFS_NOP_IDMAP, d_inode(parent), child)
#endif

/* Locks both parents. -ESTALE if one of the two was moved, renamed or removed. */
#ifdef ECFS_HAVE_START_CREATING
static inline int ecfs_vfs_rename(const struct ecfs_place *old, const struct ecfs_place *new,
				  unsigned int flags)
{
	struct renamedata rd = {
		.mnt_idmap = ECFS_NOP_IDMAP,
		.old_parent = old->parent,
		.new_parent = new->parent,
		.flags = flags,
	};
	int err = start_renaming_two_dentries(&rd, old->child, new->child);

	if (err)
		return err;
	if (!ecfs_in_place(old) || !ecfs_in_place(new) || d_is_negative(old->child))
		err = -ESTALE;
	else
		err = vfs_rename(&rd);
	end_renaming(&rd);
	return err;
}
#else
static inline int ecfs_vfs_rename_locked(const struct ecfs_place *old,
					 const struct ecfs_place *new, unsigned int flags)
{
	struct renamedata rd = {
#ifdef ECFS_HAVE_RENAMEDATA_PARENT
		.mnt_idmap = ECFS_NOP_IDMAP,
		.old_parent = old->parent,
		.new_parent = new->parent,
#else
#ifdef ECFS_HAVE_RENAMEDATA_IDMAP
		.old_mnt_idmap = ECFS_NOP_IDMAP,
		.new_mnt_idmap = ECFS_NOP_IDMAP,
#else
		.old_mnt_userns = ECFS_NOP_IDMAP,
		.new_mnt_userns = ECFS_NOP_IDMAP,
#endif
		.old_dir = d_inode(old->parent),
		.new_dir = d_inode(new->parent),
#endif
		.old_dentry = old->child,
		.new_dentry = new->child,
		.flags = flags,
	};

	return vfs_rename(&rd);
}

static inline int ecfs_vfs_rename(const struct ecfs_place *old, const struct ecfs_place *new,
				  unsigned int flags)
{
	struct dentry *trap = lock_rename(old->parent, new->parent);
	int err;

	if (IS_ERR(trap))
		return PTR_ERR(trap);
	if (!ecfs_in_place(old) || !ecfs_in_place(new) || d_is_negative(old->child))
		err = -ESTALE;
	else if (old->child == trap)
		err = -EINVAL;
	else if (new->child == trap)
		err = (flags & RENAME_EXCHANGE) ? -EINVAL : -ENOTEMPTY;
	else
		err = ecfs_vfs_rename_locked(old, new, flags);
	unlock_rename(old->parent, new->parent);
	return err;
}
#endif

/* @cred is what the file is opened with; the owner of the inode is the caller. */
static inline struct file *ecfs_tmpfile_open(const struct path *parent, umode_t mode, int flags,
					     const struct cred *cred)
{
#ifdef ECFS_HAVE_KERNEL_TMPFILE_OPEN
	return kernel_tmpfile_open(ECFS_NOP_IDMAP, parent, mode, flags, cred);
#else
	return vfs_tmpfile_open(ECFS_NOP_IDMAP, parent, mode, flags, cred);
#endif
}

static inline void ecfs_fillattr(struct inode *inode, struct kstat *stat, u32 mask)
{
#ifdef ECFS_HAVE_FILLATTR_MASK
	generic_fillattr(ECFS_NOP_IDMAP, mask, inode, stat);
#else
	generic_fillattr(ECFS_NOP_IDMAP, inode, stat);
#endif
}

/* ->update_time: what the kernel asks for. */
#if defined(ECFS_HAVE_FS_UPDATE_TIME)
#define ECFS_UPDATE_TIME_ARGS struct inode *inode, enum fs_update_time type, unsigned int flags
#define ECFS_UPDATES_ATIME (type == FS_UPD_ATIME)
#define ECFS_UPDATES_OTHER_TIMES (type != FS_UPD_ATIME)
#elif defined(ECFS_HAVE_UPDATE_TIME_TS)
#define ECFS_UPDATE_TIME_ARGS struct inode *inode, struct timespec64 *now, int flags
#define ECFS_UPDATES_ATIME (flags & S_ATIME)
#define ECFS_UPDATES_OTHER_TIMES (flags & ~S_ATIME)
#else
#define ECFS_UPDATE_TIME_ARGS struct inode *inode, int flags
#define ECFS_UPDATES_ATIME (flags & S_ATIME)
#define ECFS_UPDATES_OTHER_TIMES (flags & ~S_ATIME)
#endif

/* ->write_begin and ->write_end, with the folio inside whatever the kernel passes. */
#if defined(ECFS_HAVE_WRITE_BEGIN_KIOCB)
#define ECFS_WRITE_BEGIN_ARGS const struct kiocb *iocb, struct address_space *mapping, \
			      loff_t pos, unsigned int len, struct folio **foliop, void **fsdata
#define ECFS_WRITE_END_ARGS const struct kiocb *iocb, struct address_space *mapping, \
			    loff_t pos, unsigned int len, unsigned int copied, \
			    struct folio *folio, void *fsdata
#define ECFS_RETURN_FOLIO(folio) (*foliop = (folio))
#define ECFS_TAKE_FOLIO()
#elif defined(ECFS_HAVE_WRITE_BEGIN_FOLIO)
#define ECFS_WRITE_BEGIN_ARGS struct file *file, struct address_space *mapping, \
			      loff_t pos, unsigned int len, struct folio **foliop, void **fsdata
#define ECFS_WRITE_END_ARGS struct file *file, struct address_space *mapping, \
			    loff_t pos, unsigned int len, unsigned int copied, \
			    struct folio *folio, void *fsdata
#define ECFS_RETURN_FOLIO(folio) (*foliop = (folio))
#define ECFS_TAKE_FOLIO()
#else
#define ECFS_WRITE_BEGIN_ARGS struct file *file, struct address_space *mapping, \
			      loff_t pos, unsigned int len, struct page **pagep, void **fsdata
#define ECFS_WRITE_END_ARGS struct file *file, struct address_space *mapping, \
			    loff_t pos, unsigned int len, unsigned int copied, \
			    struct page *page, void *fsdata
#define ECFS_RETURN_FOLIO(folio) (*pagep = &(folio)->page)
#define ECFS_TAKE_FOLIO() struct folio *folio = page_folio(page);
#endif

static inline int ecfs_encode_lower_fh(struct inode *inode, struct fid *fid, int *len,
				       struct inode *parent)
{
	if (!inode->i_sb->s_export_op)
		return FILEID_INVALID;
#ifdef ECFS_HAVE_ENCODE_FH_FLAGS
	return exportfs_encode_inode_fh(inode, fid, len, parent, 0);
#else
	return exportfs_encode_inode_fh(inode, fid, len, parent);
#endif
}

#endif
