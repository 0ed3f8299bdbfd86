/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The world of the PAM tests: pam_ecryptfs under the real libpam and pam_unix, on a real bus, with
 * brokers that fail in every way, and a person who answers. Runs inside ./in-namespace.
 */
#ifndef TESTS_PAM_WORLD_H
#define TESTS_PAM_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <security/pam_appl.h>
#include <signal.h>
#include <stdbool.h>

#define LOG "/run/broker.log"
#define STALE_ALICE "/var/lib/ecryptfsd/stale/1500"
#define MOUNTED_ALICE "/run/ecryptfsd/mounts/home-1500.json"

#define BUSY_S	1.5	/* what a busy machine may add; too little to take a wait of 3 s for none */
#define EXTRA_S	0.3	/* what users without a vault may pay */

/*
 * Conversation: answers from a list, and a record of what was said.
 */
struct talk {
	const char *answers[4];		/* NULL: PAM_CONV_ERR */
	unsigned int n_asked;
	unsigned int n_lines;
	char text[4096];
};

/* What a module must leave as it was. */
struct surroundings {
	unsigned int n_fds, n_threads;
	sigset_t mask;
	void (*handlers[32])(int);
	int fsuid, fsgid;
};

struct login {
	pam_handle_t *pamh;
	struct talk talk;
	struct pam_conv conv;
	double auth_s, open_s;		/* seconds in each hook */
	int auth, setcred, open;
};

extern const char *broker_path;	/* of fake-broker */

void restart_bus(void);
/* mode: NULL: none, "no-bus": not even a bus, "stopped", "stopped-bus", else one of fake-broker */
void begin_broker(const char *mode);
void end_broker(const char *mode);
/* What the broker logged: valid until the next call. */
const char *broker_log(void);
void assert_logged(const char *want);
void wait_for_log(const char *want);

double now(void);
void look_around(struct surroundings *ret);
void assert_unchanged(const struct surroundings *before);

void login_start(struct login *login, const char *service, const char *user, const char *tty);
void login_begin(struct login *login, int flags);
void assert_went_on(const struct login *login);
void login_end(struct login *login);
/* Seconds of authentication and session without the module. */
void measure_plain(double *ret_auth_s, double *ret_open_s);
/* A login of somebody whom the module must leave alone: no word, no call, and hardly the seconds
 * that are returned. */
double left_alone(const char *service, const char *user);
/* A password change: pam_unix changes the login password in any case. Returns libpam's result. */
int change_password(struct talk *talk, const char *service, const char *user, int as_uid,
		    const char *const answers[4]);
bool password_is(const char *user, const char *password);

void touch(const char *path);

/* Of the group of tests, and after each test, also one that failed in its middle. */
int world_begin(void **state);
int world_clean(void **state);
int world_end(void **state);
/* pattern: of the tests that are to run, or NULL */
void world_arguments(const char *fake_broker, const char *pattern);

#endif
