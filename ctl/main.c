/* SPDX-License-Identifier: GPL-2.0-only */
/* The verb table, the options, and what --help says. */
#include "ctl/ctl.h"

#include "lib/error.h"

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <string.h>

#ifndef PROJECT_VERSION
#error "meson.build defines PROJECT_VERSION"
#endif

static const struct ctl_verb verbs[] = {
	{
		.name = "list",
		.arguments = "",
		.summary = "the vaults that you may see (the default)",
		.options = CTL_PLAIN,
		.run = ctl_verb_list,
	}, {
		.name = "status",
		.arguments = "[VAULT]",
		.summary = "all about one vault",
		.n_args_max = 1,
		.run = ctl_verb_status,
	}, {
		.name = "create",
		.arguments = "[DIR [MOUNTPOINT]]",
		.summary = "make a vault: of your home, of --user's, or in a directory",
		.help = "Without DIR, the home of the caller or of --user becomes a vault: its files "
			"are\ncopied in and compared, and the old directory is kept beside it. The "
			"user must be\nlogged out. Else DIR, empty or absent, takes the ciphertext, "
			"and MOUNTPOINT\n(default: DIR) shows the plaintext.\n",
		.n_args_max = 2,
		.options = CTL_KEY | CTL_CREATE,
		.run = ctl_verb_create,
	}, {
		.name = "unlock",
		.arguments = "[VAULT]",
		.summary = "open a vault and mount it",
		.n_args_max = 1,
		.options = CTL_KEY,
		.run = ctl_verb_unlock,
	}, {
		.name = "lock",
		.arguments = "[VAULT]",
		.summary = "unmount a vault and forget its key",
		.n_args_max = 1,
		.options = CTL_FORCE,
		.run = ctl_verb_lock,
	}, {
		.name = "lock-all",
		.arguments = "",
		.summary = "lock all vaults that you may lock",
		.run = ctl_verb_lock_all,
	}, {
		.name = "passwd",
		.arguments = "[VAULT]",
		.summary = "change the passphrase of a vault",
		.help = "The login password is not changed: passwd(1) does that, and the home follows "
			"it.\n",
		.n_args_max = 1,
		.options = CTL_KEY | CTL_NEW_KEY,
		.run = ctl_verb_passwd,
	}, {
		.name = "forget",
		.arguments = "VAULT",
		.summary = "take a locked directory vault off the list",
		.help = "For a vault whose directory is gone. Nothing on the disk is touched; but a vault "
			"that is\nstill there can be opened by nobody until an administrator enters it "
			"again.\n",
		.n_args_min = 1,
		.n_args_max = 1,
		.run = ctl_verb_forget,
	}, {
		.name = "inspect",
		.arguments = "FILE...",
		.summary = "what an encrypted file says about itself, without key",
		.n_args_min = 1,
		.n_args_max = 1 << 20,
		.run = ctl_verb_inspect,
	}, {
		.name = "doctor",
		.arguments = "",
		.summary = "look for what is missing, and name the next command",
		.run = ctl_verb_doctor,
	},
};

#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

enum {
	OPT_VERSION = 256,
	OPT_JSON,
	OPT_PLAIN,
	OPT_FORCE,
	OPT_KEY_FILE,
	OPT_KEY_FD,
	OPT_NEW_KEY_FILE,
	OPT_NEW_KEY_FD,
	OPT_USER,
	OPT_NAME,
	OPT_LABEL,
	OPT_CIPHER,
	OPT_KEY_BYTES,
	OPT_PLAIN_NAMES,
	OPT_NO_RECOVERY,
};

/* verb_options 0: for all verbs */
static const struct option_row {
	const char *name;
	const char *argument;	/* NULL: takes none */
	int value;
	unsigned int verb_options;
	const char *help;
	const char *abbreviation;	/* with its comma, or NULL */
} option_rows[] = {
	{ "help", NULL, 'h', 0, "this text; with a verb, about that verb", "-h, " },
	{ "version", NULL, OPT_VERSION, 0, "version of this program", NULL },
	{ "json", "pretty|short|off", OPT_JSON, 0, "results as JSON; -j is pretty on a terminal, "
	  "else short", "-j, " },
	{ "plain", NULL, OPT_PLAIN, CTL_PLAIN, "names only, one a line" },
	{ "force", NULL, OPT_FORCE, CTL_FORCE, "also if it is in use: detach, and wipe the key" },
	{ "key-file", "FILE", OPT_KEY_FILE, CTL_KEY, "the passphrase is in FILE; - is standard "
	  "input" },
	{ "key-fd", "N", OPT_KEY_FD, CTL_KEY, "the passphrase comes from descriptor N" },
	{ "new-key-file", "FILE", OPT_NEW_KEY_FILE, CTL_NEW_KEY, "the new passphrase is in FILE" },
	{ "new-key-fd", "N", OPT_NEW_KEY_FD, CTL_NEW_KEY, "the new passphrase comes from "
	  "descriptor N" },
	{ "user", "USER", OPT_USER, CTL_CREATE, "the home of USER" },
	{ "name", "NAME", OPT_NAME, CTL_CREATE, "name of the vault" },
	{ "label", "TEXT", OPT_LABEL, CTL_CREATE, "label of the passphrase slot" },
	{ "cipher", "CIPHER", OPT_CIPHER, CTL_CREATE, "aes (default), blowfish, cast5, "
	  "cast6, des3_ede or twofish" },
	{ "key-bytes", "N", OPT_KEY_BYTES, CTL_CREATE, "length of its key: 16, 24 or 32 "
	  "(default) with aes" },
	{ "plain-names", NULL, OPT_PLAIN_NAMES, CTL_CREATE, "do not encrypt file names" },
	{ "no-recovery", NULL, OPT_NO_RECOVERY, CTL_CREATE, "without a recovery key: a lost "
	  "passphrase is lost data" },
};

#define N_OPTIONS (sizeof(option_rows) / sizeof(option_rows[0]))

static const struct ctl_verb *find_verb(const char *name)
{
	size_t i;

	for (i = 0; i < N_VERBS; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static void print_options(unsigned int verb_options, bool common)
{
	char line[64];
	size_t i;

	for (i = 0; i < N_OPTIONS; i++) {
		const struct option_row *row = &option_rows[i];

		if (row->verb_options ? !(row->verb_options & verb_options) : !common)
			continue;
		snprintf(line, sizeof(line), "%s--%s%s%s", row->abbreviation ? row->abbreviation : "",
			 row->name, row->argument ? "=" : "", row->argument ? row->argument : "");
		printf("  %-28s %s\n", line, row->help);
	}
}

static int help(const struct ctl_verb *verb)
{
	size_t i;

	if (verb) {
		printf("Usage: ecryptfsctl [OPTIONS] %s %s\n\n%s.\n\n%s%sOptions:\n", verb->name,
		       verb->arguments, verb->summary, verb->help ? verb->help : "",
		       verb->help ? "\n" : "");
		print_options(verb->options, true);
		return 0;
	}
	puts("Usage: ecryptfsctl [OPTIONS] [VERB] [ARGUMENTS]\n\nEncrypted homes and directories.\n\n"
	     "Verbs:");
	for (i = 0; i < N_VERBS; i++)
		printf("  %-9s %-18s  %s\n", verbs[i].name, verbs[i].arguments, verbs[i].summary);
	puts("\nVAULT is a name, a uuid, a user, a mount point or a lower directory; without it, "
	     "your home.\n\nOptions:");
	print_options(0, true);
	puts("\n`ecryptfsctl VERB --help` shows the options of a verb; all of it: ecryptfsctl(1).");
	return 0;
}

static int parse_json_mode(struct ctl *ctl, const char *arg)
{
	if (!strcmp(arg, "pretty"))
		ctl->json = CTL_JSON_PRETTY;
	else if (!strcmp(arg, "short"))
		ctl->json = CTL_JSON_SHORT;
	else if (!strcmp(arg, "off"))
		ctl->json = CTL_JSON_OFF;
	else
		return ctl_usage_error(NULL, "--json=%s is not known: pretty, short or off", arg);
	return 0;
}

static int parse_number(const char *option, const char *arg, unsigned int max, unsigned int *ret)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(arg, &end, 10);
	if (errno || end == arg || *end || arg[0] == '-' || value > max)
		return ctl_usage_error(NULL, "--%s=%s is not a number from 0 to %u", option, arg,
				       max);
	*ret = (unsigned int)value;
	return 0;
}

static int parse_fd(const char *option, const char *arg, struct ctl_key_source *ret)
{
	unsigned int fd;
	int r;

	r = parse_number(option, arg, 1 << 20, &fd);
	if (r == 0)
		ret->fd = (int)fd;
	return r;
}

static int take_option(struct ctl *ctl, int value, const char *arg)
{
	switch (value) {
	case 'j':
		ctl->json = isatty(STDOUT_FILENO) ? CTL_JSON_PRETTY : CTL_JSON_SHORT;
		return 0;
	case OPT_JSON:
		return parse_json_mode(ctl, arg);
	case OPT_PLAIN:
		ctl->plain = true;
		return 0;
	case OPT_FORCE:
		ctl->force = true;
		return 0;
	case OPT_KEY_FILE:
		ctl->key.file = arg;
		return 0;
	case OPT_KEY_FD:
		return parse_fd("key-fd", arg, &ctl->key);
	case OPT_NEW_KEY_FILE:
		ctl->new_key.file = arg;
		return 0;
	case OPT_NEW_KEY_FD:
		return parse_fd("new-key-fd", arg, &ctl->new_key);
	case OPT_USER:
		ctl->user = arg;
		return 0;
	case OPT_NAME:
		ctl->name = arg;
		return 0;
	case OPT_LABEL:
		ctl->label = arg;
		return 0;
	case OPT_CIPHER:
		ctl->cipher = arg;
		return 0;
	case OPT_KEY_BYTES:
		return parse_number("key-bytes", arg, 64, &ctl->key_bytes);
	case OPT_PLAIN_NAMES:
		ctl->plain_names = true;
		return 0;
	case OPT_NO_RECOVERY:
		ctl->no_recovery = true;
		return 0;
	default:
		return ctl_usage_error(NULL, "that option is not known");
	}
}

struct command_line {
	bool wants_help;
	bool wants_version;
	unsigned int verb_options;	/* those that some option belongs to */
	const char *verb_option_name;	/* the last of them */
};

static void note_option(struct command_line *line, int value)
{
	size_t i;

	for (i = 0; i < N_OPTIONS; i++) {
		if (option_rows[i].value != value || !option_rows[i].verb_options)
			continue;
		line->verb_options |= option_rows[i].verb_options;
		line->verb_option_name = option_rows[i].name;
	}
}

static void make_getopt_table(struct option ret[static N_OPTIONS + 1])
{
	size_t i;

	memset(ret, 0, (N_OPTIONS + 1) * sizeof(ret[0]));
	for (i = 0; i < N_OPTIONS; i++)
		ret[i] = (struct option){
			.name = option_rows[i].name,
			.has_arg = option_rows[i].argument ? required_argument : no_argument,
			.val = option_rows[i].value,
		};
}

/* 0 or an exit code. getopt() itself says which option it does not know. */
static int parse_options(struct ctl *ctl, struct command_line *line, int argc, char **argv)
{
	struct option options[N_OPTIONS + 1];
	int value, r;

	make_getopt_table(options);
	while ((value = getopt_long(argc, argv, "hj", options, NULL)) >= 0) {
		if (value == '?') {
			fputs("See `ecryptfsctl --help`.\n", stderr);
			return ec_error_exit_code(-EINVAL);
		}
		note_option(line, value);
		if (value == 'h')
			line->wants_help = true;
		else if (value == OPT_VERSION)
			line->wants_version = true;
		else if ((r = take_option(ctl, value, optarg)) != 0)
			return r;
	}
	return 0;
}

static int check_usage(const struct ctl *ctl, const struct ctl_verb *verb,
		       const struct command_line *line)
{
	if (line->verb_options & ~verb->options)
		return ctl_usage_error(verb->name, "%s takes no --%s", verb->name,
				       line->verb_option_name);
	if (ctl->n_args < verb->n_args_min)
		return ctl_usage_error(verb->name, "%s needs %s", verb->name, verb->arguments);
	if (ctl->n_args > verb->n_args_max)
		return ctl_usage_error(verb->name, "%s takes %s%s", verb->name,
				       verb->n_args_max ? "only " : "no arguments",
				       verb->arguments);
	if ((ctl->key.file && ctl->key.fd >= 0) || (ctl->new_key.file && ctl->new_key.fd >= 0))
		return ctl_usage_error(verb->name, "a key file and a key descriptor exclude each "
				       "other");
	return 0;
}

static int run(struct ctl *ctl, struct command_line *line, int argc, char **argv)
{
	const struct ctl_verb *verb;
	int r;

	r = parse_options(ctl, line, argc, argv);
	if (r != 0)
		return r;
	if (line->wants_version) {
		puts("ecryptfsctl " PROJECT_VERSION);
		return 0;
	}
	verb = optind < argc ? find_verb(argv[optind]) : NULL;
	if (optind < argc && !verb)
		return ctl_usage_error(NULL, "there is no verb \"%s\"", argv[optind]);
	if (line->wants_help)
		return help(verb);
	ctl->n_args = optind < argc ? argc - optind - 1 : 0;
	ctl->args = argv + optind + 1;
	if (!verb)
		verb = find_verb("list");
	r = check_usage(ctl, verb, line);
	return r ? r : verb->run(ctl);
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .key.fd = -1, .new_key.fd = -1 };
	struct command_line line = { 0 };
	int r;

	setlocale(LC_CTYPE, "");
	ec_secret_harden_process();
	r = run(&ctl, &line, argc, argv);
	sd_bus_flush_close_unref(ctl.bus);
	if (fflush(stdout) == EOF && r == 0) {
		fputs("ecryptfsctl: cannot write to standard output.\n", stderr);
		r = ec_error_exit_code(-EIO);
	}
	return r;
}
