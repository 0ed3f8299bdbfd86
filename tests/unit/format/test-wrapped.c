// SPDX-License-Identifier: GPL-2.0-only
#include "check.h"

/* "foo" wrapped by "bar"; docs/format.md. */
#define V2_HEX \
	"3a020102030405060708306633666435316135386566323064350ceec6c611d890d48a7b2df8fd572a37"
#define V1_HEX "37326330303738633065616137656563b888e4a76d0433c9dc87c889efea24be"

static size_t hex_input(uint8_t buf[static 128], const char *hex)
{
	return from_hex(buf, 128, hex);
}

static void test_version_2(void **state)
{
	struct ecfmt_wrapped w;
	uint8_t buf[128];
	size_t len = hex_input(buf, V2_HEX);

	(void)state;
	assert_int_equal(ecfmt_wrapped_get(buf, len, &w), 0);
	assert_int_equal(w.version, 2);
	assert_hex(w.salt, 8, "0102030405060708");
	assert_hex(w.sig, 8, "0f3fd51a58ef20d5");
	assert_int_equal(w.ciphertext_len, 16);
	assert_hex(w.ciphertext, 16, "0ceec6c611d890d48a7b2df8fd572a37");
}

static void test_version_1(void **state)
{
	struct ecfmt_wrapped w;
	uint8_t buf[128];
	size_t len = hex_input(buf, V1_HEX);

	(void)state;
	assert_int_equal(ecfmt_wrapped_get(buf, len, &w), 0);
	assert_int_equal(w.version, 1);
	assert_hex(w.salt, 8, "0000000000000000");
	assert_hex(w.sig, 8, "72c0078c0eaa7eec");
	assert_hex(w.ciphertext, 16, "b888e4a76d0433c9dc87c889efea24be");
}

static void test_written_byte_for_byte(void **state)
{
	struct ecfmt_wrapped w;
	struct ecfmt_writer out;
	uint8_t buf[128], copy[128];
	size_t len = hex_input(buf, V2_HEX), copy_len;

	(void)state;
	assert_int_equal(ecfmt_wrapped_get(buf, len, &w), 0);
	for (size_t max = 0; max <= len; max++) {
		ecfmt_writer_init(&out, copy, max);
		ecfmt_wrapped_put(&out, &w);
		assert_int_equal(ecfmt_writer_finish(&out, &copy_len), max < len ? -ENOBUFS : 0);
	}
	assert_int_equal(copy_len, len);
	assert_memory_equal(copy, buf, len);
}

static void test_what_is_not_written(void **state)
{
	static const size_t bad_lens[] = { 0, 1, 15, 17, 63, 65, 80, (size_t)-16 };
	struct ecfmt_wrapped w = { .version = 2, .ciphertext = (const uint8_t *)V2_HEX };
	struct ecfmt_writer out;
	uint8_t buf[256];
	size_t len;

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(bad_lens); i++) {
		w.ciphertext_len = bad_lens[i];
		ecfmt_writer_init(&out, buf, sizeof(buf));
		ecfmt_wrapped_put(&out, &w);
		assert_int_equal(ecfmt_writer_finish(&out, &len), -ENOBUFS);
	}
	w.ciphertext_len = 16;
	w.version = 1;
	ecfmt_writer_init(&out, buf, sizeof(buf));
	ecfmt_wrapped_put(&out, &w);
	assert_int_equal(ecfmt_writer_finish(&out, &len), -ENOBUFS);
}

/* All lengths of file: 1 to 4 blocks are read, what is behind 64 bytes of them is not. */
static void every_length(const char *hex, size_t head_len)
{
	uint8_t buf[256];
	unsigned int n_good = 0;

	memset(buf, 0xaa, sizeof(buf));
	from_hex(buf, sizeof(buf), hex);
	for (size_t len = 0; len <= sizeof(buf); len++) {
		struct guarded g = guarded_new(buf, len);
		size_t ct = len < head_len ? 0 : len - head_len;
		struct ecfmt_wrapped w;
		bool good = ct >= 64 || (ct && ct % 16 == 0);

		assert_int_equal(ecfmt_wrapped_get(g.data, len, &w), good ? 0 : -EBADMSG);
		if (good)
			assert_int_equal(w.ciphertext_len, ct > 64 ? 64 : ct);
		n_good += good;
		guarded_free(&g);
	}
	report("%zu lengths, %u readable", sizeof(buf) + 1, n_good);
}

static void test_every_length_of_version_2(void **state)
{
	(void)state;
	every_length(V2_HEX, 26);
}

static void test_every_length_of_version_1(void **state)
{
	(void)state;
	every_length(V1_HEX, 16);
}

static void test_every_version_byte(void **state)
{
	uint8_t buf[128];
	size_t len = hex_input(buf, V2_HEX);
	struct ecfmt_wrapped w;

	(void)state;
	for (unsigned int v = 0; v <= 0xff; v++) {
		buf[1] = (uint8_t)v;
		assert_int_equal(ecfmt_wrapped_get(buf, len, &w), v == 2 ? 0 : -EOPNOTSUPP);
	}
	report("256 version bytes");
}

static void every_bit(const char *hex)
{
	uint8_t buf[128];
	size_t len = hex_input(buf, hex);
	unsigned int n_good = 0;

	for (size_t bit = 0; bit < len * 8; bit++) {
		struct guarded g = guarded_new(buf, len);
		struct ecfmt_wrapped w;
		int r;

		g.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		r = ecfmt_wrapped_get(g.data, len, &w);
		assert_true(r == 0 || r == -EBADMSG || r == -EOPNOTSUPP);
		n_good += !r;
		guarded_free(&g);
	}
	report("%zu bits flipped, %u still parse", len * 8, n_good);
}

static void test_every_bit_flipped(void **state)
{
	(void)state;
	every_bit(V2_HEX);
	every_bit(V1_HEX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version_2),
		cmocka_unit_test(test_version_1),
		cmocka_unit_test(test_written_byte_for_byte),
		cmocka_unit_test(test_what_is_not_written),
		cmocka_unit_test(test_every_length_of_version_2),
		cmocka_unit_test(test_every_length_of_version_1),
		cmocka_unit_test(test_every_version_byte),
		cmocka_unit_test(test_every_bit_flipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
