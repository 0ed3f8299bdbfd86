/* SPDX-License-Identifier: GPL-2.0-only */
#include "mount/mount-state.h"

#include "mount/engine.h"
#include "tests/unit/mount/support.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

static const struct ec_mount_state sample = {
	.id = (char *)"home-1000",
	.source = (char *)"/home/.ecryptfs/a/vault",
	.target = (char *)"/home/ä b",
	.engine = (char *)"ecfs",
	.owner = 1000,
	.mount_id = 58,
	.dev_major = 0,
	.dev_minor = 44,
};

static void test_round_trip(void **state)
{
	struct ec_mount_state back = EC_MOUNT_STATE_NULL;
	struct ec_mount_options options = { 0 };

	assert_int_equal(ec_mount_options_add(&options, "ecryptfs_sig", "0123456789abcdef"), 0);
	assert_int_equal(ec_mount_state_write("run/mounts", &sample, &options), 0);
	assert_int_equal(ec_mount_state_read("run/mounts", "home-1000", &back), 0);
	assert_string_equal(back.target, sample.target);
	assert_string_equal(back.engine, "ecfs");
	assert_int_equal(back.owner, 1000);
	assert_int_equal(back.mount_id, 58);
	assert_int_equal(back.dev_minor, 44);
	ec_mount_state_done(&back);
	sh("grep -q '\"ecryptfs_sig\":\"0123456789abcdef\"' run/mounts/home-1000.json");
	sh("test \"$(ls -A run/mounts)\" = home-1000.json");
	assert_int_equal(ec_mount_state_remove("run/mounts", "home-1000"), 0);
	assert_int_equal(ec_mount_state_remove("run/mounts", "home-1000"), 0);
	assert_int_equal(ec_mount_state_read("run/mounts", "home-1000", &back), -ENOENT);
	ec_mount_options_done(&options);
}

/* What was prepared is not what is, until it is committed. */
static void test_two_steps(void **state)
{
	const struct ec_mount_options options = { 0 };
	struct ec_mount_state back = EC_MOUNT_STATE_NULL;

	assert_int_equal(ec_mount_state_prepare("run/mounts", &sample, &options), 0);
	assert_int_equal(ec_mount_state_read("run/mounts", "home-1000", &back), -ENOENT);
	assert_int_equal(ec_mount_state_read_prepared("run/mounts", "home-1000", &back), 0);
	assert_int_equal(back.mount_id, 58);
	ec_mount_state_done(&back);
	assert_int_equal(ec_mount_state_find_source("run/mounts", sample.source, "other", NULL,
						    &back), -ENOENT);
	assert_int_equal(ec_mount_state_commit("run/mounts", "home-1000"), 0);
	assert_int_equal(ec_mount_state_read_prepared("run/mounts", "home-1000", &back), -ENOENT);
	assert_int_equal(ec_mount_state_read("run/mounts", "home-1000", &back), 0);
	ec_mount_state_done(&back);
	assert_int_equal(ec_mount_state_commit("run/mounts", "home-1000"), -ENOENT);
	/* The next one prepares over what somebody left; half of it is damaged. */
	sh("printf '{\"id\":' >run/mounts/.home-1000.json.new");
	assert_int_equal(ec_mount_state_read_prepared("run/mounts", "home-1000", &back), -EBADMSG);
	assert_int_equal(ec_mount_state_prepare("run/mounts", &sample, &options), 0);
	assert_int_equal(ec_mount_state_remove_prepared("run/mounts", "home-1000"), 0);
	assert_int_equal(ec_mount_state_remove_prepared("run/mounts", "home-1000"), 0);
	assert_int_equal(ec_mount_state_remove("run/mounts", "home-1000"), 0);
	sh("test -z \"$(ls -A run/mounts)\"");
}

static bool says_yes(const struct ec_mount_state *state)
{
	return true;
}

static bool says_no(const struct ec_mount_state *state)
{
	return false;
}

/* Another vault's mount of the same lower directory is found, one's own is none. */
static void test_find_source(void **state)
{
	struct ec_mount_options options = { 0 };
	struct ec_mount_state found = EC_MOUNT_STATE_NULL;
	const char *source = sample.source;

	assert_int_equal(ec_mount_state_find_source("run/none", source, "x", says_yes, &found), -ENOENT);
	assert_int_equal(ec_mount_state_write("run/find", &sample, &options), 0);
	sh("echo '{' > run/find/damaged.json; touch run/find/.json run/find/other run/find/.x.json");
	assert_int_equal(ec_mount_state_find_source("run/find", source, "home-1", says_no, &found),
			 -ENOENT);
	assert_int_equal(ec_mount_state_find_source("run/find", source, "home-1000", says_yes, &found),
			 -ENOENT);
	assert_int_equal(ec_mount_state_find_source("run/find", "/x", "home-1", says_yes, &found),
			 -ENOENT);
	assert_null(found.id);
	assert_int_equal(ec_mount_state_find_source("run/find", source, "home-1", says_yes, &found), 0);
	assert_string_equal(found.id, "home-1000");
	ec_mount_state_done(&found);
}

/* A full disk, played by RLIMIT_FSIZE: the old file stays, nothing half stands beside it. */
static void test_no_space(void **state)
{
	struct rlimit old, none = { 0 };
	struct ec_mount_options options = { 0 };
	struct ec_mount_state back = EC_MOUNT_STATE_NULL, other = sample;

	assert_int_equal(ec_mount_state_write("run/mounts", &sample, &options), 0);
	other.target = (char *)"/other";
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	none.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(ec_mount_state_write("run/mounts", &other, &options), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(ec_mount_state_read("run/mounts", "home-1000", &back), 0);
	assert_string_equal(back.target, sample.target);
	ec_mount_state_done(&back);
	sh("test \"$(ls -A run/mounts)\" = home-1000.json");
}

static void test_damaged(void **state)
{
	static const char good[] =
		"{\"device\":\"0:1\",\"engine\":\"e\",\"id\":\"home-1\",\"mount_id\":1,"
		"\"options\":{},\"owner\":1,\"source\":\"/s\",\"target\":\"/t\"}";
	struct ec_mount_state back = EC_MOUNT_STATE_NULL;
	size_t len;

	write_file("run/mounts/home-1.json", good, strlen(good));
	assert_int_equal(ec_mount_state_read("run/mounts", "home-1", &back), 0);
	ec_mount_state_done(&back);
	for (len = 0; len < strlen(good); len++) {
		write_file("run/mounts/home-1.json", good, len);
		assert_int_equal(ec_mount_state_read("run/mounts", "home-1", &back), -EBADMSG);
	}
	/* Another vault's file under this name, and a way out of the directory. */
	write_file("run/mounts/home-2.json", good, strlen(good));
	assert_int_equal(ec_mount_state_read("run/mounts", "home-2", &back), -EBADMSG);
	sh("ln -s home-1.json run/mounts/home-3.json");
	assert_int_equal(ec_mount_state_read("run/mounts", "home-3", &back), -ELOOP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_two_steps),
		cmocka_unit_test(test_find_source),
		cmocka_unit_test(test_no_space),
		cmocka_unit_test(test_damaged),
	};

	NEED_ROOT();
	return cmocka_run_group_tests(tests, enter_scratch, leave_scratch);
}
