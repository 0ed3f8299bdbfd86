/* SPDX-License-Identifier: GPL-2.0-only */
/* Failures with their text, the next command to type, and their id in the journal. */
#include "daemon/failure.h"

#include "lib/error.h"
#include "lib/log-ids.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct {
	int error;
	const char *hint;
	const char *message_id;
} rows[] = {
	{ EKEYREJECTED, "Try again, or use the recovery key", EC_LOG_ID_WRONG_SECRET },
	{ EBUSY, "End what uses it and try again", NULL },
	{ EACCES, "Ask an administrator", EC_LOG_ID_NOT_AUTHORIZED },
	{ EPERM, "Ask an administrator", EC_LOG_ID_NOT_AUTHORIZED },
	{ ENOENT, "See which there are: ecryptfsctl list", NULL },
	{ EBADMSG, "Look at it: ecryptfsctl doctor; the version before is beside it, with .bak",
	  EC_LOG_ID_DOCUMENT_DAMAGED },
	{ ELOOP, "Look at it: ecryptfsctl doctor", EC_LOG_ID_UNSAFE_PATH },
	{ ENOKEY, "", NULL },
	{ ENOSPC, "Free some space and try again; nothing was changed", NULL },
	{ EDQUOT, "Free some space and try again; nothing was changed", NULL },
	{ ETIMEDOUT, "See why: ecryptfsctl doctor", NULL },
	{ ENOTCONN, "See why: ecryptfsctl doctor", NULL },
	{ ENOPKG, "See what is missing: ecryptfsctl doctor", NULL },
	{ EAGAIN, "Wait a minute and try again", EC_LOG_ID_RATE_LIMITED },
	{ EALREADY, "", NULL },
	{ EEXIST, "", NULL },
	{ ENOTDIR, "Make that directory first", NULL },
};

int ecd_failv(struct ecd_failure *failure, int r, const char *message_id, const char *format,
	      va_list args)
{
	char text[ECD_FAILURE_TEXT_LEN] = "";

	/* Into a copy, because an argument may be the text that stands there. */
	if (format)
		vsnprintf(text, sizeof(text), format, args);
	failure->r = r;
	failure->message_id = message_id;
	snprintf(failure->text, sizeof(failure->text), "%s",
		 text[0] ? text : ec_error_sentence(r));
	return r;
}

int ecd_fail(struct ecd_failure *failure, int r, const char *message_id, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	ecd_failv(failure, r, message_id, format, args);
	va_end(args);
	return r;
}

const char *ecd_failure_hint(int r)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].error == -r)
			return rows[i].hint;
	return "See the journal: journalctl -u ecryptfsd";
}

void ecd_failure_sentences(char *ret, size_t len, const struct ecd_failure *failure,
			   const char *advice)
{
	size_t rest = strlen(advice) + strlen(". .") + 1;

	snprintf(ret, len, "%.*s.%s%s%s", len > rest ? (int)(len - rest) : 0, failure->text,
		 *advice ? " " : "", advice, *advice ? "." : "");
}

const char *ecd_failure_message_id(const struct ecd_failure *failure)
{
	size_t i;

	if (failure->message_id)
		return failure->message_id;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].error == -failure->r)
			return rows[i].message_id;
	return NULL;
}
