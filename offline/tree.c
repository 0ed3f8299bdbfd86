// SPDX-License-Identifier: GPL-2.0-only
#include "offline/tree.h"

#include "offline/name.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>

struct walk {
	const struct ec_offline_keys *keys;
	bool names;
	ec_offline_visit_fn visit;
	void *arg;
	int stop;		/* what the visitor returned, if it ended the walk */
};

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int walk_dir(struct walk *walk, int fd, const char *dir_path);

static int visit(struct walk *walk, const struct ec_offline_entry *entry)
{
	walk->stop = walk->visit(entry, walk->arg);
	return walk->stop;
}

static int plain_text(char **ret, const struct walk *walk, const char *lower,
		      enum ec_offline_name_kind kind)
{
	if (walk->names)
		return ec_offline_name_decrypt(ret, lower, walk->keys, kind);
	*ret = strdup(lower);
	return *ret ? 0 : -ENOMEM;
}

/* An error of the file itself is told to the visitor, who decides. */
static int visit_file(struct walk *walk, int dir_fd, struct ec_offline_entry *entry)
{
	_cleanup_offline_file_ struct ec_offline_file *file = NULL;
	_cleanup_close_ int fd = -1;

	/* O_NONBLOCK: were it changed into a FIFO meanwhile, this must not hang. */
	fd = openat(dir_fd, entry->lower_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	entry->error = fd < 0 ? -errno : ec_offline_file_new(&file, fd, walk->keys);
	entry->file = file;
	return visit(walk, entry);
}

static int visit_symlink(struct walk *walk, int dir_fd, struct ec_offline_entry *entry)
{
	_cleanup_free_ char *target = NULL;
	char lower[PATH_MAX];
	ssize_t n;

	n = readlinkat(dir_fd, entry->lower_name, lower, sizeof(lower));
	if (n < 0) {
		entry->error = -errno;
	} else if ((size_t)n >= sizeof(lower)) {
		entry->error = -ENAMETOOLONG;
	} else {
		lower[n] = '\0';
		entry->error = plain_text(&target, walk, lower, EC_OFFLINE_TARGET);
	}
	entry->target = target;
	return visit(walk, entry);
}

static int visit_dir(struct walk *walk, int dir_fd, struct ec_offline_entry *entry)
{
	int fd, r;

	fd = openat(dir_fd, entry->lower_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	entry->error = fd < 0 ? -errno : 0;
	r = visit(walk, entry);
	if (fd < 0)
		return r;
	if (r) {
		close(fd);
		return r;
	}
	entry->error = walk_dir(walk, fd, entry->path);
	if (!entry->error || walk->stop)
		return walk->stop;
	return visit(walk, entry);
}

static int visit_name(struct walk *walk, int dir_fd, const char *dir_path,
		      const char *lower_name)
{
	_cleanup_free_ char *plain = NULL, *path = NULL;
	struct ec_offline_entry entry = { .lower_name = lower_name };
	struct stat st = { 0 };

	entry.error = plain_text(&plain, walk, lower_name, EC_OFFLINE_COMPONENT);
	if (asprintf(&path, "%s%s%s", dir_path, *dir_path ? "/" : "",
		     plain ? plain : lower_name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	entry.path = path;
	entry.lower = &st;
	if (fstatat(dir_fd, lower_name, &st, AT_SYMLINK_NOFOLLOW) < 0 && !entry.error)
		entry.error = -errno;
	if (entry.error)
		return visit(walk, &entry);
	if (S_ISREG(st.st_mode))
		return visit_file(walk, dir_fd, &entry);
	if (S_ISLNK(st.st_mode))
		return visit_symlink(walk, dir_fd, &entry);
	if (S_ISDIR(st.st_mode))
		return visit_dir(walk, dir_fd, &entry);
	return visit(walk, &entry);
}

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* Takes fd, on failure too. */
static int walk_dir(struct walk *walk, int fd, const char *dir_path)
{
	_cleanup_(closedirp) DIR *dir = fdopendir(fd);
	struct dirent *dirent;
	int r;

	if (!dir) {
		r = -errno;
		close(fd);
		return r;
	}
	for (;;) {
		errno = 0;
		dirent = readdir(dir);
		if (!dirent)
			return -errno;
		if (is_dots(dirent->d_name))
			continue;
		r = visit_name(walk, dirfd(dir), dir_path, dirent->d_name);
		if (r)
			return r;
	}
}

int ec_offline_tree_walk(int dir_fd, const struct ec_offline_keys *keys, bool names,
			 ec_offline_visit_fn visitor, void *arg)
{
	struct walk walk = { .keys = keys, .names = names, .visit = visitor, .arg = arg };
	int fd;

	/* One of our own, read from the start: dir_fd stays where and what it is. */
	fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : walk_dir(&walk, fd, "");
}
