/* SPDX-License-Identifier: GPL-2.0-only */
/* The sentence that goes with an error code. */
#include "mount/why.h"

#include "lib/error.h"

#include <stdarg.h>
#include <stdio.h>

int ec_why_set(struct ec_why *why, int r, const char *format, ...)
{
	va_list args;

	if (!why || why->text[0])
		return r;
	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return r;
}

const char *ec_why_text(const struct ec_why *why, int r)
{
	return why && why->text[0] ? why->text : ec_error_sentence(r);
}
