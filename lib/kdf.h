/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Key derivation: HKDF for the keys below the vault key, and the string-to-key function of
 * eCryptfs for legacy passphrases. OpenSSL does the hashing.
 */
#ifndef EC_KDF_H
#define EC_KDF_H

#include "lib/secret.h"

#include <stddef.h>
#include <stdint.h>

#define EC_S2K_SALT_LEN 8u
#define EC_S2K_KEY_LEN 64u
#define EC_S2K_PASSPHRASE_LEN_MAX 64u
#define EC_SIG_LEN 8u

/* HKDF-SHA-512 (RFC 5869). ret is initialised here to ret_len bytes. 0, -ENOMEM, -EIO. */
int ec_hkdf_sha512(struct ec_secret *ret, size_t ret_len, const struct ec_secret *key,
		   const void *salt, size_t salt_len, const char *info);
/* HKDF with another digest of OpenSSL ("SHA256"). */
int ec_hkdf(const char *digest, struct ec_secret *ret, size_t ret_len,
	    const struct ec_secret *key, const void *salt, size_t salt_len, const char *info);
/* 65,536 times SHA-512, as eCryptfs does. Also the signature. -EINVAL if empty or over 64 bytes. */
int ec_s2k(struct ec_secret *ret_key, uint8_t ret_sig[static EC_SIG_LEN],
	   const struct ec_secret *passphrase, const uint8_t salt[static EC_S2K_SALT_LEN]);
/* First 8 bytes of SHA-512(key), key of 64 bytes. */
int ec_key_sig(uint8_t ret_sig[static EC_SIG_LEN], const struct ec_secret *key);

/* Salts of ecryptfs-utils: content keys, and name keys of Private directories and homes. */
extern const uint8_t ec_s2k_salt_content[EC_S2K_SALT_LEN];
extern const uint8_t ec_s2k_salt_names[EC_S2K_SALT_LEN];

#endif
