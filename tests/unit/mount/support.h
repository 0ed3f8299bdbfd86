/* SPDX-License-Identifier: GPL-2.0-only */
/* What the unit tests of mount/ share: a directory of their own, removed at the end. */
#ifndef EC_TEST_MOUNT_SUPPORT_H
#define EC_TEST_MOUNT_SUPPORT_H

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

/* A child that keeps something busy, in its own way, from now until end_child(). */
static inline pid_t child_that(void (*hold)(void))
{
	int ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		hold();
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	/* A child that could not leaves the pipe at its end. */
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static inline void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

#endif
