// SPDX-License-Identifier: GPL-2.0-only
/* Wrapped-passphrase files: of version 2, what is accepted is written as the same bytes. */
#include "format/ecfmt.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ecfmt_wrapped w, again;
	struct ecfmt_writer out;
	uint8_t buf[128];
	size_t n;
	int r = ecfmt_wrapped_get(data, len, &w);

	if (r) {
		fuzz_assert_parse_error(r);
		return 0;
	}
	fuzz_assert(w.version == 1 || w.version == 2);
	fuzz_assert(w.ciphertext_len >= 16 && w.ciphertext_len <= 64 && w.ciphertext_len % 16 == 0);
	fuzz_assert(w.ciphertext >= data && w.ciphertext + w.ciphertext_len <= data + len);
	if (w.version == 1)
		return 0;
	ecfmt_writer_init(&out, buf, sizeof(buf));
	ecfmt_wrapped_put(&out, &w);
	fuzz_assert(!ecfmt_writer_finish(&out, &n) && n <= len);
	fuzz_assert(!ecfmt_wrapped_get(buf, n, &again));
	fuzz_assert(!memcmp(again.sig, w.sig, 8) && !memcmp(again.salt, w.salt, 8));
	fuzz_assert(!memcmp(again.ciphertext, w.ciphertext, w.ciphertext_len));
	return 0;
}
