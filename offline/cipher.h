/* SPDX-License-Identifier: GPL-2.0-only */
/* The ciphers and the hash of format 3, done by libgcrypt. */
#ifndef EC_OFFLINE_CIPHER_H
#define EC_OFFLINE_CIPHER_H

#include "format/ecfmt.h"
#include "lib/cleanup.h"

struct ec_offline_cipher;

enum ec_offline_mode {
	EC_OFFLINE_ECB,		/* wrapped keys and names */
	EC_OFFLINE_CBC,		/* content */
};

/*
 * The key is copied into locked memory, the caller wipes its own.
 * 0, -EOPNOTSUPP if libgcrypt has no such cipher (cast6) or not with such a key length (cast5
 * other than 16 bytes, twofish of 24), -ENOMEM.
 */
int ec_offline_cipher_new(struct ec_offline_cipher **ret, const struct ecfmt_cipher *cipher,
			  enum ec_offline_mode mode, const uint8_t *key, size_t key_len);
void ec_offline_cipher_free(struct ec_offline_cipher *cipher);
/* In place; len is whole blocks, iv is block_len bytes or NULL for ECB. 0, -EINVAL, -EIO. */
int ec_offline_cipher_encrypt(struct ec_offline_cipher *cipher, const uint8_t *iv, uint8_t *buf,
			      size_t len);
int ec_offline_cipher_decrypt(struct ec_offline_cipher *cipher, const uint8_t *iv, uint8_t *buf,
			      size_t len);

/* 0, -ENOPKG where MD5 is forbidden (FIPS mode). */
int ec_offline_md5(uint8_t ret[static ECFMT_MD5_LEN], const void *bytes, size_t len);

static inline void ec_offline_cipher_freep(struct ec_offline_cipher **cipher)
{
	ec_offline_cipher_free(*cipher);
}

#define _cleanup_offline_cipher_ _cleanup_(ec_offline_cipher_freep)

#endif
