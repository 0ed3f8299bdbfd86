// SPDX-License-Identifier: GPL-2.0-only
/*
 * posix: one named check for each thing that applications expect of a filesystem and that a
 * stacked one gets wrong easily; the shortcomings of the in-tree ecryptfs come first.
 *
 *   posix [-l LINK_LEN] [-n NAME_LEN] [-x] UPPER LOWER [NAME...]
 *
 * UPPER is an empty directory of the filesystem under test, LOWER the same one below it; -x: file
 * metadata is in an extended attribute, not in a header. Each check runs in a child of its own
 * with a time limit. Prints "pass NAME" or "fail NAME: why" for each, and "ran N, N passed" at the end.
 * The status is 0 if all passed.
 */
#include "tests/fs/must.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define TIME_LIMIT	100u	/* seconds for one check */
#define USER		1000	/* uid and gid of the user who has no privilege */

static const char *upper, *lower;
static size_t link_len = 4095, name_len = 255;
static bool in_xattr;
static size_t header_len = 8192;

static const char *running;

static void fail(const char *format, ...)
{
	va_list args;

	printf("fail %s: ", running);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

static void become_user(void)
{
	MUST(setegid(USER));
	MUST(seteuid(USER));
}

static void become_root(void)
{
	MUST(seteuid(0));
	MUST(setegid(0));
}

static int create(const char *name, const void *bytes, size_t len)
{
	int fd = MUST(open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));

	if (len)
		REQUIRE(write(fd, bytes, len) == (ssize_t)len);
	return fd;
}

static void drop_caches(void)
{
	int fd = MUST(open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC));

	sync();
	REQUIRE(write(fd, "3", 1) == 1);
	close(fd);
}

static char content[20000];

static void expect_content(const char *name, const void *want, size_t len)
{
	static char have[65536];
	int fd = MUST(open(name, O_RDONLY | O_CLOEXEC));

	REQUIRE(read(fd, have, sizeof(have)) == (ssize_t)len);
	if (memcmp(have, want, len))
		fail("%s has other bytes", name);
	close(fd);
}

static void expect_zero(int fd, off_t from, off_t to)
{
	char buf[4096];

	while (from < to) {
		size_t want = to - from < 4096 ? (size_t)(to - from) : 4096;

		REQUIRE(pread(fd, buf, want, from) == (ssize_t)want);
		for (size_t i = 0; i < want; i++) {
			if (buf[i])
				fail("byte %lld is %02x, not zero", (long long)from + (long long)i,
				     (uint8_t)buf[i]);
		}
		from += want;
	}
}

/* The lower file of the only file here, whatever its name is there. */
static void lower_path(char ret[PATH_MAX])
{
	char path[PATH_MAX - 300];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/check", lower);
	dir = opendir(path);
	if (!dir) {
		/* the directory's name is encrypted too: it is the only one */
		DIR *top = opendir(lower);

		REQUIRE(top);
		while ((entry = readdir(top)) && entry->d_name[0] == '.')
			;
		REQUIRE(entry);
		snprintf(path, sizeof(path), "%s/%s", lower, entry->d_name);
		closedir(top);
		dir = opendir(path);
	}
	REQUIRE(dir);
	while ((entry = readdir(dir)) && entry->d_name[0] == '.')
		;
	REQUIRE(entry);
	snprintf(ret, PATH_MAX, "%s/%s", path, entry->d_name);
	closedir(dir);
}

static void lower_stat(struct stat *ret)
{
	char path[PATH_MAX];

	lower_path(path);
	MUST(lstat(path, ret));
}

/* A directory beside the lower one, for what is moved out of it; empty at first. */
static void elsewhere(char ret[PATH_MAX], const char *name)
{
	static bool made;
	char command[PATH_MAX + 64];

	if (!made) {
		snprintf(command, sizeof(command), "rm -rf '%s/../elsewhere'", lower);
		REQUIRE(system(command) == 0);
		snprintf(ret, PATH_MAX, "%s/../elsewhere", lower);
		MUST(mkdir(ret, 0755));
		made = true;
	}
	snprintf(ret, PATH_MAX, "%s/../elsewhere/%s", lower, name);
}

static void rename_noreplace(void)
{
	close(create("a", "a", 1));
	close(create("b", "b", 1));
	REQUIRE(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE) < 0 && errno == EEXIST);
	MUST(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
	expect_content("c", "a", 1);
	REQUIRE(access("a", F_OK) < 0);
}

static void rename_exchange(void)
{
	close(create("a", "aa", 2));
	MUST(mkdir("d", 0755));
	MUST(renameat2(AT_FDCWD, "a", AT_FDCWD, "d", RENAME_EXCHANGE));
	expect_content("d", "aa", 2);
	drop_caches();
	expect_content("d", "aa", 2);
	MUST(rmdir("a"));
}

static void rename_whiteout(void)
{
	struct stat st;

	close(create("a", "aa", 2));
	MUST(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_WHITEOUT));
	expect_content("b", "aa", 2);
	MUST(stat("a", &st));
	REQUIRE(S_ISCHR(st.st_mode) && st.st_rdev == 0);
}

static void tmpfile_link(void)
{
	int fd = MUST(open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0640));
	char proc[64];
	struct stat st;

	REQUIRE(write(fd, content, 5000) == 5000);
	MUST(fstat(fd, &st));
	REQUIRE(st.st_nlink == 0 && st.st_size == 5000);
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	MUST(linkat(AT_FDCWD, proc, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	close(fd);
	drop_caches();
	expect_content("named", content, 5000);
	fd = MUST(open(".", O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0640));
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	REQUIRE(linkat(AT_FDCWD, proc, AT_FDCWD, "never", AT_SYMLINK_FOLLOW) < 0);
}

static void splice_to_file(void)
{
	int from = create("from", content, 9000), to = create("to", "", 0), p[2];
	off_t a = 0, b = 0;
	ssize_t n;

	MUST(pipe(p));
	while (b < 9000) {
		n = MUST(splice(from, &a, p[1], NULL, 9000 - a, 0));
		REQUIRE(n > 0);
		n = MUST(splice(p[0], NULL, to, &b, n, 0));
		REQUIRE(n > 0);
	}
	drop_caches();
	expect_content("to", content, 9000);
}

static void sendfile_to_file(void)
{
	int from = create("from", content, 9000), to = create("to", "", 0);
	off_t a = 0;

	while (a < 9000)
		REQUIRE(MUST(sendfile(to, from, &a, 9000 - a)) > 0);
	drop_caches();
	expect_content("to", content, 9000);
}

static void copy_range(void)
{
	int from = create("from", content, 9000), to = create("to", "", 0);
	off_t a = 0, b = 0;

	while (a < 9000)
		REQUIRE(MUST(copy_file_range(from, &a, to, &b, 9000 - a, 0)) > 0);
	drop_caches();
	expect_content("to", content, 9000);
}

static void direct(void)
{
	char *buf = aligned_alloc(4096, 8192);
	int fd = MUST(open("a", O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0644));

	memcpy(buf, content, 8192);
	REQUIRE(pwrite(fd, buf, 8192, 0) == 8192);
	memset(buf, 0, 8192);
	REQUIRE(pread(fd, buf, 8192, 0) == 8192 && memcmp(buf, content, 8192) == 0);
	close(fd);
	drop_caches();
	expect_content("a", content, 8192);
}

static void time_nanoseconds(void)
{
	const struct timespec times[2] = { { 1234567890, 123456789 }, { 1111111111, 987654321 } };
	struct stat st;

	close(create("a", "a", 1));
	MUST(utimensat(AT_FDCWD, "a", times, 0));
	for (int i = 0; i < 2; i++) {
		MUST(stat("a", &st));
		REQUIRE(st.st_atim.tv_sec == 1234567890 && st.st_atim.tv_nsec == 123456789);
		REQUIRE(st.st_mtim.tv_sec == 1111111111 && st.st_mtim.tv_nsec == 987654321);
		drop_caches();
	}
	/* and those that the kernel takes itself */
	close(create("b", "b", 1));
	MUST(stat("b", &st));
	if (st.st_mtim.tv_nsec == 0 && st.st_ctim.tv_nsec == 0 && st.st_atim.tv_nsec == 0)
		fail("a new file has whole seconds");
	MUST(mkdir("d", 0755));
	close(create("d/a", "", 0));
	MUST(stat("d", &st));
	REQUIRE(st.st_mtim.tv_nsec != 0);
}

/* Looking at the header is no access to the file. */
static void atime_of_header(void)
{
	const struct timespec times[2] = { { 1000000000, 0 }, { 1000000001, 0 } };
	struct stat before, after;

	close(create("a", content, 5000));
	MUST(utimensat(AT_FDCWD, "a", times, 0));
	drop_caches();
	lower_stat(&before);
	REQUIRE(before.st_atim.tv_sec == 1000000000);
	MUST(stat("a", &after));
	close(MUST(open("a", O_RDONLY | O_CLOEXEC)));
	close(MUST(open("a", O_RDWR | O_CLOEXEC)));
	lower_stat(&after);
	REQUIRE(after.st_atim.tv_sec == before.st_atim.tv_sec);
}

static void fsize_limit(void)
{
	struct rlimit limit = { 8192, 8192 };
	int fd;

	signal(SIGXFSZ, SIG_IGN);
	MUST(setrlimit(RLIMIT_FSIZE, &limit));
	fd = MUST(open("a", O_RDWR | O_CREAT | O_CLOEXEC, 0644));
	REQUIRE(pwrite(fd, content, 8192, 0) == 8192);
	REQUIRE(pwrite(fd, content, 1, 8192) < 0 && errno == EFBIG);
	REQUIRE(pwrite(fd, content, 10, 8190) == 2);
	REQUIRE(ftruncate(fd, 8193) < 0 && errno == EFBIG);
	MUST(fsync(fd));
	close(fd);
	drop_caches();
	REQUIRE(open("a", O_RDWR | O_CLOEXEC) >= 0);
}

static void setgid_on_create(void)
{
	struct stat st;
	int fd;

	MUST(chmod(".", 0777));
	become_user();
	umask(0);
	fd = MUST(open("a", O_RDWR | O_CREAT | O_CLOEXEC, 06755));
	MUST(fstat(fd, &st));
	if ((st.st_mode & 07777) != 06755)
		fail("mode is %o instead of 6755", st.st_mode & 07777);
	become_root();
	drop_caches();
	MUST(stat("a", &st));
	REQUIRE((st.st_mode & 07777) == 06755);
	lower_stat(&st);
	REQUIRE((st.st_mode & 07777) == 06755);
}

static void setgid_directory(void)
{
	struct stat st;

	MUST(mkdir("d", 0755));
	MUST(chown("d", USER, 1234));
	MUST(chmod("d", 02777));
	become_user();
	close(create("d/a", "", 0));
	MUST(mkdir("d/e", 0755));
	MUST(stat("d/a", &st));
	REQUIRE(st.st_gid == 1234 && st.st_uid == USER);
	MUST(stat("d/e", &st));
	REQUIRE(st.st_gid == 1234 && st.st_mode & S_ISGID);
}

/* A write by someone else takes the set-id bits away, as everywhere. */
static void setid_lost_on_write(void)
{
	struct stat st;
	int fd = create("a", "x", 1);

	MUST(fchmod(fd, 06777));
	close(fd);
	become_user();
	fd = MUST(open("a", O_WRONLY | O_CLOEXEC));
	REQUIRE(write(fd, "y", 1) == 1);
	MUST(fstat(fd, &st));
	REQUIRE((st.st_mode & 06000) == 0);
	become_root();
	drop_caches();
	MUST(stat("a", &st));
	REQUIRE((st.st_mode & 06000) == 0);
}

/* A write takes the capabilities away, which is no business of the writer's own rights. */
static void capability_lost_on_write(void)
{
	struct vfs_cap_data caps = {
		.magic_etc = VFS_CAP_REVISION_2, .data = { { .permitted = 1u << 10 } },
	};
	char value[100];
	int fd = create("a", "x", 1);

	MUST(fchmod(fd, 0666));
	MUST(fsetxattr(fd, "security.capability", &caps, XATTR_CAPS_SZ_2, 0));
	close(fd);
	become_user();
	fd = MUST(open("a", O_WRONLY | O_CLOEXEC));
	REQUIRE(write(fd, "y", 1) == 1);
	close(fd);
	become_root();
	drop_caches();
	REQUIRE(getxattr("a", "security.capability", value, sizeof(value)) < 0 && errno == ENODATA);
	expect_content("a", "y", 1);
}

static void statx_birth(void)
{
	struct statx st;
	int64_t now = time(NULL);

	close(create("a", "a", 1));
	MUST(statx(AT_FDCWD, "a", 0, STATX_BASIC_STATS | STATX_BTIME, &st));
	REQUIRE(st.stx_mask & STATX_BTIME);
	REQUIRE(st.stx_btime.tv_sec >= now - 2 && st.stx_btime.tv_sec <= now + 5);
	REQUIRE(st.stx_btime.tv_nsec != 0);
}

static void statx_attributes(void)
{
	int fd = create("a", "a", 1);
	long flags = 0;
	struct statx st;

	MUST(ioctl(fd, FS_IOC_GETFLAGS, &flags));
	flags |= FS_NODUMP_FL;
	MUST(ioctl(fd, FS_IOC_SETFLAGS, &flags));
	MUST(statx(AT_FDCWD, "a", 0, STATX_BASIC_STATS, &st));
	REQUIRE(st.stx_attributes_mask & STATX_ATTR_NODUMP);
	REQUIRE(st.stx_attributes & STATX_ATTR_NODUMP);
}

static void blocks_without_header(void)
{
	/* ext4 counts a block that holds extended attributes, on a plain file as well */
	const long long want = in_xattr ? 16 : 8;
	int fd = create("a", "a", 1);
	struct stat st;

	MUST(fsync(fd));
	MUST(fstat(fd, &st));
	if (st.st_blocks > want || st.st_blocks < 8)
		fail("%lld blocks for one byte instead of %lld", (long long)st.st_blocks, want);
	MUST(ftruncate(fd, 0));
	MUST(fsync(fd));
	MUST(fstat(fd, &st));
	if (st.st_blocks > want - 8)
		fail("%lld blocks for nothing", (long long)st.st_blocks);
	close(fd);
	drop_caches();
	MUST(stat("a", &st));
	if (st.st_blocks > want - 8)
		fail("%lld blocks for nothing, before it is opened", (long long)st.st_blocks);
}

struct acl {
	uint32_t version;
	struct { uint16_t tag, perm; uint32_t id; } entries[5];
};

static void acl_after_set(void)
{
	const struct acl acl = { 2, { { 1, 6, -1u }, { 2, 7, USER }, { 4, 0, -1u }, { 0x10, 5, -1u },
				      { 0x20, 0, -1u } } };
	struct acl have;
	struct stat st;

	close(create("a", "a", 1));
	MUST(setxattr("a", "system.posix_acl_access", &acl, sizeof(acl), 0));
	for (int i = 0; i < 2; i++) {
		MUST(stat("a", &st));
		REQUIRE((st.st_mode & 0777) == 0650);
		REQUIRE(getxattr("a", "system.posix_acl_access", &have, sizeof(have)) ==
			sizeof(acl) && memcmp(&have, &acl, sizeof(acl)) == 0);
		become_user();
		REQUIRE(access("a", R_OK) == 0);
		REQUIRE(faccessat(AT_FDCWD, "a", R_OK, AT_EACCESS) == 0);
		REQUIRE(open("a", O_RDWR | O_CLOEXEC) < 0 && errno == EACCES);
		become_root();
		drop_caches();
	}
	/* chmod moves the mask, and the list shows it at once */
	MUST(chmod("a", 0640));
	MUST(getxattr("a", "system.posix_acl_access", &have, sizeof(have)));
	REQUIRE(have.entries[3].perm == 4);
	/* a list that says no more than a mode is no list */
	MUST(removexattr("a", "system.posix_acl_access"));
	REQUIRE(getxattr("a", "system.posix_acl_access", &have, sizeof(have)) < 0 && errno == ENODATA);
}

static void acl_inherited(void)
{
	const struct acl acl = { 2, { { 1, 7, -1u }, { 2, 6, USER }, { 4, 5, -1u }, { 0x10, 7, -1u },
				      { 0x20, 0, -1u } } };
	struct acl have;
	struct stat st;

	MUST(mkdir("d", 0755));
	MUST(setxattr("d", "system.posix_acl_default", &acl, sizeof(acl), 0));
	umask(022);
	close(MUST(open("d/a", O_RDWR | O_CREAT | O_CLOEXEC, 0666)));
	MUST(stat("d/a", &st));
	if ((st.st_mode & 0777) != 0660)
		fail("mode is %o instead of 660", st.st_mode & 0777);
	REQUIRE(getxattr("d/a", "system.posix_acl_access", &have, sizeof(have)) == sizeof(acl));
	REQUIRE(have.entries[1].id == USER && have.entries[3].perm == 6);
}

static void symlink_long(void)
{
	char target[PATH_MAX], have[PATH_MAX];
	struct stat st;

	for (size_t len = link_len - 3; len <= link_len; len++) {
		memset(target, 'x', len);
		target[len] = '\0';
		unlink("s");
		MUST(symlink(target, "s"));
		for (int i = 0; i < 2; i++) {
			if (readlink("s", have, sizeof(have)) != (ssize_t)len || memcmp(have, target, len))
				fail("a target of %zu bytes is another: %s", len, strerror(errno));
			MUST(lstat("s", &st));
			REQUIRE(st.st_size == (off_t)len);
			if (len == link_len)
				drop_caches();
		}
	}
}

static void symlink_too_long(void)
{
	char target[PATH_MAX + 2];

	memset(target, 'x', sizeof(target));
	target[link_len + 40 < PATH_MAX ? link_len + 40 : PATH_MAX] = '\0';
	REQUIRE(symlink(target, "s") < 0 && errno == ENAMETOOLONG);
}

static void name_longest(void)
{
	char name[NAME_MAX + 3];
	struct statfs st;

	memset(name, 'n', sizeof(name));
	name[name_len] = '\0';
	close(create(name, "x", 1));
	drop_caches();
	expect_content(name, "x", 1);
	name[name_len] = 'n';
	name[name_len + 1] = '\0';
	REQUIRE(open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644) < 0 && errno == ENAMETOOLONG);
	MUST(statfs(".", &st));
	if (st.f_namelen != (long)name_len)
		fail("statfs says %ld instead of %zu", (long)st.f_namelen, name_len);
}

/*
 * A gap is filled with zeros that must be encrypted: that takes time, and a signal must end it. It is
 * sent as soon as the filling is seen below, which is long before its end, however fast the machine.
 */
static void zero_fill_killable(void)
{
	int fd = create("a", content, 5000), status;
	struct timespec start, end;
	struct stat st, before;
	pid_t pid;

	MUST(fsync(fd));
	lower_stat(&before);
	pid = MUST(fork());
	if (pid == 0) {
		signal(SIGALRM, SIG_DFL);
		alarm(0);
		_exit(pwrite(fd, "end", 3, 256 << 20) == 3 ? 0 : 1);
	}
	do {
		REQUIRE(waitpid(pid, &status, WNOHANG) == 0);
		lower_stat(&st);
	} while (st.st_size < before.st_size + (1 << 20));
	clock_gettime(CLOCK_MONOTONIC, &start);
	kill(pid, SIGKILL);
	MUST(waitpid(pid, &status, 0));
	clock_gettime(CLOCK_MONOTONIC, &end);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	if (end.tv_sec - start.tv_sec > 2)
		fail("dead only %lld s after it was killed", (long long)(end.tv_sec - start.tv_sec));
	close(fd);
	drop_caches();
	fd = MUST(open("a", O_RDWR | O_CLOEXEC));
	MUST(fstat(fd, &st));
	REQUIRE(st.st_size >= 5000 && st.st_size < 256 << 20);
	REQUIRE(pread(fd, content + 10000, 5000, 0) == 5000);
	REQUIRE(memcmp(content, content + 10000, 5000) == 0);
	/* what is there of the gap is zero, its end and what is added later too */
	expect_zero(fd, 5000, st.st_size < 100000 ? st.st_size : 100000);
	if (st.st_size > 100000)
		expect_zero(fd, st.st_size - 50000, st.st_size);
	MUST(ftruncate(fd, st.st_size + 20000));
	expect_zero(fd, st.st_size, st.st_size + 20000);
}

static int by_handle(const char *name, int flags)
{
	static union {
		struct file_handle head;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} handle;
	int mount_id, root = MUST(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), fd;

	if (name) {
		handle.head.handle_bytes = MAX_HANDLE_SZ;
		MUST(name_to_handle_at(AT_FDCWD, name, &handle.head, &mount_id, 0));
	}
	fd = open_by_handle_at(root, &handle.head, flags | O_CLOEXEC);
	close(root);
	return fd;
}

static void handles(void)
{
	char buf[100], path[PATH_MAX] = "";
	int fd;

	MUST(mkdir("d", 0755));
	MUST(mkdir("d/e", 0755));
	close(create("d/e/a", "handle", 6));
	fd = MUST(by_handle("d/e/a", O_RDWR));
	REQUIRE(read(fd, buf, sizeof(buf)) == 6);
	close(fd);
	drop_caches();
	fd = MUST(by_handle(NULL, O_RDWR));
	REQUIRE(read(fd, buf, sizeof(buf)) == 6 && memcmp(buf, "handle", 6) == 0);
	REQUIRE(pwrite(fd, "H", 1, 0) == 1);
	close(fd);
	expect_content("d/e/a", "Handle", 6);
	/* a directory by its handle: it must find its way up */
	fd = MUST(by_handle("d/e", O_RDONLY | O_DIRECTORY));
	close(fd);
	drop_caches();
	fd = MUST(by_handle(NULL, O_RDONLY | O_DIRECTORY));
	MUST(fchdir(fd));
	REQUIRE(getcwd(path, sizeof(path)) && strlen(path) > 4);
	if (strcmp(path + strlen(path) - 4, "/d/e"))
		fail("the directory is at %s", path);
	REQUIRE(access("a", F_OK) == 0);
	MUST(chdir("../.."));
	/* a hard link and a rename change nothing, a removal does */
	MUST(rename("d/e/a", "b"));
	fd = MUST(by_handle("b", O_RDONLY));
	close(fd);
	MUST(unlink("b"));
	drop_caches();
	fd = by_handle(NULL, O_RDONLY);
	REQUIRE(fd < 0 && errno == ESTALE);
}

/* Opens what is named by a lower file's handle, put into one of ours as somebody would guess it. */
static int by_lower_handle(const char *path)
{
	union {
		struct file_handle head;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} below, ours;
	int mount_id, root, fd;
	uint32_t type;

	below.head.handle_bytes = MAX_HANDLE_SZ - sizeof(type);
	MUST(name_to_handle_at(AT_FDCWD, path, &below.head, &mount_id, 0));
	type = below.head.handle_type;
	ours.head.handle_type = 0xec;
	ours.head.handle_bytes = sizeof(type) + below.head.handle_bytes;
	memcpy(ours.head.f_handle, &type, sizeof(type));
	memcpy(ours.head.f_handle + sizeof(type), below.head.f_handle, below.head.handle_bytes);
	root = MUST(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	fd = open_by_handle_at(root, &ours.head, O_PATH | O_CLOEXEC);
	close(root);
	return fd;
}

static void handles_outside(void)
{
	char path[PATH_MAX];
	int fd, opened;

	close(create("a", "inside", 6));
	lower_path(path);
	close(MUST(by_lower_handle(path)));
	elsewhere(path, "outside");
	close(create(path, "outside", 7));
	REQUIRE(by_lower_handle(path) < 0 && errno == ESTALE);
	/* the vault's own file has no name in the mount, and no handle either */
	snprintf(path, sizeof(path), "%s/ecryptfs-vault.json", lower);
	fd = MUST(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	opened = by_lower_handle(path);
	unlink(path);
	close(fd);
	REQUIRE(opened < 0);
}

/*
 * What a format of one extent after another can do it does, on any lower filesystem that can reserve
 * blocks; the rest it refuses by name, and changes nothing.
 */
static void fallocate_modes(void)
{
	static const struct {
		int mode;
		bool works, zeroes;
	} rows[] = {
		{ 0, true, false },
		{ FALLOC_FL_KEEP_SIZE, true, false },
		{ FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, true, true },
		{ FALLOC_FL_ZERO_RANGE, true, true },
		{ FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, true, true },
		{ FALLOC_FL_COLLAPSE_RANGE, false, false },
		{ FALLOC_FL_INSERT_RANGE, false, false },
		{ FALLOC_FL_UNSHARE_RANGE, false, false },
	};
	char have[20000];
	struct stat st;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = create("a", content, 10000), mode = rows[i].mode;
		int r = fallocate(fd, mode, 4096, 4096);

		if (rows[i].works && r < 0)
			fail("mode %#x: %s", mode, strerror(errno));
		if (!rows[i].works && (r == 0 || errno != EOPNOTSUPP))
			fail("mode %#x is not refused: %s", mode, r ? strerror(errno) : "done");
		close(fd);
		drop_caches();
		fd = MUST(open("a", O_RDWR | O_CLOEXEC));
		MUST(fstat(fd, &st));
		REQUIRE(st.st_size == 10000);
		REQUIRE(pread(fd, have, 20000, 0) == 10000);
		if (rows[i].zeroes)
			expect_zero(fd, 4096, 8192);
		else
			REQUIRE(memcmp(have + 4096, content + 4096, 4096) == 0);
		REQUIRE(memcmp(have, content, 4096) == 0);
		REQUIRE(memcmp(have + 8192, content + 8192, 10000 - 8192) == 0);
		close(fd);
	}
	/* growing by fallocate gives zeros */
	int fd = create("b", content, 100);

	MUST(fallocate(fd, 0, 0, 20000));
	MUST(fstat(fd, &st));
	REQUIRE(st.st_size == 20000);
	expect_zero(fd, 100, 20000);
	/* and so do zeros that begin behind the end; with the size kept there is nothing to do */
	MUST(ftruncate(fd, 100));
	MUST(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 50000, 4096));
	MUST(fstat(fd, &st));
	REQUIRE(st.st_size == 100);
	MUST(fallocate(fd, FALLOC_FL_ZERO_RANGE, 50000, 4096));
	MUST(fstat(fd, &st));
	REQUIRE(st.st_size == 54096);
	expect_zero(fd, 100, 54096);
	/* room that is kept behind the end is there below, and content that comes into it is right */
	MUST(ftruncate(fd, 100));
	MUST(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1 << 20));
	MUST(fsync(fd));
	MUST(fstat(fd, &st));
	REQUIRE(st.st_size == 100);
	if (st.st_blocks < (1 << 20) / 512)
		fail("only %lld blocks are reserved", (long long)st.st_blocks);
	REQUIRE(pwrite(fd, content, 5000, 100) == 5000);
	close(fd);
	drop_caches();
	fd = MUST(open("b", O_RDWR | O_CLOEXEC));
	REQUIRE(pread(fd, have, 20000, 100) == 5000 && memcmp(have, content, 5000) == 0);
}

/* Copies that share blocks: two files would share a key, so none are made. */
static void clones_refused(void)
{
	int from = create("a", content, 8192), to = create("b", content, 8192);
	struct file_clone_range range = { from, 0, 4096, 4096 };

	REQUIRE(ioctl(to, FICLONE, from) < 0 && errno == EOPNOTSUPP);
	REQUIRE(ioctl(to, FICLONERANGE, &range) < 0 && errno == EOPNOTSUPP);
	close(to);
	drop_caches();
	expect_content("b", content, 8192);
}

static void holes_read_zero(void)
{
	int fd = create("a", "start", 5);
	struct stat st;

	REQUIRE(pwrite(fd, "end", 3, 1 << 20) == 3);
	MUST(ftruncate(fd, (1 << 20) + 100000));
	close(fd);
	drop_caches();
	fd = MUST(open("a", O_RDWR | O_CLOEXEC));
	MUST(fstat(fd, &st));
	REQUIRE(st.st_size == (1 << 20) + 100000);
	expect_zero(fd, 5, 1 << 20);
	expect_zero(fd, (1 << 20) + 3, (1 << 20) + 100000);
	REQUIRE(lseek(fd, 0, SEEK_DATA) == 0);
	REQUIRE(lseek(fd, st.st_size, SEEK_DATA) < 0 && errno == ENXIO);
	REQUIRE(lseek(fd, st.st_size - 1, SEEK_HOLE) <= st.st_size);
}

static void lower_size_is(off_t size)
{
	struct stat st;
	off_t want = (in_xattr ? 0 : (off_t)header_len) + (size + 4095) / 4096 * 4096;

	sync();
	lower_stat(&st);
	if (st.st_size != want)
		fail("the lower file of %lld bytes has %lld instead of %lld", (long long)size,
		     (long long)st.st_size, (long long)want);
}

/* Each way of changing the size, with a fresh look at what the lower file says after it. */
static void truncate_traps(void)
{
	static const off_t sizes[] = { 10000, 4096, 4097, 0, 1, 8192, 4095, 12288, 0, 100000, 5000, 8192 };
	struct stat st;

	close(create("a", content, 12000));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int fd;

		if (i % 2) {
			MUST(truncate("a", sizes[i]));
		} else {
			fd = MUST(open("a", O_RDWR | O_CLOEXEC));
			MUST(ftruncate(fd, sizes[i]));
			close(fd);
		}
		drop_caches();
		MUST(stat("a", &st));
		if (st.st_size != sizes[i])
			fail("size %lld instead of %lld", (long long)st.st_size, (long long)sizes[i]);
		lower_size_is(sizes[i]);
	}
	/* what was cut off stays gone */
	close(create("a", content, 12000));
	MUST(truncate("a", 4096));
	MUST(truncate("a", 100));
	MUST(truncate("a", 12000));
	drop_caches();
	int fd = MUST(open("a", O_RDWR | O_CLOEXEC));

	expect_zero(fd, 100, 12000);
	MUST(ftruncate(fd, 0));
	close(fd);
	close(MUST(open("a", O_RDWR | O_TRUNC | O_CLOEXEC)));
	drop_caches();
	fd = MUST(open("a", O_RDWR | O_CLOEXEC));
	REQUIRE(write(fd, "again", 5) == 5);
	close(fd);
	drop_caches();
	expect_content("a", "again", 5);
}

/* A tool restores a lower file in place after it was seen empty: its key must not be replaced. */
static void filled_from_below(void)
{
	static char bytes[65536];
	char path[PATH_MAX], meta[4096];
	ssize_t len, meta_len;
	int fd, reader;

	close(create("a", content, 12000));
	sync();
	lower_path(path);
	fd = MUST(open(path, O_RDWR | O_CLOEXEC));
	len = MUST(read(fd, bytes, sizeof(bytes)));
	meta_len = fgetxattr(fd, "user.ecryptfs", meta, sizeof(meta));
	REQUIRE((meta_len > 0) == in_xattr);
	MUST(ftruncate(fd, 0));
	if (in_xattr)
		MUST(fremovexattr(fd, "user.ecryptfs"));
	drop_caches();
	reader = MUST(open("a", O_RDONLY | O_CLOEXEC));
	REQUIRE(read(reader, bytes + len, 1) == 0);
	if (in_xattr)
		MUST(fsetxattr(fd, "user.ecryptfs", meta, meta_len, 0));
	REQUIRE(pwrite(fd, bytes, len, 0) == len);
	close(fd);
	close(MUST(open("a", O_RDWR | O_CLOEXEC)));
	close(reader);
	drop_caches();
	expect_content("a", content, 12000);
}

/* What somebody moved below is not what the upper name means any more. */
static void moved_below(void)
{
	char path[PATH_MAX], away[PATH_MAX];

	close(create("a", "moved", 5));
	lower_path(path);
	elsewhere(away, "a");
	MUST(rename(path, away));
	REQUIRE(rename("a", "b") < 0 && errno == ENOENT);
	REQUIRE(unlink("a") < 0 && errno == ENOENT);
	REQUIRE(access(away, F_OK) == 0);
	MUST(rename(away, path));
	expect_content("a", "moved", 5);
	MUST(unlink("a"));
	REQUIRE(access(path, F_OK) < 0);
}

static void directory_moved_below(void)
{
	char path[PATH_MAX], away[PATH_MAX];
	struct stat st;

	MUST(mkdir("d", 0755));
	MUST(mkdir("d/e", 0755));
	close(create("d/e/a", "moved", 5));
	lower_path(path);
	elsewhere(away, "d");
	MUST(rename(path, away));
	MUST(stat(away, &st));
	REQUIRE(unlink("d/e/a") < 0 && errno == ENOENT);
	REQUIRE(rename("d/e/a", "a") < 0 && errno == ENOENT);
	REQUIRE(open("d/e/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644) < 0 && errno == ENOENT);
	REQUIRE(mkdir("d/new", 0755) < 0 && errno == ENOENT);
	REQUIRE(rmdir("d/e") < 0 && errno == ENOENT);
	REQUIRE(stat(away, &st) == 0 && st.st_nlink == 3);
	MUST(rename(away, path));
	expect_content("d/e/a", "moved", 5);
}

/* An editor or a restore below: the old file gets another name, a new one takes its place. */
static void replaced_below(void)
{
	char path[PATH_MAX], old[PATH_MAX + 1];

	close(create("a", "first", 5));
	lower_path(path);
	snprintf(old, sizeof(old), "%s~", path);
	MUST(rename(path, old));
	close(MUST(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)));
	MUST(unlink("a"));
	REQUIRE(access(old, F_OK) == 0);
	REQUIRE(access(path, F_OK) < 0);
	MUST(unlink(old));
}

/* Looking a directory up in the middle of a rename does not cost it what is mounted there. */
static void rename_under_lookups(void)
{
	struct statfs fs;
	pid_t pid;
	int status;

	/* what is mounted here goes with this process, however it ends */
	MUST(unshare(CLONE_NEWNS));
	MUST(syscall(SYS_mount, NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	MUST(mkdir("x", 0755));
	MUST(mkdir("x/m", 0755));
	MUST(mkdir("z", 0755));
	MUST(syscall(SYS_mount, "tmpfs", "x/m", "tmpfs", 0, NULL));
	pid = MUST(fork());
	if (pid == 0) {
		for (int i = 0; i < 400; i++) {
			MUST(rename("x", "y"));
			MUST(rename("y", "z/x"));
			MUST(renameat2(AT_FDCWD, "z/x", AT_FDCWD, "z", RENAME_EXCHANGE) < 0 ? 0 : -1);
			MUST(mkdir("x", 0755));
			MUST(renameat2(AT_FDCWD, "z/x", AT_FDCWD, "x", RENAME_EXCHANGE));
			MUST(rmdir("z/x"));
		}
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		access("x/m", F_OK);
		access("y/m", F_OK);
		access("z/x/m", F_OK);
	}
	REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	MUST(statfs("x/m", &fs));
	status = fs.f_type == 0x01021994;	/* tmpfs */
	syscall(SYS_umount2, "x/m", 0);
	REQUIRE(status);
}

/* The length stays, and the blocks are as if they had never been written. */
static void punch_end(const char *path, off_t from)
{
	int fd = MUST(open(path, O_RDWR | O_CLOEXEC));

	MUST(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, 1 << 20));
	close(fd);
}

/*
 * Cut short by a crash, which leaves whole extents, or blocks that were not written, or part of the
 * header of an empty file: what is there is the file.
 */
static void cut_by_crash(void)
{
	static const off_t left[] = { 8192, 4096, 0, -4096 };
	static char bytes[65536];
	char path[PATH_MAX];
	struct stat st;
	off_t len;
	int fd;

	memset(bytes, 'a', sizeof(bytes));
	for (size_t i = 0; i < 2 * (sizeof(left) / sizeof(left[0])) - in_xattr; i++) {
		bool hole = i >= sizeof(left) / sizeof(left[0]) - in_xattr;
		off_t keep = left[hole ? i % 3 : i];

		len = keep < 0 ? 0 : (off_t)sizeof(bytes);
		close(create("a", bytes, (size_t)len));
		sync();
		lower_path(path);
		lower_stat(&st);
		if (!hole)
			MUST(truncate(path, st.st_size - len + keep));
		else
			punch_end(path, st.st_size - len + keep);
		drop_caches();
		len = keep < 0 ? 0 : keep;
		MUST(stat("a", &st));
		REQUIRE(hole || st.st_size == len);
		expect_content("a", bytes, (size_t)len);
		fd = MUST(open("a", O_WRONLY | O_APPEND | O_CLOEXEC));
		REQUIRE(write(fd, bytes, 5000) == 5000);
		MUST(close(fd));
		drop_caches();
		expect_content("a", bytes, (size_t)len + 5000);
		MUST(unlink("a"));
	}
}

static void set_flags(int fd, int flags)
{
	MUST(ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

static sigjmp_buf after_sigbus;

static void on_sigbus(int sig)
{
	siglongjmp(after_sigbus, 1);
}

static bool store_faults(char *at)
{
	struct sigaction action = { .sa_handler = on_sigbus }, old;
	volatile bool faulted = true;

	MUST(sigaction(SIGBUS, &action, &old));
	if (!sigsetjmp(after_sigbus, 1)) {
		*(volatile char *)at = 'X';
		faulted = false;
	}
	MUST(sigaction(SIGBUS, &old, NULL));
	return faulted;
}

/* What the lower file refuses is refused at once, and not when its writer has long gone. */
static void immutable(void)
{
	static char bytes[16384];
	int fd = create("a", bytes, sizeof(bytes)), other;
	char *map = mmap(NULL, sizeof(bytes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	REQUIRE(map != MAP_FAILED);
	memset(bytes, 'b', 4096);
	memset(map, 'b', 4096);				/* dirty when the flag comes */
	set_flags(fd, FS_IMMUTABLE_FL);
	REQUIRE(pwrite(fd, "X", 1, 0) < 0 && errno == EPERM);
	REQUIRE(pwrite(fd, "X", 1, sizeof(bytes)) < 0 && errno == EPERM);
	REQUIRE(ftruncate(fd, 100) < 0 && errno == EPERM);
	REQUIRE(ftruncate(fd, 100000) < 0 && errno == EPERM);
	REQUIRE(fallocate(fd, 0, 0, 100000) < 0 && errno == EPERM);
	REQUIRE(store_faults(map) && store_faults(map + 8192));
	MUST(fsync(fd));
	other = MUST(open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	MUST(syncfs(other));
	close(other);
	set_flags(fd, 0);
	MUST(munmap(map, sizeof(bytes)));
	drop_caches();
	expect_content("a", bytes, sizeof(bytes));
	REQUIRE(pwrite(fd, "b", 1, 5000) == 1);
	bytes[5000] = 'b';
	MUST(close(fd));
	drop_caches();
	expect_content("a", bytes, sizeof(bytes));
}

/* Cut short by damage, inside an extent: what is missing is not read as noise, also after a write behind it. */
static void short_below(void)
{
	static char bytes[65536], have[65536];
	char path[PATH_MAX];
	struct stat st;
	off_t cut;
	ssize_t len;
	int fd;

	memset(bytes, 'a', sizeof(bytes));
	close(create("a", bytes, sizeof(bytes)));
	sync();
	lower_path(path);
	lower_stat(&st);
	cut = st.st_size - (off_t)sizeof(bytes) + 8192 + 100;
	MUST(truncate(path, cut));
	drop_caches();
	fd = MUST(open("a", O_RDWR | O_CLOEXEC));
	len = pwrite(fd, bytes, 4096, 40960);
	close(fd);
	drop_caches();
	fd = MUST(open("a", O_RDWR | O_CLOEXEC));
	if (pread(fd, have, 4096, 8192) > 0 && memcmp(have, bytes, 4096))
		fail("noise after a write behind the end below");
	REQUIRE(len < 0);
	lower_stat(&st);
	REQUIRE(st.st_size == cut);
	REQUIRE(pwrite(fd, "b", 1, sizeof(bytes)) < 0 && errno == EIO);
	REQUIRE(ftruncate(fd, sizeof(bytes) + 1) < 0 && errno == EIO);
	REQUIRE(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 20480, 8192) < 0 &&
		errno == EIO);
	/* two ways out: to fill the gap from its beginning, and to give up what is missing */
	REQUIRE(pwrite(fd, bytes, 8192, 8192) == 8192);
	REQUIRE(pread(fd, have, 4096, 16384) < 0 && errno == EIO);
	MUST(ftruncate(fd, 16384));
	REQUIRE(pwrite(fd, bytes, 5000, 16384) == 5000);
	close(fd);
	drop_caches();
	expect_content("a", bytes, 16384 + 5000);
	/* and cut while it is open: delayed writes do not go behind the end either */
	fd = MUST(open("a", O_RDWR | O_CLOEXEC));
	MUST(truncate(path, cut));
	if (pwrite(fd, bytes, 4096, 16384) == 4096)
		REQUIRE(fsync(fd) < 0 && errno == EIO);
	close(fd);
	lower_stat(&st);
	REQUIRE(st.st_size == cut);
}

/* What the flusher could not write is told by close(), also if it had a size to store as well. */
static void error_until_close(void)
{
	char path[PATH_MAX];
	struct stat st;
	int fd;

	close(create("a", content, 20000));
	sync();
	lower_path(path);
	lower_stat(&st);
	fd = MUST(open("a", O_RDWR | O_CLOEXEC));
	REQUIRE(pwrite(fd, "b", 1, 20000) == 1);
	MUST(truncate(path, st.st_size - 16384));
	sync();
	REQUIRE(close(fd) < 0 && errno == EIO);
}

static void metadata_hidden(void)
{
	char list[1000], value[4096];
	ssize_t n;

	close(create("a", content, 5000));
	n = MUST(listxattr("a", list, sizeof(list)));
	if (n > 0 && memmem(list, n, "user.ecryptfs", 14))
		fail("it is listed");
	REQUIRE(getxattr("a", "user.ecryptfs", value, sizeof(value)) < 0);
	REQUIRE(setxattr("a", "user.ecryptfs", "x", 1, 0) < 0);
	REQUIRE(removexattr("a", "user.ecryptfs") < 0);
	drop_caches();
	expect_content("a", content, 5000);
}

/* What a mapping writes behind the end must not come to light. */
static void mmap_tail(void)
{
	int fd = create("a", "12345", 5);
	char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	REQUIRE(map != MAP_FAILED);
	memcpy(map, "SECRET--SECRET", 14);
	MUST(msync(map, 4096, MS_SYNC));
	munmap(map, 4096);
	close(fd);
	drop_caches();
	expect_content("a", "SECRE", 5);
	fd = MUST(open("a", O_RDWR | O_CLOEXEC));
	MUST(ftruncate(fd, 4096));
	expect_zero(fd, 5, 4096);
}

static void mmap_beyond_end(void)
{
	int fd = create("a", content, 5000), status;
	pid_t pid = MUST(fork());

	if (pid == 0) {
		volatile char *map = mmap(NULL, 16384, PROT_READ, MAP_SHARED, fd, 0);

		_exit(map[8192]);
	}
	MUST(waitpid(pid, &status, 0));
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

static void executes(void)
{
	int in = MUST(open("/bin/true", O_RDONLY | O_CLOEXEC));
	int out = MUST(open("true", O_RDWR | O_CREAT | O_CLOEXEC, 0755)), status;
	char buf[4096];
	ssize_t n;
	pid_t pid;

	while ((n = MUST(read(in, buf, sizeof(buf)))) > 0)
		REQUIRE(write(out, buf, n) == n);
	close(out);
	for (int i = 0; i < 2; i++) {
		pid = MUST(fork());
		if (pid == 0) {
			execl("./true", "true", NULL);
			_exit(99);
		}
		MUST(waitpid(pid, &status, 0));
		REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		drop_caches();
	}
}

static void unlinked_open(void)
{
	int fd = create("a", content, 6000);
	char have[6000];
	struct stat st;

	MUST(unlink("a"));
	MUST(fstat(fd, &st));
	REQUIRE(st.st_nlink == 0);
	REQUIRE(pwrite(fd, "Q", 1, 5999) == 1);
	drop_caches();
	REQUIRE(pread(fd, have, 6000, 0) == 6000 && have[5999] == 'Q');
	REQUIRE(memcmp(have, content, 5999) == 0);
	MUST(ftruncate(fd, 100));
	close(create("a", "new", 3));
	expect_content("a", "new", 3);
	REQUIRE(pread(fd, have, 6000, 0) == 100);
}

/* Reading back what a page lacks is the filesystem's affair, not the writer's permission. */
static void write_only_file(void)
{
	int fd = create("a", content, 5000);

	MUST(fchmod(fd, 0200));
	MUST(fchown(fd, USER, USER));
	close(fd);
	drop_caches();
	become_user();
	fd = MUST(open("a", O_WRONLY | O_CLOEXEC));
	REQUIRE(pwrite(fd, "##", 2, 4095) == 2);
	REQUIRE(pread(fd, content, 1, 0) < 0 && errno == EBADF);
	REQUIRE(open("a", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	close(fd);
	become_root();
	content[4095] = content[4096] = '#';
	drop_caches();
	expect_content("a", content, 5000);
}

static void create_without_permission(void)
{
	int fd;

	MUST(chmod(".", 0777));
	become_user();
	fd = MUST(open("a", O_RDWR | O_CREAT | O_CLOEXEC, 0));
	REQUIRE(write(fd, content, 5000) == 5000);
	REQUIRE(pwrite(fd, content + 100, 10, 100) == 10);
	close(fd);
	REQUIRE(open("a", O_RDWR | O_CLOEXEC) < 0 && errno == EACCES);
	become_root();
	drop_caches();
	expect_content("a", content, 5000);
}

static void read_only_file_by_reader(void)
{
	int fd = create("a", content, 5000);
	char have[5000];

	MUST(fchmod(fd, 0444));
	close(fd);
	drop_caches();
	become_user();
	fd = MUST(open("a", O_RDONLY | O_CLOEXEC));
	REQUIRE(read(fd, have, 5000) == 5000 && memcmp(have, content, 5000) == 0);
	REQUIRE(open("a", O_RDWR | O_CLOEXEC) < 0 && errno == EACCES);
	/* the reader came first: a writer with the right to it must not suffer */
	become_root();
	int writer = MUST(open("a", O_RDWR | O_CLOEXEC));

	REQUIRE(pwrite(writer, "W", 1, 0) == 1);
	REQUIRE(pread(fd, have, 1, 0) == 1 && have[0] == 'W');
}

static void sockets_and_fifos(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int server = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	int client = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), fd;
	char c = 0;

	MUST(bind(server, (struct sockaddr *)&address, sizeof(address)));
	MUST(listen(server, 1));
	MUST(connect(client, (struct sockaddr *)&address, sizeof(address)));
	MUST(mkfifo("fifo", 0600));
	fd = MUST(open("fifo", O_RDWR | O_CLOEXEC));
	REQUIRE(write(fd, "f", 1) == 1 && read(fd, &c, 1) == 1 && c == 'f');
	MUST(mknod("null", S_IFCHR | 0600, makedev(1, 3)));
	fd = MUST(open("null", O_RDWR | O_CLOEXEC));
	REQUIRE(read(fd, &c, 1) == 0);
}

static void remove_while_reading(void)
{
	char name[32];
	struct dirent *entry;
	unsigned int n = 0;
	DIR *dir;

	MUST(mkdir("d", 0755));
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "d/file-%d", i);
		MUST(mknod(name, S_IFREG | 0644, 0));
	}
	dir = opendir("d");
	REQUIRE(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		MUST(unlinkat(dirfd(dir), entry->d_name, 0));
		n++;
	}
	closedir(dir);
	if (n != 300)
		fail("%u of 300 entries", n);
	MUST(rmdir("d"));
}

static void inode_numbers(void)
{
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	close(create("a", "a", 1));
	MUST(mkdir("d", 0755));
	dir = opendir(".");
	REQUIRE(dir);
	while ((entry = readdir(dir))) {
		MUST(lstat(entry->d_name, &st));
		if (strcmp(entry->d_name, "..") && entry->d_ino != st.st_ino)
			fail("%s: readdir says %llu, stat %llu", entry->d_name,
			     (unsigned long long)entry->d_ino, (unsigned long long)st.st_ino);
	}
	closedir(dir);
}

static void filesystem_type(void)
{
	struct statfs st;

	MUST(statfs(".", &st));
	REQUIRE(st.f_type == 0xF15F);
	REQUIRE(st.f_blocks > 0 && st.f_bfree <= st.f_blocks);
}

/* A swap file would be written to its blocks directly: in clear, and over the ciphertext. */
static void swap_refused(void)
{
	static char zeros[65536];
	int fd = create("swap", zeros, sizeof(zeros));
	char *page = aligned_alloc(4096, 4096);

	memset(page, 0, 4096);
	((uint32_t *)page)[256] = 1;			/* version */
	((uint32_t *)page)[257] = sizeof(zeros) / 4096 - 1;	/* last page */
	memcpy(page + 4086, "SWAPSPACE2", 10);
	REQUIRE(pwrite(fd, page, 4096, 0) == 4096);
	MUST(fsync(fd));
	if (swapon("swap", 0) == 0) {
		swapoff("swap");
		fail("it was taken");
	}
	REQUIRE(errno == EINVAL);
}

static const struct {
	const char *name;
	void (*run)(void);
} checks[] = {
	{ "renameat2 RENAME_NOREPLACE", rename_noreplace },
	{ "renameat2 RENAME_EXCHANGE", rename_exchange },
	{ "renameat2 RENAME_WHITEOUT", rename_whiteout },
	{ "O_TMPFILE and linkat", tmpfile_link },
	{ "splice to a file", splice_to_file },
	{ "sendfile to a file", sendfile_to_file },
	{ "copy_file_range", copy_range },
	{ "O_DIRECT", direct },
	{ "an immutable file", immutable },
	{ "time stamps to the nanosecond", time_nanoseconds },
	{ "atime untouched by header reads", atime_of_header },
	{ "RLIMIT_FSIZE counts the upper size", fsize_limit },
	{ "setgid kept on create by a user", setgid_on_create },
	{ "setgid directories", setgid_directory },
	{ "set-id bits lost on a write", setid_lost_on_write },
	{ "capabilities lost on a write", capability_lost_on_write },
	{ "statx birth time", statx_birth },
	{ "statx attributes", statx_attributes },
	{ "blocks without the header", blocks_without_header },
	{ "ACL right after being set", acl_after_set },
	{ "ACL inherited", acl_inherited },
	{ "longest symlink target", symlink_long },
	{ "symlink target too long", symlink_too_long },
	{ "longest name", name_longest },
	{ "zero fill ended by SIGKILL", zero_fill_killable },
	{ "file handles", handles },
	{ "handles of what is elsewhere", handles_outside },
	{ "fallocate: five modes work, three are refused", fallocate_modes },
	{ "clones refused", clones_refused },
	{ "holes read as zeros", holes_read_zero },
	{ "truncate leaves no trap", truncate_traps },
	{ "empty file filled from below", filled_from_below },
	{ "lower file cut short", short_below },
	{ "lower file cut by a crash", cut_by_crash },
	{ "error kept for close", error_until_close },
	{ "file moved below", moved_below },
	{ "directory moved below", directory_moved_below },
	{ "file replaced below", replaced_below },
	{ "renames under lookups", rename_under_lookups },
	{ "user.ecryptfs hidden", metadata_hidden },
	{ "mmap behind the end", mmap_tail },
	{ "SIGBUS behind the end", mmap_beyond_end },
	{ "programs run", executes },
	{ "unlinked open file", unlinked_open },
	{ "write-only file by its owner", write_only_file },
	{ "file of mode 0 while it is open", create_without_permission },
	{ "reader first, writer second", read_only_file_by_reader },
	{ "sockets, FIFOs, devices", sockets_and_fifos },
	{ "removal while reading a directory", remove_while_reading },
	{ "inode numbers agree", inode_numbers },
	{ "statfs", filesystem_type },
	{ "swap files refused", swap_refused },
};

static void clear(void)
{
	char command[2 * PATH_MAX + 64];

	/* what a check that failed has left immutable cannot be removed */
	snprintf(command, sizeof(command), "chattr -R -f -i '%s/check'; rm -rf '%s/check'", upper, upper);
	if (system(command))
		fprintf(stderr, "posix: could not clear %s/check\n", upper);
}

/* True if it passed. The child says why not, unless it dies. */
static bool run(size_t i)
{
	char dir[PATH_MAX];
	int status;
	pid_t pid;

	clear();
	snprintf(dir, sizeof(dir), "%s/check", upper);
	running = checks[i].name;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		alarm(TIME_LIMIT);
		umask(022);
		MUST(mkdir(dir, 0755));
		MUST(chdir(dir));
		checks[i].run();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		fail("no child: %s", strerror(errno));
	if (WIFSIGNALED(status))
		printf("fail %s: %s\n", running,
		       WTERMSIG(status) == SIGALRM ? "out of time" : strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == 0)
		printf("pass %s\n", running);
	return status == 0;
}

static bool wanted(size_t i, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++) {
		if (strstr(checks[i].name, *names))
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	unsigned int ran = 0, passed = 0;
	int opt;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((opt = getopt(argc, argv, "l:n:x")) != -1) {
		switch (opt) {
		case 'l': link_len = strtoul(optarg, NULL, 0); break;
		case 'n': name_len = strtoul(optarg, NULL, 0); break;
		case 'x': in_xattr = true; break;
		default: return 2;
		}
	}
	if (argc - optind < 2 || link_len >= PATH_MAX || name_len > NAME_MAX) {
		fprintf(stderr, "usage: posix [-l LINK_LEN] [-n NAME_LEN] [-x] UPPER LOWER [NAME...]\n");
		return 2;
	}
	upper = argv[optind];
	lower = argv[optind + 1];
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = "0123456789abcdef"[(i ^ i >> 8) & 15];
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		if (!wanted(i, argv + optind + 2))
			continue;
		passed += run(i);
		ran++;
	}
	clear();
	printf("ran %u, %u passed\n", ran, passed);
	return ran == 0 || passed != ran;
}
