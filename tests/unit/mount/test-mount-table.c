/* SPDX-License-Identifier: GPL-2.0-only */
#include "mount/mount-table.h"

#include "tests/unit/mount/support.h"

#include <errno.h>

static void test_parse(void **state)
{
	char line[] = "58 29 0:44 / /home/a\\040b rw,nosuid,nodev shared:1 master:2 - ecfs "
		      "/lower\\134x rw,ecryptfs_sig=1";
	struct ec_mount_entry entry;

	assert_int_equal(ec_mount_entry_parse(line, &entry), 0);
	assert_int_equal(entry.id, 58);
	assert_int_equal(entry.dev_major, 0);
	assert_int_equal(entry.dev_minor, 44);
	assert_string_equal(entry.target, "/home/a b");
	assert_string_equal(entry.mount_options, "rw,nosuid,nodev");
	assert_string_equal(entry.type, "ecfs");
	assert_string_equal(entry.source, "/lower\\x");
	assert_string_equal(entry.super_options, "rw,ecryptfs_sig=1");
}

static void test_every_cut(void **state)
{
	static const char line[] = "58 29 0:44 / /home rw - ecfs /lower rw";
	struct ec_mount_entry entry;
	size_t len;

	for (len = 0; len < sizeof(line); len++) {
		char *copy = strndup(line, len);
		int r = ec_mount_entry_parse(copy, &entry);

		/* Whole, or cut behind the second of the three fields of the tail. */
		assert_int_equal(r, len > strlen("58 29 0:44 / /home rw - ecfs ") ? 0 : -EBADMSG);
		free(copy);
	}
	print_message("# %zu cuts of a line\n", len);
}

static void test_lookups(void **state)
{
	static const char text[] =
		"1 0 8:1 / / rw - ext4 /dev/sda rw\n"
		"nonsense\n"
		"2 1 0:5 / /home/a rw - ecfs /x rw\n"
		"3 1 0:6 / /home/a rw - tmpfs tmpfs rw\n"
		"4 1 0:7 / /home/ab/c rw - tmpfs tmpfs rw\n";
	struct ec_mount_table table = EC_MOUNT_TABLE_NULL;

	write_file("table", text, strlen(text));
	assert_int_equal(ec_mount_table_read("table", &table), 0);
	assert_int_equal(table.n_entries, 4);
	assert_int_equal(ec_mount_table_by_target(&table, "/home/a")->id, 3);
	assert_string_equal(ec_mount_table_by_id(&table, 2)->type, "ecfs");
	assert_null(ec_mount_table_by_id(&table, 9));
	assert_null(ec_mount_table_by_target(&table, "/home"));
	assert_int_equal(ec_mount_table_below(&table, "/home/ab")->id, 4);
	assert_null(ec_mount_table_below(&table, "/home/a"));
	assert_int_equal(ec_mount_table_below(&table, "/home")->id, 2);
	ec_mount_table_done(&table);
	assert_int_equal(ec_mount_table_read("none", &table), -ENOENT);
}

static void test_may_hang(void **state)
{
	static const char text[] =
		"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
		"2 1 0:9 / /net rw - nfs4 server:/ rw\n"
		"3 2 0:10 / /net/local rw - tmpfs tmpfs rw\n"
		"4 1 0:11 / /home/ab rw - fuse.sshfs x rw\n";
	static const struct {
		const char *path;
		bool may;
	} rows[] = {
		{ "/", false }, { "/etc", false }, { "/net", true }, { "/net/x/y", true },
		{ "/network", false }, { "/net/local/x", false }, { "/home/ab/x", true },
		{ "/home/abc", false }, { "/home", false },
	};
	struct ec_mount_table table = EC_MOUNT_TABLE_NULL;
	size_t i;

	write_file("hang", text, sizeof(text) - 1);
	assert_int_equal(ec_mount_table_read("hang", &table), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (ec_mount_table_may_hang(&table, rows[i].path) != rows[i].may)
			fail_msg("%s", rows[i].path);
	ec_mount_table_done(&table);
}

static void test_words(void **state)
{
	assert_true(ec_mount_options_has("rw,nosuid", "nosuid"));
	assert_true(ec_mount_options_has("rw", "rw"));
	assert_false(ec_mount_options_has("rw,nosuidx", "nosuid"));
	assert_false(ec_mount_options_has("xnosuid", "nosuid"));
	assert_false(ec_mount_options_has("", "rw"));
	assert_true(ec_mount_type_is_ours("ecfs") && ec_mount_type_is_ours("ecryptfs"));
	assert_false(ec_mount_type_is_ours("ext4"));
}

static void test_real(void **state)
{
	struct ec_mount_table table = EC_MOUNT_TABLE_NULL;
	uint64_t id = 0;
	dev_t dev = 0;
	struct stat st;

	assert_int_equal(ec_mount_table_read("/proc/self/mountinfo", &table), 0);
	assert_int_equal(ec_mount_id_at(AT_FDCWD, "/proc", &id, &dev), 0);
	assert_int_equal(stat("/proc", &st), 0);
	assert_int_equal(dev, st.st_dev);
	assert_non_null(ec_mount_table_by_id(&table, id));
	assert_string_equal(ec_mount_table_by_id(&table, id)->type, "proc");
	ec_mount_table_done(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_lookups),
		cmocka_unit_test(test_may_hang),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_real),
	};

	NEED_ROOT();
	return cmocka_run_group_tests(tests, enter_scratch, leave_scratch);
}
