/* SPDX-License-Identifier: GPL-2.0-only */
/* What the broker wants mounted. docs/architecture.md, worker to broker. */
#ifndef EC_MOUNT_PLAN_H
#define EC_MOUNT_PLAN_H

#include "mount/engine.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

struct ec_plan {
	char *source;		/* absolute, owned */
	char *target;		/* absolute, owned */
	char *import;		/* the present home, owned; NULL if nothing is to be imported */
	uid_t owner;
	bool force_detach;
	struct ec_mount_options options;
};

#define EC_PLAN_NULL ((struct ec_plan){ 0 })

/* "home-UID" or a uuid: what may be a file name and a part of a unit's name. */
bool ec_plan_id_valid(const char *id);
/* -EPROTO for anything that is missing, of another type or out of place. */
int ec_plan_parse(const json_t *body, struct ec_plan *ret, struct ec_why *why);
/* Does every key that the options name come with the plan? -ENOKEY. */
int ec_plan_check_keys(const struct ec_plan *plan, const struct ec_key_set *keys,
		       struct ec_why *why);
/* A home made by this suite, which has a placeholder as its mount point? */
bool ec_plan_is_own_home(const char *id, const struct ec_plan *plan);
void ec_plan_done(struct ec_plan *plan);

#define _cleanup_plan_ __attribute__((cleanup(ec_plan_done)))

#endif
