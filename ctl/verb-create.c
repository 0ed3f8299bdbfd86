/* SPDX-License-Identifier: GPL-2.0-only */
/* create: a home or a directory becomes a vault, and the recovery key is shown once. */
#include "ctl/ctl.h"

#include "lib/bus-client.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>

/* What is to be made. */
struct request {
	const char *kind;	/* "home" or "directory" */
	const char *what;	/* in messages: user name or path as given; borrowed */
	char *user;
	char *lower;
	char *mount_point;
};

struct result {
	char *path;			/* the new object */
	struct ec_secret recovery;	/* text; empty if none */
	char *kept;			/* where the former files are, or NULL */
	char *problem;			/* a clause: what went wrong after it was made, or NULL */
	char *problem_error;		/* its short name */
};

static void request_done(struct request *request)
{
	free(request->user);
	free(request->lower);
	free(request->mount_point);
}

static void result_done(struct result *result)
{
	ec_secret_done(&result->recovery);
	free(result->path);
	free(result->kept);
	free(result->problem);
	free(result->problem_error);
}

static int request_home(struct ctl *ctl, struct request *ret)
{
	const struct passwd *pw = ctl->user ? getpwnam(ctl->user) : getpwuid(getuid());

	if (!pw)
		return ctl_fail(ctl, -ENOENT, "create a vault for", ctl->user,
				"there is no such user");
	ret->kind = "home";
	ret->user = strdup(pw->pw_name);
	ret->what = ret->user;
	return ret->user ? 0 : ctl_fail(ctl, -ENOMEM, "create a vault for", ctl->user, NULL);
}

static int request_directory(struct ctl *ctl, struct request *ret)
{
	if (ctl->user)
		return ctl_usage_error("create", "--user and a directory exclude each other");
	ret->kind = "directory";
	ret->what = ctl->args[0];
	ret->lower = ctl_absolute_path(ctl->args[0]);
	ret->mount_point = ctl_absolute_path(ctl->args[ctl->n_args - 1]);
	if (!ret->lower || !ret->mount_point)
		return ctl_fail(ctl, -ENOTDIR, "create a vault in",
				ctl->args[ret->lower ? ctl->n_args - 1 : 0],
				"the directory that it would be in does not exist");
	return 0;
}

static int append_string(sd_bus_message *call, const char *key, const char *value)
{
	return value ? sd_bus_message_append(call, "{sv}", key, "s", value) : 0;
}

static int append_options(sd_bus_message *call, const struct ctl *ctl,
			  const struct request *request)
{
	int r;

	r = sd_bus_message_open_container(call, 'a', "{sv}");
	if (r >= 0)
		r = append_string(call, "user", request->user);
	if (r >= 0)
		r = append_string(call, "lower", request->lower);
	if (r >= 0)
		r = append_string(call, "mount_point", request->mount_point);
	if (r >= 0)
		r = append_string(call, "name", ctl->name);
	if (r >= 0)
		r = append_string(call, "label", ctl->label);
	if (r >= 0)
		r = append_string(call, "cipher", ctl->cipher);
	if (r >= 0 && ctl->key_bytes)
		r = sd_bus_message_append(call, "{sv}", "key_bytes", "u", ctl->key_bytes);
	if (r >= 0 && ctl->plain_names)
		r = sd_bus_message_append(call, "{sv}", "names", "b", 0);
	if (r >= 0 && ctl->no_recovery)
		r = sd_bus_message_append(call, "{sv}", "recovery", "b", 0);
	return r < 0 ? r : sd_bus_message_close_container(call);
}

static int read_text(sd_bus_message *reply, char **ret)
{
	const char *value;
	int r;

	r = sd_bus_message_read(reply, "v", "s", &value);
	if (r < 0 || !value[0])
		return r;
	free(*ret);
	*ret = ctl_printable(value);
	return 0;
}

static int read_entry(sd_bus_message *reply, const char *key, struct result *ret)
{
	if (!strcmp(key, "kept"))
		return read_text(reply, &ret->kept);
	if (!strcmp(key, "problem"))
		return read_text(reply, &ret->problem);
	if (!strcmp(key, "problem_error"))
		return read_text(reply, &ret->problem_error);
	return sd_bus_message_skip(reply, "v");
}

static int read_info(sd_bus_message *reply, struct result *ret)
{
	const char *key;
	int r;

	r = sd_bus_message_enter_container(reply, 'a', "{sv}");
	while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
		r = sd_bus_message_read(reply, "s", &key);
		if (r >= 0)
			r = read_entry(reply, key, ret);
		if (r >= 0)
			r = sd_bus_message_exit_container(reply);
	}
	return r < 0 ? r : 0;
}

static int read_result(sd_bus_message *reply, struct result *ret)
{
	const char *path;
	int fd, r;

	r = sd_bus_message_read(reply, "oh", &path, &fd);
	if (r < 0)
		return r;
	ret->path = strdup(path);
	r = ec_secret_from_memfd(&ret->recovery, fd);
	if (r < 0)
		return r;
	return read_info(reply, ret);
}

/* The vault exists if this returns 0; also -EPROTO may mean that it does. */
static int call_create(struct ctl *ctl, const struct request *request,
		       const struct ec_secret *secret, struct result *ret, char **ret_text)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
	int r;

	r = ctl_call_new(ctl, EC_BUS_MANAGER_PATH, EC_BUS_MANAGER_IFACE, "CreateVault", &call);
	if (r >= 0)
		r = sd_bus_message_append(call, "s", request->kind);
	if (r >= 0)
		r = append_options(call, ctl, request);
	if (r >= 0)
		r = ctl_append_secret(call, secret);
	if (r >= 0)
		r = ctl_call(ctl, call, CTL_NO_LIMIT_US, &reply, ret_text);
	if (r < 0)
		return r;
	return read_result(reply, ret) < 0 ? -EPROTO : 0;
}

/* Past stdio, whose buffer nobody wipes. */
static void write_secret(const struct ec_secret *secret)
{
	size_t done = 0;
	ssize_t n;

	fflush(stdout);
	while (done < secret->len) {
		n = write(STDOUT_FILENO, secret->data + done, secret->len - done);
		if (n < 0 && errno != EINTR)
			return;
		if (n > 0)
			done += (size_t)n;
	}
}

#define RULE "======================================================================" \
	     "======================\n"

static void show_recovery(const struct request *request, const struct ec_secret *recovery)
{
	printf("\n%s" RULE, ctl_colour_begin(CTL_COLOUR_HEAD));
	printf("  RECOVERY KEY of %s\n\n  ", request->what);
	write_secret(recovery);
	printf("\n\n  It opens the vault when the passphrase is lost, and nothing else does.\n"
	       "  It is shown this one time: write it down, and keep it away from this machine.\n"
	       RULE "%s\n", ctl_colour_end(CTL_COLOUR_HEAD));
	fflush(stdout);
	if (isatty(STDOUT_FILENO) && ctl_has_terminal())
		(void)ctl_prompt_word("Type \"yes\" when you have written it down: ", "yes");
}

static int tell_json(const struct ctl *ctl, const struct result *result, json_t *vault)
{
	json_t *object = json_pack("{s:o}", "vault", vault);

	if (result->recovery.len)
		json_object_set_new(object, "recovery_key",
				    json_stringn((const char *)result->recovery.data,
						 result->recovery.len));
	if (result->kept)
		json_object_set_new(object, "kept", json_string(result->kept));
	if (result->problem)
		json_object_set_new(object, "problem",
				    json_pack("{s:s*, s:s}", "name", result->problem_error,
					      "text", result->problem));
	return ctl_print_json(ctl, object);
}

/* It is made, and stays: neither a failure nor all well. */
static void tell_problem(const struct request *request, const struct result *result)
{
	fprintf(stderr, "ecryptfsctl: warning: the vault of %s was made, but %s. Do not make it "
		"again. `ecryptfsctl doctor` looks for the cause; then open it with: ecryptfsctl "
		"unlock %s\n", request->what, result->problem, request->what);
}

static int tell(struct ctl *ctl, const struct request *request, const struct result *result)
{
	_cleanup_free_ char *text = NULL;
	json_t *vault = NULL;

	if (!result->path || ctl_vault_read(ctl, result->path, &vault, &text) < 0)
		vault = json_object();
	/* On standard error, and also beside JSON: who reads this has to know it in any case. */
	if (result->problem)
		tell_problem(request, result);
	if (ctl->json != CTL_JSON_OFF)
		return tell_json(ctl, result, vault);
	if (request->user)
		printf("The home of %s is a vault now. %s\n", request->user, result->problem ?
		       "It is encrypted and closed." : "The next login opens it.");
	else
		printf("%s is a vault now. Open it with: ecryptfsctl unlock %s\n", request->what,
		       ctl_vault_string(vault, "name"));
	if (result->kept)
		printf("The files as they were are kept in %s. Once you have seen them in the "
		       "vault,\nremove them: they are not encrypted.\n", result->kept);
	/* Last, so that nothing scrolls it away; an answer by ^C loses nothing then. */
	if (result->recovery.len)
		show_recovery(request, &result->recovery);
	json_decref(vault);
	return 0;
}

static int ask_passphrase(struct ctl *ctl, const struct request *request, struct ec_secret *ret)
{
	char question[512];

	if (request->user)
		snprintf(question, sizeof(question), "Login password of %s, which will open the "
			 "vault at login: ", request->user);
	else
		snprintf(question, sizeof(question), "Passphrase for the new vault %s: ",
			 request->what);
	return ctl_new_secret(ctl, &ctl->key, "create a vault for", request->what, question,
			      CTL_CREDENTIAL, ret);
}

static int create(struct ctl *ctl, const struct request *request)
{
	_cleanup_secret_ struct ec_secret secret = EC_SECRET_NULL;
	_cleanup_(result_done) struct result result = { 0 };
	_cleanup_free_ char *text = NULL;
	int r;

	r = ctl_bus(ctl);
	if (r == 0)
		r = ask_passphrase(ctl, request, &secret);
	if (r != 0)
		return r;
	if (ctl->json == CTL_JSON_OFF && isatty(STDERR_FILENO))
		fputs("Working; files are copied and compared, which may take a while ...\n",
		      stderr);
	r = call_create(ctl, request, &secret, &result, &text);
	if (r < 0)
		return ctl_fail(ctl, r, "create a vault for", request->what, text);
	return tell(ctl, request, &result);
}

int ctl_verb_create(struct ctl *ctl)
{
	_cleanup_(request_done) struct request request = { 0 };
	int r;

	ctl_json_wipe_memory();
	r = ctl->n_args ? request_directory(ctl, &request) : request_home(ctl, &request);
	return r ? r : create(ctl, &request);
}
