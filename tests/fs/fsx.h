/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fsx: the same random calls on a tree under test and on a plain one, the oracle, with every
 * result, errno, byte and attribute compared. Nothing is modelled here: the plain filesystem
 * says what is right.
 */
#ifndef TESTS_FS_FSX_H
#define TESTS_FS_FSX_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum fsx_side {
	FSX_SUT,		/* under test */
	FSX_ORACLE,
	FSX_N_SIDES,
};

#define each_side(s) for (int s = 0; s < FSX_N_SIDES; s++)

#define FSX_N_SLOTS	6u
#define FSX_N_NOTES	20u
#define FSX_NOTE_LEN	320u	/* bytes */
#define FSX_IO_LEN_MAX	65536u	/* bytes of one transfer */

/* Sabotage of the side under test, to prove that fsx sees it. */
enum fsx_break {
	FSX_BREAK_NONE,
	FSX_BREAK_DATA,		/* a byte of a write is another */
	FSX_BREAK_SIZE,		/* a truncation goes one byte too far */
	FSX_BREAK_ATTR,		/* chmod drops a bit */
	FSX_BREAK_NAME,		/* a rename does nothing and says it did */
	FSX_BREAK_TIME,		/* utimensat cuts to whole seconds */
	FSX_BREAK_STRIPE,	/* a shared write hits its neighbour's byte */
};

/* A file that is open on both sides. */
struct fsx_slot {
	int fd[FSX_N_SIDES];	/* -1: closed */
	int flags;		/* of open(), as the side under test has them */
	bool regular;
};

/* What one call gave on one side; err is 0 where ret >= 0. */
struct fsx_result {
	long ret;
	int err;
};

struct fsx {
	/* options */
	const char *root[FSX_N_SIDES];
	const char *hook;	/* command between batches, or NULL */
	uint64_t seed;
	unsigned long n_ops;
	unsigned long hook_every;
	unsigned long compare_every;
	size_t file_len_max;	/* bytes */
	size_t io_len_max;
	size_t link_len_max;	/* of a symlink target */
	size_t name_len_max;
	enum fsx_break sabotage;
	bool verbose;
	bool stacked;		/* the side under test encrypts, and is not plain itself */

	/* state */
	uint64_t rng;
	unsigned long op;	/* number of the running one */
	const char *op_name;
	struct fsx_slot slots[FSX_N_SLOTS];
	uint8_t *buf[FSX_N_SIDES];	/* page-aligned, 2 * FSX_IO_LEN_MAX */
	uint8_t *pattern;		/* what writes write; the same on both sides */
	char notes[FSX_N_NOTES][FSX_NOTE_LEN];
	unsigned long n_notes;
	unsigned long n_refused;	/* EOPNOTSUPP and the like, where that is the right answer */
};

struct fsx_op {
	const char *name;
	unsigned int weight;
	void (*run)(struct fsx *f);
	unsigned long n_run;
	unsigned long n_ok;	/* the oracle's call succeeded */
	bool off;
	bool newer;		/* a system call that the old kernel lacks */
	bool refused;		/* both sides may refuse it always: that is what is compared */
};

/* fsx.c */
uint64_t fsx_random(struct fsx *f);
/* 0 .. n-1 */
size_t fsx_below(struct fsx *f, size_t n);
bool fsx_chance(struct fsx *f, unsigned int percent);
void fsx_note(struct fsx *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints seed, operation, the last ones, and ends the process with status 1. */
void fsx_differ(struct fsx *f, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));
/* For what is not the filesystem's fault; status 2. */
void fsx_die(const char *what) __attribute__((noreturn));
struct fsx_result fsx_result(long ret);
/* ret and errno agree. True if both succeeded. */
bool fsx_same(struct fsx *f, const struct fsx_result result[static FSX_N_SIDES]);
/* As fsx_same(), and the first len bytes of the two buffers agree. */
bool fsx_same_bytes(struct fsx *f, const struct fsx_result result[static FSX_N_SIDES], size_t len);
/* Of the first len bytes of the two buffers; len if there is none. */
size_t fsx_first_difference(const struct fsx *f, size_t len);
bool fsx_sabotage(struct fsx *f, enum fsx_side side, enum fsx_break kind);
/* Counts for the printed table: the running operation succeeded. */
void fsx_ok(struct fsx *f);
bool fsx_op_off(const char *name);
/* Turns it off, and says why. */
void fsx_lacks(const char *name, const char *why);

/* A path below both roots; in[s] is PATH_MAX bytes. rel points into in[FSX_SUT]. */
struct fsx_path {
	char in[FSX_N_SIDES][PATH_MAX];
	const char *rel;
};

void fsx_pick_path(struct fsx *f, struct fsx_path *ret);
/* One that mostly exists: for what has little to say about names that are not there. */
void fsx_pick_existing(struct fsx *f, struct fsx_path *ret);
/* One that is open for what flags (O_RDONLY, O_WRONLY, O_RDWR or -1) needs, else NULL. */
struct fsx_slot *fsx_pick_slot(struct fsx *f, int flags);
void fsx_close_slots(struct fsx *f);

/* What a slot may do: without one that fits, the operation is skipped. */
#define need_slot(slot, flags)				\
	struct fsx_slot *slot = fsx_pick_slot(f, flags);	\
	if (!slot)					\
		return

/* Each table ends with a NULL name. */
extern struct fsx_op fsx_data_ops[], fsx_map_ops[], fsx_async_ops[], fsx_tree_ops[],
	fsx_attr_ops[], fsx_fd_ops[];

/* fsx-data.c */
size_t fsx_pick_len(struct fsx *f);
off_t fsx_pick_offset(struct fsx *f);
/* Within or a little beyond the file as the oracle has it. */
off_t fsx_pick_offset_inside(struct fsx *f, const struct fsx_slot *slot);
const uint8_t *fsx_pick_pattern(struct fsx *f);
/* The bytes of one side; sabotage changes one of them. */
const uint8_t *fsx_source_bytes(struct fsx *f, int side, const uint8_t *bytes, size_t len);
/* Bytes of whole file pages from offset, as far as the file goes; 0 if none. */
size_t fsx_mappable(const struct fsx_slot *slot, off_t offset, size_t len);

/* fsx-async.c: what needs root once. Turns off what the kernel has turned off. */
void fsx_async_init(void);

/* fsx-compare.c */
void fsx_compare_stat(struct fsx *f, const char *what, const struct stat *sut,
		      const struct stat *oracle);
void fsx_compare_fd(struct fsx *f, const struct fsx_slot *slot);
void fsx_compare_fd_content(struct fsx *f, const int fd[static FSX_N_SIDES], const char *what);
void fsx_compare_path(struct fsx *f, const struct fsx_path *path);
/* Everything below both roots. Returns how many entries were compared. */
unsigned long fsx_compare_trees(struct fsx *f);
/* The hook, with all that is open closed, and file handles taken before it opened after it. */
void fsx_run_hook(struct fsx *f);

/* fsx-contend.c: n_procs processes in interleaved stripes of one file. 0, or 1 and a report. */
int fsx_contend(struct fsx *f, unsigned int n_procs, unsigned long n_rounds);

#endif
