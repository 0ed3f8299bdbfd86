// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver of fsx: options, the random choice of operations, and the verdict. See fsx.h.
 *
 *   fsx [-s SEED] [-n OPS] [-c HOOK] [-e EVERY] [-f FILE_LEN] [-i IO_LEN] [-L LINK_LEN]
 *       [-N NAME_LEN] [-x OP,OP] [-p PROCS] [-B KIND] [-v] DIRECTORY PLAIN_DIRECTORY
 *
 * HOOK is a shell command run every EVERY operations with nothing open: to drop caches, to
 * unmount and to mount again. Status 0: no difference; 1: a difference, reported; 2: could not run.
 */
#include "tests/fs/fsx.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct fsx_op *const fsx_tables[] = {
	fsx_data_ops, fsx_map_ops, fsx_async_ops, fsx_tree_ops, fsx_attr_ops, fsx_fd_ops,
};
#define N_TABLES (sizeof(fsx_tables) / sizeof(fsx_tables[0]))

#define for_each_op(op)							\
	for (size_t table_ = 0; table_ < N_TABLES; table_++)		\
		for (op = fsx_tables[table_]; op->name; op++)

uint64_t fsx_random(struct fsx *f)
{
	uint64_t z = f->rng += 0x9e3779b97f4a7c15u;	/* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

size_t fsx_below(struct fsx *f, size_t n)
{
	return fsx_random(f) % n;
}

bool fsx_chance(struct fsx *f, unsigned int percent)
{
	return fsx_below(f, 100) < percent;
}

/* Long names are one letter many times. */
static void squeeze(char *text)
{
	char *to = text, *from = text;

	while (*from) {
		size_t run = 1;

		while (from[run] == *from)
			run++;
		if (run > 12)
			to += sprintf(to, "<%c*%zu>", *from, run);
		else
			to = (char *)memmove(to, from, run) + run;
		from += run;
	}
	*to = '\0';
}

void fsx_note(struct fsx *f, const char *format, ...)
{
	char *note = f->notes[f->n_notes++ % FSX_N_NOTES];
	va_list args;
	int n;

	n = snprintf(note, FSX_NOTE_LEN, "%lu %s%s ", f->op, f->op_name, geteuid() ? " (user)" : "");
	va_start(args, format);
	if (n > 0 && (size_t)n < FSX_NOTE_LEN)
		vsnprintf(note + n, FSX_NOTE_LEN - n, format, args);
	va_end(args);
	squeeze(note);
	if (f->verbose)
		fprintf(stderr, "%s\n", note);
}

void fsx_differ(struct fsx *f, const char *format, ...)
{
	unsigned long first = f->n_notes > FSX_N_NOTES ? f->n_notes - FSX_N_NOTES : 0;
	va_list args;

	printf("fsx: DIFFERENCE at operation %lu (%s), seed %llu, in %s: ", f->op,
	       f->op_name ? f->op_name : "-", (unsigned long long)f->seed, f->root[FSX_SUT]);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\nfsx: the last operations:\n");
	for (unsigned long i = first; i < f->n_notes; i++)
		printf("fsx:   %s\n", f->notes[i % FSX_N_NOTES]);
	fflush(stdout);
	_exit(1);
}

void fsx_die(const char *what)
{
	fprintf(stderr, "fsx: %s: %s\n", what, strerror(errno));
	exit(2);
}

struct fsx_result fsx_result(long ret)
{
	return (struct fsx_result){ .ret = ret, .err = ret < 0 ? errno : 0 };
}

static struct fsx_op *running;

bool fsx_same(struct fsx *f, const struct fsx_result result[static FSX_N_SIDES])
{
	const struct fsx_result *sut = &result[FSX_SUT], *oracle = &result[FSX_ORACLE];

	if (sut->err != oracle->err || (!sut->err && sut->ret != oracle->ret)) {
		if (!sut->err && !oracle->err)
			fsx_differ(f, "returned %ld instead of %ld", sut->ret, oracle->ret);
		fsx_differ(f, "%s (%ld) instead of %s (%ld)",
			   sut->err ? strerror(sut->err) : "success", sut->ret,
			   oracle->err ? strerror(oracle->err) : "success", oracle->ret);
	}
	if (oracle->err == ENOSYS && running->newer)
		fsx_lacks(running->name, "this kernel has no such call");
	if (!oracle->err)
		fsx_ok(f);
	return !oracle->err;
}

/* memcmp() first: a loop takes many times as long on an emulated processor. */
size_t fsx_first_difference(const struct fsx *f, size_t len)
{
	size_t i = 0;

	if (memcmp(f->buf[FSX_SUT], f->buf[FSX_ORACLE], len) == 0)
		return len;
	while (f->buf[FSX_SUT][i] == f->buf[FSX_ORACLE][i])
		i++;
	return i;
}

bool fsx_same_bytes(struct fsx *f, const struct fsx_result result[static FSX_N_SIDES], size_t len)
{
	size_t at;

	if (!fsx_same(f, result))
		return false;
	at = fsx_first_difference(f, len);
	if (at < len)
		fsx_differ(f, "byte %zu of %zu read is %02x instead of %02x", at, len,
			   f->buf[FSX_SUT][at], f->buf[FSX_ORACLE][at]);
	return true;
}

bool fsx_sabotage(struct fsx *f, enum fsx_side side, enum fsx_break kind)
{
	return side == FSX_SUT && f->sabotage == kind;
}

void fsx_ok(struct fsx *f)
{
	running->n_ok++;
}

bool fsx_op_off(const char *name)
{
	struct fsx_op *op;

	for_each_op(op) {
		if (strcmp(op->name, name) == 0)
			return op->off;
	}
	return true;
}

void fsx_lacks(const char *name, const char *why)
{
	struct fsx_op *op;

	printf("fsx: %s is left out: %s\n", name, why);
	for_each_op(op) {
		if (strcmp(op->name, name) == 0)
			op->off = true;
	}
}

/* Directories that always exist; names in them come and go. */
static const char *const fsx_dirs[] = { "", "d0/", "d1/", "d0/inner/", "with space \xc3\xbc/" };
#define N_DIRS (sizeof(fsx_dirs) / sizeof(fsx_dirs[0]))

static void pick_name(struct fsx *f, char *ret, size_t len)
{
	size_t which = fsx_below(f, 9), name_len;

	if (which == 7) {
		name_len = f->name_len_max;
	} else if (which == 8) {
		name_len = f->name_len_max / 2;
	} else {
		snprintf(ret, len, "n%zu", which);
		return;
	}
	if (name_len >= len)
		name_len = len - 1;
	memset(ret, 'a' + (int)which, name_len);
	ret[name_len] = '\0';
}

void fsx_pick_path(struct fsx *f, struct fsx_path *ret)
{
	const char *dir = fsx_dirs[fsx_below(f, N_DIRS)];
	char name[NAME_MAX + 1], inner[NAME_MAX + 2] = "";

	pick_name(f, name, sizeof(name));
	if (fsx_chance(f, 10)) {
		inner[0] = '/';
		pick_name(f, inner + 1, sizeof(inner) - 1);
	}
	for (int s = 0; s < FSX_N_SIDES; s++)
		snprintf(ret->in[s], PATH_MAX, "%s/%s%s%s", f->root[s], dir, name, inner);
	ret->rel = ret->in[FSX_SUT] + strlen(f->root[FSX_SUT]) + 1;
}

void fsx_pick_existing(struct fsx *f, struct fsx_path *ret)
{
	struct stat st;
	int tries = 6;

	do
		fsx_pick_path(f, ret);
	while (tries-- && lstat(ret->in[FSX_ORACLE], &st) < 0);
}

struct fsx_slot *fsx_pick_slot(struct fsx *f, int flags)
{
	size_t first = fsx_below(f, FSX_N_SLOTS);

	for (size_t i = 0; i < FSX_N_SLOTS; i++) {
		struct fsx_slot *slot = &f->slots[(first + i) % FSX_N_SLOTS];
		int mode = slot->flags & O_ACCMODE;

		if (slot->fd[FSX_SUT] < 0 || !slot->regular)
			continue;
		if (flags < 0 || mode == O_RDWR || mode == flags)
			return slot;
	}
	return NULL;
}

void fsx_close_slots(struct fsx *f)
{
	for (size_t i = 0; i < FSX_N_SLOTS; i++) {
		struct fsx_slot *slot = &f->slots[i];
		struct fsx_result result[FSX_N_SIDES];

		if (slot->fd[FSX_SUT] < 0)
			continue;
		for (int s = 0; s < FSX_N_SIDES; s++) {
			result[s] = fsx_result(close(slot->fd[s]));
			slot->fd[s] = -1;
		}
		if (result[FSX_SUT].err)
			fsx_differ(f, "close: %s", strerror(result[FSX_SUT].err));
	}
}

static void make_dirs(struct fsx *f)
{
	char path[PATH_MAX];

	for (int s = 0; s < FSX_N_SIDES; s++) {
		for (size_t i = 0; i < N_DIRS; i++) {
			snprintf(path, sizeof(path), "%s/%s", f->root[s], fsx_dirs[i]);
			if (mkdir(path, 0777) < 0 && errno != EEXIST)
				fsx_die(path);
			/* chmod, because of the umask: users take part */
			if (chmod(path, 0777) < 0)
				fsx_die(path);
		}
	}
}

static struct fsx_op *pick_op(struct fsx *f)
{
	struct fsx_op *op;
	size_t total = 0, at;

	for_each_op(op)
		total += op->off ? 0 : op->weight;
	at = fsx_below(f, total);
	for_each_op(op) {
		if (op->off)
			continue;
		if (at < op->weight)
			return op;
		at -= op->weight;
	}
	abort();
}

static void run_one(struct fsx *f)
{
	struct fsx_op *op = pick_op(f);
	bool as_user = getuid() == 0 && fsx_chance(f, 12);

	running = op;
	f->op_name = op->name;
	op->n_run++;
	if (as_user && (setegid(1000) < 0 || seteuid(1000) < 0))
		fsx_die("seteuid");
	op->run(f);
	if (as_user && (seteuid(0) < 0 || setegid(0) < 0))
		fsx_die("seteuid");
}

static void run_all(struct fsx *f)
{
	unsigned long n_entries = 0, n_hooks = 0;

	for (f->op = 1; f->op <= f->n_ops; f->op++) {
		run_one(f);
		if (f->hook && f->op % f->hook_every == 0) {
			f->op_name = "hook";
			fsx_run_hook(f);
			n_hooks++;
		} else if (f->op % f->compare_every == 0) {
			f->op_name = "compare";
			n_entries += fsx_compare_trees(f);
		}
	}
	f->op_name = "end";
	if (f->hook)
		fsx_run_hook(f);
	fsx_close_slots(f);
	n_entries += fsx_compare_trees(f);
	printf("fsx: %lu operations, seed %llu, %lu hooks, %lu entries compared in whole, %lu clean refusals\n",
	       f->n_ops, (unsigned long long)f->seed, n_hooks, n_entries, f->n_refused);
}

static void print_counts(void)
{
	struct fsx_op *op;
	unsigned int column = 0;

	printf("fsx: operation run/succeeded:");
	for_each_op(op) {
		if (column++ % 6 == 0)
			printf("\nfsx:  ");
		if (op->off)
			printf(" %s -", op->name);
		else
			printf(" %s %lu/%lu", op->name, op->n_run, op->n_ok);
	}
	printf("\n");
}

/* An operation that never once succeeds tests nothing. */
static int check_counts(const struct fsx *f)
{
	struct fsx_op *op;
	int status = 0;

	if (f->n_ops < 10000)
		return 0;
	for_each_op(op) {
		if (op->off || op->n_ok > 0 || (op->refused && op->n_run > 0))
			continue;
		printf("fsx: %s never succeeded in %lu tries\n", op->name, op->n_run);
		status = 1;
	}
	return status;
}

static void exclude(const char *list)
{
	char *copy = strdup(list), *save = NULL;

	if (!copy)
		fsx_die("strdup");
	for (char *name = strtok_r(copy, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
		struct fsx_op *op;
		bool found = false;

		for_each_op(op) {
			if (strcmp(op->name, name) == 0)
				op->off = found = true;
		}
		if (!found) {
			fprintf(stderr, "fsx: -x: no operation '%s'\n", name);
			exit(2);
		}
	}
	free(copy);
}

static enum fsx_break break_by_name(const char *name)
{
	static const char *const names[] = { "none", "data", "size", "attr", "name", "time", "stripe" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], name) == 0)
			return i;
	}
	fprintf(stderr, "fsx: -B: none, data, size, attr, name, time or stripe\n");
	exit(2);
}

static void parse_options(struct fsx *f, int argc, char **argv, unsigned int *ret_procs)
{
	int opt;

	while ((opt = getopt(argc, argv, "s:n:c:e:f:i:L:N:x:p:B:v")) != -1) {
		switch (opt) {
		case 's': f->seed = strtoull(optarg, NULL, 0); break;
		case 'n': f->n_ops = strtoul(optarg, NULL, 0); break;
		case 'c': f->hook = optarg; break;
		case 'e': f->hook_every = strtoul(optarg, NULL, 0); break;
		case 'f': f->file_len_max = strtoul(optarg, NULL, 0); break;
		case 'i': f->io_len_max = strtoul(optarg, NULL, 0); break;
		case 'L': f->link_len_max = strtoul(optarg, NULL, 0); break;
		case 'N': f->name_len_max = strtoul(optarg, NULL, 0); break;
		case 'x': exclude(optarg); break;
		case 'p': *ret_procs = strtoul(optarg, NULL, 0); break;
		case 'B': f->sabotage = break_by_name(optarg); break;
		case 'v': f->verbose = true; break;
		default: exit(2);
		}
	}
	if (argc - optind != 2 || f->io_len_max < 1 || f->io_len_max > FSX_IO_LEN_MAX ||
	    f->hook_every < 1 || f->link_len_max < 1 || f->link_len_max >= PATH_MAX) {
		fprintf(stderr, "usage: fsx [options] DIRECTORY PLAIN_DIRECTORY\n");
		exit(2);
	}
	f->root[FSX_SUT] = argv[optind];
	f->root[FSX_ORACLE] = argv[optind + 1];
}

static void init_buffers(struct fsx *f)
{
	f->pattern = malloc(FSX_IO_LEN_MAX + 256);
	if (!f->pattern)
		fsx_die("malloc");
	for (size_t i = 0; i < FSX_IO_LEN_MAX + 256; i++)
		f->pattern[i] = fsx_random(f);
	for (int s = 0; s < FSX_N_SIDES; s++) {
		f->buf[s] = aligned_alloc(4096, 2 * FSX_IO_LEN_MAX);
		if (!f->buf[s])
			fsx_die("malloc");
	}
	for (size_t i = 0; i < FSX_N_SLOTS; i++)
		f->slots[i].fd[FSX_SUT] = f->slots[i].fd[FSX_ORACLE] = -1;
}

static bool is_stacked(const struct fsx *f)
{
	struct statfs fs[FSX_N_SIDES];

	each_side(s) {
		if (statfs(f->root[s], &fs[s]) < 0)
			fsx_die(f->root[s]);
	}
	return fs[FSX_SUT].f_type != fs[FSX_ORACLE].f_type;
}

int main(int argc, char **argv)
{
	struct fsx f = {
		.seed = (uint64_t)time(NULL) ^ ((uint64_t)getpid() << 32),
		.n_ops = 10000,
		.hook_every = 10000,
		.compare_every = 2500,
		.file_len_max = 65536,
		.io_len_max = 6000,
		.link_len_max = 4095,
		.name_len_max = 143,
	};
	unsigned int n_procs = 0;
	int status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	umask(022);
	parse_options(&f, argc, argv, &n_procs);
	f.rng = f.seed;
	init_buffers(&f);
	if (n_procs)
		return fsx_contend(&f, n_procs, f.n_ops);
	f.stacked = is_stacked(&f);
	fsx_async_init();
	make_dirs(&f);
	run_all(&f);
	print_counts();
	status = check_counts(&f);
	printf("fsx: %s\n", status ? "an operation was never tested" : "no difference");
	return status;
}
