// SPDX-License-Identifier: GPL-2.0-only
/* What the checks of posix have in common: files in the mount, and where they are below. */
#include "tests/fs/posix.h"

#include "tests/fs/must.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int create(const char *name, const void *bytes, size_t len)
{
	int fd = MUST(open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));

	if (len)
		REQUIRE(write(fd, bytes, len) == (ssize_t)len);
	return fd;
}

void drop_caches(void)
{
	int fd = MUST(open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC));

	sync();
	REQUIRE(write(fd, "3", 1) == 1);
	close(fd);
}

void expect_content(const char *name, const void *want, size_t len)
{
	static char have[65536];
	int fd = MUST(open(name, O_RDONLY | O_CLOEXEC));

	REQUIRE(read(fd, have, sizeof(have)) == (ssize_t)len);
	if (memcmp(have, want, len))
		fail("%s has other bytes", name);
	close(fd);
}

void expect_zero(int fd, off_t from, off_t to)
{
	char buf[4096];

	while (from < to) {
		size_t want = to - from < 4096 ? (size_t)(to - from) : 4096;

		REQUIRE(pread(fd, buf, want, from) == (ssize_t)want);
		for (size_t i = 0; i < want; i++) {
			if (buf[i])
				fail("byte %lld is %02x, not zero", (long long)from + (long long)i,
				     (uint8_t)buf[i]);
		}
		from += want;
	}
}

void lower_path(char ret[PATH_MAX])
{
	char path[PATH_MAX - 300];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/check", lower);
	dir = opendir(path);
	if (!dir) {
		/* the directory's name is encrypted too: it is the only one */
		DIR *top = opendir(lower);

		REQUIRE(top);
		while ((entry = readdir(top)) && entry->d_name[0] == '.')
			;
		REQUIRE(entry);
		snprintf(path, sizeof(path), "%s/%s", lower, entry->d_name);
		closedir(top);
		dir = opendir(path);
	}
	REQUIRE(dir);
	while ((entry = readdir(dir)) && entry->d_name[0] == '.')
		;
	REQUIRE(entry);
	snprintf(ret, PATH_MAX, "%s/%s", path, entry->d_name);
	closedir(dir);
}

void lower_stat(struct stat *ret)
{
	char path[PATH_MAX];

	lower_path(path);
	MUST(lstat(path, ret));
}

void elsewhere(char ret[PATH_MAX], const char *name)
{
	static bool made;
	char command[PATH_MAX + 64];

	if (!made) {
		snprintf(command, sizeof(command), "rm -rf '%s/../elsewhere'", lower);
		REQUIRE(system(command) == 0);
		snprintf(ret, PATH_MAX, "%s/../elsewhere", lower);
		MUST(mkdir(ret, 0755));
		made = true;
	}
	snprintf(ret, PATH_MAX, "%s/../elsewhere/%s", lower, name);
}
