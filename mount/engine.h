/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a lower directory becomes a mount: one struct for what is wanted, one row for each
 * filesystem that can do it. The first engine that is there is taken.
 */
#ifndef EC_MOUNT_ENGINE_H
#define EC_MOUNT_ENGINE_H

#include "mount/key-set.h"
#include "mount/why.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define EC_MOUNT_OPTIONS_MAX 64u

struct ec_mount_option {
	char *name;	/* owned */
	char *value;	/* owned; NULL for a flag */
};

struct ec_mount_options {
	struct ec_mount_option rows[EC_MOUNT_OPTIONS_MAX];
	size_t n_rows;
};

/* Copies. value may be NULL. -E2BIG, -ENOMEM; -EINVAL for a comma or an empty name. */
int ec_mount_options_add(struct ec_mount_options *options, const char *name, const char *value);
/* Borrowed value of the last row of that name ("" for a flag), or NULL. */
const char *ec_mount_options_get(const struct ec_mount_options *options, const char *name);
void ec_mount_options_done(struct ec_mount_options *options);

struct ec_mounted {
	const struct ec_engine *engine;
	uint64_t mount_id;
	dev_t device;
};

struct ec_mount_request {
	int source_fd;			/* O_PATH, borrowed */
	int target_fd;			/* O_PATH, borrowed */
	const char *source_path;	/* shown in the mount table; NULL: by descriptor */
	const char *target_path;	/* where target_fd was found; verified afterwards */
	const struct ec_mount_options *options;
	const struct ec_key_set *keys;
	uint64_t attributes;		/* MOUNT_ATTR_* */
	/*
	 * Called when all is known of the mount and it stands nowhere yet: what it shall be known
	 * by later can be written down. Less than 0 ends it. NULL: nobody wants to know.
	 */
	int (*prepare)(void *userdata, const struct ec_mounted *mounted, struct ec_why *why);
	void *userdata;
};

struct ec_engine {
	const char *name;	/* the filesystem type */
	/* Creates a mount that stands nowhere yet. 0, -ENODEV (no such filesystem here) ... */
	int (*create)(const struct ec_mount_request *request, int *ret_mount_fd,
		      struct ec_why *why);
};

extern const struct ec_engine ec_engine_ecfs;
extern const struct ec_engine ec_engine_intree;

/*
 * Mounts over request->target_fd with the first engine whose filesystem is there; only limits
 * the choice to the engine of that name (NULL: any). What stands afterwards is compared with
 * what was asked for, and taken away again if it is anything else. 0; -ENOPKG if there is no
 * engine at all; -ESTALE if target_path leads elsewhere by now.
 */
int ec_engine_mount(const struct ec_mount_request *request, const char *only,
		    struct ec_mounted *ret, struct ec_why *why);

#endif
