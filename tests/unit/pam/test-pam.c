/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pam_ecryptfs under the real libpam and pam_unix, on a real bus, with brokers that fail in every
 * way. Whatever happens: every hook returns what the table says, the login goes on in bounded
 * time, one line is said, and nothing is left behind. Runs inside ./in-namespace.
 *
 * usage: test-pam FAKE_BROKER TOTAL_MS [TEST]
 */
#include "lib/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define LOG "/run/broker.log"
#define STALE_ALICE "/var/lib/ecryptfsd/stale/1500"
#define MOUNTED_ALICE "/run/ecryptfsd/mounts/home-1500.json"

static const char *broker_path;
static unsigned int total_ms;

/*
 * Conversation: answers from a list, and a record of what was said.
 */
struct talk {
	const char *answers[4];		/* NULL: PAM_CONV_ERR */
	unsigned int n_asked;
	unsigned int n_lines;
	char text[4096];
};

static int converse(int n, const struct pam_message **messages, struct pam_response **ret,
		    void *userdata)
{
	struct pam_response *responses = calloc((size_t)n, sizeof(*responses));
	struct talk *talk = userdata;
	size_t len;
	int i;

	for (i = 0; i < n; i++) {
		len = strlen(talk->text);
		snprintf(talk->text + len, sizeof(talk->text) - len, "%s\n", messages[i]->msg);
		if (messages[i]->msg_style == PAM_TEXT_INFO ||
		    messages[i]->msg_style == PAM_ERROR_MSG) {
			talk->n_lines++;
			continue;
		}
		if (talk->n_asked >= 4 || !talk->answers[talk->n_asked]) {
			free(responses);
			return PAM_CONV_ERR;
		}
		responses[i].resp = strdup(talk->answers[talk->n_asked++]);
	}
	*ret = responses;
	return PAM_SUCCESS;
}

/*
 * Bus and broker.
 */
static pid_t bus_pid, broker_pid;

static pid_t spawn(const char *const argv[], int *ret_out)
{
	int out[2];
	pid_t pid;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(out[1], 1);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(out[1]);
	*ret_out = out[0];
	return pid;
}

/* Spawns, and waits for its first line. */
static pid_t spawn_ready(const char *const argv[])
{
	_cleanup_close_ int out = -1;
	char line[256] = "";
	pid_t pid;

	pid = spawn(argv, &out);
	if (read(out, line, sizeof(line) - 1) <= 0)
		fail_msg("%s did not start", argv[0]);
	return pid;
}

static void end(pid_t *pid)
{
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	kill(*pid, SIGCONT);
	waitpid(*pid, NULL, 0);
	*pid = 0;
}

static void begin_bus(void)
{
	const char *const argv[] = { "dbus-daemon", "--config-file=/run/bus.conf", "--nofork",
				     "--nopidfile", "--print-address=1", NULL };

	unlink("/run/dbus/system_bus_socket");
	bus_pid = spawn_ready(argv);
}

/* NULL: none, "no-bus": not even a bus, "stopped", "stopped-bus", else a mode of fake-broker. */
static void begin_broker(const char *mode)
{
	const char *const argv[] = { broker_path, mode, LOG, NULL };

	unlink(LOG);
	if (!mode)
		return;
	if (!strcmp(mode, "no-bus")) {
		end(&bus_pid);
		unlink("/run/dbus/system_bus_socket");
		return;
	}
	broker_pid = spawn_ready(argv);
	if (!strcmp(mode, "stopped"))
		kill(broker_pid, SIGSTOP);
	if (!strcmp(mode, "stopped-bus"))
		kill(bus_pid, SIGSTOP);
}

static void end_broker(const char *mode)
{
	end(&broker_pid);
	if (mode && (!strcmp(mode, "no-bus") || !strcmp(mode, "stopped-bus"))) {
		end(&bus_pid);
		begin_bus();
	}
}

static const char *broker_log(void)
{
	static char text[8192];
	_cleanup_close_ int fd = open(LOG, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void assert_logged(const char *want)
{
	if (!strstr(broker_log(), want))
		fail_msg("the broker did not see \"%s\" but:\n%s", want, broker_log());
}

static void wait_for_log(const char *want)
{
	int i;

	for (i = 0; i < 100 && !strstr(broker_log(), want); i++)
		usleep(20000);
	if (!strstr(broker_log(), want))
		fail_msg("the broker never saw \"%s\":\n%s", want, broker_log());
}

/*
 * A login, and what is left of it.
 */
static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static unsigned int count_entries(const char *directory)
{
	DIR *dir = opendir(directory);
	unsigned int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* What a module must leave as it was. */
struct surroundings {
	unsigned int n_fds, n_threads;
	sigset_t mask;
	void (*handlers[32])(int);
	int fsuid, fsgid;
};

static void look_around(struct surroundings *ret)
{
	struct sigaction action;
	int i;

	memset(ret, 0, sizeof(*ret));
	ret->n_fds = count_entries("/proc/self/fd");
	ret->n_threads = count_entries("/proc/self/task");
	sigprocmask(SIG_BLOCK, NULL, &ret->mask);
	for (i = 1; i < 32; i++) {
		sigaction(i, NULL, &action);
		ret->handlers[i] = action.sa_handler;
	}
	ret->fsuid = setfsuid((uid_t)-1);
	ret->fsgid = setfsgid((gid_t)-1);
}

static void assert_unchanged(const struct surroundings *before)
{
	struct surroundings after;

	look_around(&after);
	assert_int_equal(before->n_fds, after.n_fds);
	assert_int_equal(before->n_threads, after.n_threads);
	assert_memory_equal(&before->mask, &after.mask, sizeof(after.mask));
	assert_memory_equal(before->handlers, after.handlers, sizeof(after.handlers));
	assert_int_equal(before->fsuid, after.fsuid);
	assert_int_equal(before->fsgid, after.fsgid);
}

struct login {
	pam_handle_t *pamh;
	struct talk talk;
	struct pam_conv conv;
	double auth_s, open_s;		/* seconds in each hook */
	int auth, setcred, open;
};

static void login_start(struct login *login, const char *service, const char *user,
			const char *tty)
{
	login->conv = (struct pam_conv){ converse, &login->talk };
	assert_int_equal(pam_start_confdir(service, user, &login->conv, "/etc/pam.d",
					   &login->pamh), PAM_SUCCESS);
	assert_int_equal(pam_set_item(login->pamh, PAM_TTY, tty), PAM_SUCCESS);
}

static void login_begin(struct login *login, int flags)
{
	double t0 = now(), t1, t2;

	login->auth = pam_authenticate(login->pamh, flags);
	t1 = now();
	if (login->auth != PAM_SUCCESS)
		return;
	login->setcred = pam_setcred(login->pamh, PAM_ESTABLISH_CRED | flags);
	t2 = now();
	login->open = pam_open_session(login->pamh, flags);
	login->open_s = now() - t2;
	login->auth_s = t1 - t0;
}

static void assert_went_on(const struct login *login)
{
	assert_int_equal(login->auth, PAM_SUCCESS);
	assert_int_equal(login->setcred, PAM_SUCCESS);
	assert_int_equal(login->open, PAM_SUCCESS);
}

static void login_end(struct login *login)
{
	assert_int_equal(pam_close_session(login->pamh, 0), PAM_SUCCESS);
	assert_int_equal(pam_end(login->pamh, PAM_SUCCESS), PAM_SUCCESS);
}

/* Seconds of authentication and session without the module. */
static void measure_plain(double *ret_auth_s, double *ret_open_s)
{
	struct login login = { .talk.answers = { "alice" } };

	login_start(&login, "plain", "alice", "/dev/tty1");
	login_begin(&login, 0);
	assert_went_on(&login);
	login_end(&login);
	*ret_auth_s = login.auth_s;
	*ret_open_s = login.open_s;
}

/*
 * Every failure x every hook.
 */
struct row {
	const char *mode;
	const char *line;	/* the one line that is said, in part; NULL: silence */
	double max_s;		/* in all hooks of the login together */
	double min_s;
};

#define GARBAGE "unintelligible"
#define PROTOCOL "broke the protocol"

static const struct row rows[] = {
	/* works */
	{ "mounted", NULL, 1.0, 0 },
	{ "nothing", NULL, 1.0, 0 },
	{ "slow-first", NULL, 3.0, 1.9 },
	{ "beat-mounted", NULL, 6.5, 4.9 },
	/* is not there */
	{ "no-bus", "cannot be reached", 1.0, 0 },
	{ NULL, "cannot be reached", 1.0, 0 },
	{ "exit-in-call", "cannot be reached", 1.0, 0 },
	/* hangs */
	{ "stopped-bus", "does not answer", 4.0, 2.9 },
	{ "stopped", "does not answer", 4.0, 2.9 },
	{ "stop-in-call", "does not answer", 4.0, 2.9 },
	{ "mute", "does not answer", 4.0, 2.9 },
	{ "silent", "does not answer", 4.0, 2.9 },
	{ "beat-silent", "too long", 4.0, 2.9 },
	/* goes on for ever: total_ms */
	{ "beat-forever", "too long", 0, 0 },
	{ "beat-flood", "too long", 0, 0 },
	/* says no */
	{ "error", "Nothing works today.", 1.0, 0 },
	{ "denied", "not authorized", 1.0, 0 },
	{ "wrong", "home of alice stays closed: the secret is wrong. Open it: ecryptfsctl unlock.", 1.0, 0 },
	{ "bare-error", "no space left", 1.0, 0 },
	{ "foreign-error", "The sky is falling.", 1.0, 0 },
	{ "escape-error", "?]0;owned??root:x:0:0?? end.", 1.0, 0 },
	/* breaks the protocol */
	{ "reply-string", PROTOCOL, 1.0, 0 },
	{ "reply-nothing", PROTOCOL, 1.0, 0 },
	{ "reply-file", PROTOCOL, 1.0, 0 },
	{ "reply-directory", PROTOCOL, 1.0, 0 },
	{ "reply-pipe", PROTOCOL, 1.0, 0 },
	{ "reply-stream", PROTOCOL, 1.0, 0 },
	{ "close", "in the middle", 1.0, 0 },
	{ "beat-close", "in the middle", 1.0, 0 },
	{ "empty-message", "in the middle", 1.0, 0 },
	{ "half-error", GARBAGE, 1.0, 0 },
	{ "unknown-word", GARBAGE, 1.0, 0 },
	{ "nul", GARBAGE, 1.0, 0 },
	{ "random", GARBAGE, 1.0, 0 },
	{ "long", GARBAGE, 1.0, 0 },
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

/* What a busy machine may add; too little to take a wait of three seconds for none. */
#define BUSY_S 1.5

static double limit_s(const struct row *row)
{
	return (row->max_s ? row->max_s : total_ms / 1000.0 + 1) + BUSY_S;
}

static void assert_said(const struct talk *talk, const struct row *row, const char *prompt)
{
	if (!row->line) {
		assert_int_equal(talk->n_lines, 0);
		return;
	}
	if (talk->n_lines != 1 || !strstr(talk->text, row->line))
		fail_msg("%s: want one line with \"%s\", have %u:\n%s", row->mode, row->line,
			 talk->n_lines, talk->text);
	if (!strstr(row->line, "."))	/* else these are the broker's own words */
		assert_non_null(strstr(talk->text, prompt));
}

static void test_login_whatever_the_broker_does(void **state)
{
	double plain_auth_s, plain_open_s, delay, max_s;
	struct surroundings before;
	const struct row *row;
	size_t i;

	measure_plain(&plain_auth_s, &plain_open_s);
	printf("%-16s %8s %8s %8s   %s\n", "broker", "auth s", "open s", "limit s", "returns");
	for (i = 0; i < N_ROWS; i++) {
		struct login login = { .talk.answers = { "alice" } };

		row = &rows[i];
		begin_broker(row->mode);
		look_around(&before);
		login_start(&login, "login", "alice", "/dev/tty1");
		login_begin(&login, 0);
		delay = login.auth_s - plain_auth_s + login.open_s - plain_open_s;
		max_s = limit_s(row);
		printf("%-16s %8.3f %8.3f %8.1f   %d %d %d\n", row->mode ? row->mode : "absent",
		       login.auth_s - plain_auth_s, login.open_s - plain_open_s, max_s,
		       login.auth, login.setcred, login.open);
		assert_went_on(&login);
		assert_said(&login.talk, row, "encrypted home of alice stays closed");
		if (delay > max_s || (row->min_s && delay < row->min_s))
			fail_msg("%s: %.3f s, want %.1f to %.1f", row->mode, delay, row->min_s,
				 max_s);
		login_end(&login);
		assert_unchanged(&before);
		end_broker(row->mode);
	}
	print_message("%zu brokers, every login went on\n", N_ROWS);
}

/* total_ms is the shipped module's minute where this test runs on its own. */
static void test_gives_up_in_the_end(void **state)
{
	struct login login = { .talk.answers = { "alice" } };

	begin_broker("beat-forever");
	login_start(&login, "login", "alice", "/dev/tty1");
	login_begin(&login, 0);
	assert_went_on(&login);
	printf("a broker that works for ever: %.1f s\n", login.open_s);
	assert_true(login.open_s > total_ms / 1000.0 - 0.5 && login.open_s < total_ms / 1000.0 + 2 + BUSY_S);
	assert_int_equal(login.talk.n_lines, 1);
	login_end(&login);
	end_broker("beat-forever");
}

/* A password change: the login password is changed by pam_unix in any case. */
static int change_password(struct talk *talk, const char *service, const char *user, int as_uid,
			   const char *const answers[4])
{
	struct pam_conv conv = { converse, talk };
	pam_handle_t *pamh;
	int r;

	memset(talk, 0, sizeof(*talk));
	memcpy(talk->answers, answers, sizeof(talk->answers));
	assert_int_equal(pam_start_confdir(service, user, &conv, "/etc/pam.d", &pamh),
			 PAM_SUCCESS);
	/* passwd is set-user-id: real uid the user's, effective uid root's */
	assert_int_equal(setresuid((uid_t)as_uid, 0, 0), 0);
	r = pam_chauthtok(pamh, 0);
	assert_int_equal(setresuid(0, 0, 0), 0);
	pam_end(pamh, r);
	return r;
}

static bool password_is(const char *user, const char *password)
{
	struct login login = { .talk.answers = { password } };
	int r;

	login_start(&login, "plain", user, "/dev/tty1");
	r = pam_authenticate(login.pamh, 0);
	pam_end(login.pamh, r);
	return r == PAM_SUCCESS;
}

static void test_password_change_whatever_the_broker_does(void **state)
{
	const char *passwords[2] = { "alice", "Correct-Horse-7" };
	struct surroundings before;
	struct talk talk;
	unsigned int n_changes = 0;
	double t0, took;
	size_t i;

	printf("%-16s %8s %8s\n", "broker", "passwd s", "returns");
	for (i = 0; i < N_ROWS; i++) {
		const char *old_password = passwords[n_changes % 2];
		const char *new_password = passwords[1 - n_changes % 2];
		const struct row *row = &rows[i];
		double max_s = limit_s(row);
		const char *const answers[4] = { old_password, new_password, new_password };
		int r;

		if (row->mode && !strcmp(row->mode, "beat-flood"))
			continue;	/* one endless one is enough */
		begin_broker(row->mode);
		look_around(&before);
		t0 = now();
		r = change_password(&talk, "passwd", "alice", 1500, answers);
		took = now() - t0;
		printf("%-16s %8.3f %8d\n", row->mode ? row->mode : "absent", took, r);
		if (r != PAM_SUCCESS)
			fail_msg("%s: %s\n%s", row->mode, pam_strerror(NULL, r), talk.text);
		if (row->line && !strstr(talk.text, row->line))
			fail_msg("%s: want \"%s\" in:\n%s", row->mode, row->line, talk.text);
		if (row->line && !strstr(row->line, "."))
			assert_non_null(strstr(talk.text, "that of the encrypted home was not"));
		if (took > max_s + 1)
			fail_msg("%s: %.3f s", row->mode, took);
		assert_unchanged(&before);
		if (row->mode && !strcmp(row->mode, "mounted"))
			assert_logged("ChangeLoginSecret alice [alice] [Correct-Horse-7]");
		end_broker(row->mode);
		assert_true(password_is("alice", new_password));
		n_changes++;
	}
}

/*
 * One behaviour each.
 */
static void test_secret_reaches_the_broker(void **state)
{
	struct login login = { .talk.answers = { "alice" } };

	begin_broker("mounted");
	login_start(&login, "login", "alice", "/dev/tty1");
	assert_int_equal(pam_set_item(login.pamh, PAM_RHOST, "host\xff\nname"), PAM_SUCCESS);
	login_begin(&login, 0);
	assert_went_on(&login);
	assert_string_equal(broker_log(),
			    "StashSecret alice [alice]\n"
			    "OpenSession alice service=login tty=/dev/tty1 rhost=host??name "
			    "secrets: [alice]\n");
	login_end(&login);
	end_broker("mounted");
}

static void test_session_lasts_until_it_is_closed(void **state)
{
	struct login login = { .talk.answers = { "alice" } };

	begin_broker("mounted");
	login_start(&login, "login", "alice", "/dev/tty1");
	login_begin(&login, 0);
	usleep(300000);
	assert_null(strstr(broker_log(), "closed"));
	assert_int_equal(pam_close_session(login.pamh, 0), PAM_SUCCESS);
	wait_for_log("closed");
	pam_end(login.pamh, PAM_SUCCESS);
	end_broker("mounted");
}

static void test_session_ends_with_the_handle(void **state)
{
	struct login login = { .talk.answers = { "alice" } };

	begin_broker("mounted");
	login_start(&login, "login", "alice", "/dev/tty1");
	login_begin(&login, 0);
	pam_end(login.pamh, PAM_SUCCESS);
	wait_for_log("closed");
	end_broker("mounted");
}

/* The shell must not inherit the session: its end would then be the end of the last daemon. */
static void test_session_is_not_inherited(void **state)
{
	struct login login = { .talk.answers = { "alice" } };
	pid_t pid;

	begin_broker("mounted");
	login_start(&login, "login", "alice", "/dev/tty1");
	login_begin(&login, 0);
	pid = fork();
	if (pid == 0) {
		execlp("sleep", "sleep", "5", NULL);
		_exit(1);
	}
	usleep(100000);
	assert_int_equal(pam_close_session(login.pamh, 0), PAM_SUCCESS);
	wait_for_log("closed");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	pam_end(login.pamh, PAM_SUCCESS);
	end_broker("mounted");
}

static void test_session_is_kept_after_a_wrong_secret(void **state)
{
	struct login login = { .talk.answers = { "alice" } };

	begin_broker("wrong");
	login_start(&login, "login", "alice", "/dev/tty1");
	login_begin(&login, 0);
	usleep(300000);
	assert_null(strstr(broker_log(), "closed"));
	login_end(&login);
	wait_for_log("closed");
	end_broker("wrong");
}

/* Whoever authenticates in a child (sshd does) has no secret in the session's process. */
static void test_secret_does_not_cross_a_fork(void **state)
{
	struct login login = { .talk.answers = { "alice" } };
	int status;
	pid_t pid;

	begin_broker("mounted");
	login_start(&login, "sshd", "alice", "ssh");
	login.auth = pam_authenticate(login.pamh, 0);
	pid = fork();
	if (pid == 0)
		_exit(pam_open_session(login.pamh, 0));
	waitpid(pid, &status, 0);
	assert_int_equal(status, PAM_SUCCESS << 8);
	assert_logged("OpenSession alice service=sshd tty=ssh secrets:\n");
	pam_end(login.pamh, PAM_SUCCESS);
	end_broker("mounted");
}

/* No call at all, and no time. */
static void assert_skipped(const char *service, const char *user)
{
	struct login login = { .talk.answers = { user } };
	double plain_auth_s, plain_open_s, delay;

	measure_plain(&plain_auth_s, &plain_open_s);
	begin_broker("mounted");
	login_start(&login, service, user, "/dev/tty1");
	login_begin(&login, 0);
	assert_went_on(&login);
	delay = login.auth_s - plain_auth_s + login.open_s - plain_open_s;
	printf("%s through %s: %+.4f s\n", user, service, delay);
	assert_true(delay < 0.3);
	assert_int_equal(login.talk.n_lines, 0);
	assert_string_equal(broker_log(), "");
	login_end(&login);
	end_broker("mounted");
}

static void test_users_without_a_vault_pay_nothing(void **state)
{
	assert_skipped("login", "bob");
	assert_skipped("login", "root");
	assert_skipped("login", "system");
}

static void test_user_manager_is_skipped(void **state)
{
	struct login login = { .talk.answers = { "alice" } };

	begin_broker("mounted");
	login_start(&login, "systemd-user", "alice", "");
	assert_int_equal(pam_open_session(login.pamh, 0), PAM_SUCCESS);
	assert_string_equal(broker_log(), "");
	login_end(&login);
	end_broker("mounted");
}

/* ~/.ecryptfs is a FIFO here: it is seen, and never opened. */
static void test_private_directory_counts(void **state)
{
	struct login login = { .talk.answers = { "carol" } };

	begin_broker("mounted");
	login_start(&login, "login", "carol", "/dev/tty1");
	login_begin(&login, 0);
	assert_went_on(&login);
	assert_logged("OpenSession carol");
	login_end(&login);
	end_broker("mounted");
}

static void test_wrong_password_never_reaches_us(void **state)
{
	struct login login = { .talk.answers = { "guess" } };

	begin_broker("mounted");
	login_start(&login, "login", "alice", "/dev/tty1");
	login_begin(&login, 0);
	assert_int_equal(login.auth, PAM_AUTH_ERR);
	assert_string_equal(broker_log(), "");
	pam_end(login.pamh, PAM_AUTH_ERR);
	end_broker("mounted");
}

static void touch(const char *path)
{
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static void test_no_stash_where_it_is_mounted(void **state)
{
	struct login login = { .talk.answers = { "alice" } };

	touch(MOUNTED_ALICE);
	begin_broker("mounted");
	login_start(&login, "login", "alice", "/dev/tty1");
	login_begin(&login, 0);
	assert_null(strstr(broker_log(), "StashSecret"));
	assert_logged("OpenSession alice");
	login_end(&login);
	end_broker("mounted");
	unlink(MOUNTED_ALICE);
}

/* sudo authenticates alice and opens a session of carol: not with alice's password. */
static void test_secret_stays_with_its_user(void **state)
{
	struct login login = { .talk.answers = { "alice" } };

	begin_broker("mounted");
	login_start(&login, "sudo", "alice", "/dev/tty1");
	assert_int_equal(pam_authenticate(login.pamh, 0), PAM_SUCCESS);
	assert_int_equal(pam_set_item(login.pamh, PAM_USER, "carol"), PAM_SUCCESS);
	assert_int_equal(pam_open_session(login.pamh, 0), PAM_SUCCESS);
	assert_logged("OpenSession carol service=sudo tty=/dev/tty1 secrets:\n");
	login_end(&login);
	end_broker("mounted");
}

static unsigned int lines_said(const char *service, const char *tty, int flags)
{
	struct login login = { .talk.answers = { "alice" } };

	begin_broker("wrong");
	login_start(&login, service, "alice", tty);
	login_begin(&login, flags);
	assert_went_on(&login);
	login_end(&login);
	end_broker("wrong");
	return login.talk.n_lines;
}

static void test_silence_where_nobody_reads(void **state)
{
	assert_int_equal(lines_said("login", "/dev/tty1", 0), 1);
	assert_int_equal(lines_said("login", "/dev/tty1", PAM_SILENT), 0);
	assert_int_equal(lines_said("cron", "cron", 0), 0);
	assert_int_equal(lines_said("sshd", "ssh", 0), 1);
}

static void test_stale_secret_is_mended(void **state)
{
	struct login login = { .talk.answers = { "alice", "old" } };

	touch(STALE_ALICE);
	begin_broker("stale");
	login_start(&login, "login", "alice", "/dev/tty1");
	login_begin(&login, 0);
	assert_went_on(&login);
	assert_int_equal(login.talk.n_asked, 2);
	assert_int_equal(login.talk.n_lines, 0);
	assert_logged("secrets: [alice]\n");
	assert_logged("secrets: [old]\n");
	assert_logged("ChangeLoginSecret alice [old] [alice]\n");
	login_end(&login);
	end_broker("stale");
	unlink(STALE_ALICE);
}

/* answer: what is typed at the question; tty "ssh" or service cron must not be asked at all */
static void assert_not_mended(const char *service, const char *tty, const char *answer,
			      unsigned int n_asked, unsigned int n_lines)
{
	struct login login = { .talk.answers = { "alice", answer } };

	touch(STALE_ALICE);
	begin_broker("stale");
	login_start(&login, service, "alice", tty);
	login_begin(&login, 0);
	assert_went_on(&login);
	assert_int_equal(login.talk.n_asked, n_asked);
	assert_int_equal(login.talk.n_lines, n_lines);
	assert_null(strstr(broker_log(), "ChangeLoginSecret"));
	login_end(&login);
	end_broker("stale");
	unlink(STALE_ALICE);
}

static void test_stale_secret_that_stays_stale(void **state)
{
	assert_not_mended("login", "/dev/tty1", "still wrong", 2, 1);
	assert_not_mended("login", "/dev/tty1", "", 2, 1);
	assert_not_mended("login", "/dev/tty1", NULL, 1, 1);
	assert_not_mended("sshd", "ssh", "old", 1, 1);
	assert_not_mended("cron", "cron", "old", 1, 0);
	assert_not_mended("login", "", "old", 1, 1);
}

static void test_reset_by_root_marks_stale(void **state)
{
	const char *const answers[4] = { "alice", "alice" };
	struct talk talk;

	begin_broker("mounted");
	assert_int_equal(change_password(&talk, "passwd", "alice", 0, answers), PAM_SUCCESS);
	assert_string_equal(broker_log(), "MarkLoginSecretStale alice\n");
	assert_non_null(strstr(talk.text, "keeps its old password"));
	end_broker("mounted");
	assert_int_equal(change_password(&talk, "passwd", "alice", 0, answers), PAM_SUCCESS);
	assert_non_null(strstr(talk.text, "could not be noted"));
}

static void test_failed_change_is_marked_stale(void **state)
{
	const char *const answers[4] = { "alice", "Correct-Horse-7", "Correct-Horse-7" };
	struct talk talk;

	begin_broker("bare-error");
	assert_int_equal(change_password(&talk, "passwd", "alice", 1500, answers), PAM_SUCCESS);
	assert_logged("ChangeLoginSecret alice [alice] [Correct-Horse-7]\n");
	assert_logged("MarkLoginSecretStale alice\n");
	end_broker("bare-error");
}

/*
 * pam_unix fails in its second pass, and libpam calls us all the same: the vault must keep the
 * password that still opens the login.
 */
static void test_vault_does_not_follow_a_password_that_was_not_set(void **state)
{
	const char *const answers[4] = { "alice", "Correct-Horse-7", "Correct-Horse-7" };
	struct talk talk;

	begin_broker("mounted");
	/* pam_unix writes here before it renames */
	assert_int_equal(mkdir("/etc/nshadow", 0700), 0);
	assert_int_not_equal(change_password(&talk, "passwd", "alice", 1500, answers),
			     PAM_SUCCESS);
	assert_int_equal(rmdir("/etc/nshadow"), 0);
	assert_true(password_is("alice", "alice"));
	assert_string_equal(broker_log(), "");
	end_broker("mounted");
}

static void test_password_of_others_is_not_our_business(void **state)
{
	const char *const answers[4] = { "bob", "bob" };
	struct talk talk;

	begin_broker("mounted");
	assert_int_equal(change_password(&talk, "passwd", "bob", 0, answers), PAM_SUCCESS);
	assert_string_equal(broker_log(), "");
	end_broker("mounted");
}

/* login with an expired password: the session gets both, the new one first */
static void test_session_after_a_change_has_both_secrets(void **state)
{
	struct login login = { .talk.answers = { "alice", "alice", "Correct-Horse-7",
						 "Correct-Horse-7" } };

	begin_broker("mounted");
	login_start(&login, "login", "alice", "/dev/tty1");
	assert_int_equal(pam_authenticate(login.pamh, 0), PAM_SUCCESS);
	assert_int_equal(setresuid(1500, 0, 0), 0);
	assert_int_equal(pam_chauthtok(login.pamh, 0), PAM_SUCCESS);
	assert_int_equal(setresuid(0, 0, 0), 0);
	assert_int_equal(pam_open_session(login.pamh, 0), PAM_SUCCESS);
	assert_logged("secrets: [Correct-Horse-7] [alice]\n");
	login_end(&login);
	end_broker("mounted");
}

/* A login that finds no broker, where the bus starts one by command. */
static void login_with_activation(struct login *login, const char *command)
{
	static const char service[] = "/run/services/org.ecryptfs.Manager1.service";
	_cleanup_fclose_ FILE *file = NULL;

	unlink(LOG);
	assert_int_equal(mkdir("/run/services", 0755), 0);
	file = fopen(service, "we");
	fprintf(file, "[D-BUS Service]\nName=org.ecryptfs.Manager1\nExec=/bin/sh -c \"%s\"\n",
		command);
	fflush(file);
	end(&bus_pid);
	begin_bus();
	login_start(login, "login", "alice", "/dev/tty1");
	login_begin(login, 0);
	printf("%s: %.3f s in auth, %.3f s in session\n", command, login->auth_s, login->open_s);
	login_end(login);
	unlink(service);
	rmdir("/run/services");
	/* what the bus started goes with it */
	end(&bus_pid);
	begin_bus();
	assert_went_on(login);
}

/* That takes longer than a hung one would be given, and the home opens. */
static void test_slow_start_is_waited_for(void **state)
{
	struct login login = { .talk.answers = { "alice" } };
	char command[PATH_MAX + 64];

	snprintf(command, sizeof(command), "sleep 4; exec %s mounted " LOG, broker_path);
	login_with_activation(&login, command);
	assert_int_equal(login.talk.n_lines, 0);
	assert_true(login.auth_s + login.open_s > 3.9);
	assert_logged("OpenSession alice");
}

static void test_start_that_fails(void **state)
{
	struct login login = { .talk.answers = { "alice" } };

	login_with_activation(&login, "sleep 8");
	assert_int_equal(login.talk.n_lines, 1);
	assert_true(login.auth_s + login.open_s < 5.0);
}

static size_t resident_kib(void)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/statm", "re");
	size_t total, resident;

	assert_int_equal(fscanf(file, "%zu %zu", &total, &resident), 2);
	return resident * 4;
}

static void many_logins(unsigned int n)
{
	while (n-- > 0) {
		struct login login = { .talk.answers = { "alice" } };

		login_start(&login, "login", "alice", "/dev/tty1");
		login_begin(&login, 0);
		assert_went_on(&login);
		login_end(&login);
	}
}

static void test_many_logins_leave_nothing(void **state)
{
	struct surroundings before;
	size_t kib;

	begin_broker("mounted");
	many_logins(20);
	look_around(&before);
	kib = resident_kib();
	many_logins(100);
	assert_unchanged(&before);
	printf("100 logins: %+ld KiB\n", (long)resident_kib() - (long)kib);
#ifndef __SANITIZE_ADDRESS__	/* its quarantine grows on purpose */
	assert_true(resident_kib() < kib + 256);
#endif
	end_broker("mounted");
}

static int group_begin(void **state)
{
	_cleanup_fclose_ FILE *file = fopen("/run/bus.conf", "we");

	fputs("<busconfig><listen>unix:path=/run/dbus/system_bus_socket</listen>"
	      "<servicedir>/run/services</servicedir>"
	      "<policy context=\"default\"><allow send_destination=\"*\"/>"
	      "<allow receive_sender=\"*\"/><allow own=\"*\"/>"
	      "</policy></busconfig>\n", file);
	fflush(file);
	begin_bus();
	return 0;
}

/* Also after a failure in the middle of a test. */
static int test_end(void **state)
{
	(void)!system("cp /etc/shadow.pristine /etc/shadow; rm -rf /etc/nshadow " STALE_ALICE " "
		      MOUNTED_ALICE);
	end(&broker_pid);
	if (kill(bus_pid, 0) < 0)
		begin_bus();
	return 0;
}

static int group_end(void **state)
{
	end(&broker_pid);
	end(&bus_pid);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_secret_reaches_the_broker, test_end),
		cmocka_unit_test_teardown(test_session_lasts_until_it_is_closed, test_end),
		cmocka_unit_test_teardown(test_session_ends_with_the_handle, test_end),
		cmocka_unit_test_teardown(test_session_is_not_inherited, test_end),
		cmocka_unit_test_teardown(test_session_is_kept_after_a_wrong_secret, test_end),
		cmocka_unit_test_teardown(test_secret_does_not_cross_a_fork, test_end),
		cmocka_unit_test_teardown(test_users_without_a_vault_pay_nothing, test_end),
		cmocka_unit_test_teardown(test_user_manager_is_skipped, test_end),
		cmocka_unit_test_teardown(test_private_directory_counts, test_end),
		cmocka_unit_test_teardown(test_wrong_password_never_reaches_us, test_end),
		cmocka_unit_test_teardown(test_no_stash_where_it_is_mounted, test_end),
		cmocka_unit_test_teardown(test_secret_stays_with_its_user, test_end),
		cmocka_unit_test_teardown(test_silence_where_nobody_reads, test_end),
		cmocka_unit_test_teardown(test_stale_secret_is_mended, test_end),
		cmocka_unit_test_teardown(test_stale_secret_that_stays_stale, test_end),
		cmocka_unit_test_teardown(test_reset_by_root_marks_stale, test_end),
		cmocka_unit_test_teardown(test_failed_change_is_marked_stale, test_end),
		cmocka_unit_test_teardown(test_vault_does_not_follow_a_password_that_was_not_set, test_end),
		cmocka_unit_test_teardown(test_password_of_others_is_not_our_business, test_end),
		cmocka_unit_test_teardown(test_session_after_a_change_has_both_secrets, test_end),
		cmocka_unit_test_teardown(test_slow_start_is_waited_for, test_end),
		cmocka_unit_test_teardown(test_start_that_fails, test_end),
		cmocka_unit_test_teardown(test_many_logins_leave_nothing, test_end),
		cmocka_unit_test_teardown(test_gives_up_in_the_end, test_end),
		cmocka_unit_test_teardown(test_login_whatever_the_broker_does, test_end),
		cmocka_unit_test_teardown(test_password_change_whatever_the_broker_does, test_end),
	};

	if (argc < 3)
		return 2;
	if (argc > 3)
		cmocka_set_test_filter(argv[3]);
	broker_path = realpath(argv[1], NULL);
	total_ms = (unsigned int)strtoul(argv[2], NULL, 10);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return cmocka_run_group_tests(tests, group_begin, group_end);
}
