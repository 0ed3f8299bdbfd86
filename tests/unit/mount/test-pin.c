/* SPDX-License-Identifier: GPL-2.0-only */
#include "mount/pin.h"

#include "tests/unit/mount/support.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mount.h>

/* "%s" in path: the scratch directory. */
static int pin(void **state, const char *format, struct ec_why *why)
{
	char path[PATH_MAX + 64];
	int fd = -1, r;

	snprintf(path, sizeof(path), format, (const char *)*state);
	r = ec_pin_directory(path, &fd, why);
	if (r == 0)
		close(fd);
	return r;
}

static void test_paths(void **state)
{
	static const struct {
		const char *path;
		int want;
	} rows[] = {
		{ "%s/real", 0 },
		{ "%s/real/sub", 0 },
		{ "%s/link", -ELOOP },
		{ "%s/link/sub", -ELOOP },
		{ "%s/real/../link", -ELOOP },
		{ "%s/dangling", -ELOOP },
		{ "%s/none", -ENOENT },
		{ "%s/file", -ENOTDIR },
		{ "%s/fifo", -ENOTDIR },
		{ "%.0sreal", -EINVAL },
		{ "%.0s", -EINVAL },
		{ "%.0s/proc/self/cwd", -ELOOP },
		{ "%.0s/proc/self/root", -ELOOP },
	};
	size_t i;

	sh("mkdir -p real/sub; ln -s real link; ln -s none dangling; touch file; mkfifo fifo");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ec_why why = EC_WHY_NULL;
		int r = pin(state, rows[i].path, &why);

		if (r != rows[i].want || !!why.text[0] != (r < 0))
			fail_msg("%s: %d %s", rows[i].path, r, why.text);
	}
	print_message("# %zu paths, good and hostile\n", i);
}

static void test_checks(void **state)
{
	static const struct {
		const char *path;
		enum ec_pin_role role;
		uid_t owner;
		int want;
	} rows[] = {
		{ ".", EC_PIN_SOURCE, 0, 0 },
		{ ".", EC_PIN_TARGET, 0, 0 },
		{ ".", EC_PIN_TARGET, 1000, -EPERM },
		{ ".", EC_PIN_ANY, 1000, 0 },
		{ "owned", EC_PIN_SOURCE, 4242, 0 },
		{ "owned", EC_PIN_SOURCE, 0, -EPERM },
		{ "/proc/sys", EC_PIN_TARGET, 0, -EOPNOTSUPP },
		{ "/proc/sys", EC_PIN_SOURCE, 0, -EOPNOTSUPP },
		{ "/sys", EC_PIN_TARGET, 0, -EOPNOTSUPP },
		{ "/sys", EC_PIN_ANY, 0, 0 },
	};
	size_t i;

	sh("mkdir owned && chown 4242 owned");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = open(rows[i].path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		int r = ec_pin_check(fd, rows[i].role, rows[i].owner, rows[i].path, NULL);

		if (r != rows[i].want)
			fail_msg("%s: %d", rows[i].path, r);
		close(fd);
	}
}

static void test_filesystems(void **state)
{
	static const struct {
		unsigned long f_type;
		bool source;
		bool target;
	} rows[] = {
		{ 0xEF53, true, true }, { 0x01021994, true, true }, { 0x6969, true, true },
		{ 0xFE534D42, true, true }, { 0xFFFFFFFFFE534D42, true, true },
		{ 0xF15F, false, true },	/* ecfs */
		{ 0x9FA0, false, false },	/* proc */
		{ 0x62656572, false, false },	/* sysfs */
		{ 0x65735546, false, false },	/* fuse */
		{ 0x27E0EB, false, false },	/* cgroup */
		{ 0x64626720, false, false },	/* debugfs */
		{ 0, false, false },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(ec_pin_fs_allowed(rows[i].f_type, EC_PIN_SOURCE), rows[i].source);
		assert_int_equal(ec_pin_fs_allowed(rows[i].f_type, EC_PIN_TARGET), rows[i].target);
	}
	print_message("# %zu filesystems, as source and as target\n", i);
}

static void test_held(void **state)
{
	char path[PATH_MAX + 16], by_fd[EC_PIN_PATH_LEN];
	struct stat before, after;
	int fd, read_fd;

	sh("mkdir moving other");
	snprintf(path, sizeof(path), "%s/moving", (const char *)*state);
	assert_int_equal(ec_pin_directory(path, &fd, NULL), 0);
	assert_int_equal(fstat(fd, &before), 0);
	/* Whoever swaps the name now changes nothing. */
	sh("mv moving moved && ln -s other moving");
	ec_pin_path(by_fd, fd);
	assert_int_equal(stat(by_fd, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(ec_pin_reopen(fd, &read_fd), 0);
	assert_int_equal(fstat(read_fd, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	close(read_fd);
	close(fd);
}

static void test_stable(void **state)
{
	char path[PATH_MAX + 16];

	assert_true(ec_pin_path_is_stable("/usr/bin"));
	assert_true(ec_pin_path_is_stable("/"));
	assert_false(ec_pin_path_is_stable("/tmp/x"));
	assert_false(ec_pin_path_is_stable("usr"));
	assert_false(ec_pin_path_is_stable("/usr/none"));
	/* Below a directory where everybody may write. */
	sh("mkdir open && chmod 1777 open && mkdir open/inside");
	snprintf(path, sizeof(path), "%s/open/inside", (const char *)*state);
	assert_false(ec_pin_path_is_stable(path));
}

static bool is_closed(const char *prepare)
{
	bool closed;
	int fd;

	sh("rm -rf home; mkdir -m 755 home");
	sh(prepare);
	fd = open_dir("home");
	assert_int_equal(ec_pin_is_closed_home(fd, &closed), 0);
	close(fd);
	return closed;
}

static void test_closed_home(void **state)
{
	assert_true(is_closed("true"));
	assert_true(is_closed("touch home/README.txt"));
	assert_false(is_closed("touch home/.bashrc"));
	assert_false(is_closed("touch home/README.txt home/x"));
	assert_true(is_closed("touch home/x; chmod 500 home"));
	assert_false(is_closed("mkdir home/README.txt.d"));
}

/* A tmpfs of its own at strict/, with those options. */
static uint64_t attributes(const char *options, bool source, bool target)
{
	char command[200];
	uint64_t ret = 0;
	int from, over;

	snprintf(command, sizeof(command), "mkdir -p plain strict && mount -t tmpfs -o %s tmpfs strict",
		 options);
	sh(command);
	from = open(source ? "strict" : "plain", O_PATH | O_CLOEXEC);
	over = open(target ? "strict" : "plain", O_PATH | O_CLOEXEC);
	assert_int_equal(ec_pin_attributes(from, over, &ret), 0);
	close(from);
	close(over);
	sh("umount strict");
	return ret;
}

static void test_attributes(void **state)
{
	const uint64_t least = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

	assert_int_equal(attributes("rw", true, true), least);
	assert_int_equal(attributes("noexec", true, true), least | MOUNT_ATTR_NOEXEC);
	assert_int_equal(attributes("noexec", true, false), least | MOUNT_ATTR_NOEXEC);
	assert_int_equal(attributes("noexec", false, true), least | MOUNT_ATTR_NOEXEC);
	assert_int_equal(attributes("nosymfollow", true, false), least | MOUNT_ATTR_NOSYMFOLLOW);
	assert_int_equal(attributes("nosymfollow", false, true), least | MOUNT_ATTR_NOSYMFOLLOW);
	assert_int_equal(attributes("ro", true, false), least | MOUNT_ATTR_RDONLY);
	/* A mount point need not be writable for what is mounted there to be. */
	assert_int_equal(attributes("ro", false, true), least);
}

/* Through a view nothing is written, no link leads anywhere, and what is mounted inside is not
 * there; the directory itself is as it was. */
static void test_view(void **state)
{
	struct ec_why why = EC_WHY_NULL;
	int fd, mount_fd, view, file;

	sh("mkdir -p viewed/sub/inside && echo text > viewed/sub/file && ln -s sub viewed/link && "
	   "ln -s file viewed/sub/soft && mknod -m 666 viewed/null c 1 3 && "
	   "mount -t tmpfs tmpfs viewed/sub/inside && touch viewed/sub/inside/x");
	fd = open("viewed", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ec_pin_view(fd, &mount_fd, &view, &why) < 0)
		fail_msg("%s", why.text);
	file = openat(view, "sub/file", O_RDONLY | O_CLOEXEC);
	assert_true(file >= 0);
	close(file);
	assert_int_equal(openat(view, "link/file", O_RDONLY), -1);
	assert_int_equal(errno, ELOOP);
	assert_int_equal(openat(view, "sub/soft", O_RDONLY), -1);
	assert_int_equal(errno, ELOOP);
	assert_int_equal(openat(view, "null", O_RDONLY), -1);
	assert_int_equal(errno, EACCES);
	assert_int_equal(openat(view, "sub/file", O_WRONLY), -1);
	assert_int_equal(errno, EROFS);
	assert_int_equal(faccessat(view, "sub/inside/x", F_OK, 0), -1);
	sh("echo more >> viewed/link/file && cat viewed/sub/soft > /dev/null");
	close(view);
	close(mount_fd);
	close(fd);
	sh("umount viewed/sub/inside");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_filesystems),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_stable),
		cmocka_unit_test(test_closed_home),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_view),
	};

	NEED_ROOT();
	return cmocka_run_group_tests(tests, enter_scratch, leave_scratch);
}
