// SPDX-License-Identifier: GPL-2.0-only
/* Keyring tokens: what is accepted is written and read to the same values. */
#include "format/ecfmt.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ecfmt_auth_tok tok, again;
	uint8_t buf[ECFMT_AUTH_TOK_LEN];
	int r = ecfmt_auth_tok_get(data, len, &tok);

	if (r) {
		fuzz_assert_parse_error(r);
		return 0;
	}
	fuzz_assert(!ecfmt_auth_tok_put(buf, sizeof(buf), &tok));
	fuzz_assert(!ecfmt_auth_tok_get(buf, sizeof(buf), &again));
	fuzz_assert(!memcmp(&tok, &again, sizeof(tok)));
	return 0;
}
