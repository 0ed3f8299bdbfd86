// SPDX-License-Identifier: GPL-2.0-only
/* Checks of posix on who may do what: modes, set-id bits, capabilities and access lists. */
#include "tests/fs/posix.h"

#include "tests/fs/must.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define USER		1000	/* uid and gid of the user who has no privilege */

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

void setgid_on_create(void)
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

void setgid_directory(void)
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
void setid_lost_on_write(void)
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
void capability_lost_on_write(void)
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

struct acl {
	uint32_t version;
	struct { uint16_t tag, perm; uint32_t id; } entries[5];
};

void acl_after_set(void)
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

void acl_inherited(void)
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

/* Reading back what a page lacks is the filesystem's affair, not the writer's permission. */
void write_only_file(void)
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

void create_without_permission(void)
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

void read_only_file_by_reader(void)
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
