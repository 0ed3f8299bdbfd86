/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages to the key helper. Secrets go as sealed memfds made for this one message. */
#include "daemon/key-client.h"

#include "daemon/operation.h"
#include "daemon/vault.h"
#include "lib/cleanup.h"
#include "lib/hex.h"
#include "lib/log-ids.h"

#include <errno.h>
#include <sys/random.h>

static const struct ecd_service key_helper = {
	.socket_name = "key-helper.socket",
	.title = "the key helper",
	.message_id = EC_LOG_ID_HELPER_FAILED,
	.timeout_us = 60u * UINT64_C(1000000),
	.limited = true,
};

/* Whose work it is: a login runs as root, and what it costs is in the document of its user. */
static uid_t account_of(const struct ecd_operation *operation)
{
	return operation->login && operation->vault ? operation->vault->owner : operation->uid;
}

static int ask(struct ecd_operation *operation, json_t *body, const struct ec_secret *const *secrets,
	       size_t n_secrets, ecd_reply_fn fn)
{
	int fds[2] = { -1, -1 }, r = 0;
	size_t i;

	for (i = 0; i < n_secrets && r >= 0; i++)
		r = ec_secret_to_memfd(secrets[i], &fds[i]);
	if (r < 0 || !body) {
		for (i = 0; i < n_secrets; i++)
			ec_closep(&fds[i]);
		json_decref(body);
		return r < 0 ? r : -ENOMEM;
	}
	return ecd_request_start(operation->manager, &operation->request, &key_helper,
				 account_of(operation), body, fds, n_secrets, fn, operation);
}

static json_t *with_slot(json_t *body, json_int_t slot)
{
	if (body && slot >= 0)
		json_object_set_new(body, "slot", json_integer(slot));
	return body;
}

int ecd_key_open(struct ecd_operation *operation, const json_t *document,
		 const struct ec_secret *secret, ecd_reply_fn fn)
{
	json_t *body = json_pack("{s:s, s:O}", "op", "open", "document", document);

	return ask(operation, with_slot(body, operation->slot_wanted), &secret, 1, fn);
}

static json_t *legacy_body(const char *op, const json_t *legacy)
{
	/* With the signatures, so that a passphrase of another vault is noticed. */
	json_t *body = json_pack("{s:s, s:O, s:O}", "op", op, "wrapped",
				 json_object_get(legacy, "wrapped"), "sigs",
				 json_object_get(legacy, "sigs"));
	json_t *salt = json_object_get(legacy, "v1_salt");

	if (body && salt)
		json_object_set(body, "v1_salt", salt);
	return body;
}

int ecd_key_open_legacy(struct ecd_operation *operation, const json_t *legacy,
			const struct ec_secret *secret, ecd_reply_fn fn)
{
	return ask(operation, legacy_body("open-legacy", legacy), &secret, 1, fn);
}

int ecd_key_change(struct ecd_operation *operation, const json_t *document,
		   const struct ec_secret *old_secret, const struct ec_secret *new_secret,
		   ecd_reply_fn fn)
{
	const struct ec_secret *const secrets[] = { old_secret, new_secret };
	json_t *body = json_pack("{s:s, s:O}", "op", "change", "document", document);

	return ask(operation, with_slot(body, operation->slot_wanted), secrets, 2, fn);
}

int ecd_key_change_legacy(struct ecd_operation *operation, const json_t *legacy,
			  const struct ec_secret *old_secret,
			  const struct ec_secret *new_secret, ecd_reply_fn fn)
{
	const struct ec_secret *const secrets[] = { old_secret, new_secret };

	return ask(operation, legacy_body("change-legacy", legacy), secrets, 2, fn);
}

/* A random uuid: RFC 4122, 4.4. ret holds 37 bytes. */
static int new_uuid(char ret[static 37])
{
	uint8_t bytes[16];
	char hex[33];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -EIO;
	bytes[6] = (bytes[6] & 0x0f) | 0x40;
	bytes[8] = (bytes[8] & 0x3f) | 0x80;
	ec_hex_encode(hex, bytes, sizeof(bytes));
	snprintf(ret, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
	return 0;
}

int ecd_key_create(struct ecd_operation *operation, const struct ec_secret *secret,
		   ecd_reply_fn fn)
{
	const struct ecd_create_options *create = &operation->create;
	json_t *options = json_pack("{s:b}", "names", create->names);
	json_t *slots = json_pack("[s]", "passphrase");
	char uuid[37];
	int r;

	r = new_uuid(uuid);
	if (r < 0)
		return r;
	if (create->cipher)
		json_object_set_new(options, "cipher", json_string(create->cipher));
	if (create->key_bytes)
		json_object_set_new(options, "key_bytes", json_integer(create->key_bytes));
	if (create->recovery)
		json_array_append_new(slots, json_string("recovery"));
	return ask(operation,
		   json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:s}", "op", "create", "uuid", uuid,
			     "name", create->name, "kind", create->home ? "home" : "directory",
			     "options", options, "slots", slots, "label",
			     create->label ? create->label : ""),
		   &secret, 1, fn);
}
