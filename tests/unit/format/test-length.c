// SPDX-License-Identifier: GPL-2.0-only
#include "check.h"

static const struct {
	size_t len;
	const char *hex;
} rows[] = {
	{ 0, "00" },	 { 1, "01" },	  { 191, "bf" },   { 192, "c000" },
	{ 256, "c040" }, { 447, "c0ff" }, { 448, "c100" }, { 8383, "dfff" },
};

static int get(const uint8_t *buf, size_t len, size_t *ret, size_t *left)
{
	struct ecfmt_reader cur;
	int r;

	ecfmt_reader_init(&cur, buf, len);
	r = ecfmt_length_get(&cur, ret);
	*left = ecfmt_reader_left(&cur);
	return r;
}

static void test_check_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		struct ecfmt_writer out;
		uint8_t buf[2], want[2];
		size_t want_len = from_hex(want, sizeof(want), rows[i].hex), len, left;

		ecfmt_writer_init(&out, buf, sizeof(buf));
		ecfmt_length_put(&out, rows[i].len);
		assert_int_equal(ecfmt_writer_finish(&out, &len), 0);
		assert_int_equal(len, want_len);
		assert_hex(buf, len, rows[i].hex);
		assert_int_equal(get(want, want_len, &len, &left), 0);
		assert_int_equal(len, rows[i].len);
		assert_int_equal(left, 0);
	}
	report("%zu check values", ECFMT_ARRAY_LEN(rows));
}

static void test_every_length_round_trips(void **state)
{
	(void)state;
	for (size_t want = 0; want <= 8383; want++) {
		struct ecfmt_writer out;
		uint8_t buf[2];
		size_t len, have, left;

		ecfmt_writer_init(&out, buf, sizeof(buf));
		ecfmt_length_put(&out, want);
		assert_int_equal(ecfmt_writer_finish(&out, &len), 0);
		assert_int_equal(len, want < 192 ? 1 : 2);
		assert_int_equal(get(buf, len, &have, &left), 0);
		assert_int_equal(have, want);
	}
	report("8384 lengths");
}

static void test_every_two_bytes(void **state)
{
	unsigned int n_good = 0, n_bad = 0;

	(void)state;
	for (unsigned int v = 0; v <= 0xffff; v++) {
		uint8_t buf[2] = { (uint8_t)(v >> 8), (uint8_t)v };
		size_t have = 12345, left;
		int r = get(buf, 2, &have, &left);

		if (buf[0] < 192) {
			assert_int_equal(r, 0);
			assert_int_equal(have, buf[0]);
			assert_int_equal(left, 1);
		} else if (buf[0] < 224) {
			assert_int_equal(r, 0);
			assert_int_equal(have, (buf[0] - 192) * 256 + buf[1] + 192);
			assert_int_equal(left, 0);
		} else {
			assert_int_equal(r, -EBADMSG);
			assert_int_equal(have, 12345);
			assert_int_equal(left, 2);
		}
		n_good += !r;
		n_bad += !!r;
	}
	report("65536 inputs: %u lengths, %u refused", n_good, n_bad);
}

static void test_cut_off(void **state)
{
	(void)state;
	for (unsigned int first = 0; first <= 0xff; first++) {
		uint8_t b = (uint8_t)first;
		struct guarded g = guarded_new(&b, 1);
		size_t have, left;

		assert_int_equal(get(g.data, 0, &have, &left), -EBADMSG);
		assert_int_equal(get(g.data, 1, &have, &left), first < 192 ? 0 : -EBADMSG);
		guarded_free(&g);
	}
}

static void test_too_long_to_write(void **state)
{
	static const size_t lens[] = { 8384, 65535, 65536, (size_t)-1 };

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(lens); i++) {
		struct ecfmt_writer out;
		uint8_t buf[8];
		size_t len;

		ecfmt_writer_init(&out, buf, sizeof(buf));
		ecfmt_length_put(&out, lens[i]);
		assert_int_equal(ecfmt_writer_finish(&out, &len), -ENOBUFS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_values),
		cmocka_unit_test(test_every_length_round_trips),
		cmocka_unit_test(test_every_two_bytes),
		cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_too_long_to_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
