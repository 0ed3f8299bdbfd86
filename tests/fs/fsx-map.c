// SPDX-License-Identifier: GPL-2.0-only
/* Operations of fsx on mappings and on what the page cache holds. */
#include "tests/fs/fsx.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

#define PAGE 4096u

/* Grown, shrunk and moved: what was written stays, and what comes in is the file's. */
static void op_mremap(struct fsx *f)
{
	static const int all_flags[] = { MREMAP_MAYMOVE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0, 77 };
	const uint8_t *bytes = fsx_pick_pattern(f);
	struct fsx_result result[FSX_N_SIDES];
	int flags = all_flags[fsx_below(f, 4)];

	need_slot(slot, O_RDWR);
	off_t offset = fsx_pick_offset_inside(f, slot) & ~4095l;
	size_t len = fsx_mappable(slot, offset, 4 * PAGE), room = (len + PAGE - 1) & ~(PAGE - 1ul);
	size_t before = PAGE * (1 + fsx_below(f, 4)), after = PAGE * (1 + fsx_below(f, 4));

	if (flags & MREMAP_DONTUNMAP)
		after = before;
	fsx_note(f, "slot %td offset %lld len %zu from %zu to %zu flags %d", slot - f->slots,
		 (long long)offset, len, before, after, flags);
	if (!len)
		return;
	each_side(s) {
		char *map = mmap(NULL, before, PROT_READ | PROT_WRITE, MAP_SHARED, slot->fd[s], offset);
		char *moved;

		result[s] = fsx_result(map == MAP_FAILED ? -1 : 0);
		if (map == MAP_FAILED)
			continue;
		memcpy(map, bytes, len < 100 ? len : 100);
		/* where it lies decides whether it can grow in place: only a shrinking may not move */
		moved = mremap(map, before, after, !flags && after > before ? MREMAP_MAYMOVE : flags);
		result[s] = fsx_result(moved == MAP_FAILED ? -1 : 0);
		if (moved != MAP_FAILED) {
			memcpy(f->buf[s], moved, room < after ? room : after);
			munmap(moved, after);
		}
		if (moved == MAP_FAILED || (flags & MREMAP_DONTUNMAP))
			munmap(map, before);
	}
	fsx_same_bytes(f, result, room < after ? room : after);
	fsx_compare_fd(f, slot);
}

static void op_madvise(struct fsx *f)
{
	static const struct { int advice; const char *name; } all[] = {
		{ MADV_NORMAL, "NORMAL" }, { MADV_RANDOM, "RANDOM" }, { MADV_SEQUENTIAL, "SEQUENTIAL" },
		{ MADV_WILLNEED, "WILLNEED" }, { MADV_DONTNEED, "DONTNEED" }, { MADV_REMOVE, "REMOVE" },
		{ MADV_REMOVE, "REMOVE" }, { MADV_FREE, "FREE" }, { MADV_COLD, "COLD" },
		{ MADV_PAGEOUT, "PAGEOUT" }, { MADV_POPULATE_READ, "POPULATE_READ" },
		{ MADV_POPULATE_WRITE, "POPULATE_WRITE" }, { 777, "nonsense" },
	};
	size_t i = fsx_below(f, sizeof(all) / sizeof(all[0]));
	const uint8_t *bytes = fsx_pick_pattern(f);
	bool shared = fsx_chance(f, 80), dirty = fsx_chance(f, 50);
	struct fsx_result result[FSX_N_SIDES];

	need_slot(slot, O_RDWR);
	off_t offset = fsx_pick_offset_inside(f, slot) & ~4095l;
	size_t len = fsx_mappable(slot, offset, fsx_pick_len(f) + 1), room = (len + PAGE - 1) & ~(PAGE - 1ul);

	fsx_note(f, "slot %td offset %lld len %zu %s%s%s", slot - f->slots, (long long)offset, len,
		 all[i].name, shared ? "" : " private", dirty ? " dirty" : "");
	if (!len)
		return;
	each_side(s) {
		char *map = mmap(NULL, room, PROT_READ | PROT_WRITE, shared ? MAP_SHARED : MAP_PRIVATE,
				 slot->fd[s], offset);

		result[s] = fsx_result(map == MAP_FAILED ? -1 : 0);
		if (map == MAP_FAILED)
			continue;
		if (dirty)
			memcpy(map, bytes, len);
		result[s] = fsx_result(madvise(map, room, all[i].advice));
		memcpy(f->buf[s], map, room);
		munmap(map, room);
	}
	fsx_same_bytes(f, result, room);
	fsx_compare_fd(f, slot);
}

/* What is locked into memory is there, and mincore() says so. */
static void op_mincore(struct fsx *f)
{
	unsigned char pages[FSX_IO_LEN_MAX / PAGE + 1];
	struct fsx_result result[FSX_N_SIDES];

	need_slot(slot, O_RDONLY);
	off_t offset = fsx_pick_offset_inside(f, slot) & ~4095l;
	size_t len = fsx_mappable(slot, offset, fsx_pick_len(f) + 1), room = (len + PAGE - 1) & ~(PAGE - 1ul);

	fsx_note(f, "slot %td offset %lld len %zu", slot - f->slots, (long long)offset, len);
	if (!len || room / PAGE > sizeof(pages))
		return;
	each_side(s) {
		void *map = mmap(NULL, room, PROT_READ, MAP_SHARED, slot->fd[s], offset);

		result[s] = fsx_result(map == MAP_FAILED ? -1 : mlock(map, room));
		if (map == MAP_FAILED)
			continue;
		if (!result[s].err) {
			memset(pages, 0, sizeof(pages));
			result[s] = fsx_result(mincore(map, room, pages));
			for (size_t i = 0; !result[s].err && i < room / PAGE; i++)
				f->buf[s][i] = pages[i] & 1;
		}
		munmap(map, room);
	}
	if (!fsx_same(f, result))
		return;
	for (size_t i = 0; i < room / PAGE; i++) {
		if (!f->buf[FSX_SUT][i])
			fsx_differ(f, "page %zu of %zu is locked and not there", i, room / PAGE);
	}
}

/*
 * linux/mman.h has these in newer releases. How much is dirty or cached around it is a filesystem's
 * own affair; that what was just read is there, is not.
 */
static void op_cachestat(struct fsx *f)
{
	struct { uint64_t off, len; } range;
	struct { uint64_t cache, dirty, writeback, evicted, recently; } stat[FSX_N_SIDES];
	unsigned int flags = fsx_chance(f, 5) ? 1 : 0;
	struct fsx_result result[FSX_N_SIDES];
	size_t len = fsx_pick_len(f);
	uint64_t pages;
	ssize_t n = 0;

	need_slot(slot, O_RDONLY);
	off_t offset = fsx_pick_offset_inside(f, slot) & ~4095l;

	fsx_note(f, "slot %td offset %lld len %zu flags %u", slot - f->slots, (long long)offset, len,
		 flags);
	each_side(s) {
		n = pread(slot->fd[s], f->buf[s], len, offset);
		range.off = offset;
		range.len = n > 0 ? n : 1;
		result[s] = fsx_result(syscall(SYS_cachestat, slot->fd[s], &range, &stat[s], flags));
	}
	if (!fsx_same(f, result) || n <= 0)
		return;
	pages = (n + PAGE - 1) / PAGE;
	/* a hole of tmpfs is read from nowhere */
	if (stat[FSX_SUT].cache != pages && stat[FSX_ORACLE].cache == pages)
		fsx_differ(f, "%llu pages of %llu are there", (unsigned long long)stat[FSX_SUT].cache,
			   (unsigned long long)pages);
}

struct fsx_op fsx_map_ops[] = {
	{ "mremap", 12, op_mremap },
	{ "madvise", 15, op_madvise },
	{ "mincore", 6, op_mincore },
	{ "cachestat", 6, op_cachestat, .newer = true },
	{ NULL },
};
