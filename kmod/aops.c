// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page cache of the upper file holds plaintext. Folios are read and written in runs: one
 * request to the lower file for up to ECFS_BATCH_FOLIOS of them, one request structure for the
 * cipher. Large folios are not enabled: a folio is a page here, of one or more extents.
 */
#include "kmod/lower.h"

#include <crypto/skcipher.h>
#include <linux/bvec.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

/* Folios under writeback, contiguous in the file, and their ciphertext. */
struct ecfs_batch {
	struct folio *folios[ECFS_BATCH_FOLIOS];
	struct page *bounce[ECFS_BATCH_FOLIOS];
	struct bio_vec bvec[ECFS_BATCH_FOLIOS];
	unsigned int n;
	loff_t pos;		/* of the first one, in the upper file */
	size_t len;		/* bytes to write */
};

void *ecfs_batch_alloc(gfp_t gfp, void *unused)
{
	struct ecfs_batch *batch = kzalloc(sizeof(*batch), gfp);
	unsigned int i;

	if (!batch)
		return NULL;
	for (i = 0; i < ECFS_BATCH_FOLIOS; i++) {
		batch->bounce[i] = alloc_page(gfp);
		if (!batch->bounce[i]) {
			ecfs_batch_free(batch, NULL);
			return NULL;
		}
	}
	return batch;
}

/* The bounce pages hold ciphertext, or what passthrough files show anyway: nothing to wipe. */
void ecfs_batch_free(void *element, void *unused)
{
	struct ecfs_batch *batch = element;
	unsigned int i;

	for (i = 0; i < ECFS_BATCH_FOLIOS; i++)
		if (batch->bounce[i])
			__free_page(batch->bounce[i]);
	kfree(batch);
}

static bool is_raw(const struct ecfs_inode *ei)
{
	return ei->kind == ECFS_KIND_RAW || ei->kind == ECFS_KIND_VIEW_XATTR;
}

/* Bytes from @pos to the end of what the lower file must hold for an upper file of @size. */
static loff_t bytes_below(const struct ecfs_inode *ei, loff_t size, loff_t pos)
{
	loff_t end = is_raw(ei) ? size : round_up(size, ECFMT_EXTENT_LEN);

	return end > pos ? end - pos : 0;
}

/*
 * Reading
 */

static int decrypt_folio(struct inode *inode, struct folio *folio, struct skcipher_request *req,
			 size_t len)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	struct page *page = folio_page(folio, 0);
	u64 index = folio_pos(folio) / ECFMT_EXTENT_LEN;
	size_t off;
	int err = 0;

	for (off = 0; !err && off < len; off += ECFMT_EXTENT_LEN, index++) {
		void *addr = kmap_local_folio(folio, off);
		bool hole = !memchr_inv(addr, 0, ECFMT_EXTENT_LEN);

		kunmap_local(addr);
		if (hole) {	/* no cipher writes this: damage, which must not pass for data */
			ecfs_warn_once(inode, "extent %llu is a hole below", index);
			return -EIO;
		}
		err = ecfs_crypt_extent(ecfs_sb(inode->i_sb), ei->fek, req, index, page, page,
					off, false);
	}
	return err;
}

/* @got: bytes of this folio that the lower file had; @want: that it should have had. */
static int finish_read(struct inode *inode, struct folio *folio, struct skcipher_request *req,
		       size_t want, size_t got, loff_t size)
{
	loff_t valid = clamp_t(loff_t, size - folio_pos(folio), 0, folio_size(folio));
	int err;

	if (req) {
		if (got < want) {
			ecfs_warn_once(inode, "lower file is too short for its size");
			return -EIO;
		}
		err = decrypt_folio(inode, folio, req, want);
		if (err)
			return err;
	} else {
		valid = min_t(loff_t, valid, got);	/* passthrough: a hole at the end */
	}
	folio_zero_range(folio, valid, folio_size(folio) - valid);
	flush_dcache_folio(folio);
	folio_mark_uptodate(folio);
	return 0;
}

static struct skcipher_request *new_request(struct ecfs_fek *fek)
{
	struct skcipher_request *req = skcipher_request_alloc(fek->tfm, GFP_NOFS);

	return req ?: ERR_PTR(-ENOMEM);
}

/*
 * Fills @n locked folios, contiguous in the file, and unlocks those that are read ahead. @bvec
 * describes them. Returns the error of the last one.
 */
static int read_run(struct inode *inode, struct folio **folios, struct bio_vec *bvec,
		    unsigned int n, loff_t shift)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	loff_t size = i_size_read(inode), pos = folio_pos(folios[0]);
	size_t want = min_t(loff_t, bytes_below(ei, size, pos), (loff_t)n * PAGE_SIZE), got = 0;
	struct skcipher_request *req = NULL;
	struct iov_iter iter;
	struct file *file;
	unsigned int i;
	int err = 0;

	file = ecfs_lower_file(ei);
	if (!file)
		return -EIO;
	down_read(&ei->key_sem);
	if (!is_raw(ei) && want) {
		if (!ei->fek) {
			err = -ENOKEY;
			goto out;
		}
		req = new_request(ei->fek);
		if (IS_ERR(req)) {
			err = PTR_ERR(req);
			req = NULL;
			goto out;
		}
	}
	if (want) {
		iov_iter_bvec(&iter, ITER_DEST, bvec, n, want);
		err = ecfs_lower_read(file, &iter, pos + shift, &got);
		if (err)
			goto out;
	}
	for (i = 0; i < n; i++) {
		size_t off = (size_t)i * PAGE_SIZE;

		err = finish_read(inode, folios[i], req,
				  want > off ? min_t(size_t, want - off, PAGE_SIZE) : 0,
				  got > off ? min_t(size_t, got - off, PAGE_SIZE) : 0, size);
	}
out:
	up_read(&ei->key_sem);
	skcipher_request_free(req);
	fput(file);
	return err;
}

/* Encrypted view of a file with its metadata in the xattr: what its header would be. */
static void fill_view_header(struct ecfs_inode *ei, struct folio *folio)
{
	size_t off = folio_pos(folio);
	u8 fixed[6] = { 0, 0, ECFMT_EXTENT_LEN >> 8, 0, 0, 2 };
	size_t len = off ? 0 : min_t(size_t, ei->xattr_len, PAGE_SIZE);
	u8 flags;

	folio_zero_range(folio, 0, folio_size(folio));
	if (len > ECFMT_HEADER_FIXED_LEN) {
		flags = ei->xattr[19] & ~ECFMT_FLAG_IN_XATTR;
		memcpy_to_page(folio_page(folio, 0), 0, ei->xattr, len);
		memcpy_to_page(folio_page(folio, 0), 19, &flags, 1);
		memcpy_to_page(folio_page(folio, 0), 20, fixed, sizeof(fixed));
	}
	folio_mark_uptodate(folio);
}

/* Where upper bytes stand below; folios of a synthetic header are filled by the caller. */
static loff_t lower_shift(const struct ecfs_inode *ei)
{
	if (ei->kind == ECFS_KIND_VIEW_XATTR)
		return -(loff_t)ECFMT_HEADER_LEN_MIN;
	return ei->header_len;
}

/* The folio stays locked. */
static int read_one(struct inode *inode, struct folio *folio)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	struct bio_vec bvec = {
		.bv_page = folio_page(folio, 0), .bv_len = PAGE_SIZE, .bv_offset = 0,
	};

	if (ei->kind == ECFS_KIND_VIEW_XATTR && folio_pos(folio) < ECFMT_HEADER_LEN_MIN) {
		fill_view_header(ei, folio);
		return 0;
	}
	return read_run(inode, &folio, &bvec, 1, lower_shift(ei));
}

static int read_folio(struct file *file, struct folio *folio)
{
	int err = read_one(folio->mapping->host, folio);

	folio_unlock(folio);
	return err;
}

/* Errors are left to read_folio(), which meets them again when the folio is wanted. */
static void read_ahead(struct readahead_control *rac)
{
	struct inode *inode = rac->mapping->host;
	struct ecfs_inode *ei = ecfs_i(inode);
	struct folio *folios[ECFS_BATCH_FOLIOS], *folio;
	struct bio_vec *bvec;
	unsigned int n, i;

	if (ei->kind == ECFS_KIND_VIEW_XATTR)
		return;		/* a debugging aid: page by page will do */
	bvec = kmalloc_array(ECFS_BATCH_FOLIOS, sizeof(*bvec), GFP_NOFS);
	if (!bvec)
		return;
	do {
		for (n = 0; n < ECFS_BATCH_FOLIOS; n++) {
			folio = readahead_folio(rac);
			if (!folio)
				break;
			folios[n] = folio;
			bvec[n] = (struct bio_vec){ .bv_page = folio_page(folio, 0),
						    .bv_len = PAGE_SIZE };
		}
		if (!n)
			break;
		read_run(inode, folios, bvec, n, lower_shift(ei));
		for (i = 0; i < n; i++)
			folio_unlock(folios[i]);
	} while (n == ECFS_BATCH_FOLIOS);
	kfree(bvec);
}

/*
 * Writing back
 */

struct writeback {
	struct inode *inode;
	struct file *file;
	struct ecfs_batch *batch;
	struct skcipher_request *req;	/* NULL until the first folio needs it */
	bool for_sync;			/* of the whole filesystem */
	int err;			/* the first one */
};

/* What another try may cure stays dirty; the rest is lost and reported, as everywhere. */
static bool may_pass(int err)
{
	return err == -ENOSPC || err == -EDQUOT || err == -ENOMEM || err == -EINTR ||
	       err == -EAGAIN || err == -ERESTARTSYS;
}

static bool is_grower(const struct ecfs_inode *ei)
{
	return READ_ONCE(ei->grower) == current;
}

/*
 * What stays dirty is not lost: whoever syncs the file next tries again and meets the error. Only
 * syncfs() has no other way to hear of it than the superblock.
 */
static void note_error(struct writeback *wb, int err)
{
	wb->err = wb->err ?: err;
	if (!may_pass(err))
		mapping_set_error(wb->inode->i_mapping, err);
	else if (wb->for_sync)
		errseq_set(&wb->inode->i_sb->s_wb_err, err);
}

/* The grower has written up to @end, or as far as the lower file goes. */
static void advance_backed(struct ecfs_inode *ei, loff_t end, bool whole)
{
	end = min(end, i_size_read(ei->lower) - ei->header_len);
	/* The last bytes of a passthrough file are no whole extent. */
	end = whole ? round_up(end, ECFMT_EXTENT_LEN) : round_down(end, ECFMT_EXTENT_LEN);
	if (end > ei->backed)
		WRITE_ONCE(ei->backed, end);
}

/*
 * Cut short behind us: a write behind the end would leave a hole, which is damage. Of a header only
 * the first block has anything but zeros, so a crash may have taken the others.
 */
static bool is_behind_end(const struct ecfs_inode *ei, loff_t pos)
{
	loff_t lower_len = i_size_read(ei->lower);

	return pos ? pos + ei->header_len > lower_len :
		     lower_len < min_t(loff_t, ei->header_len, ECFMT_EXTENT_LEN);
}

static int flush_batch(struct writeback *wb)
{
	struct ecfs_batch *batch = wb->batch;
	struct ecfs_inode *ei = ecfs_i(wb->inode);
	struct iov_iter iter;
	unsigned int i;
	int err;

	if (!batch->n)
		return 0;
	iov_iter_bvec(&iter, ITER_SOURCE, batch->bvec, batch->n, batch->len);
	if (!is_raw(ei) && is_behind_end(ei, batch->pos))
		err = -EIO;
	else
		err = ecfs_lower_write(wb->file, &iter, batch->pos + ei->header_len);
	set_bit(ECFS_I_TIMES, &ei->flags);
	if (is_grower(ei))
		advance_backed(ei, batch->pos + batch->len - iov_iter_count(&iter),
			       !err && is_raw(ei));
	if (err)
		note_error(wb, err);
	if (err && may_pass(err))
		atomic_inc(&ei->put_back);
	for (i = 0; i < batch->n; i++) {
		/* Under writeback a truncation waits for us: the folio is still the file's. */
		if (err && may_pass(err))
			filemap_dirty_folio(wb->inode->i_mapping, batch->folios[i]);
		folio_end_writeback(batch->folios[i]);
	}
	batch->n = 0;
	batch->len = 0;
	return err;
}

static int encrypt_folio(struct writeback *wb, struct folio *folio, struct page *bounce,
			 size_t len)
{
	struct ecfs_inode *ei = ecfs_i(wb->inode);
	u64 index = folio_pos(folio) / ECFMT_EXTENT_LEN;
	struct skcipher_request *req;
	size_t off;
	int err = 0;

	if (is_raw(ei)) {
		void *addr = kmap_local_folio(folio, 0);

		memcpy_to_page(bounce, 0, addr, len);
		kunmap_local(addr);
		return 0;
	}
	down_read(&ei->key_sem);
	if (!ei->fek) {
		err = -ENOKEY;
		goto out;
	}
	if (!wb->req) {
		req = new_request(ei->fek);
		if (IS_ERR(req)) {
			err = PTR_ERR(req);
			goto out;
		}
		wb->req = req;
	}
	for (off = 0; !err && off < len; off += ECFMT_EXTENT_LEN, index++)
		err = ecfs_crypt_extent(ecfs_sb(wb->inode->i_sb), ei->fek, wb->req, index,
					folio_page(folio, 0), bounce, off, true);
out:
	up_read(&ei->key_sem);
	return err;
}

/*
 * Nothing is written behind a failed write: it would leave a hole below. A folio that was not
 * @tried has its turn another time, whatever befell those in front of it.
 */
static int give_back(struct writeback *wb, struct writeback_control *wbc, struct folio *folio,
		     int err, bool tried)
{
	note_error(wb, err);
	if (!tried || may_pass(err))
		folio_redirty_for_writepage(wbc, folio);
	folio_unlock(folio);
	return err;
}

/* New extents are the grower's to write, and none behind a gap: see ecfs_inode.backed. */
static bool is_ahead(const struct writeback *wb, loff_t pos, size_t len)
{
	const struct ecfs_inode *ei = ecfs_i(wb->inode);
	loff_t backed = READ_ONCE(ei->backed);

	if (pos + (loff_t)len <= backed)
		return false;
	return !is_grower(ei) || (!wb->batch->n && pos > backed);
}

static int write_folio(struct folio *folio, struct writeback_control *wbc, void *data)
{
	struct writeback *wb = data;
	struct ecfs_batch *batch = wb->batch;
	struct ecfs_inode *ei = ecfs_i(wb->inode);
	loff_t size = i_size_read(wb->inode), pos = folio_pos(folio);
	size_t len;
	int err;

	if (wb->err)
		return give_back(wb, wbc, folio, wb->err, false);
	if (folio_size(folio) > PAGE_SIZE) {	/* see drop_huge(): none is ever dirty */
		pr_err_once("a large folio is to be written\n");
		return give_back(wb, wbc, folio, -EIO, false);
	}
	if (pos >= size) {	/* cut off meanwhile */
		folio_unlock(folio);
		return 0;
	}
	/* What a mapping left behind the end of the file must not get below. */
	if (size - pos < folio_size(folio))
		folio_zero_range(folio, size - pos, folio_size(folio) - (size - pos));
	len = min_t(loff_t, bytes_below(ei, size, pos), folio_size(folio));
	if (batch->n == ECFS_BATCH_FOLIOS || (batch->n && batch->pos + batch->len != pos)) {
		err = flush_batch(wb);
		if (err)
			return give_back(wb, wbc, folio, err, false);
	}
	if (is_ahead(wb, pos, len)) {
		folio_redirty_for_writepage(wbc, folio);
		folio_unlock(folio);
		return 0;
	}
	err = encrypt_folio(wb, folio, batch->bounce[batch->n], len);
	if (err)
		return give_back(wb, wbc, folio, err, true);
	folio_start_writeback(folio);
	folio_unlock(folio);
	if (!batch->n)
		batch->pos = pos;
	batch->folios[batch->n] = folio;
	batch->bvec[batch->n] = (struct bio_vec){ .bv_page = batch->bounce[batch->n],
						  .bv_len = len };
	batch->n++;
	batch->len += len;
	return 0;
}

static int writepages(struct address_space *mapping, struct writeback_control *wbc)
{
	struct inode *inode = mapping->host;
	struct ecfs_sb *sbi = ecfs_sb(inode->i_sb);
	struct writeback wb = { .inode = inode, .for_sync = wbc->for_sync };
	const struct cred *old = NULL;
	unsigned int nofs, throttle;
	int err;

	wb.file = ecfs_lower_file(ecfs_i(inode));
	if (!wb.file)		/* no open file, so nothing can be dirty */
		return 0;
	/*
	 * We clean memory: reclaim must not come back to us, and the lower filesystem must not
	 * make us wait for its own writeback as if we were dirtying ever more.
	 */
	nofs = memalloc_nofs_save();
	throttle = current->flags & PF_LOCAL_THROTTLE;
	current->flags |= PF_LOCAL_THROTTLE;
	wb.batch = mempool_alloc(sbi->batches, GFP_NOFS);

	/*
	 * Whoever happens to clean a folio (fadvise, sync_file_range) must not cost the lower file
	 * its set-id bits. Growing is the writer's, whose right to the last blocks counts.
	 */
	if (!is_grower(ecfs_i(inode)))
		old = override_creds(sbi->cred);
	err = ecfs_writeback_walk(mapping, wbc, write_folio, &wb);
	flush_batch(&wb);
	if (old)
		revert_creds(old);

	skcipher_request_free(wb.req);
	mempool_free(wb.batch, sbi->batches);
	if (!throttle)
		current->flags &= ~PF_LOCAL_THROTTLE;
	memalloc_nofs_restore(nofs);
	fput(wb.file);
	return err ?: wb.err;
}

/*
 * Writing into the cache
 */

/* @len bytes from @pos will be overwritten; all else of the folio becomes valid. */
static int prepare_folio(struct inode *inode, struct folio *folio, loff_t pos, size_t len)
{
	if (folio_test_uptodate(folio) || len == folio_size(folio))
		return 0;
	if (folio_pos(folio) < i_size_read(inode))
		return read_one(inode, folio);
	folio_zero_range(folio, 0, folio_size(folio));
	folio_mark_uptodate(folio);
	return 0;
}

/* Has writeback store the size as well, whatever happens to the times. */
static void set_longer(struct inode *inode, loff_t size)
{
	i_size_write(inode, size);
	mark_inode_dirty_sync(inode);
}

static int write_begin(ECFS_WRITE_BEGIN_ARGS)
{
	struct folio *folio;
	int err;

	err = ecfs_folio_grab(mapping, pos >> PAGE_SHIFT, &folio);
	if (err)
		return err;
	err = prepare_folio(mapping->host, folio, pos, len);
	if (err) {
		folio_unlock(folio);
		folio_put(folio);
		return err;
	}
	ECFS_RETURN_FOLIO(folio);
	return 0;
}

static int write_end(ECFS_WRITE_END_ARGS)
{
	ECFS_TAKE_FOLIO()
	struct inode *inode = mapping->host;

	if (!folio_test_uptodate(folio)) {
		if (copied < len)
			copied = 0;	/* the rest is not valid: try again with less */
		else
			folio_mark_uptodate(folio);
	}
	if (copied) {
		/*
		 * Dirty first: who stores the new size flushes what it promises. Both before the
		 * folio is unlocked: writeback drops what is behind the end.
		 */
		folio_mark_dirty(folio);
		if (pos + copied > i_size_read(inode))
			set_longer(inode, pos + copied);
	}
	folio_unlock(folio);
	folio_put(folio);
	return copied;
}

/* Zeros from @pos to @end, within one folio; the file becomes at least @end bytes long. */
static int zero_in_folio(struct inode *inode, loff_t pos, loff_t end)
{
	struct folio *folio;
	size_t off;
	int err;

	err = ecfs_folio_grab(inode->i_mapping, pos >> PAGE_SHIFT, &folio);
	if (err)
		return err;
	off = offset_in_folio(folio, pos);
	err = prepare_folio(inode, folio, pos, end - pos);
	if (err)
		goto out;
	folio_zero_range(folio, off, end - pos);
	folio_mark_uptodate(folio);
	folio_mark_dirty(folio);	/* before the size, as in write_end() */
	if (end > i_size_read(inode))
		set_longer(inode, end);
out:
	folio_unlock(folio);
	folio_put(folio);
	return err;
}

/**
 * ecfs_zero_range() - zeros into part of a file
 * @inode:	regular, format 3
 * @from:	first byte
 * @to:		byte behind the last; a file that is shorter grows up to it, without a gap if
 *		@from is not behind its end
 *
 * The format has no holes, so zeros are written. New extents are put below every
 * ECFS_PIECE_LEN, and at the end.
 *
 * Context: inode_lock held.
 * Return: 0, -EINTR on a fatal signal, errors of reading and writing, those of ecfs_back().
 */
int ecfs_zero_range(struct inode *inode, loff_t from, loff_t to)
{
	loff_t pos = from, end;
	int err = from < to ? ecfs_back(inode, from) : 0;

	while (!err && pos < to) {
		if (fatal_signal_pending(current))
			return -EINTR;
		end = min_t(loff_t, to, round_down(pos, PAGE_SIZE) + PAGE_SIZE);
		err = zero_in_folio(inode, pos, end);
		if (err)
			return err;
		pos = end;
		if (pos == to || !(pos & (ECFS_PIECE_LEN - 1)))
			err = ecfs_back(inode, pos);
		balance_dirty_pages_ratelimited(inode->i_mapping);
		cond_resched();
	}
	return err;
}

/**
 * ecfs_zero_tail() - zeros from @size to the end of its page, where the file has bytes there
 * @inode:	regular, format 3
 * @size:	bytes
 *
 * Context: inode_lock held.
 */
int ecfs_zero_tail(struct inode *inode, loff_t size)
{
	loff_t end = min_t(loff_t, round_up(size, PAGE_SIZE), i_size_read(inode));

	return end > size ? zero_in_folio(inode, size, end) : 0;
}

/**
 * ecfs_back() - make sure that every extent up to some byte exists below
 * @inode:	regular; for passthrough the same, with its own bytes
 * @end:	bytes, not more than the file has
 *
 * Overwriting is delayed, growing is not: a full disk is the caller's error now, not a loss
 * later. Only extents that are new below are written here. Also after an error ecfs_inode.backed
 * says which exist.
 *
 * Context: inode_lock held.
 * Return: 0, errors of writing, -EIO if extents are missing that nobody has written: the lower
 * file was cut short, and a write behind its end would leave a hole.
 */
int ecfs_back(struct inode *inode, loff_t end)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	int err;

	end = round_up(end, ECFMT_EXTENT_LEN);
	if (end <= ei->backed)
		return 0;
	WRITE_ONCE(ei->grower, current);
	err = filemap_fdatawrite_range(inode->i_mapping, ei->backed, end - 1);
	WRITE_ONCE(ei->grower, NULL);
	/* A size that was stored meanwhile may lack what is below now. */
	mark_inode_dirty_sync(inode);
	if (!err && ei->backed < end)
		err = -EIO;
	return err;
}

/* Undoes a growth that failed. Its own errors come second. */
static void shrink_back(struct inode *inode, loff_t size)
{
	if (ecfs_truncate(inode, size))
		ecfs_warn(inode, "cannot go back to the old size");
}

/* Is a gap too long for the disk? */
static bool is_hopeless(struct inode *inode, loff_t size)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	loff_t gap = size - ei->backed;
	struct file *lower;
	bool lacks;

	if (gap < ECFS_LONG_GAP_LEN)
		return false;
	lower = ecfs_lower_file(ei);
	if (!lower)
		return false;
	lacks = ecfs_lower_lacks(lower, gap);
	fput(lower);
	return lacks;
}

/**
 * ecfs_grow() - zeros from the end of the file up to a new end
 * @inode:	regular, format 3
 * @size:	bytes, more than the file has
 *
 * Context: inode_lock held.
 * Return: 0, or an error with the file as long as it was.
 */
int ecfs_grow(struct inode *inode, loff_t size)
{
	loff_t old_size = i_size_read(inode);
	int err;

	if (is_hopeless(inode, size))
		return -ENOSPC;
	err = ecfs_zero_range(inode, old_size, size);
	if (err)
		shrink_back(inode, old_size);
	return err;
}

/* For FIBMAP: where the block lies that holds this one's ciphertext. */
static sector_t bmap_below(struct address_space *mapping, sector_t block)
{
	const struct ecfs_inode *ei = ecfs_i(mapping->host);
	sector_t below = block + (ei->header_len >> ei->lower->i_blkbits);

	if (filemap_write_and_wait(mapping) || bmap(ei->lower, &below))
		return 0;
	return below;
}

/* The kernel would write to those blocks past us: memory in clear, over ciphertext. */
static int no_swap(struct swap_info_struct *sis, struct file *file, sector_t *span)
{
	return -EINVAL;
}

const struct address_space_operations ecfs_aops = {
	.bmap		= bmap_below,
	.swap_activate	= no_swap,
	.read_folio	= read_folio,
	.readahead	= read_ahead,
	.writepages	= writepages,
	.write_begin	= write_begin,
	.write_end	= write_end,
	.dirty_folio	= filemap_dirty_folio,
	.migrate_folio	= filemap_migrate_folio,
};
