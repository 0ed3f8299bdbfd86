// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contention: several processes write interleaved stripes of one file whose borders lie within
 * pages, by write() and by shared mappings, while others append to, truncate and rename files
 * beside it. Each knows what its own stripes must hold, so the oracle is arithmetic.
 */
#include "tests/fs/fsx.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STRIPE_LEN	777u	/* bytes; no divisor of a page */
#define N_STRIPES_EACH	24u
#define RECORD_LEN	61u	/* bytes of one record of the appended file */

struct worker {
	struct fsx *f;
	unsigned int id, n_procs;
	uint32_t written[N_STRIPES_EACH];	/* the generation each stripe holds */
	int fd;
	char path[PATH_MAX];
};

static void fill(uint8_t *buf, unsigned int id, unsigned int stripe, uint32_t generation)
{
	for (size_t i = 0; i < STRIPE_LEN; i++)
		buf[i] = (uint8_t)(i * 7 + id * 31 + stripe * 13 + generation * 101);
}

static off_t stripe_offset(const struct worker *w, unsigned int id, unsigned int stripe)
{
	return (off_t)(stripe * w->n_procs + id) * STRIPE_LEN;
}

static void check_stripe(struct worker *w, int fd, unsigned int id, unsigned int stripe,
			 uint32_t generation)
{
	uint8_t want[STRIPE_LEN], have[STRIPE_LEN];
	ssize_t n = pread(fd, have, STRIPE_LEN, stripe_offset(w, id, stripe));

	fill(want, id, stripe, generation);
	if (n != STRIPE_LEN)
		fsx_differ(w->f, "stripe %u of process %u: %zd bytes: %s", stripe, id, n,
			   n < 0 ? strerror(errno) : "short");
	for (size_t i = 0; i < STRIPE_LEN; i++) {
		if (have[i] != want[i])
			fsx_differ(w->f, "stripe %u of process %u, generation %u: byte %zu (%lld of the file) is %02x instead of %02x",
				   stripe, id, generation, i,
				   (long long)stripe_offset(w, id, stripe) + (long long)i, have[i],
				   want[i]);
	}
}

static void write_stripe(struct worker *w, unsigned int stripe)
{
	uint8_t bytes[STRIPE_LEN + 1];
	off_t at = stripe_offset(w, w->id, stripe), page = at & ~4095l;
	size_t len = STRIPE_LEN + (w->f->sabotage == FSX_BREAK_STRIPE);

	fill(bytes, w->id, stripe, ++w->written[stripe]);
	bytes[STRIPE_LEN] = 0xee;
	if (fsx_chance(w->f, 50)) {
		if (pwrite(w->fd, bytes, len, at) != (ssize_t)len)
			fsx_differ(w->f, "pwrite: %s", strerror(errno));
		return;
	}
	uint8_t *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, page);

	if (map == MAP_FAILED)
		fsx_differ(w->f, "mmap: %s", strerror(errno));
	memcpy(map + (at - page), bytes, len);
	if (fsx_chance(w->f, 20) && msync(map, 8192, MS_SYNC) < 0)
		fsx_differ(w->f, "msync: %s", strerror(errno));
	munmap(map, 8192);
}

/* O_APPEND is atomic: no record may be torn or lost. */
static void append_record(struct worker *w, int fd, unsigned int number)
{
	char record[RECORD_LEN + 1];

	snprintf(record, sizeof(record), "%3u %10u %0*d\n", w->id, number, (int)RECORD_LEN - 16, 0);
	if (write(fd, record, RECORD_LEN) != (ssize_t)RECORD_LEN)
		fsx_differ(w->f, "append: %s", strerror(errno));
}

/* Names and sizes in motion beside the shared file; only crashes and hangs are of interest. */
static void churn(struct worker *w)
{
	char a[PATH_MAX], b[PATH_MAX];
	int fd;

	snprintf(a, sizeof(a), "%s/churn%zu", w->f->root[FSX_SUT], fsx_below(w->f, 4));
	snprintf(b, sizeof(b), "%s/churn%zu", w->f->root[FSX_SUT], fsx_below(w->f, 4));
	fd = open(a, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0) {
		if (ftruncate(fd, fsx_below(w->f, 20000)) < 0 ||
		    pwrite(fd, "churn", 5, fsx_below(w->f, 20000)) < 0)
			fsx_differ(w->f, "%s: %s", a, strerror(errno));
		close(fd);
	}
	if (fsx_chance(w->f, 40) && rename(a, b) < 0 && errno != ENOENT)
		fsx_differ(w->f, "rename: %s", strerror(errno));
	if (fsx_chance(w->f, 20) && unlink(b) < 0 && errno != ENOENT)
		fsx_differ(w->f, "unlink: %s", strerror(errno));
}

static void work(struct worker *w, unsigned long n_rounds)
{
	char log_path[PATH_MAX];
	unsigned int n_appended = 0;
	int log;

	snprintf(log_path, sizeof(log_path), "%s/appended", w->f->root[FSX_SUT]);
	w->fd = open(w->path, O_RDWR | O_CLOEXEC);
	log = open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (w->fd < 0 || log < 0)
		fsx_die(w->path);
	for (unsigned int i = 0; i < N_STRIPES_EACH; i++)
		write_stripe(w, i);
	for (unsigned long round = 0; round < n_rounds; round++) {
		unsigned int stripe = fsx_below(w->f, N_STRIPES_EACH);

		w->f->op = round;
		w->f->op_name = "contend";
		write_stripe(w, stripe);
		check_stripe(w, w->fd, w->id, stripe, w->written[stripe]);
		if (round % 4 == 0)
			append_record(w, log, n_appended++);
		if (round % 16 == 0)
			churn(w);
		if (round % 64 == 0 && fdatasync(w->fd) < 0)
			fsx_differ(w->f, "fdatasync: %s", strerror(errno));
	}
	for (unsigned int i = 0; i < N_STRIPES_EACH; i++)
		check_stripe(w, w->fd, w->id, i, w->written[i]);
	close(log);
	close(w->fd);
}

static int check_appended(struct fsx *f, unsigned int n_procs, unsigned long n_rounds)
{
	unsigned long want = (n_rounds + 3) / 4 * n_procs, n = 0;
	unsigned int *next = calloc(n_procs, sizeof(*next)), id, number;
	char path[PATH_MAX], line[256];
	FILE *file;
	int status = 0;

	snprintf(path, sizeof(path), "%s/appended", f->root[FSX_SUT]);
	file = fopen(path, "re");
	if (!file || !next)
		fsx_die(path);
	while (!status && fgets(line, sizeof(line), file)) {
		if (strlen(line) != RECORD_LEN || sscanf(line, "%u %u", &id, &number) != 2 ||
		    id >= n_procs || next[id]++ != number) {
			printf("fsx: DIFFERENCE: appended record %lu is torn or out of order\n", n);
			status = 1;
		}
		n++;
	}
	if (!status && n != want) {
		printf("fsx: DIFFERENCE: %lu of %lu appended records\n", n, want);
		status = 1;
	}
	fclose(file);
	free(next);
	return status;
}

int fsx_contend(struct fsx *f, unsigned int n_procs, unsigned long n_rounds)
{
	struct worker w = { .f = f, .n_procs = n_procs };
	int fd, status = 0, one;

	snprintf(w.path, sizeof(w.path), "%s/striped", f->root[FSX_SUT]);
	fd = open(w.path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	/* a page more than the stripes, so that every mapping lies within the file */
	if (fd < 0 || ftruncate(fd, (off_t)n_procs * N_STRIPES_EACH * STRIPE_LEN + 8192) < 0)
		fsx_die(w.path);
	for (w.id = 0; w.id < n_procs; w.id++) {
		pid_t pid = fork();

		if (pid < 0)
			fsx_die("fork");
		if (pid == 0) {
			f->seed += w.id;
			f->rng = f->seed;
			work(&w, n_rounds);
			exit(0);
		}
	}
	while (wait(&one) > 0)
		status |= one;
	close(fd);
	if (!status)
		status = check_appended(f, n_procs, n_rounds);
	printf("fsx: %u processes, %lu rounds each, seed %llu: %s\n", n_procs, n_rounds,
	       (unsigned long long)f->seed, status ? "DIFFERENT" : "no difference");
	return status ? 1 : 0;
}
