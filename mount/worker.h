/* SPDX-License-Identifier: GPL-2.0-only */
/* The verbs of the worker. */
#ifndef EC_MOUNT_WORKER_H
#define EC_MOUNT_WORKER_H

#include <stdbool.h>

struct ec_mount_state;

/* What is to be done for the vault id; 0 or negative errno, which has been reported and logged. */
int ec_worker_start(const char *id);
int ec_worker_stop(const char *id);
int ec_worker_tidy(const char *id);

/* Is that mount where the state says? */
bool ec_worker_stands(const struct ec_mount_state *state);

#endif
