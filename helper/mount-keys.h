/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The keys that a mount needs, as the mount worker hands them to the kernel: an array of
 * struct ecfs_mount_key in locked memory. The content key is first; the names key, if there is
 * one, second. If both are the same key it stands there once.
 */
#ifndef ECD_MOUNT_KEYS_H
#define ECD_MOUNT_KEYS_H

#include "lib/kdf.h"
#include "lib/secret.h"

#include <jansson.h>

#define ECD_MOUNT_KEYS_MAX	2u
#define ECD_SIG_HEX_LEN		16u

struct ecd_mount_keys {
	struct ec_secret packed;	/* n_packed times struct ecfs_mount_key */
	size_t n_packed;
	size_t n_roles;			/* 1: content; 2: content and names */
	char sig_hex[ECD_MOUNT_KEYS_MAX][ECD_SIG_HEX_LEN + 1];
};

#define ECD_MOUNT_KEYS_NULL ((struct ecd_mount_keys){ .n_packed = 0 })

void ecd_mount_keys_done(struct ecd_mount_keys *keys);
/* Adds the next role's key, EC_S2K_KEY_LEN bytes with its signature. salt goes into the key
 * packets of files, where nobody reads it. 0, -ENOMEM, -EIO. */
int ecd_mount_keys_add(struct ecd_mount_keys *keys, const struct ec_secret *key,
		       const uint8_t sig[static EC_SIG_LEN],
		       const uint8_t salt[static EC_S2K_SALT_LEN]);
/* The role that comes next has the key of the role before. */
void ecd_mount_keys_add_same(struct ecd_mount_keys *keys);
/* [{"sig": hex, "role": "content"}, ...], new, or NULL. */
json_t *ecd_mount_keys_describe(const struct ecd_mount_keys *keys);

#define _cleanup_mount_keys_ _cleanup_(ecd_mount_keys_done)

#endif
