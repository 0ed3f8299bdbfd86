// SPDX-License-Identifier: GPL-2.0-only
#include "offline/cipher.h"

#include <gcrypt.h>
#include <pthread.h>

#define SECURE_MEMORY_LEN 131072	/* key schedules; blowfish has the largest, 4 KiB */

struct ec_offline_cipher {
	gcry_cipher_hd_t handle;
	size_t block_len;
};

/* A row for each cipher and key length that libgcrypt has. What is missing here is told. */
static const struct {
	const char *name;
	size_t key_len;		/* bytes; 0: what the format takes */
	int algorithm;
} algorithms[] = {
	{ "aes", 16, GCRY_CIPHER_AES128 },
	{ "aes", 24, GCRY_CIPHER_AES192 },
	{ "aes", 32, GCRY_CIPHER_AES256 },
	{ "blowfish", 0, GCRY_CIPHER_BLOWFISH },
	{ "cast5", 16, GCRY_CIPHER_CAST5 },
	{ "des3_ede", 24, GCRY_CIPHER_3DES },
	{ "twofish", 16, GCRY_CIPHER_TWOFISH128 },
	{ "twofish", 32, GCRY_CIPHER_TWOFISH },
};

static void init_once(void)
{
	/* A program that uses libgcrypt for itself has done this already. */
	if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P))
		return;
	gcry_check_version(NULL);
	gcry_control(GCRYCTL_INIT_SECMEM, SECURE_MEMORY_LEN, 0);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
}

static void init_library(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, init_once);
}

static int find_algorithm(const char *name, size_t key_len)
{
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(algorithms); i++)
		if (!strcmp(algorithms[i].name, name) &&
		    (!algorithms[i].key_len || algorithms[i].key_len == key_len))
			return algorithms[i].algorithm;
	return GCRY_CIPHER_NONE;
}

static int to_errno(gcry_error_t error)
{
	switch (gcry_err_code(error)) {
	case GPG_ERR_NO_ERROR:
		return 0;
	case GPG_ERR_ENOMEM:
		return -ENOMEM;
	case GPG_ERR_INV_LENGTH:
		return -EINVAL;
	case GPG_ERR_CIPHER_ALGO:
	case GPG_ERR_INV_KEYLEN:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

/* Data under a weak key is still data: it must be readable. */
static int set_key(gcry_cipher_hd_t handle, const uint8_t *key, size_t key_len)
{
	gcry_error_t error;

	error = gcry_cipher_ctl(handle, GCRYCTL_SET_ALLOW_WEAK_KEY, NULL, 1);
	if (error)
		return to_errno(error);
	error = gcry_cipher_setkey(handle, key, key_len);
	return gcry_err_code(error) == GPG_ERR_WEAK_KEY ? 0 : to_errno(error);
}

int ec_offline_cipher_new(struct ec_offline_cipher **ret, const struct ecfmt_cipher *cipher,
			  enum ec_offline_mode mode, const uint8_t *key, size_t key_len)
{
	_cleanup_offline_cipher_ struct ec_offline_cipher *new = calloc(1, sizeof(*new));
	int algorithm, r;

	if (!new)
		return -ENOMEM;
	init_library();
	algorithm = find_algorithm(cipher->name, key_len);
	if (algorithm == GCRY_CIPHER_NONE)
		return -EOPNOTSUPP;
	new->block_len = cipher->block_len;
	r = to_errno(gcry_cipher_open(&new->handle, algorithm,
				      mode == EC_OFFLINE_CBC ? GCRY_CIPHER_MODE_CBC :
							       GCRY_CIPHER_MODE_ECB,
				      GCRY_CIPHER_SECURE));
	if (r)
		return r;
	r = set_key(new->handle, key, key_len);
	if (r)
		return r;
	*ret = ec_take_ptr(new);
	return 0;
}

void ec_offline_cipher_free(struct ec_offline_cipher *cipher)
{
	if (!cipher)
		return;
	gcry_cipher_close(cipher->handle);	/* wipes; copes with NULL */
	free(cipher);
}

static int set_iv(struct ec_offline_cipher *cipher, const uint8_t *iv)
{
	return iv ? to_errno(gcry_cipher_setiv(cipher->handle, iv, cipher->block_len)) : 0;
}

int ec_offline_cipher_encrypt(struct ec_offline_cipher *cipher, const uint8_t *iv, uint8_t *buf,
			      size_t len)
{
	int r = set_iv(cipher, iv);

	return r ? r : to_errno(gcry_cipher_encrypt(cipher->handle, buf, len, NULL, 0));
}

int ec_offline_cipher_decrypt(struct ec_offline_cipher *cipher, const uint8_t *iv, uint8_t *buf,
			      size_t len)
{
	int r = set_iv(cipher, iv);

	return r ? r : to_errno(gcry_cipher_decrypt(cipher->handle, buf, len, NULL, 0));
}

int ec_offline_md5(uint8_t ret[static ECFMT_MD5_LEN], const void *bytes, size_t len)
{
	gcry_md_hd_t md;
	int r;

	init_library();
	if (gcry_md_open(&md, GCRY_MD_MD5, GCRY_MD_FLAG_SECURE))
		return -ENOPKG;
	gcry_md_write(md, bytes, len);
	r = gcry_md_get_algo(md) == GCRY_MD_MD5 ? 0 : -ENOPKG;
	if (!r)
		memcpy(ret, gcry_md_read(md, GCRY_MD_MD5), ECFMT_MD5_LEN);
	gcry_md_close(md);
	return r;
}
