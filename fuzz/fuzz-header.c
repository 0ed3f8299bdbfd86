// SPDX-License-Identifier: GPL-2.0-only
/* Headers, in both places: bounds hold, packets are readable, a rewritten header is the same. */
#include "format/ecfmt.h"
#include "fuzz/fuzz.h"

static void check_rewritten(const struct ecfmt_header *h, enum ecfmt_place place)
{
	static uint8_t buf[2 * ECFMT_HEADER_READ_LEN];
	struct ecfmt_reader cur = h->packets;
	struct ecfmt_packet p;
	struct ecfmt_header again;
	struct ecfmt_writer out;
	size_t n;
	int r;

	ecfmt_writer_init(&out, buf, sizeof(buf));
	ecfmt_header_put(&out, place, h);
	while ((r = ecfmt_packet_get(&cur, &p)) == 0)
		ecfmt_packet_put(&out, &p);
	fuzz_assert(r == ECFMT_E_END);
	fuzz_assert(!ecfmt_writer_finish(&out, &n));
	/* A header of version 0 is six bytes shorter than what is written for it. */
	if (n > ECFMT_HEADER_READ_LEN)
		return;
	fuzz_assert(!ecfmt_header_get(buf, n, place, &again));
	fuzz_assert(again.size == h->size && again.header_len == h->header_len);
	fuzz_assert(again.version == ECFMT_VERSION && again.marker_m1 == h->marker_m1);
}

static void check_place(const uint8_t *data, size_t len, enum ecfmt_place place)
{
	struct ecfmt_header h;
	uint64_t size, lower_len;
	int r = ecfmt_header_get(data, len, place, &h);

	if (r) {
		fuzz_assert_parse_error(r);
		return;
	}
	fuzz_assert(ecfmt_marker_ok(data, len));
	fuzz_assert(!ecfmt_size_get(data, len, &size) && size == h.size);
	fuzz_assert(h.version <= ECFMT_VERSION && h.size <= INT64_MAX);
	if (place == ECFMT_PLACE_FILE)
		fuzz_assert(h.header_len >= ECFMT_HEADER_LEN_MIN &&
			    h.header_len <= ECFMT_HEADER_LEN_MAX &&
			    h.header_len % ECFMT_EXTENT_LEN == 0);
	else
		fuzz_assert(h.header_len == 0);
	if (!ecfmt_lower_len(h.size, h.header_len, &lower_len))
		fuzz_assert(lower_len >= h.size + h.header_len && lower_len <= INT64_MAX);
	check_rewritten(&h, place);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_place(data, len, ECFMT_PLACE_FILE);
	check_place(data, len, ECFMT_PLACE_XATTR);
	return 0;
}
