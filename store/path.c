/* SPDX-License-Identifier: GPL-2.0-only */
/* Paths and files of others, opened without trusting any of them. */
#include "store/path.h"

#include "lib/cleanup.h"
#include "lib/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define LOCK_WAIT_MS	5000
#define LOCK_STEP_MS	50
#define SYMLINKS_MAX	8
#define TREE_DEPTH_MAX	256
#define READ_FLAGS	(O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

int st_fail(struct st_problem *problem, int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(problem->text, sizeof(problem->text), format, args);
	va_end(args);
	return r;
}

int st_fail_errno(struct st_problem *problem, int r, const char *what, const char *path)
{
	return st_fail(problem, r, "%s %s: %s", what, path, strerror(-r));
}

/*
 * The kernel takes CAP_DAC_READ_SEARCH, CAP_CHOWN and CAP_FOWNER out of the effective set when
 * the fsuid leaves 0, and puts them back when it returns (capabilities(7)). setfsuid() reports
 * nothing, so ask with an impossible uid what it is now.
 */
static void set_identity(uid_t uid, gid_t gid)
{
	setfsuid(0);		/* so that the gid may be changed */
	setfsgid(gid);
	setfsuid(uid);
	if ((uid_t)setfsuid((uid_t)-1) != uid || (gid_t)setfsgid((gid_t)-1) != gid)
		abort();
}

void st_become(uid_t uid, gid_t gid)
{
	set_identity(uid, gid);
}

void st_become_root(void)
{
	set_identity(0, 0);
}

bool st_name_is_component(const char *name)
{
	return name && *name && strlen(name) <= NAME_MAX && !strchr(name, '/') &&
	       strcmp(name, ".") && strcmp(name, "..");
}

bool st_path_is_normal(const char *path)
{
	const char *p = path;

	if (!path || *path != '/' || strlen(path) >= PATH_MAX)
		return false;
	if (!path[1])
		return true;
	while (*p) {
		size_t len;

		p++;
		len = strcspn(p, "/");
		if (!len || len > NAME_MAX || (len == 1 && p[0] == '.') ||
		    (len == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += len;
	}
	return true;
}

char *st_path_normalise(const char *path)
{
	char *normal = malloc(strlen(path) + 2), *end = normal;
	const char *p = path;

	if (!normal || *path != '/')
		return normal ? strcpy(normal, path) : NULL;
	while (*p) {
		size_t len = strcspn(++p, "/");

		if (len && (len != 1 || *p != '.')) {
			*end++ = '/';
			end = mempcpy(end, p, len);
		}
		p += len;
	}
	strcpy(end, end == normal ? "/" : "");
	return normal;
}

static int open_how(int dir_fd, const char *path, uint64_t flags, uint64_t resolve)
{
	const struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = resolve | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	do
		fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? -errno : (int)fd;
}

/* A symlink that only root can have made: in a root-owned directory that nobody else writes. */
static bool is_roots_symlink(int dir_fd, const char *name, char target[static PATH_MAX])
{
	struct stat dir, link;
	ssize_t len;

	if (fstat(dir_fd, &dir) < 0 || dir.st_uid != 0 || dir.st_mode & (S_IWGRP | S_IWOTH))
		return false;
	if (fstatat(dir_fd, name, &link, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISLNK(link.st_mode) || link.st_uid != 0)
		return false;
	len = readlinkat(dir_fd, name, target, PATH_MAX);
	if (len <= 0 || len >= PATH_MAX)
		return false;
	target[len] = '\0';
	return true;
}

/* path with its first symlink of root replaced. 0 if there is none, 1 if replaced. */
static int resolve_one_symlink(char **path)
{
	_cleanup_close_ int dir_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *p = *path;

	if (dir_fd < 0)
		return -errno;
	while (*p) {
		char target[PATH_MAX];
		size_t len = strcspn(p + 1, "/");
		_cleanup_free_ char *name = strndup(p + 1, len);
		int next;

		if (!name)
			return -ENOMEM;
		if (!len)
			return 0;
		next = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0 && errno == ENOTDIR && is_roots_symlink(dir_fd, name, target)) {
			char *resolved;
			int n;

			while (*target && target[1] && target[strlen(target) - 1] == '/')
				target[strlen(target) - 1] = '\0';
			if (target[0] == '/')
				n = asprintf(&resolved, "%s%s", target[1] ? target : "",
					     p + 1 + len);
			else
				n = asprintf(&resolved, "%.*s/%s%s", (int)(p - *path), *path,
					     target, p + 1 + len);
			if (n < 0)
				return -ENOMEM;
			free(*path);
			*path = resolved;
			return 1;
		}
		if (next < 0)
			return errno == ENOTDIR ? -ELOOP : -errno;
		close(dir_fd);
		dir_fd = next;
		p += 1 + len;
	}
	return 0;
}

/**
 * st_open_base() - open the directory in which homes stand
 * @path:	absolute and normal, as the user database has it
 * @ret_real:	the path without symlinks, new
 * @ret_fd:	O_PATH
 * @problem:	set on failure
 *
 * An administrator may have moved /home and left a symlink, so a symlink is followed if only
 * root can have placed it. Every other one is refused.
 *
 * Return: 0, -ELOOP, -ENOENT, ...
 */
int st_open_base(const char *path, char **ret_real, int *ret_fd, struct st_problem *problem)
{
	_cleanup_free_ char *real = strdup(path);
	unsigned int n;
	int r = 1, fd;

	if (!real)
		return st_fail(problem, -ENOMEM, "out of memory");
	for (n = 0; r == 1 && n <= SYMLINKS_MAX; n++) {
		if (!st_path_is_normal(real))
			return st_fail(problem, -ELOOP, "%s leads through a symlink that is not "
				       "an absolute or plain relative path", path);
		r = resolve_one_symlink(&real);
	}
	if (r == 1)
		r = -ELOOP;
	if (r < 0)
		return st_fail_errno(problem, r, "cannot go to", path);

	fd = open_how(AT_FDCWD, real, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
	if (fd < 0)
		return st_fail_errno(problem, fd, "cannot open", real);
	*ret_real = ec_take_ptr(real);
	*ret_fd = fd;
	return 0;
}

static int open_dir(int dir_fd, const char *path, int flags, int *ret_fd,
		    struct st_problem *problem)
{
	uint64_t resolve = RESOLVE_NO_SYMLINKS | (dir_fd == AT_FDCWD ? 0 : RESOLVE_BENEATH);
	int fd;

	fd = open_how(dir_fd, path, (unsigned int)flags | O_DIRECTORY | O_NOFOLLOW, resolve);
	if (fd == -ENOTDIR || fd == -ELOOP)
		return st_fail(problem, -ELOOP, "%s is not a directory, or a symlink is on the way "
			       "to it", path);
	if (fd < 0)
		return st_fail_errno(problem, fd, "cannot open", path);
	*ret_fd = fd;
	return 0;
}

/**
 * st_open_dir() - open a directory, following no symlink in any component
 * @dir_fd:	where path begins, or AT_FDCWD with an absolute path
 * @path:	normal
 * @ret_fd:	readable (O_RDONLY), so that it can be listed, locked and synced
 * @problem:	set on failure
 *
 * Return: 0, -ENOENT, -ELOOP for a symlink or another type of file, -EACCES, ...
 */
int st_open_dir(int dir_fd, const char *path, int *ret_fd, struct st_problem *problem)
{
	return open_dir(dir_fd, path, O_RDONLY | O_NONBLOCK, ret_fd, problem);
}

static int check_owned_dir(int fd, const char *path, uid_t owner, struct st_problem *problem)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return st_fail_errno(problem, -errno, "cannot look at", path);
	if (st.st_uid != owner)
		return st_fail(problem, -ELOOP, "%s belongs to uid %u, not to uid %u", path,
			       st.st_uid, owner);
	if (st.st_mode & S_IWOTH)
		return st_fail(problem, -ELOOP, "everybody may write to %s", path);
	return 0;
}

/**
 * st_pin_owned_dir() - a directory that must be somebody's own, on the way to another
 * @dir_fd, @path: as of st_open_dir()
 * @owner: its uid
 * @ret_fd: O_PATH: who may pass need not be allowed to list
 *
 * Return: as st_open_dir(); -ELOOP also if it belongs to somebody else or others may write to it.
 */
int st_pin_owned_dir(int dir_fd, const char *path, uid_t owner, int *ret_fd,
		     struct st_problem *problem)
{
	_cleanup_close_ int fd = -1;
	int r;

	r = open_dir(dir_fd, path, O_PATH, &fd, problem);
	if (r >= 0)
		r = check_owned_dir(fd, path, owner, problem);
	if (r < 0)
		return r;
	*ret_fd = ec_take_fd(&fd);
	return 0;
}

/**
 * st_open_owned_dir() - as st_open_dir(), for a directory that must be somebody's own
 * @owner: its uid
 *
 * Looked at before it is opened for reading, so that a foreign one is called foreign, not
 * unreadable.
 *
 * Return: 0; -ELOOP also if it belongs to somebody else or others may write to it.
 */
int st_open_owned_dir(int dir_fd, const char *path, uid_t owner, int *ret_fd,
		      struct st_problem *problem)
{
	_cleanup_close_ int look = -1, fd = -1;
	int r;

	r = st_pin_owned_dir(dir_fd, path, owner, &look, problem);
	if (r >= 0)
		r = open_dir(dir_fd, path, O_RDONLY | O_NONBLOCK, &fd, problem);
	if (r >= 0)
		r = check_owned_dir(fd, path, owner, problem);
	if (r < 0)
		return r;
	*ret_fd = ec_take_fd(&fd);
	return 0;
}

static int check_file(const struct stat *st, const char *name, uid_t owner, size_t len_max,
		      struct st_problem *problem)
{
	if (!S_ISREG(st->st_mode))
		return st_fail(problem, -ELOOP, "%s is not a regular file", name);
	if (st->st_uid != owner && st->st_uid != 0)
		return st_fail(problem, -ELOOP, "%s belongs to uid %u, not to uid %u", name,
			       st->st_uid, owner);
	if ((uintmax_t)st->st_size > len_max)
		return st_fail(problem, -EBADMSG, "%s has %ju bytes, more than the %zu that it may "
			       "have", name, (uintmax_t)st->st_size, len_max);
	return 0;
}

/**
 * st_read_file() - read a small file of a user
 * @dir_fd:	its directory
 * @name:	one component
 * @owner:	who must own it, unless root does
 * @len_max:	bytes; more is -EBADMSG without reading
 * @ret_text:	new, terminated
 * @ret_len:	bytes without the terminator
 * @problem:	set on failure
 *
 * Looked at before it is opened, because opening a FIFO or a device is an action by itself, and
 * again after, because the name may have changed its meaning.
 *
 * Return: 0, -ENOENT, -ELOOP (type, owner, symlink), -EBADMSG (size), -EACCES, -EIO, ...
 */
int st_read_file(int dir_fd, const char *name, uid_t owner, size_t len_max, char **ret_text,
		 size_t *ret_len, struct st_problem *problem)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t len = 0;
	int r;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return st_fail_errno(problem, -errno, "cannot look at", name);
	r = check_file(&st, name, owner, len_max, problem);
	if (r < 0)
		return r;
	fd = openat(dir_fd, name, READ_FLAGS);
	if (fd < 0)
		return st_fail_errno(problem, -errno, "cannot open", name);
	if (fstat(fd, &st) < 0)
		return st_fail_errno(problem, -errno, "cannot look at", name);
	r = check_file(&st, name, owner, len_max, problem);
	if (r < 0)
		return r;

	text = malloc(len_max + 2);
	if (!text)
		return st_fail(problem, -ENOMEM, "out of memory");
	while (len <= len_max) {
		ssize_t n = read(fd, text + len, len_max + 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return st_fail_errno(problem, -errno, "cannot read", name);
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (len > len_max)
		return st_fail(problem, -EBADMSG, "%s grew while it was read", name);
	text[len] = '\0';
	*ret_text = ec_take_ptr(text);
	*ret_len = len;
	return 0;
}

static int write_new_file(int dir_fd, const char *name, const void *bytes, size_t len)
{
	_cleanup_close_ int fd = -1;
	size_t done = 0;

	/* A crash may have left it. It is not a document yet, and we hold the lock. */
	if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	while (done < len) {
		ssize_t n = write(fd, (const char *)bytes + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	if (fsync(fd) < 0)
		return -errno;
	/* NFS reports a full disk as late as here. */
	return close(ec_take_fd(&fd)) < 0 ? -errno : 0;
}

/* Keeps the present file under another name, replacing an older one in one step. */
static int keep_backup(int dir_fd, const char *name, const char *backup_name)
{
	_cleanup_free_ char *step = NULL;
	int r = 0;

	if (asprintf(&step, "%s.new", backup_name) < 0)
		return -ENOMEM;
	if (unlinkat(dir_fd, step, 0) < 0 && errno != ENOENT)
		return -errno;
	if (linkat(dir_fd, name, dir_fd, step, 0) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (renameat(dir_fd, step, dir_fd, backup_name) < 0)
		r = -errno;
	/* rename() of two links to one file does nothing and leaves both. */
	(void)unlinkat(dir_fd, step, 0);
	return r;
}

/**
 * st_replace_file() - put new content in the place of a file, or leave the old one
 * @dir_fd:		its directory, locked by st_lock_dir()
 * @name:		one component
 * @backup_name:	the name under which the old content stays, or NULL
 * @bytes:		the content
 * @len:		bytes
 * @problem:		set on failure
 *
 * At every moment name holds the old or the new content, whole. After 0 the new one is on disk.
 *
 * Return: 0, -ENOSPC, -EDQUOT, -EROFS, -EACCES, -ELOOP for a directory in the way, ...
 */
int st_replace_file(int dir_fd, const char *name, const char *backup_name, const void *bytes,
		    size_t len, struct st_problem *problem)
{
	_cleanup_free_ char *step = NULL;
	int r;

	if (asprintf(&step, "%s.new", name) < 0)
		return st_fail(problem, -ENOMEM, "out of memory");
	r = write_new_file(dir_fd, step, bytes, len);
	if (r >= 0 && backup_name) {
		r = keep_backup(dir_fd, name, backup_name);
		/* A filesystem without hard links has no backup, which is no reason to refuse. */
		if (r == -EPERM || r == -EOPNOTSUPP || r == -EMLINK)
			r = 0;
	}
	if (r >= 0 && renameat(dir_fd, step, dir_fd, name) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dir_fd, step, 0);
		st_fail(problem, r, "cannot write %s: %s; the old one stays", name, strerror(-r));
		/* A directory stands in the place of one of the names. */
		return r == -EISDIR || r == -ENOTEMPTY ? -ELOOP : r;
	}
	if (fsync(dir_fd) < 0)
		return st_fail_errno(problem, -errno, "cannot sync the directory of", name);
	return 0;
}

/**
 * st_lock_dir() - one writer at a time
 * @dir_fd:	O_RDONLY
 * @problem:	set on failure
 *
 * The owner can hold this lock for ever, so the wait is bounded. It goes with the descriptor.
 *
 * Return: 0, -EBUSY.
 */
int st_lock_dir(int dir_fd, struct st_problem *problem)
{
	unsigned int waited;

	for (waited = 0; waited < LOCK_WAIT_MS; waited += LOCK_STEP_MS) {
		const struct timespec step = { .tv_nsec = LOCK_STEP_MS * 1000000L };

		if (flock(dir_fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return st_fail_errno(problem, -errno, "cannot lock", "the directory");
		nanosleep(&step, NULL);
	}
	return st_fail(problem, -EBUSY, "another program has held the lock of the directory for "
		       "%d s", LOCK_WAIT_MS / 1000);
}

static bool is_listed(const char *name, const char *const *list)
{
	for (; list && *list; list++)
		if (!strcmp(name, *list))
			return true;
	return false;
}

/* Whether nothing but the names of except (NULL-terminated, or NULL) is in the directory. */
int st_dir_is_empty(int dir_fd, const char *const *except, bool *ret_empty)
{
	const struct dirent *entry;
	bool empty = true;
	DIR *dir;
	int fd;

	/* A description of its own: the position of a dup would be shared. */
	fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (empty && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
		    !is_listed(entry->d_name, except))
			empty = false;
	closedir(dir);
	*ret_empty = empty;
	return 0;
}

/* Opens a directory that is to be emptied. What its mode denies its owner, he may take. */
static int open_to_empty(int dir_fd, const char *name)
{
	_cleanup_close_ int held = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW |
					  O_CLOEXEC);
	char path[32];
	struct stat st;
	int fd;

	if (held < 0 || fstat(held, &st) < 0)
		return -errno;
	if ((st.st_mode & S_IRWXU) != S_IRWXU) {
		/* fchmod(2) takes no descriptor of this kind. */
		snprintf(path, sizeof(path), "/proc/self/fd/%d", held);
		(void)chmod(path, S_IRWXU);
	}
	fd = openat(held, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/**
 * st_remove_tree() - remove a directory with all that is in it
 * @dir_fd:	its parent
 * @name:	one component
 * @depth:	0
 *
 * Directories that their owner may not write to are made writable, if they are the caller's.
 * Follows no symlink and leaves the filesystem of dir_fd nowhere, because rmdir(2) of a mount
 * point fails and a mounted directory is not entered: its device differs.
 *
 * Return: 0, -ELOOP if it is nested too deeply, errno of the first failure.
 */
int st_remove_tree(int dir_fd, const char *name, unsigned int depth)
{
	struct stat parent, st;
	struct dirent *entry;
	int r = 0, fd;
	DIR *dir;

	if (depth > TREE_DEPTH_MAX)
		return -ELOOP;
	fd = open_to_empty(dir_fd, name);
	/* A foreign one that is empty goes, too. */
	if (fd == -EACCES && unlinkat(dir_fd, name, AT_REMOVEDIR) == 0)
		return 0;
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	if (fstat(dir_fd, &parent) < 0 || fstat(fd, &st) < 0 || parent.st_dev != st.st_dev) {
		close(fd);
		return -EBUSY;
	}
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (r >= 0 && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (unlinkat(fd, entry->d_name, 0) == 0 || errno == ENOENT)
			continue;
		r = errno == EISDIR || errno == EPERM ?
		    st_remove_tree(fd, entry->d_name, depth + 1) : -errno;
	}
	closedir(dir);
	if (r >= 0 && unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}
