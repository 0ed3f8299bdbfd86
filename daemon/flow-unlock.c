/* SPDX-License-Identifier: GPL-2.0-only */
/* Unlock: read the document, try the secrets, mount. */
#include "daemon/flow.h"

#include "daemon/key-client.h"
#include "daemon/manager.h"
#include "daemon/peer.h"
#include "daemon/session.h"
#include "daemon/store-client.h"
#include "daemon/vault.h"
#include "lib/cleanup.h"
#include "lib/log-ids.h"
#include "lib/log.h"

#include <errno.h>
#include <string.h>

/*
 * PAM has checked the login password before: its guesses were counted elsewhere, and a user's own
 * failures must not keep the user out. That is so only where the login program is root.
 */
static bool is_trusted_login(const struct ecd_operation *operation)
{
	return operation->login && !operation->uid;
}

bool ecd_may_try_secret(struct ecd_operation *operation)
{
	const struct ecd_peer *peer = ecd_peer_get(&operation->manager->peers, operation->uid);

	if (is_trusted_login(operation) || (peer && ecd_peer_may_try(peer, ecd_now_us())))
		return true;
	ecd_operation_fail_text(operation, -EAGAIN, "there were %u wrong secrets within a minute",
				ECD_PEER_WRONG_MAX);
	return false;
}

void ecd_count_wrong_secret(struct ecd_operation *operation)
{
	struct ecd_peer *peer = ecd_peer_get(&operation->manager->peers, operation->uid);

	if (peer && !is_trusted_login(operation))
		ecd_peer_count_wrong(peer, ecd_now_us());
}

static void try_next_secret(struct ecd_operation *operation);

static void fail(struct ecd_operation *operation)
{
	ecd_operation_finish(operation);
}

/*
 * The password of the login opens the slot, so it is the present one. Not so right after a login
 * that it did not open: then PAM has asked for the old one, and changes the slot next. Until that is
 * done, the mark is needed; if it is not done, the next login asks again.
 */
static void clear_stale(const struct ecd_operation *operation)
{
	struct ecd_vault *vault = operation->vault;

	if (!operation->login)
		return;
	if (operation->n_tried == 1 && !vault->login_rejected)
		ecd_vault_clear_secret_stale(vault);
	vault->login_rejected = false;
}

static void mounted(struct ecd_operation *operation)
{
	struct ecd_vault *vault = operation->vault;
	struct ecd_manager *manager = operation->manager;

	operation->failure = (struct ecd_failure){ 0 };
	if (operation->mount_point)
		ecd_vault_set_target(vault, operation->mount_point);
	if (ecd_vault_is_of_home(vault)) {
		clear_stale(operation);
		/* Without a session there is no last session whose end would close it. */
		if (!operation->login && !ecd_sessions_count(manager, vault->owner))
			(void)ecd_flag_set(manager->config.run_dir, "keep", vault->id);
	}
	if (operation->from_backup)
		ecd_warn_of_backup(vault, "unlock");
	ec_log(LOG_INFO, EC_LOG_FIELDS(.message_id = EC_LOG_ID_VAULT_MOUNTED, .vault = vault->id,
				       .operation = "unlock", .source = operation->slot_type,
				       .key_sig = operation->key_sig, .peer_uid = operation->uid),
	       "Vault %s (%s) is open at %s", vault->name, vault->id, ecd_vault_target(vault));
	ecd_operation_finish(operation);
}

/* The slot gave its keys. */
static void opened(struct ecd_operation *operation, struct ec_wire_message *reply)
{
	const json_t *key = json_array_get(json_object_get(reply->body, "keys"), 0);
	const char *sig = json_string_value(json_object_get(key, "sig")), *type = "legacy";
	json_int_t slot = 0;
	size_t i;

	if (operation->vault->kind != ECD_VAULT_LEGACY)
		(void)json_unpack(reply->body, "{s:I, s:s}", "slot", &slot, "type", &type);
	if (ec_wire_take_fd(reply, 0, &operation->keys_fd) < 0) {
		ecd_operation_fail_text(operation, -EPROTO, "the key helper sent no keys");
		return;
	}
	operation->slot = slot;
	snprintf(operation->slot_type, sizeof(operation->slot_type), "%s", type);
	snprintf(operation->key_sig, sizeof(operation->key_sig), "%s", sig ? sig : "");
	for (i = 0; i < operation->n_secrets; i++)
		ec_secret_done(&operation->secrets[i]);
	ecd_mount_begin(operation, mounted, fail);
}

/*
 * The backup
 *
 * A document that was altered mostly shows that only when a secret has opened one of its slots: its
 * MAC is wrong then. The document before it is tried with this secret and with no other, and has a
 * MAC, too, which has to be right. A secret that was changed or taken away since gets a plain
 * WrongSecret from a document that is whole, and that is no damage. This is no new way back to an
 * older document either: who can damage the present one can as well put the older one in its place.
 */

/* operation->failure is what is wrong with the document itself. */
static void damaged(struct ecd_operation *operation)
{
	ecd_vault_set_problem(operation->vault, operation->failure.r, operation->failure.text);
	ecd_operation_finish(operation);
}

static void on_backup_opened(void *userdata, const struct ecd_failure *failure,
			     struct ec_wire_message *reply)
{
	struct ecd_operation *operation = userdata;

	if (failure) {
		damaged(operation);
		return;
	}
	operation->failure = (struct ecd_failure){ 0 };
	operation->from_backup = true;
	ecd_vault_set_document(operation->vault, operation->document);
	opened(operation, reply);
}

static void on_backup_read(void *userdata, const struct ecd_failure *failure,
			   struct ec_wire_message *reply)
{
	struct ecd_operation *operation = userdata;
	json_t *backup = failure ? NULL : json_object_get(reply->body, "document");

	if (!backup || json_equal(backup, operation->document)) {
		damaged(operation);
		return;
	}
	json_decref(operation->document);
	operation->document = json_incref(backup);
	if (ecd_key_open(operation, backup, &operation->secrets[operation->n_tried - 1],
			 on_backup_opened) < 0)
		damaged(operation);
}

static void try_backup(struct ecd_operation *operation)
{
	if (ecd_ask_for_backup(operation, on_backup_read) < 0)
		damaged(operation);
}

static void on_opened(void *userdata, const struct ecd_failure *failure,
		      struct ec_wire_message *reply)
{
	struct ecd_operation *operation = userdata;

	if (failure && failure->r == -EKEYREJECTED) {
		ecd_count_wrong_secret(operation);
		try_next_secret(operation);
	} else if (failure && failure->r == -EBADMSG) {
		operation->failure = *failure;
		try_backup(operation);
	} else if (failure) {
		ecd_operation_fail(operation, failure);
	} else {
		opened(operation, reply);
	}
}

static void no_secret_left(struct ecd_operation *operation)
{
	struct ecd_vault *vault = operation->vault;

	if (!operation->n_secrets) {
		ecd_operation_fail_text(operation, -ENOKEY, "this login brought no password that "
					"could open it");
		return;
	}
	if (!ecd_vault_secret_is_stale(vault)) {
		ecd_operation_fail_text(operation, -EKEYREJECTED, "the secret fits none of its slots");
		return;
	}
	vault->login_rejected = vault->login_rejected || operation->login;
	ecd_operation_fail_text(operation, -EKEYREJECTED, "the login password was set by an "
				"administrator, and the vault still has the one before");
}

static void try_next_secret(struct ecd_operation *operation)
{
	const struct ecd_vault *vault = operation->vault;
	const struct ec_secret *secret;
	int r;

	if (operation->n_tried >= operation->n_secrets) {
		no_secret_left(operation);
		return;
	}
	if (!ecd_may_try_secret(operation))
		return;
	secret = &operation->secrets[operation->n_tried++];
	json_decref(operation->document);
	operation->document = json_incref(vault->document);
	r = vault->kind == ECD_VAULT_LEGACY ?
	    ecd_key_open_legacy(operation, vault->legacy, secret, on_opened) :
	    ecd_key_open(operation, vault->document, secret, on_opened);
	if (r < 0)
		ecd_operation_fail_text(operation, r, "cannot ask the key helper: %s", strerror(-r));
}

static bool legacy_flag(const struct ecd_vault *vault, const char *name)
{
	return json_is_true(json_object_get(vault->legacy, name));
}

static void refreshed(struct ecd_operation *operation)
{
	struct ecd_vault *vault = operation->vault;

	if (ecd_has_problem(operation))
		return;
	if (vault->kind == ECD_VAULT_LEGACY && operation->login) {
		if (!legacy_flag(vault, "auto_mount")) {
			operation->nothing = true;
			ecd_operation_finish(operation);
			return;
		}
		if (legacy_flag(vault, "wrapping_independent")) {
			ecd_operation_fail_text(operation, -ENOKEY, "it has a passphrase of its own, "
						"which is not the login password");
			return;
		}
	}
	try_next_secret(operation);
}

static void start(struct ecd_operation *operation)
{
	if (operation->vault->mounted)
		ecd_operation_fail_text(operation, -EALREADY, "it is open at %s",
					ecd_vault_target(operation->vault));
	else
		ecd_refresh(operation, refreshed);
}

static bool may_cancel(const struct ecd_operation *operation)
{
	/* Once the unit starts, its end is awaited. A login has more than one to wait for it. */
	return !operation->job && !operation->login;
}

const struct ecd_flow ecd_flow_unlock = { .start = start, .may_cancel = may_cancel };
