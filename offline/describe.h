/* SPDX-License-Identifier: GPL-2.0-only */
/* Everything that can be said about a lower file and a lower name without any key, as JSON. */
#ifndef EC_OFFLINE_DESCRIBE_H
#define EC_OFFLINE_DESCRIBE_H

#include "format/ecfmt.h"

#include <jansson.h>

/*
 * A header of len bytes, the start of a lower file or the value of its attribute:
 *
 *   { "place": "file" | "xattr", "version": 3, "size": BYTES, "header_len": BYTES,
 *     "flags": ["encrypted", "hmac", "names", "xattr"],	(those that are set)
 *     "packets": [
 *       { "kind": "passphrase", "sig": HEX16, "cipher": "aes", "key_bytes": 16,
 *         "salt": HEX16, "wrapped_key_len": 16 },
 *       { "kind": "public-key", "sig": HEX16, "wrapped_key_len": 256 } ] }
 *
 * ret is a new reference. 0, -EBADMSG or -EOPNOTSUPP with a clause that says what is wrong in
 * *ret_reason (static, "it has no eCryptfs marker"), -ENOMEM.
 */
int ec_offline_describe_header(const uint8_t *buf, size_t len, enum ecfmt_place place,
			       json_t **ret, const char **ret_reason);

/*
 * The same for an open lower file, with
 *     "lower_len": BYTES, "lower_len_expected": BYTES, "complete": true | false
 * where false means that data is missing at the end; and then "size_left": BYTES, if a crash can have
 * left that much of it (ecfmt_size_left()). A file of 0 bytes without an attribute is
 * { "place": "none", "lower_len": 0, "size": 0 }: an empty file whose header was never written.
 * As above; also -ENODATA if nothing in or at the file is a header, and the errno of reading it.
 */
int ec_offline_describe_file(int fd, json_t **ret, const char **ret_reason);

/*
 * A lower name or symlink target (no path), NUL-terminated:
 *   { "sig": HEX16, "cipher": "aes", "key_bytes": 16, "plain_len_max": BYTES }
 * key_bytes only where the cipher code fixes it. The plain name has plain_len_max bytes or up
 * to a block less. As above; -ENODATA if the name is not encrypted.
 */
int ec_offline_describe_name(const char *name, json_t **ret, const char **ret_reason);

#endif
