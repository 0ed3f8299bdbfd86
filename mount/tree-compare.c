/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Are two directory trees equal? Nothing is removed before this has said so: it reads back every
 * byte, and it fails rather than guess. Hard links are compared by the pairing of inodes: files
 * that were one must be one again, and files that were two must stay two.
 */
#include "mount/tree.h"

#include "lib/cleanup.h"
#include "lib/read-full.h"
#include "mount/pin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define CHUNK_LEN 65536u
#define XATTR_LEN_MAX 65536u

struct link_pair {
	dev_t dev;		/* of the side that the tree is sorted by */
	ino_t ino;
	dev_t other_dev;
	ino_t other_ino;
};

struct comparison {
	dev_t dev_a;
	dev_t dev_b;
	void *links_by_a;	/* tsearch(3) trees of struct link_pair */
	void *links_by_b;
	char path[PATH_MAX];	/* of the entry at hand, for messages */
	uint8_t *buf_a;		/* CHUNK_LEN each */
	uint8_t *buf_b;
	struct ec_tree_counts counts;
	struct ec_tree_watch *watch;
	struct ec_why *why;
};

static int differs(struct comparison *cmp, const char *what)
{
	return ec_why_set(cmp->why, -EUCLEAN, "the copy differs: %s of %s", what,
			  cmp->path[0] ? cmp->path : "the directory itself");
}

static int failed(struct comparison *cmp, int r)
{
	return ec_why_set(cmp->why, r, "%s cannot be compared: %s",
			  cmp->path[0] ? cmp->path : "the directory", strerror(-r));
}

static int order_links(const void *a, const void *b)
{
	const struct link_pair *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* 0 if this pairing of inodes is new or the same as before, -EUCLEAN, -ENOMEM. */
static int note_link(void **root, const struct stat *key, const struct stat *other)
{
	struct link_pair *pair = malloc(sizeof(*pair)), **found;

	if (!pair)
		return -ENOMEM;
	*pair = (struct link_pair){ key->st_dev, key->st_ino, other->st_dev, other->st_ino };
	found = tsearch(pair, root, order_links);
	if (!found) {
		free(pair);
		return -ENOMEM;
	}
	if (*found == pair)
		return 0;
	free(pair);
	return (*found)->other_dev == other->st_dev && (*found)->other_ino == other->st_ino ?
	       0 : -EUCLEAN;
}

static int compare_links(struct comparison *cmp, const struct stat *a, const struct stat *b)
{
	int r = 0;

	if (S_ISDIR(a->st_mode) || (a->st_nlink == 1 && b->st_nlink == 1))
		return 0;
	r = note_link(&cmp->links_by_a, a, b);
	if (r == 0)
		r = note_link(&cmp->links_by_b, b, a);
	return r == -EUCLEAN ? differs(cmp, "hard links") : r;
}

/* The in-tree ecryptfs cuts to whole seconds what utimensat(2) gives it. */
static int compare_mtime(struct comparison *cmp, const struct timespec *a,
			 const struct timespec *b)
{
	if (a->tv_sec != b->tv_sec || (a->tv_nsec != b->tv_nsec && b->tv_nsec))
		return differs(cmp, "modification time");
	if (a->tv_nsec != b->tv_nsec)
		cmp->counts.coarse_times++;
	return 0;
}

static int compare_stat(struct comparison *cmp, const struct stat *a, const struct stat *b)
{
	if ((a->st_mode & S_IFMT) != (b->st_mode & S_IFMT))
		return differs(cmp, "type");
	if (a->st_dev != cmp->dev_a || b->st_dev != cmp->dev_b)
		return ec_why_set(cmp->why, -EXDEV, "something is mounted at %s", cmp->path);
	if (a->st_uid != b->st_uid || a->st_gid != b->st_gid)
		return differs(cmp, "owner");
	if (a->st_mode != b->st_mode)
		return differs(cmp, "mode");
	if (!S_ISDIR(a->st_mode) && a->st_size != b->st_size)
		return differs(cmp, "size");
	if ((S_ISCHR(a->st_mode) || S_ISBLK(a->st_mode)) && a->st_rdev != b->st_rdev)
		return differs(cmp, "device number");
	return compare_mtime(cmp, &a->st_mtim, &b->st_mtim);
}

static int order_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct names {
	char *text;		/* NUL-terminated names in a row */
	char **rows;
	size_t n_rows;
};

static void names_done(struct names *names)
{
	free(names->text);
	free(names->rows);
}

static int names_split(struct names *names, size_t len)
{
	size_t at, i = 0;

	for (at = 0; at < len; at += strlen(names->text + at) + 1)
		names->n_rows++;
	names->rows = calloc(names->n_rows + 1, sizeof(*names->rows));
	if (!names->rows)
		return -ENOMEM;
	for (at = 0; at < len; at += strlen(names->text + at) + 1)
		names->rows[i++] = names->text + at;
	qsort(names->rows, names->n_rows, sizeof(*names->rows), order_names);
	return 0;
}

static bool names_equal(const struct names *a, const struct names *b)
{
	size_t i;

	if (a->n_rows != b->n_rows)
		return false;
	for (i = 0; i < a->n_rows; i++)
		if (strcmp(a->rows[i], b->rows[i]))
			return false;
	return true;
}

/*
 * Extended attributes go by /proc/self/fd/N/NAME, so that symbolic links and files without
 * read permission have theirs compared, too, and no FIFO is opened.
 */
static void path_at(char *ret, size_t ret_len, int dir, const char *name)
{
	snprintf(ret, ret_len, "/proc/self/fd/%d/%s", dir, name);
}

static int list_xattrs(const char *path, struct names *ret)
{
	ssize_t len;

	ret->text = malloc(XATTR_LEN_MAX);
	if (!ret->text)
		return -ENOMEM;
	len = llistxattr(path, ret->text, XATTR_LEN_MAX);
	if (len < 0 && errno != EOPNOTSUPP)
		return -errno;
	return names_split(ret, len < 0 ? 0 : (size_t)len);
}

static int compare_xattr_values(struct comparison *cmp, const char *path_a, const char *path_b,
				const struct names *names)
{
	size_t i;

	for (i = 0; i < names->n_rows; i++) {
		ssize_t a = lgetxattr(path_a, names->rows[i], cmp->buf_a, XATTR_LEN_MAX);
		ssize_t b = lgetxattr(path_b, names->rows[i], cmp->buf_b, XATTR_LEN_MAX);

		if (a < 0 || b < 0)
			return failed(cmp, -errno);
		if (a != b || memcmp(cmp->buf_a, cmp->buf_b, (size_t)a))
			return differs(cmp, "extended attributes");
	}
	return 0;
}

static int compare_xattrs(struct comparison *cmp, int dir_a, int dir_b, const char *name)
{
	_cleanup_(names_done) struct names names_a = { 0 };
	_cleanup_(names_done) struct names names_b = { 0 };
	char path_a[NAME_MAX + 40], path_b[NAME_MAX + 40];
	int r;

	path_at(path_a, sizeof(path_a), dir_a, name);
	path_at(path_b, sizeof(path_b), dir_b, name);
	r = list_xattrs(path_a, &names_a);
	if (r == 0)
		r = list_xattrs(path_b, &names_b);
	if (r < 0)
		return failed(cmp, r);
	if (!names_equal(&names_a, &names_b))
		return differs(cmp, "extended attributes");
	return compare_xattr_values(cmp, path_a, path_b, &names_a);
}

/*
 * The name may have changed its meaning since it was looked at, and a FIFO would be waited at for
 * ever. The copy has the access times of the files, and comparing is no use of either.
 */
static int open_regular(int dir, const char *name)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME |
					O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? ec_take_fd(&fd) : -ESTALE;
}

static int compare_content(struct comparison *cmp, int dir_a, int dir_b, const char *name)
{
	_cleanup_close_ int a = open_regular(dir_a, name), b = open_regular(dir_b, name);
	ssize_t n_a, n_b;
	int r;

	if (a < 0 || b < 0)
		return failed(cmp, a < 0 ? a : b);
	do {
		n_a = ec_read_full(a, cmp->buf_a, CHUNK_LEN);
		n_b = ec_read_full(b, cmp->buf_b, CHUNK_LEN);
		if (n_a < 0 || n_b < 0)
			return failed(cmp, (int)(n_a < 0 ? n_a : n_b));
		if (n_a != n_b || memcmp(cmp->buf_a, cmp->buf_b, (size_t)n_a))
			return differs(cmp, "content");
		cmp->counts.bytes += (uint64_t)n_a;
		r = ec_tree_watch_poll(cmp->watch);
	} while (r == 0 && n_a == CHUNK_LEN);
	return r;
}

static int compare_symlinks(struct comparison *cmp, int dir_a, int dir_b, const char *name)
{
	char a[PATH_MAX], b[PATH_MAX];
	ssize_t n_a = readlinkat(dir_a, name, a, sizeof(a));
	ssize_t n_b = readlinkat(dir_b, name, b, sizeof(b));

	if (n_a < 0 || n_b < 0)
		return failed(cmp, -errno);
	return n_a != n_b || memcmp(a, b, (size_t)n_a) ? differs(cmp, "target") : 0;
}

static int read_names(int fd, struct names *ret)
{
	size_t used = 0, size = 0;
	struct dirent *entry;
	DIR *dir;
	int r;

	r = ec_pin_list(fd, &dir);
	if (r < 0)
		return r;
	while (errno = 0, (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name) + 1;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (used + len > size) {
			char *grown = realloc(ret->text, size = 2 * size + 4096);

			if (!grown) {
				closedir(dir);
				return -ENOMEM;
			}
			ret->text = grown;
		}
		memcpy(ret->text + used, entry->d_name, len);
		used += len;
	}
	r = -errno;
	closedir(dir);
	return r < 0 ? r : names_split(ret, used);
}

static int compare_directories(struct comparison *cmp, int a, int b, unsigned int depth);

static int compare_subdirectory(struct comparison *cmp, int dir_a, int dir_b, const char *name,
				unsigned int depth)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	_cleanup_close_ int a = openat(dir_a, name, flags);
	_cleanup_close_ int b = openat(dir_b, name, flags);

	if (a < 0 || b < 0)
		return failed(cmp, -errno);
	return compare_directories(cmp, a, b, depth + 1);
}

static int compare_entry(struct comparison *cmp, int dir_a, int dir_b, const char *name,
			 unsigned int depth)
{
	struct stat a, b;
	int r;

	cmp->counts.files++;
	if (fstatat(dir_a, name, &a, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fstatat(dir_b, name, &b, AT_SYMLINK_NOFOLLOW) < 0)
		return failed(cmp, -errno);
	r = ec_tree_watch_poll(cmp->watch);
	if (r == 0)
		r = compare_stat(cmp, &a, &b);
	if (r == 0)
		r = compare_links(cmp, &a, &b);
	if (r == 0)
		r = compare_xattrs(cmp, dir_a, dir_b, name);
	if (r < 0)
		return r;
	if (S_ISREG(a.st_mode))
		return compare_content(cmp, dir_a, dir_b, name);
	if (S_ISLNK(a.st_mode))
		return compare_symlinks(cmp, dir_a, dir_b, name);
	if (S_ISDIR(a.st_mode))
		return compare_subdirectory(cmp, dir_a, dir_b, name, depth);
	return 0;
}

/* Names the first entry that only one side has. */
static int differing_names(struct comparison *cmp, const struct names *a, const struct names *b)
{
	size_t len = strlen(cmp->path), i = 0;
	const char *name;

	while (i < a->n_rows && i < b->n_rows && !strcmp(a->rows[i], b->rows[i]))
		i++;
	name = i < a->n_rows ? a->rows[i] : b->rows[i];
	if (i < a->n_rows && i < b->n_rows && strcmp(b->rows[i], a->rows[i]) < 0)
		name = b->rows[i];
	snprintf(cmp->path + len, sizeof(cmp->path) - len, "/%s", name);
	return ec_why_set(cmp->why, -EUCLEAN, "the copy differs: only one of the two has %s",
			  cmp->path);
}

static int compare_directories(struct comparison *cmp, int a, int b, unsigned int depth)
{
	_cleanup_(names_done) struct names names_a = { 0 };
	_cleanup_(names_done) struct names names_b = { 0 };
	size_t len = strlen(cmp->path), i;
	int r;

	if (depth > EC_TREE_DEPTH_MAX)
		return failed(cmp, -ENAMETOOLONG);
	r = read_names(a, &names_a);
	if (r == 0)
		r = read_names(b, &names_b);
	if (r < 0)
		return failed(cmp, r);
	if (!names_equal(&names_a, &names_b))
		return differing_names(cmp, &names_a, &names_b);
	for (i = 0; i < names_a.n_rows; i++) {
		/* Cut in messages only: the entries themselves go by descriptor. */
		snprintf(cmp->path + len, sizeof(cmp->path) - len, "/%s", names_a.rows[i]);
		r = compare_entry(cmp, a, b, names_a.rows[i], depth);
		if (r < 0)
			return r;
		cmp->path[len] = 0;
	}
	return 0;
}

static int compare_roots(struct comparison *cmp, int a, int b)
{
	struct stat stat_a, stat_b;

	if (fstat(a, &stat_a) < 0 || fstat(b, &stat_b) < 0)
		return failed(cmp, -errno);
	cmp->dev_a = stat_a.st_dev;
	cmp->dev_b = stat_b.st_dev;
	if (stat_a.st_uid != stat_b.st_uid || stat_a.st_gid != stat_b.st_gid)
		return differs(cmp, "owner");
	if (stat_a.st_mode != stat_b.st_mode)
		return differs(cmp, "mode");
	return compare_xattrs(cmp, a, b, ".");
}

int ec_tree_compare(int a, int b, struct ec_tree_watch *watch,
		    struct ec_tree_counts *ret_counts, struct ec_why *why)
{
	struct comparison cmp = {
		.buf_a = malloc(CHUNK_LEN),
		.buf_b = malloc(CHUNK_LEN),
		.watch = watch,
		.why = why,
	};
	int r = -ENOMEM;

	_Static_assert(XATTR_LEN_MAX <= CHUNK_LEN, "an xattr's value fits the buffers");
	if (cmp.buf_a && cmp.buf_b)
		r = compare_roots(&cmp, a, b);
	if (r == 0)
		r = compare_directories(&cmp, a, b, 0);
	tdestroy(cmp.links_by_a, free);
	tdestroy(cmp.links_by_b, free);
	free(cmp.buf_a);
	free(cmp.buf_b);
	if (r == 0)
		*ret_counts = cmp.counts;
	return r;
}
