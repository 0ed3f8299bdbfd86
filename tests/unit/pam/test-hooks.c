/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each hook of pam_ecryptfs does: whom it speaks for, with which secrets, how long the session
 * lasts, what is said, and that nothing is left behind.
 *
 * usage: test-hooks FAKE_BROKER [PATTERN]
 */
#include "world.h"

#include "lib/cleanup.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

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

static void test_users_without_a_vault_are_left_alone(void **state)
{
	begin_broker("mounted");
	printf("# bob %+.4f s, root %+.4f s, system %+.4f s\n", left_alone("login", "bob"),
	       left_alone("login", "root"), left_alone("login", "system"));
	end_broker("mounted");
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

/* A service that ends in the middle of it has not changed anything, as far as anybody knows. */
static void test_failed_change_is_marked_stale(void **state)
{
	const char *const answers[4] = { "alice", "Correct-Horse-7", "Correct-Horse-7" };
	static const char *const modes[] = { "bare-error", "close", "beat-close" };
	struct talk talk;
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		begin_broker(modes[i]);
		assert_int_equal(change_password(&talk, "passwd", "alice", 1500, answers),
				 PAM_SUCCESS);
		assert_logged("ChangeLoginSecret alice [alice] [Correct-Horse-7]\n");
		assert_logged("MarkLoginSecretStale alice\n");
		end_broker(modes[i]);
		world_clean(state);
	}
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
	printf("# 100 logins: %+ld KiB\n", (long)resident_kib() - (long)kib);
#ifndef __SANITIZE_ADDRESS__	/* its quarantine grows on purpose */
	assert_true(resident_kib() < kib + 256);
#endif
	end_broker("mounted");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_secret_reaches_the_broker, world_clean),
		cmocka_unit_test_teardown(test_session_lasts_until_it_is_closed, world_clean),
		cmocka_unit_test_teardown(test_session_ends_with_the_handle, world_clean),
		cmocka_unit_test_teardown(test_session_is_not_inherited, world_clean),
		cmocka_unit_test_teardown(test_session_is_kept_after_a_wrong_secret, world_clean),
		cmocka_unit_test_teardown(test_secret_does_not_cross_a_fork, world_clean),
		cmocka_unit_test_teardown(test_users_without_a_vault_are_left_alone, world_clean),
		cmocka_unit_test_teardown(test_user_manager_is_skipped, world_clean),
		cmocka_unit_test_teardown(test_private_directory_counts, world_clean),
		cmocka_unit_test_teardown(test_wrong_password_never_reaches_us, world_clean),
		cmocka_unit_test_teardown(test_no_stash_where_it_is_mounted, world_clean),
		cmocka_unit_test_teardown(test_secret_stays_with_its_user, world_clean),
		cmocka_unit_test_teardown(test_silence_where_nobody_reads, world_clean),
		cmocka_unit_test_teardown(test_stale_secret_is_mended, world_clean),
		cmocka_unit_test_teardown(test_stale_secret_that_stays_stale, world_clean),
		cmocka_unit_test_teardown(test_reset_by_root_marks_stale, world_clean),
		cmocka_unit_test_teardown(test_failed_change_is_marked_stale, world_clean),
		cmocka_unit_test_teardown(test_vault_does_not_follow_a_password_that_was_not_set, world_clean),
		cmocka_unit_test_teardown(test_password_of_others_is_not_our_business, world_clean),
		cmocka_unit_test_teardown(test_session_after_a_change_has_both_secrets, world_clean),
		cmocka_unit_test_teardown(test_many_logins_leave_nothing, world_clean),
	};

	if (argc < 2)
		return 2;
	world_arguments(argv[1], argv[2]);
	return cmocka_run_group_tests(tests, world_begin, world_end);
}
