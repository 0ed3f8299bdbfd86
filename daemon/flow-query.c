/* SPDX-License-Identifier: GPL-2.0-only */
/* List and resolve: ask the store about everything that the caller may see, then look. */
#include "daemon/flow.h"

#include "daemon/manager.h"
#include "daemon/store-client.h"
#include "daemon/vault.h"
#include "lib/log.h"

#include <errno.h>
#include <string.h>

#define SILENCE_US (60u * UINT64_C(1000000))	/* how long a disk that hangs is left alone */

static void next(struct ecd_operation *operation);

/* One of many, or what is known well enough without. */
static bool is_in_passing(const struct ecd_operation *operation, const json_t *request)
{
	const char *op = json_string_value(json_object_get(request, "op"));

	return !strcmp(op, "read") ||
	       (!operation->designator && !operation->uid && strcmp(op, "list-homes"));
}

static void add_probe(struct ecd_operation *operation, json_t *who, const char *key)
{
	json_array_append_new(operation->todo, json_pack("{s:s, s:o}", "op", "probe-home", key, who));
}

static void take_home(struct ecd_operation *operation, const json_t *reply)
{
	const char *user = json_string_value(json_object_get(reply, "user"));
	json_int_t uid = json_integer_value(json_object_get(reply, "uid"));
	struct ecd_vault *vault = NULL;

	if (ecd_vault_update_home(operation->manager, reply, &vault) < 0)
		ec_log_warning("the store gave an unintelligible answer about a home, ignoring it");
	if (operation->one_home)
		operation->found = vault;
	if (user && uid == operation->uid && !operation->caller)
		operation->caller = strdup(user);
}

static void take_list(struct ecd_operation *operation, const json_t *reply)
{
	const json_t *uids = json_object_get(reply, "uids");
	json_t *uid;
	size_t i;

	json_array_foreach(uids, i, uid)
		add_probe(operation, json_incref(uid), "uid");
}

static void take_document(struct ecd_operation *operation, const json_t *request,
			  const struct ecd_failure *failure, const json_t *reply)
{
	const char *lower = json_string_value(json_object_get(request, "lower"));
	struct ecd_vault *vault;

	TAILQ_FOREACH(vault, &operation->manager->vaults, link) {
		if (ecd_vault_is_of_home(vault) || strcmp(vault->lower, lower))
			continue;
		if (failure && failure->r == -ETIMEDOUT)
			vault->silent_until_us = ecd_now_us() + SILENCE_US;
		if (!failure)
			ecd_vault_set_document(vault, json_object_get(reply, "document"));
		/* Mounted over itself, it hides its own document. */
		else if (!vault->mounted)
			ecd_vault_set_problem(vault, failure->r, failure->text);
	}
}

/*
 * A store that does not answer may have met a disk that hangs: that of this one vault, and the
 * others are there. Not so for what the caller meant, and where nobody can be asked at all.
 */
static bool is_tolerable(const struct ecd_operation *operation, const json_t *request,
			 const struct ecd_failure *failure)
{
	const json_t *uid = json_object_get(request, "uid");

	if (failure->r != -ETIMEDOUT || !is_in_passing(operation, request))
		return false;
	if (uid)
		ec_log_warning("the store did not answer about the home of uid %lld, which is left out",
			       (long long)json_integer_value(uid));
	return true;
}

static void on_answer(void *userdata, const struct ecd_failure *failure,
		      struct ec_wire_message *reply)
{
	struct ecd_operation *operation = userdata;
	json_t *request = json_incref(json_array_get(operation->todo, 0));
	const char *op = json_string_value(json_object_get(request, "op"));

	json_array_remove(operation->todo, 0);
	/* A store that does not answer is a failure; a user that does not exist is none here. */
	if (failure && failure->message_id && !is_tolerable(operation, request, failure)) {
		json_decref(request);
		ecd_operation_fail(operation, failure);
		return;
	}
	if (!strcmp(op, "read"))
		take_document(operation, request, failure, failure ? NULL : reply->body);
	else if (!failure && !strcmp(op, "list-homes"))
		take_list(operation, reply->body);
	else if (!failure)
		take_home(operation, reply->body);
	json_decref(request);
	next(operation);
}

/*
 * How well a designator fits, 0 for not at all. What its owner chose freely, the name and the uuid
 * in the document, comes after what nobody else can have: or somebody could stand in for others.
 */
static unsigned int fits(const struct ecd_vault *vault, const char *designator)
{
	const char *const fixed[] = {
		vault->id, vault->user, vault->lower, vault->mount_point, vault->mounted_at,
	};
	size_t i;

	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (fixed[i] && !strcmp(fixed[i], designator))
			return 2;
	if (vault->name && !strcmp(vault->name, designator))
		return 1;
	return vault->document &&
	       !strcmp(json_string_value(json_object_get(vault->document, "uuid")), designator);
}

/* One's own before those of others: a name is not unique. */
static struct ecd_vault *resolve(const struct ecd_operation *operation)
{
	struct ecd_vault *vault, *found = NULL;
	unsigned int best = 0;

	if (!*operation->designator)
		return ecd_vault_find_home(operation->manager, operation->uid);
	TAILQ_FOREACH(vault, &operation->manager->vaults, link) {
		unsigned int fit = fits(vault, operation->designator);

		if (fit && vault->owner == operation->uid)
			fit += 2;
		if (fit <= best)
			continue;
		best = fit;
		found = vault;
	}
	return found;
}

static void fail_not_found(struct ecd_operation *operation)
{
	if (operation->one_home)
		ecd_operation_fail_text(operation, -ENOENT, "user %.200s has no encrypted home",
					operation->designator);
	else if (*operation->designator)
		ecd_operation_fail_text(operation, -ENOENT, "no vault has the uuid, name, directory, "
					"mount point or user \"%.200s\"", operation->designator);
	else if (!operation->uid)
		ecd_operation_fail_text(operation, -ENOENT, "the home of root is never encrypted; name "
					"a vault, as ecryptfsctl list shows them");
	else
		ecd_operation_fail_text(operation, -ENOENT, "your home is not encrypted; an "
					"administrator encrypts it with: ecryptfsctl create --user %.200s",
					operation->caller ? operation->caller : "NAME");
}

static bool is_silent(const struct ecd_vault *vault)
{
	return ecd_now_us() < vault->silent_until_us;
}

static void add_directory(struct ecd_operation *operation, const struct ecd_vault *vault)
{
	if (!is_silent(vault))
		json_array_append_new(operation->todo, ecd_refresh_request(vault));
}

static void end(struct ecd_operation *operation)
{
	if (!operation->designator) {
		ecd_operation_finish(operation);
		return;
	}
	/* Not queued on it: a query does not wait for what goes on there. */
	if (!operation->one_home)
		operation->found = resolve(operation);
	if (!operation->found) {
		fail_not_found(operation);
		return;
	}
	/* The register says enough of a directory to find it. Its document is of interest only now,
	 * and those of all others are not. */
	if (!operation->looked && !ecd_vault_is_of_home(operation->found)) {
		operation->looked = true;
		add_directory(operation, operation->found);
		next(operation);
		return;
	}
	ecd_operation_finish(operation);
}

static void next(struct ecd_operation *operation)
{
	json_t *request = json_array_get(operation->todo, 0);
	int r;

	if (!request) {
		end(operation);
		return;
	}
	r = is_in_passing(operation, request) ?
	    ecd_store_look(operation, json_incref(request), on_answer) :
	    ecd_store_ask(operation, json_incref(request), on_answer);
	if (r < 0)
		ecd_operation_fail_text(operation, r, "cannot ask the store: %s", strerror(-r));
}

static void add_directories(struct ecd_operation *operation)
{
	const struct ecd_vault *vault;

	TAILQ_FOREACH(vault, &operation->manager->vaults, link)
		if (!ecd_vault_is_of_home(vault) &&
		    (operation->uid == 0 || vault->owner == operation->uid))
			add_directory(operation, vault);
}

/* The home whose id that is, or what may be a user's name: a home's path mostly ends in one. */
static void add_home(struct ecd_operation *operation)
{
	const char *designator = operation->designator, *last = strrchr(designator, '/');
	unsigned int uid;
	char rest;

	if (sscanf(designator, "home-%u%c", &uid, &rest) == 1)
		add_probe(operation, json_integer(uid), "uid");
	if (*designator && (!last || last[1]))
		add_probe(operation, json_string(last ? last + 1 : designator), "user");
}

static void start(struct ecd_operation *operation)
{
	operation->todo = json_array();
	if (operation->uid && !operation->one_home)
		add_probe(operation, json_integer(operation->uid), "uid");
	if (operation->designator) {
		add_home(operation);
	} else {
		if (!operation->uid)
			json_array_append_new(operation->todo,
					      json_pack("{s:s}", "op", "list-homes"));
		add_directories(operation);
	}
	next(operation);
}

static bool may_cancel(const struct ecd_operation *operation)
{
	return true;
}

const struct ecd_flow ecd_flow_query = { .start = start, .may_cancel = may_cancel };
