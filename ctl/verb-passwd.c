/* SPDX-License-Identifier: GPL-2.0-only */
/* passwd: a new passphrase in the place of one. */
#include "ctl/ctl.h"

#include "lib/bus-client.h"

#include <errno.h>

static int call_change(struct ctl *ctl, const char *path, const struct ec_secret *old_secret,
		       const struct ec_secret *new_secret, char **ret_text)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
	int r;

	r = ctl_call_new(ctl, path, EC_BUS_VAULT_IFACE, "ChangeSecret", &call);
	if (r >= 0)
		r = sd_bus_message_append(call, "a{sv}", 0);
	if (r >= 0)
		r = ctl_append_secret(call, old_secret);
	if (r >= 0)
		r = ctl_append_secret(call, new_secret);
	if (r >= 0)
		r = ctl_call(ctl, call, CTL_SLOW_US, &reply, ret_text);
	return r;
}

int ctl_verb_passwd(struct ctl *ctl)
{
	static const char doing[] = "change the passphrase of";
	_cleanup_secret_ struct ec_secret old_secret = EC_SECRET_NULL, new_secret = EC_SECRET_NULL;
	const char *arg = ctl->n_args ? ctl->args[0] : NULL;
	_cleanup_free_ char *path = NULL, *text = NULL;
	int r;

	r = ctl_resolve(ctl, doing, arg, &path);
	if (r != 0)
		return r;
	r = ctl_secret(ctl, doing, arg, "Present passphrase: ", &old_secret);
	if (r != 0)
		return r;
	r = ctl_new_secret(ctl, &ctl->new_key, doing, arg, "New passphrase: ", CTL_NEW_CREDENTIAL,
			   &new_secret);
	if (r != 0)
		return r;
	r = call_change(ctl, path, &old_secret, &new_secret, &text);
	if (r < 0)
		return ctl_fail(ctl, r, doing, arg, text);
	if (ctl->json != CTL_JSON_OFF)
		return ctl_print_json(ctl, json_object());
	puts("Changed. The former passphrase opens it no more.");
	return 0;
}
