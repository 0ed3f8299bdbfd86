/* SPDX-License-Identifier: GPL-2.0-only */
/* What went wrong: travels unchanged from where it happened to the one place that reports it. */
#ifndef ECD_FAILURE_H
#define ECD_FAILURE_H

#include <stdarg.h>
#include <stddef.h>

#define ECD_FAILURE_TEXT_LEN 1024

struct ecd_failure {
	int r;				/* negative errno, 0: none */
	const char *message_id;		/* EC_LOG_ID_*, static; NULL: by r */
	char text[ECD_FAILURE_TEXT_LEN]; /* a clause for a person, UTF-8 */
};

/* Fills it; a NULL or empty text becomes the sentence of lib/error.c. Returns r. */
__attribute__((format(printf, 4, 5)))
int ecd_fail(struct ecd_failure *failure, int r, const char *message_id, const char *format, ...);
int ecd_failv(struct ecd_failure *failure, int r, const char *message_id, const char *format,
	      va_list args);
/* "TEXT." or "TEXT. ADVICE.", for a person; an advice of "" is none. Too long a text is cut, the
 * advice not. */
void ecd_failure_sentences(char *ret, size_t len, const struct ecd_failure *failure,
			   const char *advice);
/* The command that helps, whatever was tried; "" where that depends. Never NULL. */
const char *ecd_failure_hint(int r);
/* The id under which a failure goes to the journal. */
const char *ecd_failure_message_id(const struct ecd_failure *failure);

#endif
