/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mounts that were detached while programs used them. The module ecfs has lost its key then; the
 * in-tree module goes on writing for whoever still has a file open, and knows nothing of a second
 * mount of the same lower directory: what one of them writes, the other overwrites. So there is
 * no second mount before the last of those programs has ended.
 */
#ifndef EC_MOUNT_DETACHED_H
#define EC_MOUNT_DETACHED_H

#include "mount/mount-state.h"
#include "mount/why.h"

#include <stdbool.h>

#define EC_DETACHED_DIRECTORY "/run/ecryptfsd/detached"

/* Did detaching that mount take its key away? It does with ecfs alone. */
bool ec_detached_loses_its_key(const struct ec_mount_state *state);
/* Remembers a mount of the in-tree module, in a file of directory; of others nothing. */
int ec_detached_note(const char *directory, const struct ec_mount_state *state);
/*
 * Does the mount that a state file in directory tells of live on without a place? -EBUSY, naming
 * who uses it. A file of one that is gone is removed if forget is set. 0; -EBUSY; -ETIMEDOUT (not
 * all processes were looked at in time).
 */
int ec_detached_check(const char *directory, const char *id, bool forget, struct ec_why *why);

#endif
