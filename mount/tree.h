/* SPDX-License-Identifier: GPL-2.0-only */
/* Whole directory trees: are two equal, make one empty, copy one into the other. */
#ifndef EC_MOUNT_TREE_H
#define EC_MOUNT_TREE_H

#include "mount/why.h"

#include <stdint.h>

#define EC_TREE_TICK_MS 5000u

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
};

/*
 * Compares everything below two directories: types, modes, owners, sizes, whole seconds of
 * mtime, content, xattrs, targets of symbolic links, device numbers, and which names are the
 * same file. Of the two directories themselves: owners and xattrs. The first difference is
 * named in why. 0; -EUCLEAN if they differ; -EXDEV if a mount is met; errno.
 */
int ec_tree_compare(int a, int b, struct ec_tree_watch *watch,
		    struct ec_tree_counts *ret_counts, struct ec_why *why);
/* Counts below a directory. */
int ec_tree_count(int fd, struct ec_tree_watch *watch, struct ec_tree_counts *ret,
		  struct ec_why *why);
/* Removes everything below a directory, not the directory. Other filesystems are not entered. */
int ec_tree_remove_contents(int fd, struct ec_tree_watch *watch, struct ec_why *why);
/* cp(1) of coreutils from one pinned directory into another, as root; its words in why. -ENOSPC
 * and -EDQUOT are told apart from the rest, -EIO. */
int ec_tree_copy(int from, int to, struct ec_tree_watch *watch, struct ec_why *why);

#endif
