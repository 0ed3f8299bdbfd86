/* SPDX-License-Identifier: GPL-2.0-only */
/* The worker's side of worker.socket. docs/architecture.md, worker to broker. */
#ifndef EC_MOUNT_BROKER_H
#define EC_MOUNT_BROKER_H

#include "mount/key-set.h"
#include "mount/plan.h"
#include "mount/why.h"

#include <jansson.h>
#include <stdbool.h>

#define EC_BROKER_SOCKET "/run/ecryptfsd/worker.socket"
#define EC_BROKER_TIMEOUT_MS 2000u	/* of one answer while stopping */
#define EC_BROKER_START_TIMEOUT_MS 30000u

struct ec_broker {
	int socket;		/* -1: there is no broker, every call is -ENOTCONN */
	const char *id;		/* borrowed */
};

/* -ENOTCONN, -ETIMEDOUT; broker is usable in any case. */
int ec_broker_connect(struct ec_broker *broker, const char *path, const char *id,
		      unsigned int timeout_ms);
void ec_broker_done(struct ec_broker *broker);

int ec_broker_plan(struct ec_broker *broker, struct ec_plan *ret_plan,
		   struct ec_key_set *ret_keys, struct ec_why *why);
int ec_broker_mounted(struct ec_broker *broker, const char *engine);
/* blockers: an array that is borrowed, or NULL. */
int ec_broker_failed(struct ec_broker *broker, int error, const char *text, json_t *blockers);
int ec_broker_progress(struct ec_broker *broker, const char *text);

/* What to do about the mount that is to go. */
struct ec_broker_stop {
	bool keep;			/* nothing: a session uses it */
	bool detach;			/* if it is busy after the grace */
	unsigned int grace_ms;
};
/* ret is not touched where there is no answer. */
int ec_broker_unmounting(struct ec_broker *broker, struct ec_broker_stop *ret);
int ec_broker_unmounted(struct ec_broker *broker, json_t *blockers, bool detached);

#endif
