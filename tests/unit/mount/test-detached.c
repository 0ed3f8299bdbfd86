/* SPDX-License-Identifier: GPL-2.0-only */
#include "mount/detached.h"

#include "tests/unit/mount/support.h"

#include <errno.h>
#include <sys/sysmacros.h>

static const char *held_path;

static void hold_path(void)
{
	if (chdir(held_path) < 0 && open(held_path, O_RDONLY) < 0)
		_exit(1);
}

/* A tmpfs stands for the mount: what decides is its device number. */
static struct ec_mount_state mounted(const char *engine)
{
	struct ec_mount_state state = {
		.id = (char *)"home-1", .source = (char *)"/s", .target = (char *)"/home/dora",
		.engine = (char *)engine,
	};
	struct stat st;

	sh("mkdir -p fs/d && mount -t tmpfs tmpfs fs && mkdir fs/d && touch fs/d/file");
	assert_int_equal(stat("fs", &st), 0);
	state.dev_major = major(st.st_dev);
	state.dev_minor = minor(st.st_dev);
	return state;
}

static void test_users(void **state)
{
	static const char *const held[] = { "fs", "fs/d", "fs/d/file" };
	struct ec_mount_state detached;
	char want[64];
	size_t i;
	pid_t pid;

	for (i = 0; i < sizeof(held) / sizeof(held[0]); i++) {
		struct ec_why why = EC_WHY_NULL;

		detached = mounted("ecryptfs");
		held_path = held[i];
		pid = child_that(hold_path);
		sh("umount -l fs");
		assert_int_equal(ec_detached_note("run/detached", &detached), 0);
		assert_int_equal(ec_detached_check("run/detached", "home-1", true, &why), -EBUSY);
		snprintf(want, sizeof(want), "test-detached (pid %d", (int)pid);
		if (!strstr(why.text, want) || !strstr(why.text, "/home/dora"))
			fail_msg("%s: %s", held[i], why.text);
		/* Another home is not concerned. */
		assert_int_equal(ec_detached_check("run/detached", "home-2", true, NULL), 0);
		end_child(pid);
		assert_int_equal(ec_detached_check("run/detached", "home-1", false, NULL), 0);
		sh("test -e run/detached/home-1.json");
		assert_int_equal(ec_detached_check("run/detached", "home-1", true, NULL), 0);
		sh("test ! -e run/detached/home-1.json");
	}
}

/* No reason to keep a home closed. */
static void test_no_reason(void **state)
{
	struct ec_mount_state detached = mounted("ecfs");
	pid_t pid;

	held_path = "fs/d";
	pid = child_that(hold_path);
	/* a key that is gone */
	assert_int_equal(ec_detached_note("run/detached", &detached), 0);
	sh("test ! -e run/detached/home-1.json");
	/* a number that a filesystem with a place has by now */
	detached.engine = (char *)"ecryptfs";
	assert_int_equal(ec_detached_note("run/detached", &detached), 0);
	assert_int_equal(ec_detached_check("run/detached", "home-1", true, NULL), 0);
	sh("test ! -e run/detached/home-1.json");
	/* a file that is damaged */
	sh("echo '{' > run/detached/home-1.json");
	assert_int_equal(ec_detached_check("run/detached", "home-1", true, NULL), 0);
	assert_int_equal(ec_detached_check("run/none", "home-1", true, NULL), 0);
	end_child(pid);
	sh("umount fs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_no_reason),
	};

	NEED_ROOT();
	return cmocka_run_group_tests(tests, enter_scratch, leave_scratch);
}
