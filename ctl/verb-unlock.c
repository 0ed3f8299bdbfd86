/* SPDX-License-Identifier: GPL-2.0-only */
/* unlock, lock, lock-all, forget: plaintext visible, and not. */
#include "ctl/ctl.h"

#include "lib/bus-client.h"

#include <errno.h>
#include <string.h>

#define N_TRIES 3	/* for a person who types */

static int call_unlock(struct ctl *ctl, const char *path, const struct ec_secret *secret,
		       uint32_t *ret_slot, char **ret_text)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
	int r;

	*ret_text = NULL;
	r = ctl_call_new(ctl, path, EC_BUS_VAULT_IFACE, "Unlock", &call);
	if (r >= 0)
		r = sd_bus_message_append(call, "a{sv}", 0);
	if (r >= 0)
		r = ctl_append_secret(call, secret);
	if (r >= 0)
		r = ctl_call(ctl, call, CTL_SLOW_US, &reply, ret_text);
	if (r >= 0)
		r = sd_bus_message_read(reply, "u", ret_slot);
	return r < 0 ? r : 0;
}

/* Asks and tries; 0 or an exit code. */
static int unlock(struct ctl *ctl, const char *path, const char *arg, uint32_t *ret_slot)
{
	int n_left = ctl_secret_is_typed(ctl) ? N_TRIES : 1, r;
	char question[512];

	snprintf(question, sizeof(question), "Passphrase or recovery key of %s: ",
		 arg ? arg : "your home");
	for (;;) {
		_cleanup_secret_ struct ec_secret secret = EC_SECRET_NULL;
		_cleanup_free_ char *text = NULL;

		r = ctl_secret(ctl, "unlock", arg, question, &secret);
		if (r != 0)
			return r;
		r = call_unlock(ctl, path, &secret, ret_slot, &text);
		if (r == 0)
			return 0;
		if (r != -EKEYREJECTED || --n_left == 0)
			return ctl_fail(ctl, r, "unlock", arg, text);
		fputs("That is not it, try again.\n", stderr);
	}
}

/* A shell that was started in the closed home still sees that. */
static bool stands_in(const char *mount_point)
{
	_cleanup_free_ char *cwd = getcwd(NULL, 0);
	size_t len = strlen(mount_point);

	return cwd && len && !strncmp(cwd, mount_point, len) &&
	       (cwd[len] == '/' || cwd[len] == '\0');
}

static int tell_unlocked(struct ctl *ctl, const char *path, uint32_t slot)
{
	_cleanup_free_ char *text = NULL, *mount_point = NULL;
	json_t *vault = NULL;

	if (ctl_vault_read(ctl, path, &vault, &text) < 0)
		vault = json_object();
	if (ctl->json != CTL_JSON_OFF)
		return ctl_print_json(ctl, json_pack("{s:o, s:i}", "vault", vault,
						     "slot", (int)slot));
	mount_point = ctl_printable(ctl_vault_string(vault, "mount_point"));
	if (mount_point && mount_point[0])
		printf("Open at %s.%s\n", mount_point, stands_in(mount_point) ?
		       " This shell still sees the closed one: type `cd \"$PWD\"`" : "");
	else
		puts("Open.");
	json_decref(vault);
	return 0;
}

int ctl_verb_unlock(struct ctl *ctl)
{
	const char *arg = ctl->n_args ? ctl->args[0] : NULL;
	_cleanup_free_ char *path = NULL, *text = NULL;
	json_t *vault = NULL;
	bool is_mounted;
	uint32_t slot;
	int r;

	r = ctl_resolve(ctl, "unlock", arg, &path);
	if (r != 0)
		return r;
	/* Not worth a passphrase. */
	is_mounted = ctl_vault_read(ctl, path, &vault, &text) == 0 &&
		     !strcmp(ctl_vault_string(vault, "state"), "mounted");
	json_decref(vault);
	if (is_mounted)
		return ctl_fail(ctl, -EALREADY, "unlock", arg, NULL);
	r = unlock(ctl, path, arg, &slot);
	return r ? r : tell_unlocked(ctl, path, slot);
}

static int done(const struct ctl *ctl, const char *what)
{
	if (ctl->json != CTL_JSON_OFF)
		return ctl_print_json(ctl, json_object());
	printf("%s\n", what);
	return 0;
}

int ctl_verb_lock(struct ctl *ctl)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
	const char *arg = ctl->n_args ? ctl->args[0] : NULL;
	_cleanup_free_ char *path = NULL, *text = NULL;
	int r;

	r = ctl_resolve(ctl, "lock", arg, &path);
	if (r != 0)
		return r;
	r = ctl_call_new(ctl, path, EC_BUS_VAULT_IFACE, "Lock", &call);
	if (r >= 0)
		r = ctl->force ? sd_bus_message_append(call, "a{sv}", 1, "force", "b", 1) :
				 sd_bus_message_append(call, "a{sv}", 0);
	if (r >= 0)
		r = ctl_call(ctl, call, CTL_SLOW_US, &reply, &text);
	if (r < 0)
		return ctl_fail(ctl, r, "lock", arg, text);
	return done(ctl, "Closed.");
}

int ctl_verb_forget(struct ctl *ctl)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
	_cleanup_free_ char *path = NULL, *text = NULL;
	const char *arg = ctl->args[0];
	int r;

	r = ctl_resolve(ctl, "forget", arg, &path);
	if (r != 0)
		return r;
	r = ctl_call_new(ctl, path, EC_BUS_VAULT_IFACE, "Forget", &call);
	if (r >= 0)
		r = ctl_call(ctl, call, CTL_SLOW_US, &reply, &text);
	if (r < 0)
		return ctl_fail(ctl, r, "forget", arg, text);
	return done(ctl, "Forgotten. Nothing on the disk was touched.");
}

int ctl_verb_lock_all(struct ctl *ctl)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
	_cleanup_free_ char *text = NULL;
	int r;

	r = ctl_bus(ctl);
	if (r != 0)
		return r;
	r = ctl_call_new(ctl, EC_BUS_MANAGER_PATH, EC_BUS_MANAGER_IFACE, "LockAll", &call);
	if (r >= 0)
		r = ctl_call(ctl, call, CTL_SLOW_US, &reply, &text);
	if (r < 0)
		return ctl_fail(ctl, r, "lock", "all vaults", text);
	return done(ctl, "All closed.");
}
