/* SPDX-License-Identifier: GPL-2.0-only */
/* The requests to the store. docs/architecture.md, "broker to store". */
#ifndef ECD_STORE_CLIENT_H
#define ECD_STORE_CLIENT_H

#include "daemon/wire-client.h"

struct ecd_operation;

/* body is taken over. 0 or negative errno. */
int ecd_store_ask(struct ecd_operation *operation, json_t *body, ecd_reply_fn fn);
/* The same for a look that may be left out: one disk that hangs must not hold up the answer about
 * all others. */
int ecd_store_look(struct ecd_operation *operation, json_t *body, ecd_reply_fn fn);
/* The first for owners that are no operations. */
int ecd_store_ask_for(struct ecd_manager *manager, struct ecd_request **slot, uid_t uid,
		      json_t *body, ecd_reply_fn fn, void *userdata);

#endif
