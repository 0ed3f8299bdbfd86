/* SPDX-License-Identifier: GPL-2.0-only */
#include "mount/blockers.h"

#include "tests/unit/mount/support.h"

#include <errno.h>
#include <sys/mman.h>

static void hold_nothing(void)
{
}

static void hold_cwd(void)
{
	if (chdir("fs") < 0)
		_exit(1);
}

static void hold_file(void)
{
	if (open("fs/file", O_RDONLY) < 0)
		_exit(1);
}

static void hold_deleted(void)
{
	int fd = open("fs/deleted", O_RDWR | O_CREAT, 0600);

	if (fd < 0 || unlink("fs/deleted") < 0)
		_exit(1);
}

static void hold_root(void)
{
	if (chroot("fs") < 0)
		_exit(1);
}

static void hold_map(void)
{
	int fd = open("fs/file", O_RDONLY);

	if (mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		_exit(1);
	close(fd);
}

static char target[PATH_MAX + 8];

static size_t found(dev_t device, pid_t pid, json_t **ret)
{
	json_t *blockers = NULL, *blocker;
	size_t i, n = 0;

	assert_int_equal(ec_blockers_find(target, device, 5000, &blockers), 0);
	json_array_foreach(blockers, i, blocker)
		n += json_integer_value(json_object_get(blocker, "pid")) == pid;
	if (n)
		assert_string_equal(json_string_value(json_object_get(json_array_get(blockers, 0),
								      "command")), "test-blockers");
	assert_int_equal(json_array_size(blockers), n);
	if (ret)
		*ret = blockers;
	else
		json_decref(blockers);
	return n;
}

static int mount_fs(void **state)
{
	if (enter_scratch(state) < 0)
		return -1;
	snprintf(target, sizeof(target), "%s/fs", (char *)*state);
	sh("mkdir fs && mount -t tmpfs tmpfs fs && echo x > fs/file");
	return 0;
}

static int umount_fs(void **state)
{
	sh("umount fs");
	return leave_scratch(state);
}

static void test_each_way(void **state)
{
	static void (*const ways[])(void) = {
		hold_cwd, hold_file, hold_deleted, hold_root, hold_map
	};
	struct stat st;
	pid_t pid;
	size_t i;

	assert_int_equal(stat("fs", &st), 0);
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		pid = child_that(ways[i]);
		if (found(st.st_dev, pid, NULL) != 1)
			fail_msg("way %zu", i);
		end_child(pid);
	}
	pid = child_that(hold_nothing);
	assert_int_equal(found(st.st_dev, pid, NULL), 0);
	end_child(pid);
}

static size_t found_below(const char *name, pid_t pid)
{
	json_t *blockers = NULL, *blocker;
	char path[PATH_MAX];
	struct stat st;
	size_t i, n = 0;

	assert_non_null(realpath(name, path));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(ec_blockers_below(path, st.st_dev, 20000, &blockers), 0);
	json_array_foreach(blockers, i, blocker)
		n += json_integer_value(json_object_get(blocker, "pid")) == pid;
	assert_int_equal(json_array_size(blockers), n);
	json_decref(blockers);
	return n;
}

static void hold_sub(void)
{
	if (chdir("fs/home/sub") < 0)
		_exit(1);
}

static void hold_sub_map(void)
{
	int fd = open("fs/home/sub/file", O_RDWR);

	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED)
		_exit(1);
	close(fd);
}

static void hold_sub_deleted(void)
{
	if (chdir("fs/home/gone") < 0 || rmdir("../gone") < 0)
		_exit(1);
}

static void hold_neighbour(void)
{
	if (chdir("fs/home2") < 0)
		_exit(1);
}

/* A part of a filesystem: who is in there, and not who is beside it on the same filesystem. */
static void test_below(void **state)
{
	static const struct {
		void (*hold)(void);
		size_t n;
	} rows[] = {
		{ hold_sub, 1 }, { hold_sub_map, 1 }, { hold_sub_deleted, 1 },
		{ hold_neighbour, 0 }, { hold_cwd, 0 }, { hold_map, 0 }, { hold_nothing, 0 },
	};
	json_t *blockers;
	size_t i;

	sh("mkdir -p fs/home/sub fs/home/gone fs/home2 && echo x > fs/home/sub/file");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pid_t pid = child_that(rows[i].hold);

		if (found_below("fs/home", pid) != rows[i].n)
			fail_msg("row %zu", i);
		end_child(pid);
	}
	/* Not all were looked at: that nobody is there has not been seen. */
	assert_int_equal(ec_blockers_below("/", 0, 0, &blockers), -ETIMEDOUT);
}

static void test_text(void **state)
{
	json_t *blockers;
	char want[64], text[128], cut[12];
	struct stat st;
	pid_t pid;

	assert_int_equal(stat("fs", &st), 0);
	pid = child_that(hold_cwd);
	assert_int_equal(found(st.st_dev, pid, &blockers), 1);
	end_child(pid);
	ec_blockers_to_text(blockers, text, sizeof(text));
	snprintf(want, sizeof(want), "test-blockers (pid %d", (int)pid);
	assert_memory_equal(text, want, strlen(want));
	ec_blockers_to_text(blockers, cut, sizeof(cut));
	assert_int_equal(strlen(cut), sizeof(cut) - 1);
	json_decref(blockers);
	blockers = json_array();
	ec_blockers_to_text(blockers, text, sizeof(text));
	assert_string_equal(text, "");
	json_decref(blockers);
}

/* No time at all: an empty answer at once, not a hang. */
static void test_deadline(void **state)
{
	json_t *blockers;

	assert_int_equal(ec_blockers_find("/", 0, 0, &blockers), 0);
	assert_int_equal(json_array_size(blockers), 0);
	json_decref(blockers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_way),
		cmocka_unit_test(test_below),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_deadline),
	};

	NEED_ROOT();
	return cmocka_run_group_tests(tests, mount_fs, umount_fs);
}
