/* SPDX-License-Identifier: GPL-2.0-only */
/* list, status: what there is. */
#include "ctl/ctl.h"

#include "lib/bus-client.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>

static enum ctl_colour state_colour(const json_t *vault)
{
	const char *state = ctl_vault_string(vault, "state");

	if (!strcmp(state, "damaged"))
		return CTL_COLOUR_BAD;
	if (!strcmp(state, "mounted"))
		return CTL_COLOUR_GOOD;
	return !strcmp(state, "locked") ? CTL_COLOUR_NONE : CTL_COLOUR_WARN;
}

static const char *owner_name(const json_t *vault, char ret[static 32])
{
	json_int_t uid = ctl_vault_number(vault, "owner_uid");
	const struct passwd *pw = getpwuid((uid_t)uid);

	if (pw && strlen(pw->pw_name) < 32)
		return strcpy(ret, pw->pw_name);
	snprintf(ret, 32, "%lld", (long long)uid);
	return ret;
}

/* Reads the properties of each; a vault that went away meanwhile is left out. */
static int read_vaults(struct ctl *ctl, sd_bus_message *reply, json_t *vaults, char **ret_text)
{
	const char *path;
	json_t *vault;
	int r;

	r = sd_bus_message_enter_container(reply, 'a', "o");
	while (r >= 0 && (r = sd_bus_message_read(reply, "o", &path)) > 0) {
		r = ctl_vault_read(ctl, path, &vault, ret_text);
		if (r == -ENOENT || r == -EOPNOTSUPP) {
			free(*ret_text);
			*ret_text = NULL;
			r = 0;
			continue;
		}
		if (r >= 0)
			json_array_append_new(vaults, vault);
	}
	return r;
}

static int all_vaults(struct ctl *ctl, json_t *vaults, char **ret_text)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
	int r;

	r = ctl_call_new(ctl, EC_BUS_MANAGER_PATH, EC_BUS_MANAGER_IFACE, "ListVaults", &call);
	if (r >= 0)
		r = ctl_call(ctl, call, 0, &reply, ret_text);
	if (r >= 0)
		r = read_vaults(ctl, reply, vaults, ret_text);
	return r;
}

static void add_head(struct ctl_table *table)
{
	static const char *const head[] = { "NAME", "STATE", "KIND", "OWNER", "MOUNT POINT" };
	size_t i;

	for (i = 0; i < sizeof(head) / sizeof(head[0]); i++)
		ctl_table_add(table, CTL_COLOUR_HEAD, head[i]);
}

static int print_table(const json_t *vaults)
{
	struct ctl_table *table = ctl_table_new(5);
	char owner[32];
	json_t *vault;
	size_t i;
	int r;

	if (!table)
		return -ENOMEM;
	add_head(table);
	json_array_foreach(vaults, i, vault) {
		ctl_table_add(table, CTL_COLOUR_NONE, ctl_vault_string(vault, "name"));
		ctl_table_add(table, state_colour(vault), ctl_vault_string(vault, "state"));
		ctl_table_add(table, CTL_COLOUR_NONE, ctl_vault_string(vault, "kind"));
		ctl_table_add(table, CTL_COLOUR_NONE, owner_name(vault, owner));
		ctl_table_add(table, CTL_COLOUR_NONE, ctl_vault_string(vault, "mount_point"));
	}
	r = ctl_table_print(table);
	ctl_table_free(table);
	return r;
}

/* Only what is not there any more is worth forgetting; a damaged vault has its files. */
static bool is_gone(const json_t *vault)
{
	const char *lower = ctl_vault_string(vault, "lower_directory");

	return !strcmp(ctl_vault_string(vault, "kind"), "directory") && lower[0] == '/' &&
	       access(lower, F_OK) < 0 && errno == ENOENT;
}

static void print_problems(const json_t *vaults)
{
	json_t *vault;
	size_t i;

	json_array_foreach(vaults, i, vault) {
		_cleanup_free_ char *problem = ctl_printable(ctl_vault_string(vault, "problem"));
		_cleanup_free_ char *name = ctl_printable(ctl_vault_string(vault, "name"));

		if (!problem || !name || !problem[0])
			continue;
		printf("\n%s%s%s: %s.", ctl_colour_begin(state_colour(vault)), name,
		       ctl_colour_end(state_colour(vault)), problem);
		/* A name need not be a word, nor be the only one of its kind. */
		if (is_gone(vault))
			printf(" If it is gone for good: ecryptfsctl forget %s",
			       ctl_vault_string(vault, "uuid"));
		putchar('\n');
	}
}

/* One name a line, for completion and scripts; a name with a newline in it cannot be one. */
static void print_names(const json_t *vaults)
{
	const char *name;
	json_t *vault;
	size_t i;

	json_array_foreach(vaults, i, vault) {
		name = ctl_vault_string(vault, "name");
		if (name[0] && !name[strcspn(name, "\n\r\t\033")])
			puts(name);
	}
}

static int print_list(const struct ctl *ctl, json_t *vaults)
{
	if (ctl->plain) {
		print_names(vaults);
		return 0;
	}
	if (!json_array_size(vaults)) {
		puts("There are no vaults. `ecryptfsctl create` makes one.");
		return 0;
	}
	if (print_table(vaults) < 0)
		return ctl_fail(ctl, -ENOMEM, "list", "the vaults", NULL);
	print_problems(vaults);
	return 0;
}

int ctl_verb_list(struct ctl *ctl)
{
	_cleanup_free_ char *text = NULL;
	json_t *vaults;
	int r;

	r = ctl_bus(ctl);
	if (r != 0)
		return r;
	vaults = json_array();
	r = all_vaults(ctl, vaults, &text);
	if (r < 0)
		r = ctl_fail(ctl, r, "list", "the vaults", text);
	else if (ctl->json != CTL_JSON_OFF)
		return ctl_print_json(ctl, json_pack("{s:o}", "vaults", vaults));
	else
		r = print_list(ctl, vaults);
	json_decref(vaults);
	return r;
}

static void add_line(struct ctl_table *table, const char *label, enum ctl_colour colour,
		     const char *value)
{
	if (!value[0])
		return;
	ctl_table_add(table, CTL_COLOUR_HEAD, label);
	ctl_table_add(table, colour, value);
}

static void add_encryption(struct ctl_table *table, const json_t *vault)
{
	const char *cipher = ctl_vault_string(vault, "cipher");
	char line[128];

	if (!cipher[0])
		return;
	snprintf(line, sizeof(line), "format %lld, %s-%lld, names %s",
		 (long long)ctl_vault_number(vault, "format"), cipher,
		 8 * (long long)ctl_vault_number(vault, "key_bytes"),
		 json_is_true(json_object_get(vault, "names_encrypted")) ? "encrypted" :
		 "in the clear");
	add_line(table, "Encryption", CTL_COLOUR_NONE, line);
}

static void add_slots(struct ctl_table *table, const json_t *vault)
{
	char line[512];
	json_t *slot;
	size_t i;

	json_array_foreach(json_object_get(vault, "slots"), i, slot) {
		snprintf(line, sizeof(line), "%lld: %s%s%s%s%s",
			 (long long)ctl_vault_number(slot, "id"), ctl_vault_string(slot, "type"),
			 ctl_vault_string(slot, "label")[0] ? ", " : "",
			 ctl_vault_string(slot, "label"),
			 ctl_vault_string(slot, "created")[0] ? ", since " : "",
			 ctl_vault_string(slot, "created"));
		add_line(table, i ? " " : "Slots", CTL_COLOUR_NONE, line);
	}
}

static void add_vault(struct ctl_table *table, const json_t *vault)
{
	char owner[32], sessions[32];

	snprintf(sessions, sizeof(sessions), "%lld",
		 (long long)ctl_vault_number(vault, "sessions"));
	add_line(table, "Vault", CTL_COLOUR_NONE, ctl_vault_string(vault, "name"));
	add_line(table, "State", state_colour(vault), ctl_vault_string(vault, "state"));
	add_line(table, "Problem", state_colour(vault), ctl_vault_string(vault, "problem"));
	add_line(table, "Kind", CTL_COLOUR_NONE, ctl_vault_string(vault, "kind"));
	add_line(table, "Owner", CTL_COLOUR_NONE, owner_name(vault, owner));
	add_line(table, "Mount point", CTL_COLOUR_NONE, ctl_vault_string(vault, "mount_point"));
	add_line(table, "Ciphertext", CTL_COLOUR_NONE, ctl_vault_string(vault, "lower_directory"));
	add_encryption(table, vault);
	add_line(table, "Engine", CTL_COLOUR_NONE, ctl_vault_string(vault, "engine"));
	add_line(table, "Sessions", CTL_COLOUR_NONE, sessions);
	if (json_is_true(json_object_get(vault, "secret_stale")))
		add_line(table, "Password", CTL_COLOUR_WARN,
			 "older than the login password; the next login asks for it");
	add_slots(table, vault);
	add_line(table, "Uuid", CTL_COLOUR_NONE, ctl_vault_string(vault, "uuid"));
}

static int print_vault(const json_t *vault)
{
	struct ctl_table *table = ctl_table_new(2);
	int r;

	if (!table)
		return -ENOMEM;
	add_vault(table, vault);
	r = ctl_table_print(table);
	ctl_table_free(table);
	return r;
}

int ctl_verb_status(struct ctl *ctl)
{
	const char *arg = ctl->n_args ? ctl->args[0] : NULL;
	_cleanup_free_ char *path = NULL, *text = NULL;
	json_t *vault;
	int r;

	r = ctl_resolve(ctl, "show", arg, &path);
	if (r != 0)
		return r;
	r = ctl_vault_read(ctl, path, &vault, &text);
	if (r < 0)
		return ctl_fail(ctl, r, "show", arg, text);
	if (ctl->json != CTL_JSON_OFF)
		return ctl_print_json(ctl, json_pack("{s:o}", "vault", vault));
	r = print_vault(vault);
	json_decref(vault);
	return r < 0 ? ctl_fail(ctl, r, "show", arg, NULL) : 0;
}
