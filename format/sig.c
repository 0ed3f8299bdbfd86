// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signatures, which name keys: 8 bytes on disk, 16 hexadecimal digits in options, key
 * descriptions and files of users.
 */
#include "format/ecfmt.h"

/**
 * ecfmt_sig_to_hex() - bytes to text
 * @ret:	16 lower-case digits and a NUL
 * @sig:	8 bytes
 */
void ecfmt_sig_to_hex(char ret[static ECFMT_SIG_HEX_LEN + 1], const u8 sig[static ECFMT_SIG_LEN])
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < ECFMT_SIG_LEN; i++) {
		ret[2 * i] = digits[sig[i] >> 4];
		ret[2 * i + 1] = digits[sig[i] & 0x0f];
	}
	ret[ECFMT_SIG_HEX_LEN] = '\0';
}

/* -1 if c is no digit. */
static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/**
 * ecfmt_sig_from_hex() - text to bytes
 * @ret:	8 bytes; untouched on failure
 * @hex:	digits of either case, not NUL-terminated
 * @len:	bytes of @hex; anything but 16 fails
 *
 * Return: 0, -EBADMSG.
 */
int ecfmt_sig_from_hex(u8 ret[static ECFMT_SIG_LEN], const char *hex, size_t len)
{
	u8 sig[ECFMT_SIG_LEN];
	int high, low;
	size_t i;

	if (len != ECFMT_SIG_HEX_LEN)
		return -EBADMSG;
	for (i = 0; i < ECFMT_SIG_LEN; i++) {
		high = hex_value(hex[2 * i]);
		low = hex_value(hex[2 * i + 1]);
		if (high < 0 || low < 0)
			return -EBADMSG;
		sig[i] = (u8)(high << 4 | low);
	}
	memcpy(ret, sig, sizeof(sig));
	return 0;
}
