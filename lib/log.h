/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Structured journal messages. Libraries return errors; programs log them, once.
 * Each message an administrator may act on has an id in lib/log-ids.h and a text in catalog/.
 * Secrets never come here: a key is named by its signature.
 */
#ifndef EC_LOG_H
#define EC_LOG_H

#include <syslog.h>

struct ec_log_fields {
	const char *message_id;	/* 32 hex digits, EC_LOG_ID_*, or NULL */
	const char *vault;	/* ECRYPTFSD_VAULT=, or NULL */
	const char *key_sig;	/* ECRYPTFSD_KEY_SIG= */
	const char *operation;	/* ECRYPTFSD_OPERATION= */
	const char *source;	/* ECRYPTFSD_SOURCE= slot type */
	long peer_uid;		/* ECRYPTFSD_PEER_UID=, or -1 */
	int error;		/* ERRNO=, negative errno, or 0 */
};

#define EC_LOG_FIELDS(...) (&(struct ec_log_fields){ .peer_uid = -1, __VA_ARGS__ })

/* To the journal if it is there, else to stderr. */
__attribute__((format(printf, 3, 4)))
void ec_log(int priority, const struct ec_log_fields *fields, const char *format, ...);

#define ec_log_error(...) ec_log(LOG_ERR, EC_LOG_FIELDS(), __VA_ARGS__)
#define ec_log_warning(...) ec_log(LOG_WARNING, EC_LOG_FIELDS(), __VA_ARGS__)
#define ec_log_info(...) ec_log(LOG_INFO, EC_LOG_FIELDS(), __VA_ARGS__)

#endif
