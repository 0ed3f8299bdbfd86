/* SPDX-License-Identifier: GPL-2.0-only */
/* What derives from the vault key: the keys of the mount and the MAC of the document. */
#ifndef ECD_VAULT_KEY_H
#define ECD_VAULT_KEY_H

#include "helper/mount-keys.h"
#include "helper/reason.h"
#include "lib/secret.h"

#include <jansson.h>
#include <stdbool.h>

/* 64 new random bytes. 0, -ENOMEM, -EIO. */
int ecd_vault_key_generate(struct ec_secret *ret_key);
/* The content key, and the names key if names. ret holds them on success. 0, -ENOMEM, -EIO. */
int ecd_vault_key_mount_keys(const struct ec_secret *vault_key, bool names,
			     struct ecd_mount_keys *ret);
/* Sets "mac" of the document. 0, -EMSGSIZE, -ENOMEM, -EIO. */
int ecd_vault_key_sign(const struct ec_secret *vault_key, json_t *document);
/* 0, -EBADMSG if the document is not as it was signed, -ENOMEM, -EIO. */
int ecd_vault_key_verify(const struct ec_secret *vault_key, const json_t *document,
			 struct ecd_reason *reason);

#endif
