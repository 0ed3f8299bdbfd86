/* SPDX-License-Identifier: GPL-2.0-only */
/* Who uses a filesystem, or a directory: processes with a file, directory or mapping there. */
#ifndef EC_MOUNT_BLOCKERS_H
#define EC_MOUNT_BLOCKERS_H

#include <jansson.h>
#include <stddef.h>
#include <sys/types.h>

#define EC_BLOCKERS_MAX 64u

/*
 * Walks /proc for at most timeout_ms; device is what is mounted at target. ret: a new array
 * of {"pid", "command", "unit"}, at most EC_BLOCKERS_MAX; unit is "" outside systemd's units. Asks no file server, so that a dead one
 * cannot hold it up. 0, -ENOMEM, errno of opening /proc.
 */
int ec_blockers_find(const char *target, dev_t device, unsigned int timeout_ms, json_t **ret);
/*
 * The same for a part of a filesystem: a directory by its path as the kernel shows it (without
 * symbolic links), and its st_dev. Also -ETIMEDOUT, if nobody was found in time but not all were
 * looked at.
 */
int ec_blockers_below(const char *directory, dev_t device, unsigned int timeout_ms, json_t **ret);
/*
 * The same for a filesystem that has no mount point any more; table is what is mounted, and what
 * is not looked into. -ETIMEDOUT as above.
 */
struct ec_mount_table;
int ec_blockers_of_device(dev_t device, const struct ec_mount_table *table,
			  unsigned int timeout_ms, json_t **ret);
/* "bash (pid 12, session-3.scope), vim (pid 14)" and so on, cut to ret_len. */
void ec_blockers_to_text(const json_t *blockers, char *ret, size_t ret_len);

#endif
