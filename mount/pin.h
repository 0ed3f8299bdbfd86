/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A directory held by a descriptor, so that what was checked is what is mounted: between the two
 * nobody can put another directory, a symbolic link or a foreign filesystem in its place.
 */
#ifndef EC_MOUNT_PIN_H
#define EC_MOUNT_PIN_H

#include "mount/why.h"

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum ec_pin_role {
	EC_PIN_SOURCE,	/* lower directory */
	EC_PIN_TARGET,	/* mount point */
	EC_PIN_ANY,	/* of the administrator's own choice: only has to be a directory */
};

/* O_PATH descriptor of a directory; symbolic links are refused wherever they stand in path.
 * 0, -EINVAL (not absolute), -ELOOP, -ENOTDIR, errno of openat2(2). */
int ec_pin_directory(const char *path, int *ret_fd, struct ec_why *why);

/* Owner and filesystem of a pinned directory. -EPERM, -EOPNOTSUPP. */
int ec_pin_check(int fd, enum ec_pin_role role, uid_t owner, const char *path,
		 struct ec_why *why);

/* May a filesystem with this statfs(2) type be in that role? */
bool ec_pin_fs_allowed(unsigned long f_type, enum ec_pin_role role);

/*
 * Can only root change what path leads to? Then the path itself may be handed to the kernel as
 * the name of a mount's source.
 */
bool ec_pin_path_is_stable(const char *path);

/* "/proc/self/fd/N", which leads to the pinned directory whatever its name is by now. */
#define EC_PIN_PATH_LEN 32u
void ec_pin_path(char ret[static EC_PIN_PATH_LEN], int fd);

/* Opens a pinned directory for reading (and for fsync). */
int ec_pin_reopen(int fd, int *ret_fd);

/* A listing of a directory from its start, for closedir(); fd stays the caller's. 0 or -errno. */
int ec_pin_list(int fd, DIR **ret);

/*
 * Is a home closed? True if it is not writable, or holds nothing but README.txt: then nothing
 * that a person put there would be hidden by a mount.
 */
int ec_pin_is_closed_home(int fd, bool *ret_closed);
/* Has the directory no entry but perhaps README.txt? */
int ec_pin_holds_no_files(int fd, bool *ret);

#define EC_CLOSED_HOME_README "README.txt"

#endif
