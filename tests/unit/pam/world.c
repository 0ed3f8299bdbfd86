/* SPDX-License-Identifier: GPL-2.0-only */
#include "world.h"

#include "lib/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

const char *broker_path;

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

void restart_bus(void)
{
	end(&bus_pid);
	begin_bus();
}

void begin_broker(const char *mode)
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

void end_broker(const char *mode)
{
	end(&broker_pid);
	if (mode && (!strcmp(mode, "no-bus") || !strcmp(mode, "stopped-bus")))
		restart_bus();
}

const char *broker_log(void)
{
	static char text[8192];
	_cleanup_close_ int fd = open(LOG, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

void assert_logged(const char *want)
{
	if (!strstr(broker_log(), want))
		fail_msg("the broker did not see \"%s\" but:\n%s", want, broker_log());
}

void wait_for_log(const char *want)
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
double now(void)
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

void look_around(struct surroundings *ret)
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

void assert_unchanged(const struct surroundings *before)
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

void login_start(struct login *login, const char *service, const char *user, const char *tty)
{
	login->conv = (struct pam_conv){ converse, &login->talk };
	assert_int_equal(pam_start_confdir(service, user, &login->conv, "/etc/pam.d",
					   &login->pamh), PAM_SUCCESS);
	assert_int_equal(pam_set_item(login->pamh, PAM_TTY, tty), PAM_SUCCESS);
}

void login_begin(struct login *login, int flags)
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

void assert_went_on(const struct login *login)
{
	assert_int_equal(login->auth, PAM_SUCCESS);
	assert_int_equal(login->setcred, PAM_SUCCESS);
	assert_int_equal(login->open, PAM_SUCCESS);
}

void login_end(struct login *login)
{
	assert_int_equal(pam_close_session(login->pamh, 0), PAM_SUCCESS);
	assert_int_equal(pam_end(login->pamh, PAM_SUCCESS), PAM_SUCCESS);
}

void measure_plain(double *ret_auth_s, double *ret_open_s)
{
	struct login login = { .talk.answers = { "alice" } };

	login_start(&login, "plain", "alice", "/dev/tty1");
	login_begin(&login, 0);
	assert_went_on(&login);
	login_end(&login);
	*ret_auth_s = login.auth_s;
	*ret_open_s = login.open_s;
}

double left_alone(const char *service, const char *user)
{
	struct login login = { .talk.answers = { user } };
	double plain_auth_s, plain_open_s, delay;

	measure_plain(&plain_auth_s, &plain_open_s);
	login_start(&login, service, user, "/dev/tty1");
	login_begin(&login, 0);
	assert_went_on(&login);
	delay = login.auth_s - plain_auth_s + login.open_s - plain_open_s;
	if (delay > EXTRA_S)
		fail_msg("%s through %s: %+.4f s, of which %.4f s in the session; limit %.1f s", user,
			 service, delay, login.open_s, EXTRA_S);
	assert_int_equal(login.talk.n_lines, 0);
	assert_string_equal(broker_log(), "");
	login_end(&login);
	return delay;
}

int change_password(struct talk *talk, const char *service, const char *user, int as_uid,
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

bool password_is(const char *user, const char *password)
{
	struct login login = { .talk.answers = { password } };
	int r;

	login_start(&login, "plain", user, "/dev/tty1");
	r = pam_authenticate(login.pamh, 0);
	pam_end(login.pamh, r);
	return r == PAM_SUCCESS;
}

void touch(const char *path)
{
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

int world_begin(void **state)
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

int world_clean(void **state)
{
	(void)!system("cp /etc/shadow.pristine /etc/shadow; rm -rf /etc/nshadow " STALE_ALICE " "
		      MOUNTED_ALICE);
	end(&broker_pid);
	if (kill(bus_pid, 0) < 0)
		begin_bus();
	return 0;
}

int world_end(void **state)
{
	end(&broker_pid);
	end(&bus_pid);
	return 0;
}

void world_arguments(const char *fake_broker, const char *pattern)
{
	if (pattern)
		cmocka_set_test_filter(pattern);
	broker_path = realpath(fake_broker, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
}
