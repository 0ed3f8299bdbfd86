// SPDX-License-Identifier: GPL-2.0-only
#include "offline/content.h"

#include "offline/cipher.h"

struct ec_offline_content {
	struct ec_offline_cipher *cipher;
	struct ec_secret root_iv;
};

int ec_offline_content_new(struct ec_offline_content **ret, const struct ecfmt_cipher *cipher,
			   const struct ec_secret *fek)
{
	_cleanup_offline_content_ struct ec_offline_content *new = NULL;
	int r;

	if (!ecfmt_cipher_key_len_ok(cipher, fek->len))
		return -EINVAL;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	r = ec_secret_init(&new->root_iv, ECFMT_IV_LEN);
	if (r)
		return r;
	r = ec_offline_md5(new->root_iv.data, fek->data, fek->len);
	if (r)
		return r;
	r = ec_offline_cipher_new(&new->cipher, cipher, EC_OFFLINE_CBC, fek->data, fek->len);
	if (r)
		return r;
	*ret = ec_take_ptr(new);
	return 0;
}

void ec_offline_content_free(struct ec_offline_content *content)
{
	if (!content)
		return;
	ec_offline_cipher_free(content->cipher);
	ec_secret_done(&content->root_iv);
	free(content);
}

/* An IV alone opens nothing, but the root IV in the input is a hash of the key: wiped. */
static int extent_iv(const struct ec_offline_content *content, uint64_t index,
		     uint8_t ret[static ECFMT_IV_LEN])
{
	uint8_t input[32];
	int r;

	ecfmt_extent_iv_input(input, content->root_iv.data, index);
	r = ec_offline_md5(ret, input, sizeof(input));
	explicit_bzero(input, sizeof(input));
	return r;
}

int ec_offline_extent_encrypt(struct ec_offline_content *content, uint64_t index,
			      uint8_t buf[static ECFMT_EXTENT_LEN])
{
	uint8_t iv[ECFMT_IV_LEN];
	int r = extent_iv(content, index, iv);

	return r ? r : ec_offline_cipher_encrypt(content->cipher, iv, buf, ECFMT_EXTENT_LEN);
}

int ec_offline_extent_decrypt(struct ec_offline_content *content, uint64_t index,
			      uint8_t buf[static ECFMT_EXTENT_LEN])
{
	uint8_t iv[ECFMT_IV_LEN];
	int r = extent_iv(content, index, iv);

	return r ? r : ec_offline_cipher_decrypt(content->cipher, iv, buf, ECFMT_EXTENT_LEN);
}

/* The content key is encrypted by its own cipher, under as many bytes of the key as it has. */
static int wrapping_cipher(struct ec_offline_cipher **ret, const struct ecfmt_cipher *cipher,
			   const struct ec_secret *key, size_t fek_len)
{
	if (key->len != ECFMT_KEY_LEN)
		return -EINVAL;
	return ec_offline_cipher_new(ret, cipher, EC_OFFLINE_ECB, key->data, fek_len);
}

int ec_offline_fek_unwrap(struct ec_secret *ret_fek, const struct ecfmt_packet *packet,
			  const struct ec_secret *key)
{
	_cleanup_offline_cipher_ struct ec_offline_cipher *cipher = NULL;
	_cleanup_secret_ struct ec_secret fek = EC_SECRET_NULL;
	int r;

	if (packet->kind != ECFMT_PACKET_PASSPHRASE)
		return -EOPNOTSUPP;
	r = wrapping_cipher(&cipher, packet->cipher, key, packet->fek_len);
	if (r)
		return r;
	r = ec_secret_init_copy(&fek, packet->efek, packet->efek_len);
	if (r)
		return r;
	r = ec_offline_cipher_decrypt(cipher, NULL, fek.data, fek.len);
	if (r)
		return r;
	ec_secret_truncate(&fek, packet->fek_len);
	*ret_fek = EC_SECRET_NULL;
	ec_secret_move(ret_fek, &fek);
	return 0;
}

int ec_offline_fek_wrap(uint8_t *ret_efek, size_t efek_len, const struct ecfmt_cipher *cipher,
			const struct ec_secret *fek, const struct ec_secret *key)
{
	_cleanup_offline_cipher_ struct ec_offline_cipher *wrapping = NULL;
	_cleanup_secret_ struct ec_secret efek = EC_SECRET_NULL;
	int r;

	if (!ecfmt_cipher_key_len_ok(cipher, fek->len))
		return -EINVAL;
	if (efek_len != ecfmt_cipher_efek_len(cipher, fek->len))
		return -ENOBUFS;
	r = wrapping_cipher(&wrapping, cipher, key, fek->len);
	if (r)
		return r;
	r = ec_secret_init(&efek, efek_len);
	if (r)
		return r;
	memcpy(efek.data, fek->data, fek->len);
	r = ec_offline_cipher_encrypt(wrapping, NULL, efek.data, efek.len);
	if (r)
		return r;
	memcpy(ret_efek, efek.data, efek.len);
	return 0;
}
