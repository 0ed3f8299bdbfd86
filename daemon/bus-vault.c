/* SPDX-License-Identifier: GPL-2.0-only */
/* Methods and properties of the vaults. A vault is an object only for its owner and root; for
 * others who call a method, polkit decides whether it exists for them. */
#include "daemon/bus-vault.h"

#include "daemon/bus-call.h"
#include "daemon/manager.h"
#include "daemon/polkit.h"
#include "daemon/session.h"
#include "daemon/vault.h"
#include "lib/bus-client.h"
#include "lib/cleanup.h"
#include "lib/vault-document.h"

#include <errno.h>
#include <string.h>

#define SLOT_ANY (-1)

/*
 * Options
 */

struct options {
	bool force;
	json_int_t slot;
	char *mount_point;
	unsigned int allowed;	/* OPTION_* */
};

enum {
	OPTION_FORCE = 1 << 0,
	OPTION_SLOT = 1 << 1,
	OPTION_MOUNT_POINT = 1 << 2,
};

static int read_option(sd_bus_message *message, const char *key, void *userdata,
		       sd_bus_error *error)
{
	struct options *options = userdata;
	const char *text;
	uint32_t number;
	int flag, r;

	if (!strcmp(key, "force") && options->allowed & OPTION_FORCE) {
		r = sd_bus_message_read(message, "v", "b", &flag);
		if (r >= 0)
			options->force = flag;
		return r;
	}
	if (!strcmp(key, "slot") && options->allowed & OPTION_SLOT) {
		r = sd_bus_message_read(message, "v", "u", &number);
		if (r >= 0)
			options->slot = number;
		return r;
	}
	if (!strcmp(key, "mount_point") && options->allowed & OPTION_MOUNT_POINT) {
		r = sd_bus_message_read(message, "v", "s", &text);
		if (r < 0)
			return r;
		free(options->mount_point);
		options->mount_point = strdup(text);
		return options->mount_point ? 0 : -ENOMEM;
	}
	return ecd_call_error(error, -EINVAL, "There is no option \"%.64s\".", key);
}

static int read_options(sd_bus_message *message, struct options *options, sd_bus_error *error)
{
	return ecd_call_read_entries(message, read_option, options, error);
}

/*
 * Methods
 */

/* The vault may have gone while polkit asked. */
static void start_on_vault(struct ecd_operation *operation, void *userdata)
{
	struct ecd_vault *vault = ecd_vault_find_path(operation->manager,
						      sd_bus_message_get_path(operation->message));

	if (!vault)
		ecd_operation_fail_text(operation, -ENOENT, "it has gone");
	else
		ecd_operation_start(operation, vault);
}

static void authorize(struct ecd_operation *operation, const struct ecd_vault *vault)
{
	ecd_call_authorize(operation, operation->uid == 0 || operation->uid == vault->owner,
			   ECD_ACTION_MANAGE_OTHERS, start_on_vault);
}

static int new_operation(sd_bus_message *message, struct ecd_vault *vault,
			 enum ecd_operation_kind kind, ecd_operation_fn reply,
			 struct ecd_operation **ret, sd_bus_error *error)
{
	uid_t uid;
	int r;

	r = ecd_call_uid(message, &uid);
	if (r < 0)
		return r;
	return ecd_call_operation(vault->manager, message, kind, uid, reply, ret, error);
}

static void reply_slot(struct ecd_operation *operation, void *userdata)
{
	(void)sd_bus_reply_method_return(operation->message, "u", (uint32_t)operation->slot);
}

static void reply_empty(struct ecd_operation *operation, void *userdata)
{
	(void)sd_bus_reply_method_return(operation->message, NULL);
}

static int read_unlock(sd_bus_message *message, struct ecd_operation *operation,
		       const struct ecd_vault *vault, sd_bus_error *error)
{
	struct options options = { .slot = SLOT_ANY, .allowed = OPTION_SLOT | OPTION_MOUNT_POINT };
	int r;

	r = read_options(message, &options, error);
	operation->mount_point = options.mount_point;
	operation->slot_wanted = options.slot;
	if (r < 0)
		return r;
	if (options.mount_point && operation->uid)
		return ecd_call_error(error, -EACCES, "Only root may choose another mount point.");
	if (options.mount_point && ecd_vault_is_of_home(vault))
		return ecd_call_error(error, -EINVAL, "A home is mounted where the home is.");
	if (options.mount_point && !ecd_call_is_normal_path(options.mount_point))
		return ecd_call_error(error, -EINVAL, "The mount point has to be an absolute path "
				      "without \".\", \"..\" and double slashes.");
	r = ecd_call_read_secret(message, &operation->secrets[0], error);
	if (r < 0)
		return r;
	operation->n_secrets = 1;
	return 0;
}

static int method_unlock(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct ecd_operation *operation;
	struct ecd_vault *vault = userdata;
	int r;

	r = new_operation(message, vault, ECD_OPERATION_UNLOCK, reply_slot, &operation, error);
	if (r < 0)
		return r;
	r = read_unlock(message, operation, vault, error);
	if (r < 0) {
		ecd_operation_free(operation);
		return r;
	}
	authorize(operation, vault);
	return 1;
}

static int method_lock(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct options options = { .slot = SLOT_ANY, .allowed = OPTION_FORCE };
	struct ecd_operation *operation;
	struct ecd_vault *vault = userdata;
	int r;

	r = new_operation(message, vault, ECD_OPERATION_LOCK, reply_empty, &operation, error);
	if (r < 0)
		return r;
	r = read_options(message, &options, error);
	if (r < 0) {
		ecd_operation_free(operation);
		return r;
	}
	operation->force = options.force;
	authorize(operation, vault);
	return 1;
}

static int method_forget(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct ecd_operation *operation;
	struct ecd_vault *vault = userdata;
	int r;

	r = new_operation(message, vault, ECD_OPERATION_FORGET, reply_empty, &operation, error);
	if (r < 0)
		return r;
	authorize(operation, vault);
	return 1;
}

static int read_change(sd_bus_message *message, struct ecd_operation *operation,
		       sd_bus_error *error)
{
	struct options options = { .slot = SLOT_ANY, .allowed = OPTION_SLOT };
	int r;

	r = read_options(message, &options, error);
	if (r < 0)
		return r;
	operation->slot_wanted = options.slot;
	r = ecd_call_read_secret(message, &operation->secrets[0], error);
	if (r < 0)
		return r;
	operation->n_secrets = 1;
	r = ecd_call_read_secret(message, &operation->new_secret, error);
	if (r < 0)
		return r;
	if (!operation->new_secret.len)
		return ecd_call_error(error, -EINVAL, "An empty passphrase protects nothing.");
	return 0;
}

static int method_change_secret(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
	struct ecd_operation *operation;
	struct ecd_vault *vault = userdata;
	int r;

	r = new_operation(message, vault, ECD_OPERATION_CHANGE, reply_empty, &operation, error);
	if (r < 0)
		return r;
	r = read_change(message, operation, error);
	if (r < 0) {
		ecd_operation_free(operation);
		return r;
	}
	authorize(operation, vault);
	return 1;
}

/*
 * Properties
 */

typedef const char *(*text_fn)(const struct ecd_vault *vault);

static const char *text_uuid(const struct ecd_vault *vault)
{
	return vault->document ? ec_vault_document_uuid(vault->document) :
	       vault->kind == ECD_VAULT_DIRECTORY ? vault->id : "";
}

static const char *text_name(const struct ecd_vault *vault)
{
	return vault->name;
}

static const char *text_lower(const struct ecd_vault *vault)
{
	return vault->lower;
}

static const char *text_mount_point(const struct ecd_vault *vault)
{
	return ecd_vault_target(vault);
}

static const char *text_problem(const struct ecd_vault *vault)
{
	return vault->problem;
}

static const char *text_engine(const struct ecd_vault *vault)
{
	return vault->engine;
}

static json_t *options_of(const struct ecd_vault *vault)
{
	return json_object_get(vault->document, "options");
}

static const char *text_cipher(const struct ecd_vault *vault)
{
	return vault->document ? json_string_value(json_object_get(options_of(vault), "cipher")) :
	       "aes";
}

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property,
		    sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	static const struct {
		const char *property;
		text_fn fn;
	} texts[] = {
		{ "Uuid", text_uuid }, { "Name", text_name }, { "Kind", ecd_vault_kind_name },
		{ "LowerDirectory", text_lower }, { "MountPoint", text_mount_point },
		{ "State", ecd_vault_state }, { "Problem", text_problem },
		{ "Engine", text_engine }, { "Cipher", text_cipher },
	};
	const char *text = NULL;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!strcmp(texts[i].property, property))
			text = texts[i].fn(userdata);
	return sd_bus_message_append(reply, "s", text ? text : "");
}

static int get_number(sd_bus *bus, const char *path, const char *interface, const char *property,
		      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct ecd_vault *vault = userdata;
	uint32_t number = 3;	/* Format */

	if (!strcmp(property, "OwnerUid"))
		number = vault->owner;
	else if (!strcmp(property, "Sessions"))
		number = ecd_vault_is_of_home(vault) ?
			 ecd_sessions_count(vault->manager, vault->owner) : 0;
	else if (!strcmp(property, "KeyBytes"))
		number = vault->document ?
			 (uint32_t)json_integer_value(json_object_get(options_of(vault), "key_bytes")) :
			 16;
	return sd_bus_message_append(reply, "u", number);
}

static int get_flag(sd_bus *bus, const char *path, const char *interface, const char *property,
		    sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct ecd_vault *vault = userdata;
	bool flag;

	if (!strcmp(property, "SecretStale"))
		flag = ecd_vault_secret_is_stale(vault);
	else if (vault->document)
		flag = json_is_true(json_object_get(options_of(vault), "names"));
	else
		flag = json_array_size(json_object_get(vault->legacy, "sigs")) > 1;
	return sd_bus_message_append(reply, "b", (int)flag);
}

static int append_slot(sd_bus_message *reply, const json_t *slot)
{
	const char *type = "", *label = "", *created = "";
	json_int_t id = 0;

	(void)json_unpack((json_t *)slot, "{s:I, s:s, s:s, s:s}", "id", &id, "type", &type,
			  "label", &label, "created", &created);
	return sd_bus_message_append(reply, "a{sv}", 4, "id", "u", (uint32_t)id, "type", "s", type,
				     "label", "s", label, "created", "s", created);
}

static int get_slots(sd_bus *bus, const char *path, const char *interface, const char *property,
		     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct ecd_vault *vault = userdata;
	json_t *slot;
	size_t i;
	int r;

	r = sd_bus_message_open_container(reply, 'a', "a{sv}");
	json_array_foreach(json_object_get(vault->document, "slots"), i, slot)
		if (r >= 0)
			r = append_slot(reply, slot);
	if (r >= 0 && vault->legacy)
		r = sd_bus_message_append(reply, "a{sv}", 4, "id", "u", 0, "type", "s", "legacy",
					  "label", "s", "wrapped-passphrase", "created", "s", "");
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

#define METHOD(member, in, out, handler) \
	SD_BUS_METHOD(member, in, out, handler, \
		      SD_BUS_VTABLE_UNPRIVILEGED | SD_BUS_VTABLE_SENSITIVE)
/* The signal says that it changed, not what to: everybody can listen to signals. */
#define CHANGING SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION

static const sd_bus_vtable vault_vtable[] = {
	SD_BUS_VTABLE_START(0),
	METHOD("Unlock", "a{sv}h", "u", method_unlock),
	METHOD("Lock", "a{sv}", NULL, method_lock),
	METHOD("ChangeSecret", "a{sv}hh", NULL, method_change_secret),
	METHOD("Forget", NULL, NULL, method_forget),
	SD_BUS_PROPERTY("Uuid", "s", get_text, 0, 0),
	SD_BUS_PROPERTY("Name", "s", get_text, 0, 0),
	SD_BUS_PROPERTY("Kind", "s", get_text, 0, 0),
	SD_BUS_PROPERTY("OwnerUid", "u", get_number, 0, 0),
	SD_BUS_PROPERTY("LowerDirectory", "s", get_text, 0, 0),
	SD_BUS_PROPERTY("MountPoint", "s", get_text, 0, 0),
	SD_BUS_PROPERTY("State", "s", get_text, 0, CHANGING),
	SD_BUS_PROPERTY("Problem", "s", get_text, 0, 0),
	SD_BUS_PROPERTY("Engine", "s", get_text, 0, 0),
	SD_BUS_PROPERTY("Format", "u", get_number, 0, 0),
	SD_BUS_PROPERTY("Cipher", "s", get_text, 0, 0),
	SD_BUS_PROPERTY("KeyBytes", "u", get_number, 0, 0),
	SD_BUS_PROPERTY("NamesEncrypted", "b", get_flag, 0, 0),
	SD_BUS_PROPERTY("Sessions", "u", get_number, 0, 0),
	SD_BUS_PROPERTY("SecretStale", "b", get_flag, 0, 0),
	SD_BUS_PROPERTY("Slots", "aa{sv}", get_slots, 0, 0),
	SD_BUS_VTABLE_END,
};

/*
 * Objects
 */

/* The methods ask polkit for strangers; everything else is not there for them. */
static bool shows(struct ecd_manager *manager, const struct ecd_vault *vault)
{
	sd_bus_message *message = sd_bus_get_current_message(manager->bus);
	uid_t uid;

	if (manager->emitting || !message)
		return true;
	if (sd_bus_message_is_method_call(message, EC_BUS_VAULT_IFACE, NULL))
		return true;
	if (ecd_call_uid(message, &uid) < 0)
		return false;
	return uid == 0 || uid == vault->owner;
}

static int find(sd_bus *bus, const char *path, const char *interface, void *userdata,
		void **ret_found, sd_bus_error *error)
{
	struct ecd_manager *manager = userdata;
	struct ecd_vault *vault = ecd_vault_find_path(manager, path);

	if (!vault || !shows(manager, vault))
		return 0;
	*ret_found = vault;
	return 1;
}

static int enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
		     sd_bus_error *error)
{
	struct ecd_manager *manager = userdata;
	const struct ecd_vault *vault;
	size_t n = 0;
	char **nodes;

	TAILQ_FOREACH(vault, &manager->vaults, link)
		n++;
	nodes = calloc(n + 1, sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	n = 0;
	TAILQ_FOREACH(vault, &manager->vaults, link) {
		if (!shows(manager, vault))
			continue;
		nodes[n] = strdup(vault->bus_path);
		if (!nodes[n])
			break;
		n++;
	}
	*ret_nodes = nodes;	/* sd-bus frees it */
	return 0;
}

int ecd_bus_vault_add(struct ecd_manager *manager)
{
	_cleanup_free_ char *prefix = strndup(EC_BUS_VAULT_PREFIX, strlen(EC_BUS_VAULT_PREFIX) - 1);
	int r;

	if (!prefix)
		return -ENOMEM;
	r = sd_bus_add_fallback_vtable(manager->bus, NULL, prefix, EC_BUS_VAULT_IFACE, vault_vtable,
				       find, manager);
	if (r >= 0)
		r = sd_bus_add_node_enumerator(manager->bus, NULL, prefix, enumerate, manager);
	if (r >= 0)
		r = sd_bus_add_object_manager(manager->bus, NULL, EC_BUS_MANAGER_PATH);
	return r;
}

static void emit(struct ecd_vault *vault, const char *signal)
{
	if (vault->manager->bus)
		(void)sd_bus_emit_signal(vault->manager->bus, EC_BUS_MANAGER_PATH,
					 EC_BUS_MANAGER_IFACE, signal, "o", vault->bus_path);
}

void ecd_bus_vault_added(struct ecd_vault *vault)
{
	emit(vault, "VaultAdded");
}

void ecd_bus_vault_removed(struct ecd_vault *vault)
{
	emit(vault, "VaultRemoved");
}

void ecd_bus_vault_changed(struct ecd_vault *vault)
{
	struct ecd_manager *manager = vault->manager;

	if (!manager->bus)
		return;
	manager->emitting = true;
	(void)sd_bus_emit_properties_changed(manager->bus, vault->bus_path, EC_BUS_VAULT_IFACE,
					     "State", NULL);
	manager->emitting = false;
}
