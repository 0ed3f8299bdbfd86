/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The broker as a login process sees it: every call ends within a bounded time, whatever the
 * broker or the bus does. Nothing of a connection outlives a call but the session descriptor.
 */
#ifndef ECP_SESSION_CLIENT_H
#define ECP_SESSION_CLIENT_H

#include "lib/secret.h"

#include <stddef.h>

/*
 * Milliseconds. Tests shorten ECP_TOTAL_MS and set ECP_BUS_ADDRESS when they compile; nothing
 * changes them at run time, because a login process must not take either from its environment.
 */
#ifndef ECP_TOTAL_MS
#define ECP_TOTAL_MS	45000	/* a broker that keeps saying "W" */
#endif
#define ECP_STASH_MS	1000	/* StashSecret, of which nothing depends */
#define ECP_CALL_MS	2000	/* connect, call, reply */
#define ECP_START_MS	3300	/* the same, where the bus has yet to start the broker */
#define ECP_FIRST_MS	3000	/* from the call to the first message, ... */
#define ECP_LAG_MS	1500	/* ... or this from a late reply, but no longer than ... */
#define ECP_STEADY_MS	3300	/* ... this, which with ECP_STASH_MS leaves a login its five seconds */
#define ECP_SILENCE_MS	3000	/* between two messages, from the second on */
#define ECP_ALARM_MS	10000	/* left to a login program that has set itself an alarm */
#define ECP_BEATS_EARLY	8	/* more than 2 a second and these: no heart beats like that */

#ifndef ECP_BUS_ADDRESS
#define ECP_BUS_ADDRESS	"unix:path=/run/dbus/system_bus_socket"
#endif

#define ECP_TEXT_LEN	1536	/* bytes of a sentence, NUL included */

enum ecp_end {
	ECP_END_MOUNTED,	/* also: the change is done */
	ECP_END_NOTHING,	/* this user has no vault to mount */
	ECP_END_FAILED,
};

struct ecp_result {
	enum ecp_end end;
	int error;			/* negative errno, where failed */
	bool reported;			/* the broker itself said so: it is alive */
	char text[ECP_TEXT_LEN];	/* the broker's own sentence, printable, or "" */
};

/* Who logs in, from where: each may be NULL. */
struct ecp_info {
	const char *service;
	const char *tty;
	const char *rhost;
};

/* Called with the number of heartbeats so far, while the broker works. */
typedef void (*ecp_progress_fn)(unsigned int n_beats, void *userdata);

/* 0 or a negative errno; -ETIMEDOUT means that somebody is there who does not answer. */
int ecp_stash(const char *user, const struct ec_secret *secret);
int ecp_mark_stale(const char *user);
/* secrets: tried in turn, at most 2. *ret_fd is the session, -1 where there is none; it stays
 * open while the session lasts. */
void ecp_open_session(const char *user, const struct ecp_info *info,
		      const struct ec_secret *secrets, size_t n_secrets,
		      struct ecp_result *ret, int *ret_fd);
void ecp_change_secret(const char *user, const struct ec_secret *old_secret,
		       const struct ec_secret *new_secret, ecp_progress_fn progress,
		       void *userdata, struct ecp_result *ret);

#endif
