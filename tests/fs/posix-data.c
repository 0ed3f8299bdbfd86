// SPDX-License-Identifier: GPL-2.0-only
/* Checks of posix on the bytes of files: the ways in and out, sizes, holes and mappings. */
#include "tests/fs/posix.h"

#include "tests/fs/must.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HEADER_LEN 8192

void splice_to_file(void)
{
	int from = create("from", content, 9000), to = create("to", "", 0), p[2];
	off_t a = 0, b = 0;
	ssize_t n;

	MUST(pipe(p));
	while (b < 9000) {
		n = MUST(splice(from, &a, p[1], NULL, 9000 - a, 0));
		REQUIRE(n > 0);
		n = MUST(splice(p[0], NULL, to, &b, n, 0));
		REQUIRE(n > 0);
	}
	drop_caches();
	expect_content("to", content, 9000);
}

void sendfile_to_file(void)
{
	int from = create("from", content, 9000), to = create("to", "", 0);
	off_t a = 0;

	while (a < 9000)
		REQUIRE(MUST(sendfile(to, from, &a, 9000 - a)) > 0);
	drop_caches();
	expect_content("to", content, 9000);
}

void copy_range(void)
{
	int from = create("from", content, 9000), to = create("to", "", 0);
	off_t a = 0, b = 0;

	while (a < 9000)
		REQUIRE(MUST(copy_file_range(from, &a, to, &b, 9000 - a, 0)) > 0);
	drop_caches();
	expect_content("to", content, 9000);
}

void direct(void)
{
	char *buf = aligned_alloc(4096, 8192);
	int fd = MUST(open("a", O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0644));

	memcpy(buf, content, 8192);
	REQUIRE(pwrite(fd, buf, 8192, 0) == 8192);
	memset(buf, 0, 8192);
	REQUIRE(pread(fd, buf, 8192, 0) == 8192 && memcmp(buf, content, 8192) == 0);
	close(fd);
	drop_caches();
	expect_content("a", content, 8192);
}

void fsize_limit(void)
{
	struct rlimit limit = { 8192, 8192 };
	int fd;

	signal(SIGXFSZ, SIG_IGN);
	MUST(setrlimit(RLIMIT_FSIZE, &limit));
	fd = MUST(open("a", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
	REQUIRE(pwrite(fd, content, 8192, 0) == 8192);
	REQUIRE(pwrite(fd, content, 1, 8192) < 0 && errno == EFBIG);
	REQUIRE(pwrite(fd, content, 10, 8190) == 2);
	REQUIRE(ftruncate(fd, 8193) < 0 && errno == EFBIG);
	MUST(fsync(fd));
	close(fd);
	drop_caches();
	REQUIRE(open("a", O_RDWR | O_CLOEXEC) >= 0);
}

/*
 * A gap is filled with zeros that must be encrypted: that takes time, and a signal must end it. It is
 * sent as soon as the filling is seen below, which is long before its end, however fast the machine.
 */
void zero_fill_killable(void)
{
	int fd = create("a", content, 5000), status;
	struct timespec start, end;
	struct stat st, before;
	pid_t pid;

	MUST(fsync(fd));
	lower_stat(&before);
	pid = MUST(fork());
	if (pid == 0) {
		signal(SIGALRM, SIG_DFL);
		alarm(0);
		_exit(pwrite(fd, "end", 3, 256 << 20) == 3 ? 0 : 1);
	}
	do {
		REQUIRE(waitpid(pid, &status, WNOHANG) == 0);
		lower_stat(&st);
	} while (st.st_size < before.st_size + (1 << 20));
	clock_gettime(CLOCK_MONOTONIC, &start);
	kill(pid, SIGKILL);
	MUST(waitpid(pid, &status, 0));
	clock_gettime(CLOCK_MONOTONIC, &end);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	if (end.tv_sec - start.tv_sec > 2)
		fail("dead only %lld s after it was killed", (long long)(end.tv_sec - start.tv_sec));
	close(fd);
	drop_caches();
	fd = MUST(open("a", O_RDWR | O_CLOEXEC));
	MUST(fstat(fd, &st));
	REQUIRE(st.st_size >= 5000 && st.st_size < 256 << 20);
	REQUIRE(pread(fd, content + 10000, 5000, 0) == 5000);
	REQUIRE(memcmp(content, content + 10000, 5000) == 0);
	/* what is there of the gap is zero, its end and what is added later too */
	expect_zero(fd, 5000, st.st_size < 100000 ? st.st_size : 100000);
	if (st.st_size > 100000)
		expect_zero(fd, st.st_size - 50000, st.st_size);
	MUST(ftruncate(fd, st.st_size + 20000));
	expect_zero(fd, st.st_size, st.st_size + 20000);
}

/*
 * What a format of one extent after another can do it does, on any lower filesystem that can reserve
 * blocks; the rest it refuses by name, and changes nothing.
 */
void fallocate_modes(void)
{
	static const struct {
		int mode;
		bool works, zeroes;
	} rows[] = {
		{ 0, true, false },
		{ FALLOC_FL_KEEP_SIZE, true, false },
		{ FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, true, true },
		{ FALLOC_FL_ZERO_RANGE, true, true },
		{ FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, true, true },
		{ FALLOC_FL_COLLAPSE_RANGE, false, false },
		{ FALLOC_FL_INSERT_RANGE, false, false },
		{ FALLOC_FL_UNSHARE_RANGE, false, false },
	};
	char have[20000];
	struct stat st;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = create("a", content, 10000), mode = rows[i].mode;
		int r = fallocate(fd, mode, 4096, 4096);

		if (rows[i].works && r < 0)
			fail("mode %#x: %s", mode, strerror(errno));
		if (!rows[i].works && (r == 0 || errno != EOPNOTSUPP))
			fail("mode %#x is not refused: %s", mode, r ? strerror(errno) : "done");
		close(fd);
		drop_caches();
		fd = MUST(open("a", O_RDWR | O_CLOEXEC));
		MUST(fstat(fd, &st));
		REQUIRE(st.st_size == 10000);
		REQUIRE(pread(fd, have, 20000, 0) == 10000);
		if (rows[i].zeroes)
			expect_zero(fd, 4096, 8192);
		else
			REQUIRE(memcmp(have + 4096, content + 4096, 4096) == 0);
		REQUIRE(memcmp(have, content, 4096) == 0);
		REQUIRE(memcmp(have + 8192, content + 8192, 10000 - 8192) == 0);
		close(fd);
	}
	/* growing by fallocate gives zeros */
	int fd = create("b", content, 100);

	MUST(fallocate(fd, 0, 0, 20000));
	MUST(fstat(fd, &st));
	REQUIRE(st.st_size == 20000);
	expect_zero(fd, 100, 20000);
	/* and so do zeros that begin behind the end; with the size kept there is nothing to do */
	MUST(ftruncate(fd, 100));
	MUST(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 50000, 4096));
	MUST(fstat(fd, &st));
	REQUIRE(st.st_size == 100);
	MUST(fallocate(fd, FALLOC_FL_ZERO_RANGE, 50000, 4096));
	MUST(fstat(fd, &st));
	REQUIRE(st.st_size == 54096);
	expect_zero(fd, 100, 54096);
	/* room that is kept behind the end is there below, and content that comes into it is right */
	MUST(ftruncate(fd, 100));
	MUST(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1 << 20));
	MUST(fsync(fd));
	MUST(fstat(fd, &st));
	REQUIRE(st.st_size == 100);
	if (st.st_blocks < (1 << 20) / 512)
		fail("only %lld blocks are reserved", (long long)st.st_blocks);
	REQUIRE(pwrite(fd, content, 5000, 100) == 5000);
	close(fd);
	drop_caches();
	fd = MUST(open("b", O_RDWR | O_CLOEXEC));
	REQUIRE(pread(fd, have, 20000, 100) == 5000 && memcmp(have, content, 5000) == 0);
}

/* Copies that share blocks: two files would share a key, so none are made. */
void clones_refused(void)
{
	int from = create("a", content, 8192), to = create("b", content, 8192);
	struct file_clone_range range = { from, 0, 4096, 4096 };

	REQUIRE(ioctl(to, FICLONE, from) < 0 && errno == EOPNOTSUPP);
	REQUIRE(ioctl(to, FICLONERANGE, &range) < 0 && errno == EOPNOTSUPP);
	close(to);
	drop_caches();
	expect_content("b", content, 8192);
}

void holes_read_zero(void)
{
	int fd = create("a", "start", 5);
	struct stat st;

	REQUIRE(pwrite(fd, "end", 3, 1 << 20) == 3);
	MUST(ftruncate(fd, (1 << 20) + 100000));
	close(fd);
	drop_caches();
	fd = MUST(open("a", O_RDWR | O_CLOEXEC));
	MUST(fstat(fd, &st));
	REQUIRE(st.st_size == (1 << 20) + 100000);
	expect_zero(fd, 5, 1 << 20);
	expect_zero(fd, (1 << 20) + 3, (1 << 20) + 100000);
	REQUIRE(lseek(fd, 0, SEEK_DATA) == 0);
	REQUIRE(lseek(fd, st.st_size, SEEK_DATA) < 0 && errno == ENXIO);
	REQUIRE(lseek(fd, st.st_size - 1, SEEK_HOLE) <= st.st_size);
}

static void lower_size_is(off_t size)
{
	struct stat st;
	off_t want = (in_xattr ? 0 : HEADER_LEN) + (size + 4095) / 4096 * 4096;

	sync();
	lower_stat(&st);
	if (st.st_size != want)
		fail("the lower file of %lld bytes has %lld instead of %lld", (long long)size,
		     (long long)st.st_size, (long long)want);
}

/* Each way of changing the size, with a fresh look at what the lower file says after it. */
void truncate_traps(void)
{
	static const off_t sizes[] = { 10000, 4096, 4097, 0, 1, 8192, 4095, 12288, 0, 100000, 5000, 8192 };
	struct stat st;

	close(create("a", content, 12000));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int fd;

		if (i % 2) {
			MUST(truncate("a", sizes[i]));
		} else {
			fd = MUST(open("a", O_RDWR | O_CLOEXEC));
			MUST(ftruncate(fd, sizes[i]));
			close(fd);
		}
		drop_caches();
		MUST(stat("a", &st));
		if (st.st_size != sizes[i])
			fail("size %lld instead of %lld", (long long)st.st_size, (long long)sizes[i]);
		lower_size_is(sizes[i]);
	}
	/* what was cut off stays gone */
	close(create("a", content, 12000));
	MUST(truncate("a", 4096));
	MUST(truncate("a", 100));
	MUST(truncate("a", 12000));
	drop_caches();
	int fd = MUST(open("a", O_RDWR | O_CLOEXEC));

	expect_zero(fd, 100, 12000);
	MUST(ftruncate(fd, 0));
	close(fd);
	close(MUST(open("a", O_RDWR | O_TRUNC | O_CLOEXEC)));
	drop_caches();
	fd = MUST(open("a", O_RDWR | O_CLOEXEC));
	REQUIRE(write(fd, "again", 5) == 5);
	close(fd);
	drop_caches();
	expect_content("a", "again", 5);
}

/* What a mapping writes behind the end must not come to light. */
void mmap_tail(void)
{
	int fd = create("a", "12345", 5);
	char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	REQUIRE(map != MAP_FAILED);
	memcpy(map, "SECRET--SECRET", 14);
	MUST(msync(map, 4096, MS_SYNC));
	munmap(map, 4096);
	close(fd);
	drop_caches();
	expect_content("a", "SECRE", 5);
	fd = MUST(open("a", O_RDWR | O_CLOEXEC));
	MUST(ftruncate(fd, 4096));
	expect_zero(fd, 5, 4096);
}

void mmap_beyond_end(void)
{
	int fd = create("a", content, 5000), status;
	pid_t pid = MUST(fork());

	if (pid == 0) {
		volatile char *map = mmap(NULL, 16384, PROT_READ, MAP_SHARED, fd, 0);

		_exit(map[8192]);
	}
	MUST(waitpid(pid, &status, 0));
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}
