// SPDX-License-Identifier: GPL-2.0-only
/* Lower names: six-bit text, tag 70, and, taking the ciphertext for plain, the name in it. */
#include "format/ecfmt.h"
#include "fuzz/fuzz.h"

static void check_plain(const uint8_t *plain, size_t plain_len)
{
	for (int component = 0; component <= 1; component++) {
		const char *name;
		size_t len;
		int r = ecfmt_name_plain_get(plain, plain_len, component, &name, &len);

		if (r) {
			fuzz_assert(r == -EBADMSG);
			continue;
		}
		fuzz_assert(len && !memchr(name, 0, len));
		fuzz_assert((const uint8_t *)name > plain &&
			    (const uint8_t *)name + len == plain + plain_len);
		fuzz_assert(!component || !memchr(name, '/', len));
	}
}

static void check_packet(const uint8_t *raw, size_t raw_len)
{
	struct ecfmt_reader cur;
	struct ecfmt_writer out;
	struct ecfmt_name_packet p;
	uint8_t *buf;
	size_t n, used;
	int r;

	ecfmt_reader_init(&cur, raw, raw_len);
	r = ecfmt_name_packet_get(&cur, &p);
	if (r) {
		fuzz_assert_parse_error(r);
		return;
	}
	used = raw_len - ecfmt_reader_left(&cur);
	fuzz_assert(p.ciphertext_len && p.ciphertext_len % p.cipher->block_len == 0);
	buf = malloc(used);
	ecfmt_writer_init(&out, buf, used);
	ecfmt_name_packet_put(&out, &p);
	fuzz_assert(!ecfmt_writer_finish(&out, &n) && n == used && !memcmp(buf, raw, used));
	free(buf);
	check_plain(p.ciphertext, p.ciphertext_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *text = (const char *)data;
	size_t text_len = len, raw_len;
	uint8_t *raw;
	char *again;

	check_packet(data, len);
	check_plain(data, len);
	if (ecfmt_name_is_encrypted(text, len)) {
		text += ECFMT_NAME_PREFIX_LEN;
		text_len -= ECFMT_NAME_PREFIX_LEN;
	}
	raw_len = ecfmt_sixbit_decoded_len(text_len);
	raw = malloc(raw_len);
	again = malloc(text_len);
	if (!ecfmt_sixbit_decode(raw, raw_len, text, text_len)) {
		fuzz_assert(ecfmt_sixbit_encoded_len(raw_len) == text_len);
		fuzz_assert(!ecfmt_sixbit_encode(again, text_len, raw, raw_len));
		fuzz_assert(!memcmp(again, text, text_len));
		check_packet(raw, raw_len);
	}
	free(again);
	free(raw);
	return 0;
}
