/* SPDX-License-Identifier: GPL-2.0-only */
#include "mount/plan.h"

#include "tests/unit/mount/support.h"

#include <errno.h>

#define SIG "0123456789abcdef"
#define GOOD "'source':'/home/.ecryptfs/a/vault','target':'/home/a','owner':1000,'format':3"
#define OPTIONS "'options':{'ecryptfs_sig':'" SIG "'}"

/* With ' for ", to be read by people. */
static json_t *json(const char *text)
{
	char copy[1024];
	json_t *value;
	char *c;

	strcpy(copy, text);
	for (c = copy; *c; c++)
		if (*c == '\'')
			*c = '"';
	value = json_loads(copy, 0, NULL);
	if (!value)
		fail_msg("no JSON: %s", text);
	return value;
}

static void test_good(void **state)
{
	json_t *body = json("{" GOOD ",'options':{'ecryptfs_sig':'" SIG "','ecryptfs_xattr_metadata':true,"
			    "'ecryptfs_passthrough':false,'x':null},'import':'/home/a','force_detach':true}");
	struct ec_plan plan = EC_PLAN_NULL;

	assert_int_equal(ec_plan_parse(body, &plan, NULL), 0);
	assert_string_equal(plan.source, "/home/.ecryptfs/a/vault");
	assert_string_equal(plan.target, "/home/a");
	assert_string_equal(plan.import, "/home/a");
	assert_int_equal(plan.owner, 1000);
	assert_true(plan.force_detach);
	assert_int_equal(plan.options.n_rows, 3);
	assert_non_null(ec_mount_options_get(&plan.options, "ecryptfs_mount_auth_tok_only"));
	assert_string_equal(ec_mount_options_get(&plan.options, "ecryptfs_sig"), SIG);
	assert_string_equal(ec_mount_options_get(&plan.options, "ecryptfs_xattr_metadata"), "");
	assert_null(ec_mount_options_get(&plan.options, "ecryptfs_passthrough"));
	assert_true(ec_plan_is_own_home("home-1000", &plan));
	assert_false(ec_plan_is_own_home("11111111-2222-3333-4444-555555555555", &plan));
	ec_plan_done(&plan);
	json_decref(body);
}

static void test_bad(void **state)
{
	static const char *const rows[] = {
		"{}",
		"{" GOOD "}",
		"{" GOOD ",'options':[]}",
		"{" GOOD ",'options':{}}",
		"{" GOOD ",'options':{'ecryptfs_sig':16}}",
		"{" GOOD ",'options':{'ecryptfs_sig':'a,b'}}",
		"{" GOOD ",'options':{'ecryptfs_sig':'a','x=y':'z'}}",
		"{" GOOD ",'options':{'ecryptfs_sig':'a','source':'/etc'}}",
		"{" GOOD ",'options':{'ecryptfs_sig':'a','key':'b'}}",
		"{" GOOD ",'options':{'ecryptfs_sig':'a','':'b'}}",
		"{'target':'/a','owner':1,'format':3," OPTIONS "}",
		"{'source':'','target':'/a','owner':1,'format':3," OPTIONS "}",
		"{'source':'/','target':'/a','owner':1,'format':3," OPTIONS "}",
		"{'source':'a','target':'/a','owner':1,'format':3," OPTIONS "}",
		"{'source':'/a/','target':'/a','owner':1,'format':3," OPTIONS "}",
		"{'source':'/a//b','target':'/a','owner':1,'format':3," OPTIONS "}",
		"{'source':'/a/../b','target':'/a','owner':1,'format':3," OPTIONS "}",
		"{'source':'/a/.','target':'/a','owner':1,'format':3," OPTIONS "}",
		"{'source':7,'target':'/a','owner':1,'format':3," OPTIONS "}",
		"{'source':'/a','target':'/a','owner':-1,'format':3," OPTIONS "}",
		"{'source':'/a','target':'/a','owner':4294967295,'format':3," OPTIONS "}",
		"{'source':'/a','target':'/a','owner':'root','format':3," OPTIONS "}",
		"{'source':'/a','target':'/a','owner':1,'format':4," OPTIONS "}",
		"{'source':'/a','target':'/a','owner':1," OPTIONS "}",
		"{" GOOD "," OPTIONS ",'import':'/home/b'}",
		"{" GOOD "," OPTIONS ",'import':'home'}",
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ec_plan plan = EC_PLAN_NULL;
		struct ec_why why = EC_WHY_NULL;
		json_t *body = json(rows[i]);
		int r = ec_plan_parse(body, &plan, &why);

		if ((r != -EPROTO && r != -EOPNOTSUPP) || !why.text[0] || plan.source)
			fail_msg("%s: %d %s", rows[i], r, why.text);
		json_decref(body);
	}
	print_message("# %zu plans refused\n", i);
}

static void test_ids(void **state)
{
	static const struct {
		const char *id;
		bool valid;
	} rows[] = {
		{ "home-0", true }, { "home-1000", true }, { "home-4294967295", true },
		{ "11111111-2222-3333-4444-55555555ffff", true },
		{ "", false }, { "home-", false }, { "home-01", false }, { "home--1", false },
		{ "home-1x", false }, { "home-12345678901", false }, { "home", false },
		{ "../../etc/passwd", false }, { "home-1/../2", false },
		{ "11111111-2222-3333-4444-55555555fff", false },
		{ "11111111-2222-3333-4444-55555555fffff", false },
		{ "11111111-2222-3333-4444-55555555FFFF", false },
		{ "111111111222233334444455555555555555", false },
		{ "11111111-2222-3333-4444-5555555/ffff", false },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (ec_plan_id_valid(rows[i].id) != rows[i].valid)
			fail_msg("%s", rows[i].id);
	print_message("# %zu ids, good and bad\n", i);
}

static void test_keys(void **state)
{
	static const struct {
		const char *options;
		int want;
	} rows[] = {
		{ "{'ecryptfs_sig':'" SIG "'}", 0 },
		{ "{'ecryptfs_sig':'" SIG "','ecryptfs_fnek_sig':'" SIG "'}", 0 },
		{ "{'ecryptfs_sig':'" SIG "','ecryptfs_fnek_sig':'1123456789abcdef'}", -ENOKEY },
		{ "{'ecryptfs_sig':'1123456789abcdef'}", -ENOKEY },
		{ "{'ecryptfs_sig':'short'}", -EPROTO },
	};
	static const struct ecfs_mount_key key = {
		.version = 1,
		.sig = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef },
	};
	struct ec_key_set keys = EC_KEY_SET_NULL;
	size_t i;

	assert_int_equal(ec_key_set_add(&keys, &key), 0);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ec_plan plan = EC_PLAN_NULL;
		char text[512];
		json_t *body;

		snprintf(text, sizeof(text), "{" GOOD ",'options':%s}", rows[i].options);
		body = json(text);
		assert_int_equal(ec_plan_parse(body, &plan, NULL), 0);
		assert_int_equal(ec_plan_check_keys(&plan, &keys, NULL), rows[i].want);
		ec_plan_done(&plan);
		json_decref(body);
	}
	ec_key_set_done(&keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
