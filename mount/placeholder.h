/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The closed home: a directory that says how to open it, and the swap that puts it where the old
 * home was. At every moment there is either the old home in its place, or the closed home there
 * and the old one under EC_PLACEHOLDER_KEPT.
 */
#ifndef EC_MOUNT_PLACEHOLDER_H
#define EC_MOUNT_PLACEHOLDER_H

#include "mount/why.h"

#include <stdbool.h>
#include <sys/types.h>

#define EC_PLACEHOLDER_KEPT "home-before-encryption"

struct ec_placeholder {
	int base_fd;		/* HOMEBASE/.ecryptfs/USER, which USER can change; borrowed, not O_PATH */
	int home_parent_fd;	/* HOMEBASE, which is root's; borrowed, not O_PATH */
	const char *home_name;	/* USER */
	uid_t uid;
	gid_t gid;
	ino_t ino;		/* of the closed home, by prepare */
};

/* Can the two directories be exchanged at all? -EOPNOTSUPP, -EXDEV. Leaves nothing behind. */
int ec_placeholder_probe(const struct ec_placeholder *ph, struct ec_why *why);
/* Makes the closed home under EC_PLACEHOLDER_KEPT, complete and on disk. What an interrupted
 * attempt left there is replaced; anything else is -EEXIST. */
int ec_placeholder_prepare(struct ec_placeholder *ph, struct ec_why *why);
/* Removes what prepare made. */
int ec_placeholder_discard(const struct ec_placeholder *ph);
/* One rename: exchanges the closed home and the old one. 0, -ESTALE if either is not the directory
 * that it was: then the old home is where it was. */
int ec_placeholder_swap(const struct ec_placeholder *ph, ino_t old_home, struct ec_why *why);
/* Undoes swap: the old home stands in its place again. -ESTALE if either was replaced. */
int ec_placeholder_swap_back(const struct ec_placeholder *ph, ino_t old_home, struct ec_why *why);
/* Where there is no home at all: moves the closed home into place. */
int ec_placeholder_move(const struct ec_placeholder *ph, struct ec_why *why);
/* Undoes move. */
int ec_placeholder_move_back(const struct ec_placeholder *ph, struct ec_why *why);
/* Removes the kept old home if it is an empty directory. */
int ec_placeholder_drop_empty(const struct ec_placeholder *ph);

#endif
