/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/hex.h"

#include "tests/unit/lib/support.h"

#include <errno.h>

static void test_hex_round_trip(void **state)
{
	uint8_t bytes[256], back[256];
	char text[513];
	size_t i;

	for (i = 0; i < 256; i++)
		bytes[i] = (uint8_t)i;
	ec_hex_encode(text, bytes, 256);
	assert_int_equal(strlen(text), 512);
	assert_int_equal(strspn(text, "0123456789abcdef"), 512);
	assert_memory_equal(text, "000102030405060708090a0b0c0d0e0f10", 34);
	assert_int_equal(ec_hex_decode(back, 256, text, 512), 0);
	assert_memory_equal(bytes, back, 256);
}

static void test_hex_decode(void **state)
{
	uint8_t out[2] = { 0 };
	int c;

	assert_int_equal(ec_hex_decode(out, 2, "aBfF", 4), 0);
	assert_int_equal(out[0], 0xab);
	assert_int_equal(out[1], 0xff);
	assert_int_equal(ec_hex_decode(out, 0, "", 0), 0);
	assert_int_equal(ec_hex_decode(out, 2, "aBfF", 3), -EINVAL);
	assert_int_equal(ec_hex_decode(out, 1, "aBfF", 4), -EINVAL);
	for (c = 0; c < 256; c++) {
		char text[2] = { '0', (char)c };
		int want = c && strchr("0123456789abcdefABCDEF", c) ? 0 : -EINVAL;

		assert_int_equal(ec_hex_decode(out, 1, text, 2), want);
	}
}

/* RFC 4648, 10 */
static void test_base64_vectors(void **state)
{
	static const char *const cases[][2] = {
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_free_ char *text = ec_base64_encode(cases[i][0], strlen(cases[i][0]));
		_cleanup_free_ uint8_t *bytes = NULL;
		size_t len;

		assert_string_equal(text, cases[i][1]);
		assert_int_equal(ec_base64_decode(text, &bytes, &len), 0);
		assert_int_equal(len, strlen(cases[i][0]));
		assert_memory_equal(bytes, cases[i][0], len);
	}
}

static void test_base64_refused(void **state)
{
	static const char *const bad[] = {
		"Z", "Zg", "Zg=", "Zg===", "====", "=", "Z===", "Zm9v=", "Zm9vY===", "Z=9v",
		"Zg==Zg==", "Zm8=Zm8=", "Zm9 v", "Zm9v\n", " Zm9v", "Zm9-", "Zm9_", "Zh==", "Zm9=",
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t *bytes = NULL;
		size_t len = 77;

		if (ec_base64_decode(bad[i], &bytes, &len) != -EINVAL)
			fail_msg("accepted: %s", bad[i]);
		assert_null(bytes);
		assert_int_equal(len, 77);
	}
}

static void test_base64_lengths(void **state)
{
	uint8_t bytes[300];
	size_t len;

	for (len = 0; len < sizeof(bytes); len++)
		bytes[len] = (uint8_t)(len * 167 + 13);
	for (len = 0; len <= sizeof(bytes); len++) {
		_cleanup_free_ char *text = ec_base64_encode(bytes, len);
		_cleanup_free_ uint8_t *back = NULL;
		size_t back_len;

		assert_int_equal(strlen(text), (len + 2) / 3 * 4);
		assert_int_equal(ec_base64_decode(text, &back, &back_len), 0);
		assert_int_equal(back_len, len);
		assert_memory_equal(back, bytes, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hex_round_trip),
		cmocka_unit_test(test_hex_decode),
		cmocka_unit_test(test_base64_vectors),
		cmocka_unit_test(test_base64_refused),
		cmocka_unit_test(test_base64_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
