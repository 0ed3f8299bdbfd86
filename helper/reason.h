/* SPDX-License-Identifier: GPL-2.0-only */
/* The clause for a person that goes with an error: "group 3 is mistyped". Never a secret. */
#ifndef ECD_REASON_H
#define ECD_REASON_H

#include <stdarg.h>
#include <stdio.h>

struct ecd_reason {
	char text[192];		/* "" if the errno says all there is to say */
};

/* Returns r, so that a failure is one statement. */
__attribute__((format(printf, 3, 4)))
static inline int ecd_fail(struct ecd_reason *reason, int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason->text, sizeof(reason->text), format, args);
	va_end(args);
	return r;
}

#endif
