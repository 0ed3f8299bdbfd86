// SPDX-License-Identifier: GPL-2.0-only
/* Operations of fsx on the bytes of files: every way in and out that Linux has. */
#include "tests/fs/fsx.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

size_t fsx_pick_len(struct fsx *f)
{
	switch (fsx_below(f, 8)) {
	case 0: return fsx_below(f, 20);
	case 1: return f->io_len_max < 4096 ? f->io_len_max : 4096;
	default: return fsx_below(f, f->io_len_max + 1);
	}
}

off_t fsx_pick_offset(struct fsx *f)
{
	size_t offset = fsx_below(f, f->file_len_max);

	switch (fsx_below(f, 6)) {
	case 0: return offset & ~4095ul;
	case 1: return 0;
	case 2: return offset | 4095;
	default: return offset;
	}
}

off_t fsx_pick_offset_inside(struct fsx *f, const struct fsx_slot *slot)
{
	struct stat st;

	if (fsx_chance(f, 20) || fstat(slot->fd[FSX_ORACLE], &st) < 0)
		return fsx_pick_offset(f);
	return fsx_below(f, st.st_size + 100);
}

const uint8_t *fsx_pick_pattern(struct fsx *f)
{
	return f->pattern + fsx_below(f, 256);
}

const uint8_t *fsx_source_bytes(struct fsx *f, int side, const uint8_t *bytes, size_t len)
{
	if (!fsx_sabotage(f, side, FSX_BREAK_DATA) || len < 100 || len % 13)
		return bytes;
	memcpy(f->buf[side], bytes, len);
	f->buf[side][len / 2] ^= 1;
	return f->buf[side];
}

static void op_write(struct fsx *f)
{
	size_t len = fsx_pick_len(f);
	const uint8_t *bytes = fsx_pick_pattern(f);
	struct fsx_result result[FSX_N_SIDES];
	off_t offset = fsx_pick_offset(f);
	bool seek = !fsx_chance(f, 30);

	need_slot(slot, fsx_chance(f, 95) ? O_WRONLY : -1);
	fsx_note(f, "slot %td offset %lld%s len %zu", slot - f->slots, (long long)offset,
		 seek ? "" : " (here)", len);
	each_side(s) {
		off_t at = lseek(slot->fd[s], seek ? offset : 0, seek ? SEEK_SET : SEEK_CUR);

		/* do not let a file grow for ever */
		if (at > (off_t)f->file_len_max)
			lseek(slot->fd[s], 0, SEEK_SET);
		result[s] = fsx_result(write(slot->fd[s], fsx_source_bytes(f, s, bytes, len), len));
	}
	fsx_same(f, result);
	each_side(s)
		result[s] = fsx_result(lseek(slot->fd[s], 0, SEEK_CUR));
	if (result[FSX_SUT].ret != result[FSX_ORACLE].ret)
		fsx_differ(f, "position %ld instead of %ld", result[FSX_SUT].ret,
			   result[FSX_ORACLE].ret);
	fsx_compare_fd(f, slot);
}

static void op_read(struct fsx *f)
{
	size_t len = fsx_pick_len(f);
	struct fsx_result result[FSX_N_SIDES];
	bool seek = !fsx_chance(f, 30);

	need_slot(slot, fsx_chance(f, 95) ? O_RDONLY : -1);
	off_t offset = fsx_pick_offset_inside(f, slot);

	fsx_note(f, "slot %td offset %lld%s len %zu", slot - f->slots, (long long)offset,
		 seek ? "" : " (here)", len);
	each_side(s) {
		if (seek)
			lseek(slot->fd[s], offset, SEEK_SET);
		result[s] = fsx_result(read(slot->fd[s], f->buf[s], len));
	}
	fsx_same_bytes(f, result, result[0].ret > 0 ? result[0].ret : 0);
}

static void op_pwrite(struct fsx *f)
{
	size_t len = fsx_pick_len(f);
	const uint8_t *bytes = fsx_pick_pattern(f);
	struct fsx_result result[FSX_N_SIDES];
	off_t offset = fsx_pick_offset(f);

	need_slot(slot, fsx_chance(f, 95) ? O_WRONLY : -1);
	fsx_note(f, "slot %td offset %lld len %zu", slot - f->slots, (long long)offset, len);
	each_side(s)
		result[s] = fsx_result(pwrite(slot->fd[s], fsx_source_bytes(f, s, bytes, len), len, offset));
	fsx_same(f, result);
	fsx_compare_fd(f, slot);
}

static void op_pread(struct fsx *f)
{
	size_t len = fsx_pick_len(f);
	struct fsx_result result[FSX_N_SIDES];

	need_slot(slot, O_RDONLY);
	off_t offset = fsx_pick_offset_inside(f, slot);

	fsx_note(f, "slot %td offset %lld len %zu", slot - f->slots, (long long)offset, len);
	each_side(s)
		result[s] = fsx_result(pread(slot->fd[s], f->buf[s], len, offset));
	fsx_same_bytes(f, result, result[0].ret > 0 ? result[0].ret : 0);
}

/* Three pieces, the middle one possibly empty. */
static void cut(struct fsx *f, struct iovec iov[static 3], uint8_t *bytes, size_t len)
{
	size_t a = fsx_below(f, len + 1), b = fsx_chance(f, 20) ? 0 : fsx_below(f, len - a + 1);

	iov[0] = (struct iovec){ bytes, a };
	iov[1] = (struct iovec){ bytes + a, b };
	iov[2] = (struct iovec){ bytes + a + b, len - a - b };
}

/* The same three pieces in another buffer. */
static void rebase(struct iovec iov[static 3], uint8_t *bytes)
{
	for (int i = 0; i < 3; i++) {
		iov[i].iov_base = bytes;
		bytes += iov[i].iov_len;
	}
}

static void op_preadv2(struct fsx *f)
{
	static const int all_flags[] = { 0, 0, RWF_NOWAIT, RWF_HIPRI };
	int flags = all_flags[fsx_below(f, 4)];
	struct fsx_result result[FSX_N_SIDES];
	struct iovec iov[3];

	need_slot(slot, O_RDONLY);
	off_t offset = fsx_chance(f, 20) ? -1 : fsx_pick_offset_inside(f, slot);

	cut(f, iov, f->buf[0], fsx_pick_len(f));
	fsx_note(f, "slot %td offset %lld pieces %zu %zu %zu flags %#x", slot - f->slots,
		 (long long)offset, iov[0].iov_len, iov[1].iov_len, iov[2].iov_len, flags);
	each_side(s) {
		rebase(iov, f->buf[s]);
		if (offset < 0)
			lseek(slot->fd[s], 10, SEEK_SET);
		result[s] = fsx_result(preadv2(slot->fd[s], iov, 3, offset, s ? 0 : flags));
	}
	if (flags == RWF_NOWAIT) {
		each_side(s)
			lseek(slot->fd[s], 0, SEEK_SET);
		/* what is cached may be less: a prefix, or EAGAIN, is right */
		if (result[0].err == EAGAIN || result[0].err == EOPNOTSUPP) {
			f->n_refused++;
			return;
		}
		if (result[0].ret > 0 && result[0].ret < result[1].ret)
			result[1].ret = result[0].ret;
	}
	fsx_same_bytes(f, result, result[0].ret > 0 ? result[0].ret : 0);
}

static void op_pwritev2(struct fsx *f)
{
	static const int all_flags[] = { 0, 0, RWF_DSYNC, RWF_SYNC, RWF_APPEND };
	int flags = all_flags[fsx_below(f, 5)];
	struct fsx_result result[FSX_N_SIDES];
	struct iovec iov[3];
	const uint8_t *bytes = fsx_pick_pattern(f);
	off_t offset = fsx_chance(f, 20) ? -1 : fsx_pick_offset(f);
	struct stat st;

	need_slot(slot, O_WRONLY);
	if (flags == RWF_APPEND && (fstat(slot->fd[1], &st) < 0 || st.st_size > (off_t)f->file_len_max))
		flags = 0;
	cut(f, iov, f->buf[0], fsx_pick_len(f));
	fsx_note(f, "slot %td offset %lld pieces %zu %zu %zu flags %#x", slot - f->slots,
		 (long long)offset, iov[0].iov_len, iov[1].iov_len, iov[2].iov_len, flags);
	each_side(s) {
		rebase(iov, (uint8_t *)bytes);
		if (offset < 0)
			lseek(slot->fd[s], 100, SEEK_SET);
		result[s] = fsx_result(pwritev2(slot->fd[s], iov, 3, offset, flags));
	}
	fsx_same(f, result);
	fsx_compare_fd(f, slot);
}

static void op_readv(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	struct iovec iov[3];

	need_slot(slot, O_RDONLY);
	off_t offset = fsx_pick_offset_inside(f, slot);

	cut(f, iov, f->buf[0], fsx_pick_len(f));
	fsx_note(f, "slot %td offset %lld pieces %zu %zu %zu", slot - f->slots, (long long)offset,
		 iov[0].iov_len, iov[1].iov_len, iov[2].iov_len);
	each_side(s) {
		rebase(iov, f->buf[s]);
		lseek(slot->fd[s], offset, SEEK_SET);
		result[s] = fsx_result(readv(slot->fd[s], iov, 3));
	}
	fsx_same_bytes(f, result, result[0].ret > 0 ? result[0].ret : 0);
}

static void op_writev(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	struct iovec iov[3];
	const uint8_t *bytes = fsx_pick_pattern(f);
	off_t offset = fsx_pick_offset(f);

	need_slot(slot, O_WRONLY);
	cut(f, iov, f->buf[0], fsx_pick_len(f));
	fsx_note(f, "slot %td offset %lld pieces %zu %zu %zu", slot - f->slots, (long long)offset,
		 iov[0].iov_len, iov[1].iov_len, iov[2].iov_len);
	each_side(s) {
		rebase(iov, (uint8_t *)bytes);
		lseek(slot->fd[s], offset, SEEK_SET);
		result[s] = fsx_result(writev(slot->fd[s], iov, 3));
	}
	fsx_same(f, result);
	fsx_compare_fd(f, slot);
}

static void op_direct(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	bool aligned = fsx_chance(f, 60), writing = fsx_chance(f, 50);
	size_t len = fsx_pick_len(f), skew = aligned ? 0 : fsx_below(f, 512);
	off_t offset = fsx_pick_offset(f);
	const uint8_t *bytes = fsx_pick_pattern(f);

	need_slot(slot, O_RDWR);
	if (aligned) {
		len = (len + 4095) & ~4095ul;
		offset &= ~4095l;
	}
	fsx_note(f, "slot %td %s %s offset %lld len %zu skew %zu", slot - f->slots,
		 slot->flags & O_APPEND ? "append" : "", writing ? "write" : "read",
		 (long long)offset, len, skew);
	each_side(s) {
		int flags = fcntl(slot->fd[s], F_GETFL);

		/* the oracle stays buffered: alignment is no condition of the result */
		if (s == FSX_SUT) {
			result[s] = fsx_result(fcntl(slot->fd[s], F_SETFL, flags | O_DIRECT));
			if (result[s].err)
				fsx_differ(f, "O_DIRECT: %s", strerror(result[s].err));
		}
		memset(f->buf[s], 0, skew);
		memcpy(f->buf[s] + skew, bytes, len);
		if (writing)
			result[s] = fsx_result(pwrite(slot->fd[s], f->buf[s] + skew, len, offset));
		else
			result[s] = fsx_result(pread(slot->fd[s], f->buf[s] + skew, len, offset));
		fcntl(slot->fd[s], F_SETFL, flags & ~O_DIRECT);
		if (s == FSX_SUT && !aligned && result[s].err == EINVAL) {
			f->n_refused++;	/* may ask for alignment */
			return;
		}
	}
	fsx_same_bytes(f, result, !writing && result[0].ret > 0 ? skew + result[0].ret : 0);
	fsx_compare_fd(f, slot);
}

size_t fsx_mappable(const struct fsx_slot *slot, off_t offset, size_t len)
{
	struct stat st;

	if (fstat(slot->fd[FSX_ORACLE], &st) < 0 || offset >= st.st_size)
		return 0;
	return (off_t)len > st.st_size - offset ? (size_t)(st.st_size - offset) : len;
}

static void op_mmap_read(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	int kind = fsx_chance(f, 50) ? MAP_SHARED : MAP_PRIVATE;

	need_slot(slot, O_RDONLY);
	off_t offset = fsx_pick_offset_inside(f, slot) & ~4095l;
	size_t len = fsx_mappable(slot, offset, fsx_pick_len(f) + 1), room = (len + 4095) & ~4095ul;

	fsx_note(f, "slot %td offset %lld len %zu", slot - f->slots, (long long)offset, len);
	if (!len)
		return;
	each_side(s) {
		void *map = mmap(NULL, room, PROT_READ, kind, slot->fd[s], offset);

		result[s] = fsx_result(map == MAP_FAILED ? -1 : 0);
		if (map == MAP_FAILED)
			continue;
		/* to the end of the page: beyond the end of the file there must be zeros */
		memcpy(f->buf[s], map, room);
		munmap(map, room);
	}
	fsx_same_bytes(f, result, room);
}

static void op_mmap_write(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	const uint8_t *bytes = fsx_pick_pattern(f);
	int sync = fsx_below(f, 3);

	need_slot(slot, O_RDWR);
	off_t offset = fsx_pick_offset_inside(f, slot) & ~4095l;
	size_t len = fsx_mappable(slot, offset, fsx_pick_len(f) + 1), room = (len + 4095) & ~4095ul;
	size_t first = len ? fsx_below(f, len) : 0;

	fsx_note(f, "slot %td offset %lld bytes %zu to %zu, %s", slot - f->slots,
		 (long long)offset, first, len,
		 sync == 0 ? "MS_SYNC" : sync == 1 ? "MS_ASYNC" : "no msync");
	if (!len)
		return;
	each_side(s) {
		char *map = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_SHARED, slot->fd[s], offset);

		result[s] = fsx_result(map == MAP_FAILED ? -1 : 0);
		if (map == MAP_FAILED)
			continue;
		memcpy(map + first, bytes, len - first);
		if (fsx_sabotage(f, s, FSX_BREAK_DATA))
			map[first] ^= 4;
		if (sync < 2)
			result[s] = fsx_result(msync(map, room, sync ? MS_ASYNC : MS_SYNC));
		/* what the mapping took must be what a read gives, at once */
		if (pread(slot->fd[s], f->buf[s], len, offset) != (ssize_t)len)
			fsx_differ(f, "short read behind a mapping");
		munmap(map, room);
	}
	fsx_same_bytes(f, result, len);
	fsx_compare_fd(f, slot);
}

static void op_ftruncate(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	off_t size = fsx_chance(f, 10) ? 0 : fsx_pick_offset(f);

	need_slot(slot, fsx_chance(f, 90) ? O_WRONLY : -1);
	fsx_note(f, "slot %td to %lld", slot - f->slots, (long long)size);
	each_side(s)
		result[s] = fsx_result(ftruncate(slot->fd[s],
						 size + fsx_sabotage(f, s, FSX_BREAK_SIZE)));
	fsx_same(f, result);
	fsx_compare_fd(f, slot);
}

static void op_truncate(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	struct fsx_path path;
	off_t size = fsx_chance(f, 10) ? 0 : fsx_pick_offset(f);

	fsx_pick_path(f, &path);
	fsx_note(f, "%s to %lld", path.rel, (long long)size);
	each_side(s)
		result[s] = fsx_result(truncate(path.in[s], size));
	fsx_same(f, result);
	fsx_compare_path(f, &path);
}

static void op_fallocate(struct fsx *f)
{
	static const int modes[] = {
		0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE,
	};
	/* What a format of one extent after another can do; the rest is refused, whatever is asked. */
	const int can = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
	int mode = modes[fsx_below(f, sizeof(modes) / sizeof(modes[0]))];
	struct fsx_result result[FSX_N_SIDES];
	off_t offset = fsx_pick_offset(f);
	size_t len = fsx_pick_len(f);
	struct stat st;

	need_slot(slot, O_WRONLY);
	if (fsx_chance(f, 40)) {
		offset &= ~4095l;
		len = (len + 4095) & ~4095ul;
	}
	if (mode == FALLOC_FL_INSERT_RANGE &&
	    (fstat(slot->fd[1], &st) < 0 || st.st_size > (off_t)f->file_len_max))
		mode = FALLOC_FL_COLLAPSE_RANGE;
	/* Whether a user who punches nothing takes the set-id bits depends on the age of ext4. */
	if ((mode & FALLOC_FL_PUNCH_HOLE) && geteuid() &&
	    (fstat(slot->fd[FSX_ORACLE], &st) < 0 || offset >= st.st_size))
		mode = FALLOC_FL_KEEP_SIZE;
	fsx_note(f, "slot %td mode %#x offset %lld len %zu", slot - f->slots, mode,
		 (long long)offset, len);
	result[FSX_SUT] = fsx_result(fallocate(slot->fd[FSX_SUT], mode, offset, len));
	if (f->stacked && (mode & ~can)) {
		if (result[FSX_SUT].err != (len ? EOPNOTSUPP : EINVAL))
			fsx_differ(f, "mode %#x is not refused: %ld, %s", mode, result[FSX_SUT].ret,
				   strerror(result[FSX_SUT].err));
		/* it must have changed nothing: so the oracle is left alone */
		f->n_refused++;
		fsx_compare_fd(f, slot);
		return;
	}
	result[FSX_ORACLE] = fsx_result(fallocate(slot->fd[FSX_ORACLE], mode, offset, len));
	fsx_same(f, result);
	fsx_compare_fd(f, slot);
	fsx_compare_fd_content(f, slot->fd, "after fallocate");
}

/* Is [from, to) of the oracle's file zero as far as it goes? */
static bool oracle_zero(struct fsx *f, const struct fsx_slot *slot, off_t from, off_t to)
{
	while (from < to) {
		size_t len = to - from > FSX_IO_LEN_MAX ? FSX_IO_LEN_MAX : (size_t)(to - from);
		ssize_t n = pread(slot->fd[FSX_ORACLE], f->buf[FSX_ORACLE], len, from);

		if (n <= 0)
			return true;
		for (ssize_t i = 0; i < n; i++) {
			if (f->buf[FSX_ORACLE][i])
				return false;
		}
		from += n;
	}
	return true;
}

/* Where the holes are is the filesystem's affair; that they read as zeros is not. */
static void op_lseek(struct fsx *f)
{
	static const int whences[] = { SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE };
	int whence = whences[fsx_below(f, 5)];
	struct fsx_result result[FSX_N_SIDES];
	struct stat st;

	need_slot(slot, O_RDONLY);
	off_t offset = fsx_pick_offset_inside(f, slot) - (fsx_chance(f, 10) ? 50000 : 0);

	fsx_note(f, "slot %td offset %lld whence %d", slot - f->slots, (long long)offset, whence);
	if (fstat(slot->fd[FSX_ORACLE], &st) < 0)
		fsx_die("fstat");
	each_side(s) {
		lseek(slot->fd[s], 1000, SEEK_SET);
		result[s] = fsx_result(lseek(slot->fd[s], offset, whence));
	}
	if (whence != SEEK_DATA && whence != SEEK_HOLE) {
		fsx_same(f, result);
		return;
	}
	/* which moves the position as well */
	each_side(s)
		lseek(slot->fd[s], 0, SEEK_SET);
	if (offset < 0 || offset >= st.st_size || result[FSX_SUT].err) {
		/* no data to the end: then there must be none on the other side either */
		if (result[FSX_SUT].err == ENXIO && offset >= 0 && whence == SEEK_DATA &&
		    oracle_zero(f, slot, offset, st.st_size))
			return;
		fsx_same(f, result);
		return;
	}
	if (result[FSX_SUT].ret < offset || result[FSX_SUT].ret > st.st_size)
		fsx_differ(f, "found at %ld, of %lld", result[FSX_SUT].ret, (long long)st.st_size);
	if (whence == SEEK_DATA && !oracle_zero(f, slot, offset, result[FSX_SUT].ret))
		fsx_differ(f, "data at %ld, but there is some before", result[FSX_SUT].ret);
	if (whence == SEEK_HOLE && !oracle_zero(f, slot, result[FSX_SUT].ret,
					       (result[FSX_SUT].ret | 4095) + 1))
		fsx_differ(f, "a hole at %ld that has data", result[FSX_SUT].ret);
	fsx_ok(f);
}

static void op_copy_file_range(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	size_t len = fsx_pick_len(f);
	off_t to = fsx_pick_offset(f);

	need_slot(in, fsx_chance(f, 95) ? O_RDONLY : -1);
	need_slot(out, fsx_chance(f, 95) ? O_WRONLY : -1);
	off_t from = fsx_pick_offset_inside(f, in);

	fsx_note(f, "slot %td at %lld to slot %td at %lld len %zu", in - f->slots, (long long)from,
		 out - f->slots, (long long)to, len);
	each_side(s) {
		off_t a = from, b = to;
		long total = 0, n;

		/* the call may do less than asked: what counts is where it ends */
		while ((n = copy_file_range(in->fd[s], &a, out->fd[s], &b, len - total, 0)) > 0)
			total += n;
		result[s] = fsx_result(n < 0 && !total ? -1 : total);
	}
	fsx_same(f, result);
	fsx_compare_fd(f, out);
}

/* Pipes hold pages, not copies: a file spliced into itself may read what it has just written. */
static bool same_file(const struct fsx_slot *a, const struct fsx_slot *b)
{
	struct stat st_a, st_b;

	return a == b || fstat(a->fd[FSX_ORACLE], &st_a) < 0 ||
	       fstat(b->fd[FSX_ORACLE], &st_b) < 0 || st_a.st_ino == st_b.st_ino;
}

static void op_sendfile(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	size_t len = fsx_pick_len(f);
	off_t to = fsx_pick_offset(f);

	need_slot(in, O_RDONLY);
	need_slot(out, O_WRONLY);
	if (same_file(in, out))
		return;
	off_t from = fsx_pick_offset_inside(f, in);

	fsx_note(f, "slot %td at %lld to slot %td at %lld len %zu", in - f->slots, (long long)from,
		 out - f->slots, (long long)to, len);
	each_side(s) {
		off_t a = from;
		long total = 0, n;

		lseek(out->fd[s], to, SEEK_SET);
		while ((n = sendfile(out->fd[s], in->fd[s], &a, len - total)) > 0)
			total += n;
		result[s] = fsx_result(n < 0 && !total ? -1 : total);
	}
	fsx_same(f, result);
	fsx_compare_fd(f, out);
}

/* file -> pipe -> file, half of the time with a tee in between whose copy is compared */
static void op_splice(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	size_t len = fsx_pick_len(f);
	off_t to = fsx_pick_offset(f);
	bool with_tee = fsx_chance(f, 50);
	size_t teed[FSX_N_SIDES] = { 0 };

	need_slot(in, O_RDONLY);
	need_slot(out, O_WRONLY);
	off_t from = fsx_pick_offset_inside(f, in);

	fsx_note(f, "slot %td at %lld to slot %td at %lld len %zu%s", in - f->slots,
		 (long long)from, out - f->slots, (long long)to, len, with_tee ? ", tee" : "");
	if (same_file(in, out))
		return;
	each_side(s) {
		off_t a = from, b = to;
		int p[2], t[2];
		long got = 0, put = 0, n;

		if (pipe(p) < 0 || pipe(t) < 0)
			fsx_die("pipe");
		while ((n = splice(in->fd[s], &a, p[1], NULL, len - got, SPLICE_F_NONBLOCK)) > 0)
			got += n;
		result[s] = fsx_result(n < 0 && !got && len ? -1 : got);
		if (with_tee && got > 0) {
			n = tee(p[0], t[1], got, SPLICE_F_NONBLOCK);
			if (n > 0 && read(t[0], f->buf[s], n) == n)
				teed[s] = n;
		}
		while (got > put && (n = splice(p[0], NULL, out->fd[s], &b, got - put, SPLICE_F_MOVE)) > 0)
			put += n;
		if (got > 0)
			result[s] = fsx_result(n < 0 && !put ? -1 : put);
		close(p[0]), close(p[1]), close(t[0]), close(t[1]);
	}
	if (teed[0] != teed[1])
		fsx_differ(f, "tee gave %zu instead of %zu bytes", teed[0], teed[1]);
	fsx_same_bytes(f, result, teed[0]);
	fsx_compare_fd(f, out);
}

static void op_sync(struct fsx *f)
{
	static const char *const names[] = { "fsync", "fdatasync", "sync_file_range", "syncfs" };
	struct fsx_result result[FSX_N_SIDES];
	size_t kind = fsx_below(f, 25);
	off_t offset = fsx_pick_offset(f);

	kind = kind == 24 ? 3 : kind % 3;
	need_slot(slot, -1);
	fsx_note(f, "slot %td %s", slot - f->slots, names[kind]);
	each_side(s) {
		int fd = slot->fd[s];

		if (kind == 0)
			result[s] = fsx_result(fsync(fd));
		else if (kind == 1)
			result[s] = fsx_result(fdatasync(fd));
		else if (kind == 2)
			result[s] = fsx_result(sync_file_range(fd, offset, 8192,
							       SYNC_FILE_RANGE_WAIT_BEFORE |
							       SYNC_FILE_RANGE_WRITE |
							       SYNC_FILE_RANGE_WAIT_AFTER));
		else
			result[s] = fsx_result(syncfs(fd));
	}
	fsx_same(f, result);
}

static void op_fadvise(struct fsx *f)
{
	static const int advices[] = {
		POSIX_FADV_NORMAL, POSIX_FADV_RANDOM, POSIX_FADV_SEQUENTIAL, POSIX_FADV_WILLNEED,
		POSIX_FADV_DONTNEED, POSIX_FADV_NOREUSE, 77,
	};
	int advice = advices[fsx_below(f, 7)], err;
	struct fsx_result result[FSX_N_SIDES];
	off_t offset = fsx_pick_offset(f);

	need_slot(slot, O_RDONLY);
	fsx_note(f, "slot %td advice %d at %lld", slot - f->slots, advice, (long long)offset);
	each_side(s) {
		err = posix_fadvise(slot->fd[s], offset, 16384, advice);
		result[s] = (struct fsx_result){ err ? -1 : 0, err };
	}
	fsx_same(f, result);
	each_side(s)
		result[s] = fsx_result(readahead(slot->fd[s], offset, 8192));
	fsx_same(f, result);
}

static void op_clone(struct fsx *f)
{
	off_t from = fsx_pick_offset(f) & ~4095l, to = fsx_pick_offset(f) & ~4095l;
	struct {
		struct file_dedupe_range head;
		struct file_dedupe_range_info info[1];
	} dedupe[FSX_N_SIDES];
	struct fsx_result result[FSX_N_SIDES];
	size_t kind = fsx_below(f, 3);

	need_slot(in, fsx_chance(f, 95) ? O_RDONLY : -1);
	need_slot(out, fsx_chance(f, 95) ? O_WRONLY : -1);
	fsx_note(f, "slot %td at %lld to slot %td at %lld kind %zu", in - f->slots, (long long)from,
		 out - f->slots, (long long)to, kind);
	each_side(s) {
		struct file_clone_range range = { in->fd[s], from, 4096, to };

		memset(&dedupe[s], 0, sizeof(dedupe[s]));
		dedupe[s].head = (struct file_dedupe_range){ .src_offset = from, .src_length = 4096,
							     .dest_count = 1 };
		dedupe[s].info[0] = (struct file_dedupe_range_info){ .dest_fd = out->fd[s],
								     .dest_offset = to };
		if (kind == 0)
			result[s] = fsx_result(ioctl(out->fd[s], FICLONE, in->fd[s]));
		else if (kind == 1)
			result[s] = fsx_result(ioctl(out->fd[s], FICLONERANGE, &range));
		else
			result[s] = fsx_result(ioctl(in->fd[s], FIDEDUPERANGE, &dedupe[s]));
	}
	if (fsx_same(f, result) && kind == 2 &&
	    dedupe[0].info[0].status != dedupe[1].info[0].status)
		fsx_differ(f, "dedupe: status %d instead of %d", dedupe[0].info[0].status,
			   dedupe[1].info[0].status);
	fsx_compare_fd(f, out);
}

struct fsx_op fsx_data_ops[] = {
	{ "read", 40, op_read },
	{ "write", 60, op_write },
	{ "pread", 30, op_pread },
	{ "pwrite", 60, op_pwrite },
	{ "readv", 15, op_readv },
	{ "writev", 20, op_writev },
	{ "preadv2", 25, op_preadv2 },
	{ "pwritev2", 20, op_pwritev2 },
	{ "direct", 40, op_direct },
	{ "mmap_read", 40, op_mmap_read },
	{ "mmap_write", 40, op_mmap_write },
	{ "ftruncate", 30, op_ftruncate },
	{ "truncate", 15, op_truncate },
	{ "fallocate", 30, op_fallocate },
	{ "lseek", 25, op_lseek },
	{ "copy_file_range", 25, op_copy_file_range },
	{ "sendfile", 20, op_sendfile },
	{ "splice", 25, op_splice },
	{ "sync", 5, op_sync },
	{ "fadvise", 15, op_fadvise },
	{ "clone", 8, op_clone, .refused = true },
	{ NULL },
};
