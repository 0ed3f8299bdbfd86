/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The slot of ecryptfs-utils: the wrapped-passphrase file. It wraps a mount passphrase, AES-128 in
 * ECB mode under the first 16 bytes of the string-to-key result; what tells a wrong login
 * passphrase is the signature of that result, nothing else.
 *
 * Source: ecryptfs-utils, libecryptfs/key_management.c.
 */
#include "format/ecfmt.h"
#include "helper/json-bytes.h"
#include "helper/slot.h"
#include "helper/wrap.h"
#include "lib/hex.h"
#include "lib/kdf.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#define BLOCK_LEN		16u
#define FILE_LEN_MAX		4096u
#define WRAPPED_V2_LEN_MAX	(2u + ECFMT_SALT_LEN + ECFMT_SIG_HEX_LEN + EC_S2K_PASSPHRASE_LEN_MAX)

/* The tools keep passphrases in C strings of 64 bytes. */
static bool is_legacy_passphrase(const struct ec_secret *secret)
{
	return secret->len && secret->len <= EC_S2K_PASSPHRASE_LEN_MAX &&
	       !memchr(secret->data, 0, secret->len);
}

static void cipher_ctx_freep(EVP_CIPHER_CTX **ctx)
{
	EVP_CIPHER_CTX_free(*ctx);	/* wipes the key schedule */
}

/* AES-128-ECB over whole blocks, in either direction. */
static int crypt_blocks(bool encrypt, const struct ec_secret *key, const uint8_t *in, size_t len,
			uint8_t *out)
{
	_cleanup_(cipher_ctx_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n;

	if (!ctx ||
	    EVP_CipherInit_ex2(ctx, EVP_aes_128_ecb(), key->data, NULL, encrypt, NULL) != 1 ||
	    EVP_CIPHER_CTX_set_padding(ctx, 0) != 1 ||
	    EVP_CipherUpdate(ctx, out, &n, in, (int)len) != 1 || (size_t)n != len)
		return -EIO;
	return 0;
}

/* Cuts the zero padding off; anything behind it, or nothing before it, is damage. */
static int strip_padding(struct ec_secret *passphrase)
{
	const uint8_t *end = memchr(passphrase->data, 0, passphrase->len);
	size_t len = end ? (size_t)(end - passphrase->data) : passphrase->len, i;

	if (!len || passphrase->len - len >= BLOCK_LEN)
		return -EBADMSG;
	for (i = len; i < passphrase->len; i++)
		if (passphrase->data[i])
			return -EBADMSG;
	ec_secret_truncate(passphrase, len);
	return 0;
}

/* Version 1 has no salt in the file: it was in ~/.ecryptfsrc, or the one that all had. */
static int choose_salt(const json_t *slot, const struct ecfmt_wrapped *wrapped,
		       uint8_t ret[static EC_S2K_SALT_LEN])
{
	const json_t *v1_salt = json_object_get(slot, "v1_salt");

	if (wrapped->version != 1)
		memcpy(ret, wrapped->salt, EC_S2K_SALT_LEN);
	else if (!v1_salt || json_is_null(v1_salt))
		memcpy(ret, ec_s2k_salt_content, EC_S2K_SALT_LEN);
	else if (!json_is_string(v1_salt) ||
		 ec_hex_decode(ret, EC_S2K_SALT_LEN, json_string_value(v1_salt),
			       json_string_length(v1_salt)) < 0)
		return -EBADMSG;
	return 0;
}

static int parse_file(const json_t *slot, uint8_t **ret_bytes, struct ecfmt_wrapped *ret,
		      struct ecd_reason *reason)
{
	const char *text = json_string_value(json_object_get(slot, "wrapped"));
	_cleanup_free_ uint8_t *bytes = NULL;
	size_t len;
	int r;

	if (!text)
		return -EBADMSG;
	r = ec_base64_decode(text, &bytes, &len);
	if (r < 0)
		return r == -EINVAL ? -EBADMSG : r;
	r = len <= FILE_LEN_MAX ? ecfmt_wrapped_get(bytes, len, ret) : -EBADMSG;
	if (r == -EOPNOTSUPP)
		return ecd_fail(reason, r, "the file wrapped-passphrase has an unknown version");
	if (r < 0)
		return ecd_fail(reason, r, "the file wrapped-passphrase is damaged");
	*ret_bytes = ec_take_ptr(bytes);
	return 0;
}

static int legacy_open(const char *uuid, const json_t *slot, const struct ec_secret *secret,
		       struct ec_secret *ret_key, struct ecd_reason *reason)
{
	_cleanup_secret_ struct ec_secret wrapping_key = EC_SECRET_NULL;
	_cleanup_secret_ struct ec_secret passphrase = EC_SECRET_NULL;
	_cleanup_free_ uint8_t *bytes = NULL;
	uint8_t salt[EC_S2K_SALT_LEN], sig[EC_SIG_LEN];
	struct ecfmt_wrapped wrapped;
	int r;

	r = parse_file(slot, &bytes, &wrapped, reason);
	if (r < 0)
		return r;
	r = choose_salt(slot, &wrapped, salt);
	if (r < 0)
		return ecd_fail(reason, r, "the salt in .ecryptfsrc is not 16 hexadecimal digits");
	if (!is_legacy_passphrase(secret))
		return -EKEYREJECTED;
	r = ec_s2k(&wrapping_key, sig, secret, salt);
	if (r < 0)
		return r;
	if (CRYPTO_memcmp(sig, wrapped.sig, EC_SIG_LEN) != 0)
		return -EKEYREJECTED;

	r = ec_secret_init(&passphrase, wrapped.ciphertext_len);
	if (r < 0)
		return r;
	r = crypt_blocks(false, &wrapping_key, wrapped.ciphertext, wrapped.ciphertext_len,
			 passphrase.data);
	if (r == 0)
		r = strip_padding(&passphrase);
	if (r == -EBADMSG)
		return ecd_fail(reason, r, "the secret is right, but the file wrapped-passphrase "
				"is damaged");
	if (r < 0)
		return r;
	ec_secret_move(ret_key, &passphrase);
	return 0;
}

/* Encrypts the zero-padded passphrase and lays the file out. */
static int wrap_passphrase(const struct ec_secret *wrapping_key, const struct ec_secret *key,
			   struct ecfmt_wrapped *wrapped, uint8_t *file, size_t *file_len)
{
	_cleanup_secret_ struct ec_secret padded = EC_SECRET_NULL;
	uint8_t ciphertext[EC_S2K_PASSPHRASE_LEN_MAX];
	struct ecfmt_writer writer;
	int r;

	r = ec_secret_init(&padded, (key->len + BLOCK_LEN - 1) / BLOCK_LEN * BLOCK_LEN);
	if (r < 0)
		return r;
	memcpy(padded.data, key->data, key->len);
	r = crypt_blocks(true, wrapping_key, padded.data, padded.len, ciphertext);
	if (r < 0)
		return r;
	wrapped->ciphertext = ciphertext;
	wrapped->ciphertext_len = padded.len;
	ecfmt_writer_init(&writer, file, *file_len);
	ecfmt_wrapped_put(&writer, wrapped);
	wrapped->ciphertext = NULL;
	return ecfmt_writer_finish(&writer, file_len);
}

static int legacy_make(const char *uuid, json_t *slot, const struct ec_secret *secret,
		       const struct ec_secret *key, unsigned int target_ms,
		       struct ecd_reason *reason)
{
	_cleanup_secret_ struct ec_secret wrapping_key = EC_SECRET_NULL;
	struct ecfmt_wrapped wrapped = { .version = 2 };
	uint8_t file[WRAPPED_V2_LEN_MAX];
	size_t file_len = sizeof(file);
	int r;

	if (!is_legacy_passphrase(secret))
		return ecd_fail(reason, -EINVAL, "a passphrase for a home of ecryptfs-utils has "
				"1 to %u bytes", EC_S2K_PASSPHRASE_LEN_MAX);
	if (!is_legacy_passphrase(key))
		return -EINVAL;
	r = ecd_random(wrapped.salt, sizeof(wrapped.salt));
	if (r < 0)
		return r;
	r = ec_s2k(&wrapping_key, wrapped.sig, secret, wrapped.salt);
	if (r < 0)
		return r;
	r = wrap_passphrase(&wrapping_key, key, &wrapped, file, &file_len);
	if (r < 0)
		return r;
	return ecd_json_set_bytes(slot, "wrapped", file, file_len);
}

int ecd_slot_legacy_version(const json_t *slot)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	struct ecd_reason ignored;
	struct ecfmt_wrapped wrapped;
	int r;

	r = parse_file(slot, &bytes, &wrapped, &ignored);
	return r < 0 ? r : wrapped.version;
}

const struct ecd_slot_type ecd_slot_legacy = {
	.name = "legacy",
	.open = legacy_open,
	.make = legacy_make,
};
