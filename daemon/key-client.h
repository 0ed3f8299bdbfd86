/* SPDX-License-Identifier: GPL-2.0-only */
/* The requests to the key helper. docs/architecture.md, "broker to key helper". */
#ifndef ECD_KEY_CLIENT_H
#define ECD_KEY_CLIENT_H

#include "daemon/wire-client.h"
#include "lib/secret.h"

struct ecd_operation;

/* Each asks for the operation, on its account; secrets stay the caller's. 0 or negative errno. */
int ecd_key_open(struct ecd_operation *operation, const json_t *document,
		 const struct ec_secret *secret, ecd_reply_fn fn);
int ecd_key_open_legacy(struct ecd_operation *operation, const json_t *legacy,
			const struct ec_secret *secret, ecd_reply_fn fn);
int ecd_key_change(struct ecd_operation *operation, const json_t *document,
		   const struct ec_secret *old_secret, const struct ec_secret *new_secret,
		   ecd_reply_fn fn);
int ecd_key_change_legacy(struct ecd_operation *operation, const json_t *legacy,
			  const struct ec_secret *old_secret,
			  const struct ec_secret *new_secret, ecd_reply_fn fn);
int ecd_key_create(struct ecd_operation *operation, const struct ec_secret *secret,
		   ecd_reply_fn fn);

#endif
