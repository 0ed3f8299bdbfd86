// SPDX-License-Identifier: GPL-2.0-only
#include "check.h"

static void test_text_of_index(void **state)
{
	static const struct {
		uint64_t index;
		const char *text;
	} rows[] = {
		{ 0, "0" },
		{ 1, "1" },
		{ 9, "9" },
		{ 10, "10" },
		{ 4294967295, "4294967295" },
		{ 4294967296, "4294967296" },
		{ 123456789012, "123456789012" },
		{ 999999999999999, "999999999999999" },
		/* The in-tree filesystem prints into 16 bytes, its NUL included. */
		{ 1000000000000000, "100000000000000" },
		{ 2251799813685247, "225179981368524" },
		{ UINT64_MAX, "184467440737095" },
	};
	uint8_t root_iv[16];

	(void)state;
	memset(root_iv, 0xa5, sizeof(root_iv));
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		uint8_t have[32], want[32] = { 0 };

		memset(have, 0xff, sizeof(have));
		memcpy(want, root_iv, sizeof(root_iv));
		memcpy(want + 16, rows[i].text, strlen(rows[i].text));
		ecfmt_extent_iv_input(have, root_iv, rows[i].index);
		assert_memory_equal(have, want, sizeof(want));
	}
	report("%zu indexes", ECFMT_ARRAY_LEN(rows));
}

/* Against the C library, which knows nothing of ours. */
static void test_like_printf(void **state)
{
	uint64_t seed = CHECK_SEED;
	uint8_t root_iv[16] = { 0 };

	(void)state;
	for (int i = 0; i < 100000; i++) {
		uint64_t index = random_next(&seed) >> (i % 64);
		uint8_t have[32];
		char want[16] = { 0 }, digits[32];

		snprintf(digits, sizeof(digits), "%llu", (unsigned long long)index);
		memcpy(want, digits, strnlen(digits, 15));
		ecfmt_extent_iv_input(have, root_iv, index);
		assert_memory_equal(have + 16, want, 16);
	}
	report("100000 random indexes, seed %llx", (unsigned long long)CHECK_SEED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_of_index),
		cmocka_unit_test(test_like_printf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
