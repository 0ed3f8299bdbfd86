/* SPDX-License-Identifier: GPL-2.0-only */
/* Hexadecimal and base64 text (RFC 4648, 4 and 8). For public bytes: not in constant time. */
#include "lib/hex.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char base64_alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void ec_hex_encode(char *ret, const void *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = bytes;
	size_t i;

	for (i = 0; i < len; i++) {
		ret[2 * i] = digits[b[i] >> 4];
		ret[2 * i + 1] = digits[b[i] & 15];
	}
	ret[2 * len] = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -EINVAL;
}

/**
 * ec_hex_decode() - bytes of hexadecimal text
 * @ret:	len bytes; undefined on failure
 * @len:	bytes wanted
 * @text:	digits of either case, no terminator needed
 * @text_len:	bytes of text, must be 2 * len
 *
 * Return: 0, -EINVAL.
 */
int ec_hex_decode(uint8_t *ret, size_t len, const char *text, size_t text_len)
{
	size_t i;

	if (len > SIZE_MAX / 2 || text_len != 2 * len)
		return -EINVAL;
	for (i = 0; i < len; i++) {
		int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

char *ec_base64_encode(const void *bytes, size_t len)
{
	const uint8_t *b = bytes;
	char *text, *p;
	size_t i;

	if (len > (SIZE_MAX - 1) / 4 * 3 - 2)
		return NULL;
	text = p = malloc((len + 2) / 3 * 4 + 1);
	if (!text)
		return NULL;

	for (i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t bits = (uint32_t)b[i] << 16;

		if (left > 1)
			bits |= (uint32_t)b[i + 1] << 8;
		if (left > 2)
			bits |= b[i + 2];
		*p++ = base64_alphabet[bits >> 18];
		*p++ = base64_alphabet[bits >> 12 & 63];
		*p++ = left > 1 ? base64_alphabet[bits >> 6 & 63] : '=';
		*p++ = left > 2 ? base64_alphabet[bits & 63] : '=';
	}
	*p = '\0';
	return text;
}

static int base64_value(char c)
{
	const char *at = c ? strchr(base64_alphabet, c) : NULL;

	return at ? (int)(at - base64_alphabet) : -EINVAL;
}

/* The n_digits digits of one quad, first in the highest of 24 bits. */
static int base64_quad(const char *text, size_t n_digits, uint32_t *ret_bits)
{
	uint32_t bits = 0;
	size_t i;

	for (i = 0; i < 4; i++) {
		int value = i < n_digits ? base64_value(text[i]) : 0;

		if (value < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)value;
	}
	*ret_bits = bits;
	return 0;
}

/**
 * ec_base64_decode() - bytes of base64 text
 * @text:	standard alphabet, padded, nothing else in it
 * @ret_bytes:	new, free() it; never NULL on success
 * @ret_len:	bytes
 *
 * One text for one value: bits behind the last byte must be zero (RFC 4648, 3.5), so that no
 * second spelling of the same bytes is accepted.
 *
 * Return: 0, -EINVAL, -ENOMEM.
 */
int ec_base64_decode(const char *text, uint8_t **ret_bytes, size_t *ret_len)
{
	size_t text_len = strlen(text), len, pad = 0, pos = 0, i;
	uint8_t *bytes;

	if (text_len % 4)
		return -EINVAL;
	if (text_len && text[text_len - 1] == '=')
		pad = text[text_len - 2] == '=' ? 2 : 1;
	len = text_len / 4 * 3 - pad;
	bytes = malloc(len + 1);
	if (!bytes)
		return -ENOMEM;

	for (i = 0; i < text_len; i += 4) {
		size_t n_digits = i + 4 == text_len ? 4 - pad : 4, j;
		uint32_t bits;

		if (base64_quad(text + i, n_digits, &bits) < 0)
			goto invalid;
		for (j = 0; j < 3; j++, bits <<= 8) {
			if (pos < len)
				bytes[pos++] = (uint8_t)(bits >> 16);
			else if (bits >> 16 & 255)
				goto invalid;
		}
	}
	*ret_bytes = bytes;
	*ret_len = len;
	return 0;

invalid:
	free(bytes);
	return -EINVAL;
}
