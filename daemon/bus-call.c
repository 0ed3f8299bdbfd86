/* SPDX-License-Identifier: GPL-2.0-only */
/* Callers, secrets and replies. Whatever a client sends ends in a named error, at worst. */
#include "daemon/bus-call.h"

#include "daemon/manager.h"
#include "daemon/polkit.h"
#include "daemon/vault.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/log.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

#define ENTRIES_MAX 32u	/* of an a{sv} */
#define REPLY_TEXT_LEN (ECD_FAILURE_TEXT_LEN + 512)

int ecd_call_uid(sd_bus_message *message, uid_t *ret_uid)
{
	_cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
	int r;

	r = sd_bus_query_sender_creds(message, SD_BUS_CREDS_EUID, &creds);
	if (r < 0)
		return r;
	return sd_bus_creds_get_euid(creds, ret_uid);
}

int ecd_call_error(sd_bus_error *error, int r, const char *format, ...)
{
	char text[ECD_FAILURE_TEXT_LEN];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* What sd_bus_error_setf() returns stands for its own table of errno names. */
	return sd_bus_error_setf(error, ec_error_bus_name(r), "%s", text);
}

int ecd_call_read_secret(sd_bus_message *message, struct ec_secret *ret, sd_bus_error *error)
{
	int fd, r;

	r = sd_bus_message_read(message, "h", &fd);
	if (r < 0)
		return r;
	r = ec_secret_from_memfd(ret, fd);
	if (r == -ENOMEM)
		return ecd_call_error(error, r, "There is no locked memory left for a secret.");
	if (r < 0)
		return ecd_call_error(error, -EINVAL, "A secret has to be a memfd with at most %u "
				      "bytes, sealed against writing, growing and shrinking.",
				      EC_SECRET_LEN_MAX);
	return 0;
}

int ecd_call_read_entries(sd_bus_message *message, ecd_entry_fn fn, void *userdata,
			  sd_bus_error *error)
{
	unsigned int n = 0;
	int r;

	r = sd_bus_message_enter_container(message, 'a', "{sv}");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
		const char *key;

		if (++n > ENTRIES_MAX)
			return ecd_call_error(error, -EINVAL, "There are too many options.");
		r = sd_bus_message_read(message, "s", &key);
		if (r < 0)
			return r;
		r = fn(message, key, userdata, error);
		if (r == -ENXIO || r == -EBADMSG)
			return ecd_call_error(error, -EINVAL, "Option \"%.64s\" has a value of the "
					      "wrong type.", key);
		if (r < 0)
			return r;
		r = sd_bus_message_exit_container(message);
		if (r < 0)
			return r;
	}
	return r < 0 ? r : sd_bus_message_exit_container(message);
}

bool ecd_call_is_normal_path(const char *path)
{
	const char *p = path;

	if (*path != '/' || !path[1] || strlen(path) >= PATH_MAX)
		return false;
	while (*p) {
		size_t len = strcspn(++p, "/");

		if (!len || len > NAME_MAX || (len == 1 && p[0] == '.') ||
		    (len == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += len;
	}
	return true;
}

/*
 * Frees the operation with everything it waits for, if it may. Not 0: sd-bus would put the track
 * back into its queue and call this again at once, for ever, and do nothing else.
 */
static int on_sender_gone(sd_bus_track *track, void *userdata)
{
	struct ecd_operation *operation = userdata;

	if (operation->running && !operation->flow->may_cancel(operation)) {
		operation->abandoned = true;
		if (operation->flow->abandon)
			operation->flow->abandon(operation);
		return 1;
	}
	ecd_operation_fail_text(operation, -ECANCELED, "the caller is gone");
	return 1;
}

static void on_done(struct ecd_operation *operation, void *userdata)
{
	ecd_operation_fn reply = userdata;

	if (operation->failure.r)
		ecd_call_reply_failure(operation);
	else
		reply(operation, NULL);
}

int ecd_call_operation(struct ecd_manager *manager, sd_bus_message *message,
		       enum ecd_operation_kind kind, uid_t uid, ecd_operation_fn reply,
		       struct ecd_operation **ret, sd_bus_error *error)
{
	struct ecd_operation *operation;
	int r;

	r = ecd_operation_new(manager, kind, uid, on_done, reply, &operation);
	if (r == -EAGAIN)
		return ecd_call_error(error, r, "Too many operations of uid %u are under way. Wait "
				      "until one of them has ended.", uid);
	if (r < 0)
		return r;
	operation->message = sd_bus_message_ref(message);
	r = sd_bus_track_new(manager->bus, &operation->track, on_sender_gone, operation);
	if (r >= 0)
		r = sd_bus_track_add_sender(operation->track, message);
	if (r < 0) {
		ecd_operation_free(operation);
		return r;
	}
	*ret = operation;
	return 0;
}

static void on_authorized(void *userdata, int r)
{
	struct ecd_operation *operation = userdata;

	if (r == 0)
		operation->authorized(operation, NULL);
	else if (r == -ECANCELED)
		ecd_operation_fail_text(operation, r, "the caller is gone");
	else
		ecd_operation_fail_text(operation, r, "uid %u is not authorized", operation->uid);
}

void ecd_call_authorize(struct ecd_operation *operation, bool allowed, const char *action,
			ecd_operation_fn go)
{
	int r;

	if (allowed) {
		go(operation, NULL);
		return;
	}
	operation->authorized = go;
	r = ecd_polkit_check(operation->manager, &operation->polkit, operation->message, action,
			     on_authorized, operation);
	if (r < 0)
		ecd_operation_fail_text(operation, -EACCES, "polkit cannot be asked: %s",
					strerror(-r));
}

void ecd_call_start(struct ecd_operation *operation, void *userdata)
{
	ecd_operation_start(operation, NULL);
}

int ecd_call_reply_text(sd_bus_message *message, const struct ecd_failure *failure)
{
	char text[REPLY_TEXT_LEN];

	ecd_failure_sentences(text, sizeof(text), failure, ecd_failure_hint(failure->r));
	return sd_bus_reply_method_errorf(message, ec_error_bus_name(failure->r), "%s", text);
}

static const char *verb(const struct ecd_operation *operation)
{
	static const char *const verbs[] = {
		[ECD_OPERATION_UNLOCK] = "cannot be unlocked",
		[ECD_OPERATION_LOCK] = "cannot be locked",
		[ECD_OPERATION_CHANGE] = "keeps its old secret",
		[ECD_OPERATION_CREATE] = "cannot be created",
		[ECD_OPERATION_QUERY] = "is not found",
		[ECD_OPERATION_FORGET] = "cannot be forgotten",
	};

	return verbs[operation->kind];
}

static const char *subject(const struct ecd_operation *operation)
{
	if (operation->vault && operation->vault->name)
		return operation->vault->name;
	return operation->create.name ? operation->create.name : "";
}

static bool is_plain_word(const char *text)
{
	return isalnum((unsigned char)*text) &&
	       !text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")];
}

/* What to type after a verb: nothing for one's own home. Names are the owner's, and others see them
 * only as long as they cannot be mistaken. */
static const char *designator(const struct ecd_operation *operation)
{
	const struct ecd_vault *vault = operation->vault;

	if (!vault || (ecd_vault_is_of_home(vault) && vault->owner == operation->uid))
		return "";
	if (ecd_vault_is_of_home(vault))
		return vault->user && is_plain_word(vault->user) ? vault->user : vault->id;
	return vault->owner == operation->uid && is_plain_word(vault->name) ? vault->name : vault->id;
}

/* The next command, for who typed this one. */
static void advise(const struct ecd_operation *operation, char *ret, size_t len)
{
	const char *before = NULL, *name = designator(operation);

	switch (-operation->failure.r) {
	case EKEYREJECTED:
		if (operation->kind == ECD_OPERATION_UNLOCK)
			before = "Try again, or use the recovery key: ecryptfsctl unlock";
		break;
	case ENOKEY:
		if (operation->kind != ECD_OPERATION_LOCK)
			before = "Open it: ecryptfsctl unlock";
		break;
	case EALREADY:
		before = "Use it, or close it: ecryptfsctl lock";
		break;
	case EBUSY:
		if (operation->kind == ECD_OPERATION_LOCK && !operation->force)
			before = "End what uses it and try again, or close it all the same: ecryptfsctl lock --force";
		break;
	case ENOENT:
		/* Who has no home here is told by the text what to do. */
		if (operation->designator && !*operation->designator)
			before = name = "";
		break;
	}
	if (before)
		snprintf(ret, len, "%s%s%s", before, *name ? " " : "", name);
	else
		snprintf(ret, len, "%s", ecd_failure_hint(operation->failure.r));
}

void ecd_call_reply_failure(struct ecd_operation *operation)
{
	const struct ecd_failure *failure = &operation->failure;
	const char *message_id = ecd_failure_message_id(failure), *name = subject(operation);
	char text[REPLY_TEXT_LEN], advice[400];
	int n = 0;

	advise(operation, advice, sizeof(advice));
	/* Whoever asks for a vault has none in hand yet. */
	if (operation->kind != ECD_OPERATION_QUERY)
		n = snprintf(text, sizeof(text), "%s%.255s %s: ", *name ? "Vault " : "The vault", name,
			     verb(operation));
	ecd_failure_sentences(text + n, sizeof(text) - (size_t)n, failure, advice);
	text[0] = (char)toupper((unsigned char)text[0]);
	(void)sd_bus_reply_method_errorf(operation->message, ec_error_bus_name(failure->r), "%s",
					 text);
	/* Asking for what is not there is no event; what "" marks is in the journal already. */
	if (operation->kind == ECD_OPERATION_QUERY && !failure->message_id)
		return;
	if (failure->r == -ECANCELED || (failure->message_id && !*failure->message_id))
		return;
	ec_log(LOG_WARNING,
	       EC_LOG_FIELDS(.message_id = message_id,
			     .vault = operation->vault ? operation->vault->id : NULL,
			     .peer_uid = operation->uid, .error = failure->r),
	       "Vault %s %s: %s", name, verb(operation), failure->text);
}
