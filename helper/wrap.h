/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Wrapping the vault key under what a slot type derived: AES-256-GCM with the slot's parameters
 * as associated data, and a commitment to the wrapping key beside it. The commitment is compared
 * first, in constant time: GCM alone lets one ciphertext open under two keys.
 */
#ifndef ECD_WRAP_H
#define ECD_WRAP_H

#include "helper/reason.h"
#include "lib/secret.h"

#include <jansson.h>

#define ECD_ROOT_LEN 32u	/* bytes that a slot type derives from its secret */

/* len random bytes of the kernel. 0, -EIO. */
int ecd_random(void *ret, size_t len);
/* Sets "wrapped" and "commitment" of slot, whose id, type and kdf stand already. key is
 * EC_VAULT_KEY_LEN bytes. 0, -ENOMEM, -EIO. */
int ecd_wrap_seal(const char *uuid, json_t *slot, const struct ec_secret *root,
		  const struct ec_secret *key);
/* 0, -EKEYREJECTED (the commitment is to another key), -EBADMSG, -ENOMEM, -EIO. */
int ecd_wrap_open(const char *uuid, const json_t *slot, const struct ec_secret *root,
		  struct ec_secret *ret_key, struct ecd_reason *reason);

#endif
