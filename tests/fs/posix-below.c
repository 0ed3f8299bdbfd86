// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checks of posix on what happens to the lower file behind the mount: what a crash leaves, damage,
 * and files that are moved, replaced or restored there.
 */
#include "tests/fs/posix.h"

#include "tests/fs/must.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* A tool restores a lower file in place after it was seen empty: its key must not be replaced. */
void filled_from_below(void)
{
	static char bytes[65536];
	char path[PATH_MAX], meta[4096];
	ssize_t len, meta_len;
	int fd, reader;

	close(create("a", content, 12000));
	sync();
	lower_path(path);
	fd = MUST(open(path, O_RDWR | O_CLOEXEC));
	len = MUST(read(fd, bytes, sizeof(bytes)));
	meta_len = fgetxattr(fd, "user.ecryptfs", meta, sizeof(meta));
	REQUIRE((meta_len > 0) == in_xattr);
	MUST(ftruncate(fd, 0));
	if (in_xattr)
		MUST(fremovexattr(fd, "user.ecryptfs"));
	drop_caches();
	reader = MUST(open("a", O_RDONLY | O_CLOEXEC));
	REQUIRE(read(reader, bytes + len, 1) == 0);
	if (in_xattr)
		MUST(fsetxattr(fd, "user.ecryptfs", meta, meta_len, 0));
	REQUIRE(pwrite(fd, bytes, len, 0) == len);
	close(fd);
	close(MUST(open("a", O_RDWR | O_CLOEXEC)));
	close(reader);
	drop_caches();
	expect_content("a", content, 12000);
}

/* What somebody moved below is not what the upper name means any more. */
void moved_below(void)
{
	char path[PATH_MAX], away[PATH_MAX];

	close(create("a", "moved", 5));
	lower_path(path);
	elsewhere(away, "a");
	MUST(rename(path, away));
	REQUIRE(rename("a", "b") < 0 && errno == ENOENT);
	REQUIRE(unlink("a") < 0 && errno == ENOENT);
	REQUIRE(access(away, F_OK) == 0);
	MUST(rename(away, path));
	expect_content("a", "moved", 5);
	MUST(unlink("a"));
	REQUIRE(access(path, F_OK) < 0);
}

void directory_moved_below(void)
{
	char path[PATH_MAX], away[PATH_MAX];
	struct stat st;

	MUST(mkdir("d", 0755));
	MUST(mkdir("d/e", 0755));
	close(create("d/e/a", "moved", 5));
	lower_path(path);
	elsewhere(away, "d");
	MUST(rename(path, away));
	MUST(stat(away, &st));
	REQUIRE(unlink("d/e/a") < 0 && errno == ENOENT);
	REQUIRE(rename("d/e/a", "a") < 0 && errno == ENOENT);
	REQUIRE(open("d/e/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644) < 0 && errno == ENOENT);
	REQUIRE(mkdir("d/new", 0755) < 0 && errno == ENOENT);
	REQUIRE(rmdir("d/e") < 0 && errno == ENOENT);
	REQUIRE(stat(away, &st) == 0 && st.st_nlink == 3);
	MUST(rename(away, path));
	expect_content("d/e/a", "moved", 5);
}

/* An editor or a restore below: the old file gets another name, a new one takes its place. */
void replaced_below(void)
{
	char path[PATH_MAX], old[PATH_MAX + 1];

	close(create("a", "first", 5));
	lower_path(path);
	snprintf(old, sizeof(old), "%s~", path);
	MUST(rename(path, old));
	close(MUST(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)));
	MUST(unlink("a"));
	REQUIRE(access(old, F_OK) == 0);
	REQUIRE(access(path, F_OK) < 0);
	MUST(unlink(old));
}

/* The length stays, and the blocks are as if they had never been written. */
static void punch_end(const char *path, off_t from)
{
	int fd = MUST(open(path, O_RDWR | O_CLOEXEC));

	MUST(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, 1 << 20));
	close(fd);
}

/*
 * Cut short by a crash, which leaves whole extents, or blocks that were not written, or part of the
 * header of an empty file: what is there is the file.
 */
void cut_by_crash(void)
{
	static const off_t left[] = { 8192, 4096, 0, -4096 };
	static char bytes[65536];
	char path[PATH_MAX];
	struct stat st;
	off_t len;
	int fd;

	memset(bytes, 'a', sizeof(bytes));
	for (size_t i = 0; i < 2 * (sizeof(left) / sizeof(left[0])) - in_xattr; i++) {
		bool hole = i >= sizeof(left) / sizeof(left[0]) - in_xattr;
		off_t keep = left[hole ? i % 3 : i];

		len = keep < 0 ? 0 : (off_t)sizeof(bytes);
		close(create("a", bytes, (size_t)len));
		sync();
		lower_path(path);
		lower_stat(&st);
		if (!hole)
			MUST(truncate(path, st.st_size - len + keep));
		else
			punch_end(path, st.st_size - len + keep);
		drop_caches();
		len = keep < 0 ? 0 : keep;
		MUST(stat("a", &st));
		REQUIRE(hole || st.st_size == len);
		expect_content("a", bytes, (size_t)len);
		fd = MUST(open("a", O_WRONLY | O_APPEND | O_CLOEXEC));
		REQUIRE(write(fd, bytes, 5000) == 5000);
		MUST(close(fd));
		drop_caches();
		expect_content("a", bytes, (size_t)len + 5000);
		MUST(unlink("a"));
	}
}

/* Cut short by damage, inside an extent: what is missing is not read as noise, also after a write behind it. */
void short_below(void)
{
	static char bytes[65536], have[65536];
	char path[PATH_MAX];
	struct stat st;
	off_t cut;
	ssize_t len;
	int fd;

	memset(bytes, 'a', sizeof(bytes));
	close(create("a", bytes, sizeof(bytes)));
	sync();
	lower_path(path);
	lower_stat(&st);
	cut = st.st_size - (off_t)sizeof(bytes) + 8192 + 100;
	MUST(truncate(path, cut));
	drop_caches();
	fd = MUST(open("a", O_RDWR | O_CLOEXEC));
	len = pwrite(fd, bytes, 4096, 40960);
	close(fd);
	drop_caches();
	fd = MUST(open("a", O_RDWR | O_CLOEXEC));
	if (pread(fd, have, 4096, 8192) > 0 && memcmp(have, bytes, 4096))
		fail("noise after a write behind the end below");
	REQUIRE(len < 0);
	lower_stat(&st);
	REQUIRE(st.st_size == cut);
	REQUIRE(pwrite(fd, "b", 1, sizeof(bytes)) < 0 && errno == EIO);
	REQUIRE(ftruncate(fd, sizeof(bytes) + 1) < 0 && errno == EIO);
	REQUIRE(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 20480, 8192) < 0 &&
		errno == EIO);
	/* two ways out: to fill the gap from its beginning, and to give up what is missing */
	REQUIRE(pwrite(fd, bytes, 8192, 8192) == 8192);
	REQUIRE(pread(fd, have, 4096, 16384) < 0 && errno == EIO);
	MUST(ftruncate(fd, 16384));
	REQUIRE(pwrite(fd, bytes, 5000, 16384) == 5000);
	close(fd);
	drop_caches();
	expect_content("a", bytes, 16384 + 5000);
	/* and cut while it is open: delayed writes do not go behind the end either */
	fd = MUST(open("a", O_RDWR | O_CLOEXEC));
	MUST(truncate(path, cut));
	if (pwrite(fd, bytes, 4096, 16384) == 4096)
		REQUIRE(fsync(fd) < 0 && errno == EIO);
	close(fd);
	lower_stat(&st);
	REQUIRE(st.st_size == cut);
}

/* What the flusher could not write is told by close(), also if it had a size to store as well. */
void error_until_close(void)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	close(create("a", content, 20000));
	sync();
	lower_path(path);
	lower_stat(&st);
	fd = MUST(open("a", O_RDWR | O_CLOEXEC));
	REQUIRE(pwrite(fd, "b", 1, 20000) == 1);
	MUST(truncate(path, st.st_size - 16384));
	sync();
	REQUIRE(close(fd) < 0 && errno == EIO);
}
