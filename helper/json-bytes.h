/* SPDX-License-Identifier: GPL-2.0-only */
/* Public bytes (salts, nonces, ciphertext) as base64 members of JSON objects. */
#ifndef ECD_JSON_BYTES_H
#define ECD_JSON_BYTES_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* Exactly len bytes: 0, -EBADMSG, -ENOMEM. */
int ecd_json_get_bytes(const json_t *object, const char *name, uint8_t *ret, size_t len);
/* 0, -ENOMEM. */
int ecd_json_set_bytes(json_t *object, const char *name, const void *bytes, size_t len);

static inline void ecd_json_decrefp(json_t **value)
{
	json_decref(*value);
}

#define _cleanup_json_ _cleanup_(ecd_json_decrefp)

#endif
