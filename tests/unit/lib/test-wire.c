/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/wire.h"

#include "lib/secret.h"
#include "tests/unit/lib/support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static int pair[2];

static int open_pair(void **state)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int close_pair(void **state)
{
	ec_closep(&pair[0]);
	ec_closep(&pair[1]);
	return 0;
}

/* Descriptors that this process has open: what leaks shows here. */
static size_t count_fds(void)
{
	size_t n = 0;
	int fd;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Sends bytes with n_fds copies of a descriptor, past all checks of ec_wire_send(). */
static void send_raw(const void *bytes, size_t len, size_t n_fds)
{
	union {
		struct cmsghdr align;
		uint8_t buf[CMSG_SPACE(sizeof(int) * 253)];
	} control = { .buf = { 0 } };
	struct iovec iov = { .iov_base = (void *)bytes, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t i;

	if (n_fds) {
		struct cmsghdr *cmsg;

		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		for (i = 0; i < n_fds; i++)
			memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &pair[0], sizeof(int));
	}
	assert_int_equal(sendmsg(pair[0], &msg, MSG_NOSIGNAL), len);
}

static void test_round_trip(void **state)
{
	_cleanup_message_ struct ec_wire_message message = EC_WIRE_MESSAGE_NULL;
	_cleanup_secret_ struct ec_secret secret = secret_of_text("hidden"), back = EC_SECRET_NULL;
	json_t *body = json_pack("{s:s, s:[i, n, b]}", "op", "open", "list", 7, 1);
	size_t before = count_fds(), i;
	struct stat here, there;
	int fds[EC_WIRE_FDS_MAX], taken = -1;

	for (i = 0; i < EC_WIRE_FDS_MAX; i++)
		assert_int_equal(ec_secret_to_memfd(&secret, &fds[i]), 0);
	assert_int_equal(ec_wire_send(pair[0], body, fds, EC_WIRE_FDS_MAX), 0);
	assert_int_equal(ec_wire_recv(pair[1], &message), 0);
	assert_true(json_equal(body, message.body));
	assert_int_equal(message.n_fds, EC_WIRE_FDS_MAX);
	for (i = 0; i < EC_WIRE_FDS_MAX; i++) {
		assert_int_equal(fstat(fds[i], &here), 0);
		assert_int_equal(fstat(message.fds[i], &there), 0);
		assert_int_equal(here.st_ino, there.st_ino);
		assert_true(fcntl(message.fds[i], F_GETFD) & FD_CLOEXEC);
		close(fds[i]);
	}
	assert_int_equal(ec_wire_take_fd(&message, 2, &taken), 0);
	assert_int_equal(ec_wire_take_fd(&message, 2, &taken), -EPROTO);
	assert_int_equal(ec_wire_take_fd(&message, EC_WIRE_FDS_MAX, &taken), -EPROTO);
	assert_int_equal(ec_secret_from_memfd(&back, taken), 0);
	assert_true(ec_secret_equal(&secret, &back));
	close(taken);

	ec_wire_message_done(&message);
	ec_wire_message_done(&message);
	ec_wire_message_done(NULL);
	json_decref(body);
	assert_int_equal(count_fds(), before);
}

static void test_refused_to_send(void **state)
{
	json_t *array = json_array(), *object = json_object();
	char *long_text = malloc(EC_WIRE_LEN_MAX + 1);
	int fds[EC_WIRE_FDS_MAX + 1] = { 0 };

	assert_int_equal(ec_wire_send(pair[0], array, NULL, 0), -EINVAL);
	assert_int_equal(ec_wire_send(pair[0], NULL, NULL, 0), -EINVAL);
	assert_int_equal(ec_wire_send(pair[0], object, fds, EC_WIRE_FDS_MAX + 1), -EINVAL);
	memset(long_text, 'x', EC_WIRE_LEN_MAX);
	long_text[EC_WIRE_LEN_MAX] = '\0';
	json_object_set_new(object, "x", json_string(long_text));
	assert_int_equal(ec_wire_send(pair[0], object, NULL, 0), -EMSGSIZE);
	free(long_text);
	json_decref(array);
	json_decref(object);
}

static void test_longest(void **state)
{
	_cleanup_message_ struct ec_wire_message message = EC_WIRE_MESSAGE_NULL;
	const size_t text_len = EC_WIRE_LEN_MAX - strlen("{\"x\":\"\"}");
	char *text = malloc(text_len + 1);
	json_t *object;

	memset(text, 'x', text_len);
	text[text_len] = '\0';
	object = json_pack("{s:s}", "x", text);
	assert_int_equal(ec_wire_send(pair[0], object, NULL, 0), 0);
	assert_int_equal(ec_wire_recv(pair[1], &message), 0);
	assert_int_equal(json_string_length(json_object_get(message.body, "x")), text_len);
	free(text);
	json_decref(object);
}

static void test_garbage(void **state)
{
	static const char *const bad[] = {
		"{", "}", "[]", "null", "7", "\"text\"", "{}x", "{} {}", "{}\n[]", "{\"a\":1,}",
		"{\"a\":1,\"a\":1}", "{\"a\":{\"b\":1,\"b\":2}}", "{\"a\":\"\\u0000\"}",
		"{\"a\":\"\xff\"}", "{'a':1}", "{\"a\":NaN}", "{\"a\":1e999}", "\x7f" "ELF", " ",
		"{\"a\":99999999999999999999}",
	};
	size_t before = count_fds(), i, len;
	char flood[EC_WIRE_LEN_MAX + 1];

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ec_wire_message message = EC_WIRE_MESSAGE_NULL;

		send_raw(bad[i], strlen(bad[i]), 2);
		if (ec_wire_recv(pair[1], &message) != -EPROTO)
			fail_msg("accepted: %s", bad[i]);
		assert_null(message.body);
		assert_int_equal(count_fds(), before);
	}
	/* nested 20,000 deep: refused, and no stack overflow */
	memset(flood, '[', sizeof(flood));
	memcpy(flood, "{\"a\":", 5);
	for (len = 100; len <= 100000; len *= 10) {
		struct ec_wire_message message = EC_WIRE_MESSAGE_NULL;

		send_raw(flood, len, 0);
		assert_int_equal(ec_wire_recv(pair[1], &message), -EPROTO);
	}
	/* one byte too many, although what fits is an object */
	memset(flood, ' ', sizeof(flood));
	memcpy(flood, "{}", 2);
	{
		struct ec_wire_message message = EC_WIRE_MESSAGE_NULL;

		send_raw(flood, EC_WIRE_LEN_MAX + 1, 1);
		assert_int_equal(ec_wire_recv(pair[1], &message), -EPROTO);
		assert_int_equal(count_fds(), before);
		send_raw(flood, EC_WIRE_LEN_MAX, 0);
		assert_int_equal(ec_wire_recv(pair[1], &message), 0);
		ec_wire_message_done(&message);
	}
	print_message("# %zu malformed messages\n", i + 5);
}

/* Every message of up to four descriptors arrives; more are closed, whatever their number. */
static void test_too_many_fds(void **state)
{
	static const size_t counts[] = { 0, 1, 4, 5, 6, 12, 13, 64, 253 };
	size_t before = count_fds(), i;

	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct ec_wire_message message = EC_WIRE_MESSAGE_NULL;
		bool ok = counts[i] <= EC_WIRE_FDS_MAX;

		send_raw("{}", 2, counts[i]);
		assert_int_equal(ec_wire_recv(pair[1], &message), ok ? 0 : -EPROTO);
		assert_int_equal(message.n_fds, ok ? counts[i] : 0);
		ec_wire_message_done(&message);
		assert_int_equal(count_fds(), before);
	}
}

/* With SO_PASSCRED the room of the credentials must not let more descriptors in. */
static void test_credentials_beside(void **state)
{
	struct ec_wire_message message = EC_WIRE_MESSAGE_NULL;
	size_t before = count_fds();
	const int on = 1;

	assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
	send_raw("{}", 2, 4);
	assert_int_equal(ec_wire_recv(pair[1], &message), 0);
	assert_int_equal(message.n_fds, 4);
	ec_wire_message_done(&message);
	send_raw("{}", 2, 5);
	assert_int_equal(ec_wire_recv(pair[1], &message), -EPROTO);
	assert_int_equal(count_fds(), before);
}

static void test_end(void **state)
{
	struct ec_wire_message message = EC_WIRE_MESSAGE_NULL;
	json_t *body = json_object();

	assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(ec_wire_recv(pair[1], &message), -EAGAIN);
	ec_closep(&pair[0]);
	assert_int_equal(ec_wire_recv(pair[1], &message), -ECONNRESET);
	assert_int_equal(ec_wire_send(pair[1], body, NULL, 0), -EPIPE);	/* and no SIGPIPE */
	assert_int_equal(ec_wire_recv(-1, &message), -EBADF);
	json_decref(body);
}

static void test_full(void **state)
{
	json_t *body = json_object();
	int r, n = 0;

	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	while ((r = ec_wire_send(pair[0], body, NULL, 0)) == 0)
		assert_true(++n < 100000);
	assert_int_equal(r, -EAGAIN);
	json_decref(body);
}

static void check_error(int r, const char *text, const char *want_text)
{
	_cleanup_message_ struct ec_wire_message message = EC_WIRE_MESSAGE_NULL;

	assert_int_equal(ec_wire_send_error(pair[0], r, text), 0);
	assert_int_equal(ec_wire_recv(pair[1], &message), 0);
	assert_int_equal(ec_wire_reply_error(message.body), r);
	assert_string_equal(json_string_value(json_object_get(message.body, "text")), want_text);
}

static void test_errors(void **state)
{
	json_t *body = json_pack("{s:i}", "error", 7);

	check_error(-EKEYREJECTED, "group 3 is mistyped", "group 3 is mistyped");
	check_error(-EKEYREJECTED, NULL, "the secret is wrong");
	check_error(-EBADMSG, "\xff not UTF-8", "its description is damaged or was altered");
	check_error(-EIO, NULL, "it failed");
	assert_int_equal(ec_wire_reply_error(body), -EPROTO);
	json_object_set_new(body, "error", json_string("Nonsense"));
	assert_int_equal(ec_wire_reply_error(body), -EIO);
	json_object_clear(body);
	assert_int_equal(ec_wire_reply_error(body), 0);
	json_decref(body);
}

static void test_connect(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/ec-test-wire-XXXXXX", longer[200];
	int listener, connected[16], n, r = 0;

	assert_non_null(mkdtemp(dir));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", dir);
	assert_int_equal(ec_wire_connect(addr.sun_path, 100, &connected[0]), -ENOTCONN);

	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(ec_wire_connect(addr.sun_path, 100, &connected[0]), -ENOTCONN);
	assert_int_equal(listen(listener, 1), 0);
	/* nobody accepts: the backlog fills, then the deadline counts */
	for (n = 0; n < 16 && r == 0; n++)
		r = ec_wire_connect(addr.sun_path, 100, &connected[n]);
	assert_int_equal(r, -ETIMEDOUT);
	assert_true(n > 1);
	assert_false(fcntl(connected[0], F_GETFL) & O_NONBLOCK);
	while (--n > 0)
		close(connected[n - 1]);
	close(listener);
	assert_int_equal(unlink(addr.sun_path), 0);
	assert_int_equal(rmdir(dir), 0);

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(ec_wire_connect(longer, 100, &connected[0]), -ENAMETOOLONG);
}

#define PAIR_TEST(fn) cmocka_unit_test_setup_teardown(fn, open_pair, close_pair)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(test_round_trip),
		PAIR_TEST(test_refused_to_send),
		PAIR_TEST(test_longest),
		PAIR_TEST(test_garbage),
		PAIR_TEST(test_too_many_fds),
		PAIR_TEST(test_credentials_beside),
		PAIR_TEST(test_end),
		PAIR_TEST(test_full),
		PAIR_TEST(test_errors),
		cmocka_unit_test(test_connect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
