// SPDX-License-Identifier: GPL-2.0-only
/* Operations of fsx on attributes, extended attributes, locks and file handles. */
#include "tests/fs/fsx.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

static void op_chmod(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	mode_t mode = fsx_below(f, 010000);
	struct fsx_path path;

	fsx_pick_path(f, &path);
	fsx_note(f, "%s %#o", path.rel, mode);
	each_side(s)
		result[s] = fsx_result(chmod(path.in[s],
					     fsx_sabotage(f, s, FSX_BREAK_ATTR) ? mode & ~1u : mode));
	fsx_same(f, result);
	fsx_compare_path(f, &path);
}

static void op_fchmod(struct fsx *f)
{
	struct fsx_slot *slot = fsx_pick_slot(f, -1);
	struct fsx_result result[FSX_N_SIDES];
	mode_t mode = fsx_below(f, 010000);

	if (!slot)
		return;
	fsx_note(f, "slot %td %#o", slot - f->slots, mode);
	each_side(s)
		result[s] = fsx_result(fchmod(slot->fd[s], mode));
	fsx_same(f, result);
	fsx_compare_fd(f, slot);
}

static void op_chown(struct fsx *f)
{
	static const int ids[] = { -1, 0, 1000, 1001, 65534 };
	struct fsx_result result[FSX_N_SIDES];
	int flags = fsx_chance(f, 40) ? AT_SYMLINK_NOFOLLOW : 0;
	uid_t uid = ids[fsx_below(f, 5)];
	gid_t gid = ids[fsx_below(f, 5)];
	struct fsx_path path;

	fsx_pick_path(f, &path);
	fsx_note(f, "%s %d:%d flags %#x", path.rel, (int)uid, (int)gid, flags);
	each_side(s)
		result[s] = fsx_result(fchownat(AT_FDCWD, path.in[s], uid, gid, flags));
	fsx_same(f, result);
	fsx_compare_path(f, &path);
}

static void op_fchown(struct fsx *f)
{
	static const int ids[] = { -1, 0, 1000, 1001 };
	struct fsx_result result[FSX_N_SIDES];
	uid_t uid = ids[fsx_below(f, 4)];
	gid_t gid = ids[fsx_below(f, 4)];

	need_slot(slot, -1);
	fsx_note(f, "slot %td %d:%d", slot - f->slots, (int)uid, (int)gid);
	each_side(s)
		result[s] = fsx_result(fchown(slot->fd[s], uid, gid));
	fsx_same(f, result);
	fsx_compare_fd(f, slot);
}

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

/* A link itself, and what a descriptor stands for that is good for nothing else. */
static void op_fchmodat2(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	int flags = fsx_chance(f, 60) ? AT_SYMLINK_NOFOLLOW : 0;
	mode_t mode = fsx_below(f, 010000);
	bool by_fd = fsx_chance(f, 40);
	struct fsx_path path;

	fsx_pick_existing(f, &path);
	fsx_note(f, "%s %#o flags %#x%s", path.rel, mode, flags, by_fd ? " by O_PATH" : "");
	each_side(s) {
		int fd;

		if (!by_fd) {
			result[s] = fsx_result(syscall(SYS_fchmodat2, AT_FDCWD, path.in[s], mode, flags));
			continue;
		}
		fd = open(path.in[s], O_PATH | O_CLOEXEC | (flags ? O_NOFOLLOW : 0));
		result[s] = fsx_result(fd < 0 ? -1 : syscall(SYS_fchmodat2, fd, "", mode, AT_EMPTY_PATH));
		if (fd >= 0)
			close(fd);
	}
	fsx_same(f, result);
	fsx_compare_path(f, &path);
}

static void op_access(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	int mode = fsx_below(f, 8);
	struct fsx_path path;

	fsx_pick_path(f, &path);
	fsx_note(f, "%s %d", path.rel, mode);
	each_side(s)
		result[s] = fsx_result(faccessat(AT_FDCWD, path.in[s], mode, AT_EACCESS));
	fsx_same(f, result);
}

static struct timespec random_time(struct fsx *f)
{
	struct timespec time = { 1000000000 + (time_t)fsx_below(f, 500000000),
				 (long)fsx_below(f, 1000000000) };

	if (fsx_chance(f, 8))
		time.tv_nsec = UTIME_OMIT;
	return time;
}

static void compare_times(struct fsx *f, const char *what, const struct timespec *sut,
			  const struct timespec *oracle)
{
	if (sut->tv_sec != oracle->tv_sec || sut->tv_nsec != oracle->tv_nsec)
		fsx_differ(f, "%s %lld.%09ld instead of %lld.%09ld", what, (long long)sut->tv_sec,
			   sut->tv_nsec, (long long)oracle->tv_sec, oracle->tv_nsec);
}

static void op_utimensat(struct fsx *f)
{
	struct timespec times[2] = { random_time(f), random_time(f) }, cut[2];
	struct fsx_result result[FSX_N_SIDES];
	int flags = fsx_chance(f, 40) ? AT_SYMLINK_NOFOLLOW : 0;
	struct stat st[FSX_N_SIDES];
	struct fsx_path path;

	fsx_pick_path(f, &path);
	fsx_note(f, "%s flags %#x", path.rel, flags);
	each_side(s) {
		memcpy(cut, times, sizeof(cut));
		if (fsx_sabotage(f, s, FSX_BREAK_TIME))
			cut[1].tv_nsec = 0;
		result[s] = fsx_result(utimensat(AT_FDCWD, path.in[s], cut, flags));
	}
	if (!fsx_same(f, result))
		return;
	each_side(s)
		result[s] = fsx_result(fstatat(AT_FDCWD, path.in[s], &st[s], flags));
	if (!fsx_same(f, result))
		return;		/* with both omitted, utimensat() does not even look */
	if (times[0].tv_nsec != UTIME_OMIT)
		compare_times(f, "atime", &st[0].st_atim, &st[1].st_atim);
	if (times[1].tv_nsec != UTIME_OMIT)
		compare_times(f, "mtime", &st[0].st_mtim, &st[1].st_mtim);
	if (llabs((long long)st[0].st_ctim.tv_sec - (long long)st[1].st_ctim.tv_sec) > 5)
		fsx_differ(f, "ctime %lld instead of %lld", (long long)st[0].st_ctim.tv_sec,
			   (long long)st[1].st_ctim.tv_sec);
}

/* Which of its time stamps does a call move? */
static void op_timestamps(struct fsx *f)
{
	static const char *const names[] = { "write", "read", "truncate", "chmod", "none", "mmap" };
	const struct timespec old[2] = { { 1200000000, 111111111 }, { 1200000001, 222222222 } };
	struct fsx_slot *slot = fsx_pick_slot(f, O_RDWR);
	size_t kind = fsx_below(f, 5);
	struct stat st[FSX_N_SIDES];
	struct fsx_result result[FSX_N_SIDES];

	if (!slot)
		return;
	fsx_note(f, "slot %td %s", slot - f->slots, names[kind]);
	each_side(s) {
		int fd = slot->fd[s];

		result[s] = fsx_result(futimens(fd, old));
	}
	if (!fsx_same(f, result))
		return;
	each_side(s) {
		int fd = slot->fd[s];

		fstat(fd, &st[s]);
		if (kind == 0)
			result[s] = fsx_result(pwrite(fd, f->pattern, 100, 50));
		else if (kind == 1)
			result[s] = fsx_result(pread(fd, f->buf[s], 100, 0));
		else if (kind == 2)
			result[s] = fsx_result(ftruncate(fd, st[s].st_size / 2));
		else if (kind == 3)
			result[s] = fsx_result(fchmod(fd, 0644));
		else
			result[s] = fsx_result(0);
	}
	fsx_same(f, result);
	each_side(s)
		fstat(slot->fd[s], &st[s]);
	if ((st[0].st_mtim.tv_sec == 1200000001) != (st[1].st_mtim.tv_sec == 1200000001))
		fsx_differ(f, "mtime %s", st[0].st_mtim.tv_sec == 1200000001 ? "did not move" : "moved");
	if ((st[0].st_atim.tv_sec == 1200000000) != (st[1].st_atim.tv_sec == 1200000000))
		fsx_differ(f, "atime %s", st[0].st_atim.tv_sec == 1200000000 ? "did not move" : "moved");
	fsx_compare_fd(f, slot);
}

static void op_statx(struct fsx *f)
{
	const uint64_t attributes = STATX_ATTR_COMPRESSED | STATX_ATTR_IMMUTABLE |
		STATX_ATTR_APPEND | STATX_ATTR_NODUMP;
	struct fsx_result result[FSX_N_SIDES];
	struct statx st[FSX_N_SIDES];
	struct fsx_path path;

	memset(st, 0, sizeof(st));
	fsx_pick_path(f, &path);
	fsx_note(f, "%s", path.rel);
	each_side(s)
		result[s] = fsx_result(statx(AT_FDCWD, path.in[s], AT_SYMLINK_NOFOLLOW,
					     STATX_BASIC_STATS | STATX_BTIME, &st[s]));
	if (!fsx_same(f, result))
		return;
	if (st[0].stx_mask != st[1].stx_mask)
		fsx_differ(f, "mask %#x instead of %#x", st[0].stx_mask, st[1].stx_mask);
	if ((st[0].stx_attributes ^ st[1].stx_attributes) & attributes)
		fsx_differ(f, "attributes %#llx instead of %#llx",
			   (unsigned long long)st[0].stx_attributes,
			   (unsigned long long)st[1].stx_attributes);
	if (llabs((long long)st[0].stx_btime.tv_sec - (long long)st[1].stx_btime.tv_sec) > 2)
		fsx_differ(f, "birth time %lld instead of %lld", (long long)st[0].stx_btime.tv_sec,
			   (long long)st[1].stx_btime.tv_sec);
}

/* The one inode flag that keeps nothing from working. */
static void op_getflags(struct fsx *f)
{
	struct fsx_slot *slot = fsx_pick_slot(f, -1);
	struct fsx_result result[FSX_N_SIDES];
	bool set = fsx_chance(f, 50);
	long flags[FSX_N_SIDES] = { 0 };

	if (!slot)
		return;
	fsx_note(f, "slot %td%s", slot - f->slots, set ? " NODUMP turned" : "");
	each_side(s) {
		result[s] = fsx_result(ioctl(slot->fd[s], FS_IOC_GETFLAGS, &flags[s]));
		if (set && !result[s].err) {
			flags[s] ^= FS_NODUMP_FL;
			result[s] = fsx_result(ioctl(slot->fd[s], FS_IOC_SETFLAGS, &flags[s]));
		}
	}
	if (fsx_same(f, result) && (flags[0] ^ flags[1]) & FS_NODUMP_FL)
		fsx_differ(f, "flags %#lx instead of %#lx", flags[0], flags[1]);
}

static const char *const xattr_names[] = {
	"user.a", "user.second.name", "trusted.t", "security.test", "user.",
};

static const char *pick_xattr(struct fsx *f)
{
	return xattr_names[fsx_chance(f, 3) ? 4 : fsx_below(f, 4)];
}

static void op_setxattr(struct fsx *f)
{
	static const int all_flags[] = { 0, 0, XATTR_CREATE, XATTR_REPLACE };
	struct fsx_result result[FSX_N_SIDES];
	const char *name = pick_xattr(f);
	size_t len = fsx_below(f, 200);
	int flags = all_flags[fsx_below(f, 4)];
	struct fsx_path path;

	fsx_pick_path(f, &path);
	fsx_note(f, "%s %s %zu bytes flags %d", path.rel, name, len, flags);
	each_side(s)
		result[s] = fsx_result(lsetxattr(path.in[s], name, f->pattern, len, flags));
	fsx_same(f, result);
}

/* Most have none: half of the time, something is put there first. */
static void give_xattr(struct fsx *f, const struct fsx_path *path, const char *name)
{
	struct fsx_result result[FSX_N_SIDES];

	if (fsx_chance(f, 50))
		return;
	each_side(s)
		result[s] = fsx_result(lsetxattr(path->in[s], name, f->pattern, 30, 0));
	if (result[FSX_SUT].err != result[FSX_ORACLE].err)
		fsx_differ(f, "setxattr: %s instead of %s", strerror(result[FSX_SUT].err),
			   strerror(result[FSX_ORACLE].err));
}

static void op_getxattr(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	const char *name = pick_xattr(f);
	size_t len = fsx_chance(f, 60) ? 500 : fsx_below(f, 100);
	struct fsx_path path;

	fsx_pick_existing(f, &path);
	fsx_note(f, "%s %s buffer %zu", path.rel, name, len);
	give_xattr(f, &path, name);
	each_side(s)
		result[s] = fsx_result(lgetxattr(path.in[s], name, f->buf[s], len));
	fsx_same_bytes(f, result, len && result[0].ret > 0 ? result[0].ret : 0);
}

static void op_removexattr(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	const char *name = pick_xattr(f);
	struct fsx_path path;

	fsx_pick_existing(f, &path);
	fsx_note(f, "%s %s", path.rel, name);
	give_xattr(f, &path, name);
	each_side(s)
		result[s] = fsx_result(lremovexattr(path.in[s], name));
	fsx_same(f, result);
}

static int by_string(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts a list of NUL-terminated names in place. */
static void sort_list(char *list, size_t len)
{
	char copy[4096], *names[64];
	size_t n = 0;

	memcpy(copy, list, len);
	for (size_t i = 0; i < len && n < 64; i += strlen(copy + i) + 1)
		names[n++] = copy + i;
	qsort(names, n, sizeof(names[0]), by_string);
	for (size_t i = 0; i < n; i++)
		list = stpcpy(list, names[i]) + 1;
}

static void op_listxattr(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	size_t len = fsx_chance(f, 70) ? 4000 : fsx_below(f, 60);
	struct fsx_path path;

	fsx_pick_path(f, &path);
	fsx_note(f, "%s buffer %zu", path.rel, len);
	each_side(s) {
		result[s] = fsx_result(llistxattr(path.in[s], (char *)f->buf[s], len));
		if (len && result[s].ret > 0)
			sort_list((char *)f->buf[s], result[s].ret);
	}
	fsx_same_bytes(f, result, len && result[0].ret > 0 ? result[0].ret : 0);
}

/* The four by descriptor. */
static void op_fxattr(struct fsx *f)
{
	static const char *const names[] = { "set", "get", "list", "remove" };
	struct fsx_result result[FSX_N_SIDES];
	size_t kind = fsx_below(f, 4), len = fsx_below(f, 200);
	const char *name = pick_xattr(f);

	need_slot(slot, -1);
	fsx_note(f, "slot %td %s %s %zu bytes", slot - f->slots, names[kind], name, len);
	each_side(s) {
		int fd = slot->fd[s];

		if (kind == 0)
			result[s] = fsx_result(fsetxattr(fd, name, f->pattern, len, 0));
		else if (kind == 1)
			result[s] = fsx_result(fgetxattr(fd, name, f->buf[s], 500));
		else if (kind == 2)
			result[s] = fsx_result(flistxattr(fd, (char *)f->buf[s], 4000));
		else
			result[s] = fsx_result(fremovexattr(fd, name));
		if (kind == 2 && result[s].ret > 0)
			sort_list((char *)f->buf[s], result[s].ret);
	}
	fsx_same_bytes(f, result, (kind == 1 || kind == 2) && result[0].ret > 0 ? result[0].ret : 0);
}

/* The layout of the system.posix_acl_* attributes: linux/posix_acl_xattr.h */
struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;
};

struct acl {
	uint32_t version;
	struct acl_entry entries[6];
};

static size_t random_acl(struct fsx *f, struct acl *ret)
{
	static const struct { uint16_t tag; bool has_id; } rows[] = {
		{ 0x01, false }, { 0x02, true }, { 0x04, false }, { 0x08, true }, { 0x10, false },
		{ 0x20, false },
	};
	bool small = fsx_chance(f, 20);	/* no more than a mode: the kernel may store none */
	size_t n = 0;

	ret->version = htole32(2);
	for (size_t i = 0; i < 6; i++) {
		if (small && (rows[i].has_id || rows[i].tag == 0x10))
			continue;
		ret->entries[n++] = (struct acl_entry){
			htole16(rows[i].tag), htole16(fsx_below(f, 8)),
			htole32(rows[i].has_id ? 1000 + fsx_below(f, 3) : (uint32_t)-1),
		};
	}
	return sizeof(uint32_t) + n * sizeof(struct acl_entry);
}

static void op_acl(struct fsx *f)
{
	const char *name = fsx_chance(f, 70) ? "system.posix_acl_access" : "system.posix_acl_default";
	struct fsx_result result[FSX_N_SIDES];
	size_t what = fsx_below(f, 5), len;
	struct fsx_path path;
	struct acl acl;

	len = random_acl(f, &acl);
	fsx_pick_path(f, &path);
	if (fsx_chance(f, 10))
		acl.entries[0].tag = htole16(0x40);	/* nonsense */
	fsx_note(f, "%s %s %s", path.rel, name, what < 3 ? "set" : what < 4 ? "get" : "remove");
	each_side(s) {
		if (what < 3)
			result[s] = fsx_result(setxattr(path.in[s], name, &acl, len, 0));
		else if (what < 4)
			result[s] = fsx_result(0);
		else
			result[s] = fsx_result(removexattr(path.in[s], name));
	}
	fsx_same(f, result);
	/* as it is right after being set, through the cache of both */
	each_side(s)
		result[s] = fsx_result(getxattr(path.in[s], name, f->buf[s], 400));
	fsx_same_bytes(f, result, result[0].ret > 0 ? result[0].ret : 0);
	fsx_compare_path(f, &path);
}

static void op_flock(struct fsx *f)
{
	static const int kinds[] = { LOCK_SH, LOCK_EX, LOCK_UN };
	struct fsx_slot *slot = fsx_pick_slot(f, -1);
	struct fsx_result result[FSX_N_SIDES];
	int kind = kinds[fsx_below(f, 3)];

	if (!slot)
		return;
	fsx_note(f, "slot %td kind %d", slot - f->slots, kind);
	each_side(s)
		result[s] = fsx_result(flock(slot->fd[s], kind | LOCK_NB));
	fsx_same(f, result);
}

/* Locks of open file descriptions: two slots of one file are in each other's way. */
static void op_fcntl_lock(struct fsx *f)
{
	static const short kinds[] = { F_RDLCK, F_WRLCK, F_UNLCK };
	struct fsx_slot *slot = fsx_pick_slot(f, O_RDWR);
	struct fsx_result result[FSX_N_SIDES];
	struct flock lock[FSX_N_SIDES];
	int command = fsx_chance(f, 30) ? F_OFD_GETLK : F_OFD_SETLK;
	short kind = kinds[fsx_below(f, command == F_OFD_GETLK ? 2 : 3)];
	off_t from = fsx_below(f, 100);

	if (!slot)
		return;
	fsx_note(f, "slot %td %s kind %d from %lld", slot - f->slots,
		 command == F_OFD_GETLK ? "get" : "set", kind, (long long)from);
	each_side(s) {
		lock[s] = (struct flock){ .l_type = kind, .l_whence = SEEK_SET, .l_start = from,
					  .l_len = 20 };
		result[s] = fsx_result(fcntl(slot->fd[s], command, &lock[s]));
	}
	if (fsx_same(f, result) && (lock[0].l_type != lock[1].l_type ||
				    lock[0].l_start != lock[1].l_start))
		fsx_differ(f, "lock of type %d at %lld instead of %d at %lld", lock[0].l_type,
			   (long long)lock[0].l_start, lock[1].l_type, (long long)lock[1].l_start);
}

static void op_lease(struct fsx *f)
{
	struct fsx_slot *slot = fsx_pick_slot(f, -1);
	struct fsx_result result[FSX_N_SIDES];
	int kind = fsx_chance(f, 50) ? F_RDLCK : F_WRLCK;

	if (!slot)
		return;
	fsx_note(f, "slot %td kind %d", slot - f->slots, kind);
	each_side(s) {
		result[s] = fsx_result(fcntl(slot->fd[s], F_SETLEASE, kind));
		if (!result[s].err)
			fcntl(slot->fd[s], F_SETLEASE, F_UNLCK);
	}
	fsx_same(f, result);
}

static void op_handle(struct fsx *f)
{
	struct {
		struct file_handle head;
		unsigned char bytes[MAX_HANDLE_SZ];
	} handle;
	struct fsx_result result[FSX_N_SIDES];
	struct stat st[FSX_N_SIDES], named;
	int fd[FSX_N_SIDES] = { -1, -1 };
	struct fsx_path path;

	fsx_pick_path(f, &path);
	fsx_note(f, "%s", path.rel);
	each_side(s) {
		int root = open(f->root[s], O_RDONLY | O_DIRECTORY | O_CLOEXEC), mount_id;

		if (root < 0)
			fsx_die(f->root[s]);
		handle.head.handle_bytes = MAX_HANDLE_SZ;
		result[s] = fsx_result(name_to_handle_at(AT_FDCWD, path.in[s], &handle.head, &mount_id,
							 AT_SYMLINK_FOLLOW));
		if (!result[s].err) {
			fd[s] = open_by_handle_at(root, &handle.head, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
			result[s] = fsx_result(fd[s] < 0 ? -1 : 0);
		}
		if (fd[s] >= 0 && (fstat(fd[s], &st[s]) < 0 || stat(path.in[s], &named) < 0 ||
				   st[s].st_ino != named.st_ino))
			fsx_differ(f, "the handle opens another file");
		close(root);
	}
	if (fsx_same(f, result)) {
		fsx_compare_stat(f, "by handle", &st[0], &st[1]);
		if (S_ISREG(st[0].st_mode))
			fsx_compare_fd_content(f, fd, "by handle");
	}
	each_side(s) {
		if (fd[s] >= 0)
			close(fd[s]);
	}
}

struct fsx_op fsx_attr_ops[] = {
	{ "chmod", 15, op_chmod },
	{ "fchmod", 8, op_fchmod },
	{ "chown", 12, op_chown },
	{ "fchown", 6, op_fchown },
	{ "fchmodat2", 6, op_fchmodat2, .newer = true },
	{ "access", 8, op_access },
	{ "utimensat", 12, op_utimensat },
	{ "timestamps", 12, op_timestamps },
	{ "statx", 12, op_statx },
	{ "getflags", 6, op_getflags },
	{ "setxattr", 15, op_setxattr },
	{ "getxattr", 12, op_getxattr },
	{ "removexattr", 6, op_removexattr },
	{ "listxattr", 8, op_listxattr },
	{ "fxattr", 12, op_fxattr },
	{ "acl", 12, op_acl },
	{ "flock", 6, op_flock },
	{ "fcntl_lock", 10, op_fcntl_lock },
	{ "lease", 4, op_lease },
	{ "handle", 10, op_handle },
	{ NULL },
};
