/* SPDX-License-Identifier: GPL-2.0-only */
/* Bytes in and out of JSON objects. */
#include "helper/json-bytes.h"

#include "lib/cleanup.h"
#include "lib/hex.h"

#include <errno.h>
#include <string.h>

int ecd_json_get_bytes(const json_t *object, const char *name, uint8_t *ret, size_t len)
{
	const char *text = json_string_value(json_object_get(object, name));
	_cleanup_free_ uint8_t *bytes = NULL;
	size_t bytes_len;
	int r;

	if (!text)
		return -EBADMSG;
	r = ec_base64_decode(text, &bytes, &bytes_len);
	if (r < 0)
		return r == -EINVAL ? -EBADMSG : r;
	if (bytes_len != len)
		return -EBADMSG;
	memcpy(ret, bytes, len);
	return 0;
}

int ecd_json_set_bytes(json_t *object, const char *name, const void *bytes, size_t len)
{
	_cleanup_free_ char *text = ec_base64_encode(bytes, len);

	if (!text || json_object_set_new(object, name, json_string(text)) < 0)
		return -ENOMEM;
	return 0;
}
