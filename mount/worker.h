/* SPDX-License-Identifier: GPL-2.0-only */
/* The verbs of the worker. */
#ifndef EC_MOUNT_WORKER_H
#define EC_MOUNT_WORKER_H

#include "mount/mount-state.h"
#include "mount/unmount.h"

#include <stdbool.h>

/* What is to be done for the vault id; 0 or negative errno, which has been reported and logged. */
int ec_worker_start(const char *id);
int ec_worker_stop(const char *id);
int ec_worker_tidy(const char *id);

/* To unmount what the state tells of; borrows from it. How is for the caller to add. */
struct ec_unmount_request ec_worker_unmount_request(const struct ec_mount_state *state);
/* Is that mount where the state says? */
bool ec_worker_stands(const struct ec_mount_state *state);

#endif
