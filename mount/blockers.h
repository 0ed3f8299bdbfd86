/* SPDX-License-Identifier: GPL-2.0-only */
/* Who keeps a filesystem busy: processes with a file, directory or mapping on its device. */
#ifndef EC_MOUNT_BLOCKERS_H
#define EC_MOUNT_BLOCKERS_H

#include <jansson.h>
#include <stddef.h>
#include <sys/types.h>

#define EC_BLOCKERS_MAX 64u

/*
 * Walks /proc for at most timeout_ms; device is what is mounted at target. ret: a new array of {"pid", "command", "unit"}, at most
 * EC_BLOCKERS_MAX; unit is "" outside systemd's units. Asks no file server, so that a dead one
 * cannot hold it up. 0, -ENOMEM, errno of opening /proc.
 */
int ec_blockers_find(const char *target, dev_t device, unsigned int timeout_ms, json_t **ret);
/* "bash (pid 12, session-3.scope), vim (pid 14)" and so on, cut to ret_len. */
void ec_blockers_to_text(const json_t *blockers, char *ret, size_t ret_len);

#endif
