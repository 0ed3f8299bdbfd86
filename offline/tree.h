/* SPDX-License-Identifier: GPL-2.0-only */
/* Walks a lower directory tree and shows it as a mount would. */
#ifndef EC_OFFLINE_TREE_H
#define EC_OFFLINE_TREE_H

#include "offline/file.h"

#include <sys/stat.h>

struct ec_offline_entry {
	const char *path;		/* plain, relative to the root of the walk */
	const char *lower_name;		/* last component as it stands on disk */
	const struct stat *lower;	/* of the lower entry; the size is the lower one */
	struct ec_offline_file *file;	/* regular files */
	const char *target;		/* symlinks */
	/* 0, or why the entry cannot be shown (names: path ends with the lower name; content:
	 * file or target is NULL). A directory whose name cannot be shown is not entered; one
	 * whose listing fails is visited once more, with the error. */
	int error;
};

/* Everything in entry is borrowed until it returns. A value other than 0 ends the walk. */
typedef int (*ec_offline_visit_fn)(const struct ec_offline_entry *entry, void *arg);

/*
 * Depth first, in the order of the lower directory; dir_fd stays the caller's. Symlinks are not
 * followed. names: the tree was written with encrypted names, so names and targets without are
 * reported with error -ENODATA. 0, what visitor returned, or an errno of reading the root.
 */
int ec_offline_tree_walk(int dir_fd, const struct ec_offline_keys *keys, bool names,
			 ec_offline_visit_fn visitor, void *arg);

#endif
