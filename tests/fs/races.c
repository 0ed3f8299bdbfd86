// SPDX-License-Identifier: GPL-2.0-only
/*
 * races: what must hold while several do at once what each may do.
 *
 *   races UPPER NAME...
 *
 * UPPER is an empty directory of the filesystem under test, on ext4. A check runs for about a second
 * and prints how often it looked. The windows are a few instructions wide: a quiet run proves
 * little, a violated one all.
 */
#include "tests/fs/must.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define USER	1000

static atomic_bool done;
static const char *running;

void fail(const char *format, ...)
{
	va_list args;

	printf("%s: ", running);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	exit(1);
}

static int64_t now(clockid_t clock)
{
	struct timespec ts;

	MUST(clock_gettime(clock, &ts));
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static pthread_t start(void *(*function)(void *))
{
	pthread_t thread;

	REQUIRE(!pthread_create(&thread, NULL, function, NULL));
	return thread;
}

/* Closing stores times below, changing the mode takes over what is below. */
static void *open_and_close(void *unused)
{
	while (!done)
		close(MUST(open("file", O_RDWR | O_CLOEXEC)));
	return NULL;
}

static void *change_mode(void *unused)
{
	for (unsigned int i = 0; !done; i++)
		MUST(chmod("file", i & 1 ? 0644 : 0640));
	return NULL;
}

static void *look(void *unused)
{
	struct stat st;

	while (!done)
		MUST(stat("file", &st));
	return NULL;
}

/* What was written has a time that is not older than the write, for whoever looks. */
static unsigned long times(void)
{
	int64_t end = now(CLOCK_MONOTONIC) + 1500000000ll, before, after;
	int fd = MUST(open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
	unsigned long n = 0;
	pthread_t threads[2];
	struct stat st;

	REQUIRE(pwrite(fd, "0123456789", 10, 0) == 10);
	threads[0] = start(open_and_close);
	threads[1] = start(change_mode);
	for (; now(CLOCK_MONOTONIC) < end; n++) {
		before = now(CLOCK_REALTIME_COARSE);
		REQUIRE(pwrite(fd, "x", 1, n % 10) == 1);
		MUST(fstat(fd, &st));
		after = st.st_mtim.tv_sec * 1000000000ll + st.st_mtim.tv_nsec;
		if (after < before)
			fail("write %lu: the file is %lld us older than it", n,
			     (long long)(before - after) / 1000);
	}
	done = true;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	close(fd);
	return n;
}

/* Whom chmod() has shut out stays out. */
static unsigned long owners(void)
{
	int64_t end = now(CLOCK_MONOTONIC) + 1500000000ll;
	pthread_t threads[2];
	unsigned long n = 0;
	int fd;

	close(MUST(open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0644)));
	threads[0] = start(look);
	threads[1] = start(look);
	for (; now(CLOCK_MONOTONIC) < end; n++) {
		MUST(chmod("file", 0644));
		MUST(chmod("file", 0600));
		syscall(SYS_setfsuid, USER);	/* of this thread alone, and its capabilities */
		fd = open("file", O_RDONLY | O_CLOEXEC);
		syscall(SYS_setfsuid, 0);
		if (fd >= 0)
			fail("try %lu: opened by one who may not", n);
		REQUIRE(errno == EACCES);
	}
	done = true;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	return n;
}

static union {
	struct file_handle handle;
	char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
} handle = { .handle = { .handle_bytes = MAX_HANDLE_SZ } };
static pthread_barrier_t barrier;
static int top;

static void *by_handle(void *unused)
{
	int fd;

	for (;;) {
		pthread_barrier_wait(&barrier);
		if (done)
			return NULL;
		fd = open_by_handle_at(top, &handle.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			fail("by handle: %s", strerror(errno));
		close(fd);
		pthread_barrier_wait(&barrier);
	}
}

/* A directory that no lookup has seen yet, opened by its handle while another walks into it. */
static unsigned long handles(void)
{
	int64_t end = now(CLOCK_MONOTONIC) + 1500000000ll;
	int caches = MUST(open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC)), id;
	unsigned long n = 0;
	pthread_t thread;
	struct stat st;

	MUST(mkdir("directory", 0755));
	close(MUST(open("directory/child", O_RDWR | O_CREAT | O_CLOEXEC, 0644)));
	top = MUST(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	MUST(name_to_handle_at(top, "directory", &handle.handle, &id, 0));
	sync();
	REQUIRE(!pthread_barrier_init(&barrier, NULL, 2));
	thread = start(by_handle);
	for (; now(CLOCK_MONOTONIC) < end; n++) {
		REQUIRE(write(caches, "2", 1) == 1);
		pthread_barrier_wait(&barrier);
		usleep(n % 8 * 50);
		MUST(stat("directory/child", &st));
		pthread_barrier_wait(&barrier);
	}
	done = true;
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	return n;
}

static const struct {
	const char *name;
	unsigned long (*run)(void);
} checks[] = {
	{ "times", times },
	{ "owners", owners },
	{ "handles", handles },
};

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	MUST(chdir(argv[1]));
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (!strcmp(checks[i].name, argv[2])) {
			running = argv[2];
			printf("%lu times\n", checks[i].run());
			return 0;
		}
	return 2;
}
