// SPDX-License-Identifier: GPL-2.0-only
/* Key packets: what is accepted is written and read to the same values. */
#include "format/ecfmt.h"
#include "fuzz/fuzz.h"

static void check_values(const struct ecfmt_packet *p, const uint8_t *data, size_t len)
{
	fuzz_assert(p->efek >= data && p->efek_len <= (size_t)(data + len - p->efek));
	if (p->kind == ECFMT_PACKET_PUBLIC_KEY) {
		fuzz_assert(p->efek_len >= 1 && p->efek_len <= ECFMT_BLOB_LEN_MAX);
		return;
	}
	fuzz_assert(p->kind == ECFMT_PACKET_PASSPHRASE);
	fuzz_assert(p->fek_len <= ECFMT_FEK_LEN_MAX && p->fek_len <= p->efek_len);
	fuzz_assert(p->efek_len <= ECFMT_EFEK_LEN_MAX);
	fuzz_assert(ecfmt_cipher_key_len_ok(p->cipher, p->fek_len));
}

static void check_same(const struct ecfmt_packet *a, const struct ecfmt_packet *b)
{
	fuzz_assert(a->kind == b->kind && a->cipher == b->cipher && a->fek_len == b->fek_len);
	fuzz_assert(!memcmp(a->sig, b->sig, sizeof(a->sig)));
	fuzz_assert(!memcmp(a->salt, b->salt, sizeof(a->salt)));
	fuzz_assert(a->efek_len == b->efek_len && !memcmp(a->efek, b->efek, a->efek_len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ecfmt_reader cur;
	struct ecfmt_packet p;
	int r;

	ecfmt_reader_init(&cur, data, len);
	while ((r = ecfmt_packet_get(&cur, &p)) == 0) {
		uint8_t buf[600];
		struct ecfmt_writer out;
		struct ecfmt_reader again;
		struct ecfmt_packet q;
		size_t n;

		check_values(&p, data, len);
		ecfmt_writer_init(&out, buf, sizeof(buf));
		ecfmt_packet_put(&out, &p);
		fuzz_assert(!ecfmt_writer_finish(&out, &n));
		ecfmt_reader_init(&again, buf, n);
		fuzz_assert(!ecfmt_packet_get(&again, &q));
		fuzz_assert(ecfmt_reader_left(&again) == 0);
		check_same(&p, &q);
	}
	if (r != ECFMT_E_END)
		fuzz_assert_parse_error(r);
	return 0;
}
