/* SPDX-License-Identifier: GPL-2.0-only */
/* Hexadecimal and base64 text of bytes. */
#ifndef EC_HEX_H
#define EC_HEX_H

#include <stddef.h>
#include <stdint.h>

/* ret holds 2 * len + 1 bytes. Lower case. */
void ec_hex_encode(char *ret, const void *bytes, size_t len);
/* text of exactly 2 * len digits, either case; -EINVAL else. */
int ec_hex_decode(uint8_t *ret, size_t len, const char *text, size_t text_len);
/* Standard alphabet with padding; a new string, or NULL. */
char *ec_base64_encode(const void *bytes, size_t len);
/* Strict. ret_bytes is new; -EINVAL, -ENOMEM. */
int ec_base64_decode(const char *text, uint8_t **ret_bytes, size_t *ret_len);

#endif
