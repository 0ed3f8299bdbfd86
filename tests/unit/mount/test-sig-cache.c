/* SPDX-License-Identifier: GPL-2.0-only */
#include "mount/sig-cache.h"

#include "tests/unit/mount/support.h"

#include <errno.h>

#define A "aaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbb"
#define C "cccccccccccccccc"

static bool has(const char *sig)
{
	bool found = false;

	assert_int_equal(ec_sig_cache_has("d/cache", sig, &found), 0);
	return found;
}

static void assert_text(const char *want)
{
	char text[200] = "";
	FILE *file = fopen("d/cache", "r");

	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = 0;
	fclose(file);
	assert_string_equal(text, want);
}

static void test_add_and_find(void **state)
{
	struct stat st;

	assert_false(has(A));
	assert_int_equal(ec_sig_cache_add("d/cache", A), 0);
	assert_int_equal(ec_sig_cache_add("d/cache", B), 0);
	assert_int_equal(ec_sig_cache_add("d/cache", A), 0);
	assert_text(A "\n" B "\n");
	assert_true(has(A) && has(B));
	assert_false(has(C));
	assert_int_equal(stat("d/cache", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat("d", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	sh("test $(ls -A d | wc -l) = 1");
}

static void test_damaged(void **state)
{
	static const struct {
		const char *text;
		bool has_a;
		const char *after;	/* adding B */
	} rows[] = {
		{ A "\n" B, true, A "\n" B "\n" },	/* cut before its newline: no record */
		{ A "\n" "bbbb", true, A "\n" B "\n" },
		{ "junk\n" A "\n", true, A "\n" B "\n" },
		{ A, false, B "\n" },
		{ A "a\n", false, B "\n" },
		{ "x" A "\n", false, B "\n" },
		{ "", false, B "\n" },
		{ "\n\n\n", false, B "\n" },
		{ "gaaaaaaaaaaaaaaa\n" A "\n", true, A "\n" B "\n" },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		write_file("d/cache", rows[i].text, strlen(rows[i].text));
		assert_int_equal(has(A), rows[i].has_a);
		assert_int_equal(ec_sig_cache_add("d/cache", B), 0);
		assert_text(rows[i].after);
	}
	print_message("# %zu caches, most of them damaged\n", i);
}

static void test_refused(void **state)
{
	bool found;

	sh("rm d/cache; mkfifo d/cache");
	assert_int_equal(ec_sig_cache_has("d/cache", A, &found), -EINVAL);
	assert_int_equal(ec_sig_cache_add("d/cache", A), -EINVAL);
	sh("rm d/cache; truncate -s 2M d/cache");
	assert_int_equal(ec_sig_cache_has("d/cache", A, &found), -E2BIG);
	assert_int_equal(ec_sig_cache_add("none/d/cache", A), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_and_find),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_refused),
	};

	NEED_ROOT();
	return cmocka_run_group_tests(tests, enter_scratch, leave_scratch);
}
