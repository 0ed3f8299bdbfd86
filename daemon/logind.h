/* SPDX-License-Identifier: GPL-2.0-only */
/* Who is logged in, as logind says; without logind: nobody. */
#ifndef ECD_LOGIND_H
#define ECD_LOGIND_H

#include <stdbool.h>
#include <sys/types.h>

struct ecd_logind;
struct ecd_manager;

int ecd_logind_new(struct ecd_manager *manager, struct ecd_logind **ret);
void ecd_logind_free(struct ecd_logind *logind);
/* Before the first answer of logind nobody's sessions can be counted as over. */
bool ecd_logind_is_ready(const struct ecd_logind *logind);
/* Sessions of a person or a job that are not closing. */
unsigned int ecd_logind_count(const struct ecd_logind *logind, uid_t uid);
/* logind does not announce that a session begins to close: look again. */
void ecd_logind_refresh(struct ecd_logind *logind, uid_t uid);
bool ecd_logind_is_lingering(const struct ecd_manager *manager, const char *user);

/* Whether a session of that class and state uses the home. */
bool ecd_logind_session_counts(const char *class, const char *state);

#endif
