/* SPDX-License-Identifier: GPL-2.0-only */
/* What the targets share. A target is a parser and what must hold for whatever it accepts. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define fuzz_assert(condition)								\
	do {										\
		if (!(condition)) {							\
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__,		\
				__LINE__, #condition);					\
			abort();							\
		}									\
	} while (0)

/* The errors that a parser of format/ may answer. */
#define fuzz_assert_parse_error(r) \
	fuzz_assert((r) == -EBADMSG || (r) == -EOPNOTSUPP)

#endif
