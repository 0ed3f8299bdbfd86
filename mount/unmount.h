/* SPDX-License-Identifier: GPL-2.0-only */
/* Taking one of our mounts away, and only that one. */
#ifndef EC_MOUNT_UNMOUNT_H
#define EC_MOUNT_UNMOUNT_H

#include "mount/why.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ec_unmount_request {
	const char *target;		/* absolute */
	uint64_t mount_id;		/* which mount is meant */
	dev_t device;
	bool detach;			/* if it stays busy: wipe the key, detach */
	unsigned int grace_ms;
	void (*busy)(void *userdata, json_t *blockers);	/* told once, may be NULL */
	/* At least every 2 s; doing may be NULL, and so may this. */
	void (*working)(void *userdata, const char *doing);
	void *userdata;
};

struct ec_unmount_result {
	json_t *blockers;	/* array, owned by the caller; empty if it was never busy */
	bool detached;
};

/* Is that mount on top of target? 1 or 0; 0 also if target is gone. */
int ec_unmount_stands(const struct ec_unmount_request *request);
/*
 * Writes back, unmounts, waits while it is busy. 0 also if it was gone already; -EBUSY if it
 * still stands after the grace and detach is off (ret is filled then, too).
 */
int ec_unmount(const struct ec_unmount_request *request, struct ec_unmount_result *ret,
	       struct ec_why *why);

#endif
