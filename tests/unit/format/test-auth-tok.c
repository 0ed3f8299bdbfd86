// SPDX-License-Identifier: GPL-2.0-only
#include "check.h"

static const struct ecfmt_auth_tok sample = {
	.sig = { 0x25, 0x3c, 0xa7, 0xe8, 0x88, 0x11, 0xd1, 0x84 },
	.salt = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77 },
	.key = { 0x3f, 0x0c, 0xff, 0xa9, [63] = 0xe9 },
};

static uint32_t u32_at(const uint8_t *buf, size_t at)
{
	uint32_t value;

	memcpy(&value, buf + at, sizeof(value));
	return value;
}

/* The offsets are those that a C compiler gives the structure of ecryptfs-utils. */
static void test_layout(void **state)
{
	uint8_t buf[ECFMT_AUTH_TOK_LEN];
	uint16_t version, type;

	(void)state;
	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(ecfmt_auth_tok_put(buf, sizeof(buf), &sample), 0);
	memcpy(&version, buf, 2);
	memcpy(&type, buf + 2, 2);
	assert_int_equal(version, 0x0004);
	assert_int_equal(type, 0);
	for (size_t i = 4; i < 632; i++)
		assert_int_equal(buf[i], 0);
	assert_int_equal(u32_at(buf, 632), 10);
	assert_int_equal(u32_at(buf, 636), 0);
	assert_int_equal(u32_at(buf, 640), 64);
	assert_int_equal(u32_at(buf, 644), 2);
	assert_memory_equal(buf + 648, sample.key, 64);
	assert_string_equal((char *)buf + 712, "253ca7e88811d184");
	assert_memory_equal(buf + 729, sample.salt, 8);
	assert_int_equal(buf[737] | buf[738] | buf[739], 0);
}

static void test_round_trip(void **state)
{
	uint64_t seed = CHECK_SEED;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct ecfmt_auth_tok tok, have;
		uint8_t buf[ECFMT_AUTH_TOK_LEN + 70];

		random_bytes(&seed, (uint8_t *)&tok, sizeof(tok));
		assert_int_equal(ecfmt_auth_tok_put(buf, sizeof(buf), &tok), 0);
		assert_int_equal(ecfmt_auth_tok_get(buf, sizeof(buf), &have), 0);
		assert_memory_equal(&tok, &have, sizeof(tok));
	}
	report("1000 tokens, seed %llx", (unsigned long long)CHECK_SEED);
}

static void test_every_length(void **state)
{
	uint8_t buf[ECFMT_AUTH_TOK_LEN + 10] = { 0 };
	struct ecfmt_auth_tok have;

	(void)state;
	assert_int_equal(ecfmt_auth_tok_put(buf, sizeof(buf), &sample), 0);
	for (size_t len = 0; len <= sizeof(buf); len++) {
		struct guarded g = guarded_new(buf, len);
		bool good = len >= ECFMT_AUTH_TOK_LEN;

		assert_int_equal(ecfmt_auth_tok_get(g.data, len, &have), good ? 0 : -EBADMSG);
		assert_int_equal(ecfmt_auth_tok_put(g.data, len, &sample), good ? 0 : -ENOBUFS);
		guarded_free(&g);
	}
	report("%zu lengths", sizeof(buf) + 1);
}

static void test_refused(void **state)
{
	static const struct {
		const char *what;
		size_t at;
		uint8_t value;
		int want;
	} rows[] = {
		{ "version minor", 0, 5, -EOPNOTSUPP },
		{ "version major", 1, 1, -EOPNOTSUPP },
		{ "private key", 2, 1, -EOPNOTSUPP },
		{ "63 key bytes", 640, 63, -EBADMSG },
		{ "65 key bytes", 640, 65, -EBADMSG },
		{ "no key bytes", 640, 0, -EBADMSG },
		{ "huge key bytes", 643, 0x80, -EBADMSG },
		{ "no key-set flag", 644, 1, -EBADMSG },
		{ "sig not ended", 728, '0', -EBADMSG },
		{ "sig too short", 727, 0, -EBADMSG },
		{ "sig no hex", 712, 'g', -EBADMSG },
		{ "persistent flag too", 644, 3, 0 },
		{ "other hash", 632, 2, 0 },
		{ "old wrapped key", 20, 0xff, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		uint8_t buf[ECFMT_AUTH_TOK_LEN];
		struct ecfmt_auth_tok have = { .salt = { 0x99 } };
		int r;

		assert_int_equal(ecfmt_auth_tok_put(buf, sizeof(buf), &sample), 0);
		buf[rows[i].at] = rows[i].value;
		r = ecfmt_auth_tok_get(buf, sizeof(buf), &have);
		if (r != rows[i].want)
			fail_msg("%s: %d, want %d", rows[i].what, r, rows[i].want);
		if (r)
			assert_int_equal(have.salt[0], 0x99);
	}
	report("%zu changed tokens", ECFMT_ARRAY_LEN(rows));
}

static void test_every_bit_flipped(void **state)
{
	uint8_t buf[ECFMT_AUTH_TOK_LEN];
	unsigned int n_good = 0;

	(void)state;
	assert_int_equal(ecfmt_auth_tok_put(buf, sizeof(buf), &sample), 0);
	for (size_t bit = 0; bit < sizeof(buf) * 8; bit++) {
		struct ecfmt_auth_tok have;
		int r;

		buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		r = ecfmt_auth_tok_get(buf, sizeof(buf), &have);
		assert_true(r == 0 || r == -EBADMSG || r == -EOPNOTSUPP);
		n_good += !r;
		buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	report("%zu bits flipped, %u still parse", sizeof(buf) * 8, n_good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_every_bit_flipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
