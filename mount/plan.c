/* SPDX-License-Identifier: GPL-2.0-only */
/* What the broker wants mounted, checked. */
#include "mount/plan.h"

#include "format/ecfmt.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define UUID_TEXT_LEN 36

static bool is_uuid(const char *text)
{
	size_t i;

	if (strlen(text) != UUID_TEXT_LEN)
		return false;
	for (i = 0; i < UUID_TEXT_LEN; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return false;
		} else if (!strchr("0123456789abcdef", text[i])) {
			return false;
		}
	}
	return true;
}

bool ec_plan_id_valid(const char *id)
{
	const char *digits = id + 5;

	if (strncmp(id, "home-", 5))
		return is_uuid(id);
	if (!*digits || strlen(digits) > 10 || (digits[0] == '0' && digits[1]))
		return false;
	return digits[strspn(digits, "0123456789")] == 0;
}

/* Absolute, no empty, "." or ".." component, no trailing slash. */
static bool path_valid(const char *path)
{
	const char *at = path;

	if (path[0] != '/' || !path[1] || strlen(path) >= PATH_MAX)
		return false;
	while (*at) {
		size_t len = strcspn(++at, "/");

		if (!len || (len == 1 && at[0] == '.') || (len == 2 && at[0] == '.' && at[1] == '.'))
			return false;
		at += len;
	}
	return true;
}

static int get_path(const json_t *body, const char *name, bool needed, char **ret,
		    struct ec_why *why)
{
	const json_t *value = json_object_get(body, name);

	if ((!value || json_is_null(value)) && !needed)
		return 0;
	if (!json_is_string(value) || !path_valid(json_string_value(value)) ||
	    strlen(json_string_value(value)) != json_string_length(value))
		return ec_why_set(why, -EPROTO, "the plan has no proper \"%s\"", name);
	*ret = strdup(json_string_value(value));
	return *ret ? 0 : -ENOMEM;
}

static int get_options(const json_t *body, struct ec_mount_options *ret, struct ec_why *why)
{
	json_t *options = json_object_get(body, "options"), *value;
	const char *name;
	int r;

	if (!json_is_object(options))
		return ec_why_set(why, -EPROTO, "the plan has no options");
	json_object_foreach(options, name, value) {
		if (json_is_false(value) || json_is_null(value))
			continue;
		if (!json_is_string(value) && !json_is_true(value))
			return ec_why_set(why, -EPROTO, "option %s of the plan is no text", name);
		/* The worker gives these itself, and no other. */
		if (!strcmp(name, "source") || !strcmp(name, "key"))
			return ec_why_set(why, -EPROTO, "the plan has the option %s", name);
		r = ec_mount_options_add(ret, name, json_string_value(value));
		if (r < 0)
			return ec_why_set(why, r == -ENOMEM ? r : -EPROTO,
					  "option %s of the plan cannot be used", name);
	}
	if (!ec_mount_options_get(ret, "ecryptfs_sig"))
		return ec_why_set(why, -EPROTO, "the plan names no key");
	/* A vault brings all its keys: none from a keyring of who opens a file first. */
	if (ec_mount_options_get(ret, "ecryptfs_mount_auth_tok_only"))
		return 0;
	return ec_mount_options_add(ret, "ecryptfs_mount_auth_tok_only", NULL);
}

int ec_plan_parse(const json_t *body, struct ec_plan *ret, struct ec_why *why)
{
	_cleanup_plan_ struct ec_plan plan = EC_PLAN_NULL;
	const json_t *owner = json_object_get(body, "owner");
	const json_t *format = json_object_get(body, "format");
	int r;

	r = get_path(body, "source", true, &plan.source, why);
	if (r == 0)
		r = get_path(body, "target", true, &plan.target, why);
	if (r == 0)
		r = get_path(body, "import", false, &plan.import, why);
	if (r == 0)
		r = get_options(body, &plan.options, why);
	if (r < 0)
		return r;
	if (!json_is_integer(owner) || json_integer_value(owner) < 0 ||
	    json_integer_value(owner) >= UINT32_MAX)
		return ec_why_set(why, -EPROTO, "the plan has no owner");
	if (!json_is_integer(format) || json_integer_value(format) != 3)
		return ec_why_set(why, -EOPNOTSUPP, "the plan is for another file format than 3");
	/* Copying somewhere else than where the vault will be mounted would swap the wrong home. */
	if (plan.import && strcmp(plan.import, plan.target))
		return ec_why_set(why, -EPROTO, "the plan imports from another place than its target");
	plan.owner = (uid_t)json_integer_value(owner);
	plan.force_detach = json_is_true(json_object_get(body, "force_detach"));

	*ret = plan;
	plan = EC_PLAN_NULL;
	return 0;
}

int ec_plan_check_keys(const struct ec_plan *plan, const struct ec_key_set *keys,
		       struct ec_why *why)
{
	static const char *const names[] = { "ecryptfs_sig", "ecryptfs_fnek_sig" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *hex = ec_mount_options_get(&plan->options, names[i]);
		uint8_t sig[ECFMT_SIG_LEN];

		if (!hex)
			continue;
		if (ecfmt_sig_from_hex(sig, hex, strlen(hex)) < 0)
			return ec_why_set(why, -EPROTO, "%s of the plan is no signature", names[i]);
		if (!ec_key_set_find(keys, sig))
			return ec_why_set(why, -ENOKEY, "the plan names the key %s, but does not bring it",
					  hex);
	}
	return 0;
}

bool ec_plan_is_own_home(const char *id, const struct ec_plan *plan)
{
	const char *slash = strrchr(plan->source, '/');

	return !strncmp(id, "home-", 5) && slash && !strcmp(slash, "/vault");
}

void ec_plan_done(struct ec_plan *plan)
{
	free(plan->source);
	free(plan->target);
	free(plan->import);
	ec_mount_options_done(&plan->options);
	*plan = EC_PLAN_NULL;
}
