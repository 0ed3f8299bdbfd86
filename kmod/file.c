// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations on open files and directories. One lower file serves all handles of an inode; what
 * a handle may do is the VFS's business, by the flags that the handle was opened with.
 */
#include "kmod/lower.h"
#include "kmod/uapi/ecfs.h"

#include <linux/compat.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/splice.h>

static void set_lower_file(struct ecfs_inode *ei, struct file *file)
{
	struct file *old;

	spin_lock(&ei->file_lock);
	old = ei->lower_file;
	ei->lower_file = file;
	spin_unlock(&ei->file_lock);
	if (old)
		fput(old);
}

/* Opens the lower file, or opens it anew for writing. */
static int need_lower_file(struct inode *inode, struct dentry *lower, bool write)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	struct file *file;

	if (ei->lower_file && (!write || (ei->lower_file->f_mode & FMODE_WRITE)))
		return 0;
	file = ecfs_lower_open(ecfs_sb(inode->i_sb), lower, write ? O_RDWR : O_RDONLY);
	if (IS_ERR(file))
		return PTR_ERR(file);
	set_lower_file(ei, file);
	return 0;
}

static bool is_dirty(struct inode *inode)
{
	return mapping_tagged(inode->i_mapping, PAGECACHE_TAG_DIRTY) ||
	       mapping_tagged(inode->i_mapping, PAGECACHE_TAG_WRITEBACK);
}

/* Nothing is left that only the open lower file could take. Under meta_lock. */
static bool is_settled(struct inode *inode)
{
	const struct ecfs_inode *ei = ecfs_i(inode);

	return !is_dirty(inode) && !test_bit(ECFS_I_TIMES, &ei->flags) &&
	       (ei->kind != ECFS_KIND_CRYPT || ei->stored_size == i_size_read(inode));
}

/**
 * ecfs_file_get() - make a regular file ready for reading or writing
 * @inode:	regular
 * @dentry:	any of its names
 * @write:	the lower file must be writable
 *
 * Return: 0, then ecfs_file_put() ends the use; -ENOKEY; -EIO; errors of opening the lower file.
 */
int ecfs_file_get(struct inode *inode, struct dentry *dentry, bool write)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	struct dentry *lower = ecfs_lower_dentry(dentry);
	int err;

	mutex_lock(&ei->meta_lock);
	err = need_lower_file(inode, lower, write);
	if (!err)
		err = ecfs_meta_load(inode, lower, write);
	if (!err)
		ei->n_open++;
	else if (!ei->n_open && is_settled(inode))
		set_lower_file(ei, NULL);
	mutex_unlock(&ei->meta_lock);
	return err;
}

/**
 * ecfs_write_back() - hand the lower filesystem everything that is delayed
 * @inode:	any; only regular ones delay anything
 *
 * With the mounter's credentials: a caller's would cost the lower file its setuid bit.
 */
int ecfs_write_back(struct inode *inode)
{
	const struct cred *old = override_creds(ecfs_sb(inode->i_sb)->cred);
	int err = filemap_write_and_wait(inode->i_mapping);
	int meta_err = ecfs_meta_store(inode, false);

	revert_creds(old);
	return err ?: meta_err;
}

/*
 * The last user brings the lower file up to date and closes it. Where that failed the file stays
 * open, for writeback to try again, until the inode goes.
 */
void ecfs_file_put(struct inode *inode)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	bool last;

	mutex_lock(&ei->meta_lock);
	last = !--ei->n_open;
	mutex_unlock(&ei->meta_lock);
	if (!last)
		return;
	ecfs_write_back(inode);
	mutex_lock(&ei->meta_lock);
	if (!ei->n_open && (is_settled(inode) || !inode->i_nlink))
		set_lower_file(ei, NULL);
	mutex_unlock(&ei->meta_lock);
}

static int file_open(struct inode *inode, struct file *file)
{
	int err;

	if ((file->f_mode & FMODE_WRITE) && ecfs_opt(inode->i_sb, ECFS_OPT_ENCRYPTED_VIEW))
		return -EROFS;
	err = ecfs_file_get(inode, file_dentry(file), file->f_mode & FMODE_WRITE);
	if (err)
		return err;
	/* O_DIRECT is served through the page cache. */
	file->f_mode |= FMODE_CAN_ODIRECT;
	return 0;
}

static int file_release(struct inode *inode, struct file *file)
{
	ecfs_file_put(inode);
	return 0;
}

/*
 * A network filesystem, or FUSE, sends at close() what it has, and hears then of a full disk. ext4 and
 * its like begin to write what replaces the content of a file that was cut to nothing: here it was
 * cut to a header, which they do not recognise.
 */
static int flush_lower(struct inode *inode, fl_owner_t id)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	struct file *lower = ecfs_lower_file(ei);
	const struct cred *old;
	int err = 0;

	if (!lower)
		return 0;
	if (test_and_clear_bit(ECFS_I_EMPTIED, &ei->flags))
		filemap_flush(lower->f_mapping);
	if (lower->f_op->flush) {
		old = override_creds(ecfs_sb(inode->i_sb)->cred);
		err = lower->f_op->flush(lower, id);
		revert_creds(old);
	}
	fput(lower);
	return err;
}

/* close(): the last moment at which an error finds somebody who listens. */
static int file_flush(struct file *file, fl_owner_t id)
{
	struct inode *inode = file_inode(file);
	int err, lower_err;

	if (!(file->f_mode & FMODE_WRITE) || !inode->i_nlink)
		return 0;
	err = ecfs_write_back(inode);
	lower_err = flush_lower(inode, id);
	return err ?: lower_err;
}

static int check_locked(const struct inode *inode)
{
	if (READ_ONCE(ecfs_sb(inode->i_sb)->locked) && ecfs_i(inode)->kind == ECFS_KIND_CRYPT)
		return -ENOKEY;
	return 0;
}

/* An immutable file: below, a write is refused now, and what waited in memory would be later. */
static int check_writable(const struct inode *inode)
{
	int err = check_locked(inode);

	return !err && IS_IMMUTABLE(inode) ? -EPERM : err;
}

static ssize_t read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	int err = check_locked(file_inode(iocb->ki_filp));

	if (err)
		return err;
	iocb->ki_flags &= ~IOCB_DIRECT;
	return generic_file_read_iter(iocb, to);
}

/* The lower filesystem has room for so much and no more: a short count tells that. */
static bool is_full(int err)
{
	return err == -ENOSPC || err == -EDQUOT || err == -EFBIG;
}

/* What finds no room below is taken back, and after any other error all that is new. */
static ssize_t write_piece(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	loff_t keep = i_size_read(inode), start = iocb->ki_pos, end;
	ssize_t len = __generic_file_write_iter(iocb, from);
	int err;

	if (len <= 0)
		return len;
	end = iocb->ki_pos;
	err = ecfs_back(inode, end);
	if (!err)
		return len;
	if (is_full(err))
		keep = max(keep, min(end, ecfs_i(inode)->backed));
	if (keep < i_size_read(inode) && ecfs_truncate(inode, keep))
		ecfs_warn(inode, "cannot take back a write");
	iocb->ki_pos = start;
	if (!is_full(err) || keep <= start)
		return err;
	iocb->ki_pos = min(end, keep);
	return iocb->ki_pos - start;
}

/*
 * New extents are put below piece by piece, lest a large write fills memory with what only we may
 * write back.
 */
static ssize_t write_pieces(struct kiocb *iocb, struct iov_iter *from)
{
	size_t rest, want;
	ssize_t len, done = 0;

	do {
		rest = iov_iter_count(from);
		want = min_t(size_t, rest, ECFS_PIECE_LEN - offset_in_page(iocb->ki_pos));
		iov_iter_truncate(from, want);
		len = write_piece(iocb, from);
		iov_iter_reexpand(from, rest - (want - iov_iter_count(from)));
		if (len > 0)
			done += len;
	} while (len == want && iov_iter_count(from));
	return done ?: len;
}

static ssize_t write_locked(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	loff_t old_size = i_size_read(inode);
	ssize_t len;
	int err;

	err = check_writable(inode);
	if (err)
		return err;
	len = generic_write_checks(iocb, from);
	if (len <= 0)
		return len;
	/* Nothing is written behind a gap, which a lower file that was cut short has. */
	if (iocb->ki_pos > old_size)
		err = ecfs_grow(inode, iocb->ki_pos);
	else
		err = ecfs_back(inode, iocb->ki_pos);
	if (err)
		return err;
	len = write_pieces(iocb, from);
	if (len <= 0 && i_size_read(inode) > old_size)
		ecfs_truncate(inode, old_size);
	return len;
}

static ssize_t write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t len;

	/* io_uring tries O_DIRECT so at first; on this answer it has a worker do it. */
	if (iocb->ki_flags & IOCB_NOWAIT)
		return -EAGAIN;
	iocb->ki_flags &= ~IOCB_DIRECT;
	inode_lock(inode);
	len = write_locked(iocb, from);
	inode_unlock(inode);
	if (len > 0)
		len = generic_write_sync(iocb, len);
	return len;
}

static int file_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	struct inode *inode = file_inode(file);
	const struct cred *old = override_creds(ecfs_sb(inode->i_sb)->cred);
	struct file *lower;
	int err, lower_err, put_back;

	/* To the lower file its xattr is no data, but to us the size stands there. */
	if (ecfs_i(inode)->place == ECFMT_PLACE_XATTR)
		datasync = 0;

	/* What others had under writeback may have failed and be dirty again: now it is our turn. */
	do {
		put_back = atomic_read(&ecfs_i(inode)->put_back);
		err = file_write_and_wait_range(file, start, end);
	} while (!err && atomic_read(&ecfs_i(inode)->put_back) != put_back);
	lower_err = ecfs_meta_store(inode, true);
	lower = ecfs_lower_file(ecfs_i(inode));
	if (lower) {
		if (!lower_err)
			lower_err = vfs_fsync_range(lower, 0, LLONG_MAX, datasync);
		fput(lower);
	}
	revert_creds(old);
	if (lower_err) {
		/* The lower file tells only once: every handle here is to hear of it. */
		mapping_set_error(inode->i_mapping, lower_err);
		lower_err = file_check_and_advance_wb_err(file) ?: lower_err;
	}
	return err ?: lower_err;
}

/*
 * New extents for a mapping exist already: a mapped file does not grow. An immutable one is not written
 * to by who mapped it before.
 */
static vm_fault_t page_mkwrite(struct vm_fault *vmf)
{
	struct inode *inode = file_inode(vmf->vma->vm_file);
	vm_fault_t ret = VM_FAULT_SIGBUS;

	/* Against ecfs_lock() and chattr +i, which flush for the last time under it. */
	filemap_invalidate_lock_shared(inode->i_mapping);
	if (!check_writable(inode))
		ret = filemap_page_mkwrite(vmf);
	filemap_invalidate_unlock_shared(inode->i_mapping);
	return ret;
}

static const struct vm_operations_struct file_vm_ops = {
	.fault		= filemap_fault,
	.map_pages	= filemap_map_pages,
	.page_mkwrite	= page_mkwrite,
};

static int file_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct file *lower = ecfs_lower_file(ecfs_i(file_inode(file)));
	bool can = lower && ecfs_can_mmap(lower);

	if (lower)
		fput(lower);
	if (!can)
		return -ENODEV;
	file_accessed(file);
	vma->vm_ops = &file_vm_ops;
	return 0;
}

/* Blocks for a file that may grow: the lower filesystem keeps them behind its end of file. */
static int reserve_below(struct inode *inode, loff_t offset, loff_t len)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	loff_t from = max(round_down(offset, ECFMT_EXTENT_LEN), ei->backed);
	loff_t to = round_up(offset + len, ECFMT_EXTENT_LEN);
	struct file *lower;
	int err;

	if (to <= from)
		return 0;
	lower = ecfs_lower_file(ei);
	if (!lower)
		return -EIO;
	set_bit(ECFS_I_RESERVED, &ei->flags);
	err = vfs_fallocate(lower, FALLOC_FL_KEEP_SIZE, ei->header_len + from, to - from);
	fput(lower);
	return err;
}

static int fallocate_locked(struct inode *inode, int mode, loff_t offset, loff_t len)
{
	loff_t size = i_size_read(inode), end = offset + len;
	bool keep_size = mode & FALLOC_FL_KEEP_SIZE;
	int err = 0;

	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		err = ecfs_zero_range(inode, offset, min(end, size));
	if (err)
		return err;
	if (!keep_size && end > size)
		return ecfs_grow(inode, end);
	if (mode == FALLOC_FL_KEEP_SIZE)
		return reserve_below(inode, offset, len);
	return 0;
}

/*
 * The format has no holes: every byte of a file has its place below as soon as it is written, so
 * allocating is growing, and punching a hole writes zeros.
 */
static long file_fallocate(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct inode *inode = file_inode(file);
	int err;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	inode_lock(inode);
	err = check_writable(inode);	/* it may have become so since the VFS looked */
	if (!err && ecfs_i(inode)->kind != ECFS_KIND_CRYPT)
		err = -EOPNOTSUPP;
	if (!err && !(mode & FALLOC_FL_KEEP_SIZE))
		err = inode_newsize_ok(inode, offset + len);
	if (!err)
		err = file_modified(file);
	/* Behind the end there is nothing to punch. */
	if (!err && !((mode & FALLOC_FL_PUNCH_HOLE) && offset >= i_size_read(inode)))
		err = fallocate_locked(inode, mode, offset, len);
	inode_unlock(inode);
	return err;
}

const struct file_operations ecfs_file_fops = {
	.llseek		= generic_file_llseek,
	.read_iter	= read_iter,
	.write_iter	= write_iter,
	.open		= file_open,
	.release	= file_release,
	.flush		= file_flush,
	.fsync		= file_fsync,
	.mmap		= file_mmap,
	.splice_read	= filemap_splice_read,
	.splice_write	= iter_file_splice_write,
	.fallocate	= file_fallocate,
	.setlease	= generic_setlease,
};

/*
 * Directories: private_data is the lower directory, open.
 */

static int dir_open(struct inode *inode, struct file *file)
{
	struct file *lower;

	lower = ecfs_lower_open(ecfs_sb(inode->i_sb), ecfs_lower_dentry(file_dentry(file)),
				O_RDONLY | O_DIRECTORY);
	if (IS_ERR(lower))
		return PTR_ERR(lower);
	file->private_data = lower;
	return 0;
}

static int dir_release(struct inode *inode, struct file *file)
{
	fput(file->private_data);
	return 0;
}

static loff_t dir_llseek(struct file *file, loff_t offset, int whence)
{
	struct file *lower = file->private_data;
	loff_t pos = vfs_llseek(lower, offset, whence);

	if (pos >= 0)
		file->f_pos = pos;
	return pos;
}

static int dir_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	return vfs_fsync_range(file->private_data, start, end, datasync);
}

struct listing {
	struct dir_context ctx;
	struct dir_context *caller;
	struct inode *dir;
	int err;
};

/* False ends the listing. */
static bool list_one(struct dir_context *ctx, const char *lower_name, int lower_len,
		     loff_t offset, u64 ino, unsigned int type)
{
	struct listing *listing = container_of(ctx, struct listing, ctx);
	struct ecfs_sb *sbi = ecfs_sb(listing->dir->i_sb);
	size_t len;
	char *name;
	bool more;

	/* Not ctx.pos: overlayfs has that in a context of its own until its listing ends. */
	listing->caller->pos = offset;
	if ((lower_len == 1 && lower_name[0] == '.') ||
	    (lower_len == 2 && !memcmp(lower_name, "..", 2)))
		return dir_emit(listing->caller, lower_name, lower_len, ino, type);

	listing->err = ecfs_name_decode(sbi, lower_name, lower_len, true, &name, &len);
	if (listing->err == -EBADMSG) {	/* not ours: could not be looked up either */
		listing->err = 0;
		return true;
	}
	if (listing->err)
		return false;
	more = ecfs_name_reserved(listing->dir, name, len) ||
	       dir_emit(listing->caller, name, len, ino, type);
	kfree(name);
	return more;
}

static int dir_iterate(struct file *file, struct dir_context *ctx)
{
	struct inode *inode = file_inode(file);
	struct file *lower = file->private_data;
	struct listing listing = {
		.ctx = { .actor = list_one, },
		.caller = ctx,
		.dir = inode,
	};
	int err;

#ifdef ECFS_HAVE_DIR_CONTEXT_COUNT
	listing.ctx.count = ctx->count;
	listing.ctx.dt_flags_mask = ctx->dt_flags_mask;
#endif
	lower->f_pos = ctx->pos;
	err = iterate_dir(lower, &listing.ctx);
	if (!err && !listing.err)
		ctx->pos = listing.ctx.pos;
	return err ?: listing.err;
}

static long dir_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct super_block *sb = file_inode(file)->i_sb;

	if (cmd != ECFS_IOC_LOCK)
		return -ENOTTY;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (file_dentry(file) != sb->s_root)
		return -EINVAL;
	return ecfs_lock(sb);
}

const struct file_operations ecfs_dir_fops = {
	.open		= dir_open,
	.release	= dir_release,
	.llseek		= dir_llseek,
	.read		= generic_read_dir,
	.iterate_shared	= dir_iterate,
	.fsync		= dir_fsync,
	.unlocked_ioctl	= dir_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};
