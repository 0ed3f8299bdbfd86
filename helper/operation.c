/* SPDX-License-Identifier: GPL-2.0-only */
/* From message to operation: the table, the secrets, the reply. */
#include "helper/operation.h"

#include "helper/json-bytes.h"
#include "lib/secret.h"

#include <errno.h>
#include <string.h>

typedef int (*operation_fn)(struct ecd_request *request, struct ec_wire_message *reply,
			    struct ecd_reason *reason);

static const struct operation {
	const char *name;
	size_t n_secrets;
	operation_fn run;
} operations[] = {
	{ "open", 1, ecd_operation_open },
	{ "create", 1, ecd_operation_create },
	{ "change", 2, ecd_operation_change },
	{ "open-legacy", 1, ecd_operation_open_legacy },
	{ "change-legacy", 2, ecd_operation_change_legacy },
};

static const struct operation *find_operation(const json_t *body)
{
	const char *name = json_string_value(json_object_get(body, "op"));
	size_t i;

	for (i = 0; name && i < sizeof(operations) / sizeof(operations[0]); i++)
		if (!strcmp(operations[i].name, name))
			return &operations[i];
	return NULL;
}

static void request_done(struct ecd_request *request)
{
	ec_secret_done(&request->secrets[0]);
	ec_secret_done(&request->secrets[1]);
}

int ecd_reply_add_secret(struct ec_wire_message *reply, const struct ec_secret *secret)
{
	int r;

	if (reply->n_fds == EC_WIRE_FDS_MAX)
		return -EINVAL;
	r = ec_secret_to_memfd(secret, &reply->fds[reply->n_fds]);
	if (r == 0)
		reply->n_fds++;
	return r;
}

int ecd_reply_set_new(struct ec_wire_message *reply, const char *name, json_t *value)
{
	return json_object_set_new(reply->body, name, value) < 0 ? -ENOMEM : 0;
}

int ecd_operation_run(const struct ec_wire_message *message, unsigned int target_ms,
		      struct ec_wire_message *ret_reply, struct ecd_reason *reason)
{
	_cleanup_(request_done) struct ecd_request request = {
		.body = message->body,
		.target_ms = target_ms,
	};
	_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
	const struct operation *operation = find_operation(message->body);
	size_t i;
	int r;

	if (!operation)
		return ecd_fail(reason, -EPROTO, "the key helper knows no such operation");
	if (message->n_fds != operation->n_secrets)
		return ecd_fail(reason, -EPROTO, "%s takes %zu secrets, not %zu", operation->name,
				operation->n_secrets, message->n_fds);
	for (i = 0; i < operation->n_secrets; i++) {
		r = ec_secret_from_memfd(&request.secrets[i], message->fds[i]);
		if (r == -EBADF)
			return ecd_fail(reason, -EPROTO, "a secret is not a sealed memfd of at "
					"most %u bytes", EC_SECRET_LEN_MAX);
		if (r < 0)
			return r;
	}

	reply.body = json_object();
	if (!reply.body)
		return -ENOMEM;
	r = operation->run(&request, &reply, reason);
	if (r < 0)
		return r;
	*ret_reply = reply;
	reply = EC_WIRE_MESSAGE_NULL;
	return 0;
}
