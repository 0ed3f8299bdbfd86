/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Create: keys and document by the key helper, directories by the store, and for a home the
 * worker copies in what it holds. Whatever fails until the worker has put the closed home in the
 * place of the present one, what was made is taken away again, and the present home is as it was;
 * so it is when the caller goes away. From there on the vault stays.
 *
 * The recovery slot comes with the last step, when its key is about to be sent: until then, and
 * for ever if nobody waits for the reply any more, the document on disk has none. A slot whose
 * key nobody got would look like a way back to files that are lost.
 */
#include "daemon/flow.h"

#include "daemon/key-client.h"
#include "daemon/logind.h"
#include "daemon/manager.h"
#include "daemon/session.h"
#include "daemon/store-client.h"
#include "daemon/units.h"
#include "daemon/vault.h"
#include "lib/cleanup.h"
#include "lib/log-ids.h"
#include "lib/log.h"
#include "lib/vault-document.h"

#include <errno.h>
#include <string.h>

#define STOP_TIMEOUT_US (60u * UINT64_C(1000000))
/* The broker remembers each for ever, and its memory is everybody's. */
#define DIRECTORIES_MAX 256u

static bool has_recovery(const struct ecd_operation *operation)
{
	return operation->first_document != operation->document;
}

static void created(struct ecd_operation *operation)
{
	const struct ecd_vault *vault = operation->vault;

	ec_log(LOG_INFO, EC_LOG_FIELDS(.message_id = EC_LOG_ID_VAULT_CREATED, .vault = vault->id,
				       .operation = "create", .peer_uid = operation->uid),
	       "Vault %s (%s) was created, its files are in %s", vault->name, vault->id,
	       vault->lower);
	if (operation->problem)
		ec_log(LOG_WARNING, EC_LOG_FIELDS(.message_id = EC_LOG_ID_MOUNT_FAILED,
						  .vault = vault->id, .operation = "create",
						  .error = operation->problem_error),
		       "The new vault %s (%s) has a problem: %s", vault->name, vault->id,
		       operation->problem);
	if (operation->abandoned && has_recovery(operation))
		ec_log(LOG_WARNING, EC_LOG_FIELDS(.message_id = EC_LOG_ID_NO_RECOVERY_KEY,
						  .vault = vault->id, .operation = "create",
						  .peer_uid = operation->uid),
		       "Vault %s (%s) has no recovery key: its caller was gone before it could be handed over, so the slot was left out",
		       vault->name, vault->id);
	ecd_operation_finish(operation);
}

/*
 * Undo
 */

static void stays(struct ecd_operation *operation);

static void end_failed(struct ecd_operation *operation)
{
	struct ecd_vault *vault = operation->vault;

	/* Whoever waits on it for a turn is given one, and finds out. */
	if (vault && ecd_vault_is_of_home(vault) && !vault->mounted &&
	    TAILQ_FIRST(&vault->operations) == operation && !TAILQ_NEXT(operation, vault_link)) {
		TAILQ_REMOVE(&vault->operations, operation, vault_link);
		operation->vault = NULL;
		ecd_vault_free(vault);
	}
	ecd_operation_finish(operation);
}

static void on_removed(void *userdata, const struct ecd_failure *failure,
		       struct ec_wire_message *reply)
{
	struct ecd_operation *operation = userdata;

	if (!failure && operation->vault &&
	    json_is_true(json_object_get(reply->body, "complete"))) {
		stays(operation);
		return;
	}
	if (failure)
		ec_log_warning("what a failed creation left cannot be removed: %s; ignoring",
			       failure->text);
	end_failed(operation);
}

/* operation->failure says why. */
static void undo(struct ecd_operation *operation)
{
	const struct ecd_create_options *create = &operation->create;
	json_t *body;

	if (!operation->undo) {
		end_failed(operation);
		return;
	}
	operation->undo = false;
	body = create->home ?
	       json_pack("{s:s, s:s}", "op", "remove-created", "user", create->user) :
	       json_pack("{s:s, s:s, s:I}", "op", "remove-created", "lower", create->lower,
			 "owner", (json_int_t)operation->uid);
	if (ecd_store_ask(operation, body, on_removed) < 0)
		end_failed(operation);
}

static void fail(struct ecd_operation *operation, const struct ecd_failure *failure)
{
	operation->failure = *failure;
	undo(operation);
}

__attribute__((format(printf, 3, 4)))
static void fail_text(struct ecd_operation *operation, int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	ecd_failv(&operation->failure, r, NULL, format, args);
	va_end(args);
	undo(operation);
}

/*
 * Home: import, close, commit
 */

static void commit(struct ecd_operation *operation, json_t *document);

/* The caller is told so, and has no key that opens nothing. */
static void lose_recovery(struct ecd_operation *operation, const struct ecd_failure *failure)
{
	_cleanup_secret_ struct ec_secret none = EC_SECRET_NULL;

	ec_closep(&operation->recovery_fd);
	if (ec_secret_init(&none, 0) < 0 ||
	    ec_secret_to_memfd(&none, &operation->recovery_fd) < 0)
		ec_log_error("out of memory, the creation of a vault cannot be answered");
	ecd_vault_set_document(operation->vault, operation->first_document);
	free(operation->problem);
	operation->problem_error = failure->r;
	if (asprintf(&operation->problem, "its recovery key could not be stored: %s",
		     failure->text) < 0)
		operation->problem = NULL;
}

static void on_committed(void *userdata, const struct ecd_failure *failure,
			 struct ec_wire_message *reply)
{
	struct ecd_operation *operation = userdata;

	/* Nothing is undone now. A marker that is left is taken for what it is, as the old home is
	 * aside. */
	if (failure)
		ec_log_warning("the last step of a creation failed: %s; ignoring", failure->text);
	/* Gone in just this moment. */
	if (operation->abandoned && operation->recovery_sent) {
		commit(operation, operation->first_document);
		return;
	}
	if (failure && operation->recovery_sent)
		lose_recovery(operation, failure);
	created(operation);
}

/* With what is to stand on disk; NULL: what stands there. */
static void commit(struct ecd_operation *operation, json_t *document)
{
	json_t *body = json_pack("{s:s, s:s, s:O*}", "op", "commit-home", "user",
				 operation->create.user, "document", document);

	struct ecd_failure failure;

	operation->recovery_sent = document && document != operation->first_document;
	if (document)
		ecd_vault_set_document(operation->vault, document);
	if (ecd_store_ask(operation, body, on_committed) >= 0)
		return;
	ecd_fail(&failure, -ENOMEM, NULL, "out of memory");
	if (operation->recovery_sent)
		lose_recovery(operation, &failure);
	created(operation);
}

static void finish_home(struct ecd_operation *operation)
{
	commit(operation, operation->abandoned || !has_recovery(operation) ? NULL :
	       operation->document);
}

static void on_closed(void *userdata, int r, const char *text)
{
	struct ecd_operation *operation = userdata;

	/* Open or not, the home is complete; the end of the user's first session closes it. */
	operation->deadline = sd_event_source_disable_unref(operation->deadline);
	ecd_vault_scan_mounts(operation->manager);
	finish_home(operation);
}

static int on_close_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ecd_operation *operation = userdata;

	ecd_job_free(operation->job);
	finish_home(operation);
	return 0;
}

/* A home that was just made is closed, as after every logout: the next login opens it. */
static void imported(struct ecd_operation *operation)
{
	_cleanup_free_ char *unit = ecd_mount_unit(operation->vault);

	operation->failure = (struct ecd_failure){ 0 };
	operation->undo = false;
	operation->import_plan = false;
	if (!unit || ecd_job_start(operation->manager, &operation->job, "StopUnit", unit, on_closed,
				   operation) < 0 ||
	    ecd_operation_set_deadline(operation, STOP_TIMEOUT_US, on_close_timeout) < 0)
		finish_home(operation);
}

/*
 * The worker failed after it had put the closed home in place: the files are in the vault, and
 * the caller gets what belongs to it, the recovery key before all.
 */
static void stays(struct ecd_operation *operation)
{
	operation->problem_error = operation->failure.r;
	if (asprintf(&operation->problem, "it could not be opened: %s", operation->failure.text) < 0)
		operation->problem = NULL;
	operation->failure = (struct ecd_failure){ 0 };
	finish_home(operation);
}

static void import_failed(struct ecd_operation *operation)
{
	undo(operation);
}

static bool is_abandoned(struct ecd_operation *operation)
{
	if (operation->abandoned)
		fail_text(operation, -ECANCELED, "the caller is gone");
	return operation->abandoned;
}

static bool user_is_busy(struct ecd_operation *operation, uid_t uid)
{
	unsigned int n = ecd_sessions_count(operation->manager, uid);

	if (!n)
		return false;
	fail_text(operation, -EBUSY, "user %s is logged in (%u session%s); files that change while "
		  "they are copied would be lost", operation->create.user, n, n == 1 ? "" : "s");
	return true;
}

static int set_kept(struct ecd_operation *operation, const struct ecd_vault *vault)
{
	const char *end = strrchr(vault->lower, '/');

	return asprintf(&operation->kept, "%.*s/home-before-encryption",
			(int)(end - vault->lower), vault->lower) < 0 ? -ENOMEM : 0;
}

static void on_home_created(void *userdata, const struct ecd_failure *failure,
			    struct ec_wire_message *reply)
{
	struct ecd_operation *operation = userdata;
	const char *lower, *mount_point, *user;
	struct ecd_vault *vault;
	int has_files, r;
	json_int_t uid;
	json_t *probe;

	if (failure) {
		fail(operation, failure);
		return;
	}
	operation->undo = true;
	if (json_unpack(reply->body, "{s:s, s:s, s:b, s:I, s:s}", "lower", &lower, "mount_point",
			&mount_point, "has_files", &has_files, "uid", &uid, "user", &user) < 0) {
		fail_text(operation, -EPROTO, "the store answered something unintelligible");
		return;
	}
	if (is_abandoned(operation) || (has_files && user_is_busy(operation, (uid_t)uid)))
		return;
	vault = ecd_vault_find_home(operation->manager, (uid_t)uid);
	if (vault && !ecd_vault_is_idle(vault)) {
		fail_text(operation, -EBUSY, "another operation on the home of %s is under way", user);
		return;
	}
	probe = json_pack("{s:I, s:s, s:s, s:s, s:s, s:O}", "uid", uid, "found", "vault", "user", user,
			  "lower", lower, "mount_point", mount_point, "document",
			  operation->first_document);
	r = probe ? ecd_vault_update_home(operation->manager, probe, &vault) : -ENOMEM;
	json_decref(probe);
	if (r < 0) {
		fail_text(operation, r, "out of memory");
		return;
	}
	ecd_operation_bind(operation, vault);
	operation->import_plan = true;
	if (has_files && set_kept(operation, vault) < 0) {
		fail_text(operation, -ENOMEM, "out of memory");
		return;
	}
	ecd_mount_begin(operation, imported, import_failed);
}

/*
 * Directory
 */

static void on_directory_created(void *userdata, const struct ecd_failure *failure,
				 struct ec_wire_message *reply)
{
	struct ecd_operation *operation = userdata;
	const struct ecd_create_options *create = &operation->create;
	struct ecd_vault *vault = NULL;

	if (failure) {
		fail(operation, failure);
		return;
	}
	operation->undo = true;
	if (is_abandoned(operation))
		return;
	if (ecd_vault_register_directory(operation->manager,
					 ec_vault_document_uuid(operation->document),
					 operation->uid, create->name, create->lower,
					 create->mount_point, &vault, &operation->failure) < 0) {
		undo(operation);
		return;
	}
	ecd_vault_set_document(vault, operation->document);
	ecd_operation_bind(operation, vault);
	created(operation);
}

static int take_documents(struct ecd_operation *operation, struct ec_wire_message *reply)
{
	json_t *document = json_object_get(reply->body, "document");
	json_t *first = json_object_get(reply->body, "without_recovery");

	if (operation->create.recovery != (first != NULL) ||
	    ec_vault_document_check(document, NULL) < 0 ||
	    (first && ec_vault_document_check(first, NULL) < 0) ||
	    ec_wire_take_fd(reply, 0, &operation->keys_fd) < 0 ||
	    ec_wire_take_fd(reply, 1, &operation->recovery_fd) < 0)
		return -EPROTO;
	operation->document = json_incref(document);
	operation->first_document = json_incref(first ? first : document);
	return 0;
}

static void on_keys_made(void *userdata, const struct ecd_failure *failure,
			 struct ec_wire_message *reply)
{
	struct ecd_operation *operation = userdata;
	const struct ecd_create_options *create = &operation->create;
	int r;

	if (failure) {
		fail(operation, failure);
		return;
	}
	if (take_documents(operation, reply) < 0) {
		fail_text(operation, -EPROTO, "the key helper answered something unintelligible");
		return;
	}
	/* Copying a home may take hours, and nobody needs it any more. */
	ec_secret_done(&operation->secrets[0]);
	if (create->home)
		r = ecd_store_ask(operation, json_pack("{s:s, s:s, s:O}", "op", "create-home", "user",
						       create->user, "document",
						       operation->first_document),
				  on_home_created);
	else
		r = ecd_store_ask(operation,
				  json_pack("{s:s, s:s, s:s, s:I, s:O}", "op", "create-directory",
					    "lower", create->lower, "mount_point",
					    create->mount_point, "owner",
					    (json_int_t)operation->uid, "document",
					    operation->document),
				  on_directory_created);
	if (r < 0)
		fail_text(operation, r, "cannot ask the store: %s", strerror(-r));
}

static void make_keys(struct ecd_operation *operation)
{
	int r;

	r = ecd_key_create(operation, &operation->secrets[0], on_keys_made);
	if (r < 0)
		fail_text(operation, r, "cannot ask the key helper: %s", strerror(-r));
}

/* Says no before anybody waits for the key derivation. */
static void on_probed(void *userdata, const struct ecd_failure *failure,
		      struct ec_wire_message *reply)
{
	struct ecd_operation *operation = userdata;
	const char *found = NULL;

	if (failure) {
		fail(operation, failure);
		return;
	}
	(void)json_unpack(reply->body, "{s:s}", "found", &found);
	if (!found || strcmp(found, "none"))
		fail_text(operation, -EEXIST, "user %s has an encrypted %s already",
			  operation->create.user,
			  found && !strcmp(found, "legacy") ?
			  "home or Private directory of ecryptfs-utils" : "home");
	else
		make_keys(operation);
}

static bool has_too_many(struct ecd_operation *operation)
{
	const struct ecd_vault *vault;
	unsigned int n = 0;

	TAILQ_FOREACH(vault, &operation->manager->vaults, link)
		if (vault->kind == ECD_VAULT_DIRECTORY && vault->owner == operation->uid)
			n++;
	if (!operation->uid || n < DIRECTORIES_MAX)
		return false;
	fail_text(operation, -EPERM, "uid %u has %u directory vaults already, and no user has more",
		  operation->uid, n);
	return true;
}

static void start(struct ecd_operation *operation)
{
	const struct ecd_create_options *create = &operation->create;
	const struct ecd_vault *vault;
	int r;

	if (create->home) {
		r = ecd_store_ask(operation, json_pack("{s:s, s:s}", "op", "probe-home", "user",
						       create->user), on_probed);
		if (r < 0)
			fail_text(operation, r, "cannot ask the store: %s", strerror(-r));
		return;
	}
	TAILQ_FOREACH(vault, &operation->manager->vaults, link) {
		if (!vault->lower || (strcmp(vault->lower, create->lower) &&
				      strcmp(vault->mount_point, create->mount_point)))
			continue;
		if (operation->uid && operation->uid != vault->owner)
			fail_text(operation, -EEXIST, "another vault has that directory already");
		else
			fail_text(operation, -EEXIST, "vault %s (%s) has that directory already",
				  vault->name, vault->id);
		return;
	}
	if (!has_too_many(operation))
		make_keys(operation);
}

static bool may_cancel(const struct ecd_operation *operation)
{
	/* Until something stands on the disk, giving up leaves nothing behind. */
	return !operation->document;
}

/* Every other step ends soon, and sees then that nobody waits. */
static void abandon(struct ecd_operation *operation)
{
	if (operation->import_plan)
		ecd_mount_cancel(operation);
}

const struct ecd_flow ecd_flow_create = {
	.start = start,
	.may_cancel = may_cancel,
	.abandon = abandon,
};
