/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/log-ids.h"
#include "lib/log.h"

#include "tests/unit/lib/support.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

/*
 * A mount namespace of its own with an empty /run, so that what is there does not depend on the
 * machine. Only root may have that.
 */
static bool have_own_run;

static void take_own_run(void)
{
	have_own_run = unshare(CLONE_NEWNS) == 0 &&
		       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		       mount("tmpfs", "/run", "tmpfs", 0, NULL) == 0;
}

static void test_stderr(void **state)
{
	char text[256] = "";
	int pair[2], saved;

	if (!have_own_run) {
		print_message("skipped: needs root for a mount namespace\n");
		skip();
	}
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	saved = dup(STDERR_FILENO);
	dup2(pair[1], STDERR_FILENO);
	errno = EXDEV;
	ec_log(LOG_ERR, EC_LOG_FIELDS(.vault = "home-1000"), "%d of %s", 7, "these");
	assert_int_equal(errno, EXDEV);
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_true(read(pair[0], text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "test-log: 7 of these\n");
	close(pair[0]);
	close(pair[1]);
}

static int listen_as_journal(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(mkdir("/run/systemd", 0755), 0);
	assert_int_equal(mkdir("/run/systemd/journal", 0755), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void test_journal(void **state)
{
	char text[4096] = "";
	ssize_t n;
	int fd;

	if (!have_own_run) {
		print_message("skipped: needs root for a mount namespace\n");
		skip();
	}
	fd = listen_as_journal();
	ec_log(LOG_WARNING, EC_LOG_FIELDS(.message_id = EC_LOG_ID_WRONG_SECRET,
					  .vault = "home-1000", .key_sig = "0011223344556677",
					  .operation = "open", .source = "passphrase",
					  .peer_uid = 1000, .error = -EKEYREJECTED),
	       "No slot opens.");
	n = recv(fd, text, sizeof(text) - 1, 0);
	assert_true(n > 0);
	assert_non_null(strstr(text, "MESSAGE=No slot opens.\n"));
	assert_non_null(strstr(text, "PRIORITY=4\n"));
	assert_non_null(strstr(text, "MESSAGE_ID=" EC_LOG_ID_WRONG_SECRET "\n"));
	assert_non_null(strstr(text, "ECRYPTFSD_VAULT=home-1000\n"));
	assert_non_null(strstr(text, "ECRYPTFSD_KEY_SIG=0011223344556677\n"));
	assert_non_null(strstr(text, "ECRYPTFSD_OPERATION=open\n"));
	assert_non_null(strstr(text, "ECRYPTFSD_SOURCE=passphrase\n"));
	assert_non_null(strstr(text, "ECRYPTFSD_PEER_UID=1000\n"));
	assert_non_null(strstr(text, "ERRNO=129\n"));
	assert_non_null(strstr(text, "SYSLOG_IDENTIFIER=test-log\n"));

	memset(text, 0, sizeof(text));
	ec_log_info("plain");
	assert_true(recv(fd, text, sizeof(text) - 1, 0) > 0);
	assert_non_null(strstr(text, "MESSAGE=plain\n"));
	assert_non_null(strstr(text, "PRIORITY=6\n"));
	assert_null(strstr(text, "ECRYPTFSD_"));
	assert_null(strstr(text, "ERRNO"));
	assert_null(strstr(text, "MESSAGE_ID"));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stderr),
		cmocka_unit_test(test_journal),
	};

	take_own_run();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
