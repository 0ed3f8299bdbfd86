// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations of fsx by the two asynchronous interfaces, by their system calls: so that the tester
 * needs no library, and what is submitted is what is written here.
 */
#include "tests/fs/fsx.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define N_AT_ONCE 2u

static aio_context_t aio;

/* The rings as the kernel and we share them; see io_uring_setup(2). */
static struct {
	int fd;
	uint8_t *sq, *cq;
	struct io_uring_sqe *sqes;
	struct io_uring_params params;
} ring;

static void *map_ring(size_t len, off_t what)
{
	void *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, what);

	if (map == MAP_FAILED)
		fsx_die("io_uring");
	return map;
}

static void init_ring(void)
{
	struct io_uring_params *p = &ring.params;

	ring.fd = syscall(SYS_io_uring_setup, 8, p);
	if (ring.fd < 0) {
		fsx_lacks("io_uring", strerror(errno));
		return;
	}
	fcntl(ring.fd, F_SETFD, FD_CLOEXEC);
	ring.sq = map_ring(p->sq_off.array + p->sq_entries * sizeof(unsigned int), IORING_OFF_SQ_RING);
	ring.cq = map_ring(p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe),
			   IORING_OFF_CQ_RING);
	ring.sqes = map_ring(p->sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
}

void fsx_async_init(void)
{
	if (syscall(SYS_io_setup, 8, &aio) < 0)
		fsx_lacks("aio", strerror(errno));
	init_ring();
}

/* Submits n and waits for all; their results in the order of user_data, which is 0 .. n-1. */
static void run_ring(const struct io_uring_sqe *sqes, unsigned int n, long *ret)
{
	const struct io_uring_params *p = &ring.params;
	unsigned int *tail = (unsigned int *)(ring.sq + p->sq_off.tail);
	unsigned int mask = *(unsigned int *)(ring.sq + p->sq_off.ring_mask);
	unsigned int *array = (unsigned int *)(ring.sq + p->sq_off.array);
	unsigned int *cq_head = (unsigned int *)(ring.cq + p->cq_off.head);
	unsigned int *cq_tail = (unsigned int *)(ring.cq + p->cq_off.tail);
	unsigned int cq_mask = *(unsigned int *)(ring.cq + p->cq_off.ring_mask);
	struct io_uring_cqe *cqes = (struct io_uring_cqe *)(ring.cq + p->cq_off.cqes);
	unsigned int n_done = 0;

	for (unsigned int i = 0; i < n; i++) {
		unsigned int at = (*tail + i) & mask;

		ring.sqes[at] = sqes[i];
		ring.sqes[at].user_data = i;
		array[at] = at;
	}
	__atomic_store_n(tail, *tail + n, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring.fd, n, n, IORING_ENTER_GETEVENTS, NULL, 0) != (long)n)
		fsx_die("io_uring_enter");
	while (n_done < n) {
		unsigned int head = *cq_head;

		if (head == __atomic_load_n(cq_tail, __ATOMIC_ACQUIRE)) {
			syscall(SYS_io_uring_enter, ring.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
			continue;
		}
		ret[cqes[head & cq_mask].user_data] = cqes[head & cq_mask].res;
		__atomic_store_n(cq_head, head + 1, __ATOMIC_RELEASE);
		n_done++;
	}
}

/* A signal, of a lease that was broken or of a child, ends the wait early. */
static void await_events(aio_context_t context, long n, struct io_event *ret)
{
	long done = 0, got;

	while (done < n) {
		got = syscall(SYS_io_getevents, context, n - done, n - done, ret + done, NULL);
		if (got < 0 && errno != EINTR)
			fsx_die("io_getevents");
		done += got < 0 ? 0 : got;
	}
}

/* Both interfaces give -errno where system calls give -1. */
static struct fsx_result from_res(long res)
{
	return (struct fsx_result){ .ret = res < 0 ? -1 : res, .err = res < 0 ? -res : 0 };
}

static void two_pieces(struct iovec iov[static 2], void *bytes, size_t len, size_t at)
{
	iov[0] = (struct iovec){ bytes, at };
	iov[1] = (struct iovec){ (uint8_t *)bytes + at, len - at };
}

/* A write and the read of the same bytes in one submission, or one of the other commands. */
static void op_aio(struct fsx *f)
{
	static const char *const names[] = { "write, read", "writev", "readv", "fsync", "fdsync", "poll" };
	size_t kind = fsx_below(f, 10), len = fsx_pick_len(f), at = fsx_below(f, len + 1);
	const uint8_t *bytes = fsx_pick_pattern(f);
	off_t offset = fsx_pick_offset(f);
	struct fsx_result result[FSX_N_SIDES], second[FSX_N_SIDES];
	int rw_flags = fsx_chance(f, 20) ? RWF_DSYNC : 0;

	kind = kind < 5 ? 0 : kind - 4;
	need_slot(slot, kind == 0 ? O_RDWR : kind == 2 ? O_RDONLY : kind == 1 ? O_WRONLY : -1);
	if (slot->flags & O_APPEND)
		offset = 0;
	fsx_note(f, "slot %td %s offset %lld len %zu", slot - f->slots, names[kind],
		 (long long)offset, len);
	each_side(s) {
		struct iocb cb[N_AT_ONCE], *cbs[N_AT_ONCE] = { &cb[0], &cb[1] };
		struct io_event events[N_AT_ONCE];
		struct iovec iov[2];
		long n = kind == 0 ? 2 : 1, submitted;

		memset(cb, 0, sizeof(cb));
		for (size_t i = 0; i < N_AT_ONCE; i++) {
			cb[i].aio_fildes = slot->fd[s];
			cb[i].aio_data = i;
			cb[i].aio_offset = offset;
			cb[i].aio_nbytes = len;
		}
		two_pieces(iov, kind == 1 ? (void *)bytes : f->buf[s], len, at);
		cb[0].aio_buf = kind == 0 ? (uintptr_t)bytes : (uintptr_t)iov;
		if (kind == 1 || kind == 2)
			cb[0].aio_nbytes = 2;
		if (kind < 2)
			cb[0].aio_rw_flags = rw_flags;
		switch (kind) {
		case 0: cb[0].aio_lio_opcode = IOCB_CMD_PWRITE; break;
		case 1: cb[0].aio_lio_opcode = IOCB_CMD_PWRITEV; break;
		case 2: cb[0].aio_lio_opcode = IOCB_CMD_PREADV; break;
		default:
			cb[0].aio_lio_opcode = kind == 3 ? IOCB_CMD_FSYNC : kind == 4 ? IOCB_CMD_FDSYNC :
					       IOCB_CMD_POLL;
			cb[0].aio_buf = kind == 5 ? POLLIN | POLLOUT : 0;
			cb[0].aio_offset = cb[0].aio_nbytes = 0;
		}
		cb[1].aio_lio_opcode = IOCB_CMD_PREAD;
		cb[1].aio_buf = (uintptr_t)f->buf[s];
		submitted = syscall(SYS_io_submit, aio, n, cbs);
		result[s] = fsx_result(submitted);
		second[s] = (struct fsx_result){ 0 };
		if (submitted < 0)
			continue;
		await_events(aio, submitted, events);
		for (long i = 0; i < submitted; i++) {
			if (events[i].data == 0)
				result[s] = from_res(events[i].res);
			else
				second[s] = from_res(events[i].res);
		}
	}
	fsx_same_bytes(f, result, kind == 2 && result[0].ret > 0 ? result[0].ret : 0);
	if (kind == 0)
		fsx_same_bytes(f, second, second[0].ret > 0 ? second[0].ret : 0);
	fsx_compare_fd(f, slot);
}

enum ring_kind {
	RING_WRITE_READ, RING_WRITEV, RING_READV, RING_FSYNC, RING_FALLOCATE, RING_FADVISE, RING_STATX,
	RING_N_KINDS,
};

/* What an entry says, but for the file and the addresses of one side. */
static void fill_sqe(struct io_uring_sqe *sqe, enum ring_kind kind, off_t offset, size_t len)
{
	static const uint8_t codes[RING_N_KINDS] = {
		IORING_OP_WRITE, IORING_OP_WRITEV, IORING_OP_READV, IORING_OP_FSYNC,
		IORING_OP_FALLOCATE, IORING_OP_FADVISE, IORING_OP_STATX,
	};

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = codes[kind];
	sqe->off = offset;
	sqe->len = kind == RING_WRITEV || kind == RING_READV ? 2 : len;
	switch (kind) {
	case RING_FSYNC:
		sqe->fsync_flags = len & 1 ? IORING_FSYNC_DATASYNC : 0;
		sqe->off = sqe->len = 0;
		break;
	case RING_FALLOCATE:		/* grows the file: the length is where an address is else */
		sqe->addr = len;
		sqe->len = 0;
		break;
	case RING_FADVISE:
		sqe->fadvise_advice = POSIX_FADV_WILLNEED;
		break;
	case RING_STATX:
		sqe->statx_flags = AT_SYMLINK_NOFOLLOW;
		sqe->len = STATX_BASIC_STATS;
		break;
	default:
		break;
	}
}

static void op_io_uring(struct fsx *f)
{
	static const char *const names[RING_N_KINDS] = {
		"write, read", "writev", "readv", "fsync", "fallocate", "fadvise", "statx",
	};
	size_t pick = fsx_below(f, RING_N_KINDS + 4), len = fsx_pick_len(f), at = fsx_below(f, len + 1);
	enum ring_kind kind = pick < RING_N_KINDS ? pick : RING_WRITE_READ;
	const uint8_t *bytes = fsx_pick_pattern(f);
	struct fsx_result result[FSX_N_SIDES], second[FSX_N_SIDES];
	/* half of the time by a worker of the ring at once, not after a try without waiting */
	unsigned int how = fsx_chance(f, 50) ? IOSQE_ASYNC : 0;
	off_t offset = fsx_pick_offset(f);
	struct statx st[FSX_N_SIDES];
	struct fsx_path path;

	if (kind == RING_FALLOCATE && fsx_op_off("fallocate"))
		kind = RING_WRITE_READ;
	need_slot(slot, kind == RING_WRITE_READ ? O_RDWR : kind == RING_READV ? O_RDONLY :
			kind == RING_FSYNC || kind == RING_FADVISE || kind == RING_STATX ? -1 : O_WRONLY);
	fsx_pick_existing(f, &path);
	fsx_note(f, "slot %td %s offset %lld len %zu%s", slot - f->slots, names[kind],
		 (long long)offset, len, how ? " async" : "");
	each_side(s) {
		struct io_uring_sqe sqe[N_AT_ONCE];
		struct iovec iov[2];
		long res[N_AT_ONCE] = { 0, 0 };

		two_pieces(iov, kind == RING_WRITEV ? (void *)bytes : f->buf[s], len, at);
		fill_sqe(&sqe[0], kind, offset, len);
		sqe[0].flags = how;
		sqe[0].fd = kind == RING_STATX ? AT_FDCWD : slot->fd[s];
		if (kind == RING_WRITE_READ) {
			sqe[0].addr = (uintptr_t)bytes;
			sqe[0].flags |= IOSQE_IO_LINK;
			sqe[1] = sqe[0];
			sqe[1].opcode = IORING_OP_READ;
			sqe[1].flags = how;
			sqe[1].addr = (uintptr_t)f->buf[s];
		} else if (kind == RING_WRITEV || kind == RING_READV) {
			sqe[0].addr = (uintptr_t)iov;
		} else if (kind == RING_STATX) {
			memset(&st[s], 0, sizeof(st[s]));
			sqe[0].addr = (uintptr_t)path.in[s];
			sqe[0].addr2 = (uintptr_t)&st[s];
		}
		run_ring(sqe, kind == RING_WRITE_READ ? 2 : 1, res);
		result[s] = from_res(res[0]);
		second[s] = from_res(res[1]);
	}
	if (fsx_same_bytes(f, result, kind == RING_READV && result[0].ret > 0 ? result[0].ret : 0) &&
	    kind == RING_STATX && (st[0].stx_mode != st[1].stx_mode || st[0].stx_nlink != st[1].stx_nlink))
		fsx_differ(f, "statx: mode %o, %u links instead of %o, %u", st[0].stx_mode,
			   st[0].stx_nlink, st[1].stx_mode, st[1].stx_nlink);
	if (kind == RING_WRITE_READ)
		fsx_same_bytes(f, second, second[0].ret > 0 ? second[0].ret : 0);
	fsx_compare_fd(f, slot);
}

struct fsx_op fsx_async_ops[] = {
	{ "aio", 18, op_aio },
	{ "io_uring", 22, op_io_uring },
	{ NULL },
};
