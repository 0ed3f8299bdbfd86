// SPDX-License-Identifier: GPL-2.0-only
/* How fsx compares: one file, and everything there is. */
#include "tests/fs/fsx.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

static void compare_number(struct fsx *f, const char *what, const char *field, long long sut,
			   long long oracle)
{
	if (sut != oracle)
		fsx_differ(f, "%s: %s is %lld (%#llo) instead of %lld (%#llo)", what, field, sut,
			   (unsigned long long)sut, oracle, (unsigned long long)oracle);
}

void fsx_compare_stat(struct fsx *f, const char *what, const struct stat *sut,
		      const struct stat *oracle)
{
	compare_number(f, what, "mode", sut->st_mode, oracle->st_mode);
	compare_number(f, what, "link count", sut->st_nlink, oracle->st_nlink);
	compare_number(f, what, "owner", sut->st_uid, oracle->st_uid);
	compare_number(f, what, "group", sut->st_gid, oracle->st_gid);
	compare_number(f, what, "device", sut->st_rdev, oracle->st_rdev);
	if (!S_ISDIR(oracle->st_mode))
		compare_number(f, what, "size", sut->st_size, oracle->st_size);
	/* not the blocks: where holes and reserves are is a filesystem's own affair (see posix-attr.c) */
}

void fsx_compare_fd(struct fsx *f, const struct fsx_slot *slot)
{
	struct stat st[FSX_N_SIDES];

	each_side(s) {
		if (fstat(slot->fd[s], &st[s]) < 0)
			fsx_differ(f, "fstat: %s", strerror(errno));
	}
	fsx_compare_stat(f, "the open file", &st[FSX_SUT], &st[FSX_ORACLE]);
}

void fsx_compare_path(struct fsx *f, const struct fsx_path *path)
{
	struct stat st[FSX_N_SIDES];
	struct fsx_result result[FSX_N_SIDES];

	each_side(s)
		result[s] = fsx_result(lstat(path->in[s], &st[s]));
	if (result[FSX_SUT].err != result[FSX_ORACLE].err)
		fsx_differ(f, "%s: stat gives '%s' instead of '%s'", path->rel,
			   strerror(result[FSX_SUT].err), strerror(result[FSX_ORACLE].err));
	if (!result[FSX_SUT].err)
		fsx_compare_stat(f, path->rel, &st[FSX_SUT], &st[FSX_ORACLE]);
}

void fsx_compare_fd_content(struct fsx *f, const int fd[static FSX_N_SIDES], const char *what)
{
	ssize_t n[FSX_N_SIDES];
	size_t differs;

	for (off_t at = 0;; at += n[0]) {
		each_side(s) {
			n[s] = pread(fd[s], f->buf[s], FSX_IO_LEN_MAX, at);
			if (n[s] < 0 && errno == EBADF)
				return;	/* open for writing only */
		}
		if (n[FSX_SUT] != n[FSX_ORACLE])
			fsx_differ(f, "%s: a read at %lld gives %zd instead of %zd bytes%s%s", what,
				   (long long)at, n[FSX_SUT], n[FSX_ORACLE],
				   n[FSX_SUT] < 0 ? ": " : "", n[FSX_SUT] < 0 ? strerror(errno) : "");
		if (n[0] <= 0)
			return;
		differs = fsx_first_difference(f, n[0]);
		if (differs < (size_t)n[0])
			fsx_differ(f, "%s: byte %lld is %02x instead of %02x", what,
				   (long long)(at + differs), f->buf[0][differs], f->buf[1][differs]);
	}
}

static void compare_content(struct fsx *f, const struct fsx_path *path)
{
	int fd[FSX_N_SIDES];

	each_side(s) {
		fd[s] = open(path->in[s], O_RDONLY | O_CLOEXEC | O_NOATIME);
		if (fd[s] < 0)
			fsx_differ(f, "%s: open: %s", path->rel, strerror(errno));
	}
	fsx_compare_fd_content(f, fd, path->rel);
	each_side(s)
		close(fd[s]);
}

static void compare_link(struct fsx *f, const struct fsx_path *path)
{
	char target[FSX_N_SIDES][PATH_MAX + 1];
	ssize_t n[FSX_N_SIDES];

	each_side(s)
		n[s] = readlink(path->in[s], target[s], PATH_MAX);
	if (n[0] != n[1] || n[0] < 0 || memcmp(target[0], target[1], n[0]))
		fsx_differ(f, "%s: the target is another (%zd instead of %zd bytes)", path->rel,
			   n[0], n[1]);
}

static void compare_xattrs(struct fsx *f, const struct fsx_path *path)
{
	char list[4096], value[FSX_N_SIDES][4096];
	ssize_t len = llistxattr(path->in[FSX_ORACLE], list, sizeof(list));
	ssize_t len_sut = llistxattr(path->in[FSX_SUT], NULL, 0), n[FSX_N_SIDES];

	if (len != len_sut)
		fsx_differ(f, "%s: the list of attributes has %zd instead of %zd bytes", path->rel,
			   len_sut, len);
	for (ssize_t i = 0; i < len; i += strlen(list + i) + 1) {
		each_side(s)
			n[s] = lgetxattr(path->in[s], list + i, value[s], sizeof(value[s]));
		if (n[0] != n[1] || n[0] < 0 || memcmp(value[0], value[1], n[0]))
			fsx_differ(f, "%s: attribute %s is another (%zd instead of %zd bytes)",
				   path->rel, list + i, n[0], n[1]);
	}
}

/* The same path one level down. */
static void descend(struct fsx *f, const struct fsx_path *dir, const char *name,
		    struct fsx_path *ret)
{
	each_side(s) {
		if ((size_t)snprintf(ret->in[s], PATH_MAX, "%.*s/%s", PATH_MAX - NAME_MAX - 2,
				     dir->in[s], name) >= PATH_MAX)
			fsx_differ(f, "path too long");
	}
	ret->rel = ret->in[FSX_SUT] + strlen(f->root[FSX_SUT]) + 1;
}

static unsigned long count_entries(struct fsx *f, const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	unsigned long n = 0;

	if (!dir)
		fsx_differ(f, "%s: opendir: %s", path, strerror(errno));
	errno = 0;
	while ((entry = readdir(dir)))
		n++;
	if (errno)
		fsx_differ(f, "%s: readdir: %s", path, strerror(errno));
	closedir(dir);
	return n;
}

static unsigned long compare_dir(struct fsx *f, const struct fsx_path *path)
{
	unsigned long n = 0, n_sut = count_entries(f, path->in[FSX_SUT]), n_here = 0;
	struct fsx_path *child = malloc(sizeof(*child));
	DIR *dir = opendir(path->in[FSX_ORACLE]);
	struct dirent *entry;
	struct stat st;

	if (!dir || !child)
		fsx_die("opendir");
	while ((entry = readdir(dir))) {
		n_here++;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		descend(f, path, entry->d_name, child);
		fsx_compare_path(f, child);
		compare_xattrs(f, child);
		if (lstat(child->in[FSX_ORACLE], &st) < 0)
			fsx_die("lstat");
		if (S_ISREG(st.st_mode))
			compare_content(f, child);
		else if (S_ISLNK(st.st_mode))
			compare_link(f, child);
		else if (S_ISDIR(st.st_mode))
			n += compare_dir(f, child);
		n++;
	}
	closedir(dir);
	free(child);
	if (n_here != n_sut)
		fsx_differ(f, "%s: %lu entries instead of %lu", path->in[FSX_SUT], n_sut, n_here);
	return n;
}

unsigned long fsx_compare_trees(struct fsx *f)
{
	struct fsx_path root;

	each_side(s)
		snprintf(root.in[s], PATH_MAX, "%s", f->root[s]);
	root.rel = "";
	return compare_dir(f, &root);
}

/* File handles that outlive whatever the hook does. */
#define N_HANDLES 16u

struct kept_handle {
	struct file_handle head;
	unsigned char bytes[MAX_HANDLE_SZ];
	char path[PATH_MAX];
	bool valid;
};

static void take_handles(struct fsx *f, struct kept_handle *handles)
{
	struct fsx_path path;
	struct stat st;
	int mount_id;

	for (size_t i = 0; i < N_HANDLES; i++) {
		fsx_pick_path(f, &path);
		handles[i].head.handle_bytes = MAX_HANDLE_SZ;
		handles[i].valid = lstat(path.in[FSX_SUT], &st) == 0 && S_ISREG(st.st_mode) &&
			name_to_handle_at(AT_FDCWD, path.in[FSX_SUT], &handles[i].head, &mount_id, 0) == 0;
		memcpy(handles[i].path, path.in[FSX_ORACLE], PATH_MAX);
	}
}

static void open_handles(struct fsx *f, struct kept_handle *handles)
{
	int root = open(f->root[FSX_SUT], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		fsx_differ(f, "after the hook: %s", strerror(errno));
	for (size_t i = 0; i < N_HANDLES; i++) {
		int fd[FSX_N_SIDES];

		if (!handles[i].valid)
			continue;
		fd[FSX_SUT] = open_by_handle_at(root, &handles[i].head, O_RDONLY | O_CLOEXEC);
		if (fd[FSX_SUT] < 0)
			fsx_differ(f, "%s: its handle after the hook: %s", handles[i].path,
				   strerror(errno));
		fd[FSX_ORACLE] = open(handles[i].path, O_RDONLY | O_CLOEXEC);
		fsx_compare_fd_content(f, fd, handles[i].path);
		close(fd[FSX_SUT]);
		close(fd[FSX_ORACLE]);
	}
	close(root);
}

void fsx_run_hook(struct fsx *f)
{
	struct kept_handle *handles = calloc(N_HANDLES, sizeof(*handles));
	bool with_handles = !fsx_op_off("handle");

	if (!handles)
		fsx_die("calloc");
	fsx_close_slots(f);
	fsx_note(f, "%s", f->hook);
	if (with_handles)
		take_handles(f, handles);
	if (system(f->hook) != 0)
		fsx_differ(f, "the hook failed: %s", f->hook);
	if (with_handles)
		open_handles(f, handles);
	fsx_compare_trees(f);
	free(handles);
}
