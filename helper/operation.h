/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The operations of the key helper, from request to reply; the socket is main.c's affair.
 * docs/architecture.md has the messages.
 */
#ifndef ECD_OPERATION_H
#define ECD_OPERATION_H

#include "helper/reason.h"
#include "lib/secret.h"
#include "lib/wire.h"

struct ecd_request {
	const json_t *body;
	struct ec_secret secrets[2];	/* in the order of the message; owned */
	unsigned int target_ms;		/* milliseconds that a new slot's derivation may take */
};

/* operation-vault.c, operation-legacy.c. reply->body is an empty object to fill; descriptors are
 * added by ecd_reply_add_secret(). Negative errno, with a reason where there is more to say. */
int ecd_operation_open(struct ecd_request *request, struct ec_wire_message *reply,
		       struct ecd_reason *reason);
int ecd_operation_create(struct ecd_request *request, struct ec_wire_message *reply,
			 struct ecd_reason *reason);
int ecd_operation_change(struct ecd_request *request, struct ec_wire_message *reply,
			 struct ecd_reason *reason);
int ecd_operation_open_legacy(struct ecd_request *request, struct ec_wire_message *reply,
			      struct ecd_reason *reason);
int ecd_operation_change_legacy(struct ecd_request *request, struct ec_wire_message *reply,
				struct ecd_reason *reason);

/* Appends a sealed memfd. 0 or a negative errno. */
int ecd_reply_add_secret(struct ec_wire_message *reply, const struct ec_secret *secret);
/* Sets a member of the reply; the reference to value (NULL: no memory) is taken. 0, -ENOMEM. */
int ecd_reply_set_new(struct ec_wire_message *reply, const char *name, json_t *value);

/**
 * ecd_operation_run() - do what a message asks for
 * @message:	the request; its descriptors are read, not taken
 * @target_ms:	as in struct ecd_request
 * @ret_reply:	to be sent and released; untouched on failure
 * @reason:	filled on failure where there is more to say than the errno
 *
 * Return: 0; -EPROTO (no such operation, wrong number of descriptors, malformed request,
 * a descriptor that is no sealed memfd); or what the operation returns.
 */
int ecd_operation_run(const struct ec_wire_message *message, unsigned int target_ms,
		      struct ec_wire_message *ret_reply, struct ecd_reason *reason);

#endif
