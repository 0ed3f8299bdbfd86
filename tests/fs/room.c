// SPDX-License-Identifier: GPL-2.0-only
/*
 * room: what happens to data when the lower filesystem is full.
 *
 *   room CHECK UPPER LOWER
 *
 * UPPER is the mount, LOWER the directory below it, on a small filesystem of their own. Exits 0 if
 * the check passes; else a line says why it does not.
 */
#include "tests/fs/must.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define USER		1000	/* uid of the user who has no privilege */
#define CHUNK		65536
#define RAW_LEN		(1 << 20)
#define HEADER_LEN	8192
#define EXTENT_LEN	4096
#define RACE_SECONDS	20

static char upper_file[4096], lower_file[4096], filler[4096];
static const char *lower;
static char chunk[CHUNK];
static pid_t flusher;

static void stop_flusher(void)
{
	if (flusher > 0 && kill(flusher, SIGKILL) == 0)
		waitpid(flusher, NULL, 0);
	flusher = 0;
}

void fail(const char *format, ...)
{
	va_list args;

	stop_flusher();
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	exit(1);
}

/* Takes all room below but for @left bytes. */
static void fill(off_t left)
{
	int fd = MUST(open(filler, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	off_t len = 0;
	ssize_t n;

	while ((n = write(fd, chunk, EXTENT_LEN)) > 0)
		len += n;
	REQUIRE(errno == ENOSPC && len > left);
	MUST(fsync(fd));
	MUST(ftruncate(fd, len - left));
	MUST(fsync(fd));
	close(fd);
}

/* A child that cleans the file all the time, as the kernel does now and then. */
static void start_flusher(void)
{
	int fd;

	flusher = MUST(fork());
	if (flusher)
		return;
	fd = MUST(open(upper_file, O_RDWR | O_CLOEXEC));
	for (;;)
		sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

static off_t len_below(void)
{
	struct stat st;

	MUST(stat(lower_file, &st));
	return st.st_size;
}

static off_t len_needed(off_t size)
{
	return HEADER_LEN + (size + EXTENT_LEN - 1) / EXTENT_LEN * EXTENT_LEN;
}

/* Every byte that write() counts has its place below, whoever else is writing back. */
static void growth_under_flusher(void)
{
	time_t end = time(NULL) + RACE_SECONDS;
	unsigned int rounds = 0, accepted = 0;
	int fd = MUST(open(upper_file, O_RDWR | O_CREAT | O_CLOEXEC, 0644));
	struct stat st;
	off_t size;
	ssize_t n;

	fill(300000);
	start_flusher();
	while (time(NULL) < end) {
		MUST(ftruncate(fd, 0));
		for (size = 0; (n = pwrite(fd, chunk, sizeof(chunk), size)) > 0; accepted++) {
			size += n;
			if (len_below() < len_needed(size))
				fail("round %u: %lld bytes accepted, the lower file has %lld of %lld",
				     rounds, (long long)size, (long long)len_below(),
				     (long long)len_needed(size));
		}
		if (errno != ENOSPC)
			fail("round %u: %s", rounds, strerror(errno));
		MUST(fstat(fd, &st));
		if (st.st_size != size || len_below() != len_needed(size))
			fail("round %u: %lld bytes accepted, the file has %lld, the lower one %lld",
			     rounds, (long long)size, (long long)st.st_size, (long long)len_below());
		rounds++;
	}
	stop_flusher();
	REQUIRE(rounds > 0 && accepted > 0);
	MUST(fsync(fd));
	printf("%u rounds, %u writes\n", rounds, accepted);
}

/* A user's large write does not get at what is reserved for root, whoever else writes back. */
static void reserve_kept(void)
{
	size_t len = 48 << 20;
	char *bytes = calloc(1, len);
	struct statvfs before, after;
	unsigned long long reserved;
	struct stat st;
	ssize_t n;
	int fd;

	REQUIRE(bytes);
	fd = MUST(open(upper_file, O_RDWR | O_CREAT | O_CLOEXEC, 0644));
	MUST(fchown(fd, USER, USER));
	MUST(statvfs(lower, &before));
	reserved = (before.f_bfree - before.f_bavail) * before.f_frsize;
	REQUIRE(reserved > 1 << 20 && before.f_bavail * before.f_frsize < len);
	start_flusher();
	MUST(setegid(USER));
	MUST(seteuid(USER));
	n = write(fd, bytes, len);
	MUST(seteuid(0));
	stop_flusher();
	REQUIRE(n > 0 || errno == ENOSPC);
	MUST(statvfs(lower, &after));
	MUST(fstat(fd, &st));
	printf("%zd of %zu bytes written, %llu of %llu reserved are free\n", n, len,
	       (unsigned long long)after.f_bfree * after.f_frsize, reserved);
	REQUIRE(st.st_size == (n > 0 ? n : 0));
	/* some blocks of the lower file's own metadata may come from there */
	REQUIRE((unsigned long long)after.f_bfree * after.f_frsize + (256 << 10) >= reserved);
	REQUIRE(n > 0);
}

/* Bytes that this process has made dirty since it began. */
static unsigned long long dirtied(void)
{
	char line[128];
	unsigned long long len = 0;
	FILE *io = fopen("/proc/self/io", "re");

	REQUIRE(io);
	while (fgets(line, sizeof(line), io))
		sscanf(line, "write_bytes: %llu", &len);
	fclose(io);
	return len;
}

static int grow_by_fallocate(int fd, off_t size)
{
	return fallocate(fd, 0, 0, size);
}

static int grow_by_write(int fd, off_t size)
{
	return pwrite(fd, "x", 1, size) < 0 ? -1 : 0;
}

/* What the disk can never hold is refused before it is full of zeros; what it can is not. */
static void long_gap(void)
{
	static int (*const ways[])(int, off_t) = { ftruncate, grow_by_fallocate, grow_by_write };
	const off_t gaps[] = { 1LL << 40, 1LL << 33, 64 << 20 }, fits = 24 << 20;
	int fd = MUST(open(upper_file, O_RDWR | O_CREAT | O_CLOEXEC, 0644));
	unsigned long long before, written, tried = 0;
	struct stat st;

	MUST(pwrite(fd, "x", 1, 0));
	before = dirtied();
	MUST(ftruncate(fd, fits));
	if (dirtied() - before < (unsigned long long)fits)
		fail("of a gap of %lld bytes %llu are seen", (long long)fits, dirtied() - before);
	MUST(ftruncate(fd, 1));
	MUST(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, fits));
	fill(1 << 20);
	MUST(ftruncate(fd, fits));
	MUST(ftruncate(fd, 1));
	before = dirtied();
	for (size_t g = 0; g < sizeof(gaps) / sizeof(gaps[0]); g++)
		for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++, tried++)
			REQUIRE(ways[w](fd, gaps[g]) < 0 && errno == ENOSPC);
	written = dirtied() - before;
	MUST(fstat(fd, &st));
	printf("%llu long gaps refused, %llu bytes written for them\n", tried, written);
	REQUIRE(st.st_size == 1 && written < 1 << 20);
}

/* Passthrough: a file with a hole below, and data in memory for which there is no room there. */
static int dirty_without_room(char **ret_map)
{
	int fd = MUST(open(lower_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));

	MUST(ftruncate(fd, RAW_LEN));
	close(fd);
	fd = MUST(open(upper_file, O_RDWR | O_CLOEXEC));
	*ret_map = mmap(NULL, RAW_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(*ret_map != MAP_FAILED);
	fill(0);
	memset(*ret_map, 'd', CHUNK);
	return fd;
}

static void expect_below(void)
{
	static char have[CHUNK], want[CHUNK];
	int fd = MUST(open(lower_file, O_RDONLY | O_CLOEXEC));

	memset(want, 'd', sizeof(want));
	REQUIRE(read(fd, have, sizeof(have)) == sizeof(have));
	if (memcmp(have, want, sizeof(have)))
		fail("what was written to the mapping is not below");
	close(fd);
}

/* An error that another try has cured is not told to who syncs the file later. */
static void cured_error(void)
{
	char *map;
	int fd = dirty_without_room(&map), late = MUST(open(upper_file, O_RDWR | O_CLOEXEC));

	sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	REQUIRE(fsync(fd) < 0 && errno == ENOSPC);
	MUST(unlink(filler));
	sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	if (fsync(late))
		fail("fsync() after all was written: %s", strerror(errno));
	expect_below();
}

/* While there is no room, neither a truncation nor a growth that fails drops dirty data. */
static void truncation_keeps_dirty(void)
{
	char *map;
	int fd = dirty_without_room(&map);
	struct stat st;

	REQUIRE(pwrite(fd, chunk, sizeof(chunk), RAW_LEN) < 0 && errno == ENOSPC);
	MUST(fstat(fd, &st));
	REQUIRE(st.st_size == RAW_LEN);
	if (map[0] != 'd')
		fail("a growth that failed has dropped dirty data");
	MUST(ftruncate(fd, RAW_LEN / 2));
	if (map[0] != 'd' || map[CHUNK - 1] != 'd')
		fail("the truncation has dropped dirty data");
	MUST(unlink(filler));
	MUST(fsync(fd));
	expect_below();
}

static const struct {
	const char *name;
	void (*run)(void);
} checks[] = {
	{ "cured-error", cured_error },
	{ "growth-under-flusher", growth_under_flusher },
	{ "long-gap", long_gap },
	{ "reserve-kept", reserve_kept },
	{ "truncation-keeps-dirty", truncation_keeps_dirty },
};

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: room CHECK UPPER LOWER\n");
		return 2;
	}
	lower = argv[3];
	snprintf(upper_file, sizeof(upper_file), "%s/file", argv[2]);
	snprintf(lower_file, sizeof(lower_file), "%s/file", lower);
	snprintf(filler, sizeof(filler), "%s/../filler", lower);
	memset(chunk, 'c', sizeof(chunk));
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		if (strcmp(checks[i].name, argv[1]))
			continue;
		checks[i].run();
		return 0;
	}
	fprintf(stderr, "room: no check %s\n", argv[1]);
	return 2;
}
