/* SPDX-License-Identifier: GPL-2.0-only */
/* The two verbs of the worker. */
#ifndef EC_MOUNT_WORKER_H
#define EC_MOUNT_WORKER_H

/* What is to be done for the vault id; 0 or negative errno, which has been reported and logged. */
int ec_worker_start(const char *id);
int ec_worker_stop(const char *id);

#endif
