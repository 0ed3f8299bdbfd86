/* SPDX-License-Identifier: GPL-2.0-only */
/* HKDF and the string-to-key function of eCryptfs, on OpenSSL's digests. */
#include "lib/kdf.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <string.h>

#define S2K_ROUNDS 65536

/* "0011223344556677" decoded. Source: ecryptfs-utils, the default of its passphrase tools. */
const uint8_t ec_s2k_salt_content[EC_S2K_SALT_LEN] = {
	0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
};

/*
 * ecryptfs-utils has "9988776655443322" here and hands over the text where eight raw bytes are
 * expected, so the salt is the first eight characters of it.
 */
const uint8_t ec_s2k_salt_names[EC_S2K_SALT_LEN] = {
	'9', '9', '8', '8', '7', '7', '6', '6',
};

static void kdf_freep(EVP_KDF **kdf)
{
	EVP_KDF_free(*kdf);
}

static void kdf_ctx_freep(EVP_KDF_CTX **ctx)
{
	EVP_KDF_CTX_free(*ctx);
}

static void md_freep(EVP_MD **md)
{
	EVP_MD_free(*md);
}

static void md_ctx_freep(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

/**
 * ec_hkdf() - HKDF extract and expand
 * @digest:	name of OpenSSL, "SHA512"
 * @ret:	initialised here to ret_len bytes
 * @ret_len:	bytes wanted, 1..255 digests
 * @key:	input key material
 * @salt:	salt_len bytes, may be NULL if salt_len is 0
 * @salt_len:	bytes
 * @info:	what the derived key is for; the terminator is not part of it
 *
 * Source: RFC 5869, 2.
 * Return: 0, -ENOMEM, -EIO if OpenSSL refuses.
 */
int ec_hkdf(const char *digest, struct ec_secret *ret, size_t ret_len,
	    const struct ec_secret *key, const void *salt, size_t salt_len, const char *info)
{
	_cleanup_(kdf_freep) EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);
	_cleanup_(kdf_ctx_freep) EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	_cleanup_secret_ struct ec_secret derived = EC_SECRET_NULL;
	OSSL_PARAM params[5], *p = params;
	int r;

	if (!ctx)
		return -EIO;
	r = ec_secret_init(&derived, ret_len);
	if (r < 0)
		return r;

	/* OSSL_PARAM is not const, but nothing is written through it here. */
	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)digest, 0);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key->data, key->len);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (char *)info, strlen(info));
	if (salt_len)
		*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt,
							 salt_len);
	*p = OSSL_PARAM_construct_end();
	if (EVP_KDF_derive(ctx, derived.data, derived.len, params) <= 0)
		return -EIO;

	*ret = derived;
	derived = EC_SECRET_NULL;
	return 0;
}

int ec_hkdf_sha512(struct ec_secret *ret, size_t ret_len, const struct ec_secret *key,
		   const void *salt, size_t salt_len, const char *info)
{
	return ec_hkdf("SHA512", ret, ret_len, key, salt, salt_len, info);
}

/* SHA-512 of two pieces. digest may be the same memory as a piece. */
static int sha512(EVP_MD_CTX *ctx, const EVP_MD *md, uint8_t digest[static EC_S2K_KEY_LEN],
		  const void *first, size_t first_len, const void *second, size_t second_len)
{
	return EVP_DigestInit_ex2(ctx, md, NULL) == 1 &&
	       EVP_DigestUpdate(ctx, first, first_len) == 1 &&
	       EVP_DigestUpdate(ctx, second, second_len) == 1 &&
	       EVP_DigestFinal_ex(ctx, digest, NULL) == 1 ? 0 : -EIO;
}

/**
 * ec_s2k() - key and signature of a passphrase, as eCryptfs has them
 * @ret_key:	initialised here, EC_S2K_KEY_LEN bytes
 * @ret_sig:	what names the key
 * @passphrase:	1..64 bytes, taken as they are
 * @salt:	raw bytes
 *
 * Source: ecryptfs-utils, libecryptfs/main.c: SHA-512 of salt and passphrase, hashed 65,535
 * times more; one more hash gives the signature.
 * Return: 0, -EINVAL for the length, -ENOMEM, -EIO.
 */
int ec_s2k(struct ec_secret *ret_key, uint8_t ret_sig[static EC_SIG_LEN],
	   const struct ec_secret *passphrase, const uint8_t salt[static EC_S2K_SALT_LEN])
{
	_cleanup_(md_freep) EVP_MD *md = EVP_MD_fetch(NULL, "SHA512", NULL);
	_cleanup_(md_ctx_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	_cleanup_secret_ struct ec_secret key = EC_SECRET_NULL;
	int r, i;

	if (!passphrase->len || passphrase->len > EC_S2K_PASSPHRASE_LEN_MAX)
		return -EINVAL;
	if (!md || !ctx)
		return -EIO;
	r = ec_secret_init(&key, EC_S2K_KEY_LEN);
	if (r < 0)
		return r;

	r = sha512(ctx, md, key.data, salt, EC_S2K_SALT_LEN, passphrase->data, passphrase->len);
	for (i = 1; i < S2K_ROUNDS && r == 0; i++)
		r = sha512(ctx, md, key.data, key.data, key.len, NULL, 0);
	if (r == 0)
		r = ec_key_sig(ret_sig, &key);
	if (r < 0)
		return r;

	*ret_key = key;
	key = EC_SECRET_NULL;
	return 0;
}

/**
 * ec_key_sig() - what names a key
 * @ret_sig:	first bytes of its SHA-512
 * @key:	EC_S2K_KEY_LEN bytes
 *
 * Return: 0, -EINVAL for the length, -EIO.
 */
int ec_key_sig(uint8_t ret_sig[static EC_SIG_LEN], const struct ec_secret *key)
{
	uint8_t digest[EC_S2K_KEY_LEN];
	int r;

	if (key->len != EC_S2K_KEY_LEN)
		return -EINVAL;
	r = EVP_Q_digest(NULL, "SHA512", NULL, key->data, key->len, digest, NULL) == 1 ? 0 : -EIO;
	if (r == 0)
		memcpy(ret_sig, digest, EC_SIG_LEN);
	OPENSSL_cleanse(digest, sizeof(digest));
	return r;
}
