/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pam_ecryptfs: hands the login password to ecryptfsd, and holds the session open.
 *
 * It judges nothing: whatever happens, the login goes on. It opens nothing in a home, starts no
 * thread and no process, changes no signal, and leaves behind nothing but what hangs on the PAM
 * handle. Users without a vault cost it two lstat() calls.
 */
#include "pam/session-client.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/secret.h"

#include <crypt.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <security/pam_modutil.h>
#include <shadow.h>
#include <stdarg.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <syslog.h>

#define UID_MIN_PERSON 1000	/* below: root and the system's own users */
#define MOUNT_STATE	"/run/ecryptfsd/mounts/home-%u.json"
#define STALE_MARK	"/var/lib/ecryptfsd/stale/%u"

#define DATA_NAME "pam_ecryptfs"
#define N_SECRETS 2		/* the newest first */

/* What one PAM handle remembers between its hooks. */
struct memory {
	char *user;			/* whom the secrets belong to: sudo changes PAM_USER */
	struct ec_secret secrets[N_SECRETS];
	size_t n_secrets;
	int session;			/* open while the session lasts, or -1 */
};

/* One hook at work. */
struct hook {
	pam_handle_t *pamh;
	bool talks;			/* somebody may read what we say */
	const char *user;
	const struct passwd *pw;	/* the handle's */
	const char *service;
	const char *tty;
};

static void forget_secrets(struct memory *memory)
{
	size_t i;

	for (i = 0; i < N_SECRETS; i++)
		ec_secret_done(&memory->secrets[i]);
	memory->n_secrets = 0;
}

static void memory_free(pam_handle_t *pamh, void *data, int error_status)
{
	struct memory *memory = data;

	if (!memory)
		return;
	forget_secrets(memory);
	ec_closep(&memory->session);
	free(memory->user);
	free(memory);
}

/* NULL if there is no memory left. */
static struct memory *memory_get(pam_handle_t *pamh)
{
	const void *data = NULL;
	struct memory *memory;

	if (pam_get_data(pamh, DATA_NAME, &data) == PAM_SUCCESS && data)
		return (struct memory *)data;
	memory = calloc(1, sizeof(*memory));
	if (!memory)
		return NULL;
	memory->session = -1;
	if (pam_set_data(pamh, DATA_NAME, memory, memory_free) != PAM_SUCCESS) {
		memory_free(pamh, memory, 0);
		return NULL;
	}
	return memory;
}

/*
 * A secret is wiped in a forked child (sshd, for one, may authenticate in one process and begin
 * the session in another); a password has no NUL, so an empty first byte tells.
 */
static void drop_wiped_secrets(struct memory *memory)
{
	size_t i;

	for (i = 0; i < memory->n_secrets; i++)
		if (!memory->secrets[i].data[0])
			return forget_secrets(memory);
}

/* Puts a password in front of those of user, and those of another away. */
static int remember(struct memory *memory, const char *user, const char *password)
{
	struct ec_secret secret;
	int r;

	if (!password[0])
		return 0;
	if (memory->user && strcmp(memory->user, user) != 0) {
		forget_secrets(memory);
		free(memory->user);
		memory->user = NULL;
	}
	if (!memory->user)
		memory->user = strdup(user);
	if (!memory->user)
		return -ENOMEM;
	r = ec_secret_init_copy(&secret, password, strlen(password));
	if (r < 0)
		return r;
	drop_wiped_secrets(memory);
	if (memory->n_secrets == N_SECRETS)
		ec_secret_done(&memory->secrets[--memory->n_secrets]);
	if (memory->n_secrets)
		ec_secret_move(&memory->secrets[1], &memory->secrets[0]);
	memory->secrets[0] = secret;
	memory->n_secrets++;
	return 0;
}

/* The newest secret of user, or NULL. */
static const struct ec_secret *remembered(struct memory *memory, const char *user)
{
	drop_wiped_secrets(memory);
	if (!memory->n_secrets || strcmp(memory->user, user) != 0)
		return NULL;
	return &memory->secrets[0];
}

/* Programs without a person at the other end. */
static bool is_background(const char *service, const char *tty)
{
	static const char *const services[] = { "atd", "cron", "crond", "systemd-user" };
	size_t i;

	for (i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (!strcmp(service, services[i]))
			return true;
	return !strcmp(tty, "cron");
}

static const char *item_text(pam_handle_t *pamh, int item)
{
	const void *value = NULL;

	if (pam_get_item(pamh, item, &value) != PAM_SUCCESS || !value)
		return "";
	return value;
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/*
 * exists() with the rights of the user: what a user mounts or serves in the home can then neither
 * stop us nor show us more than the user may see. The two calls change this thread only.
 */
static bool exists_for(const struct passwd *pw, const char *path)
{
	bool privileged = geteuid() == 0, found;
	int old_gid = -1, old_uid = -1;

	if (privileged) {
		old_gid = setfsgid(pw->pw_gid);
		old_uid = setfsuid(pw->pw_uid);
	}
	found = exists(path);
	if (privileged) {
		setfsuid((uid_t)old_uid);
		setfsgid((gid_t)old_gid);
	}
	return found;
}

/* Bytes of HOMEBASE in HOMEBASE/anything, slashes at the end do not count. */
static size_t home_base_len(const char *home)
{
	size_t len = strlen(home);

	while (len && home[len - 1] == '/')
		len--;
	while (len && home[len - 1] != '/')
		len--;
	return len ? len - 1 : 0;
}

/* HOMEBASE/.ecryptfs/USER */
static bool has_home_vault(const struct passwd *pw)
{
	char path[PATH_MAX];
	int n;

	n = snprintf(path, sizeof(path), "%.*s/.ecryptfs/%s", (int)home_base_len(pw->pw_dir),
		     pw->pw_dir, pw->pw_name);
	return n > 0 && (size_t)n < sizeof(path) && exists_for(pw, path);
}

static bool has_private_directory(const struct passwd *pw)
{
	char path[PATH_MAX];
	int n;

	n = snprintf(path, sizeof(path), "%s/.ecryptfs", pw->pw_dir);
	return n > 0 && (size_t)n < sizeof(path) && exists_for(pw, path);
}

static bool has_vault(const struct passwd *pw)
{
	if (pw->pw_dir[0] != '/' || strchr(pw->pw_name, '/') || pw->pw_name[0] == '.')
		return false;
	return has_home_vault(pw) || has_private_directory(pw);
}

/* A file of root's, named by uid. */
static bool state_exists(const char *format, uid_t uid)
{
	char path[sizeof(MOUNT_STATE) + sizeof(STALE_MARK) + 16];

	snprintf(path, sizeof(path), format, (unsigned int)uid);
	return exists(path);
}

static void check_arguments(pam_handle_t *pamh, int argc, const char **argv)
{
	int i;

	for (i = 0; i < argc; i++)
		pam_syslog(pamh, LOG_WARNING, "unknown option %s, ignoring", argv[i]);
}

/*
 * Fills *hook and tells whether there is anything to do. The order matters: what costs nothing
 * and keeps most logins away comes first.
 */
static bool hook_begin(struct hook *hook, pam_handle_t *pamh, int flags, int argc,
		       const char **argv)
{
	*hook = (struct hook){
		.pamh = pamh,
		.user = item_text(pamh, PAM_USER),
		.service = item_text(pamh, PAM_SERVICE),
		.tty = item_text(pamh, PAM_TTY),
	};
	check_arguments(pamh, argc, argv);
	if (!strcmp(hook->service, "systemd-user") || !hook->user[0])
		return false;
	hook->pw = pam_modutil_getpwnam(pamh, hook->user);
	if (!hook->pw || hook->pw->pw_uid < UID_MIN_PERSON || !has_vault(hook->pw))
		return false;
	hook->user = hook->pw->pw_name;
	hook->talks = !(flags & PAM_SILENT) && !is_background(hook->service, hook->tty);
	return true;
}

/* What the person may do about it. */
static const char *advice(int error)
{
	switch (error) {
	case -EKEYREJECTED:
	case -ENOKEY:
	case -EAGAIN:
		return "Open it with: ecryptfsctl unlock";
	case -EBADMSG:
	case -ELOOP:
	case -ENOENT:
		return "See: ecryptfsctl status";
	default:
		return "See: ecryptfsctl doctor";
	}
}

static const char *reason(const struct ecp_result *result)
{
	return result->text[0] ? result->text : ec_error_sentence(result->error);
}

/* Broker texts are sentences, ours are clauses: one full stop in either case. */
static const char *full_stop(const char *text)
{
	size_t len = strlen(text);

	return len && text[len - 1] == '.' ? "" : ".";
}

/* What the broker said: a whole sentence with its advice, and in the log already. */
static void tell(const struct hook *hook, const char *sentence)
{
	if (hook->talks)
		(void)pam_error(hook->pamh, "ecryptfs: %s", sentence);
}

/* One line to the person, one to the log. */
__attribute__((format(printf, 2, 3)))
static void complain(const struct hook *hook, const char *format, ...)
{
	_cleanup_free_ char *line = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&line, format, args);
	va_end(args);
	if (n < 0) {
		line = NULL;
		return;
	}
	pam_syslog(hook->pamh, LOG_WARNING, "%s", line);
	tell(hook, line);
}

/*
 * Authentication: keep the password for the session.
 */

/* For the programs that begin the session in another process. */
static void stash(const struct hook *hook, struct memory *memory)
{
	const struct ec_secret *secret = remembered(memory, hook->user);
	int r;

	if (!secret || state_exists(MOUNT_STATE, hook->pw->pw_uid))
		return;
	r = ecp_stash(hook->user, secret);
	/* The session hook will meet the same failure and report it: not twice. */
	if (r < 0)
		pam_syslog(hook->pamh, LOG_DEBUG, "password of %s not handed over: %s",
			   hook->user, ec_error_sentence(r));
}

/* Always PAM_IGNORE: this module never decides who comes in. */
PAM_EXTERN int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	const char *password = item_text(pamh, PAM_AUTHTOK);
	struct memory *memory;
	struct hook hook;

	if (!password[0] || !hook_begin(&hook, pamh, flags, argc, argv))
		return PAM_IGNORE;
	memory = memory_get(pamh);
	if (!memory || remember(memory, hook.user, password) < 0) {
		pam_syslog(pamh, LOG_WARNING, "no memory that can be locked for the password of %s",
			   hook.user);
		return PAM_IGNORE;
	}
	stash(&hook, memory);
	return PAM_IGNORE;
}

PAM_EXTERN int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	return PAM_IGNORE;
}

/*
 * Session: open the home, and keep the descriptor that says that the session lasts.
 */

/* 0 and a secret, or a negative errno where nobody answers or the answer is empty. */
static int ask_secret(const struct hook *hook, const char *question, struct ec_secret *ret)
{
	char *answer = NULL;
	int r = -ECANCELED;

	if (pam_prompt(hook->pamh, PAM_PROMPT_ECHO_OFF, &answer, "%s", question) == PAM_SUCCESS &&
	    answer && answer[0])
		r = ec_secret_init_copy(ret, answer, strlen(answer));
	if (answer) {
		explicit_bzero(answer, strlen(answer));
		free(answer);
	}
	return r;
}

static void begin(const struct hook *hook, struct memory *memory,
		  const struct ec_secret *secrets, size_t n_secrets, struct ecp_result *ret)
{
	const struct ecp_info info = {
		.service = hook->service,
		.tty = hook->tty,
		.rhost = item_text(hook->pamh, PAM_RHOST),
	};

	ec_closep(&memory->session);
	ecp_open_session(hook->user, &info, secrets, n_secrets, ret, &memory->session);
}

/*
 * The login password was reset by root, and this login brought the new one: with the old one or
 * the recovery key the vault can be mended. Only for a person at a terminal: a prompt must not
 * eat the standard input of a script.
 */
static bool can_mend(const struct hook *hook, struct memory *memory,
		     const struct ecp_result *result)
{
	return result->end == ECP_END_FAILED && result->reported &&
	       result->error == -EKEYREJECTED && hook->talks && hook->tty[0] &&
	       strcmp(hook->tty, "ssh") != 0 && remembered(memory, hook->user) &&
	       state_exists(STALE_MARK, hook->pw->pw_uid);
}

static void mend(const struct hook *hook, struct memory *memory, struct ecp_result *result)
{
	_cleanup_secret_ struct ec_secret old_secret = EC_SECRET_NULL;
	struct ecp_result changed;

	if (ask_secret(hook, "Your login password was reset. Old password or recovery key of "
		       "your encrypted home (empty: leave it closed): ", &old_secret) < 0)
		return;
	begin(hook, memory, &old_secret, 1, result);
	if (result->end != ECP_END_MOUNTED)
		return;
	ecp_change_secret(hook->user, &old_secret, remembered(memory, hook->user), NULL, NULL,
			  &changed);
	if (changed.end == ECP_END_FAILED && changed.reported && changed.text[0])
		tell(hook, changed.text);
	else if (changed.end == ECP_END_FAILED)
		complain(hook, "the encrypted home of %s is open, but keeps its old password: "
			 "%s%s Change it with: ecryptfsctl passwd", hook->user, reason(&changed),
			 full_stop(reason(&changed)));
}

static void open_home(const struct hook *hook, struct memory *memory)
{
	bool mine = remembered(memory, hook->user) != NULL;
	struct ecp_result result;

	begin(hook, memory, memory->secrets, mine ? memory->n_secrets : 0, &result);
	if (can_mend(hook, memory, &result))
		mend(hook, memory, &result);
	if (result.end == ECP_END_FAILED && result.reported && result.text[0])
		tell(hook, result.text);
	else if (result.end == ECP_END_FAILED)
		complain(hook, "the encrypted home of %s stays closed: %s%s %s", hook->user,
			 reason(&result), full_stop(reason(&result)), advice(result.error));
}

/* Always PAM_SUCCESS: the login goes on. */
PAM_EXTERN int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct memory *memory;
	struct hook hook;

	if (!hook_begin(&hook, pamh, flags, argc, argv))
		return PAM_SUCCESS;
	memory = memory_get(pamh);
	if (!memory)
		return PAM_SUCCESS;
	open_home(&hook, memory);
	forget_secrets(memory);
	return PAM_SUCCESS;
}

PAM_EXTERN int pam_sm_close_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	const void *data = NULL;

	if (pam_get_data(pamh, DATA_NAME, &data) == PAM_SUCCESS && data)
		ec_closep(&((struct memory *)data)->session);
	return PAM_SUCCESS;
}

/*
 * Password: the vault follows the login password.
 */

/*
 * Was the login password really changed? libpam freezes the path through a stack in the first
 * pass of a password change, so this hook also runs after a pam_unix that failed in the second.
 * A vault that follows a password that nobody set would be locked at the next login.
 * False only where the shadow file says no; other sources of users are believed.
 */
static bool login_password_is(const struct hook *hook, const char *password)
{
	const struct spwd *spwd = pam_modutil_getspnam(hook->pamh, hook->user);
	struct crypt_data *scratch;
	const char *hash;
	bool same;

	if (!spwd || !spwd->sp_pwdp || spwd->sp_pwdp[0] != '$')
		return true;
	scratch = calloc(1, sizeof(*scratch));
	if (!scratch)
		return true;
	hash = crypt_r(password, spwd->sp_pwdp, scratch);
	same = !hash || hash[0] == '*' || !strcmp(hash, spwd->sp_pwdp);
	explicit_bzero(scratch, sizeof(*scratch));
	free(scratch);
	return same;
}

static void tell_progress(unsigned int n_beats, void *userdata)
{
	const struct hook *hook = userdata;

	if (n_beats == 2 && hook->talks)
		(void)pam_info(hook->pamh, "ecryptfs: changing the password of the encrypted "
			       "home of %s as well ...", hook->user);
}

static void mark_stale(const struct hook *hook)
{
	int r = ecp_mark_stale(hook->user);

	if (r < 0)
		complain(hook, "the encrypted home of %s keeps its old password, and that could "
			 "not be noted: %s. Change it with: ecryptfsctl passwd", hook->user,
			 ec_error_sentence(r));
	else if (hook->talks)
		(void)pam_info(hook->pamh, "ecryptfs: the encrypted home of %s keeps its old "
			       "password; the next login asks for it, or for the recovery key.",
			       hook->user);
}

static void change_secret(const struct hook *hook, const struct ec_secret *old_secret,
			  const struct ec_secret *new_secret)
{
	struct ecp_result result;

	ecp_change_secret(hook->user, old_secret, new_secret, tell_progress, (void *)hook,
			  &result);
	if (result.end != ECP_END_FAILED)
		return;
	if (result.reported && result.text[0])
		tell(hook, result.text);
	else
		complain(hook, "the login password of %s was changed, that of the encrypted home "
			 "was not: %s%s Change it with: ecryptfsctl passwd", hook->user,
			 reason(&result), full_stop(reason(&result)));
	/* So that the next login asks. A home with a password of its own never had this one. */
	if (!result.reported || result.error != -EKEYREJECTED)
		(void)ecp_mark_stale(hook->user);
}

static void follow_password(const struct hook *hook, const char *new_password)
{
	const char *old_password = item_text(hook->pamh, PAM_OLDAUTHTOK);
	struct memory *memory = memory_get(hook->pamh);

	if (!memory)
		return;
	/* A login with an expired password has the old one from its authentication. */
	if (old_password[0] && remember(memory, hook->user, old_password) < 0)
		return;
	if (!remembered(memory, hook->user))
		return mark_stale(hook);
	if (remember(memory, hook->user, new_password) < 0)
		return;
	if (!ec_secret_equal(&memory->secrets[0], &memory->secrets[1]))
		change_secret(hook, &memory->secrets[1], &memory->secrets[0]);
}

/* Always PAM_IGNORE: the login password is changed already when this hook acts. */
PAM_EXTERN int pam_sm_chauthtok(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	const char *new_password = item_text(pamh, PAM_AUTHTOK);
	struct hook hook;

	if (!(flags & PAM_UPDATE_AUTHTOK) || !new_password[0])
		return PAM_IGNORE;
	if (!hook_begin(&hook, pamh, flags, argc, argv))
		return PAM_IGNORE;
	if (!login_password_is(&hook, new_password)) {
		pam_syslog(pamh, LOG_NOTICE, "the login password of %s was not changed, "
			   "so its encrypted home keeps its own", hook.user);
		return PAM_IGNORE;
	}
	follow_password(&hook, new_password);
	return PAM_IGNORE;
}
