// SPDX-License-Identifier: GPL-2.0-only
/* Packet lengths, one behind the other: what is read is written as the same bytes. */
#include "format/ecfmt.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ecfmt_reader cur;
	size_t value;

	ecfmt_reader_init(&cur, data, len);
	for (;;) {
		const uint8_t *start = cur.pos;
		struct ecfmt_writer out;
		uint8_t buf[2];
		size_t n;

		if (ecfmt_length_get(&cur, &value)) {
			fuzz_assert(cur.pos == start);
			return 0;
		}
		fuzz_assert(value <= ECFMT_PACKET_LEN_MAX);
		ecfmt_writer_init(&out, buf, sizeof(buf));
		ecfmt_length_put(&out, value);
		fuzz_assert(!ecfmt_writer_finish(&out, &n));
		fuzz_assert(n == (size_t)(cur.pos - start) && !memcmp(buf, start, n));
	}
}
