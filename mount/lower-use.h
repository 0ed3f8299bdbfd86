/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who has a lower directory mounted already? Two mounts of one know nothing of each other: each
 * keeps pages, sizes and names of its own, and writes over what the other has written.
 */
#ifndef EC_MOUNT_LOWER_USE_H
#define EC_MOUNT_LOWER_USE_H

#include "mount/why.h"

/*
 * source is a descriptor of the lower directory (O_PATH will do), path what it is called. Mounts
 * of the encrypted view do not count: nothing is written through them. 0; -EBUSY, naming the mount
 * point; errno. The module in-tree shows nothing of a lower directory but its inode number in some
 * cases; then that is what counts.
 */
int ec_lower_check_free(int source, const char *path, struct ec_why *why);

#endif
