/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Create: keys and document by the key helper, directories by the store, and for a home the
 * worker copies in what it holds. Whatever fails, what was made is taken away again, and the
 * present home is as it was.
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

static void created(struct ecd_operation *operation)
{
	const struct ecd_vault *vault = operation->vault;

	ec_log(LOG_INFO, EC_LOG_FIELDS(.message_id = EC_LOG_ID_VAULT_CREATED, .vault = vault->id,
				       .operation = "create", .peer_uid = operation->uid),
	       "Vault %s (%s) was created, its files are in %s", vault->name, vault->id,
	       vault->lower);
	ecd_operation_finish(operation);
}

/*
 * Undo
 */

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
 * Home: import, commit, close
 */

static void on_closed(void *userdata, int r, const char *text)
{
	struct ecd_operation *operation = userdata;

	/* Open or not, the home is complete; the end of the user's first session closes it. */
	ecd_vault_scan_mounts(operation->manager);
	created(operation);
}

static int on_close_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ecd_operation *operation = userdata;

	ecd_job_free(operation->job);
	created(operation);
	return 0;
}

/* A home that was just made is closed, as after every logout: the next login opens it. */
static void close_home(struct ecd_operation *operation)
{
	_cleanup_free_ char *unit = ecd_mount_unit(operation->vault);

	if (!unit || ecd_job_start(operation->manager, &operation->job, "StopUnit", unit, on_closed,
				   operation) < 0 ||
	    ecd_operation_set_deadline(operation, STOP_TIMEOUT_US, on_close_timeout) < 0)
		created(operation);
}

static void on_committed(void *userdata, const struct ecd_failure *failure,
			 struct ec_wire_message *reply)
{
	struct ecd_operation *operation = userdata;

	/* The files are in the vault and the old home is aside: nothing of that is undone. The
	 * marker alone is left, which a login takes for what it is as the old home is aside. */
	if (failure)
		ec_log_warning("the marker of a creation cannot be removed: %s; ignoring",
			       failure->text);
	close_home(operation);
}

static void imported(struct ecd_operation *operation)
{
	int r;

	operation->failure = (struct ecd_failure){ 0 };
	operation->undo = false;
	r = ecd_store_ask(operation, json_pack("{s:s, s:s}", "op", "commit-home", "user",
					       operation->create.user), on_committed);
	if (r < 0)
		close_home(operation);
}

static void import_failed(struct ecd_operation *operation)
{
	undo(operation);
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
	if (has_files && user_is_busy(operation, (uid_t)uid))
		return;
	vault = ecd_vault_find_home(operation->manager, (uid_t)uid);
	if (vault && !ecd_vault_is_idle(vault)) {
		fail_text(operation, -EBUSY, "another operation on the home of %s is under way", user);
		return;
	}
	probe = json_pack("{s:I, s:s, s:s, s:s, s:s, s:O}", "uid", uid, "found", "vault", "user", user,
			  "lower", lower, "mount_point", mount_point, "document",
			  operation->document);
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

static void on_keys_made(void *userdata, const struct ecd_failure *failure,
			 struct ec_wire_message *reply)
{
	struct ecd_operation *operation = userdata;
	const struct ecd_create_options *create = &operation->create;
	json_t *document;
	int r;

	if (failure) {
		fail(operation, failure);
		return;
	}
	document = json_object_get(reply->body, "document");
	if (ec_vault_document_check(document, NULL) < 0 ||
	    ec_wire_take_fd(reply, 0, &operation->keys_fd) < 0 ||
	    ec_wire_take_fd(reply, 1, &operation->recovery_fd) < 0) {
		fail_text(operation, -EPROTO, "the key helper answered something unintelligible");
		return;
	}
	operation->document = json_incref(document);
	if (create->home)
		r = ecd_store_ask(operation, json_pack("{s:s, s:s, s:O}", "op", "create-home", "user",
						       create->user, "document", document),
				  on_home_created);
	else
		r = ecd_store_ask(operation,
				  json_pack("{s:s, s:s, s:s, s:I, s:O}", "op", "create-directory",
					    "lower", create->lower, "mount_point",
					    create->mount_point, "owner",
					    (json_int_t)operation->uid, "document", document),
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
		fail_text(operation, -EEXIST, "another vault has that directory already");
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

const struct ecd_flow ecd_flow_create = { start, may_cancel };
