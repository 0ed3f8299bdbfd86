/* SPDX-License-Identifier: GPL-2.0-only */
/* Vaults as the bus shows them: by what name a person means one, and its properties as JSON. */
#include "ctl/ctl.h"

#include "lib/bus-client.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* Without "." and "..", and through symlinks, as far as the path is there. */
char *ctl_absolute_path(const char *path)
{
	_cleanup_free_ char *copy = NULL, *parent = NULL;
	char *whole = realpath(path, NULL), *slash;
	const char *base;
	size_t len;

	if (whole)
		return whole;
	/* A last component that is yet to be made, in a directory that is there. */
	copy = strdup(path);
	if (!copy)
		return NULL;
	for (len = strlen(copy); len > 1 && copy[len - 1] == '/'; len--)
		copy[len - 1] = '\0';
	slash = strrchr(copy, '/');
	base = slash ? slash + 1 : copy;
	if (slash)
		*slash = '\0';
	parent = realpath(!slash ? "." : slash == copy ? "/" : copy, NULL);
	if (!parent || !strcmp(base, ".") || !strcmp(base, ".."))
		return path[0] == '/' ? strdup(path) : NULL;
	if (asprintf(&whole, "%s/%s", strcmp(parent, "/") ? parent : "", base) < 0)
		return NULL;
	return whole;
}

char *ctl_designator(const char *arg)
{
	char *path = NULL;

	if (!arg)
		return strdup("");
	if (strchr(arg, '/'))
		path = ctl_absolute_path(arg);
	return path ? path : strdup(arg);	/* a name may have a slash in it */
}

int ctl_resolve(struct ctl *ctl, const char *doing, const char *arg, char **ret_path)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
	_cleanup_free_ char *designator = ctl_designator(arg), *text = NULL;
	const char *path;
	int r;

	if (!designator)
		return ctl_fail(ctl, -ENOENT, doing, arg, NULL);
	r = ctl_bus(ctl);
	if (r != 0)
		return r;
	r = ctl_call_new(ctl, EC_BUS_MANAGER_PATH, EC_BUS_MANAGER_IFACE, "ResolveVault", &call);
	if (r >= 0)
		r = sd_bus_message_append(call, "s", designator);
	if (r >= 0)
		r = ctl_call(ctl, call, 0, &reply, &text);
	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &path);
	if (r < 0)
		return ctl_fail(ctl, r, doing, arg, text);
	*ret_path = strdup(path);
	return *ret_path ? 0 : ctl_fail(ctl, -ENOMEM, doing, arg, NULL);
}

/* Properties in the order in which status shows them. */
static const struct {
	const char *property;
	const char *key;
} properties[] = {
	{ "Name", "name" },
	{ "Uuid", "uuid" },
	{ "Kind", "kind" },
	{ "State", "state" },
	{ "Problem", "problem" },
	{ "OwnerUid", "owner_uid" },
	{ "LowerDirectory", "lower_directory" },
	{ "MountPoint", "mount_point" },
	{ "Engine", "engine" },
	{ "Format", "format" },
	{ "Cipher", "cipher" },
	{ "KeyBytes", "key_bytes" },
	{ "NamesEncrypted", "names_encrypted" },
	{ "Sessions", "sessions" },
	{ "SecretStale", "secret_stale" },
	{ "Slots", "slots" },
};

static int read_variant(sd_bus_message *m, json_t **ret);

/* a{sv}, or any dictionary of strings to variants */
static int read_dictionary(sd_bus_message *m, json_t **ret)
{
	json_t *object = json_object(), *value;
	const char *key;
	int r;

	r = sd_bus_message_enter_container(m, 'a', "{sv}");
	while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		r = sd_bus_message_read(m, "s", &key);
		if (r >= 0)
			r = read_variant(m, &value);
		if (r >= 0)
			r = json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
		if (r >= 0)
			r = sd_bus_message_exit_container(m);
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0) {
		json_decref(object);
		return r;
	}
	*ret = object;
	return 0;
}

static int read_dictionaries(sd_bus_message *m, json_t **ret)
{
	json_t *array = json_array(), *item;
	int r;

	r = sd_bus_message_enter_container(m, 'a', "a{sv}");
	while (r >= 0 && (r = sd_bus_message_at_end(m, 0)) == 0) {
		r = read_dictionary(m, &item);
		if (r >= 0)
			r = json_array_append_new(array, item) < 0 ? -ENOMEM : 0;
	}
	if (r >= 0)
		r = sd_bus_message_exit_container(m);
	if (r < 0) {
		json_decref(array);
		return r;
	}
	*ret = array;
	return 0;
}

static int read_string(sd_bus_message *m, json_t **ret)
{
	const char *text;
	int r;

	r = sd_bus_message_read(m, "s", &text);
	if (r < 0)
		return r;
	*ret = json_string(text);
	return *ret ? 0 : -EBADMSG;
}

static int read_number(sd_bus_message *m, json_t **ret)
{
	uint32_t number;
	int r;

	r = sd_bus_message_read(m, "u", &number);
	if (r < 0)
		return r;
	*ret = json_integer(number);
	return *ret ? 0 : -ENOMEM;
}

static int read_bool(sd_bus_message *m, json_t **ret)
{
	int truth, r;

	r = sd_bus_message_read(m, "b", &truth);
	if (r < 0)
		return r;
	*ret = json_boolean(truth);
	return 0;
}

/* What a later broker may add in another type is left out. */
static int read_other(sd_bus_message *m, json_t **ret)
{
	*ret = json_null();
	return sd_bus_message_skip(m, NULL);
}

static int read_variant(sd_bus_message *m, json_t **ret)
{
	const char *contents;
	json_t *value = NULL;
	int r;

	r = sd_bus_message_peek_type(m, NULL, &contents);
	if (r < 0)
		return r;
	r = sd_bus_message_enter_container(m, 'v', contents);
	if (r < 0)
		return r;
	if (!strcmp(contents, "s"))
		r = read_string(m, &value);
	else if (!strcmp(contents, "u"))
		r = read_number(m, &value);
	else if (!strcmp(contents, "b"))
		r = read_bool(m, &value);
	else if (!strcmp(contents, "aa{sv}"))
		r = read_dictionaries(m, &value);
	else
		r = read_other(m, &value);
	if (r < 0)
		return r;
	r = sd_bus_message_exit_container(m);
	if (r < 0) {
		json_decref(value);
		return r;
	}
	*ret = value;
	return 0;
}

/* { "Name": ... } to { "name": ... }, in the order of the table; consumes all. */
static json_t *rename_properties(json_t *all, const char *path)
{
	json_t *vault = json_pack("{s:s}", "object", path), *value;
	size_t i;

	for (i = 0; i < sizeof(properties) / sizeof(properties[0]); i++) {
		value = json_object_get(all, properties[i].property);
		if (value)
			json_object_set(vault, properties[i].key, value);
	}
	json_decref(all);
	return vault;
}

int ctl_vault_read(struct ctl *ctl, const char *path, json_t **ret_vault, char **ret_text)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
	json_t *all = NULL;
	int r;

	*ret_text = NULL;
	r = ctl_call_new(ctl, path, "org.freedesktop.DBus.Properties", "GetAll", &call);
	if (r >= 0)
		r = sd_bus_message_append(call, "s", EC_BUS_VAULT_IFACE);
	if (r >= 0)
		r = ctl_call(ctl, call, 0, &reply, ret_text);
	if (r >= 0)
		r = read_dictionary(reply, &all);
	if (r < 0)
		return r;
	*ret_vault = rename_properties(all, path);
	return 0;
}

const char *ctl_vault_string(const json_t *vault, const char *key)
{
	const char *text = json_string_value(json_object_get(vault, key));

	return text ? text : "";
}

json_int_t ctl_vault_number(const json_t *vault, const char *key)
{
	return json_integer_value(json_object_get(vault, key));
}
