/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Change of a secret: read the document, let the key helper make the next one, write it. At each
 * point one of the two is on disk, whole.
 */
#include "daemon/flow.h"

#include "daemon/key-client.h"
#include "daemon/manager.h"
#include "daemon/store-client.h"
#include "daemon/vault.h"
#include "lib/log-ids.h"
#include "lib/log.h"
#include "lib/vault-document.h"

#include <errno.h>
#include <string.h>

static void start(struct ecd_operation *operation);

static void on_written(void *userdata, const struct ecd_failure *failure,
		       struct ec_wire_message *reply)
{
	struct ecd_operation *operation = userdata;
	struct ecd_vault *vault = operation->vault;

	/* Somebody else wrote in between: once more, with what stands there now. */
	if (failure && failure->r == -EBUSY && !operation->retried) {
		operation->retried = true;
		start(operation);
		return;
	}
	if (failure) {
		ecd_operation_fail(operation, failure);
		return;
	}
	if (vault->kind == ECD_VAULT_LEGACY)
		json_object_set(vault->legacy, "wrapped",
				json_object_get(operation->document, "wrapped"));
	else
		ecd_vault_set_document(vault, operation->document);
	if (operation->login)
		ecd_vault_clear_secret_stale(vault);
	if (operation->first_document)
		ecd_warn_of_backup(vault, "change");
	ec_log(LOG_INFO, EC_LOG_FIELDS(.message_id = EC_LOG_ID_SECRET_CHANGED, .vault = vault->id,
				       .operation = "change", .peer_uid = operation->uid),
	       "A slot of vault %s (%s) has a new secret", vault->name, vault->id);
	ecd_operation_finish(operation);
}

static int write_legacy(struct ecd_operation *operation, json_t *reply)
{
	const struct ecd_vault *vault = operation->vault;

	operation->document = json_incref(reply);
	return ecd_store_ask(operation, json_pack("{s:s, s:I, s:O, s:O}", "op", "write-legacy",
						  "uid", (json_int_t)vault->owner, "wrapped",
						  json_object_get(reply, "wrapped"), "expect",
						  json_object_get(vault->legacy, "wrapped")),
			     on_written);
}

static int write_document(struct ecd_operation *operation, json_t *document)
{
	const struct ecd_vault *vault = operation->vault;
	const json_t *before = operation->first_document ? operation->first_document :
			       vault->document;
	const char *reason;

	/* A helper that got it wrong must not be the end of a vault. */
	if (ec_vault_document_check(document, &reason) < 0 ||
	    strcmp(ec_vault_document_uuid(document), ec_vault_document_uuid(before)) ||
	    ec_vault_document_serial(document) != ec_vault_document_serial(before) + 1)
		return -EPROTO;
	operation->document = json_incref(document);
	return ecd_store_ask(operation, json_pack("{s:s, s:s, s:I, s:O, s:I, s:b}", "op", "write",
						  "lower", vault->lower, "owner",
						  (json_int_t)vault->owner, "document", document,
						  "expect_serial",
						  ec_vault_document_serial(vault->document),
						  "present_is_damaged",
						  operation->first_document != NULL), on_written);
}

static void on_changed(void *userdata, const struct ecd_failure *failure,
		       struct ec_wire_message *reply);

/* operation->failure is what is wrong with the document itself. See flow-unlock.c on why the one
 * before it may be used. */
static void on_backup_read(void *userdata, const struct ecd_failure *failure,
			   struct ec_wire_message *reply)
{
	struct ecd_operation *operation = userdata;
	json_t *backup = failure ? NULL : json_object_get(reply->body, "document");

	if (!backup || json_equal(backup, operation->vault->document)) {
		ecd_operation_finish(operation);
		return;
	}
	operation->from_backup = true;
	operation->first_document = json_incref(backup);
	if (ecd_key_change(operation, backup, &operation->secrets[0], &operation->new_secret,
			   on_changed) < 0)
		ecd_operation_finish(operation);
}

static void on_changed(void *userdata, const struct ecd_failure *failure,
		       struct ec_wire_message *reply)
{
	struct ecd_operation *operation = userdata;
	int r;

	if (failure) {
		if (failure->r == -EKEYREJECTED)
			ecd_count_wrong_secret(operation);
		/* Of the backup: it is the document itself that is damaged. */
		if (!operation->first_document)
			operation->failure = *failure;
		if (failure->r != -EBADMSG || ecd_ask_for_backup(operation, on_backup_read) < 0)
			ecd_operation_finish(operation);
		return;
	}
	operation->failure = (struct ecd_failure){ 0 };
	json_decref(operation->document);
	operation->document = NULL;
	r = operation->vault->kind == ECD_VAULT_LEGACY ? write_legacy(operation, reply->body) :
	    write_document(operation, json_object_get(reply->body, "document"));
	if (r < 0)
		ecd_operation_fail_text(operation, r, "the next document cannot be written: %s; the "
					"present one stays", strerror(-r));
}

static void refreshed(struct ecd_operation *operation)
{
	const struct ecd_vault *vault = operation->vault;
	int r;

	if (ecd_has_problem(operation))
		return;
	if (operation->login && vault->kind == ECD_VAULT_LEGACY &&
	    json_is_true(json_object_get(vault->legacy, "wrapping_independent"))) {
		operation->nothing = true;
		ecd_operation_finish(operation);
		return;
	}
	if (!ecd_may_try_secret(operation))
		return;
	r = vault->kind == ECD_VAULT_LEGACY ?
	    ecd_key_change_legacy(operation, vault->legacy, &operation->secrets[0],
				  &operation->new_secret, on_changed) :
	    ecd_key_change(operation, vault->document, &operation->secrets[0],
			   &operation->new_secret, on_changed);
	if (r < 0)
		ecd_operation_fail_text(operation, r, "cannot ask the key helper: %s", strerror(-r));
}

static void start(struct ecd_operation *operation)
{
	json_decref(operation->first_document);
	operation->first_document = NULL;
	ecd_refresh(operation, refreshed);
}

static bool may_cancel(const struct ecd_operation *operation)
{
	/* passwd(1) has set the login password by then: the slot has to follow. */
	return !operation->document && !operation->login;
}

const struct ecd_flow ecd_flow_change = { .start = start, .may_cancel = may_cancel };
