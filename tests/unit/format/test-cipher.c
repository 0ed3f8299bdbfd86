// SPDX-License-Identifier: GPL-2.0-only
#include "check.h"

/* All key lengths from 0 to 64 that a content or a name can have. */
static const struct {
	const char *name;
	uint8_t code;
	size_t block_len;
	const char *content;	/* key lengths, comma on both sides of each */
	const char *names;
} rows[] = {
	{ "aes", 0x07, 16, ",16,", ",16," },
	{ "aes", 0x08, 16, ",24,", ",24," },
	{ "aes", 0x09, 16, ",32,", ",32," },
	{ "des3_ede", 0x02, 8, ",24,", ",24," },
	{ "cast5", 0x03, 8, ",8,16,", ",5,6,7,8,9,10,11,12,13,14,15,16," },
	{ "blowfish", 0x04, 8, ",8,16,24,32,40,48,56,",
	  ",4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,"
	  "35,36,37,38,39,40,41,42,43,44,45,46,47,48,49,50,51,52,53,54,55,56," },
	{ "twofish", 0x0a, 16, ",16,32,", ",16,24,32," },
	{ "cast6", 0x0b, 16, ",16,32,", ",16,20,24,28,32," },
};

static bool listed(const char *list, size_t n)
{
	char item[16];

	snprintf(item, sizeof(item), ",%zu,", n);
	return strstr(list, item) != NULL;
}

static void test_rows(void **state)
{
	size_t n = 0;

	(void)state;
	while (ecfmt_cipher_row(n))
		n++;
	assert_int_equal(n, ECFMT_ARRAY_LEN(rows));
	assert_null(ecfmt_cipher_row((size_t)-1));
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		const struct ecfmt_cipher *c = ecfmt_cipher_by_code(rows[i].code);

		assert_non_null(c);
		assert_string_equal(c->name, rows[i].name);
		assert_int_equal(c->block_len, rows[i].block_len);
	}
}

static void test_every_key_len(void **state)
{
	unsigned int n_content = 0, n_names = 0;

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		const struct ecfmt_cipher *c = ecfmt_cipher_by_code(rows[i].code);

		for (size_t len = 0; len <= 300; len++) {
			bool content = listed(rows[i].content, len);
			bool names = listed(rows[i].names, len);

			assert_int_equal(ecfmt_cipher_key_len_ok(c, len), content);
			assert_int_equal(ecfmt_cipher_name_key_len_ok(c, len), names);
			n_content += content;
			n_names += names;
		}
	}
	report("%u pairs for content, %u for names", n_content, n_names);
}

static void test_by_name(void **state)
{
	(void)state;
	assert_int_equal(ecfmt_cipher_by_name("aes", 16)->code, 0x07);
	assert_int_equal(ecfmt_cipher_by_name("aes", 24)->code, 0x08);
	assert_int_equal(ecfmt_cipher_by_name("aes", 32)->code, 0x09);
	assert_null(ecfmt_cipher_by_name("aes", 0));
	assert_null(ecfmt_cipher_by_name("aes", 17));
	assert_int_equal(ecfmt_cipher_by_name("blowfish", 56)->code, 0x04);
	assert_int_equal(ecfmt_cipher_by_name("des3_ede", 24)->code, 0x02);
	assert_null(ecfmt_cipher_by_name("des3_ede", 16));
	assert_null(ecfmt_cipher_by_name("AES", 16));
	assert_null(ecfmt_cipher_by_name("aes256", 32));
	assert_null(ecfmt_cipher_by_name("", 16));
}

static void test_every_code(void **state)
{
	unsigned int n = 0;

	(void)state;
	for (unsigned int code = 0; code <= 0xff; code++) {
		const struct ecfmt_cipher *c = ecfmt_cipher_by_code((uint8_t)code);

		if (c)
			assert_int_equal(c->code, code);
		n += !!c;
	}
	assert_int_equal(n, ECFMT_ARRAY_LEN(rows));
	report("256 codes, %u known", n);
}

/* A wrapped key is whole blocks, and no longer than a packet takes. */
static void test_efek_len(void **state)
{
	(void)state;
	assert_int_equal(ecfmt_cipher_efek_len(ecfmt_cipher_by_code(0x08), 24), 32);
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		const struct ecfmt_cipher *c = ecfmt_cipher_by_code(rows[i].code);

		for (size_t len = 1; len <= ECFMT_FEK_LEN_MAX; len++) {
			size_t efek_len;

			if (!ecfmt_cipher_key_len_ok(c, len))
				continue;
			efek_len = ecfmt_cipher_efek_len(c, len);
			assert_int_equal(efek_len, rows[i].code == 0x08 ? 32 : len);
			assert_int_equal(efek_len % c->block_len, 0);
			assert_true(efek_len <= ECFMT_EFEK_LEN_MAX);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_every_key_len),
		cmocka_unit_test(test_by_name),
		cmocka_unit_test(test_every_code),
		cmocka_unit_test(test_efek_len),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
