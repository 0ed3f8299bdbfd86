// SPDX-License-Identifier: GPL-2.0-only
/* Signatures as text: one of them, and a cache full of them. */
#include "fuzz/fuzz.h"
#include "mount/sig-cache.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static void check_one(const char *text, size_t len)
{
	static const uint8_t untouched[ECFMT_SIG_LEN] = "untouche";
	char again[ECFMT_SIG_HEX_LEN + 1];
	uint8_t sig[ECFMT_SIG_LEN];
	int r;

	memcpy(sig, untouched, sizeof(sig));
	r = ecfmt_sig_from_hex(sig, text, len);
	if (r) {
		fuzz_assert(r == -EBADMSG && !memcmp(sig, untouched, sizeof(sig)));
		return;
	}
	fuzz_assert(len == ECFMT_SIG_HEX_LEN);
	ecfmt_sig_to_hex(again, sig);
	fuzz_assert(!strncasecmp(again, text, len) && !again[len]);
}

/* A record is a line of its own, and nothing else that happens to hold its digits is. */
static bool has_line(const char *text, size_t len, const char *sig)
{
	const char *at = text, *end = text + len;

	while ((at = memmem(at, (size_t)(end - at), sig, ECFMT_SIG_HEX_LEN))) {
		if ((at == text || at[-1] == '\n') && end - at > ECFMT_SIG_HEX_LEN &&
		    at[ECFMT_SIG_HEX_LEN] == '\n')
			return true;
		at++;
	}
	return false;
}

static void check_cache(const uint8_t *data, size_t len)
{
	static const char sig[] = "7f475b5d20a645dc";
	const char *path;
	bool has;

	fuzz_file(data, len, &path);
	fuzz_assert(!ec_sig_cache_has(path, sig, &has));
	fuzz_assert(has == has_line((const char *)data, len, sig));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_one((const char *)data, len);
	check_cache(data, len);
	return 0;
}
