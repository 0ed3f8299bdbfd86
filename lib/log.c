/* SPDX-License-Identifier: GPL-2.0-only */
/* Structured messages for the journal; plain lines on stderr where there is no journal. */
#include "lib/log.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#define JOURNAL_SOCKET	"/run/systemd/journal/socket"
#define FIELDS_MAX	9

/* Fields of one message; the strings are owned. */
struct fields {
	struct iovec iov[FIELDS_MAX];
	int n;
};

static void fields_done(struct fields *fields)
{
	while (fields->n > 0)
		free(fields->iov[--fields->n].iov_base);
}

/* A field that finds no memory is left out: the message matters more than its company. */
__attribute__((format(printf, 2, 3)))
static void fields_add(struct fields *fields, const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0)
		return;
	fields->iov[fields->n++] = (struct iovec){ .iov_base = text, .iov_len = (size_t)len };
}

static void fields_add_string(struct fields *fields, const char *name, const char *value)
{
	if (value)
		fields_add(fields, "%s=%s", name, value);
}

static bool to_journal(int priority, const struct ec_log_fields *meta, const char *message)
{
	_cleanup_(fields_done) struct fields fields = { .n = 0 };

	/* sd_journal_sendv() calls it success if nobody listens. */
	if (access(JOURNAL_SOCKET, F_OK) < 0)
		return false;

	fields_add_string(&fields, "MESSAGE", message);
	fields_add(&fields, "PRIORITY=%d", priority & LOG_PRIMASK);
	fields_add_string(&fields, "MESSAGE_ID", meta->message_id);
	fields_add_string(&fields, "ECRYPTFSD_VAULT", meta->vault);
	fields_add_string(&fields, "ECRYPTFSD_KEY_SIG", meta->key_sig);
	fields_add_string(&fields, "ECRYPTFSD_OPERATION", meta->operation);
	fields_add_string(&fields, "ECRYPTFSD_SOURCE", meta->source);
	if (meta->peer_uid >= 0)
		fields_add(&fields, "ECRYPTFSD_PEER_UID=%ld", meta->peer_uid);
	if (meta->error < 0)
		fields_add(&fields, "ERRNO=%d", -meta->error);
	return sd_journal_sendv(fields.iov, fields.n) >= 0;
}

/**
 * ec_log() - one message for the administrator
 * @priority:	LOG_ERR ... LOG_DEBUG of syslog(3)
 * @fields:	journal fields; borrowed
 * @format:	the sentence, without a final newline; never holds a secret
 *
 * Keeps errno.
 */
void ec_log(int priority, const struct ec_log_fields *fields, const char *format, ...)
{
	_cleanup_free_ char *message = NULL;
	int saved_errno = errno;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&message, format, args);
	va_end(args);
	if (len < 0)
		message = NULL;
	else if (!to_journal(priority, fields, message))
		fprintf(stderr, "%s: %s\n", program_invocation_short_name, message);
	errno = saved_errno;
}
