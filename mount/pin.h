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
#include <stdint.h>
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

/* Is name, in dir, that directory? ino is of dir's filesystem. */
bool ec_pin_names(int dir, const char *name, ino_t ino);

/* Opens a pinned directory for reading (and for fsync). */
int ec_pin_reopen(int fd, int *ret_fd);

/*
 * The same directory once more, open for reading through a mount that stands nowhere and that
 * nobody else has: read-only, without times of access, devices, programs, symbolic links that lead
 * anywhere, or what is mounted in it. What goes wrong by path in there stays in there. ret_mount
 * has to live as long as ret_fd. 0, errno.
 */
int ec_pin_view(int fd, int *ret_mount, int *ret_fd, struct ec_why *why);

/*
 * MOUNT_ATTR_* of a mount of source over target that is made for a user: nosuid and nodev in any
 * case, and what the administrator forbids on the filesystem of either: programs to be run
 * (noexec), symbolic links to be followed; or on that of source, writing. 0, errno.
 */
int ec_pin_attributes(int source, int target, uint64_t *ret);

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
