// SPDX-License-Identifier: GPL-2.0-only
#include "check.h"

static void test_both_ways(void **state)
{
	static const char *const rows[] = {
		"253ca7e88811d184", "c42ec75301dc1674", "0000000000000000", "ffffffffffffffff",
	};

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		uint8_t sig[8];
		char hex[17];

		assert_int_equal(ecfmt_sig_from_hex(sig, rows[i], 16), 0);
		ecfmt_sig_to_hex(hex, sig);
		assert_string_equal(hex, rows[i]);
	}
}

static void test_upper_case_is_read(void **state)
{
	uint8_t sig[8];

	(void)state;
	assert_int_equal(ecfmt_sig_from_hex(sig, "253CA7E88811D184", 16), 0);
	assert_hex(sig, 8, "253ca7e88811d184");
}

static void test_every_byte_at_every_position(void **state)
{
	unsigned int n = 0, n_good = 0;

	(void)state;
	for (size_t pos = 0; pos < 16; pos++) {
		for (unsigned int c = 0; c <= 0xff; c++, n++) {
			char hex[17] = "0123456789abcdef";
			uint8_t sig[8] = { 0x77 };
			bool digit = c && strchr("0123456789abcdefABCDEF", (int)c);

			hex[pos] = (char)c;
			assert_int_equal(ecfmt_sig_from_hex(sig, hex, 16), digit ? 0 : -EBADMSG);
			if (!digit)
				assert_int_equal(sig[0], 0x77);
			n_good += digit;
		}
	}
	report("%u inputs, %u taken", n, n_good);
}

static void test_only_16_digits(void **state)
{
	static const char text[] = "00112233445566778899aabbccddeeff";
	uint8_t sig[8];

	(void)state;
	for (size_t len = 0; len <= 32; len++) {
		struct guarded g = guarded_new(text, len);

		assert_int_equal(ecfmt_sig_from_hex(sig, (char *)g.data, len),
				 len == 16 ? 0 : -EBADMSG);
		guarded_free(&g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_upper_case_is_read),
		cmocka_unit_test(test_every_byte_at_every_position),
		cmocka_unit_test(test_only_16_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
