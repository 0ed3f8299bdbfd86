// SPDX-License-Identifier: GPL-2.0-only
/* Checks of posix on attributes: times, blocks, flags, and the one that holds the metadata. */
#include "tests/fs/posix.h"

#include "tests/fs/must.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

void time_nanoseconds(void)
{
	const struct timespec times[2] = { { 1234567890, 123456789 }, { 1111111111, 987654321 } };
	struct stat st;

	close(create("a", "a", 1));
	MUST(utimensat(AT_FDCWD, "a", times, 0));
	for (int i = 0; i < 2; i++) {
		MUST(stat("a", &st));
		REQUIRE(st.st_atim.tv_sec == 1234567890 && st.st_atim.tv_nsec == 123456789);
		REQUIRE(st.st_mtim.tv_sec == 1111111111 && st.st_mtim.tv_nsec == 987654321);
		drop_caches();
	}
	/* and those that the kernel takes itself */
	close(create("b", "b", 1));
	MUST(stat("b", &st));
	if (st.st_mtim.tv_nsec == 0 && st.st_ctim.tv_nsec == 0 && st.st_atim.tv_nsec == 0)
		fail("a new file has whole seconds");
	MUST(mkdir("d", 0755));
	close(create("d/a", "", 0));
	MUST(stat("d", &st));
	REQUIRE(st.st_mtim.tv_nsec != 0);
}

/* Looking at the header is no access to the file. */
void atime_of_header(void)
{
	const struct timespec times[2] = { { 1000000000, 0 }, { 1000000001, 0 } };
	struct stat before, after;

	close(create("a", content, 5000));
	MUST(utimensat(AT_FDCWD, "a", times, 0));
	drop_caches();
	lower_stat(&before);
	REQUIRE(before.st_atim.tv_sec == 1000000000);
	MUST(stat("a", &after));
	close(MUST(open("a", O_RDONLY | O_CLOEXEC)));
	close(MUST(open("a", O_RDWR | O_CLOEXEC)));
	lower_stat(&after);
	REQUIRE(after.st_atim.tv_sec == before.st_atim.tv_sec);
}

void statx_birth(void)
{
	struct statx st;
	int64_t now = time(NULL);

	close(create("a", "a", 1));
	MUST(statx(AT_FDCWD, "a", 0, STATX_BASIC_STATS | STATX_BTIME, &st));
	REQUIRE(st.stx_mask & STATX_BTIME);
	REQUIRE(st.stx_btime.tv_sec >= now - 2 && st.stx_btime.tv_sec <= now + 5);
	REQUIRE(st.stx_btime.tv_nsec != 0);
}

void statx_attributes(void)
{
	int fd = create("a", "a", 1);
	long flags = 0;
	struct statx st;

	MUST(ioctl(fd, FS_IOC_GETFLAGS, &flags));
	flags |= FS_NODUMP_FL;
	MUST(ioctl(fd, FS_IOC_SETFLAGS, &flags));
	MUST(statx(AT_FDCWD, "a", 0, STATX_BASIC_STATS, &st));
	REQUIRE(st.stx_attributes_mask & STATX_ATTR_NODUMP);
	REQUIRE(st.stx_attributes & STATX_ATTR_NODUMP);
}

void blocks_without_header(void)
{
	/* ext4 counts a block that holds extended attributes, on a plain file as well */
	const long long want = in_xattr ? 16 : 8;
	int fd = create("a", "a", 1);
	struct stat st;

	MUST(fsync(fd));
	MUST(fstat(fd, &st));
	if (st.st_blocks > want || st.st_blocks < 8)
		fail("%lld blocks for one byte instead of %lld", (long long)st.st_blocks, want);
	MUST(ftruncate(fd, 0));
	MUST(fsync(fd));
	MUST(fstat(fd, &st));
	if (st.st_blocks > want - 8)
		fail("%lld blocks for nothing", (long long)st.st_blocks);
	close(fd);
	drop_caches();
	MUST(stat("a", &st));
	if (st.st_blocks > want - 8)
		fail("%lld blocks for nothing, before it is opened", (long long)st.st_blocks);
}

static void set_flags(int fd, int flags)
{
	MUST(ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

static sigjmp_buf after_sigbus;

static void on_sigbus(int sig)
{
	siglongjmp(after_sigbus, 1);
}

static bool store_faults(char *at)
{
	struct sigaction action = { .sa_handler = on_sigbus }, old;
	volatile bool faulted = true;

	MUST(sigaction(SIGBUS, &action, &old));
	if (!sigsetjmp(after_sigbus, 1)) {
		*(volatile char *)at = 'X';
		faulted = false;
	}
	MUST(sigaction(SIGBUS, &old, NULL));
	return faulted;
}

/* What the lower file refuses is refused at once, and not when its writer has long gone. */
void immutable(void)
{
	static char bytes[16384];
	int fd = create("a", bytes, sizeof(bytes)), other;
	char *map = mmap(NULL, sizeof(bytes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	REQUIRE(map != MAP_FAILED);
	memset(bytes, 'b', 4096);
	memset(map, 'b', 4096);				/* dirty when the flag comes */
	set_flags(fd, FS_IMMUTABLE_FL);
	REQUIRE(pwrite(fd, "X", 1, 0) < 0 && errno == EPERM);
	REQUIRE(pwrite(fd, "X", 1, sizeof(bytes)) < 0 && errno == EPERM);
	REQUIRE(ftruncate(fd, 100) < 0 && errno == EPERM);
	REQUIRE(ftruncate(fd, 100000) < 0 && errno == EPERM);
	REQUIRE(fallocate(fd, 0, 0, 100000) < 0 && errno == EPERM);
	REQUIRE(store_faults(map) && store_faults(map + 8192));
	MUST(fsync(fd));
	other = MUST(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	MUST(syncfs(other));
	close(other);
	set_flags(fd, 0);
	MUST(munmap(map, sizeof(bytes)));
	drop_caches();
	expect_content("a", bytes, sizeof(bytes));
	REQUIRE(pwrite(fd, "b", 1, 5000) == 1);
	bytes[5000] = 'b';
	MUST(close(fd));
	drop_caches();
	expect_content("a", bytes, sizeof(bytes));
}

void metadata_hidden(void)
{
	char list[1000], value[4096];
	ssize_t n;

	close(create("a", content, 5000));
	n = MUST(listxattr("a", list, sizeof(list)));
	if (n > 0 && memmem(list, n, "user.ecryptfs", 14))
		fail("it is listed");
	REQUIRE(getxattr("a", "user.ecryptfs", value, sizeof(value)) < 0);
	REQUIRE(setxattr("a", "user.ecryptfs", "x", 1, 0) < 0);
	REQUIRE(removexattr("a", "user.ecryptfs") < 0);
	drop_caches();
	expect_content("a", content, 5000);
}
