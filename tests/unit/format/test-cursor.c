// SPDX-License-Identifier: GPL-2.0-only
#include "check.h"

static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };

static void test_numbers_are_big_endian(void **state)
{
	struct ecfmt_reader cur;
	uint8_t n8;
	uint16_t n16;
	uint32_t n32;
	uint64_t n64;

	(void)state;
	ecfmt_reader_init(&cur, bytes, sizeof(bytes));
	assert_int_equal(ecfmt_get_u8(&cur, &n8), 0);
	assert_int_equal(n8, 1);
	assert_int_equal(ecfmt_get_be64(&cur, &n64), 0);
	assert_true(n64 == 0x0203040506070809ULL);
	assert_int_equal(ecfmt_reader_left(&cur), 0);

	ecfmt_reader_init(&cur, bytes, sizeof(bytes));
	assert_int_equal(ecfmt_get_be16(&cur, &n16), 0);
	assert_int_equal(n16, 0x0102);
	assert_int_equal(ecfmt_get_be32(&cur, &n32), 0);
	assert_int_equal(n32, 0x03040506);
	assert_int_equal(ecfmt_reader_left(&cur), 3);
}

/* Every get with every number of bytes left: either exact, or nothing moves. */
static void test_get_at_every_length(void **state)
{
	static const size_t sizes[] = { 1, 2, 4, 8 };
	int n = 0;

	(void)state;
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		struct guarded g = guarded_new(bytes, len);

		for (size_t i = 0; i < ECFMT_ARRAY_LEN(sizes); i++, n++) {
			struct ecfmt_reader cur;
			uint64_t value = 0x5555555555555555ULL;
			int r = 0;

			ecfmt_reader_init(&cur, g.data, g.len);
			switch (sizes[i]) {
			case 1:
				r = ecfmt_get_u8(&cur, (uint8_t *)&value);
				break;
			case 2:
				r = ecfmt_get_be16(&cur, (uint16_t *)&value);
				break;
			case 4:
				r = ecfmt_get_be32(&cur, (uint32_t *)&value);
				break;
			case 8:
				r = ecfmt_get_be64(&cur, &value);
				break;
			}
			assert_int_equal(r, len >= sizes[i] ? 0 : -EBADMSG);
			assert_int_equal(ecfmt_reader_left(&cur), r ? len : len - sizes[i]);
			if (r)
				assert_true(value == 0x5555555555555555ULL);
		}
		guarded_free(&g);
	}
	report("%d gets, each width at each length", n);
}

static void test_get_bytes_copy_sub_const(void **state)
{
	struct ecfmt_reader cur, sub;
	const uint8_t *b = NULL;
	uint8_t copy[4] = { 0 };

	(void)state;
	ecfmt_reader_init(&cur, bytes, sizeof(bytes));
	assert_int_equal(ecfmt_get_bytes(&cur, 10, &b), -EBADMSG);
	assert_null(b);
	assert_int_equal(ecfmt_get_bytes(&cur, (size_t)-1, &b), -EBADMSG);
	assert_int_equal(ecfmt_get_bytes(&cur, 2, &b), 0);
	assert_ptr_equal(b, bytes);
	assert_int_equal(ecfmt_get_copy(&cur, copy, 8), -EBADMSG);
	assert_int_equal(copy[0], 0);
	assert_int_equal(ecfmt_get_copy(&cur, copy, 3), 0);
	assert_memory_equal(copy, bytes + 2, 3);
	assert_int_equal(ecfmt_get_const(&cur, bytes, 2), -EBADMSG);
	assert_int_equal(ecfmt_get_const(&cur, bytes + 5, 5), -EBADMSG);
	assert_int_equal(ecfmt_reader_left(&cur), 4);
	assert_int_equal(ecfmt_get_const(&cur, bytes + 5, 2), 0);
	assert_int_equal(ecfmt_get_sub(&cur, 3, &sub), -EBADMSG);
	assert_int_equal(ecfmt_get_sub(&cur, 2, &sub), 0);
	assert_int_equal(ecfmt_reader_left(&sub), 2);
	assert_int_equal(ecfmt_reader_left(&cur), 0);
	assert_int_equal(ecfmt_get_bytes(&sub, 3, &b), -EBADMSG);
}

static void test_empty_input(void **state)
{
	struct ecfmt_reader cur;
	struct ecfmt_writer out;
	const uint8_t *b;
	uint8_t n;
	size_t len = 7;

	(void)state;
	ecfmt_reader_init(&cur, NULL, 0);
	assert_int_equal(ecfmt_reader_left(&cur), 0);
	assert_int_equal(ecfmt_get_u8(&cur, &n), -EBADMSG);
	assert_int_equal(ecfmt_get_bytes(&cur, 0, &b), 0);
	assert_int_equal(ecfmt_get_copy(&cur, NULL, 0), 0);
	assert_int_equal(ecfmt_get_const(&cur, NULL, 0), 0);

	ecfmt_writer_init(&out, NULL, 0);
	ecfmt_put_bytes(&out, NULL, 0);
	ecfmt_put_zeros(&out, 0);
	assert_int_equal(ecfmt_writer_finish(&out, &len), 0);
	assert_int_equal(len, 0);
	ecfmt_put_u8(&out, 1);
	assert_int_equal(ecfmt_writer_finish(&out, &len), -ENOBUFS);
}

static void put_all(struct ecfmt_writer *cur)
{
	ecfmt_put_u8(cur, 0x01);
	ecfmt_put_be16(cur, 0x0203);
	ecfmt_put_be32(cur, 0x04050607);
	ecfmt_put_be64(cur, 0x08090a0b0c0d0e0fULL);
	ecfmt_put_bytes(cur, "xyz", 3);
	ecfmt_put_zeros(cur, 2);
}

static void test_put(void **state)
{
	uint8_t buf[20];
	struct ecfmt_writer cur;
	size_t len;

	(void)state;
	ecfmt_writer_init(&cur, buf, sizeof(buf));
	put_all(&cur);
	assert_int_equal(ecfmt_writer_finish(&cur, &len), 0);
	assert_int_equal(len, 20);
	assert_hex(buf, len, "0102030405060708090a0b0c0d0e0f78797a0000");
}

static void test_put_into_every_length(void **state)
{
	(void)state;
	for (size_t max = 0; max < 20; max++) {
		struct guarded g = guarded_new("12345678901234567890", max);
		struct ecfmt_writer cur;
		size_t len = 99;

		ecfmt_writer_init(&cur, g.data, g.len);
		put_all(&cur);
		assert_int_equal(ecfmt_writer_finish(&cur, &len), -ENOBUFS);
		assert_int_equal(len, 99);
		guarded_free(&g);
	}
	report("20 buffers that are too short");
}

/* Once too much, always too much: a later put that would fit must not hide the hole. */
static void test_put_stays_failed(void **state)
{
	uint8_t buf[4] = { 0 };
	struct ecfmt_writer cur;
	size_t len;

	(void)state;
	ecfmt_writer_init(&cur, buf, sizeof(buf));
	ecfmt_put_be64(&cur, 1);
	ecfmt_put_u8(&cur, 0xff);
	assert_int_equal(buf[0], 0);
	assert_int_equal(ecfmt_writer_finish(&cur, &len), -ENOBUFS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_are_big_endian),
		cmocka_unit_test(test_get_at_every_length),
		cmocka_unit_test(test_get_bytes_copy_sub_const),
		cmocka_unit_test(test_empty_input),
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_put_into_every_length),
		cmocka_unit_test(test_put_stays_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
