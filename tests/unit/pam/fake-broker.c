/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A broker that behaves as told, mostly badly: what pam_ecryptfs must survive.
 *
 * usage: fake-broker MODE LOG
 *        fake-broker --system KIND	in a VM, against the real bus: wrong-type, empty,
 *					closed-descriptor, noise, silence, late, flood, forever
 * Owns the name on the bus, prints "ready", and appends one line to LOG for each call: member,
 * user, info, secrets (those of the tests are no secrets), and "closed" when a session ends.
 */
#include "lib/bus-client.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/secret.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

static const char *mode;
static int log_fd;
static sd_bus *bus;

static bool is_mode(const char *name)
{
	return !strcmp(mode, name);
}

/* Just in time for the call, and then nothing more, or hardly. */
static bool is_late(void)
{
	return !strncmp(mode, "late-", strlen("late-"));
}

__attribute__((format(printf, 1, 2)))
static void log_line(const char *format, ...)
{
	char line[1024];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	line[n] = '\n';
	if (write(log_fd, line, (size_t)n + 1) < 0)
		err(1, "log");
}

static void say(int fd, const char *text)
{
	(void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void beat(int fd, unsigned int n, unsigned int pause_ms)
{
	while (n-- > 0) {
		if (send(fd, "W", 1, MSG_NOSIGNAL) < 0)
			exit(0);
		poll(NULL, 0, (int)pause_ms);
	}
}

static void hold(int fd)
{
	char buf[16];

	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
	log_line("closed");
}

/* What happens on the session descriptor, in a process of its own. */
static void play(int fd)
{
	char big[4096];

	if (is_mode("silent") || is_mode("late-silent"))
		hold(fd);
	else if (is_mode("close"))
		return;
	else if (is_mode("beat-silent") || is_mode("late-beat"))
		beat(fd, 1, 0), hold(fd);
	else if (is_mode("beat-close"))
		beat(fd, 2, 100);
	else if (is_mode("beat-forever"))
		beat(fd, 1000, 1000);
	else if (is_mode("beat-flood"))
		beat(fd, 100000000, 0);
	else if (is_mode("beat-fast"))
		beat(fd, 100000000, 50);
	else if (is_mode("beat-mounted"))
		beat(fd, 5, 1000), say(fd, "M"), hold(fd);
	else if (is_mode("slow-first"))
		poll(NULL, 0, 2000), say(fd, "M"), hold(fd);
	else if (is_mode("nothing"))
		say(fd, "N"), hold(fd);
	else if (is_mode("wrong"))
		say(fd, "E WrongSecret The encrypted home of alice stays closed: the secret is wrong. "
			"Open it: ecryptfsctl unlock."), hold(fd);
	else if (is_mode("bare-error"))
		say(fd, "E NoSpace"), hold(fd);
	else if (is_mode("foreign-error"))
		say(fd, "E SomethingNew The sky is falling."), hold(fd);
	else if (is_mode("escape-error"))
		say(fd, "E Failed \033]0;owned\007\nroot:x:0:0\r\xff end."), hold(fd);
	else if (is_mode("half-error"))
		say(fd, "E "), hold(fd);
	else if (is_mode("unknown-word"))
		say(fd, "mounted"), hold(fd);
	else if (is_mode("nul"))
		(void)!send(fd, "M\0", 2, MSG_NOSIGNAL), hold(fd);
	else if (is_mode("empty-message"))
		(void)!send(fd, "", 0, MSG_NOSIGNAL), hold(fd);
	else if (is_mode("random")) {
		(void)!getrandom(big, 64, 0);
		(void)!send(fd, big, 64, MSG_NOSIGNAL);
		hold(fd);
	} else if (is_mode("long")) {
		memset(big, 'W', sizeof(big));
		(void)!send(fd, big, sizeof(big), MSG_NOSIGNAL);
		hold(fd);
	} else
		say(fd, "M"), hold(fd);
}

static void play_aside(int fd, int other)
{
	int bus_fd = sd_bus_get_fd(bus);
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid > 0)
		return;
	close(other);
	close(bus_fd);	/* else the name stays taken when we are killed */
	play(fd);
	_exit(0);
}

static int reply_with_fd(sd_bus_message *m, int fd)
{
	if (fd < 0)
		err(1, "descriptor for mode %s", mode);
	return sd_bus_reply_method_return(m, "h", fd);
}

/* Replies that are wrong as such; 0 where the mode is none of them. */
static int reply_badly(sd_bus_message *m, sd_bus_error *error)
{
	int fds[2];

	if (is_mode("exit-in-call"))
		exit(0);
	if (is_mode("mute"))
		return 1;
	if (is_mode("stop-in-call"))
		return raise(SIGSTOP), 1;
	if (is_mode("error"))
		return sd_bus_error_setf(error, EC_ERROR_PREFIX "Failed",
					 "Nothing works today.");
	if (is_mode("denied"))
		return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED, "no");
	if (is_mode("reply-string"))
		return sd_bus_reply_method_return(m, "s", "M");
	if (is_mode("reply-nothing"))
		return sd_bus_reply_method_return(m, "");
	if (is_mode("reply-file"))
		return reply_with_fd(m, open("/etc/passwd", O_RDONLY | O_CLOEXEC));
	if (is_mode("reply-directory"))
		return reply_with_fd(m, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (is_mode("reply-pipe")) {
		if (pipe2(fds, O_CLOEXEC) < 0)
			err(1, "pipe");
		return reply_with_fd(m, fds[0]);
	}
	if (is_mode("reply-stream")) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
			err(1, "socketpair");
		say(fds[0], "M");
		return reply_with_fd(m, fds[1]);
	}
	return 0;
}

static int reply_session(sd_bus_message *m, sd_bus_error *error)
{
	int fds[2], r;

	r = reply_badly(m, error);
	if (r != 0)
		return r;
	if (is_late())
		poll(NULL, 0, 1900);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		err(1, "socketpair");
	play_aside(fds[0], fds[1]);
	close(fds[0]);
	r = sd_bus_reply_method_return(m, "h", fds[1]);
	close(fds[1]);
	return r;
}

static void read_secret(sd_bus_message *m, char *ret, size_t ret_len)
{
	_cleanup_secret_ struct ec_secret secret = EC_SECRET_NULL;
	int fd;

	if (sd_bus_message_read(m, "h", &fd) <= 0) {
		ret[0] = '\0';
		return;
	}
	if (ec_secret_from_memfd(&secret, fd) < 0)
		snprintf(ret, ret_len, "NOT-SEALED");
	else
		snprintf(ret, ret_len, "%.*s", (int)secret.len, (char *)secret.data);
}

static int open_session(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *user, *key, *value;
	char info[512] = "", secrets[512] = "", one[128];

	if (sd_bus_message_read(m, "s", &user) < 0)
		return -EINVAL;
	sd_bus_message_enter_container(m, 'a', "{sv}");
	while (sd_bus_message_read(m, "{sv}", &key, "s", &value) > 0)
		snprintf(info + strlen(info), sizeof(info) - strlen(info), " %s=%s", key, value);
	sd_bus_message_exit_container(m);
	sd_bus_message_enter_container(m, 'a', "h");
	for (;;) {
		read_secret(m, one, sizeof(one));
		if (!one[0])
			break;
		snprintf(secrets + strlen(secrets), sizeof(secrets) - strlen(secrets), " [%s]",
			 one);
	}
	log_line("OpenSession %s%s secrets:%s", user, info, secrets);
	if (!is_mode("stale"))
		return reply_session(m, error);
	mode = strcmp(secrets, " [old]") ? "wrong" : "mounted";	/* only that one opens */
	reply_session(m, error);
	mode = "stale";
	return 1;
}

static int stash_secret(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *user;
	char secret[128];
	int r;

	if (sd_bus_message_read(m, "s", &user) < 0)
		return -EINVAL;
	read_secret(m, secret, sizeof(secret));
	log_line("StashSecret %s [%s]", user, secret);
	if (is_late())
		return 1;
	r = reply_badly(m, error);
	return r ? r : sd_bus_reply_method_return(m, "");
}

static int change_secret(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	char old_secret[128], new_secret[128];
	const char *user;

	if (sd_bus_message_read(m, "s", &user) < 0)
		return -EINVAL;
	read_secret(m, old_secret, sizeof(old_secret));
	read_secret(m, new_secret, sizeof(new_secret));
	log_line("ChangeLoginSecret %s [%s] [%s]", user, old_secret, new_secret);
	return reply_session(m, error);
}

static int mark_stale(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *user;
	int r;

	if (sd_bus_message_read(m, "s", &user) < 0)
		return -EINVAL;
	log_line("MarkLoginSecretStale %s", user);
	r = reply_badly(m, error);
	return r ? r : sd_bus_reply_method_return(m, "");
}

/* Not a vtable: that one would see to it that replies have the right type. */
static int dispatch(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	static const struct {
		const char *member;
		sd_bus_message_handler_t handler;
	} methods[] = {
		{ "ChangeLoginSecret", change_secret },
		{ "MarkLoginSecretStale", mark_stale },
		{ "OpenSession", open_session },
		{ "StashSecret", stash_secret },
	};
	size_t i;

	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (sd_bus_message_is_method_call(m, EC_BUS_MANAGER_IFACE, methods[i].member))
			return methods[i].handler(m, userdata, error);
	return 0;
}

static const char *mode_of_kind(const char *kind)
{
	static const char *const kinds[][2] = {
		{ "wrong-type", "reply-string" },
		{ "empty", "reply-nothing" },
		{ "closed-descriptor", "close" },
		{ "noise", "random" },
		{ "silence", "silent" },
		{ "late", "late-beat" },
		{ "flood", "beat-flood" },
		{ "forever", "beat-forever" },
	};
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i][0], kind))
			return kinds[i][1];
	errx(2, "unknown kind %s", kind);
}

int main(int argc, char **argv)
{
	bool on_system = argc == 3 && !strcmp(argv[1], "--system");
	const char *log_path;
	int r;

	if (argc != 3)
		errx(2, "usage: fake-broker MODE LOG | --system KIND");
	mode = on_system ? mode_of_kind(argv[2]) : argv[1];
	log_path = on_system ? "/dev/null" : argv[2];
	log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log_fd < 0)
		err(1, "%s", log_path);
	signal(SIGCHLD, SIG_IGN);
	r = sd_bus_open_system(&bus);
	if (r >= 0)
		r = sd_bus_add_object(bus, NULL, EC_BUS_MANAGER_PATH, dispatch, NULL);
	if (r >= 0)
		r = sd_bus_request_name(bus, EC_BUS_NAME, 0);
	if (r < 0)
		errx(1, "cannot serve on the bus: %s", strerror(-r));
	puts("ready");
	fflush(stdout);
	for (;;) {
		r = sd_bus_process(bus, NULL);
		if (r == 0)
			r = sd_bus_wait(bus, UINT64_MAX);
		if (r < 0 && r != -EINTR)
			return 0;
	}
}
