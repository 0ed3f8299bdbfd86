/* SPDX-License-Identifier: GPL-2.0-only */
/* Methods of the manager object. */
#include "daemon/bus-manager.h"

#include "daemon/bus-call.h"
#include "daemon/bus-vault.h"
#include "daemon/manager.h"
#include "daemon/polkit.h"
#include "daemon/session.h"
#include "daemon/vault.h"
#include "lib/bus-client.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/log-ids.h"
#include "lib/log.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#define NAME_LEN_MAX	255u
#define USER_LEN_MAX	255u

/*
 * Arguments
 */

static bool is_component(const char *name, size_t len_max)
{
	return *name && strlen(name) <= len_max && !strchr(name, '/') && strcmp(name, ".") &&
	       strcmp(name, "..");
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static int read_user(sd_bus_message *message, const char **ret, sd_bus_error *error)
{
	int r;

	r = sd_bus_message_read(message, "s", ret);
	if (r < 0)
		return r;
	if (!is_component(*ret, USER_LEN_MAX) || !is_printable(*ret))
		return ecd_call_error(error, -EINVAL, "That is not the name of a user.");
	return 0;
}

static int read_caller_and_user(sd_bus_message *message, uid_t *ret_uid, const char **ret_user,
				sd_bus_error *error)
{
	int r = ecd_call_uid(message, ret_uid);

	return r < 0 ? r : read_user(message, ret_user, error);
}

static int require_root(sd_bus_message *message, const char *method, sd_bus_error *error)
{
	uid_t uid;
	int r;

	r = ecd_call_uid(message, &uid);
	if (r < 0)
		return r;
	if (uid == 0)
		return 0;
	ec_log(LOG_WARNING, EC_LOG_FIELDS(.message_id = EC_LOG_ID_NOT_AUTHORIZED,
					  .operation = method, .peer_uid = uid),
	       "Uid %u may not call %s", uid, method);
	return ecd_call_error(error, -EACCES, "Only root may call %s.", method);
}

/* A replaced string value of an a{sv} entry. */
static int read_string(sd_bus_message *message, char **ret)
{
	const char *value;
	char *copy;
	int r;

	r = sd_bus_message_read(message, "v", "s", &value);
	if (r < 0)
		return r;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*ret);
	*ret = copy;
	return 0;
}

static int read_bool(sd_bus_message *message, bool *ret)
{
	int value, r;

	r = sd_bus_message_read(message, "v", "b", &value);
	if (r >= 0)
		*ret = value;
	return r;
}

/*
 * ListVaults, ResolveVault
 */

static bool sees(uid_t uid, const struct ecd_vault *vault)
{
	return uid == 0 || vault->owner == uid;
}

static int append_paths(sd_bus_message *reply, const struct ecd_operation *operation)
{
	const struct ecd_vault *vault;
	int r;

	r = sd_bus_message_open_container(reply, 'a', "o");
	TAILQ_FOREACH(vault, &operation->manager->vaults, link)
		if (r >= 0 && sees(operation->uid, vault))
			r = sd_bus_message_append(reply, "o", vault->bus_path);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static void reply_with(struct ecd_operation *operation,
		       int (*append)(sd_bus_message *reply, const struct ecd_operation *operation))
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

	if (sd_bus_message_new_method_return(operation->message, &reply) >= 0 &&
	    append(reply, operation) >= 0)
		(void)sd_bus_send(operation->manager->bus, reply, NULL);
	else
		(void)sd_bus_reply_method_errno(operation->message, -ENOMEM, NULL);
}

static void reply_list(struct ecd_operation *operation, void *userdata)
{
	reply_with(operation, append_paths);
}

static int query(sd_bus_message *message, struct ecd_manager *manager, const char *designator,
		 bool one_home, ecd_operation_fn reply, sd_bus_error *error)
{
	struct ecd_operation *operation;
	uid_t uid;
	int r;

	r = ecd_call_uid(message, &uid);
	if (r < 0)
		return r;
	r = ecd_call_operation(manager, message, ECD_OPERATION_QUERY, uid, reply, &operation, error);
	if (r < 0)
		return r;
	if (designator && !(operation->designator = strdup(designator))) {
		ecd_operation_free(operation);
		return -ENOMEM;
	}
	operation->one_home = one_home;
	ecd_operation_start(operation, NULL);
	return 1;
}

static int method_list_vaults(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	return query(message, userdata, NULL, false, reply_list, error);
}

static void reply_path(struct ecd_operation *operation, void *userdata)
{
	(void)sd_bus_reply_method_return(operation->message, "o", operation->found->bus_path);
}

/* Not its owner: an answer only for those who may manage it. A vault of others and one that is
 * not there look the same without that. */
static void reply_resolved(struct ecd_operation *operation, void *userdata)
{
	struct ecd_operation *again;
	sd_bus_error error = SD_BUS_ERROR_NULL;

	if (sees(operation->uid, operation->found)) {
		reply_path(operation, NULL);
		return;
	}
	if (ecd_call_operation(operation->manager, operation->message, ECD_OPERATION_QUERY,
			       operation->uid, reply_path, &again, &error) < 0) {
		(void)sd_bus_reply_method_error(operation->message, &error);
		sd_bus_error_free(&error);
		return;
	}
	again->designator = ec_take_ptr(operation->designator);
	ecd_call_authorize(again, false, ECD_ACTION_MANAGE_OTHERS, ecd_call_start);
}

static int method_resolve_vault(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const char *designator;
	int r;

	r = sd_bus_message_read(message, "s", &designator);
	if (r < 0)
		return r;
	if (strlen(designator) >= PATH_MAX)
		return ecd_call_error(error, -EINVAL, "That is too long to name a vault.");
	return query(message, userdata, designator, false, reply_resolved, error);
}

/*
 * CreateVault
 */

static int read_create_option(sd_bus_message *message, const char *key, void *userdata,
			      sd_bus_error *error)
{
	struct ecd_create_options *create = userdata;
	const struct {
		const char *key;
		char **where;
	} strings[] = {
		{ "user", &create->user }, { "lower", &create->lower },
		{ "mount_point", &create->mount_point }, { "name", &create->name },
		{ "label", &create->label }, { "cipher", &create->cipher },
	};
	size_t i;

	for (i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		if (!strcmp(strings[i].key, key))
			return read_string(message, strings[i].where);
	if (!strcmp(key, "key_bytes"))
		return sd_bus_message_read(message, "v", "u", &create->key_bytes);
	if (!strcmp(key, "names"))
		return read_bool(message, &create->names);
	if (!strcmp(key, "recovery"))
		return read_bool(message, &create->recovery);
	return ecd_call_error(error, -EINVAL, "There is no option \"%.64s\".", key);
}

static bool is_cipher(const char *cipher)
{
	return strlen(cipher) < 32 && cipher[strspn(cipher, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0' &&
	       *cipher;
}

static int check_create(struct ecd_create_options *create, sd_bus_error *error)
{
	const char *name;

	if (create->home && (!create->user || !is_component(create->user, USER_LEN_MAX) ||
			     !is_printable(create->user)))
		return ecd_call_error(error, -EINVAL, "Option \"user\" is missing, or is not the "
				      "name of a user.");
	if (create->home && (create->lower || create->mount_point))
		return ecd_call_error(error, -EINVAL, "A home has its places already: \"lower\" and "
				      "\"mount_point\" are for directories.");
	if (!create->home && (create->user || !create->lower || !create->mount_point))
		return ecd_call_error(error, -EINVAL, "A directory needs \"lower\" and "
				      "\"mount_point\", and no \"user\".");
	if (!create->home && (!ecd_call_is_normal_path(create->lower) || !ecd_call_is_normal_path(create->mount_point)))
		return ecd_call_error(error, -EINVAL, "\"lower\" and \"mount_point\" have to be "
				      "absolute paths without \".\", \"..\" and double slashes.");
	if (create->cipher && !is_cipher(create->cipher))
		return ecd_call_error(error, -EINVAL, "Option \"cipher\" is not the name of a cipher.");
	if (create->key_bytes > 64)
		return ecd_call_error(error, -EINVAL, "Option \"key_bytes\" is more than 64.");
	if (!create->name) {
		name = create->home ? create->user : strrchr(create->mount_point, '/') + 1;
		create->name = strdup(name);
		if (!create->name)
			return -ENOMEM;
	}
	if (!*create->name || strlen(create->name) > NAME_LEN_MAX || !is_printable(create->name))
		return ecd_call_error(error, -EINVAL, "Option \"name\" is empty, too long or has "
				      "control characters.");
	if (create->label && (strlen(create->label) > NAME_LEN_MAX || !is_printable(create->label)))
		return ecd_call_error(error, -EINVAL, "Option \"label\" is too long or has control "
				      "characters.");
	return 0;
}

static int append_created(sd_bus_message *reply, const struct ecd_operation *operation)
{
	int r;

	r = sd_bus_message_append(reply, "oh", operation->vault->bus_path, operation->recovery_fd);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "{sv}");
	if (r >= 0 && operation->kept)
		r = sd_bus_message_append(reply, "{sv}", "kept", "s", operation->kept);
	if (r >= 0 && operation->problem)
		r = sd_bus_message_append(reply, "{sv}{sv}", "problem", "s", operation->problem,
					  "problem_error", "s",
					  ec_error_bus_name(operation->problem_error) +
					  strlen(EC_ERROR_PREFIX));
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static void reply_created(struct ecd_operation *operation, void *userdata)
{
	reply_with(operation, append_created);
}

static int read_create(sd_bus_message *message, struct ecd_operation *operation,
		       sd_bus_error *error)
{
	struct ecd_create_options *create = &operation->create;
	const char *kind;
	int r;

	r = sd_bus_message_read(message, "s", &kind);
	if (r < 0)
		return r;
	if (strcmp(kind, "home") && strcmp(kind, "directory"))
		return ecd_call_error(error, -EINVAL, "The kind of a vault is \"home\" or "
				      "\"directory\".");
	create->home = !strcmp(kind, "home");
	create->names = true;
	create->recovery = true;
	r = ecd_call_read_entries(message, read_create_option, create, error);
	if (r < 0)
		return r;
	r = check_create(create, error);
	if (r < 0)
		return r;
	r = ecd_call_read_secret(message, &operation->secrets[0], error);
	if (r < 0)
		return r;
	operation->n_secrets = 1;
	if (!operation->secrets[0].len)
		return ecd_call_error(error, -EINVAL, "An empty passphrase protects nothing.");
	return 0;
}

static int method_create_vault(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct ecd_operation *operation;
	uid_t uid;
	int r;

	r = ecd_call_uid(message, &uid);
	if (r < 0)
		return r;
	r = ecd_call_operation(userdata, message, ECD_OPERATION_CREATE, uid, reply_created,
			       &operation, error);
	if (r < 0)
		return r;
	r = read_create(message, operation, error);
	if (r < 0) {
		ecd_operation_free(operation);
		return r;
	}
	/* A directory is made with the rights of the caller, who needs no others. */
	ecd_call_authorize(operation, uid == 0 || !operation->create.home, ECD_ACTION_CREATE_HOME,
			   ecd_call_start);
	return 1;
}

/*
 * PAM
 */

struct session_info {
	char *service;
};

static int read_session_info(sd_bus_message *message, const char *key, void *userdata,
			     sd_bus_error *error)
{
	struct session_info *info = userdata;

	if (!strcmp(key, "service"))
		return read_string(message, &info->service);
	/* tty and rhost may come; what a later PAM module says more is no mistake. */
	return sd_bus_message_skip(message, "v");
}

static int read_secrets(sd_bus_message *message, struct ec_secret *secrets, size_t *ret_n,
			sd_bus_error *error)
{
	size_t n = 0;
	int r;

	r = sd_bus_message_enter_container(message, 'a', "h");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_at_end(message, false)) == 0) {
		if (n >= ECD_SESSION_SECRETS_MAX)
			return ecd_call_error(error, -EINVAL, "A session has at most %u secrets.",
					      ECD_SESSION_SECRETS_MAX);
		r = ecd_call_read_secret(message, &secrets[n], error);
		if (r < 0)
			return r;
		n++;
	}
	if (r < 0)
		return r;
	*ret_n = n;
	return sd_bus_message_exit_container(message);
}

static int open_session(sd_bus_message *message, struct ecd_manager *manager, const char *user,
			struct session_info *info, struct ec_secret *secrets, sd_bus_error *error)
{
	_cleanup_close_ int fd = -1;
	size_t n_secrets = 0;
	int r;

	r = ecd_call_read_entries(message, read_session_info, info, error);
	if (r < 0)
		return r;
	r = read_secrets(message, secrets, &n_secrets, error);
	if (r < 0)
		return r;
	r = ecd_session_open(manager, user, info->service ? info->service : "unknown", secrets,
			     n_secrets, &fd);
	if (r == -EAGAIN)
		return ecd_call_error(error, r, "No session can begin: user %s, or all users "
				      "together, have too many.", user);
	if (r < 0)
		return ecd_call_error(error, r, "No session can begin: %s.", strerror(-r));
	return sd_bus_reply_method_return(message, "h", fd);
}

static int method_open_session(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct ec_secret secrets[ECD_SESSION_SECRETS_MAX] = { 0 };
	struct session_info info = { NULL };
	const char *user;
	size_t i;
	int r;

	r = require_root(message, "OpenSession", error);
	if (r < 0)
		return r;
	r = read_user(message, &user, error);
	if (r < 0)
		return r;
	r = open_session(message, userdata, user, &info, secrets, error);
	for (i = 0; i < ECD_SESSION_SECRETS_MAX; i++)
		ec_secret_done(&secrets[i]);
	free(info.service);
	return r;
}

static void reply_stashed(struct ecd_operation *operation, void *userdata)
{
	const struct ecd_vault *vault = operation->found;
	int r = 0;

	if (vault->owner != operation->uid || !vault->user ||
	    strcmp(vault->user, operation->designator))
		r = -EACCES;
	else
		r = ecd_session_stash(operation->manager, vault->user, &operation->new_secret);
	if (r < 0) {
		ecd_fail(&operation->failure, r, NULL, NULL);
		ecd_call_reply_failure(operation);
	} else {
		(void)sd_bus_reply_method_return(operation->message, NULL);
	}
}

static int method_stash_secret(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	_cleanup_secret_ struct ec_secret secret = EC_SECRET_NULL;
	struct ecd_operation *operation;
	const char *user;
	uid_t uid;
	int r;

	r = read_caller_and_user(message, &uid, &user, error);
	if (r < 0)
		return r;
	r = ecd_call_read_secret(message, &secret, error);
	if (r < 0)
		return r;
	if (uid == 0) {
		r = ecd_session_stash(userdata, user, &secret);
		return r < 0 ? r : sd_bus_reply_method_return(message, NULL);
	}
	/* Whether that user is the caller: the store knows. */
	r = ecd_call_operation(userdata, message, ECD_OPERATION_QUERY, uid, reply_stashed,
			       &operation, error);
	if (r < 0)
		return r;
	operation->designator = strdup(user);
	operation->one_home = true;
	ec_secret_move(&operation->new_secret, &secret);
	if (!operation->designator) {
		ecd_operation_free(operation);
		return -ENOMEM;
	}
	ecd_operation_start(operation, NULL);
	return 1;
}

static int method_change_login_secret(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	_cleanup_secret_ struct ec_secret old_secret = EC_SECRET_NULL, new_secret = EC_SECRET_NULL;
	_cleanup_close_ int fd = -1;
	const char *user;
	uid_t uid;
	int r;

	r = read_caller_and_user(message, &uid, &user, error);
	if (r < 0)
		return r;
	r = ecd_call_read_secret(message, &old_secret, error);
	if (r < 0)
		return r;
	r = ecd_call_read_secret(message, &new_secret, error);
	if (r < 0)
		return r;
	if (!new_secret.len)
		return ecd_call_error(error, -EINVAL, "An empty passphrase protects nothing.");
	r = ecd_session_change(userdata, uid, user, &old_secret, &new_secret, &fd);
	if (r < 0)
		return ecd_call_error(error, r, "The change cannot begin: %s.", strerror(-r));
	return sd_bus_reply_method_return(message, "h", fd);
}

static void reply_marked(struct ecd_operation *operation, void *userdata)
{
	const struct ecd_vault *vault = operation->found;
	int r = ecd_vault_set_secret_stale(vault);

	if (r < 0) {
		ecd_fail(&operation->failure, r, NULL, "the mark cannot be written: %s",
			 strerror(-r));
		ecd_call_reply_failure(operation);
		return;
	}
	ec_log(LOG_NOTICE, EC_LOG_FIELDS(.message_id = EC_LOG_ID_SECRET_STALE, .vault = vault->id,
					 .operation = "stale"),
	       "The login password of %s was set without the old one, vault %s still has that",
	       vault->user, vault->id);
	ecd_bus_vault_changed(operation->found);
	(void)sd_bus_reply_method_return(operation->message, NULL);
}

static int method_mark_stale(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	const char *user;
	int r;

	r = require_root(message, "MarkLoginSecretStale", error);
	if (r < 0)
		return r;
	r = read_user(message, &user, error);
	if (r < 0)
		return r;
	return query(message, userdata, user, true, reply_marked, error);
}

/*
 * LockAll
 */

struct lock_all {
	struct ecd_manager *manager;
	sd_bus_message *message;
	uid_t uid;
	json_t *todo;			/* ids */
	unsigned int n_pending;
	sd_event_source *timer;
	struct ecd_failure failure;	/* the first */
};

static void lock_all_end(struct lock_all *all)
{
	if (all->failure.r)
		(void)ecd_call_reply_text(all->message, &all->failure);
	else
		(void)sd_bus_reply_method_return(all->message, NULL);
	sd_bus_message_unref(all->message);
	sd_event_source_disable_unref(all->timer);
	json_decref(all->todo);
	free(all);
}

static int on_lock_more(sd_event_source *source, uint64_t usec, void *userdata);

static void on_one_locked(struct ecd_operation *operation, void *userdata)
{
	struct lock_all *all = userdata;

	if (operation->failure.r && operation->failure.r != -ENOKEY && !all->failure.r)
		ecd_fail(&all->failure, operation->failure.r, NULL, "Vault %s stays open: %s",
			 operation->vault->name, operation->failure.text);
	all->n_pending--;
	/* Later, because this one still counts among those in flight. */
	if (ecd_manager_set_timer(all->manager, &all->timer, 0, on_lock_more, all) < 0)
		ec_log_error("out of memory, a call of LockAll is not answered");
}

/* As many at once as one user may have in flight, and the others after them. */
static int on_lock_more(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct lock_all *all = userdata;
	struct ecd_operation *operation;
	int r;

	while (json_array_size(all->todo)) {
		const char *id = json_string_value(json_array_get(all->todo, 0));
		struct ecd_vault *vault = ecd_vault_find(all->manager, id);

		r = vault && vault->mounted ?
		    ecd_operation_new(all->manager, ECD_OPERATION_LOCK, all->uid, on_one_locked,
				      all, &operation) : 0;
		if (r == -EAGAIN && all->n_pending)
			return 0;
		json_array_remove(all->todo, 0);
		if (r < 0) {
			ecd_fail(&all->failure, r, NULL, "Not all vaults could be locked");
			json_array_clear(all->todo);
		} else if (vault && vault->mounted) {
			all->n_pending++;
			ecd_operation_start(operation, vault);
		}
	}
	if (!all->n_pending)
		lock_all_end(all);
	return 0;
}

static int method_lock_all(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct ecd_manager *manager = userdata;
	const struct ecd_vault *vault;
	struct lock_all *all;
	uid_t uid;
	int r;

	r = ecd_call_uid(message, &uid);
	if (r < 0)
		return r;
	all = calloc(1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	all->manager = manager;
	all->uid = uid;
	all->message = sd_bus_message_ref(message);
	all->todo = json_array();
	TAILQ_FOREACH(vault, &manager->vaults, link)
		if (vault->mounted && sees(uid, vault))
			json_array_append_new(all->todo, json_string(vault->id));
	(void)on_lock_more(NULL, 0, all);
	return 1;
}

/*
 * Properties
 */

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	return sd_bus_message_append(reply, "s", ECD_VERSION);
}

/* Does the kernel know it, loaded or loadable? Only the worker can load it; modules-load.d has
 * tried at boot. */
static bool has_engine(const char *name)
{
	_cleanup_free_ char *path = NULL;

	return asprintf(&path, "/sys/module/%s", name) >= 0 && access(path, F_OK) == 0;
}

static int get_engines(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	static const char *const engines[] = { "ecfs", "ecryptfs" };
	size_t i;
	int r;

	r = sd_bus_message_open_container(reply, 'a', "s");
	for (i = 0; i < 2 && r >= 0; i++)
		if (has_engine(engines[i]))
			r = sd_bus_message_append(reply, "s", engines[i]);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

#define METHOD(member, in, out, handler) \
	SD_BUS_METHOD(member, in, out, handler, \
		      SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_SENSITIVE)

static const sd_bus_vtable manager_vtable[] = {
	SD_BUS_VTABLE_START(0),
	METHOD("ListVaults", NULL, "ao", method_list_vaults),
	METHOD("ResolveVault", "s", "o", method_resolve_vault),
	METHOD("CreateVault", "sa{sv}h", "oha{sv}", method_create_vault),
	METHOD("OpenSession", "sa{sv}ah", "h", method_open_session),
	METHOD("StashSecret", "sh", NULL, method_stash_secret),
	METHOD("ChangeLoginSecret", "shh", "h", method_change_login_secret),
	METHOD("MarkLoginSecretStale", "s", NULL, method_mark_stale),
	METHOD("LockAll", NULL, NULL, method_lock_all),
	SD_BUS_SIGNAL("VaultAdded", "o", 0),
	SD_BUS_SIGNAL("VaultRemoved", "o", 0),
	SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Engines", "as", get_engines, 0, SD_BUS_VTABLE_PROPERTY_EXPLICIT),
	SD_BUS_VTABLE_END,
};

int ecd_bus_manager_add(struct ecd_manager *manager)
{
	int r;

	r = sd_bus_add_object_vtable(manager->bus, NULL, EC_BUS_MANAGER_PATH, EC_BUS_MANAGER_IFACE,
				     manager_vtable, manager);
	return r < 0 ? r : ecd_bus_vault_add(manager);
}
