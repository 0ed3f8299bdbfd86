// SPDX-License-Identifier: GPL-2.0-only
/* Checks of posix on names: renames, links, lengths, handles, and what directories list. */
#include "tests/fs/posix.h"

#include "tests/fs/must.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

void rename_noreplace(void)
{
	close(create("a", "a", 1));
	close(create("b", "b", 1));
	REQUIRE(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE) < 0 && errno == EEXIST);
	MUST(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE));
	expect_content("c", "a", 1);
	REQUIRE(access("a", F_OK) < 0);
}

void rename_exchange(void)
{
	close(create("a", "aa", 2));
	MUST(mkdir("d", 0755));
	MUST(renameat2(AT_FDCWD, "a", AT_FDCWD, "d", RENAME_EXCHANGE));
	expect_content("d", "aa", 2);
	drop_caches();
	expect_content("d", "aa", 2);
	MUST(rmdir("a"));
}

void rename_whiteout(void)
{
	struct stat st;

	close(create("a", "aa", 2));
	MUST(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_WHITEOUT));
	expect_content("b", "aa", 2);
	MUST(stat("a", &st));
	REQUIRE(S_ISCHR(st.st_mode) && st.st_rdev == 0);
}

void tmpfile_link(void)
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

void symlink_long(void)
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

void symlink_too_long(void)
{
	char target[PATH_MAX + 2];

	memset(target, 'x', sizeof(target));
	target[link_len + 40 < PATH_MAX ? link_len + 40 : PATH_MAX] = '\0';
	REQUIRE(symlink(target, "s") < 0 && errno == ENAMETOOLONG);
}

void name_longest(void)
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

void handles(void)
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

void handles_outside(void)
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

/* Looking a directory up in the middle of a rename does not cost it what is mounted there. */
void rename_under_lookups(void)
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

void unlinked_open(void)
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

void remove_while_reading(void)
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

void inode_numbers(void)
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
