/* SPDX-License-Identifier: GPL-2.0-only */
/* Whole directory trees: are two equal, make one empty, copy one into the other. */
#ifndef EC_MOUNT_TREE_H
#define EC_MOUNT_TREE_H

#include "mount/why.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define EC_TREE_TICK_MS 5000u
#define EC_TREE_DEPTH_MAX 512u	/* directories in one another */

/* Long work says that it goes on, and hears whether it should: tick is called about every
 * EC_TREE_TICK_MS, and a negative errno from it ends the work with that. */
struct ec_tree_watch {
	int (*tick)(void *userdata);
	void *userdata;
	uint64_t next_ms;	/* CLOCK_MONOTONIC; 0 at the start */
};

/* For loops: calls tick if its time has come. watch may be NULL. */
int ec_tree_watch_poll(struct ec_tree_watch *watch);

struct ec_tree_counts {
	uint64_t files;		/* entries of any type */
	uint64_t bytes;		/* of regular files */
	uint64_t coarse_times;	/* of a comparison: mtimes that b has in whole seconds only */
};

/*
 * What a tree looks like from outside, without a file being read. Two equal notes of a tree say
 * that in between nothing in it was written, changed, made or removed: each of these gives an
 * inode another ctime. Stores through a mapping do so once the file was written back, so
 * syncfs(2) comes before the first note.
 */
struct ec_tree_note {
	struct ec_tree_counts counts;
	uint64_t sums[2];		/* over all entries, whatever their order */
	struct timespec newest;		/* the last change of all, and where it was */
	char newest_path[PATH_MAX];	/* from the tree's root; may be cut */
};

/* Of the directory itself all but the ctime counts, which a rename of it changes. */
int ec_tree_take_note(int fd, struct ec_tree_watch *watch, struct ec_tree_note *ret,
		      struct ec_why *why);
bool ec_tree_note_equal(const struct ec_tree_note *a, const struct ec_tree_note *b);

/*
 * Compares everything below two directories: types, modes, owners, sizes, mtime in nanoseconds
 * (b may have whole seconds, which is counted), content, xattrs, targets of symbolic links, device numbers, and which names are the same file.
 * Of the two directories themselves: owners, modes and xattrs. Access times stay as they are.
 * The first difference is named in why. 0; -EUCLEAN if they differ; -EXDEV if a mount is met;
 * errno.
 */
int ec_tree_compare(int a, int b, struct ec_tree_watch *watch,
		    struct ec_tree_counts *ret_counts, struct ec_why *why);
/* Counts below a directory. */
int ec_tree_count(int fd, struct ec_tree_watch *watch, struct ec_tree_counts *ret,
		  struct ec_why *why);
/* Removes everything below a directory, not the directory, immutable files, too. Other filesystems
 * are not entered. */
int ec_tree_remove_contents(int fd, struct ec_tree_watch *watch, struct ec_why *why);
/* cp(1) of coreutils from one pinned directory into another, as root; its words in why. -ENOSPC
 * and -EDQUOT are told apart from the rest, -EIO. */
int ec_tree_copy(int from, int to, struct ec_tree_watch *watch, struct ec_why *why);

/* Told of each thing that a copy could not keep; path from the tree's root. */
struct ec_tree_losses {
	void (*lost)(void *userdata, const char *path, const char *what);
	void *userdata;
};

/*
 * What cp(1) does not copy: the flags of chattr(1), of everything below from and of from itself,
 * given to the entries of the same names in to, a copy of it. Last of all, because some of them
 * forbid every other change. What the filesystem or the kernel refuses is told, and so are holes
 * that the copy has filled. 0, errno.
 */
int ec_tree_copy_flags(int from, int to, struct ec_tree_watch *watch,
		       const struct ec_tree_losses *losses, struct ec_why *why);
/* May a directory that is open for reading be renamed, as far as its own flags go? */
bool ec_tree_flags_pin(int fd);
/* Takes the flags off that forbid changes; there may be none. */
void ec_tree_unlock_flags(int fd);

#endif
