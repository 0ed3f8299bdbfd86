/* SPDX-License-Identifier: GPL-2.0-only */
/* The mount keys of one mount: an array of struct ecfs_mount_key in locked memory. */
#ifndef EC_MOUNT_KEY_SET_H
#define EC_MOUNT_KEY_SET_H

#include "kmod/uapi/ecfs.h"
#include "lib/secret.h"

#include <stddef.h>

#define EC_KEY_SET_MAX 8u	/* keys; a mount has one for content and one for names */

struct ec_key_set {
	struct ec_secret bytes;	/* n_keys * sizeof(struct ecfs_mount_key) */
	size_t n_keys;
};

#define EC_KEY_SET_NULL ((struct ec_key_set){ 0 })

/* Reads a sealed memfd; fd stays the caller's. 0, -EBADF, -EPROTO (size, version), -ENOMEM. */
int ec_key_set_from_memfd(struct ec_key_set *ret, int fd);
/* Appends a copy. -E2BIG if there are EC_KEY_SET_MAX, -ENOMEM. */
int ec_key_set_add(struct ec_key_set *set, const struct ecfs_mount_key *key);
/* Borrowed; NULL beyond the last one. */
const struct ecfs_mount_key *ec_key_set_get(const struct ec_key_set *set, size_t i);
/* Borrowed; NULL if there is none with that signature of 8 bytes. */
const struct ecfs_mount_key *ec_key_set_find(const struct ec_key_set *set,
					     const void *sig);
/* Wipes; copes with EC_KEY_SET_NULL. */
void ec_key_set_done(struct ec_key_set *set);

#define _cleanup_key_set_ _cleanup_(ec_key_set_done)

#endif
