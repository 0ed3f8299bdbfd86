/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who is logged in, and what follows from it: the first session opens the home, the end of the
 * last one closes it.
 */
#ifndef ECD_SESSION_H
#define ECD_SESSION_H

#include "lib/secret.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ecd_manager;

#define ECD_SESSION_SECRETS_MAX 2u

/*
 * What should be done about a home. A pure function of what is known, so that the tests can
 * walk through all of it.
 */
struct ecd_usage {
	bool mounted;
	bool known;		/* logind has answered */
	bool stay_open;		/* legacy without auto-umount, or unlocked without a session */
	bool closing;		/* a logout is queued or running */
	unsigned int n_pam;	/* session descriptors */
	unsigned int n_logind;	/* sessions that count */
};

enum ecd_usage_action {
	ECD_USAGE_NOTHING,	/* and no timer */
	ECD_USAGE_LOOK_AGAIN,	/* only logind says that it is used, and it says too little */
	ECD_USAGE_CLOSE,	/* after a moment, if it still is so */
};

enum ecd_usage_action ecd_usage_decide(const struct ecd_usage *usage);

/*
 * A session of user begins. secrets are moved from. *ret_fd is the caller's end: the session
 * lasts until every copy of it is closed. 0, -EAGAIN (too many sessions, of all or of that user),
 * -ENOMEM, ...
 */
int ecd_session_open(struct ecd_manager *manager, const char *user, const char *service,
		     struct ec_secret *secrets, size_t n_secrets, int *ret_fd);
/* Same descriptor and messages for a change of the login secret. */
int ecd_session_change(struct ecd_manager *manager, uid_t caller, const char *user,
		       struct ec_secret *old_secret, struct ec_secret *new_secret, int *ret_fd);
/* Takes a descriptor of the FD store over. */
void ecd_session_restore(struct ecd_manager *manager, uid_t uid, int fd);
/* Keeps a secret for the next session of user, for a minute. */
int ecd_session_stash(struct ecd_manager *manager, const char *user, struct ec_secret *secret);

/* All sessions of a user: PAM's and logind's. */
unsigned int ecd_sessions_count(const struct ecd_manager *manager, uid_t uid);
/* Something about the sessions or the home of uid changed. */
void ecd_sessions_check(struct ecd_manager *manager, uid_t uid);
void ecd_sessions_check_all(struct ecd_manager *manager);
void ecd_sessions_done(struct ecd_manager *manager);

#endif
