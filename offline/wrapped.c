// SPDX-License-Identifier: GPL-2.0-only
#include "offline/wrapped.h"

#include "format/ecfmt.h"
#include "offline/cipher.h"

#define WRAPPING_KEY_LEN 16u	/* the first bytes of the derived key; AES-128-ECB */

/* The passphrase is text, filled up with NULs; one that fills its blocks has none behind. */
static int decrypt(struct ec_secret *ret, const struct ecfmt_wrapped *wrapped,
		   const struct ec_secret *key)
{
	_cleanup_offline_cipher_ struct ec_offline_cipher *cipher = NULL;
	_cleanup_secret_ struct ec_secret text = EC_SECRET_NULL;
	size_t len;
	int r;

	r = ec_offline_cipher_new(&cipher, ecfmt_cipher_by_name("aes", WRAPPING_KEY_LEN),
				  EC_OFFLINE_ECB, key->data, WRAPPING_KEY_LEN);
	if (r)
		return r;
	r = ec_secret_init_copy(&text, wrapped->ciphertext, wrapped->ciphertext_len);
	if (r)
		return r;
	r = ec_offline_cipher_decrypt(cipher, NULL, text.data, text.len);
	if (r)
		return r;
	len = strnlen((const char *)text.data, text.len);
	if (!len)
		return -EBADMSG;
	ec_secret_truncate(&text, len);
	*ret = EC_SECRET_NULL;
	ec_secret_move(ret, &text);
	return 0;
}

int ec_offline_unwrap(struct ec_secret *ret_passphrase, const uint8_t *buf, size_t len,
		      const struct ec_secret *wrapping, const uint8_t *v1_salt)
{
	_cleanup_secret_ struct ec_secret key = EC_SECRET_NULL;
	struct ecfmt_wrapped wrapped;
	uint8_t sig[EC_SIG_LEN];
	const uint8_t *salt;
	int r;

	r = ecfmt_wrapped_get(buf, len, &wrapped);
	if (r)
		return r;
	salt = wrapped.version == 2 ? wrapped.salt : v1_salt ? v1_salt : ec_s2k_salt_content;
	r = ec_s2k(&key, sig, wrapping, salt);
	if (r)
		return r;
	if (memcmp(sig, wrapped.sig, sizeof(sig)))
		return -EKEYREJECTED;
	return decrypt(ret_passphrase, &wrapped, &key);
}
