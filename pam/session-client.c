/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The broker as a login process sees it.
 *
 * sd_bus_call() bounds the wait for a reply, but not the wait for a bus that accepts the
 * connection and then says nothing. So the connection is driven here, step by step, against one
 * deadline that covers all of it.
 */
#include "pam/session-client.h"

#include "lib/bus-client.h"
#include "lib/error.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define MESSAGE_LEN_MAX 2048	/* bytes of one message on a session descriptor */
#define INFO_LEN	256	/* bytes of who logs in from where, NUL included */
#define UNINTELLIGIBLE	"the service answered something unintelligible"

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t ms_left(uint64_t deadline_ms)
{
	uint64_t now = now_ms();

	return deadline_ms > now ? deadline_ms - now : 0;
}

static void bus_closep(sd_bus **bus)
{
	/* No flush: that one would wait for a bus that takes nothing more. */
	sd_bus_close_unref(*bus);
	*bus = NULL;
}

#define _cleanup_bus_ _cleanup_(bus_closep)
#define _cleanup_bus_message_ _cleanup_(sd_bus_message_unrefp)

/*
 * What comes from the broker may end on a terminal and in the log, and what goes to the bus must
 * be UTF-8: printable ASCII is both.
 */
static void copy_printable(char *ret, size_t ret_len, const char *text)
{
	size_t i;

	for (i = 0; i + 1 < ret_len && text[i]; i++)
		ret[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	ret[i] = '\0';
}

static void result_fail(struct ecp_result *ret, int r, const char *text)
{
	*ret = (struct ecp_result){ .end = ECP_END_FAILED, .error = r };
	copy_printable(ret->text, sizeof(ret->text), text ? text : "");
}

/* One step of the connection, or a wait for one; -ETIMEDOUT when the deadline is over. */
static int drive_bus(sd_bus *bus, uint64_t deadline_ms)
{
	int r;

	if (!ms_left(deadline_ms))
		return -ETIMEDOUT;
	r = sd_bus_process(bus, NULL);
	if (r != 0)
		return r;
	r = sd_bus_wait(bus, ms_left(deadline_ms) * 1000);
	return r == -EINTR ? 0 : r;
}

static int bus_connect(uint64_t deadline_ms, sd_bus **ret_bus)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	int r;

	r = sd_bus_new(&bus);
	if (r < 0)
		return r;
	r = sd_bus_set_address(bus, ECP_BUS_ADDRESS);
	if (r < 0)
		return r;
	r = sd_bus_set_bus_client(bus, 1);
	if (r < 0)
		return r;
	r = sd_bus_negotiate_fds(bus, 1);
	if (r < 0)
		return r;
	r = sd_bus_start(bus);
	if (r < 0)
		return r;
	while (!(r = sd_bus_is_ready(bus))) {
		r = drive_bus(bus, deadline_ms);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;

	*ret_bus = ec_take_ptr(bus);
	return 0;
}

static int keep_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
	*(sd_bus_message **)userdata = sd_bus_message_ref(reply);
	return 1;
}

/* The errno of an error reply; the sentence, if it is the broker's own, goes to text. */
static int reply_errno(const sd_bus_error *error, char text[static ECP_TEXT_LEN])
{
	if (error->name && !strncmp(error->name, EC_ERROR_PREFIX, strlen(EC_ERROR_PREFIX)))
		copy_printable(text, ECP_TEXT_LEN, error->message ? error->message : "");
	/* Our own limit is kept without this error: here it means that the callee is gone. */
	if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY))
		return -ENOTCONN;
	return ec_bus_error_to_errno(error, -EIO);
}

/* Sends and waits until the deadline. text as in reply_errno(). */
static int bus_call(sd_bus *bus, sd_bus_message *call, uint64_t deadline_ms,
		    char text[static ECP_TEXT_LEN], sd_bus_message **ret_reply)
{
	_cleanup_bus_message_ sd_bus_message *reply = NULL;
	const sd_bus_error *error;
	sd_bus_slot *slot = NULL;
	int r;

	r = sd_bus_call_async(bus, &slot, call, keep_reply, &reply, ECP_TOTAL_MS * 1000ULL);
	if (r < 0)
		return r;
	while (!reply && r >= 0)
		r = drive_bus(bus, deadline_ms);
	sd_bus_slot_unref(slot);
	if (!reply)
		return r;

	error = sd_bus_message_get_error(reply);
	if (error)
		return reply_errno(error, text);
	*ret_reply = ec_take_ptr(reply);
	return 0;
}

/* Connection failures as the one thing they mean here: nobody there. */
static int nobody_there(int r)
{
	switch (r) {
	case -EACCES:		/* of the socket itself, not of a reply */
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -ENOENT:
	case -ENOTCONN:
	case -ENOTDIR:
	case -ENOTSOCK:
	case -EPIPE:
		return -ENOTCONN;
	case -EAGAIN:		/* full backlog: nobody accepts */
		return -ETIMEDOUT;
	default:
		return r;
	}
}

static int call_new(sd_bus *bus, const char *member, sd_bus_message **ret_call)
{
	return sd_bus_message_new_method_call(bus, ret_call, EC_BUS_NAME, EC_BUS_MANAGER_PATH,
					      EC_BUS_MANAGER_IFACE, member);
}

static int append_secret(sd_bus_message *call, const struct ec_secret *secret)
{
	_cleanup_close_ int fd = -1;
	int r;

	r = ec_secret_to_memfd(secret, &fd);
	if (r < 0)
		return r;
	return sd_bus_message_append(call, "h", fd);	/* duplicates it */
}

static int append_entry(sd_bus_message *call, const char *key, const char *value)
{
	char clean[INFO_LEN];

	if (!value || !value[0])
		return 0;
	copy_printable(clean, sizeof(clean), value);
	return sd_bus_message_append(call, "{sv}", key, "s", clean);
}

static int append_info(sd_bus_message *call, const struct ecp_info *info)
{
	int r;

	r = sd_bus_message_open_container(call, 'a', "{sv}");
	if (r >= 0)
		r = append_entry(call, "service", info->service);
	if (r >= 0)
		r = append_entry(call, "tty", info->tty);
	if (r >= 0)
		r = append_entry(call, "rhost", info->rhost);
	if (r < 0)
		return r;
	return sd_bus_message_close_container(call);
}

/*
 * A broker that runs answers at once or hangs, and a login does not wait for one that hangs. One
 * that is not running yet is started by the bus, and that is worth a wait: the home opens then.
 */
static int allow_for_start(sd_bus *bus, uint64_t start_ms, uint64_t *deadline_ms)
{
	_cleanup_bus_message_ sd_bus_message *call = NULL, *reply = NULL;
	char text[ECP_TEXT_LEN] = "";
	int r, has_owner = 1;

	r = sd_bus_message_new_method_call(bus, &call, "org.freedesktop.DBus",
					   "/org/freedesktop/DBus", "org.freedesktop.DBus",
					   "NameHasOwner");
	if (r >= 0)
		r = sd_bus_message_append(call, "s", EC_BUS_NAME);
	if (r >= 0)
		r = bus_call(bus, call, *deadline_ms, text, &reply);
	if (r >= 0)
		r = sd_bus_message_read(reply, "b", &has_owner);
	if (r >= 0 && !has_owner)
		*deadline_ms = start_ms + ECP_START_MS;
	return r;
}

/* A call with no reply but its success: user, and a secret if there is one. */
static int call_plain(const char *member, const char *user, const struct ec_secret *secret,
		      unsigned int call_ms)
{
	uint64_t deadline_ms = now_ms() + call_ms;
	_cleanup_bus_message_ sd_bus_message *call = NULL, *reply = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	char text[ECP_TEXT_LEN] = "";
	int r;

	r = bus_connect(deadline_ms, &bus);
	if (r < 0)
		return nobody_there(r);
	r = call_new(bus, member, &call);
	if (r < 0)
		return r;
	r = sd_bus_message_append(call, "s", user);
	if (r < 0)
		return r;
	if (secret) {
		r = append_secret(call, secret);
		if (r < 0)
			return r;
	}
	return bus_call(bus, call, deadline_ms, text, &reply);
}

int ecp_stash(const char *user, const struct ec_secret *secret)
{
	return call_plain("StashSecret", user, secret, ECP_STASH_MS);
}

int ecp_mark_stale(const char *user)
{
	return call_plain("MarkLoginSecretStale", user, NULL, ECP_CALL_MS);
}

/* The descriptor of a reply, our own copy; anything but a SOCK_SEQPACKET socket is -EPROTO. */
static int reply_socket(sd_bus_message *reply, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	socklen_t len = sizeof(int);
	int borrowed, type;

	if (!sd_bus_message_has_signature(reply, "h") ||
	    sd_bus_message_read(reply, "h", &borrowed) < 0)
		return -EPROTO;
	fd = fcntl(borrowed, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET)
		return -EPROTO;

	*ret_fd = ec_take_fd(&fd);
	return 0;
}

/* "E <ErrorName> <sentence>" */
static void parse_error(char *message, struct ecp_result *ret)
{
	char *name = message + 2, *sentence;

	sentence = strchr(name, ' ');
	if (sentence)
		*sentence++ = '\0';
	result_fail(ret, ec_error_from_bus_name(name), sentence);
	ret->reported = true;
}

/* True if the message ends the wait; ret is set then. */
static bool parse_message(char *message, size_t len, struct ecp_result *ret)
{
	bool is_text = strlen(message) == len;

	if (is_text && !strcmp(message, "W"))
		return false;
	if (is_text && !strcmp(message, "M"))
		*ret = (struct ecp_result){ .end = ECP_END_MOUNTED };
	else if (is_text && !strcmp(message, "N"))
		*ret = (struct ecp_result){ .end = ECP_END_NOTHING };
	else if (is_text && !strncmp(message, "E ", 2) && len > 2)
		parse_error(message, ret);
	else
		result_fail(ret, -EPROTO, UNINTELLIGIBLE);
	return true;
}

/* Length of the message in buf, NUL-terminated there; 0 if there is none yet. */
static ssize_t receive(int fd, char *buf, size_t buf_len)
{
	ssize_t n;

	n = recv(fd, buf, buf_len - 1, MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -ECONNRESET;
	if (n == 0)
		return -ECONNRESET;	/* end of stream; nobody sends empty messages */
	if ((size_t)n >= buf_len)
		return -EPROTO;
	buf[n] = '\0';
	return n;
}

/* The later of two moments, the earlier of two. */
static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * When a broker that works has had its time. login(1) of util-linux opens the session under the
 * alarm of LOGIN_TIMEOUT, which ends it: a person who was slow to type must not be thrown out
 * because the home is slow to open.
 */
static uint64_t end_of_patience(uint64_t start_ms)
{
	uint64_t over_at = start_ms + ECP_TOTAL_MS, alarm_at;
	struct itimerval timer;

	if (getitimer(ITIMER_REAL, &timer) < 0 ||
	    (!timer.it_value.tv_sec && !timer.it_value.tv_usec))
		return over_at;
	alarm_at = now_ms() + (uint64_t)timer.it_value.tv_sec * 1000 +
		   (uint64_t)timer.it_value.tv_usec / 1000;
	return earlier(over_at, later(start_ms + ECP_STEADY_MS, alarm_at > ECP_ALARM_MS ?
				      alarm_at - ECP_ALARM_MS : 0));
}

/*
 * When silence means that nobody works there. A heart that has beaten twice is one that beats; until
 * then all waits together end at ECP_STEADY_MS, so that no nonsense costs a login more.
 */
static uint64_t end_of_silence(uint64_t start_ms, unsigned int n_beats)
{
	uint64_t steady_at = start_ms + ECP_STEADY_MS, lag_at = now_ms() + ECP_LAG_MS;

	if (n_beats == 0)
		return later(start_ms + ECP_FIRST_MS, earlier(lag_at, steady_at));
	if (n_beats == 1)
		return later(steady_at, lag_at);
	return now_ms() + ECP_SILENCE_MS;
}

/* More heartbeats than the time that has passed allows. */
static bool is_flood(uint64_t start_ms, unsigned int n_beats)
{
	return n_beats > ECP_BEATS_EARLY + (now_ms() - start_ms) / 500;
}

/* Until the broker has said how it ended, or one of the deadlines is over. */
static void wait_for_end(int fd, uint64_t start_ms, ecp_progress_fn progress, void *userdata,
			 struct ecp_result *ret)
{
	uint64_t silent_at = end_of_silence(start_ms, 0), over_at = end_of_patience(start_ms), left;
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	char message[MESSAGE_LEN_MAX];
	unsigned int n_beats = 0;
	ssize_t n;

	for (;;) {
		left = ms_left(earlier(silent_at, over_at));
		if (!left)
			return result_fail(ret, -ETIMEDOUT, n_beats ? "it took too long" :
					   "the service does not answer");
		if (poll(&pollfd, 1, (int)left) < 0 && errno != EINTR)
			return result_fail(ret, -errno, NULL);
		n = receive(fd, message, sizeof(message));
		if (n == -ECONNRESET)
			return result_fail(ret, -ENOTCONN, "the service ended in the middle of it");
		if (n < 0)
			return result_fail(ret, -EPROTO, UNINTELLIGIBLE);
		if (n == 0)
			continue;
		if (parse_message(message, (size_t)n, ret))
			return;
		if (is_flood(start_ms, ++n_beats))
			return result_fail(ret, -EPROTO, UNINTELLIGIBLE);
		silent_at = end_of_silence(start_ms, n_beats);
		if (progress)
			progress(n_beats, userdata);
	}
}

/* A call that is answered with a descriptor. */
struct request {
	const char *member;
	const char *user;
	const struct ecp_info *info;	/* of OpenSession: then the secrets are an array */
	const struct ec_secret *secrets[2];
	size_t n_secrets;
};

static int append_secrets(sd_bus_message *call, const struct request *request)
{
	size_t i;
	int r = 0;

	for (i = 0; i < request->n_secrets && r >= 0; i++)
		r = append_secret(call, request->secrets[i]);
	return r;
}

static int append_session(sd_bus_message *call, const struct request *request)
{
	int r;

	r = append_info(call, request->info);
	if (r >= 0)
		r = sd_bus_message_open_container(call, 'a', "h");
	if (r >= 0)
		r = append_secrets(call, request);
	if (r < 0)
		return r;
	return sd_bus_message_close_container(call);
}

/* From connection to descriptor. text as in reply_errno(). */
static int begin(const struct request *request, uint64_t start_ms, char text[static ECP_TEXT_LEN],
		 int *ret_fd)
{
	_cleanup_bus_message_ sd_bus_message *call = NULL, *reply = NULL;
	uint64_t deadline_ms = start_ms + ECP_CALL_MS;
	_cleanup_bus_ sd_bus *bus = NULL;
	int r;

	r = bus_connect(deadline_ms, &bus);
	if (r < 0)
		return nobody_there(r);
	r = allow_for_start(bus, start_ms, &deadline_ms);
	if (r < 0)
		return r;
	r = call_new(bus, request->member, &call);
	if (r >= 0)
		r = sd_bus_message_append(call, "s", request->user);
	if (r >= 0)
		r = request->info ? append_session(call, request) : append_secrets(call, request);
	if (r >= 0)
		r = bus_call(bus, call, deadline_ms, text, &reply);
	if (r < 0)
		return r;
	return reply_socket(reply, ret_fd);
}

static const char *call_text(int r, const char *text)
{
	if (text[0])
		return text;
	return r == -ETIMEDOUT ? "the service does not answer" : NULL;
}

/* All of it, to the end that the broker tells; *ret_fd is the descriptor, or -1. */
static void run(const struct request *request, ecp_progress_fn progress, void *userdata,
		struct ecp_result *ret, int *ret_fd)
{
	uint64_t start_ms = now_ms();
	char text[ECP_TEXT_LEN] = "";
	int r;

	*ret_fd = -1;
	r = begin(request, start_ms, text, ret_fd);
	if (r < 0)
		result_fail(ret, r, call_text(r, text));
	else
		wait_for_end(*ret_fd, start_ms, progress, userdata, ret);
}

/**
 * ecp_open_session() - a session of user begins
 * @user:	login name
 * @info:	for the broker's log; cleaned to printable ASCII here
 * @secrets:	0 to 2, tried in turn; they stay the caller's
 * @ret:	how it ended
 * @ret_fd:	the session, to be kept open while it lasts: also after an error that the broker
 *		reported, because the home may be unlocked by hand later. -1 where the broker did
 *		not keep to the protocol or went silent.
 *
 * A broker that runs and hangs costs ECP_CALL_MS, or ECP_FIRST_MS if it gave a descriptor, and never
 * more than ECP_STEADY_MS, unless its heart beats: then it may take ECP_TOTAL_MS, while no beat is
 * later than ECP_SILENCE_MS.
 */
void ecp_open_session(const char *user, const struct ecp_info *info,
		      const struct ec_secret *secrets, size_t n_secrets,
		      struct ecp_result *ret, int *ret_fd)
{
	const struct request request = {
		.member = "OpenSession",
		.user = user,
		.info = info,
		.secrets = { secrets, secrets + 1 },
		.n_secrets = n_secrets,
	};
	_cleanup_close_ int fd = -1;

	*ret_fd = -1;
	run(&request, NULL, NULL, ret, &fd);
	if (ret->end != ECP_END_FAILED || ret->reported)
		*ret_fd = ec_take_fd(&fd);
}

/**
 * ecp_change_secret() - the login password of user changed
 * @old_secret, @new_secret:	stay the caller's
 * @progress:	called for each heartbeat, or NULL
 * @ret:	ECP_END_MOUNTED means done
 *
 * Bounded as ecp_open_session(). A timeout leaves open whether the change was made: the broker
 * finishes what it began, and one of the two secrets is valid at every moment.
 */
void ecp_change_secret(const char *user, const struct ec_secret *old_secret,
		       const struct ec_secret *new_secret, ecp_progress_fn progress,
		       void *userdata, struct ecp_result *ret)
{
	const struct request request = {
		.member = "ChangeLoginSecret",
		.user = user,
		.secrets = { old_secret, new_secret },
		.n_secrets = 2,
	};
	_cleanup_close_ int fd = -1;

	run(&request, progress, userdata, ret, &fd);
}
