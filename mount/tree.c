/* SPDX-License-Identifier: GPL-2.0-only */
/* Counting, emptying and copying a directory tree, by descriptors only. */
#include "mount/tree.h"

#include "lib/cleanup.h"
#include "mount/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define COPY_PROGRAM "/usr/bin/cp"
#define DEPTH_MAX 512u

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

typedef int (*visit_fn)(int dir, const char *name, const struct stat *st, void *userdata);

static int fail_at(struct ec_why *why, int r, const char *name)
{
	return ec_why_set(why, r, "%s: %s", name, strerror(-r));
}

/* Children first. Directories of another filesystem than dev are visited, not entered. */
static int walk(int fd, dev_t dev, unsigned int depth, visit_fn visit, void *userdata,
		struct ec_tree_watch *watch, struct ec_why *why)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!dir || depth > DEPTH_MAX) {
		r = dir ? -ENAMETOOLONG : -errno;
		if (dir)
			closedir(dir);
		else if (copy >= 0)
			close(copy);
		return ec_why_set(why, r, "a directory cannot be read: %s", strerror(-r));
	}
	while (r == 0 && (errno = 0, entry = readdir(dir))) {
		const char *name = entry->d_name;
		struct stat st;

		if (!strcmp(name, ".") || !strcmp(name, ".."))
			continue;
		if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			r = fail_at(why, -errno, name);
			break;
		}
		if (S_ISDIR(st.st_mode) && st.st_dev == dev) {
			_cleanup_close_ int sub = openat(fd, name, O_RDONLY | O_DIRECTORY |
							 O_NOFOLLOW | O_CLOEXEC);

			r = sub < 0 ? fail_at(why, -errno, name) :
			    walk(sub, dev, depth + 1, visit, userdata, watch, why);
		}
		if (r == 0)
			r = ec_tree_watch_poll(watch);
		if (r == 0) {
			r = visit(fd, name, &st, userdata);
			if (r < 0)
				fail_at(why, r, name);
		}
	}
	if (r == 0 && errno)
		r = ec_why_set(why, -errno, "a directory cannot be read: %s", strerror(errno));
	closedir(dir);
	return r;
}

static int walk_root(int fd, visit_fn visit, void *userdata, struct ec_tree_watch *watch,
		     struct ec_why *why)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return walk(fd, st.st_dev, 0, visit, userdata, watch, why);
}

static int visit_count(int dir, const char *name, const struct stat *st, void *userdata)
{
	struct ec_tree_counts *counts = userdata;

	counts->files++;
	if (S_ISREG(st->st_mode))
		counts->bytes += (uint64_t)st->st_size;
	return 0;
}

int ec_tree_count(int fd, struct ec_tree_watch *watch, struct ec_tree_counts *ret,
		  struct ec_why *why)
{
	struct ec_tree_counts counts = { 0 };
	int r = walk_root(fd, visit_count, &counts, watch, why);

	if (r == 0)
		*ret = counts;
	return r;
}

static int visit_remove(int dir, const char *name, const struct stat *st, void *userdata)
{
	if (unlinkat(dir, name, S_ISDIR(st->st_mode) ? AT_REMOVEDIR : 0) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

int ec_tree_remove_contents(int fd, struct ec_tree_watch *watch, struct ec_why *why)
{
	return walk_root(fd, visit_remove, NULL, watch, why);
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
