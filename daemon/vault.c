/* SPDX-License-Identifier: GPL-2.0-only */
/* The registry of vaults, and what is kept of each one outside of this process. */
#include "daemon/vault.h"

#include "daemon/bus-vault.h"
#include "daemon/failure.h"
#include "daemon/manager.h"
#include "daemon/operation.h"
#include "daemon/session.h"
#include "lib/bus-client.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/log.h"
#include "lib/vault-document.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define STATE_FILE_LEN_MAX 65536u

struct ecd_vault *ecd_vault_find(struct ecd_manager *manager, const char *id)
{
	struct ecd_vault *vault;

	TAILQ_FOREACH(vault, &manager->vaults, link)
		if (!strcmp(vault->id, id))
			return vault;
	return NULL;
}

struct ecd_vault *ecd_vault_find_path(struct ecd_manager *manager, const char *bus_path)
{
	struct ecd_vault *vault;

	TAILQ_FOREACH(vault, &manager->vaults, link)
		if (!strcmp(vault->bus_path, bus_path))
			return vault;
	return NULL;
}

struct ecd_vault *ecd_vault_find_home(struct ecd_manager *manager, uid_t uid)
{
	char id[32];

	snprintf(id, sizeof(id), "home-%u", uid);
	return ecd_vault_find(manager, id);
}

static void vault_release(struct ecd_vault *vault)
{
	if (!vault)
		return;
	free(vault->id);
	free(vault->bus_path);
	free(vault->user);
	free(vault->name);
	free(vault->lower);
	free(vault->mount_point);
	free(vault->mounted_at);
	json_decref(vault->document);
	json_decref(vault->legacy);
	free(vault->problem);
	free(vault->engine);
	sd_event_source_disable_unref(vault->close_timer);
	free(vault);
}

int ecd_vault_new(struct ecd_manager *manager, const char *id, enum ecd_vault_kind kind,
		  uid_t owner, struct ecd_vault **ret)
{
	struct ecd_vault *vault = calloc(1, sizeof(*vault));
	/* Without the slash that bus-client.h ends it with. */
	_cleanup_free_ char *prefix = strndup(EC_BUS_VAULT_PREFIX, strlen(EC_BUS_VAULT_PREFIX) - 1);

	if (!vault || !prefix)
		goto no_memory;
	vault->manager = manager;
	vault->kind = kind;
	vault->owner = owner;
	vault->id = strdup(id);
	TAILQ_INIT(&vault->operations);
	if (!vault->id || sd_bus_path_encode(prefix, id, &vault->bus_path) < 0)
		goto no_memory;
	TAILQ_INSERT_TAIL(&manager->vaults, vault, link);
	ecd_bus_vault_added(vault);
	*ret = vault;
	return 0;

no_memory:
	vault_release(vault);
	return -ENOMEM;
}

void ecd_vault_free(struct ecd_vault *vault)
{
	if (!vault)
		return;
	ecd_bus_vault_removed(vault);
	TAILQ_REMOVE(&vault->manager->vaults, vault, link);
	vault_release(vault);
}

bool ecd_vault_is_idle(const struct ecd_vault *vault)
{
	return !vault->mounted && TAILQ_EMPTY(&vault->operations);
}

bool ecd_vault_is_of_home(const struct ecd_vault *vault)
{
	return vault->kind != ECD_VAULT_DIRECTORY;
}

const char *ecd_vault_kind_name(const struct ecd_vault *vault)
{
	static const char *const names[] = {
		[ECD_VAULT_HOME] = "home",
		[ECD_VAULT_DIRECTORY] = "directory",
		[ECD_VAULT_LEGACY] = "legacy",
	};

	return names[vault->kind];
}

const char *ecd_vault_state(const struct ecd_vault *vault)
{
	const struct ecd_operation *operation = TAILQ_FIRST(&vault->operations);

	if (operation && operation->kind == ECD_OPERATION_LOCK && vault->mounted)
		return "locking";
	if (vault->mounted)
		return "mounted";
	if (operation && operation->kind == ECD_OPERATION_UNLOCK)
		return "unlocking";
	return vault->problem_error ? "damaged" : "locked";
}

/* Replaces an owned string; an unchanged one stays. */
static int set_string(char **where, const char *value)
{
	char *copy;

	if (*where && value && !strcmp(*where, value))
		return 0;
	copy = value ? strdup(value) : NULL;
	if (value && !copy)
		return -ENOMEM;
	free(*where);
	*where = copy;
	return 0;
}

void ecd_vault_set_document(struct ecd_vault *vault, json_t *document)
{
	json_decref(vault->document);
	vault->document = json_incref(document);
	vault->problem_error = 0;
	(void)set_string(&vault->problem, NULL);
	if (document)
		(void)set_string(&vault->name, json_string_value(json_object_get(document, "name")));
}

void ecd_vault_set_problem(struct ecd_vault *vault, int r, const char *text)
{
	vault->problem_error = r;
	(void)set_string(&vault->problem, text);
}

void ecd_vault_changed(struct ecd_vault *vault)
{
	ecd_bus_vault_changed(vault);
}

void ecd_vault_set_mounted(struct ecd_vault *vault, bool mounted, const char *engine)
{
	bool changed = vault->mounted != mounted;

	vault->mounted = mounted;
	(void)set_string(&vault->engine, mounted ? engine : NULL);
	if (!mounted) {
		(void)set_string(&vault->mounted_at, NULL);
		ecd_flag_clear(vault->manager->config.run_dir, "keep", vault->id);
	}
	if (!changed)
		return;
	ecd_vault_changed(vault);
	if (mounted && ecd_vault_is_of_home(vault))
		ecd_sessions_check(vault->manager, vault->owner);
}

/* A mark of a user, whatever vault he has. */
#define STALE		"stale"
#define UID_STR_LEN	16

static const char *owner_name(const struct ecd_vault *vault, char ret[UID_STR_LEN])
{
	snprintf(ret, UID_STR_LEN, "%u", vault->owner);
	return ret;
}

bool ecd_vault_secret_is_stale(const struct ecd_vault *vault)
{
	char uid[UID_STR_LEN];

	return ecd_vault_is_of_home(vault) &&
	       ecd_flag_is_set(vault->manager->config.state_dir, STALE, owner_name(vault, uid));
}

int ecd_vault_set_secret_stale(const struct ecd_vault *vault)
{
	char uid[UID_STR_LEN];

	return ecd_flag_set(vault->manager->config.state_dir, STALE, owner_name(vault, uid));
}

void ecd_vault_clear_secret_stale(const struct ecd_vault *vault)
{
	char uid[UID_STR_LEN];

	ecd_flag_clear(vault->manager->config.state_dir, STALE, owner_name(vault, uid));
}

void ecd_vault_set_target(struct ecd_vault *vault, const char *target)
{
	bool differs = target && vault->mount_point && strcmp(target, vault->mount_point);

	(void)set_string(&vault->mounted_at, differs ? target : NULL);
}

const char *ecd_vault_target(const struct ecd_vault *vault)
{
	return vault->mounted_at ? vault->mounted_at : vault->mount_point;
}

/*
 * From the store
 */

static int set_home_strings(struct ecd_vault *vault, const json_t *probe)
{
	const char *user, *lower = NULL, *mount_point = NULL;

	if (json_unpack((json_t *)probe, "{s:s, s?s, s?s}", "user", &user, "lower", &lower,
			"mount_point", &mount_point) < 0)
		return -EPROTO;
	if (set_string(&vault->user, user) < 0 || set_string(&vault->name, user) < 0 ||
	    (lower && set_string(&vault->lower, lower) < 0) ||
	    (mount_point && set_string(&vault->mount_point, mount_point) < 0))
		return -ENOMEM;
	return 0;
}

static void set_home_content(struct ecd_vault *vault, const json_t *probe)
{
	json_t *document = json_object_get(probe, "document");
	json_t *legacy = json_object_get(probe, "legacy");
	const char *problem = json_string_value(json_object_get(probe, "problem"));
	const char *error = json_string_value(json_object_get(probe, "problem_error"));

	if (problem) {
		ecd_vault_set_problem(vault, ec_error_from_bus_name(error), problem);
		return;
	}
	ecd_vault_set_document(vault, document);
	json_decref(vault->legacy);
	vault->legacy = json_incref(legacy);
	vault->stay_open = legacy && !json_is_true(json_object_get(legacy, "auto_umount"));
}

int ecd_vault_update_home(struct ecd_manager *manager, const json_t *probe,
			  struct ecd_vault **ret)
{
	const char *found;
	struct ecd_vault *vault;
	enum ecd_vault_kind kind;
	json_int_t uid;
	int r;

	if (json_unpack((json_t *)probe, "{s:I, s:s}", "uid", &uid, "found", &found) < 0 ||
	    uid < 0 || uid >= UINT32_MAX)
		return -EPROTO;
	vault = ecd_vault_find_home(manager, (uid_t)uid);
	if (!strcmp(found, "none")) {
		/* One that is mounted or in use is there, whatever a look from outside says. */
		if (vault && ecd_vault_is_idle(vault)) {
			ecd_vault_free(vault);
			vault = NULL;
		}
		*ret = NULL;
		return 0;
	}
	kind = !strcmp(found, "legacy") ? ECD_VAULT_LEGACY : ECD_VAULT_HOME;
	if (!vault) {
		char id[32];

		snprintf(id, sizeof(id), "home-%u", (uid_t)uid);
		r = ecd_vault_new(manager, id, kind, (uid_t)uid, &vault);
		if (r < 0)
			return r;
	}
	vault->kind = kind;
	r = set_home_strings(vault, probe);
	if (r < 0)
		return r;
	set_home_content(vault, probe);
	*ret = vault;
	return 0;
}

/*
 * For the worker
 */

static json_t *number_text(unsigned int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	return json_string(text);
}

static json_t *document_options(const json_t *document)
{
	const char *fnek_sig, *sig;
	struct ec_vault_options options;
	json_t *object;

	if (ec_vault_document_options(document, &options) < 0)
		return NULL;
	sig = json_string_value(json_object_get(json_object_get(document, "keys"), "sig"));
	fnek_sig = json_string_value(json_object_get(json_object_get(document, "keys"), "fnek_sig"));
	object = json_object();
	json_object_set_new(object, "ecryptfs_sig", json_string(sig));
	json_object_set_new(object, "ecryptfs_cipher", json_string(options.cipher));
	json_object_set_new(object, "ecryptfs_key_bytes", number_text(options.key_bytes));
	if (options.names) {
		json_object_set_new(object, "ecryptfs_fnek_sig", json_string(fnek_sig));
		json_object_set_new(object, "ecryptfs_fn_cipher", json_string(options.name_cipher));
		json_object_set_new(object, "ecryptfs_fn_key_bytes",
				    number_text(options.name_key_bytes));
	}
	if (options.xattr)
		json_object_set_new(object, "ecryptfs_xattr_metadata", json_true());
	return object;
}

/* Homes and Private directories of ecryptfs-utils: always aes with 16 bytes, also for names.
 * Source: ecryptfs-utils 111, src/utils/mount.ecryptfs_private.c. */
static json_t *legacy_options(const json_t *legacy)
{
	const json_t *sigs = json_object_get(legacy, "sigs");
	json_t *object = json_pack("{s:O, s:s, s:s}", "ecryptfs_sig", json_array_get(sigs, 0),
				   "ecryptfs_cipher", "aes", "ecryptfs_key_bytes", "16");

	if (json_array_size(sigs) > 1)
		json_object_set(object, "ecryptfs_fnek_sig", json_array_get(sigs, 1));
	return object;
}

json_t *ecd_vault_plan(const struct ecd_vault *vault, const json_t *document)
{
	json_t *options = NULL;

	if (vault->kind == ECD_VAULT_LEGACY)
		options = vault->legacy ? legacy_options(vault->legacy) : NULL;
	else if (document)
		options = document_options(document);
	if (!options)
		return NULL;
	return json_pack("{s:s, s:s, s:I, s:i, s:o, s:b}", "source", vault->lower, "target",
			 vault->mount_point, "owner", (json_int_t)vault->owner, "format", 3,
			 "options", options, "force_detach", false);
}

/*
 * On disk
 */

static json_t *read_json(int dir_fd, const char *name)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[STATE_FILE_LEN_MAX];
	struct stat st;
	ssize_t n;

	/* These directories are root's; a mistake of an administrator must not hang us. */
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	n = read(fd, text, sizeof(text));
	return n > 0 ? json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

/* Calls fn for each ID.json of dir/kind. */
static int for_each_json(const char *dir, const char *kind,
			 void (*fn)(void *userdata, const char *id, const json_t *object),
			 void *userdata)
{
	_cleanup_free_ char *path = ecd_path(dir, kind, NULL, NULL);
	struct dirent *entry;
	DIR *stream;

	if (!path)
		return -ENOMEM;
	stream = opendir(path);
	if (!stream)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(stream))) {
		size_t len = strlen(entry->d_name);
		_cleanup_free_ char *id = NULL;
		json_t *object;

		if (len < 6 || entry->d_name[0] == '.' || strcmp(entry->d_name + len - 5, ".json"))
			continue;
		id = strndup(entry->d_name, len - 5);
		object = read_json(dirfd(stream), entry->d_name);
		if (id && json_is_object(object))
			fn(userdata, id, object);
		else
			ec_log_warning("%s/%s is not readable as JSON, ignoring it", path,
				       entry->d_name);
		json_decref(object);
	}
	closedir(stream);
	return 0;
}

static bool is_uuid(const char *text)
{
	size_t i;

	for (i = 0; text[i]; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? text[i] != '-' :
		    !strchr("0123456789abcdef", text[i]))
			return false;
	return i == 36;
}

static void load_directory(void *userdata, const char *id, const json_t *object)
{
	struct ecd_manager *manager = userdata;
	const char *lower, *mount_point, *name;
	struct ecd_vault *vault;
	json_int_t owner;

	if (!is_uuid(id) || ecd_vault_find(manager, id))
		return;
	if (json_unpack((json_t *)object, "{s:s, s:s, s:s, s:I}", "lower", &lower, "mount_point",
			&mount_point, "name", &name, "owner_uid", &owner) < 0 ||
	    owner < 0 || owner >= UINT32_MAX) {
		ec_log_warning("the registration of vault %s has not all its members, ignoring it", id);
		return;
	}
	if (ecd_vault_new(manager, id, ECD_VAULT_DIRECTORY, (uid_t)owner, &vault) < 0)
		return;
	(void)set_string(&vault->name, name);
	(void)set_string(&vault->lower, lower);
	(void)set_string(&vault->mount_point, mount_point);
}

int ecd_vault_load_directories(struct ecd_manager *manager)
{
	return for_each_json(manager->config.state_dir, "vaults", load_directory, manager);
}

static int write_json(const char *path, const json_t *object)
{
	_cleanup_free_ char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
	_cleanup_free_ char *step = NULL;
	_cleanup_close_ int fd = -1;
	size_t len;

	if (!text || asprintf(&step, "%s.new", path) < 0)
		return -ENOMEM;
	len = strlen(text);
	fd = open(step, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	errno = ENOSPC;		/* what a short write means */
	if (write(fd, text, len) != (ssize_t)len || fsync(fd) < 0 || rename(step, path) < 0) {
		int r = -errno;

		(void)unlink(step);
		return r;
	}
	return 0;
}

int ecd_vault_register_directory(struct ecd_manager *manager, const char *uuid, uid_t owner,
				 const char *name, const char *lower, const char *mount_point,
				 struct ecd_vault **ret, struct ecd_failure *failure)
{
	_cleanup_free_ char *dir = ecd_path(manager->config.state_dir, "vaults", NULL, NULL);
	_cleanup_free_ char *path = ecd_path(manager->config.state_dir, "vaults", uuid, ".json");
	json_t *object = json_pack("{s:s, s:s, s:s, s:I}", "lower", lower, "mount_point",
				   mount_point, "name", name, "owner_uid", (json_int_t)owner);
	int r;

	if (!dir || !path || !object) {
		json_decref(object);
		return ecd_fail(failure, -ENOMEM, NULL, "out of memory");
	}
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		r = -errno;
	else
		r = write_json(path, object);
	if (r < 0) {
		json_decref(object);
		return ecd_fail(failure, r, NULL, "cannot register the vault in %s: %s", dir,
				strerror(-r));
	}
	load_directory(manager, uuid, object);
	json_decref(object);
	*ret = ecd_vault_find(manager, uuid);
	return *ret ? 0 : ecd_fail(failure, -ENOMEM, NULL, "out of memory");
}

int ecd_vault_unregister_directory(struct ecd_manager *manager, const char *uuid)
{
	_cleanup_free_ char *path = ecd_path(manager->config.state_dir, "vaults", uuid, ".json");

	if (!path)
		return -ENOMEM;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

/* What is known of a home that was mounted before this process began. */
static struct ecd_vault *adopt_home(struct ecd_manager *manager, const char *id,
				    const json_t *object)
{
	const char *source, *target;
	struct ecd_vault *vault;
	json_int_t owner;

	if (strncmp(id, "home-", 5) ||
	    json_unpack((json_t *)object, "{s:s, s:s, s:I}", "source", &source, "target", &target,
			"owner", &owner) < 0)
		return NULL;
	/* Its kind and document come with the next look by the store. */
	if (ecd_vault_new(manager, id, ECD_VAULT_HOME, (uid_t)owner, &vault) < 0)
		return NULL;
	(void)set_string(&vault->lower, source);
	(void)set_string(&vault->mount_point, target);
	return vault;
}

static void note_mounted(void *userdata, const char *id, const json_t *object)
{
	struct {
		struct ecd_manager *manager;
		json_t *seen;
	} *scan = userdata;
	struct ecd_vault *vault = ecd_vault_find(scan->manager, id);

	json_object_set_new(scan->seen, id, json_true());
	if (!vault)
		vault = adopt_home(scan->manager, id, object);
	if (!vault || vault->mounted)
		return;
	ecd_vault_set_target(vault, json_string_value(json_object_get(object, "target")));
	ecd_vault_set_mounted(vault, true, json_string_value(json_object_get(object, "engine")));
}

void ecd_vault_scan_mounts(struct ecd_manager *manager)
{
	struct {
		struct ecd_manager *manager;
		json_t *seen;
	} scan = { manager, json_object() };
	struct ecd_vault *vault;

	if (for_each_json(manager->config.run_dir, "mounts", note_mounted, &scan) >= 0)
		TAILQ_FOREACH(vault, &manager->vaults, link)
			if (vault->mounted && !json_object_get(scan.seen, vault->id))
				ecd_vault_set_mounted(vault, false, NULL);
	json_decref(scan.seen);
}
