/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whatever the broker does: every hook returns what the table says, the login goes on in bounded
 * time, one line is said, and nothing is left behind. Users without a vault notice none of it.
 *
 * usage: test-broken-broker FAKE_BROKER TOTAL_MS [PATTERN]
 */
#include "world.h"

#include "lib/cleanup.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

/*
 * Every failure x every hook.
 */
struct row {
	const char *mode;
	const char *line;	/* the one line that is said, in part; NULL: silence */
	double max_s;		/* in all hooks of the login together; 0: until patience ends */
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
	{ "late-silent", "does not answer", 4.4, 2.9 },
	{ "late-beat", "too long", 4.5, 2.9 },
	/* goes on for ever */
	{ "beat-forever", "too long", 0, 0 },
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
	{ "beat-flood", GARBAGE, 1.0, 0 },
	{ "beat-fast", GARBAGE, 2.0, 0 },
	{ "half-error", GARBAGE, 1.0, 0 },
	{ "unknown-word", GARBAGE, 1.0, 0 },
	{ "nul", GARBAGE, 1.0, 0 },
	{ "random", GARBAGE, 1.0, 0 },
	{ "long", GARBAGE, 1.0, 0 },
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

/* However busy the machine: only a broker that works, or says so in good order, gets more. */
#define LIMIT_S 5.0

static unsigned int total_ms;	/* ECP_TOTAL_MS of the module that is tested */

static double limit_s(const struct row *row)
{
	if (!row->max_s)
		return total_ms / 1000.0 + 1 + BUSY_S;
	return row->line && row->max_s + BUSY_S > LIMIT_S ? LIMIT_S : row->max_s + BUSY_S;
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
	double plain_auth_s, plain_open_s, delay, max_s, other_s;
	struct surroundings before;
	const struct row *row;
	size_t i;

	measure_plain(&plain_auth_s, &plain_open_s);
	printf("# %-16s %8s %8s %8s %8s   %s\n", "broker", "auth s", "open s", "limit s", "others s",
	       "returns");
	for (i = 0; i < N_ROWS; i++) {
		struct login login = { .talk.answers = { "alice" } };

		row = &rows[i];
		begin_broker(row->mode);
		other_s = left_alone("login", "bob");
		look_around(&before);
		login_start(&login, "login", "alice", "/dev/tty1");
		login_begin(&login, 0);
		delay = login.auth_s - plain_auth_s + login.open_s - plain_open_s;
		max_s = limit_s(row);
		printf("# %-16s %8.3f %8.3f %8.1f %8.4f   %d %d %d\n",
		       row->mode ? row->mode : "absent", login.auth_s - plain_auth_s,
		       login.open_s - plain_open_s, max_s, other_s, login.auth, login.setcred,
		       login.open);
		assert_went_on(&login);
		assert_said(&login.talk, row, "encrypted home of alice stays closed");
		/* At least: with all of it, because the plain login may have been the slower one. */
		if (delay > max_s || login.auth_s + login.open_s < row->min_s)
			fail_msg("%s: %.3f s, want %.1f to %.1f", row->mode, delay, row->min_s,
				 max_s);
		login_end(&login);
		assert_unchanged(&before);
		end_broker(row->mode);
	}
	print_message("# %zu brokers, every login went on, that of others within %.1f s\n", N_ROWS,
		      EXTRA_S);
}

/* total_ms is that of the shipped module where this test runs on its own. */
static void test_gives_up_in_the_end(void **state)
{
	struct login login = { .talk.answers = { "alice" } };

	begin_broker("beat-forever");
	login_start(&login, "login", "alice", "/dev/tty1");
	login_begin(&login, 0);
	assert_went_on(&login);
	printf("# a broker that works for ever: %.1f s\n", login.open_s);
	assert_true(login.open_s > total_ms / 1000.0 - 0.5 && login.open_s < total_ms / 1000.0 + 2 + BUSY_S);
	assert_int_equal(login.talk.n_lines, 1);
	login_end(&login);
	end_broker("beat-forever");
}

/* login(1) of util-linux, which has an alarm set until the session is open: it must not go off. */
static void test_login_leaves_an_alarm_its_time(void **state)
{
	struct login login = { .talk.answers = { "alice" } };
	unsigned int left_s;

	begin_broker("beat-forever");
	login_start(&login, "login", "alice", "/dev/tty1");
	alarm(15);
	login_begin(&login, 0);
	left_s = alarm(0);
	assert_went_on(&login);
	printf("# 15 s of alarm: %.1f s in the module, %u s left\n", login.open_s, left_s);
	assert_true(login.open_s > 4.8 && login.open_s < 5.0 + BUSY_S);
	assert_true(left_s >= 10 - 2);
	assert_int_equal(login.talk.n_lines, 1);
	login_end(&login);
	end_broker("beat-forever");
}

static void test_password_change_whatever_the_broker_does(void **state)
{
	const char *passwords[2] = { "alice", "Correct-Horse-7" };
	struct surroundings before;
	struct talk talk;
	unsigned int n_changes = 0;
	double t0, took;
	size_t i;

	printf("# %-16s %8s %8s\n", "broker", "passwd s", "returns");
	for (i = 0; i < N_ROWS; i++) {
		const char *old_password = passwords[n_changes % 2];
		const char *new_password = passwords[1 - n_changes % 2];
		const struct row *row = &rows[i];
		double max_s = limit_s(row);
		const char *const answers[4] = { old_password, new_password, new_password };
		int r;

		begin_broker(row->mode);
		look_around(&before);
		t0 = now();
		r = change_password(&talk, "passwd", "alice", 1500, answers);
		took = now() - t0;
		printf("# %-16s %8.3f %8d\n", row->mode ? row->mode : "absent", took, r);
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
	restart_bus();
	login_start(login, "login", "alice", "/dev/tty1");
	login_begin(login, 0);
	printf("# %s: %.3f s in auth, %.3f s in session\n", command, login->auth_s, login->open_s);
	login_end(login);
	unlink(service);
	rmdir("/run/services");
	restart_bus();		/* and what it started goes with it */
	assert_went_on(login);
}

/* That takes longer than a hung one would be given, and the home opens. */
static void test_login_waits_for_a_slow_start(void **state)
{
	struct login login = { .talk.answers = { "alice" } };
	char command[PATH_MAX + 64];

	snprintf(command, sizeof(command), "sleep 3.5; exec %s mounted " LOG, broker_path);
	login_with_activation(&login, command);
	assert_int_equal(login.talk.n_lines, 0);
	assert_true(login.auth_s + login.open_s > 3.4);
	assert_logged("OpenSession alice");
}

static void test_login_goes_on_after_a_failed_start(void **state)
{
	struct login login = { .talk.answers = { "alice" } };

	login_with_activation(&login, "sleep 8");
	assert_int_equal(login.talk.n_lines, 1);
	assert_true(login.auth_s + login.open_s < 5.0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_login_whatever_the_broker_does, world_clean),
		cmocka_unit_test_teardown(test_gives_up_in_the_end, world_clean),
		cmocka_unit_test_teardown(test_login_leaves_an_alarm_its_time, world_clean),
		cmocka_unit_test_teardown(test_password_change_whatever_the_broker_does, world_clean),
		cmocka_unit_test_teardown(test_login_waits_for_a_slow_start, world_clean),
		cmocka_unit_test_teardown(test_login_goes_on_after_a_failed_start, world_clean),
	};

	if (argc < 3)
		return 2;
	total_ms = (unsigned int)strtoul(argv[2], NULL, 10);
	world_arguments(argv[1], argv[3]);
	return cmocka_run_group_tests(tests, world_begin, world_end);
}
