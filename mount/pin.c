/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Directories held by descriptors: openat2(2) without symbolic links, then owner, type and
 * filesystem of what is held.
 */
#include "mount/pin.h"

#include "lib/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#define NOSYMFOLLOW_FLAG 0x2000u	/* ST_NOSYMFOLLOW of include/linux/statfs.h */

struct fs_row {
	unsigned long f_type;	/* statfs(2) */
	bool source;		/* may carry ciphertext */
	bool target;		/* may be mounted over */
};

/*
 * Real filesystems only. Pseudo filesystems answer to whoever runs code in the kernel's name
 * (CVE-2016-1572: /proc/PID as a target, CVE-2016-1583: as a source), and FUSE to any user.
 * Numbers: include/uapi/linux/magic.h and the filesystems' own headers.
 */
static const struct fs_row fs_rows[] = {
	{ 0xEF53, true, true },		/* ext2, ext3, ext4 */
	{ 0x58465342, true, true },	/* xfs */
	{ 0x9123683E, true, true },	/* btrfs */
	{ 0xF2F52010, true, true },	/* f2fs */
	{ 0xCA451A4E, true, true },	/* bcachefs */
	{ 0x01021994, true, true },	/* tmpfs */
	{ 0x858458F6, true, true },	/* ramfs */
	{ 0x794C7630, true, true },	/* overlay */
	{ 0x6969, true, true },		/* nfs */
	{ 0xFF534D42, true, true },	/* cifs */
	{ 0xFE534D42, true, true },	/* smb2 */
	{ 0x2FC12FC1, true, true },	/* zfs */
	{ 0x3153464A, true, true },	/* jfs */
	{ 0x52654973, true, true },	/* reiserfs */
	{ 0x3434, true, true },		/* nilfs2 */
	{ 0x01161970, true, true },	/* gfs2 */
	{ 0x7461636F, true, true },	/* ocfs2 */
	{ 0x00C36400, true, true },	/* ceph */
	{ 0x24051905, true, true },	/* ubifs */
	{ 0x72B6, true, true },		/* jffs2 */
	{ 0x73717368, true, true },	/* squashfs */
	{ 0x7366746E, true, true },	/* ntfs3 */
	{ 0xF15F, false, true },	/* ecfs, ecryptfs: a mount point inside an open home */
};

bool ec_pin_fs_allowed(unsigned long f_type, enum ec_pin_role role)
{
	size_t i;

	if (role == EC_PIN_ANY)
		return true;
	for (i = 0; i < sizeof(fs_rows) / sizeof(fs_rows[0]); i++)
		/* cifs and smb2 look negative where f_type is a signed int */
		if ((uint32_t)fs_rows[i].f_type == (uint32_t)f_type)
			return role == EC_PIN_SOURCE ? fs_rows[i].source : fs_rows[i].target;
	return false;
}

static int open_no_symlinks(int dir, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int ec_pin_directory(const char *path, int *ret_fd, struct ec_why *why)
{
	int fd;

	if (path[0] != '/')
		return ec_why_set(why, -EINVAL, "%s is not an absolute path", path);
	fd = open_no_symlinks(AT_FDCWD, path, O_PATH | O_DIRECTORY);
	if (fd == -ELOOP)
		return ec_why_set(why, fd, "%s: a part of the path is a symbolic link", path);
	if (fd < 0)
		return ec_why_set(why, fd, "%s: %s", path, strerror(-fd));

	*ret_fd = fd;
	return 0;
}

int ec_pin_check(int fd, enum ec_pin_role role, uid_t owner, const char *path,
		 struct ec_why *why)
{
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return ec_why_set(why, -ENOTDIR, "%s is not a directory", path);
	if (role != EC_PIN_ANY && st.st_uid != owner)
		return ec_why_set(why, -EPERM, "%s belongs to uid %u and not to uid %u", path,
				  (unsigned int)st.st_uid, (unsigned int)owner);
	if (!ec_pin_fs_allowed((unsigned long)fs.f_type, role))
		return ec_why_set(why, -EOPNOTSUPP,
				  "%s is on a filesystem (type %#lx) that cannot be a %s", path,
				  (unsigned long)(uint32_t)fs.f_type,
				  role == EC_PIN_SOURCE ? "lower directory" : "mount point");
	return 0;
}

/* May nobody but root rename or replace an entry of this directory? */
static bool only_root_replaces(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	return S_ISDIR(st.st_mode) && st.st_uid == 0 && !(st.st_mode & 022);
}

bool ec_pin_path_is_stable(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	_cleanup_close_ int dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *save = NULL, *part, *next;

	if (!copy || path[0] != '/' || dir < 0)
		return false;
	for (part = strtok_r(copy, "/", &save); part; part = next) {
		int fd;

		next = strtok_r(NULL, "/", &save);
		if (!only_root_replaces(dir))
			return false;
		fd = open_no_symlinks(dir, part, O_PATH | O_DIRECTORY);
		if (fd < 0)
			return false;
		close(dir);
		dir = fd;
	}
	return true;
}

void ec_pin_path(char ret[static EC_PIN_PATH_LEN], int fd)
{
	snprintf(ret, EC_PIN_PATH_LEN, "/proc/self/fd/%d", fd);
}

bool ec_pin_names(int dir, const char *name, ino_t ino)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
	       st.st_ino == ino;
}

int ec_pin_reopen(int fd, int *ret_fd)
{
	int r = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (r < 0)
		return -errno;
	*ret_fd = r;
	return 0;
}

int ec_pin_view(int fd, int *ret_mount, int *ret_fd, struct ec_why *why)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			    MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW | MOUNT_ATTR_NOATIME,
		.attr_clr = MOUNT_ATTR__ATIME,
	};
	_cleanup_close_ int view = open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
					     AT_EMPTY_PATH);
	int r = 0;

	if (view < 0 || mount_setattr(view, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		r = -errno;
	if (r == 0)
		r = ec_pin_reopen(view, ret_fd);
	if (r < 0)
		return ec_why_set(why, r, "no mount of it can be made for the copy: %s",
				  strerror(-r));
	*ret_mount = ec_take_fd(&view);
	return 0;
}

int ec_pin_attributes(int source, int target, uint64_t *ret)
{
	uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	struct statvfs from, over;

	if (fstatvfs(source, &from) < 0 || fstatvfs(target, &over) < 0)
		return -errno;
	if ((from.f_flag | over.f_flag) & ST_NOEXEC)
		attributes |= MOUNT_ATTR_NOEXEC;
	if ((from.f_flag | over.f_flag) & NOSYMFOLLOW_FLAG)
		attributes |= MOUNT_ATTR_NOSYMFOLLOW;
	if (from.f_flag & ST_RDONLY)
		attributes |= MOUNT_ATTR_RDONLY;
	*ret = attributes;
	return 0;
}

int ec_pin_list(int fd, DIR **ret)
{
	int copy, r;

	r = ec_pin_reopen(fd, &copy);
	if (r < 0)
		return r;
	*ret = fdopendir(copy);
	if (!*ret) {
		r = -errno;
		close(copy);
	}
	return r;
}

int ec_pin_holds_no_files(int fd, bool *ret)
{
	struct dirent *entry;
	bool empty = true;
	DIR *dir;
	int r;

	r = ec_pin_list(fd, &dir);
	if (r < 0)
		return r;
	while (errno = 0, (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		    !strcmp(entry->d_name, EC_CLOSED_HOME_README))
			continue;
		empty = false;
		break;
	}
	r = -errno;
	closedir(dir);
	if (r < 0 && empty)
		return r;
	*ret = empty;
	return 0;
}

int ec_pin_is_closed_home(int fd, bool *ret_closed)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!(st.st_mode & 0222)) {
		*ret_closed = true;
		return 0;
	}
	return ec_pin_holds_no_files(fd, ret_closed);
}
