/* SPDX-License-Identifier: GPL-2.0-only */
/* Content keys and the extents that they encrypt. */
#ifndef EC_OFFLINE_CONTENT_H
#define EC_OFFLINE_CONTENT_H

#include "format/ecfmt.h"
#include "lib/secret.h"

struct ec_offline_content;

/* For content under fek. 0, -EINVAL for a key length that the cipher has not, -EOPNOTSUPP if
 * libgcrypt has not the cipher, -ENOPKG, -ENOMEM. */
int ec_offline_content_new(struct ec_offline_content **ret, const struct ecfmt_cipher *cipher,
			   const struct ec_secret *fek);
void ec_offline_content_free(struct ec_offline_content *content);
/* In place; extent 0 is the first of the data. */
int ec_offline_extent_encrypt(struct ec_offline_content *content, uint64_t index,
			      uint8_t buf[static ECFMT_EXTENT_LEN]);
int ec_offline_extent_decrypt(struct ec_offline_content *content, uint64_t index,
			      uint8_t buf[static ECFMT_EXTENT_LEN]);

/* The content key of a passphrase packet, under the key of its signature. A wrong key is not
 * noticed, the format has no check. ret_fek is initialised here. */
int ec_offline_fek_unwrap(struct ec_secret *ret_fek, const struct ecfmt_packet *packet,
			  const struct ec_secret *key);
/* ret_efek of ecfmt_cipher_efek_len() bytes, exactly; else -ENOBUFS. */
int ec_offline_fek_wrap(uint8_t *ret_efek, size_t efek_len, const struct ecfmt_cipher *cipher,
			const struct ec_secret *fek, const struct ec_secret *key);

static inline void ec_offline_content_freep(struct ec_offline_content **content)
{
	ec_offline_content_free(*content);
}

#define _cleanup_offline_content_ _cleanup_(ec_offline_content_freep)

#endif
