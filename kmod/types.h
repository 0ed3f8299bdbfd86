/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the module keeps in memory, and which lock guards what.
 *
 * Lock order, outermost first:
 *	upper inode_lock -> upper invalidate_lock -> ecfs_inode.meta_lock -> upper folio lock
 *	-> ecfs_inode.key_sem -> lower inode_lock -> lower folio lock
 *	upper inode_lock -> ecfs_sb.move_sem -> lower inode_lock
 * ecfs_inode.file_lock (a spinlock) is innermost. Nothing waits for an upper folio while it
 * holds a lock of the lower filesystem.
 */
#ifndef ECFS_TYPES_H
#define ECFS_TYPES_H

#include "kmod/compat/compat.h"	/* first: all else is written for it */

#include <linux/backing-dev.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/mempool.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>

#include "format/ecfmt.h"

struct crypto_shash;
struct crypto_skcipher;

#define ECFS_XATTR_LEN_MAX	4096u	/* as much of user.ecryptfs as any reader looks at */
#define ECFS_NAMES_PREFIX_LEN	48u	/* at least 16 + the longest block */
#define ECFS_BATCH_FOLIOS	32u	/* folios in one lower request */
/* Bytes that may be dirty behind ecfs_inode.backed, where only their writer can clean them. */
#define ECFS_PIECE_LEN		(ECFS_BATCH_FOLIOS * PAGE_SIZE)
#define ECFS_LONG_GAP_LEN	(16u << 20)	/* from here on it is asked first whether the disk has room */

/* One key that the superblock holds. Secret: freed with kfree_sensitive(). */
struct ecfs_key {
	struct list_head list;
	u8 sig[ECFMT_SIG_LEN];
	u8 salt[ECFMT_SALT_LEN];
	u8 key[ECFMT_KEY_LEN];
};

/* A signature named by a mount option, in the order of the options. */
struct ecfs_sig {
	struct list_head list;
	u8 sig[ECFMT_SIG_LEN];
};

enum ecfs_opt_flag {
	ECFS_OPT_PASSTHROUGH		= 1 << 0,
	ECFS_OPT_XATTR_METADATA		= 1 << 1,
	ECFS_OPT_ENCRYPTED_VIEW		= 1 << 2,
	ECFS_OPT_UNLINK_SIGS		= 1 << 3,
	ECFS_OPT_MOUNT_AUTH_TOK_ONLY	= 1 << 4,
	ECFS_OPT_CHECK_DEV_RUID		= 1 << 5,
	ECFS_OPT_FN_SIG			= 1 << 6,	/* names are encrypted */
};

/* What the mount options say; fixed once the superblock is up. */
struct ecfs_opts {
	unsigned int flags;		/* enum ecfs_opt_flag */
	const struct ecfmt_cipher *cipher;
	size_t key_len;			/* bytes */
	const struct ecfmt_cipher *fn_cipher;
	size_t fn_key_len;		/* bytes */
	u8 fn_sig[ECFMT_SIG_LEN];
	struct list_head sigs;		/* struct ecfs_sig, content keys */
};

struct ecfs_sb {
	struct ecfs_opts opts;
	struct vfsmount *lower_mnt;	/* private clone, until kill_sb */
	struct dentry *lower_root;	/* of lower_mnt, borrowed */
	const struct cred *cred;	/* of the mounter */
	struct super_block *sb;
	struct list_head writer;	/* in the list of those that may write; writers_lock */

	/* Guards keys, locked, names_tfm and names_prefix. */
	struct rw_semaphore key_sem;
	struct list_head keys;		/* struct ecfs_key */
	bool locked;			/* ECFS_IOC_LOCK happened; never cleared */
	struct crypto_skcipher *names_tfm; /* ecb(fn_cipher) with the names key; or NULL */
	u8 names_prefix[ECFS_NAMES_PREFIX_LEN];	/* derived from the names key: secret */

	struct crypto_shash *md5;
	mempool_t *batches;		/* struct ecfs_batch */
	size_t lower_name_max;		/* bytes */

	/*
	 * Read while a dentry's lower one gets another place and d_time follows, or while a directory
	 * that is known comes to a place; write to see none of that under way.
	 */
	struct rw_semaphore move_sem;

	spinlock_t err_lock;
	errseq_t lower_err;		/* of the lower superblock, as far as ours tells it */

	spinlock_t keyed_lock;		/* guards keyed and ecfs_inode.keyed */
	struct list_head keyed;		/* inodes that hold a file key */
};

/* What the bytes of a regular lower file are to us. */
enum ecfs_kind {
	ECFS_KIND_UNKNOWN,	/* not opened yet */
	ECFS_KIND_EMPTY,	/* lower file without a byte and without metadata: crash leftover */
	ECFS_KIND_CRYPT,	/* format 3 */
	ECFS_KIND_RAW,		/* passthrough, or encrypted view of an in-file header */
	ECFS_KIND_VIEW_XATTR,	/* encrypted view: header from the xattr, then the lower bytes */
};

/* A file's key and all that is derived from it. Secret: freed with kfree_sensitive(). */
struct ecfs_fek {
	struct crypto_skcipher *tfm;	/* cbc(cipher), key set */
	u8 root_iv[ECFMT_IV_LEN];
};

enum ecfs_inode_flag {
	ECFS_I_TIMES,		/* mtime is newer here than below */
	ECFS_I_RESERVED,	/* fallocate() kept blocks behind the end of the lower file */
	ECFS_I_EMPTIED,		/* cut to nothing since the last close() */
	ECFS_I_CUT,		/* a crash took the end that the header counts; see take_size() */
	ECFS_I_WARNED,		/* the log has a line about this inode's header */
};

struct ecfs_inode {
	struct inode *lower;		/* referenced; fixed */
	unsigned long flags;		/* enum ecfs_inode_flag, atomic bit operations */

	struct mutex meta_lock;		/* guards all down to stored_size */
	unsigned int n_open;		/* open upper handles and other users of lower_file */
	enum ecfs_kind kind;
	enum ecfmt_place place;
	u32 header_len;			/* bytes in front of the data in the lower file */
	u8 *xattr;			/* value of user.ecryptfs, for PLACE_XATTR; or NULL */
	size_t xattr_len;		/* bytes */
	/* Bytes, as the header on the lower filesystem says; with ECFS_I_CUT it says more. */
	u64 stored_size;

	/*
	 * Bytes of upper file whose extents exist below, without a gap; a multiple of 4096. Moves
	 * under the upper inode_lock. Extents behind it are written by the grower alone, in order:
	 * so their errors are its own, and so are the quota and the reserve that they come from.
	 */
	loff_t backed;
	struct task_struct *grower;	/* who is in ecfs_back(); or NULL */
	atomic_t put_back;		/* times that writeback failed and left folios dirty */

	spinlock_t file_lock;		/* guards the pointer lower_file */
	struct file *lower_file;

	struct rw_semaphore key_sem;	/* guards fek: read to use it, write to set or wipe */
	struct ecfs_fek *fek;
	struct list_head keyed;

	struct inode vfs_inode;
};

static inline struct ecfs_inode *ecfs_i(const struct inode *inode)
{
	return container_of(inode, struct ecfs_inode, vfs_inode);
}

static inline struct ecfs_sb *ecfs_sb(const struct super_block *sb)
{
	return sb->s_fs_info;
}

static inline struct inode *ecfs_lower_inode(const struct inode *inode)
{
	return ecfs_i(inode)->lower;
}

/* NULL for a dentry that stands for nothing below (a reserved name). */
static inline struct dentry *ecfs_lower_dentry(const struct dentry *dentry)
{
	return READ_ONCE(dentry->d_fsdata);
}

/* The reference to @lower becomes the dentry's. */
static inline void ecfs_set_lower(struct dentry *dentry, struct dentry *lower)
{
	dentry->d_time = ecfs_name_hash(lower);
	WRITE_ONCE(dentry->d_fsdata, lower);
}

static inline bool ecfs_opt(const struct super_block *sb, enum ecfs_opt_flag flag)
{
	return ecfs_sb(sb)->opts.flags & flag;
}

#endif
