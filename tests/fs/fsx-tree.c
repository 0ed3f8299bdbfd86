// SPDX-License-Identifier: GPL-2.0-only
/* Operations of fsx on names: opening, making, moving and removing. */
#include "tests/fs/fsx.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static struct fsx_slot *free_slot(struct fsx *f)
{
	struct fsx_slot *slot;

	for (size_t i = 0; i < FSX_N_SLOTS; i++) {
		if (f->slots[i].fd[FSX_SUT] < 0)
			return &f->slots[i];
	}
	slot = &f->slots[fsx_below(f, FSX_N_SLOTS)];
	each_side(s) {
		if (close(slot->fd[s]) < 0)
			fsx_differ(f, "close: %s", strerror(errno));
		slot->fd[s] = -1;
	}
	return slot;
}

static void keep(struct fsx *f, const int fd[static FSX_N_SIDES], int flags)
{
	struct fsx_slot *slot = free_slot(f);
	struct stat st;

	each_side(s)
		slot->fd[s] = fd[s];
	slot->flags = flags;
	slot->regular = fstat(fd[FSX_ORACLE], &st) == 0 && S_ISREG(st.st_mode);
}

static int random_open_flags(struct fsx *f)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR, O_RDWR };
	int flags = modes[fsx_below(f, 5)] | O_NONBLOCK | O_CLOEXEC;

	flags |= fsx_chance(f, 60) ? O_CREAT : 0;
	flags |= fsx_chance(f, 12) ? O_TRUNC : 0;
	flags |= fsx_chance(f, 12) ? O_APPEND : 0;
	flags |= fsx_chance(f, 5) ? O_EXCL : 0;
	flags |= fsx_chance(f, 5) ? O_NOFOLLOW : 0;
	flags |= fsx_chance(f, 5) ? O_DIRECTORY : 0;
	flags |= fsx_chance(f, 5) ? O_SYNC : 0;
	flags |= fsx_chance(f, 5) ? O_DSYNC : 0;
	flags |= fsx_chance(f, 5) ? O_NOATIME : 0;
	flags |= !fsx_op_off("direct") && fsx_chance(f, 15) ? O_DIRECT : 0;
	if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY))
		flags &= ~O_DIRECTORY;	/* its meaning changed in Linux 6.4 */
	return flags;
}

static void op_open(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	int flags = random_open_flags(f), fd[FSX_N_SIDES];
	mode_t mode = 0600 | fsx_below(f, 01000) | (fsx_chance(f, 5) ? S_ISGID : 0);
	struct fsx_path path;
	struct stat st;

	fsx_pick_path(f, &path);
	/* what is no regular file refuses it, and the oracle is not asked for it */
	if (stat(path.in[FSX_ORACLE], &st) == 0 && !S_ISREG(st.st_mode))
		flags &= ~O_DIRECT;
	fsx_note(f, "%s flags %#o mode %#o", path.rel, flags, mode);
	each_side(s) {
		fd[s] = open(path.in[s], s ? flags & ~O_DIRECT : flags, mode);
		result[s] = fsx_result(fd[s]);
		if (fd[s] >= 0)
			result[s].ret = 0;
	}
	if (fsx_same(f, result))
		keep(f, fd, flags);
	fsx_compare_path(f, &path);
}

/*
 * Below a root ".." fails with EAGAIN if anybody in the system has renamed or mounted something
 * meanwhile: openat2(2) has its caller try again.
 */
static int try_openat2(int root, const char *rel, const struct open_how *how)
{
	int fd, tries = 0;

	do
		fd = syscall(SYS_openat2, root, rel, how, sizeof(*how));
	while (fd < 0 && errno == EAGAIN && how->resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT) &&
	       ++tries < 1000);
	return fd;
}

/* Relative to the root, and with what openat2() adds. */
static void op_openat2(struct fsx *f)
{
	static const uint64_t resolves[] = {
		0, RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV,
		RESOLVE_NO_MAGICLINKS, RESOLVE_CACHED, 1u << 20,
	};
	struct open_how how = { .flags = random_open_flags(f) & ~O_DIRECT,
				.resolve = resolves[fsx_below(f, 8)] };
	struct fsx_result result[FSX_N_SIDES];
	int fd[FSX_N_SIDES], root;
	char rel[PATH_MAX];
	struct fsx_path path;

	fsx_pick_existing(f, &path);
	how.mode = how.flags & O_CREAT ? 0600 | fsx_below(f, 0200) : 0;
	snprintf(rel, sizeof(rel), "%s%.3900s", fsx_chance(f, 15) ? "../" : fsx_chance(f, 20) ? "d0/../" :
		 fsx_chance(f, 5) ? "/" : "", path.rel);
	/* nothing of the other trees: the directory above is not the same on both sides */
	if (rel[0] == '.' && !(how.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)))
		how.resolve = RESOLVE_BENEATH;
	if (rel[0] == '/' && how.resolve != RESOLVE_IN_ROOT)
		how.resolve = RESOLVE_BENEATH;
	fsx_note(f, "%s flags %#llo mode %#llo resolve %#llx", rel, (unsigned long long)how.flags,
		 (unsigned long long)how.mode, (unsigned long long)how.resolve);
	each_side(s) {
		root = open(f->root[s], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (root < 0)
			fsx_die(f->root[s]);
		fd[s] = try_openat2(root, rel, &how);
		result[s] = fsx_result(fd[s] < 0 ? -1 : 0);
		close(root);
	}
	/* what is cached is each side's own affair; with it nothing is made or cut */
	if (how.resolve == RESOLVE_CACHED && (result[0].err == EAGAIN || result[1].err == EAGAIN)) {
		each_side(s) {
			if (fd[s] >= 0)
				close(fd[s]);
		}
		f->n_refused++;
		return;
	}
	if (fsx_same(f, result))
		keep(f, fd, how.flags);
	fsx_compare_path(f, &path);
}

static void op_close(struct fsx *f)
{
	struct fsx_slot *slot = fsx_pick_slot(f, -1);
	struct fsx_result result[FSX_N_SIDES];

	if (!slot)
		return;
	fsx_note(f, "slot %td", slot - f->slots);
	each_side(s) {
		result[s] = fsx_result(close(slot->fd[s]));
		slot->fd[s] = -1;
	}
	fsx_same(f, result);
}

/* O_TMPFILE: written, and then either linked to a name or forgotten */
static void op_tmpfile(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	struct fsx_path dir, path;
	bool named = fsx_chance(f, 60), excl = fsx_chance(f, 15), by_proc = fsx_chance(f, 50);
	size_t len = fsx_below(f, f->io_len_max);
	char proc[64];
	int fd[FSX_N_SIDES];

	fsx_pick_path(f, &dir);
	fsx_pick_path(f, &path);
	each_side(s)
		*strrchr(dir.in[s], '/') = '\0';
	fsx_note(f, "len %zu%s%s %s", len, excl ? " O_EXCL" : "", by_proc ? " by proc" : "",
		 named ? path.rel : "");
	each_side(s) {
		fd[s] = open(dir.in[s], O_TMPFILE | O_RDWR | O_CLOEXEC | (excl ? O_EXCL : 0), 0666);
		result[s] = fsx_result(fd[s] < 0 ? -1 : 0);
	}
	if (!fsx_same(f, result))
		return;
	each_side(s)
		result[s] = fsx_result(pwrite(fd[s], f->pattern, len, 0));
	fsx_same(f, result);
	if (named) {
		each_side(s) {
			snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd[s]);
			if (by_proc)
				result[s] = fsx_result(linkat(AT_FDCWD, proc, AT_FDCWD, path.in[s],
							      AT_SYMLINK_FOLLOW));
			else
				result[s] = fsx_result(linkat(fd[s], "", AT_FDCWD, path.in[s],
							      AT_EMPTY_PATH));
		}
		fsx_same(f, result);
		fsx_compare_path(f, &path);
	}
	keep(f, fd, O_RDWR);
}

static void op_mkdir(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	mode_t mode = 0700 | fsx_below(f, 0100) | (fsx_chance(f, 10) ? S_ISVTX : 0);
	struct fsx_path path;

	fsx_pick_path(f, &path);
	fsx_note(f, "%s mode %#o", path.rel, mode);
	each_side(s)
		result[s] = fsx_result(mkdir(path.in[s], mode));
	fsx_same(f, result);
	fsx_compare_path(f, &path);
}

static void remove_by(struct fsx *f, const struct fsx_path *path, int (*call)(const char *path))
{
	struct fsx_result result[FSX_N_SIDES];

	fsx_note(f, "%s", path->rel);
	each_side(s)
		result[s] = fsx_result(call(path->in[s]));
	fsx_same(f, result);
	fsx_compare_path(f, path);
}

/* Few are directories, and empty: now and then, one is made first. */
static void op_rmdir(struct fsx *f)
{
	struct fsx_path path;

	fsx_pick_existing(f, &path);
	if (fsx_chance(f, 20)) {
		fsx_pick_path(f, &path);
		each_side(s)
			mkdir(path.in[s], 0755);
	}
	remove_by(f, &path, rmdir);
}

static void op_unlink(struct fsx *f)
{
	struct fsx_path path;

	fsx_pick_existing(f, &path);
	remove_by(f, &path, unlink);
}

static void op_link(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	struct fsx_path from, to;
	int flags = fsx_chance(f, 30) ? AT_SYMLINK_FOLLOW : 0;

	fsx_pick_existing(f, &from);
	fsx_pick_path(f, &to);
	fsx_note(f, "%s to %s flags %#x", from.rel, to.rel, flags);
	each_side(s)
		result[s] = fsx_result(linkat(AT_FDCWD, from.in[s], AT_FDCWD, to.in[s], flags));
	fsx_same(f, result);
	fsx_compare_path(f, &from);
	fsx_compare_path(f, &to);
}

static void rename_with(struct fsx *f, unsigned int flags)
{
	struct fsx_result result[FSX_N_SIDES];
	struct fsx_path from, to;

	fsx_pick_existing(f, &from);
	fsx_pick_path(f, &to);
	fsx_note(f, "%s to %s flags %#x", from.rel, to.rel, flags);
	each_side(s) {
		if (fsx_sabotage(f, s, FSX_BREAK_NAME) && access(from.in[s], F_OK) == 0)
			result[s] = (struct fsx_result){ 0, 0 };
		else
			result[s] = fsx_result(renameat2(AT_FDCWD, from.in[s], AT_FDCWD, to.in[s],
							 flags));
	}
	fsx_same(f, result);
	fsx_compare_path(f, &from);
	fsx_compare_path(f, &to);
}

static void op_rename(struct fsx *f)
{
	rename_with(f, 0);
}

static void op_renameat2(struct fsx *f)
{
	static const unsigned int all_flags[] = {
		RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_NOREPLACE | RENAME_EXCHANGE, 1u << 5,
	};

	rename_with(f, all_flags[fsx_below(f, fsx_chance(f, 90) ? 2 : 4)]);
}

static void op_whiteout(struct fsx *f)
{
	rename_with(f, RENAME_WHITEOUT | (fsx_chance(f, 30) ? RENAME_NOREPLACE : 0));
}

static void fill_target(struct fsx *f, char *ret, size_t len)
{
	for (size_t i = 0; i < len; i++)
		ret[i] = i % 64 == 63 ? '/' : (char)('a' + fsx_below(f, 26));
	ret[len] = '\0';
}

static void op_symlink(struct fsx *f)
{
	/* none leads out of the tree: both sides would meet there, and operations follow links */
	static const char *const targets[] = { "n0", "./n1", "/nonexistent.fsx/x", "n3/n2", "d0" };
	struct fsx_result result[FSX_N_SIDES];
	char target[PATH_MAX];
	struct fsx_path path;

	fsx_pick_path(f, &path);
	if (fsx_chance(f, 60))
		snprintf(target, sizeof(target), "%s", targets[fsx_below(f, 5)]);
	else if (fsx_chance(f, 70))
		fill_target(f, target, 1 + fsx_below(f, 300));
	else
		fill_target(f, target, fsx_chance(f, 30) ? f->link_len_max :
				       1 + fsx_below(f, f->link_len_max));
	fsx_note(f, "%s to %zu bytes", path.rel, strlen(target));
	each_side(s)
		result[s] = fsx_result(symlink(target, path.in[s]));
	fsx_same(f, result);
	fsx_compare_path(f, &path);
}

static void op_readlink(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	size_t len = fsx_chance(f, 70) ? PATH_MAX : 1 + fsx_below(f, 20);
	struct fsx_path path;
	struct stat st;
	int tries = 10;

	do
		fsx_pick_path(f, &path);
	while (tries-- && (lstat(path.in[FSX_ORACLE], &st) < 0 || !S_ISLNK(st.st_mode)));
	fsx_note(f, "%s buffer %zu", path.rel, len);
	each_side(s)
		result[s] = fsx_result(readlink(path.in[s], (char *)f->buf[s], len));
	fsx_same_bytes(f, result, result[0].ret > 0 ? result[0].ret : 0);
}

static void op_mknod(struct fsx *f)
{
	static const mode_t kinds[] = { S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK, S_IFREG };
	struct fsx_result result[FSX_N_SIDES];
	mode_t mode = kinds[fsx_below(f, 5)] | 0644;
	/* majors for local use: nothing is behind them */
	dev_t dev = S_ISCHR(mode) || S_ISBLK(mode) ? makedev(240, fsx_below(f, 1 << 20)) : 0;
	struct fsx_path path;

	fsx_pick_path(f, &path);
	fsx_note(f, "%s mode %#o", path.rel, mode);
	each_side(s)
		result[s] = fsx_result(mknod(path.in[s], mode, dev));
	fsx_same(f, result);
	fsx_compare_path(f, &path);
}

struct entry {
	char name[NAME_MAX + 1];
	unsigned char type;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

#define N_ENTRIES_MAX 128u

static size_t read_entries(DIR *dir, struct entry *ret)
{
	struct dirent *entry;
	size_t n = 0;

	while ((entry = readdir(dir)) && n < N_ENTRIES_MAX) {
		snprintf(ret[n].name, sizeof(ret[n].name), "%s", entry->d_name);
		ret[n++].type = entry->d_type;
	}
	return n;
}

/* A seek back to where telldir() was must give the rest again. */
static void check_seek(struct fsx *f, DIR *dir, const struct entry *all, size_t n)
{
	static struct entry again[N_ENTRIES_MAX];
	size_t from = fsx_below(f, n);
	size_t m;
	long at;

	rewinddir(dir);
	for (size_t i = 0; i < from; i++)
		readdir(dir);
	at = telldir(dir);
	m = read_entries(dir, again);
	if (m != n - from)
		fsx_differ(f, "%zu entries after the %zu-th instead of %zu", m, from, n - from);
	seekdir(dir, at);
	m = read_entries(dir, again);
	if (m != n - from)
		fsx_differ(f, "%zu entries after a seek to the %zu-th instead of %zu", m, from,
			   n - from);
	for (size_t i = 0; i < m; i++) {
		if (strcmp(again[i].name, all[from + i].name))
			fsx_differ(f, "after a seek '%s' instead of '%s'", again[i].name,
				   all[from + i].name);
	}
}

static void op_readdir(struct fsx *f)
{
	static struct entry entries[FSX_N_SIDES][N_ENTRIES_MAX];
	struct fsx_result result[FSX_N_SIDES];
	size_t n[FSX_N_SIDES] = { 0 };
	struct fsx_path path;
	DIR *dir;

	fsx_pick_path(f, &path);
	if (fsx_chance(f, 80)) {
		each_side(s)
			*strrchr(path.in[s], '/') = '\0';
	}
	fsx_note(f, "%s", path.in[0] + strlen(f->root[0]));
	each_side(s) {
		dir = opendir(path.in[s]);
		result[s] = fsx_result(dir ? 0 : -1);
		if (!dir)
			continue;
		n[s] = read_entries(dir, entries[s]);
		if (s == FSX_SUT && n[s])
			check_seek(f, dir, entries[s], n[s]);
		closedir(dir);
		qsort(entries[s], n[s], sizeof(entries[s][0]), by_name);
	}
	fsx_same(f, result);
	if (n[0] != n[1])
		fsx_differ(f, "%zu entries instead of %zu", n[0], n[1]);
	for (size_t i = 0; i < n[0]; i++) {
		if (strcmp(entries[0][i].name, entries[1][i].name))
			fsx_differ(f, "entry '%s' instead of '%s'", entries[0][i].name,
				   entries[1][i].name);
		if (entries[0][i].type != entries[1][i].type &&
		    entries[0][i].type != DT_UNKNOWN)
			fsx_differ(f, "entry '%s' has type %u instead of %u", entries[0][i].name,
				   entries[0][i].type, entries[1][i].type);
	}
}

struct fsx_op fsx_tree_ops[] = {
	{ "open", 100, op_open },
	{ "openat2", 20, op_openat2 },
	{ "close", 25, op_close },
	{ "tmpfile", 10, op_tmpfile },
	{ "mkdir", 10, op_mkdir },
	{ "rmdir", 8, op_rmdir },
	{ "unlink", 18, op_unlink },
	{ "link", 15, op_link },
	{ "rename", 15, op_rename },
	{ "renameat2", 12, op_renameat2 },
	{ "whiteout", 3, op_whiteout },
	{ "symlink", 12, op_symlink },
	{ "readlink", 10, op_readlink },
	{ "mknod", 6, op_mknod },
	{ "readdir", 12, op_readdir },
	{ NULL },
};
