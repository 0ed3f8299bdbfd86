/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages to the store: no secret, no descriptor. */
#include "daemon/store-client.h"

#include "daemon/operation.h"
#include "lib/log-ids.h"

#define STORE(seconds) {					\
	.socket_name = "store.socket",			\
	.title = "the store",				\
	.message_id = EC_LOG_ID_STORE_FAILED,		\
	.timeout_us = (seconds) * UINT64_C(1000000),	\
}

static const struct ecd_service store = STORE(10u);
static const struct ecd_service store_in_passing = STORE(3u);

int ecd_store_ask_for(struct ecd_manager *manager, struct ecd_request **slot, uid_t uid,
		      json_t *body, ecd_reply_fn fn, void *userdata)
{
	return ecd_request_start(manager, slot, &store, uid, body, NULL, 0, fn, userdata);
}

int ecd_store_look(struct ecd_operation *operation, json_t *body, ecd_reply_fn fn)
{
	return ecd_request_start(operation->manager, &operation->request, &store_in_passing,
				 operation->uid, body, NULL, 0, fn, operation);
}

int ecd_store_ask(struct ecd_operation *operation, json_t *body, ecd_reply_fn fn)
{
	return ecd_store_ask_for(operation->manager, &operation->request, operation->uid, body, fn,
				 operation);
}
