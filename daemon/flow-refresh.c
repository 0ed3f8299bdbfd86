/* SPDX-License-Identifier: GPL-2.0-only */
/* The first step of most operations: what does the store say about the vault now? */
#include "daemon/flow.h"

#include "daemon/manager.h"
#include "daemon/store-client.h"
#include "daemon/vault.h"
#include "lib/log-ids.h"
#include "lib/log.h"

#include <errno.h>
#include <string.h>

static void note_backup(struct ecd_operation *operation, const json_t *reply)
{
	operation->from_backup = json_is_true(json_object_get(reply, "from_backup"));
}

static void on_probe(void *userdata, const struct ecd_failure *failure,
		     struct ec_wire_message *reply)
{
	struct ecd_operation *operation = userdata;
	struct ecd_vault *vault;
	int r;

	if (failure) {
		ecd_operation_fail(operation, failure);
		return;
	}
	note_backup(operation, reply->body);
	r = ecd_vault_update_home(operation->manager, reply->body, &vault);
	if (r < 0)
		ecd_operation_fail_text(operation, r, "the store answered something unintelligible");
	else if (!vault || vault != operation->vault)
		ecd_operation_fail_text(operation, -ENOENT, "it has gone");
	else
		operation->next(operation);
}

static void on_read(void *userdata, const struct ecd_failure *failure,
		    struct ec_wire_message *reply)
{
	struct ecd_operation *operation = userdata;

	if (failure) {
		if (failure->r == -ENOENT || failure->r == -EBADMSG || failure->r == -ELOOP)
			ecd_vault_set_problem(operation->vault, failure->r, failure->text);
		ecd_operation_fail(operation, failure);
		return;
	}
	note_backup(operation, reply->body);
	ecd_vault_set_document(operation->vault, json_object_get(reply->body, "document"));
	operation->next(operation);
}

json_t *ecd_read_request(const struct ecd_vault *vault)
{
	return json_pack("{s:s, s:s, s:I}", "op", "read", "lower", vault->lower, "owner",
			 (json_int_t)vault->owner);
}

int ecd_ask_for_backup(struct ecd_operation *operation, ecd_reply_fn fn)
{
	json_t *request;

	if (operation->from_backup || operation->vault->kind == ECD_VAULT_LEGACY)
		return -ENOENT;
	request = ecd_read_request(operation->vault);
	if (request)
		json_object_set_new(request, "backup", json_true());
	return ecd_store_ask(operation, request, fn);
}

void ecd_warn_of_backup(const struct ecd_vault *vault, const char *operation)
{
	ec_log(LOG_WARNING, EC_LOG_FIELDS(.message_id = EC_LOG_ID_DOCUMENT_DAMAGED,
					  .vault = vault->id, .operation = operation),
	       "The document of vault %s (%s) in %s is missing, damaged or was altered: the one before it, with .bak, has opened the vault",
	       vault->name, vault->id, vault->lower);
}

json_t *ecd_refresh_request(const struct ecd_vault *vault)
{
	if (ecd_vault_is_of_home(vault))
		return json_pack("{s:s, s:I}", "op", "probe-home", "uid", (json_int_t)vault->owner);
	return ecd_read_request(vault);
}

void ecd_refresh(struct ecd_operation *operation, void (*next)(struct ecd_operation *operation))
{
	int r;

	operation->next = next;
	r = ecd_store_ask(operation, ecd_refresh_request(operation->vault),
			  ecd_vault_is_of_home(operation->vault) ? on_probe : on_read);
	if (r < 0)
		ecd_operation_fail_text(operation, r, "cannot ask the store: %s", strerror(-r));
}

bool ecd_has_problem(struct ecd_operation *operation)
{
	const struct ecd_vault *vault = operation->vault;

	if (!vault->problem_error)
		return false;
	ecd_operation_fail_text(operation, vault->problem_error, "%s", vault->problem);
	return true;
}
