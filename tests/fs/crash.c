// SPDX-License-Identifier: GPL-2.0-only
/*
 * crash: what is left after a power cut of the disk below.
 *
 *   crash -n ROUNDS [-s SEED] -c COMMAND UPPER LOWER
 *
 * UPPER is an empty directory of the filesystem under test, LOWER the same one below it, on ext4
 * and with names in clear. In each round a writer appends, overwrites, cuts, replaces by rename and
 * syncs, while ext4 is shut down below it (EXT4_IOC_SHUTDOWN, its three ways in turn). COMMAND
 * mounts both again. Then every file must open; what was synced and not touched since is there byte
 * for byte; every other byte is one that was written at its place, or zero where the file had grown;
 * the size is one that the file can have had; and an append works. Prints what it did and found;
 * the status is 0 if all was well.
 *
 * What may have become of a file is its generations: the last one of which the name was synced, and
 * those that have replaced it since.
 */
#include "tests/fs/must.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXT4_SHUTDOWN	_IOR('X', 125, uint32_t)	/* of the kernel's fs/ext4/ext4.h */
#define N_WAYS		3u	/* sync first; journal first; nothing at all */
#define N_FILES		8u
#define N_GENERATIONS	4u
#define LEN_MAX		60000u
#define MAY_BE_ZERO	31u	/* this bit of written[]; those before it are tags of writes */

struct generation {
	uint8_t now[LEN_MAX];		/* what the file holds if nothing is lost */
	uint8_t synced[LEN_MAX];
	uint32_t written[LEN_MAX];	/* tags of the writes since then */
	size_t len, len_synced;		/* now, and when it was synced */
	size_t len_min, len_max;	/* since then */
	unsigned int tag;
	bool complete;			/* closed with all its bytes before it got its name */
};

struct file {
	struct generation *generations[N_GENERATIONS];	/* the newest one last */
	unsigned int n;
	int fd;
};

static struct file files[N_FILES];
static const char *upper, *lower;
static atomic_bool down;
static uint64_t random_state;
static unsigned long n_writes, n_synced, n_checked, n_old, n_shorter, n_emptied, n_headless, n_holes, n_round;

void fail(const char *format, ...)
{
	va_list args;

	printf("round %lu: ", n_round);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	exit(1);
}

static unsigned int below(unsigned int limit)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned int)(random_state >> 33) % limit;
}

static const char *path_of(const char *dir, unsigned int i, const char *suffix)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/file-%u%s", dir, i, suffix);
	return path;
}

/* Never zero, which stands for a hole. */
static uint8_t value(unsigned int tag, size_t pos)
{
	uint32_t x = (uint32_t)pos * 2654435761u ^ (tag + 1) * 40503u;

	return (uint8_t)(x >> 13 | 1);
}

static struct generation *newest(const struct file *file)
{
	return file->generations[file->n - 1];
}

static void forget_others(struct file *file, unsigned int keep)
{
	for (unsigned int i = 0; i < file->n; i++)
		if (i != keep)
			free(file->generations[i]);
	file->generations[0] = file->generations[keep];
	file->n = 1;
}

static void note_synced(struct generation *gen)
{
	memcpy(gen->synced, gen->now, gen->len);
	memset(gen->written, 0, sizeof(gen->written));
	gen->len_synced = gen->len_min = gen->len_max = gen->len;
	gen->complete = false;
	n_synced++;
}

static void note_len(struct generation *gen, size_t len)
{
	for (size_t i = gen->len; i < len; i++)
		gen->written[i] |= 1u << MAY_BE_ZERO;
	for (size_t i = len; i < gen->len; i++) {
		gen->written[i] |= 1u << MAY_BE_ZERO;
		gen->now[i] = 0;
	}
	gen->len = len;
	if (len < gen->len_min)
		gen->len_min = len;
	if (len > gen->len_max)
		gen->len_max = len;
}

/* A call that failed after the shutdown may have done anything that it was asked for. */
static bool put(int fd, struct generation *gen, size_t pos, size_t len)
{
	static uint8_t bytes[LEN_MAX];
	unsigned int tag = gen->tag++ % MAY_BE_ZERO;
	ssize_t n;

	for (size_t i = 0; i < len; i++)
		bytes[i] = value(tag, pos + i);
	n = pwrite(fd, bytes, len, (off_t)pos);
	if (n < 0 && !down)
		fail("write: %s", strerror(errno));
	for (size_t i = pos; i < pos + len; i++)
		gen->written[i] |= 1u << tag;
	if (pos + len > gen->len)
		note_len(gen, pos + len);
	memcpy(gen->now + pos, bytes, len);
	gen->complete = false;
	n_writes++;
	return n == (ssize_t)len;
}

static bool sync_file(struct file *file, bool data_only)
{
	if (data_only ? fdatasync(file->fd) : fsync(file->fd)) {
		if (!down)
			fail("fsync: %s", strerror(errno));
		return false;
	}
	/* ext4 looks for the shutdown first and may find nothing left to commit after it. */
	if (down)
		return false;
	note_synced(newest(file));
	if (!data_only)
		forget_others(file, file->n - 1);
	return true;
}

/* As an editor saves: the new content gets the old name when it is there. */
static bool replace(struct file *file, unsigned int i, bool sync_first, bool close_first)
{
	struct generation *gen = calloc(1, sizeof(*gen));
	char from[PATH_MAX];
	int fd;

	if (!gen || file->n == N_GENERATIONS) {
		free(gen);
		return sync_file(file, false);
	}
	strcpy(from, path_of(upper, i, ".new"));
	fd = open(from, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 && errno == EIO && !unlink(from)) {	/* of a crash: never synced, without its header */
		n_headless++;
		fd = open(from, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	}
	if (fd < 0 || !put(fd, gen, 0, 1 + below(20000)) || (sync_first && fsync(fd))) {
		if (!down)
			fail("replacement: %s", strerror(errno));
		goto gone;
	}
	if (sync_first && !down)
		note_synced(gen);
	if (close_first && close(fd) && !down)
		fail("close: %s", strerror(errno));
	gen->complete = !down;
	if (rename(from, path_of(upper, i, ""))) {
		if (!down)
			fail("rename: %s", strerror(errno));
		gen->complete = false;	/* it may have happened all the same */
	}
	close(file->fd);
	if (!close_first)
		file->fd = fd;
	else
		file->fd = open(path_of(upper, i, ""), O_RDWR | O_CLOEXEC);
	file->generations[file->n++] = gen;
	return file->fd >= 0;
gone:
	if (fd >= 0)
		close(fd);
	free(gen);
	return false;
}

/* The kernel's flusher, for the lower file: when it comes is not ours to say. */
static void flush_below(unsigned int i)
{
	int fd = open(path_of(lower, i, ""), O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
			SYNC_FILE_RANGE_WAIT_AFTER);
	close(fd);
}

static bool reopen(struct file *file, unsigned int i)
{
	if (close(file->fd) && !down)
		fail("close: %s", strerror(errno));
	file->fd = open(path_of(upper, i, ""), O_RDWR | O_CLOEXEC);
	if (file->fd < 0 && !down)
		fail("open: %s", strerror(errno));
	return file->fd >= 0;
}

static bool cut(struct file *file, size_t len)
{
	struct generation *gen = newest(file);

	if (ftruncate(file->fd, (off_t)len) && !down)
		fail("ftruncate: %s", strerror(errno));
	gen->complete = false;
	note_len(gen, len);
	return true;
}

/* False ends the round: after the shutdown nothing goes. */
static bool step(void)
{
	unsigned int i = below(N_FILES);
	struct file *file = &files[i];
	struct generation *gen = newest(file);
	size_t pos = below((unsigned int)gen->len + 1), room = LEN_MAX - gen->len;

	switch (below(16)) {
	case 0: case 1: case 2: case 3: case 4:
		return room < 4096 ? cut(file, below(5000)) :
				     put(file->fd, gen, gen->len, 1 + below((unsigned int)room / 4));
	case 5: case 6:
		return gen->len == pos || put(file->fd, gen, pos, 1 + below((unsigned int)(gen->len - pos)));
	case 7:
		return cut(file, pos);
	case 8: case 9:
		return sync_file(file, below(4) == 0);
	case 10: case 11:
		flush_below(i);
		return !down;
	case 12:
		return replace(file, i, true, below(2));
	case 13:
		return replace(file, i, false, below(2));
	default:
		return reopen(file, i);
	}
}

struct end {
	int fd;
	uint32_t way;
	unsigned int after;	/* microseconds */
};

static void *shut_down(void *argument)
{
	const struct end *end = argument;
	uint32_t way = end->way;

	usleep(end->after);
	atomic_store(&down, true);
	MUST(ioctl(end->fd, EXT4_SHUTDOWN, &way));
	return NULL;
}

static void write_until_down(unsigned int way)
{
	struct end end = {
		.fd = MUST(open(lower, O_RDONLY | O_DIRECTORY | O_CLOEXEC)),
		.way = way,
		.after = 1000u * (20 + below(600)),
	};
	pthread_t thread;

	REQUIRE(!pthread_create(&thread, NULL, shut_down, &end));
	while (step())
		;
	REQUIRE(!pthread_join(thread, NULL));
	REQUIRE(down);
	for (unsigned int i = 0; i < N_FILES; i++)
		if (files[i].fd >= 0)
			close(files[i].fd);
	close(end.fd);
}

static bool byte_ok(const struct generation *gen, size_t pos, uint8_t have)
{
	uint32_t tags = gen->written[pos];

	if (pos < gen->len_synced && have == gen->synced[pos])
		return true;
	if (tags & 1u << MAY_BE_ZERO && !have)
		return true;
	/* Behind the end the lower file may have had what an earlier crash has left there. */
	if (tags & 1u << MAY_BE_ZERO)
		tags = UINT32_MAX;
	for (unsigned int tag = 0; tag < MAY_BE_ZERO; tag++)
		if (tags & 1u << tag && have == value(tag, pos))
			return true;
	return false;
}

/* NULL if the bytes are what this generation can have become, or why not. */
static const char *judge(const struct generation *gen, const uint8_t *have, size_t len)
{
	static char why[120];

	if (len < gen->len_min || len > gen->len_max) {
		snprintf(why, sizeof(why), "%zu bytes, not %zu to %zu", len, gen->len_min,
			 gen->len_max);
		return why;
	}
	for (size_t i = 0; i < len; i++)
		if (!byte_ok(gen, i, have[i])) {
			snprintf(why, sizeof(why), "byte %zu of %zu is %02x, synced %02x, tags %08x",
				 i, len, have[i], gen->synced[i], gen->written[i]);
			return why;
		}
	return NULL;
}

/* What is there is the beginning of the next round. */
static void check_file(unsigned int i)
{
	struct file *file = &files[i];
	static uint8_t have[LEN_MAX + 1];
	const char *why = NULL;
	unsigned int match = file->n;
	struct generation *gen;
	struct stat st;
	ssize_t len;

	file->fd = open(path_of(upper, i, ""), O_RDWR | O_CLOEXEC);
	if (file->fd < 0)
		fail("file-%u does not open: %s", i, strerror(errno));
	len = pread(file->fd, have, sizeof(have), 0);
	if (len < 0)
		fail("file-%u cannot be read: %s", i, strerror(errno));
	MUST(fstat(file->fd, &st));
	/*
	 * Blocks of one unsynced growth reach the disk in any order: one in the middle may lack, and
	 * answers EIO. The judge sees to it that it was not synced. Then the user gives up the end.
	 */
	if (len != st.st_size) {
		n_holes++;
		REQUIRE(pread(file->fd, have + len, 1, len) < 0 && errno == EIO);
		REQUIRE(pwrite(file->fd, "x", 1, st.st_size) == 1);
		MUST(ftruncate(file->fd, len));
	}
	while (match > 0) {
		why = judge(file->generations[match - 1], have, (size_t)len);
		if (!why)
			break;
		match--;
	}
	if (!match)
		fail("file-%u: %s (of the oldest of %u generations)", i, why, file->n);
	match--;
	n_old += match + 1 < file->n;
	gen = file->generations[match];
	n_shorter += (size_t)len < gen->len;
	n_emptied += gen->complete && !len;
	forget_others(file, match);
	gen = file->generations[0];
	memcpy(gen->now, have, (size_t)len);
	gen->len = (size_t)len;
	note_synced(gen);
	if (len < (ssize_t)LEN_MAX - 100) {
		REQUIRE(put(file->fd, gen, gen->len, 100));
		REQUIRE(sync_file(file, false));
	}
	n_checked++;
}

int main(int argc, char **argv)
{
	unsigned long rounds = 0;
	const char *command = NULL;
	int opt;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((opt = getopt(argc, argv, "n:s:c:")) != -1) {
		switch (opt) {
		case 'n': rounds = strtoul(optarg, NULL, 10); break;
		case 's': random_state = strtoul(optarg, NULL, 10); break;
		case 'c': command = optarg; break;
		default: return 2;
		}
	}
	if (argc - optind != 2 || !rounds || !command)
		return 2;
	upper = argv[optind];
	lower = argv[optind + 1];
	for (unsigned int i = 0; i < N_FILES; i++) {
		files[i].generations[0] = calloc(1, sizeof(struct generation));
		files[i].n = 1;
		files[i].fd = MUST(open(path_of(upper, i, ""), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
		MUST(fsync(files[i].fd));
	}
	for (n_round = 1; n_round <= rounds; n_round++) {
		write_until_down(n_round % N_WAYS);
		REQUIRE(system(command) == 0);
		down = false;
		for (unsigned int i = 0; i < N_FILES; i++)
			check_file(i);
	}
	if (n_emptied)
		fail("%lu files were empty that had been complete when they got their name", n_emptied);
	printf("%lu crashes, %lu writes, %lu syncs; %lu files checked, %lu of them older, %lu shorter than when the power went; %lu new ones without a header, %lu with a hole\n",
	       rounds, n_writes, n_synced, n_checked, n_old, n_shorter, n_headless, n_holes);
	return 0;
}
