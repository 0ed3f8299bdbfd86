// SPDX-License-Identifier: GPL-2.0-only
#include "check.h"

/* Header of docs/format.md: 12 bytes of content, aes-128, one key. */
#define FIXED_HEX "000000000000000c010203043d83b4f10300000200001000" "0002"
#define TAG3_HEX "8c1d040703010011223344556677609b1a05ff156726d4f1a121845d6a2de1"
#define TAG11_HEX "ed1662085f434f4e534f4c4500000000253ca7e88811d184"
#define HEADER_HEX FIXED_HEX TAG3_HEX TAG11_HEX
#define HEADER_LEN 81

static size_t sample(uint8_t buf[static ECFMT_HEADER_LEN_MIN])
{
	memset(buf, 0, ECFMT_HEADER_LEN_MIN);
	return from_hex(buf, ECFMT_HEADER_LEN_MIN, HEADER_HEX);
}

static unsigned int count_packets(const struct ecfmt_header *h)
{
	struct ecfmt_reader cur = h->packets;
	struct ecfmt_packet p;
	unsigned int n = 0;
	int r;

	while (!(r = ecfmt_packet_get(&cur, &p)))
		n++;
	assert_int_equal(r, ECFMT_E_END);
	return n;
}

static void test_check_value(void **state)
{
	uint8_t buf[ECFMT_HEADER_LEN_MIN];
	struct ecfmt_header h;
	uint64_t size;

	(void)state;
	assert_int_equal(sample(buf), HEADER_LEN);
	assert_true(ecfmt_marker_ok(buf, sizeof(buf)));
	assert_int_equal(ecfmt_size_get(buf, 16, &size), 0);
	assert_int_equal(size, 12);
	assert_int_equal(ecfmt_header_get(buf, sizeof(buf), ECFMT_PLACE_FILE, &h), 0);
	assert_int_equal(h.size, 12);
	assert_int_equal(h.marker_m1, 0x01020304);
	assert_int_equal(h.version, 3);
	assert_int_equal(h.flags, ECFMT_FLAG_ENCRYPTED);
	assert_int_equal(h.header_len, 8192);
	assert_int_equal(count_packets(&h), 1);
}

static void test_written_byte_for_byte(void **state)
{
	uint8_t buf[ECFMT_HEADER_LEN_MIN], copy[128];
	struct ecfmt_header h;
	struct ecfmt_packet p;
	struct ecfmt_writer out;
	size_t len;

	(void)state;
	sample(buf);
	assert_int_equal(ecfmt_header_get(buf, sizeof(buf), ECFMT_PLACE_FILE, &h), 0);
	assert_int_equal(ecfmt_packet_get(&h.packets, &p), 0);
	h.flags = 0;	/* the writer sets what it must */
	ecfmt_writer_init(&out, copy, sizeof(copy));
	ecfmt_header_put(&out, ECFMT_PLACE_FILE, &h);
	ecfmt_packet_put(&out, &p);
	assert_int_equal(ecfmt_writer_finish(&out, &len), 0);
	assert_int_equal(len, HEADER_LEN);
	assert_hex(copy, len, HEADER_HEX);
	h.header_len = 0;	/* there is no region behind an attribute */
	ecfmt_writer_init(&out, copy, sizeof(copy));
	ecfmt_header_put(&out, ECFMT_PLACE_XATTR, &h);
	assert_int_equal(ecfmt_writer_finish(&out, &len), 0);
	assert_hex(copy, len, "000000000000000c010203043d83b4f103000006000010000002");
}

/* Cut in the file: readable from the first byte behind the packets on. */
static void test_cut_at_every_byte(void **state)
{
	static const enum ecfmt_place places[] = { ECFMT_PLACE_FILE, ECFMT_PLACE_XATTR };
	uint8_t buf[ECFMT_HEADER_LEN_MIN];
	unsigned int n = 0, n_good = 0;

	(void)state;
	sample(buf);
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(places); i++) {
		for (size_t cut = 0; cut <= sizeof(buf); cut += cut < 200 ? 1 : 37, n++) {
			struct guarded g = guarded_new(buf, cut);
			struct ecfmt_header h = { .version = 0x77 };
			uint64_t size = 77;
			int r = ecfmt_header_get(g.data, cut, places[i], &h);

			assert_int_equal(r, cut < HEADER_LEN ? -EBADMSG : 0);
			assert_int_equal(h.version, r ? 0x77 : 3);
			assert_int_equal(ecfmt_marker_ok(g.data, cut), cut >= 16);
			assert_int_equal(ecfmt_size_get(g.data, cut, &size),
					 cut < 16 ? -EBADMSG : 0);
			assert_int_equal(size, cut < 16 ? 77 : 12);
			n_good += !r;
			guarded_free(&g);
		}
	}
	report("%u cuts, %u readable", n, n_good);
}

static void test_every_bit_flipped(void **state)
{
	uint8_t buf[ECFMT_HEADER_LEN_MIN];
	unsigned int n_good = 0;

	(void)state;
	sample(buf);
	for (size_t bit = 0; bit < HEADER_LEN * 8; bit++) {
		struct ecfmt_header h;
		int r;

		buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		r = ecfmt_header_get(buf, sizeof(buf), ECFMT_PLACE_FILE, &h);
		buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_true(r == 0 || r == -EBADMSG || r == -EOPNOTSUPP);
		/* The marker is one 32-bit relation: no single bit of it may go unnoticed. */
		if (bit / 8 >= 8 && bit / 8 < 16)
			assert_int_equal(r, -EBADMSG);
		n_good += !r;
	}
	report("%d bits flipped, %u still parse (size, flags, salt, wrapped key, signature)",
	       HEADER_LEN * 8, n_good);
}

static void test_bounds(void **state)
{
	static const struct {
		const char *what;
		size_t at;
		const char *hex;
		int in_file, in_xattr;
	} rows[] = {
		{ "size 2^63 - 1", 0, "7fffffffffffffff", 0, 0 },
		{ "size 2^63", 0, "8000000000000000", -EBADMSG, -EBADMSG },
		{ "size 2^64 - 1", 0, "ffffffffffffffff", -EBADMSG, -EBADMSG },
		{ "version 1", 16, "01", 0, 0 },
		{ "version 2", 16, "02", 0, 0 },
		{ "version 4", 16, "04", -EOPNOTSUPP, -EOPNOTSUPP },
		{ "version 255", 16, "ff", -EOPNOTSUPP, -EOPNOTSUPP },
		{ "reserved bytes", 17, "ffff", 0, 0 },
		{ "all flags", 19, "ff", 0, 0 },
		{ "no flags", 19, "00", 0, 0 },
		{ "region of 16 pages", 20, "000010000010", 0, 0 },
		{ "region of 256 extents", 20, "000010000100", 0, 0 },
		{ "region of 257 extents", 20, "000010000101", -EBADMSG, 0 },
		{ "region of 8192 in one", 20, "000020000001", 0, 0 },
		{ "region too small", 20, "000010000001", -EBADMSG, 0 },
		{ "region of nothing", 20, "000000000000", -EBADMSG, 0 },
		{ "region unaligned", 20, "000010010002", -EBADMSG, 0 },
		{ "region huge", 20, "ffffffffffff", -EBADMSG, 0 },
		/* A product that is 8192 modulo 2^32. */
		{ "region overflows", 20, "800010000002", -EBADMSG, 0 },
		{ "no packet", 26, "00", -EBADMSG, -EBADMSG },
		{ "lone tag 11", 26, "ed", -EBADMSG, -EBADMSG },
	};

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		uint8_t buf[ECFMT_HEADER_LEN_MIN];
		struct ecfmt_header h;
		int r;

		sample(buf);
		from_hex(buf + rows[i].at, 8, rows[i].hex);
		r = ecfmt_header_get(buf, sizeof(buf), ECFMT_PLACE_FILE, &h);
		if (r != rows[i].in_file)
			fail_msg("%s, in the file: %d, want %d", rows[i].what, r, rows[i].in_file);
		r = ecfmt_header_get(buf, sizeof(buf), ECFMT_PLACE_XATTR, &h);
		if (r != rows[i].in_xattr)
			fail_msg("%s, in the attribute: %d, want %d", rows[i].what, r,
				 rows[i].in_xattr);
		if (!r)
			assert_int_equal(h.header_len, 0);
	}
	report("%zu changed headers, each in both places", ECFMT_ARRAY_LEN(rows));
}

/* Version 0 has no fields for the region: its packets are six bytes earlier. */
static void test_version_0(void **state)
{
	uint8_t buf[128];
	size_t len = from_hex(buf, sizeof(buf),
			      "000000000000000c010203043d83b4f100000002" TAG3_HEX TAG11_HEX);
	struct ecfmt_header h;

	(void)state;
	assert_int_equal(ecfmt_header_get(buf, len, ECFMT_PLACE_FILE, &h), 0);
	assert_int_equal(h.version, 0);
	assert_int_equal(h.header_len, 8192);
	assert_int_equal(count_packets(&h), 1);
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(ecfmt_header_get(buf, cut, ECFMT_PLACE_FILE, &h), -EBADMSG);
}

static void test_several_keys(void **state)
{
	static const char *const tag3_other[] = {
		/* aes-256, and 3DES */
		"8c2d04090301001122334455667760"
		"000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f",
		"8c2504020301001122334455667760000102030405060708090a0b0c0d0e0f0001020304050607",
	};
	uint8_t buf[ECFMT_HEADER_LEN_MIN];
	struct ecfmt_header h;
	size_t len;

	(void)state;
	len = sample(buf);
	from_hex(buf + len, 128, TAG3_HEX TAG11_HEX);
	assert_int_equal(ecfmt_header_get(buf, sizeof(buf), ECFMT_PLACE_FILE, &h), 0);
	assert_int_equal(count_packets(&h), 2);
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(tag3_other); i++) {
		size_t n;

		sample(buf);
		n = from_hex(buf + len, 128, tag3_other[i]);
		from_hex(buf + len + n, 128, TAG11_HEX);
		assert_int_equal(ecfmt_header_get(buf, sizeof(buf), ECFMT_PLACE_FILE, &h),
				 -EBADMSG);
	}
	/* A public key beside it says nothing about the cipher. */
	sample(buf);
	from_hex(buf + len, 128, "010b03" "1122334455667788" "01" "99");
	assert_int_equal(ecfmt_header_get(buf, sizeof(buf), ECFMT_PLACE_FILE, &h), 0);
	assert_int_equal(count_packets(&h), 2);
	/* A second unit that is damaged is not just the end. */
	sample(buf);
	from_hex(buf + len, 128, TAG3_HEX);
	assert_int_equal(ecfmt_header_get(buf, sizeof(buf), ECFMT_PLACE_FILE, &h), -EBADMSG);
}

/* Units flush against byte 4096: as many as fit, and a last one that is a byte too long. */
static void test_packets_to_the_end_of_what_is_read(void **state)
{
	uint8_t buf[ECFMT_HEADER_LEN_MIN] = { 0 }, blob[512];
	struct ecfmt_header in = { .size = 1, .header_len = 8192 }, h;
	struct ecfmt_packet p = { .kind = ECFMT_PACKET_PUBLIC_KEY, .efek = blob };
	size_t room = 4096 - 26, unit = 1 + 2 + 10 + 512, len;

	(void)state;
	memset(blob, 0x11, sizeof(blob));
	for (size_t extra = 0; extra <= 1; extra++) {
		struct ecfmt_writer out;
		unsigned int n = 0;
		int r;

		memset(buf, 0, sizeof(buf));
		ecfmt_writer_init(&out, buf, sizeof(buf));
		ecfmt_header_put(&out, ECFMT_PLACE_FILE, &in);
		for (p.efek_len = 512; room - n * unit >= unit; n++)
			ecfmt_packet_put(&out, &p);
		p.efek_len = room - n * unit - 13 + extra;
		assert_true(p.efek_len > 192 && p.efek_len <= 512);
		ecfmt_packet_put(&out, &p);
		assert_int_equal(ecfmt_writer_finish(&out, &len), 0);
		assert_int_equal(len, 4096 + extra);
		r = ecfmt_header_get(buf, sizeof(buf), ECFMT_PLACE_FILE, &h);
		assert_int_equal(r, extra ? -EBADMSG : 0);
		if (!r)
			assert_int_equal(count_packets(&h), n + 1);
	}
}

static void test_put_refuses(void **state)
{
	static const uint32_t bad[] = { 0, 4096, 8191, 8193, 12289, (1u << 20) + 4096, UINT32_MAX };
	struct ecfmt_header h = { .size = 1, .header_len = 8192 };
	struct ecfmt_writer out;
	uint8_t buf[64];
	size_t len;

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(bad); i++) {
		h.header_len = bad[i];
		ecfmt_writer_init(&out, buf, sizeof(buf));
		ecfmt_header_put(&out, ECFMT_PLACE_FILE, &h);
		assert_int_equal(ecfmt_writer_finish(&out, &len), -ENOBUFS);
	}
	h.header_len = 8192;
	h.size = 1ULL << 63;
	ecfmt_writer_init(&out, buf, sizeof(buf));
	ecfmt_header_put(&out, ECFMT_PLACE_FILE, &h);
	assert_int_equal(ecfmt_writer_finish(&out, &len), -ENOBUFS);
	h.size = 0;
	for (size_t max = 0; max <= 26; max++) {
		ecfmt_writer_init(&out, buf, max);
		ecfmt_header_put(&out, ECFMT_PLACE_FILE, &h);
		assert_int_equal(ecfmt_writer_finish(&out, &len), max < 26 ? -ENOBUFS : 0);
	}
}

static void random_packet(uint64_t *seed, const struct ecfmt_cipher *cipher, size_t fek_len,
			  const uint8_t *bytes, struct ecfmt_packet *p)
{
	bool public_key = random_next(seed) % 4 == 0;

	*p = (struct ecfmt_packet){ .efek = bytes };
	random_bytes(seed, p->sig, sizeof(p->sig));
	if (public_key) {
		p->kind = ECFMT_PACKET_PUBLIC_KEY;
		p->efek_len = 1 + random_next(seed) % 512;
		return;
	}
	p->cipher = cipher;
	p->fek_len = fek_len;
	p->efek_len = ecfmt_cipher_efek_len(cipher, fek_len);
	random_bytes(seed, p->salt, sizeof(p->salt));
}

static void assert_same_packet(const struct ecfmt_packet *a, const struct ecfmt_packet *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_ptr_equal(a->cipher, b->cipher);
	assert_int_equal(a->fek_len, b->fek_len);
	assert_memory_equal(a->sig, b->sig, sizeof(a->sig));
	assert_memory_equal(a->salt, b->salt, sizeof(a->salt));
	assert_int_equal(a->efek_len, b->efek_len);
	assert_memory_equal(a->efek, b->efek, a->efek_len);
}

/* What is built is parsed to the same, whatever it is. */
static void round_trip(uint64_t *seed, unsigned int *n_packets)
{
	enum ecfmt_place place = random_next(seed) % 2 ? ECFMT_PLACE_FILE : ECFMT_PLACE_XATTR;
	uint8_t buf[ECFMT_HEADER_READ_LEN], bytes[512];
	struct ecfmt_header in = { 0 }, h;
	struct ecfmt_packet packets[6], p;
	const struct ecfmt_cipher *cipher = ecfmt_cipher_row(random_next(seed) % 8);
	size_t fek_len, n = 1 + random_next(seed) % 6, len;
	struct ecfmt_writer out;

	do
		fek_len = random_next(seed) % 65;
	while (!ecfmt_cipher_key_len_ok(cipher, fek_len));
	random_bytes(seed, bytes, sizeof(bytes));
	in.size = random_next(seed) >> (1 + random_next(seed) % 63);
	in.marker_m1 = (uint32_t)random_next(seed);
	in.flags = (uint8_t)random_next(seed);
	in.header_len = (uint32_t)(2 + random_next(seed) % 255) * 4096;
	ecfmt_writer_init(&out, buf, sizeof(buf));
	ecfmt_header_put(&out, place, &in);
	for (size_t i = 0; i < n; i++) {
		random_packet(seed, cipher, fek_len, bytes, &packets[i]);
		ecfmt_packet_put(&out, &packets[i]);
	}
	if (place == ECFMT_PLACE_FILE)
		ecfmt_put_u8(&out, 0);
	assert_int_equal(ecfmt_writer_finish(&out, &len), 0);

	assert_int_equal(ecfmt_header_get(buf, len, place, &h), 0);
	assert_true(h.size == in.size);
	assert_int_equal(h.marker_m1, in.marker_m1);
	assert_int_equal(h.header_len, place == ECFMT_PLACE_FILE ? in.header_len : 0);
	assert_int_equal(h.flags | 4, in.flags | 2 | 4);
	assert_int_equal(!!(h.flags & 4), place == ECFMT_PLACE_XATTR);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(ecfmt_packet_get(&h.packets, &p), 0);
		assert_same_packet(&p, &packets[i]);
	}
	assert_int_equal(ecfmt_packet_get(&h.packets, &p), ECFMT_E_END);
	*n_packets += (unsigned int)n;
}

static void test_random_headers_round_trip(void **state)
{
	uint64_t seed = CHECK_SEED;
	unsigned int n_packets = 0;

	(void)state;
	for (int i = 0; i < 20000; i++)
		round_trip(&seed, &n_packets);
	report("20000 random headers with %u packets, seed %llx", n_packets,
	       (unsigned long long)CHECK_SEED);
}

static void test_lower_len(void **state)
{
	static const struct {
		uint64_t size;
		uint32_t header_len;
		uint64_t want;	/* 0: too big */
	} rows[] = {
		{ 1, 8192, 12288 },
		{ 4096, 8192, 12288 },
		{ 4097, 8192, 16384 },
		{ 10000, 8192, 20480 },
		{ 1, 0, 4096 },
		{ 1, 65536, 69632 },
		{ 0, 8192, 8192 },
		{ 0x7ffffffffffff000ULL, 0, 0x7ffffffffffff000ULL },
		{ 0x7ffffffffffff001ULL, 0, 0 },
		{ 0x7fffffffffffffffULL, 0, 0 },
		{ 0x7fffffffffffd000ULL, 8192, 0x7ffffffffffff000ULL },
		{ 0x7fffffffffffd001ULL, 8192, 0 },
		{ UINT64_MAX, 8192, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		uint64_t have = 0;
		int r = ecfmt_lower_len(rows[i].size, rows[i].header_len, &have);

		assert_int_equal(r, rows[i].want ? 0 : -EFBIG);
		assert_true(have == rows[i].want);
	}
	{
		uint64_t have = 1;

		assert_int_equal(ecfmt_lower_len(0, 0, &have), 0);
		assert_true(have == 0);
	}
}

static void test_size_left(void **state)
{
	static const struct {
		uint64_t size;
		uint32_t header_len;
		uint64_t lower_len, want;
	} rows[] = {
		{ 10000, 8192, 20480, 10000 },
		{ 10000, 8192, 24576, 10000 },	/* longer than it must be */
		{ 10000, 8192, 16384, 8192 },	/* whole extents */
		{ 10000, 8192, 12288, 4096 },
		{ 10000, 8192, 8192, 0 },
		{ 10000, 8192, 4096, 0 },	/* part of the region */
		{ 10000, 8192, 20479, 10000 },	/* inside an extent: damage */
		{ 10000, 8192, 12289, 10000 },
		{ 10000, 8192, 100, 10000 },
		{ 8192, 8192, 16384, 8192 },
		{ 8193, 8192, 16384, 8192 },
		{ 0, 8192, 8192, 0 },
		{ 0, 8192, 4096, 0 },
		{ 10000, 0, 12288, 10000 },
		{ 10000, 0, 8192, 8192 },
		{ 10000, 0, 0, 0 },
		{ UINT64_MAX, 0, 4096, 4096 },
	};

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++)
		assert_true(ecfmt_size_left(rows[i].size, rows[i].header_len,
					    rows[i].lower_len) == rows[i].want);
}

static void test_size_put(void **state)
{
	uint8_t buf[8];

	(void)state;
	ecfmt_size_put(buf, 0x0102030405060708ULL);
	assert_hex(buf, 8, "0102030405060708");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_value),
		cmocka_unit_test(test_written_byte_for_byte),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_every_bit_flipped),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_version_0),
		cmocka_unit_test(test_several_keys),
		cmocka_unit_test(test_packets_to_the_end_of_what_is_read),
		cmocka_unit_test(test_put_refuses),
		cmocka_unit_test(test_random_headers_round_trip),
		cmocka_unit_test(test_lower_len),
		cmocka_unit_test(test_size_left),
		cmocka_unit_test(test_size_put),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
