/* SPDX-License-Identifier: GPL-2.0-only */
/* What the unit tests of mount/ share: a directory of their own, removed at the end. */
#ifndef EC_TEST_MOUNT_SUPPORT_H
#define EC_TEST_MOUNT_SUPPORT_H

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Group setup: works in a fresh directory, whose canonical path is in *state. */
static inline int enter_scratch(void **state)
{
	char template[] = "/var/tmp/ecryptfsd-test-XXXXXX", path[PATH_MAX];

	if (!mkdtemp(template) || !realpath(template, path) || chdir(path) < 0)
		return -1;
	*state = strdup(path);
	return *state ? 0 : -1;
}

static inline int leave_scratch(void **state)
{
	char command[PATH_MAX + 64];

	if (chdir("/") < 0)
		return -1;
	snprintf(command, sizeof(command), "chmod -R u+rwx %s; rm -rf %s", (char *)*state,
		 (char *)*state);
	free(*state);
	return system(command) ? -1 : 0;
}

/* For main(): chown(2), mount(2) and mknod(2) are done for real. 77 is what meson takes as skipped. */
#define NEED_ROOT()							\
	do {								\
		if (geteuid() != 0) {					\
			puts("skipped: needs root");			\
			return 77;					\
		}							\
	} while (0)

/* Runs a line of shell in the current directory; it must succeed. */
static inline void sh(const char *line)
{
	int status = system(line);

	if (status)
		fail_msg("%s: status %d", line, status);
}

static inline int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static inline void write_file(const char *path, const void *bytes, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

#endif
