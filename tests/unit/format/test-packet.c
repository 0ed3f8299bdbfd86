// SPDX-License-Identifier: GPL-2.0-only
#include "check.h"

/* Check values of docs/format.md. */
#define TAG3_AES16 "8c1d040703010011223344556677609b1a05ff156726d4f1a121845d6a2de1"
#define TAG3_AES24 \
	"8c2d040803010011223344556677604c8272753ae7ec070551a7a8fa4a1f125af57d0d2554c5b1963e84136c2e1013"
#define TAG11 "ed1662085f434f4e534f4c4500000000253ca7e88811d184"

static int get_bytes(const uint8_t *buf, size_t len, struct ecfmt_packet *ret, size_t *ret_left)
{
	struct guarded g = guarded_new(buf, len);
	struct ecfmt_reader cur;
	int r;

	ecfmt_reader_init(&cur, g.data, len);
	r = ecfmt_packet_get(&cur, ret);
	*ret_left = ecfmt_reader_left(&cur);
	/* A copy may outlive its input, but not what it borrowed from it. */
	if (!r)
		ret->efek = buf + (ret->efek - g.data);
	guarded_free(&g);
	return r;
}

static void test_aes16(void **state)
{
	struct ecfmt_packet p;
	uint8_t buf[128];
	size_t len = from_hex(buf, sizeof(buf), TAG3_AES16 TAG11), left;

	(void)state;
	assert_int_equal(get_bytes(buf, len, &p, &left), 0);
	assert_int_equal(left, 0);
	assert_int_equal(p.kind, ECFMT_PACKET_PASSPHRASE);
	assert_int_equal(p.cipher->code, 0x07);
	assert_int_equal(p.fek_len, 16);
	assert_hex(p.salt, 8, "0011223344556677");
	assert_hex(p.sig, 8, "253ca7e88811d184");
	assert_int_equal(p.efek_len, 16);
	assert_hex(p.efek, 16, "9b1a05ff156726d4f1a121845d6a2de1");
}

static void test_aes24_is_padded(void **state)
{
	struct ecfmt_packet p;
	uint8_t buf[128];
	size_t len = from_hex(buf, sizeof(buf), TAG3_AES24 TAG11), left;

	(void)state;
	assert_int_equal(get_bytes(buf, len, &p, &left), 0);
	assert_int_equal(p.fek_len, 24);
	assert_int_equal(p.efek_len, 32);
}

static void test_written_byte_for_byte(void **state)
{
	static const char *const rows[] = { TAG3_AES16 TAG11, TAG3_AES24 TAG11 };

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		struct ecfmt_packet p;
		struct ecfmt_writer out;
		uint8_t buf[128], copy[128];
		size_t len = from_hex(buf, sizeof(buf), rows[i]), left, copy_len;

		assert_int_equal(get_bytes(buf, len, &p, &left), 0);
		for (size_t max = 0; max <= len; max++) {
			struct guarded g = guarded_new(buf, max);

			ecfmt_writer_init(&out, g.data, max);
			ecfmt_packet_put(&out, &p);
			assert_int_equal(ecfmt_writer_finish(&out, &copy_len),
					 max < len ? -ENOBUFS : 0);
			guarded_free(&g);
		}
		ecfmt_writer_init(&out, copy, sizeof(copy));
		ecfmt_packet_put(&out, &p);
		assert_int_equal(ecfmt_writer_finish(&out, &copy_len), 0);
		assert_int_equal(copy_len, len);
		assert_memory_equal(copy, buf, len);
	}
}

/* Length fields of public-key units for RSA 1024 to 4096. */
static void test_public_key(void **state)
{
	static const struct {
		size_t blob_len;
		const char *start;
	} rows[] = {
		{ 1, "010b03" },	    { 128, "018a03" },	  { 256, "01c04a03" },
		{ 384, "01c0ca03" }, { 512, "01c14a03" },
	};
	uint8_t blob[513];

	(void)state;
	memset(blob, 0x5a, sizeof(blob));
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		struct ecfmt_packet p = { .kind = ECFMT_PACKET_PUBLIC_KEY, .sig = { 1, 2, 3 },
					  .efek = blob, .efek_len = rows[i].blob_len }, have;
		struct ecfmt_writer out;
		uint8_t buf[600];
		size_t len, left;

		ecfmt_writer_init(&out, buf, sizeof(buf));
		ecfmt_packet_put(&out, &p);
		assert_int_equal(ecfmt_writer_finish(&out, &len), 0);
		assert_hex(buf, strlen(rows[i].start) / 2, rows[i].start);
		assert_int_equal(get_bytes(buf, len, &have, &left), 0);
		assert_int_equal(left, 0);
		assert_int_equal(have.kind, ECFMT_PACKET_PUBLIC_KEY);
		assert_int_equal(have.efek_len, rows[i].blob_len);
		assert_memory_equal(have.efek, blob, have.efek_len);
		assert_memory_equal(have.sig, p.sig, 8);
		for (size_t cut = 1; cut < len; cut++)
			assert_int_equal(get_bytes(buf, cut, &have, &left), -EBADMSG);
	}
}

static void test_cut_at_every_byte(void **state)
{
	static const char *const rows[] = { TAG3_AES16 TAG11, TAG3_AES24 TAG11 };
	unsigned int n = 0;

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		uint8_t buf[128];
		size_t len = from_hex(buf, sizeof(buf), rows[i]), left;
		struct ecfmt_packet p;

		assert_int_equal(get_bytes(buf, 0, &p, &left), ECFMT_E_END);
		for (size_t cut = 1; cut < len; cut++, n++) {
			memset(&p, 0x77, sizeof(p));
			assert_int_equal(get_bytes(buf, cut, &p, &left), -EBADMSG);
			assert_int_equal(left, cut);
			assert_int_equal(p.fek_len & 0xff, 0x77);
		}
	}
	report("%u cuts, all refused", n);
}

static void test_every_bit_flipped(void **state)
{
	uint8_t buf[128];
	size_t len = from_hex(buf, sizeof(buf), TAG3_AES16 TAG11), left;
	unsigned int n_good = 0, n_end = 0;

	(void)state;
	for (size_t bit = 0; bit < len * 8; bit++) {
		struct ecfmt_packet p;
		int r;

		buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		r = get_bytes(buf, len, &p, &left);
		buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_true(r == 0 || r == ECFMT_E_END || r == -EBADMSG || r == -EOPNOTSUPP);
		n_good += !r;
		n_end += r == ECFMT_E_END;
	}
	report("%zu bits flipped, %u still parse, %u are no packet", len * 8, n_good, n_end);
}

/* One byte changed: what is ignored, what is not supported, what is damage. */
static void test_changed_bytes(void **state)
{
	static const struct {
		const char *what;
		size_t at;
		uint8_t value;
		int want;
	} rows[] = {
		{ "unknown tag ends", 0, 0x8d, ECFMT_E_END },
		{ "zero ends", 0, 0x00, ECFMT_E_END },
		{ "lone tag 11", 0, 0xed, -EBADMSG },
		{ "packet version", 2, 0x05, -EOPNOTSUPP },
		{ "no such cipher", 3, 0x05, -EOPNOTSUPP },
		{ "cipher 0", 3, 0x00, -EOPNOTSUPP },
		{ "aes-256 with 16 bytes", 3, 0x09, -EBADMSG },
		{ "aes-192 with 16 bytes", 3, 0x08, -EBADMSG },
		{ "3des with 16 bytes", 3, 0x02, -EBADMSG },
		{ "other S2K", 4, 0x01, -EOPNOTSUPP },
		{ "other hash", 5, 0x08, -EOPNOTSUPP },
		{ "salt", 6, 0x99, 0 },
		{ "iterations", 14, 0x00, 0 },
		{ "wrapped key", 15, 0x00, 0 },
		{ "tag 11 missing", 31, 0x00, -EBADMSG },
		{ "tag 11 length + 1", 32, 0x17, -EBADMSG },
		{ "tag 11 length - 1", 32, 0x15, -EBADMSG },
		{ "tag 11 text", 33, 0x74, -EBADMSG },
		{ "tag 11 name length", 34, 0x07, -EBADMSG },
		{ "tag 11 name", 35, 0x00, 0 },
		{ "tag 11 date", 43, 0x01, 0 },
		{ "sig", 47, 0xff, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		struct ecfmt_packet p;
		uint8_t buf[128];
		size_t len = from_hex(buf, sizeof(buf), TAG3_AES16 TAG11), left;
		int r;

		buf[rows[i].at] = rows[i].value;
		r = get_bytes(buf, len, &p, &left);
		if (r != rows[i].want)
			fail_msg("%s: %d, want %d", rows[i].what, r, rows[i].want);
	}
	report("%zu changed bytes", ECFMT_ARRAY_LEN(rows));
}

/*
 * CVE-2009-2407, CVE-2009-2406: every body length of tag 3 and of tag 11, with as many bytes
 * there as it says, and with one less.
 */
static void test_every_body_length_of_tag_3(void **state)
{
	static const uint8_t ciphers[] = { 2, 3, 4, 7, 8, 9, 10, 11 };
	uint8_t buf[9000], fixed[15], tag11[24];
	unsigned int n = 0, n_good = 0;

	(void)state;
	from_hex(fixed, sizeof(fixed), "8c1d04070301001122334455667760");
	from_hex(tag11, sizeof(tag11), TAG11);
	for (size_t c = 0; c < ECFMT_ARRAY_LEN(ciphers); c++) {
		for (size_t body = 0; body <= 8383; body++, n++) {
			const struct ecfmt_cipher *cipher = ecfmt_cipher_by_code(ciphers[c]);
			struct ecfmt_writer out;
			struct ecfmt_reader cur;
			struct ecfmt_packet p;
			size_t efek = body < 13 ? 0 : body - 13, len;
			size_t fek = cipher->key_len ? cipher->key_len : efek;
			bool good = efek && efek <= 64 && ecfmt_cipher_key_len_ok(cipher, fek) &&
				    efek == ecfmt_cipher_efek_len(cipher, fek);

			ecfmt_writer_init(&out, buf, sizeof(buf));
			ecfmt_put_u8(&out, 0x8c);
			ecfmt_length_put(&out, body);
			ecfmt_put_u8(&out, 4);
			ecfmt_put_u8(&out, ciphers[c]);
			ecfmt_put_bytes(&out, fixed + 4, 11);
			if (body < 13)
				out.pos -= 13 - body;
			ecfmt_put_zeros(&out, efek);
			ecfmt_put_bytes(&out, tag11, sizeof(tag11));
			assert_int_equal(ecfmt_writer_finish(&out, &len), 0);
			ecfmt_reader_init(&cur, buf, len);
			assert_int_equal(!ecfmt_packet_get(&cur, &p), good);
			ecfmt_reader_init(&cur, buf, len - 1);
			assert_true(ecfmt_packet_get(&cur, &p) < 0);
			n_good += good;
		}
	}
	report("%u body lengths of tag 3, %u taken", n, n_good);
}

static void test_every_body_length_of_tag_11(void **state)
{
	uint8_t buf[512] = { 0 };
	size_t len = from_hex(buf, sizeof(buf), TAG3_AES16 TAG11), left;
	unsigned int n_good = 0;

	(void)state;
	for (unsigned int first = 0; first <= 0xff; first++) {
		struct ecfmt_packet p;

		buf[32] = (uint8_t)first;
		n_good += !get_bytes(buf, sizeof(buf), &p, &left);
	}
	assert_int_equal(n_good, 1);
	/* Exactly to the end of input is enough. */
	buf[32] = 0x16;
	for (size_t l = len - 1; l <= len + 1; l++) {
		struct ecfmt_packet p;

		assert_int_equal(get_bytes(buf, l, &p, &left), l < len ? -EBADMSG : 0);
	}
	report("256 length bytes of tag 11, 1 taken");
}

static void test_every_body_length_of_tag_1(void **state)
{
	static uint8_t buf[9000];
	unsigned int n_good = 0;

	(void)state;
	for (size_t body = 0; body <= 8383; body++) {
		struct ecfmt_writer out;
		struct ecfmt_reader cur;
		struct ecfmt_packet p;
		bool good = body >= 11 && body <= 10 + 512;
		size_t len;

		memset(buf, 0, sizeof(buf));
		ecfmt_writer_init(&out, buf, sizeof(buf));
		ecfmt_put_u8(&out, 0x01);
		ecfmt_length_put(&out, body);
		ecfmt_put_u8(&out, 3);
		assert_int_equal(ecfmt_writer_finish(&out, &len), 0);
		ecfmt_reader_init(&cur, buf, len - 1 + body);
		assert_int_equal(!ecfmt_packet_get(&cur, &p), good);
		n_good += good;
	}
	report("8384 body lengths of tag 1, %u taken", n_good);
}

/* Every cipher with every key length, written and read back. */
static void test_all_ciphers_round_trip(void **state)
{
	uint64_t seed = CHECK_SEED;
	unsigned int n = 0, n_refused = 0;

	(void)state;
	for (size_t row = 0; ecfmt_cipher_row(row); row++) {
		const struct ecfmt_cipher *cipher = ecfmt_cipher_row(row);

		for (size_t fek_len = 0; fek_len <= 80; fek_len++) {
			uint8_t efek[96], buf[200];
			struct ecfmt_packet p = { .kind = ECFMT_PACKET_PASSPHRASE,
						  .cipher = cipher, .fek_len = fek_len,
						  .efek = efek }, have;
			struct ecfmt_writer out;
			size_t len, left;

			p.efek_len = ecfmt_cipher_efek_len(cipher, fek_len);
			random_bytes(&seed, efek, sizeof(efek));
			random_bytes(&seed, p.sig, sizeof(p.sig));
			random_bytes(&seed, p.salt, sizeof(p.salt));
			ecfmt_writer_init(&out, buf, sizeof(buf));
			ecfmt_packet_put(&out, &p);
			if (!ecfmt_cipher_key_len_ok(cipher, fek_len)) {
				assert_int_equal(ecfmt_writer_finish(&out, &len), -ENOBUFS);
				n_refused++;
				continue;
			}
			assert_int_equal(ecfmt_writer_finish(&out, &len), 0);
			assert_int_equal(get_bytes(buf, len, &have, &left), 0);
			assert_ptr_equal(have.cipher, cipher);
			assert_int_equal(have.fek_len, fek_len);
			assert_int_equal(have.efek_len, p.efek_len);
			assert_memory_equal(have.efek, efek, p.efek_len);
			assert_memory_equal(have.sig, p.sig, sizeof(p.sig));
			assert_memory_equal(have.salt, p.salt, sizeof(p.salt));
			n++;
		}
	}
	report("%u pairs of cipher and key length, %u others refused, seed %llx", n, n_refused,
	       (unsigned long long)CHECK_SEED);
}

/* Keys that no packet can hold, asked for by a careless caller. */
static void test_what_is_not_written(void **state)
{
	static const size_t lens[] = { 0, 513, 8373, 65535, (size_t)-1 };
	uint8_t byte = 0, buf[64];
	struct ecfmt_writer out;
	size_t len;

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(lens); i++) {
		struct ecfmt_packet p = { .kind = ECFMT_PACKET_PUBLIC_KEY, .efek = &byte,
					  .efek_len = lens[i] };

		ecfmt_writer_init(&out, buf, sizeof(buf));
		ecfmt_packet_put(&out, &p);
		assert_int_equal(ecfmt_writer_finish(&out, &len), -ENOBUFS);
		p.kind = ECFMT_PACKET_PASSPHRASE;
		p.cipher = ecfmt_cipher_by_code(0x04);
		p.fek_len = lens[i];
		ecfmt_writer_init(&out, buf, sizeof(buf));
		ecfmt_packet_put(&out, &p);
		assert_int_equal(ecfmt_writer_finish(&out, &len), -ENOBUFS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aes16),
		cmocka_unit_test(test_aes24_is_padded),
		cmocka_unit_test(test_written_byte_for_byte),
		cmocka_unit_test(test_public_key),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_every_bit_flipped),
		cmocka_unit_test(test_changed_bytes),
		cmocka_unit_test(test_every_body_length_of_tag_3),
		cmocka_unit_test(test_every_body_length_of_tag_11),
		cmocka_unit_test(test_every_body_length_of_tag_1),
		cmocka_unit_test(test_all_ciphers_round_trip),
		cmocka_unit_test(test_what_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
