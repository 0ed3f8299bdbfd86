/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For programs in which each check runs on its own and ends at the first thing that is wrong. The
 * program that includes this has its own fail().
 */
#ifndef TESTS_FS_MUST_H
#define TESTS_FS_MUST_H

#include <errno.h>
#include <string.h>

/* Says what is wrong and exits. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The call that must not fail. */
static inline long must(long ret, const char *what)
{
	if (ret < 0)
		fail("%s: %s", what, strerror(errno));
	return ret;
}

#define MUST(call) must((call), #call)
#define REQUIRE(condition)						\
	do {								\
		if (!(condition))					\
			fail("%s, line %d: not %s (errno %s)", basename(__FILE__),	\
			     __LINE__, #condition, strerror(errno));	\
	} while (0)

#endif
