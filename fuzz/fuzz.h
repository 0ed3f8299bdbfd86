/* SPDX-License-Identifier: GPL-2.0-only */
/* What the targets share. A target is a parser and what must hold for whatever it accepts. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

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

/* A file in memory that holds the input, the same for each; its path goes to *ret_path if that is
 * not NULL. Borrowed. */
static inline int fuzz_file(const uint8_t *data, size_t len, const char **ret_path)
{
	static char path[32];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("input", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	fuzz_assert(fd >= 0 && !ftruncate(fd, 0));
	fuzz_assert(pwrite(fd, data, len, 0) == (ssize_t)len);
	if (ret_path)
		*ret_path = path;
	return fd;
}

#endif
