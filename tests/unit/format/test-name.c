// SPDX-License-Identifier: GPL-2.0-only
#include "check.h"

static const char alphabet[] = "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* "TestFile" under the passphrase "Test"; docs/format.md. */
static const struct {
	uint8_t code;
	const char *text;
	const char *packet;
} rows[] = {
	{ 0x07, "FWYp3QmdieuVx-ReNM93cFJhZmQKb9S.7xyoDzbVOSbBh3ttRUURq5F-zE--",
	  "46293515cca9baaea1f4076a6582c5a1156d9727169cb78127dfb43ff9e169e9cdb45e7976081dd87440fd" },
	{ 0x08, "FWYp3QmdieuVx-UP0Bp5ZhSV8z0l0qmRIVPgjmpEsGWRgxIcl0sTzLZcs---",
	  "46293515cca9baaea1f4081b08dd4796d7a12bf0b10b6c9d5216ecbf2d50e1289db3d528c42e1ffd7968e0" },
	{ 0x09, "FWYp3QmdieuVx-aK6fArd1FkXCt3ijqL6Arsiu3IFxKKhksWZXxt2HR.i---",
	  "46293515cca9baaea1f4099622b337a434708cee45bafd9720cdf8bba15447d596b70e22963f79113741b8" },
	{ 0x04, "FWYp3QmdieuVx-Fi4vCFunEkpmguVPgTV8O7OCI7gcIM0RzNtZOMT.ad8k--", NULL },
	{ 0x02, "FWYp3QmdieuVx-7SUzZ0hbmbz5nk3WMwv4ZjYta1MzcS0Zfdls0zMhkKmk--", NULL },
	{ 0x0a, "FWYp3QmdieuVx-fYL1xMpMmdFjqaJi9sIgj8dZ-JCGwSNy1z0jeaA3Xa0U--", NULL },
	{ 0x03, "FWYp3QmdieuVx-CmuNOpVG2GsCd8MdmEh7ndp5ixhBAtzsKYxq46G0BYH---", NULL },
};

static void test_check_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		size_t text_len = strlen(rows[i].text), len;
		uint8_t raw[64], copy[64];
		char text[65] = { 0 };
		struct ecfmt_name_packet p;
		struct ecfmt_reader cur;
		struct ecfmt_writer out;

		assert_int_equal(text_len, 60);
		assert_int_equal(ecfmt_sixbit_decode(raw, 45, rows[i].text, text_len), 0);
		if (rows[i].packet)
			assert_hex(raw, 43, rows[i].packet);
		ecfmt_reader_init(&cur, raw, 45);
		assert_int_equal(ecfmt_name_packet_get(&cur, &p), 0);
		assert_int_equal(ecfmt_reader_left(&cur), 2);
		assert_hex(p.sig, 8, "3515cca9baaea1f4");
		assert_int_equal(p.cipher->code, rows[i].code);
		assert_int_equal(p.ciphertext_len, 32);

		ecfmt_writer_init(&out, copy, sizeof(copy));
		ecfmt_name_packet_put(&out, &p);
		assert_int_equal(ecfmt_writer_finish(&out, &len), 0);
		assert_int_equal(len, 43);
		assert_int_equal(ecfmt_sixbit_encode(text, 60, copy, len), 0);
		assert_string_equal(text, rows[i].text);
	}
	report("%zu names", ECFMT_ARRAY_LEN(rows));
}

static void test_is_encrypted(void **state)
{
	static const struct {
		const char *name;
		bool want;
	} names[] = {
		{ "ECRYPTFS_FNEK_ENCRYPTED.FWYp", true },
		{ "ECRYPTFS_FNEK_ENCRYPTED.", false },
		{ "ECRYPTFS_FNEK_ENCRYPTED-FWYp", false },
		{ "ECRYPTFS_FEK_ENCRYPTED.FWYp", false },
		{ "ecryptfs_fnek_encrypted.FWYp", false },
		{ "lost+found", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(names); i++) {
		struct guarded g = guarded_new(names[i].name, strlen(names[i].name));

		assert_int_equal(ecfmt_name_is_encrypted((char *)g.data, g.len), names[i].want);
		guarded_free(&g);
	}
}

/* CVE history: a byte above the table read kernel memory. Each of 256, at each position. */
static void test_every_character_at_every_position(void **state)
{
	unsigned int n = 0, n_good = 0;

	(void)state;
	for (size_t pos = 0; pos < 60; pos++) {
		for (unsigned int c = 0; c <= 0xff; c++, n++) {
			struct guarded text = guarded_new(rows[0].text, 60);
			uint8_t out[45];
			bool good = c && strchr(alphabet, (int)c);

			text.data[pos] = (uint8_t)c;
			assert_int_equal(ecfmt_sixbit_decode(out, 45, (char *)text.data, 60),
					 good ? 0 : -EBADMSG);
			if (good) {
				char back[60];

				assert_int_equal(ecfmt_sixbit_encode(back, 60, out, 45), 0);
				assert_memory_equal(back, text.data, 60);
			}
			n_good += good;
			guarded_free(&text);
		}
	}
	assert_int_equal(n_good, 60 * 64);
	report("%u texts, %u in the alphabet", n, n_good);
}

static void test_alphabet_is_in_order(void **state)
{
	(void)state;
	for (unsigned int v = 0; v < 64; v++) {
		uint8_t raw[3] = { (uint8_t)(v << 2), 0, 0 };
		char text[4];

		assert_int_equal(ecfmt_sixbit_encode(text, 4, raw, 3), 0);
		assert_int_equal(text[0], alphabet[v]);
		assert_int_equal(text[1], '-');
	}
}

/* CVE-2014-9683: an output one byte too small. All lengths, into buffers that end at a guard. */
static void test_sixbit_every_length(void **state)
{
	uint64_t seed = CHECK_SEED;

	(void)state;
	for (size_t len = 0; len <= 600; len++) {
		uint8_t raw[600];
		size_t text_len = ecfmt_sixbit_encoded_len(len);
		size_t raw_len = ecfmt_sixbit_decoded_len(text_len);
		static const uint8_t zeros[1024];
		struct guarded text = guarded_new(zeros, text_len);
		struct guarded back = guarded_new(zeros, raw_len);

		random_bytes(&seed, raw, sizeof(raw));
		assert_int_equal(text_len, (len + 2) / 3 * 4);
		assert_int_equal(raw_len, (len + 2) / 3 * 3);
		assert_int_equal(ecfmt_sixbit_encode((char *)text.data, text_len + 1, raw, len),
				 -ENOBUFS);
		assert_int_equal(ecfmt_sixbit_encode((char *)text.data, text_len, raw, len), 0);
		assert_int_equal(ecfmt_sixbit_decode(back.data, raw_len + 1, (char *)text.data,
						     text_len), -ENOBUFS);
		assert_int_equal(ecfmt_sixbit_decode(back.data, raw_len, (char *)text.data,
						     text_len), 0);
		assert_memory_equal(back.data, raw, len);
		for (size_t i = len; i < raw_len; i++)
			assert_int_equal(back.data[i], 0);
		guarded_free(&text);
		guarded_free(&back);
	}
	report("601 lengths, seed %llx", (unsigned long long)CHECK_SEED);
}

static void test_length_no_multiple_of_4(void **state)
{
	uint8_t out[64];

	(void)state;
	for (size_t len = 0; len <= 60; len++)
		assert_int_equal(ecfmt_sixbit_decode(out, len / 4 * 3, rows[0].text, len),
				 len % 4 ? -EBADMSG : 0);
}

static void test_packet_cut_at_every_byte(void **state)
{
	uint8_t raw[43];

	(void)state;
	from_hex(raw, sizeof(raw), rows[0].packet);
	for (size_t cut = 0; cut <= sizeof(raw); cut++) {
		struct guarded g = guarded_new(raw, cut);
		struct ecfmt_name_packet p;
		struct ecfmt_reader cur;

		ecfmt_reader_init(&cur, g.data, cut);
		assert_int_equal(ecfmt_name_packet_get(&cur, &p),
				 cut < sizeof(raw) ? -EBADMSG : 0);
		assert_int_equal(ecfmt_reader_left(&cur), cut < sizeof(raw) ? cut : 0);
		guarded_free(&g);
	}
	report("43 cuts, all refused");
}

static void test_packet_every_bit_flipped(void **state)
{
	uint8_t raw[43];
	unsigned int n_good = 0;

	(void)state;
	from_hex(raw, sizeof(raw), rows[0].packet);
	for (size_t bit = 0; bit < sizeof(raw) * 8; bit++) {
		struct ecfmt_name_packet p;
		struct ecfmt_reader cur;
		int r;

		raw[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		ecfmt_reader_init(&cur, raw, sizeof(raw));
		r = ecfmt_name_packet_get(&cur, &p);
		raw[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_true(r == 0 || r == -EBADMSG || r == -EOPNOTSUPP);
		n_good += !r;
	}
	report("%zu bits flipped, %u still parse", sizeof(raw) * 8, n_good);
}

/* Body 0 to 10 are too short for a signature, a cipher and a block. */
static void test_packet_every_body_length(void **state)
{
	static uint8_t buf[9000];
	unsigned int n_good = 0;

	(void)state;
	for (size_t body = 0; body <= 8383; body++) {
		struct ecfmt_name_packet p;
		struct ecfmt_writer out;
		struct ecfmt_reader cur;
		bool good = body > 9 && (body - 9) % 16 == 0;
		size_t len;

		ecfmt_writer_init(&out, buf, sizeof(buf));
		ecfmt_put_u8(&out, 0x46);
		ecfmt_length_put(&out, body);
		assert_int_equal(ecfmt_writer_finish(&out, &len), 0);
		memset(buf + len, 0x07, body);
		ecfmt_reader_init(&cur, buf, len + body);
		assert_int_equal(!ecfmt_name_packet_get(&cur, &p), good);
		if (good)
			assert_int_equal(p.ciphertext_len, body - 9);
		n_good += good;
	}
	report("8384 body lengths, %u in whole blocks", n_good);
}

static void test_packet_put_refuses(void **state)
{
	static const size_t bad[] = { 0, 1, 15, 17, 8376, 8384, 65536, (size_t)-16 };
	uint8_t byte = 0, buf[64];

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(bad); i++) {
		struct ecfmt_name_packet p = { .cipher = ecfmt_cipher_by_code(7),
					       .ciphertext = &byte, .ciphertext_len = bad[i] };
		struct ecfmt_writer out;
		size_t len;

		ecfmt_writer_init(&out, buf, sizeof(buf));
		ecfmt_name_packet_put(&out, &p);
		assert_int_equal(ecfmt_writer_finish(&out, &len), -ENOBUFS);
	}
}

static void test_lower_len_table(void **state)
{
	static const struct {
		size_t from, to, lower;
	} table[] = {
		{ 1, 15, 84 },	  { 16, 31, 104 },  { 32, 47, 124 },
		{ 48, 63, 148 },  { 64, 79, 168 },  { 80, 95, 188 },
		{ 96, 111, 212 }, { 112, 127, 232 }, { 128, 143, 252 },
	};

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(table); i++)
		for (size_t n = table[i].from; n <= table[i].to; n++)
			assert_int_equal(ecfmt_name_lower_len(n, 16), table[i].lower);
	for (size_t n = 144; n <= 255; n++)
		assert_true(ecfmt_name_lower_len(n, 16) > 255);
	assert_true(ecfmt_name_lower_len(8384, 16) == (size_t)-1);
	assert_true(ecfmt_name_lower_len((size_t)-1, 16) == (size_t)-1);
}

/* The prefix makes whole blocks with the least that is at least 17 bytes. */
static void test_prefix_len(void **state)
{
	(void)state;
	for (size_t block = 8; block <= 16; block += 8)
		for (size_t n = 0; n <= 5000; n++) {
			size_t len = ecfmt_name_prefix_len(n, block);

			assert_true(len >= 17 && len < 17 + block);
			assert_int_equal((len + n) % block, 0);
		}
}

/* Against trying every length. */
static void test_plain_max(void **state)
{
	(void)state;
	for (size_t block = 8; block <= 16; block += 8)
		for (size_t lower = 0; lower <= 12000; lower++) {
			size_t want = ecfmt_name_plain_max(lower, block);

			if (want)
				assert_true(ecfmt_name_lower_len(want, block) <= lower);
			assert_true(ecfmt_name_lower_len(want + 1, block) > lower);
		}
	assert_int_equal(ecfmt_name_plain_max(255, 16), 143);
	assert_int_equal(ecfmt_name_plain_max(255, 8), 143);
	assert_int_equal(ecfmt_name_plain_max(4095, 16), 3007);
	assert_int_equal(ecfmt_name_plain_max((size_t)-1, 16),
			 ecfmt_name_plain_max(20000, 16));
	report("12001 limits with blocks of 8 and 16");
}

/* Names of every length: laid out, written as text, read back. */
static void test_names_of_every_length(void **state)
{
	uint64_t seed = CHECK_SEED;

	(void)state;
	for (size_t n = 1; n <= 255; n++) {
		uint8_t plain[512], raw[512], back[512];
		char text[700];
		size_t prefix = ecfmt_name_prefix_len(n, 16), len, text_len, name_len;
		struct ecfmt_name_packet p = { .cipher = ecfmt_cipher_by_code(9) }, have;
		struct ecfmt_writer out;
		struct ecfmt_reader cur;
		const char *name;

		memset(plain, 0x42, prefix - 1);
		plain[prefix - 1] = 0;
		for (size_t i = 0; i < n; i++)
			do
				random_bytes(&seed, plain + prefix + i, 1);
			while (plain[prefix + i] == 0 || plain[prefix + i] == '/' ||
			       plain[prefix + i] == '.');
		p.ciphertext = plain;
		p.ciphertext_len = prefix + n;
		ecfmt_writer_init(&out, raw, sizeof(raw));
		ecfmt_name_packet_put(&out, &p);
		assert_int_equal(ecfmt_writer_finish(&out, &len), 0);
		text_len = ecfmt_sixbit_encoded_len(len);
		assert_int_equal(24 + text_len, ecfmt_name_lower_len(n, 16));
		assert_int_equal(ecfmt_sixbit_encode(text, text_len, raw, len), 0);

		len = ecfmt_sixbit_decoded_len(text_len);
		assert_int_equal(ecfmt_sixbit_decode(back, len, text, text_len), 0);
		ecfmt_reader_init(&cur, back, len);
		assert_int_equal(ecfmt_name_packet_get(&cur, &have), 0);
		assert_int_equal(ecfmt_name_plain_get(have.ciphertext, have.ciphertext_len, true,
						      &name, &name_len), 0);
		assert_int_equal(name_len, n);
		assert_memory_equal(name, plain + prefix, n);
	}
	report("255 names, seed %llx", (unsigned long long)CHECK_SEED);
}

static void test_prefix_block(void **state)
{
	uint8_t digest[16] = { 0, 1, 2, 0, [15] = 0 }, out[18];

	(void)state;
	for (size_t len = 0; len <= 18; len++) {
		memset(out, 0xee, sizeof(out));
		ecfmt_name_prefix_block(out, len, digest);
		for (size_t i = 0; i < sizeof(out); i++)
			assert_int_equal(out[i], i >= len || i >= 16 ? 0xee :
					 digest[i] ? digest[i] : 0x42);
	}
}

static void test_plain_get(void **state)
{
	static const struct {
		const char *what;
		const char *plain;
		size_t len;
		int component, target;
		const char *name;
	} plains[] = {
		{ "name", "PPPP\0abc", 8, 0, 0, "abc" },
		{ "short prefix", "\0abc", 4, 0, 0, "abc" },
		{ "no zero", "PPPPabc", 7, -EBADMSG, -EBADMSG, NULL },
		{ "nothing behind", "PPPP\0", 5, -EBADMSG, -EBADMSG, NULL },
		{ "nothing at all", "", 0, -EBADMSG, -EBADMSG, NULL },
		{ "zero inside", "PP\0a\0b", 6, -EBADMSG, -EBADMSG, NULL },
		{ "zero at end", "PP\0ab\0", 6, -EBADMSG, -EBADMSG, NULL },
		{ "slash", "PP\0a/b", 6, -EBADMSG, 0, "a/b" },
		{ "root", "PP\0/", 4, -EBADMSG, 0, "/" },
		{ "dot", "PP\0.", 4, -EBADMSG, 0, "." },
		{ "dots", "PP\0..", 5, -EBADMSG, 0, ".." },
		{ "three dots", "PP\0...", 6, 0, 0, "..." },
		{ "hidden", "PP\0.a", 5, 0, 0, ".a" },
		{ "other bytes", "PP\0\xff\n\x01", 6, 0, 0, "\xff\n\x01" },
	};

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(plains); i++) {
		struct guarded g = guarded_new(plains[i].plain, plains[i].len);

		for (int component = 0; component <= 1; component++) {
			const char *name = NULL;
			size_t len = 0;
			int want = component ? plains[i].component : plains[i].target;
			int r = ecfmt_name_plain_get(g.data, g.len, component, &name, &len);

			if (r != want)
				fail_msg("%s: %d, want %d", plains[i].what, r, want);
			if (!r) {
				assert_int_equal(len, strlen(plains[i].name));
				assert_memory_equal(name, plains[i].name, len);
			} else {
				assert_null(name);
			}
		}
		guarded_free(&g);
	}
	report("%zu plain texts, as component and as target", ECFMT_ARRAY_LEN(plains));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_values),
		cmocka_unit_test(test_is_encrypted),
		cmocka_unit_test(test_every_character_at_every_position),
		cmocka_unit_test(test_alphabet_is_in_order),
		cmocka_unit_test(test_sixbit_every_length),
		cmocka_unit_test(test_length_no_multiple_of_4),
		cmocka_unit_test(test_packet_cut_at_every_byte),
		cmocka_unit_test(test_packet_every_bit_flipped),
		cmocka_unit_test(test_packet_every_body_length),
		cmocka_unit_test(test_packet_put_refuses),
		cmocka_unit_test(test_lower_len_table),
		cmocka_unit_test(test_prefix_len),
		cmocka_unit_test(test_plain_max),
		cmocka_unit_test(test_names_of_every_length),
		cmocka_unit_test(test_prefix_block),
		cmocka_unit_test(test_plain_get),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
