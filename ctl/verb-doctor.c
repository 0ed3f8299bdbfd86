/* SPDX-License-Identifier: GPL-2.0-only */
/* doctor: everything that must be there for a home to open, and the next command where not. */
#include "ctl/ctl.h"
#include "ctl/doctor.h"

#include "lib/bus-client.h"
#include "lib/error.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#define REACH_US (10ULL * 1000 * 1000)

static int read_engines(sd_bus *bus, sd_bus_error *error, char ret[static 256])
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	const char *engine;
	int r;

	r = sd_bus_get_property(bus, EC_BUS_NAME, EC_BUS_MANAGER_PATH, EC_BUS_MANAGER_IFACE,
				"Engines", error, &reply, "as");
	if (r < 0)
		return r;
	r = sd_bus_message_enter_container(reply, 'a', "s");
	while (r >= 0 && (r = sd_bus_message_read(reply, "s", &engine)) > 0)
		snprintf(ret + strlen(ret), 256 - strlen(ret), "%s%s", ret[0] ? ", " : "", engine);
	return r;
}

static bool check_daemon(json_t *checks, sd_bus *bus)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_free_ char *version = NULL;
	char engines[256] = "";
	int r;

	r = sd_bus_get_property_string(bus, EC_BUS_NAME, EC_BUS_MANAGER_PATH,
				       EC_BUS_MANAGER_IFACE, "Version", &error, &version);
	if (r >= 0)
		r = read_engines(bus, &error, engines);
	if (r < 0) {
		r = ec_bus_error_to_errno(&error, r);
		ctl_doctor_add(checks, CTL_FAIL, "daemon", "systemctl status ecryptfsd.service",
			       "ecryptfsd does not answer: %s", ec_error_sentence(r));
		return false;
	}
	ctl_doctor_add(checks, CTL_OK, "daemon", NULL, "ecryptfsd %s answers; engines: %s", version,
		       engines[0] ? engines : "none");
	return true;
}

static void check_logind(json_t *checks, sd_bus *bus)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	int r, has_owner = 0;

	r = sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
			       "org.freedesktop.DBus", "NameHasOwner", NULL, &reply, "s",
			       "org.freedesktop.login1");
	if (r >= 0)
		r = sd_bus_message_read(reply, "b", &has_owner);
	if (r >= 0 && has_owner)
		ctl_doctor_add(checks, CTL_OK, "logind", NULL, "systemd-logind counts the sessions");
	else
		ctl_doctor_add(checks, CTL_WARN, "logind", "systemctl status systemd-logind",
			       "systemd-logind is not there: homes close when the login program "
			       "ends, and lingering is not known");
}

static void judge_home(json_t *checks, const json_t *vault)
{
	const char *state = ctl_vault_string(vault, "state");
	const char *problem = ctl_vault_string(vault, "problem");

	if (!strcmp(state, "damaged"))
		ctl_doctor_add(checks, CTL_FAIL, "home", "ecryptfsctl status", "your vault: %s",
			       problem[0] ? problem : "damaged");
	else if (json_is_true(json_object_get(vault, "secret_stale")))
		ctl_doctor_add(checks, CTL_WARN, "home", "ecryptfsctl passwd",
			       "your vault still has the password from before the reset");
	else if (problem[0])
		ctl_doctor_add(checks, CTL_WARN, "home", "ecryptfsctl status",
			       "your vault is %s; last problem: %s", state, problem);
	else
		ctl_doctor_add(checks, CTL_OK, "home", NULL, "your vault is %s, its document is "
			       "readable", state);
}

static void check_home(struct ctl *ctl, json_t *checks)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
	_cleanup_free_ char *text = NULL, *read_text = NULL;
	json_t *vault = NULL;
	const char *path;
	int r;

	r = ctl_call_new(ctl, EC_BUS_MANAGER_PATH, EC_BUS_MANAGER_IFACE, "ResolveVault", &call);
	if (r >= 0)
		r = sd_bus_message_append(call, "s", "");
	if (r >= 0)
		r = ctl_call(ctl, call, REACH_US, &reply, &text);
	if (r >= 0)
		r = sd_bus_message_read(reply, "o", &path);
	if (r >= 0)
		r = ctl_vault_read(ctl, path, &vault, &read_text);
	if (r == -ENOENT)
		ctl_doctor_add(checks, CTL_OK, "home", NULL, "your home is no vault");
	else if (r < 0)
		ctl_doctor_add(checks, CTL_FAIL, "home", "ecryptfsctl status", "your vault: %s",
			       text ? text : read_text ? read_text : ec_error_sentence(r));
	else
		judge_home(checks, vault);
	json_decref(vault);
}

static void check_bus(struct ctl *ctl, json_t *checks)
{
	int r = ec_bus_open(REACH_US, &ctl->bus);

	if (r < 0) {
		ctl_doctor_add(checks, CTL_FAIL, "daemon", "systemctl status dbus",
			       "the system bus cannot be reached");
		return;
	}
	if (check_daemon(checks, ctl->bus))
		check_home(ctl, checks);
	check_logind(checks, ctl->bus);
}

static enum ctl_colour status_colour(const char *status)
{
	if (!strcmp(status, "ok"))
		return CTL_COLOUR_GOOD;
	return !strcmp(status, "warn") ? CTL_COLOUR_WARN : CTL_COLOUR_BAD;
}

static void print_checks(const json_t *checks)
{
	const char *status, *next;
	json_t *check;
	size_t i;

	json_array_foreach(checks, i, check) {
		_cleanup_free_ char *text = ctl_printable(ctl_vault_string(check, "text"));

		status = ctl_vault_string(check, "status");
		next = ctl_vault_string(check, "next");
		printf("%s%-4s%s  %-11s  %s.\n", ctl_colour_begin(status_colour(status)), status,
		       ctl_colour_end(status_colour(status)), ctl_vault_string(check, "name"),
		       text ? text : "");
		if (next[0])
			printf("%19snext: %s\n", "", next);
	}
}

/* Exit code 1 if a check failed; warnings are not failures. */
static int exit_code(const json_t *checks)
{
	json_t *check;
	size_t i;

	json_array_foreach(checks, i, check)
		if (!strcmp(ctl_vault_string(check, "status"), "fail"))
			return 1;
	return 0;
}

int ctl_verb_doctor(struct ctl *ctl)
{
	json_t *checks = json_array();
	struct utsname uts;
	int r, printed = 0;

	uname(&uts);
	ctl_doctor_module(checks, "", uts.release);
	check_bus(ctl, checks);
	ctl_doctor_pam(checks, "");
	ctl_doctor_order(checks, "");
	ctl_doctor_swap(checks, "");
	ctl_doctor_keyrings(checks, "");
	r = exit_code(checks);
	if (ctl->json == CTL_JSON_OFF) {
		print_checks(checks);
		json_decref(checks);
	} else {
		printed = ctl_print_json(ctl, json_pack("{s:o}", "checks", checks));
	}
	return printed ? printed : r;
}
