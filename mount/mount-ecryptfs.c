/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mount.ecryptfs: the helper of mount(8) for `mount -t ecryptfs LOWER MOUNT_POINT`, with the
 * questions and options of ecryptfs-utils, through the same engines as the worker.
 */
#include "mount/engine.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "mount/helper-options.h"
#include "mount/key-source.h"
#include "mount/keyring.h"
#include "mount/lower-use.h"
#include "mount/mount-table.h"
#include "mount/pin.h"
#include "mount/prompt.h"
#include "mount/questions.h"
#include "mount/sig-cache.h"

#include <errno.h>
#include <keyutils.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/vfs.h>

/* mount(8), EXIT STATUS */
enum exit_status {
	EXIT_OK = 0,
	EXIT_USAGE = 1,		/* wrong call or not allowed */
	EXIT_SYSTEM = 2,	/* out of memory and the like */
	EXIT_INTERRUPTED = 8,
	EXIT_MOUNT_FAILED = 32,
};

struct arguments {
	const char *source;
	const char *target;
	char *options;		/* of argv, or NULL */
	bool fake;
	bool sloppy;
	bool verbose;
};

struct job {
	struct arguments arguments;
	struct ec_helper_options options;
	struct ec_key_set keys;
	bool may_ask;
	bool mounting;		/* the call and the options were fine */
	char home[PATH_MAX / 2];
	char sig_cache[PATH_MAX];
	char source[PATH_MAX];	/* canonical */
	char target[PATH_MAX];
};

static void job_done(struct job *job)
{
	ec_helper_options_done(&job->options);
	ec_key_set_done(&job->keys);
}

static int usage(void)
{
	fprintf(stderr, "usage: mount.ecryptfs LOWER MOUNT_POINT [-fnsv] [-N NAMESPACE] [-o OPTION[,OPTION...]]\n");
	return EXIT_USAGE;
}

/* mount(8) puts the two directories first; getopt_long(3) finds them anywhere. */
static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
	int c;

	while ((c = getopt(argc, argv, "sfnvN:o:t:")) >= 0) {
		if (c == 's')
			ret->sloppy = true;
		else if (c == 'f')
			ret->fake = true;
		else if (c == 'v')
			ret->verbose = true;
		else if (c == 'N')
			return -EOPNOTSUPP;
		else if (c == 'o')
			ret->options = optarg;
		else if (c == '?')
			return -EINVAL;
	}
	if (argc - optind != 2)
		return -EINVAL;
	ret->source = argv[optind];
	ret->target = argv[optind + 1];
	return 0;
}

static int find_home(struct job *job, struct ec_why *why)
{
	const struct passwd *entry = getpwuid(getuid());

	if (!entry || strlen(entry->pw_dir) >= sizeof(job->home))
		return ec_why_set(why, -ENOENT, "uid %u has no home directory",
				  (unsigned int)getuid());
	strcpy(job->home, entry->pw_dir);
	snprintf(job->sig_cache, sizeof(job->sig_cache), "%s/.ecryptfs/sig-cache.txt", job->home);
	return 0;
}

static int read_options(struct job *job, struct ec_why *why)
{
	char rc[PATH_MAX];
	char *text = job->arguments.options;
	int r;

	snprintf(rc, sizeof(rc), "%s/.ecryptfsrc", job->home);
	r = ec_helper_options_read_rc(&job->options, rc, why);
	if (r == 0 && text)
		r = ec_helper_options_parse(&job->options, text, strlen(text),
					    EC_OPTIONS_FROM_COMMAND_LINE, job->arguments.sloppy,
					    why);
	if (text && ec_helper_options_hide_passphrase(text))
		fprintf(stderr, "mount.ecryptfs: warning: a passphrase on the command line can be seen by every user of this machine; passphrase_passwd_file= keeps it private\n");
	if (r < 0)
		return r;
	job->options.verbose |= job->arguments.verbose;
	job->may_ask = !job->options.no_prompt && ec_prompt_possible();
	return ec_helper_options_check(&job->options, why);
}

static int canonical(const char *path, char ret[static PATH_MAX], struct ec_why *why)
{
	return realpath(path, ret) ? 0 : ec_why_set(why, -errno, "%s: %s", path, strerror(errno));
}

static int find_directories(struct job *job, struct ec_why *why)
{
	struct statfs fs;
	int r;

	r = canonical(job->arguments.source, job->source, why);
	if (r == 0)
		r = canonical(job->arguments.target, job->target, why);
	if (r < 0)
		return r;
	if (statfs(job->source, &fs) < 0)
		return ec_why_set(why, -errno, "%s: %s", job->source, strerror(errno));
	if ((unsigned long)fs.f_type == ECFS_SUPER_MAGIC)
		return ec_why_set(why, -EINVAL, "%s is on an encrypted mount already", job->source);
	return 0;
}

/* First use of a typed passphrase: typed again. Of one that came otherwise: asked about. */
static int check_first_use(struct job *job, const struct ec_secret *passphrase, bool typed,
			   const char *sig, struct ec_why *why)
{
	bool known = false, remember = true;
	int r;

	if (job->options.no_sig_cache)
		return 0;
	r = ec_sig_cache_has(job->sig_cache, sig, &known);
	if (r < 0)
		return ec_why_set(why, r, "%s: %s", job->sig_cache, strerror(-r));
	if (known)
		return 0;
	if (!job->may_ask)
		return ec_why_set(why, -ECANCELED, "the key %s is not in %s: its passphrase may be mistyped; mount once at a terminal, or give no_sig_cache",
				  sig, job->sig_cache);
	if (typed)
		r = ec_key_source_confirm(passphrase, why);
	else
		r = ec_questions_unknown_sig(sig, job->sig_cache, &remember, why);
	if (r < 0 || !remember)
		return r;
	r = ec_sig_cache_add(job->sig_cache, sig);
	if (r < 0)
		fprintf(stderr, "mount.ecryptfs: warning: the signature cannot be remembered in %s: %s\n",
			job->sig_cache, strerror(-r));
	return 0;
}

static int add_sig(struct ec_helper_options *options, const char *sig, struct ec_why *why)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "ecryptfs_sig=%s", sig);

	return ec_helper_options_parse(options, text, (size_t)n, EC_OPTIONS_FROM_COMMAND_LINE,
				       false, why);
}

static int get_passphrase_key(struct job *job, struct ec_why *why)
{
	_cleanup_secret_ struct ec_secret passphrase = EC_SECRET_NULL;
	char sig[ECFMT_SIG_HEX_LEN + 1];
	bool typed;
	int r;

	r = ec_key_source_passphrase(&job->options, job->may_ask, &passphrase, &typed, why);
	if (r == 0)
		r = ec_key_source_derive(&job->options, &passphrase, &job->keys, sig, why);
	if (r == 0)
		r = check_first_use(job, &passphrase, typed, sig, why);
	return r < 0 ? r : add_sig(&job->options, sig, why);
}

/* key= asks for a passphrase; a signature alone means a key that is in a keyring already. */
static int get_keys(struct job *job, struct ec_why *why)
{
	size_t i;
	int r = 0;

	if (job->options.key_given || !job->options.n_sigs)
		r = get_passphrase_key(job, why);
	for (i = 0; r == 0 && i < job->options.n_sigs; i++)
		r = ec_key_source_keyring(job->options.sigs[i], &job->keys, why);
	return r;
}

static int answer_questions(struct job *job, struct ec_why *why)
{
	struct ec_helper_options *options = &job->options;
	int r;

	r = ec_questions_cipher(options, job->may_ask, why);
	if (r == 0)
		r = ec_helper_options_check(options, why);
	if (r == 0)
		r = ec_questions_passthrough(options, job->may_ask, why);
	if (r == 0)
		r = ec_questions_names(options, job->may_ask, options->sigs[0], why);
	if (r == 0 && options->names != EC_ANSWER_NO && options->fnek_sig[0])
		r = ec_key_source_keyring(options->fnek_sig, &job->keys, why);
	return r;
}

static void show_options(const struct ec_mount_options *options)
{
	size_t i;

	printf("Attempting to mount with the following options:\n");
	for (i = 0; i < options->n_rows; i++)
		printf("  %s%s%s\n", options->rows[i].name, options->rows[i].value ? "=" : "",
		       options->rows[i].value ? options->rows[i].value : "");
	fflush(stdout);
}

/*
 * ecryptfs-utils left the keys in the user keyring, and `mount -i` finds them there again. ecfs
 * has its own copy and needs none.
 */
static void leave_keys_for_intree(const struct job *job, const struct ec_mounted *mounted)
{
	const struct ecfs_mount_key *key;
	size_t i;

	if (mounted->engine != &ec_engine_intree)
		return;
	for (i = 0; (key = ec_key_set_get(&job->keys, i)); i++)
		if (ec_keyring_add(KEY_SPEC_USER_KEYRING, key) < 0)
			fprintf(stderr, "mount.ecryptfs: warning: a key cannot be put into the user keyring, ignoring\n");
}

static int do_mount(struct job *job, const struct ec_mount_options *options, struct ec_why *why)
{
	_cleanup_close_ int source = -1, target = -1;
	struct ec_mount_request request = {
		.target_path = job->target,
		.options = options,
		.keys = &job->keys,
		.attributes = job->options.attributes,
	};
	struct ec_mounted mounted;
	int r;

	r = ec_pin_directory(job->source, &source, why);
	if (r == 0)
		r = ec_pin_directory(job->target, &target, why);
	if (r == 0 && !ec_mount_options_get(options, "ecryptfs_encrypted_view"))
		r = ec_lower_check_free(source, job->source, why);
	if (r < 0)
		return r;
	request.source_fd = source;
	request.target_fd = target;
	if (ec_pin_path_is_stable(job->source))
		request.source_path = job->source;
	r = ec_engine_mount(&request, NULL, &mounted, why);
	if (r == 0)
		leave_keys_for_intree(job, &mounted);
	return r;
}

static int run(struct job *job, struct ec_why *why)
{
	_cleanup_(ec_mount_options_done) struct ec_mount_options options = { 0 };
	int r;

	r = find_home(job, why);
	if (r == 0)
		r = read_options(job, why);
	if (r == 0)
		r = find_directories(job, why);
	if (r == 0)
		r = get_keys(job, why);
	if (r == 0)
		r = answer_questions(job, why);
	if (r == 0)
		r = ec_helper_options_to_mount(&job->options, &options, why);
	if (r < 0)
		return r;
	if (job->may_ask || job->options.verbose)
		show_options(&options);
	if (job->arguments.fake)
		return 0;
	job->mounting = true;
	r = do_mount(job, &options, why);
	if (r == 0 && (job->may_ask || job->options.verbose))
		printf("Mounted eCryptfs\n");
	return r;
}

static int exit_status(const struct job *job, int r)
{
	if (r < 0 && r != -ENOMEM && job->mounting)
		return EXIT_MOUNT_FAILED;
	switch (r) {
	case 0:
		return EXIT_OK;
	case -EINVAL:
	case -E2BIG:
	case -EPERM:
	case -EOPNOTSUPP:
		return EXIT_USAGE;
	case -ENOMEM:
		return EXIT_SYSTEM;
	case -ECANCELED:
		return EXIT_INTERRUPTED;
	default:
		return EXIT_MOUNT_FAILED;
	}
}

int main(int argc, char **argv)
{
	_cleanup_(job_done) struct job job = { .options = { .passphrase_fd = -1 } };
	struct ec_why why = EC_WHY_NULL;
	int r;

	ec_secret_harden_process();
	r = parse_arguments(argc, argv, &job.arguments);
	if (r == -EOPNOTSUPP) {
		fprintf(stderr, "mount.ecryptfs: another mount namespace (-N) is not supported\n");
		return EXIT_USAGE;
	}
	if (r < 0)
		return usage();
	if (geteuid() != 0) {
		if (job.arguments.options)
			ec_helper_options_hide_passphrase(job.arguments.options);
		fprintf(stderr, "mount.ecryptfs: only root can do that\n");
		return EXIT_USAGE;
	}
	r = run(&job, &why);
	if (r < 0)
		fprintf(stderr, "mount.ecryptfs: %s\n", ec_why_text(&why, r));
	return exit_status(&job, r);
}
