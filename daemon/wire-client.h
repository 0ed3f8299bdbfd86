/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One request to a key helper or the store, and its one reply, without ever waiting: connecting,
 * sending and receiving each go on when the socket is ready, against one deadline.
 */
#ifndef ECD_WIRE_CLIENT_H
#define ECD_WIRE_CLIENT_H

#include "lib/wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

struct ecd_failure;
struct ecd_manager;
struct ecd_request;

/*
 * Called once, unless the request is freed before. failure is NULL on success, and reply is
 * then the callee's to take from. The request has been freed and its pointer cleared.
 */
typedef void (*ecd_reply_fn)(void *userdata, const struct ecd_failure *failure,
			     struct ec_wire_message *reply);

struct ecd_service {
	const char *socket_name;	/* below run_dir */
	const char *title;		/* "the key helper" */
	const char *message_id;		/* of its failures */
	uint64_t timeout_us;		/* from the start of its own work on */
	bool limited;			/* runs only few at a time, and in turn */
};

/*
 * body and the fds are taken over, also on failure. *slot holds the request while it is
 * pending and is cleared before fn is called; fn is never called before this returns.
 */
int ecd_request_start(struct ecd_manager *manager, struct ecd_request **slot,
		      const struct ecd_service *service, uid_t uid, json_t *body, const int *fds,
		      size_t n_fds, ecd_reply_fn fn, void *userdata);
/* Gives up a pending request; copes with NULL. */
void ecd_request_free(struct ecd_request *request);
/* At the end: forgets those that were given up and still take a place. */
void ecd_requests_done(struct ecd_manager *manager);

#endif
