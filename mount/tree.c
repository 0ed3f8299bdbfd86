/* SPDX-License-Identifier: GPL-2.0-only */
/* Counting, watching, emptying and copying a directory tree, by descriptors only. */
#include "mount/tree.h"

#include "lib/cleanup.h"
#include "mount/clock.h"
#include "mount/pin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define COPY_PROGRAM "/usr/bin/cp"

int ec_tree_watch_poll(struct ec_tree_watch *watch)
{
	uint64_t now_ms = ec_now_ms();

	if (!watch)
		return 0;
	if (now_ms < watch->next_ms)
		return 0;
	watch->next_ms = now_ms + EC_TREE_TICK_MS;
	return watch->tick(watch->userdata);
}

struct walk {
	dev_t dev;		/* directories of another filesystem are visited, not entered */
	int (*visit)(struct walk *walk, int dir, const char *name, const struct stat *st);
	void *userdata;
	struct ec_tree_watch *watch;
	struct ec_why *why;
	char path[PATH_MAX];	/* of the entry at hand, for messages; cut if it is longer */
};

static int fail_here(struct walk *walk, int r)
{
	return ec_why_set(walk->why, r, "%s: %s", walk->path[0] ? walk->path : "/", strerror(-r));
}

static int walk_directory(struct walk *walk, int fd, unsigned int depth);

static int walk_entry(struct walk *walk, int fd, const char *name, unsigned int depth)
{
	struct stat st;
	int r = 0;

	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_here(walk, -errno);
	if (S_ISDIR(st.st_mode) && st.st_dev == walk->dev) {
		_cleanup_close_ int sub = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
						 O_CLOEXEC);

		r = sub < 0 ? fail_here(walk, -errno) : walk_directory(walk, sub, depth + 1);
	}
	if (r == 0)
		r = ec_tree_watch_poll(walk->watch);
	if (r < 0)
		return r;
	r = walk->visit(walk, fd, name, &st);
	return r < 0 ? fail_here(walk, r) : 0;
}

/* Children first. */
static int walk_directory(struct walk *walk, int fd, unsigned int depth)
{
	size_t len = strlen(walk->path);
	struct dirent *entry;
	DIR *dir = NULL;
	int r;

	r = depth > EC_TREE_DEPTH_MAX ? -ENAMETOOLONG : ec_pin_list(fd, &dir);
	if (r < 0)
		return fail_here(walk, r);
	while (r == 0 && (errno = 0, entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(walk->path + len, sizeof(walk->path) - len, "/%s", entry->d_name);
		r = walk_entry(walk, fd, entry->d_name, depth);
		walk->path[len] = 0;
	}
	if (r == 0 && errno)
		r = fail_here(walk, -errno);
	closedir(dir);
	return r;
}

static int walk_root(struct walk *walk, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	walk->dev = st.st_dev;
	return walk_directory(walk, fd, 0);
}

static int visit_count(struct walk *walk, int dir, const char *name, const struct stat *st)
{
	struct ec_tree_counts *counts = walk->userdata;

	counts->files++;
	if (S_ISREG(st->st_mode))
		counts->bytes += (uint64_t)st->st_size;
	return 0;
}

int ec_tree_count(int fd, struct ec_tree_watch *watch, struct ec_tree_counts *ret,
		  struct ec_why *why)
{
	struct ec_tree_counts counts = { 0 };
	struct walk walk = { .visit = visit_count, .userdata = &counts, .watch = watch,
			     .why = why };
	int r = walk_root(&walk, fd);

	if (r == 0)
		*ret = counts;
	return r;
}

/* Nobody shapes these numbers against us: who could do so owns the files. The finalizer is that
 * of splitmix64, which lets no bit of a value stay where it was. */
static uint64_t mix(uint64_t sum, uint64_t value)
{
	uint64_t z = sum + 0x9e3779b97f4a7c15u + value;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static uint64_t fingerprint(const struct stat *st, bool with_ctime)
{
	const uint64_t values[] = {
		st->st_ino, st->st_mode, st->st_uid, st->st_gid, st->st_nlink, st->st_rdev,
		S_ISDIR(st->st_mode) ? 0 : (uint64_t)st->st_size,
		(uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec,
		with_ctime ? (uint64_t)st->st_ctim.tv_sec : 0,
		with_ctime ? (uint64_t)st->st_ctim.tv_nsec : 0,
	};
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		sum = mix(sum, values[i]);
	return sum;
}

/* path is NULL for the directory itself. */
static void note_entry(struct ec_tree_note *note, const struct stat *st, const char *path)
{
	const struct timespec *time = path ? &st->st_ctim : &st->st_mtim, *newest = &note->newest;
	uint64_t sum = fingerprint(st, path);

	/* Sums, because the order of readdir(3) is nothing to rely on. */
	note->sums[0] += sum;
	note->sums[1] += mix(sum, 1);
	if (time->tv_sec < newest->tv_sec ||
	    (time->tv_sec == newest->tv_sec && time->tv_nsec <= newest->tv_nsec))
		return;
	note->newest = *time;
	snprintf(note->newest_path, sizeof(note->newest_path), "%s", path ? path : "/");
}

static int visit_note(struct walk *walk, int dir, const char *name, const struct stat *st)
{
	struct ec_tree_note *note = walk->userdata;

	note->counts.files++;
	if (S_ISREG(st->st_mode))
		note->counts.bytes += (uint64_t)st->st_size;
	note_entry(note, st, walk->path);
	return 0;
}

int ec_tree_take_note(int fd, struct ec_tree_watch *watch, struct ec_tree_note *ret,
		      struct ec_why *why)
{
	struct ec_tree_note note = { .counts = { 0 } };
	struct walk walk = { .visit = visit_note, .userdata = &note, .watch = watch,
			     .why = why };
	struct stat st;
	int r;

	/* First, so that what is made or removed during the walk shows the next time. */
	if (fstat(fd, &st) < 0)
		return -errno;
	note_entry(&note, &st, NULL);
	r = walk_root(&walk, fd);
	if (r == 0)
		*ret = note;
	return r;
}

bool ec_tree_note_equal(const struct ec_tree_note *a, const struct ec_tree_note *b)
{
	return a->counts.files == b->counts.files && a->counts.bytes == b->counts.bytes &&
	       a->sums[0] == b->sums[0] && a->sums[1] == b->sums[1];
}

/* A flag of chattr(1) in its way is taken off: what is emptied here is a copy. */
static int visit_remove(struct walk *walk, int dir, const char *name, const struct stat *st)
{
	const int flags = S_ISDIR(st->st_mode) ? AT_REMOVEDIR : 0;

	if (unlinkat(dir, name, flags) == 0 || errno == ENOENT)
		return 0;
	if (errno != EPERM)
		return -errno;
	ec_tree_unlock_flags(dir);
	if (S_ISDIR(st->st_mode) || S_ISREG(st->st_mode)) {
		_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
						O_CLOEXEC);

		if (fd >= 0)
			ec_tree_unlock_flags(fd);
	}
	return unlinkat(dir, name, flags) < 0 && errno != ENOENT ? -errno : 0;
}

int ec_tree_remove_contents(int fd, struct ec_tree_watch *watch, struct ec_why *why)
{
	struct walk walk = { .visit = visit_remove, .watch = watch, .why = why };

	return walk_root(&walk, fd);
}

/*
 * The child: from at 3, to at 4, words to stderr. "/." makes cp enter what the magic link leads
 * to; --one-file-system keeps it out of whatever is mounted meanwhile.
 */
static void exec_cp(int from, int to, int err)
{
	char *const argv[] = {
		(char *)"cp", (char *)"-a", (char *)"--one-file-system",
		(char *)"--no-target-directory", (char *)"--",
		(char *)"/proc/self/fd/3/.", (char *)"/proc/self/fd/4/.", NULL
	};
	char *const envp[] = { (char *)"LC_ALL=C", (char *)"PATH=/usr/bin:/bin", NULL };
	sigset_t none;
	int null = open("/dev/null", O_RDWR);

	/* Out of the way of the numbers that are about to be taken. */
	from = fcntl(from, F_DUPFD, 10);
	to = fcntl(to, F_DUPFD, 10);
	err = fcntl(err, F_DUPFD, 10);
	/* A copy that nobody waits for any more would go on writing into a vault that is in use. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (null < 0 || from < 0 || to < 0 || err < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
	    dup2(err, 2) < 0 || dup2(from, 3) < 0 || dup2(to, 4) < 0 ||
	    close_range(5, ~0u, 0) < 0)
		_exit(126);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(077);
	execve(COPY_PROGRAM, argv, envp);
	_exit(127);
}

/* Words of cp: the first ones are kept, the rest is drained, so that it never blocks. */
struct words {
	char text[700];
	size_t used;
};

/* 1 at the end of the pipe, 0 if there may be more. */
static int read_words(int fd, struct words *words)
{
	char chunk[512];
	size_t fits = sizeof(words->text) - 1 - words->used;
	ssize_t n = read(fd, chunk, sizeof(chunk));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : 1;
	if ((size_t)n < fits)
		fits = (size_t)n;
	memcpy(words->text + words->used, chunk, fits);
	words->used += fits;
	return n == 0;
}

/* Until cp has closed its end. A watch that says no ends cp, and what it says is returned. */
static int watch_child(pid_t pid, int fd, struct ec_tree_watch *watch, struct words *words)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	int r = 0;

	for (;;) {
		int n;

		if (r == 0) {
			r = ec_tree_watch_poll(watch);
			if (r < 0)
				kill(pid, SIGKILL);
		}
		n = poll(&pollfd, 1, 1000);
		if (n > 0 && read_words(fd, words))
			return r;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static void one_line(struct words *words)
{
	char *c;

	words->text[words->used] = 0;
	for (c = words->text; *c; c++)
		if (*c == '\n')
			*c = c[1] ? ';' : 0;
}

/* Names without the way that only the child knew them by. */
static void strip_paths(char *words)
{
	static const char *const paths[] = { "/proc/self/fd/3/./", "/proc/self/fd/4/./" };
	size_t i;
	char *at;

	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		while ((at = strstr(words, paths[i])))
			memmove(at, at + strlen(paths[i]), strlen(at + strlen(paths[i])) + 1);
}

static int explain_copy(int status, const char *words, struct ec_why *why)
{
	int r = -EIO;

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return ec_why_set(why, -ENOPKG, "%s is missing", COPY_PROGRAM);
	if (strstr(words, strerror(ENOSPC)))
		r = -ENOSPC;
	else if (strstr(words, strerror(EDQUOT)))
		r = -EDQUOT;
	return ec_why_set(why, r, "copying failed: %s", words[0] ? words : "cp gave no reason");
}

int ec_tree_copy(int from, int to, struct ec_tree_watch *watch, struct ec_why *why)
{
	struct words words = { .used = 0 };
	int err[2], status, r;
	pid_t pid;

	if (pipe2(err, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		exec_cp(from, to, err[1]);
	r = pid < 0 ? -errno : 0;
	close(err[1]);
	if (r == 0)
		r = watch_child(pid, err[0], watch, &words);
	close(err[0]);
	if (pid < 0)
		return r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (r < 0)
		return r;
	one_line(&words);
	strip_paths(words.text);
	return explain_copy(status, words.text, why);
}
