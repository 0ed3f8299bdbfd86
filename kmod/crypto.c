// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ciphers and the one hash of format 3, through the kernel's crypto API. Every call waits with
 * crypto_wait_req(), so asynchronous drivers are fine.
 */
#include "kmod/ecfs.h"

#include <crypto/hash.h>
#include <crypto/skcipher.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

int ecfs_md5(struct ecfs_sb *sbi, const u8 *buf, size_t len, u8 ret[ECFMT_MD5_LEN])
{
	SHASH_DESC_ON_STACK(desc, sbi->md5);
	int err;

	desc->tfm = sbi->md5;
	err = crypto_shash_digest(desc, buf, len, ret);
	shash_desc_zero(desc);
	return err;
}

/**
 * ecfs_tfm_new() - cipher handle with its key set
 * @mode:	"ecb" or "cbc"
 * @cipher:	row of the table
 * @key:	@key_len bytes
 * @key_len:	bytes, one that the cipher takes
 *
 * Return: handle, or ERR_PTR: -ENOPKG if the kernel has no such cipher, -EINVAL for a weak key.
 */
struct crypto_skcipher *ecfs_tfm_new(const char *mode, const struct ecfmt_cipher *cipher,
				     const u8 *key, size_t key_len)
{
	char name[CRYPTO_MAX_ALG_NAME];
	struct crypto_skcipher *tfm;
	int err;

	snprintf(name, sizeof(name), "%s(%s)", mode, cipher->name);
	tfm = crypto_alloc_skcipher(name, 0, 0);
	if (IS_ERR(tfm)) {
		err = PTR_ERR(tfm);
		if (err == -ENOENT) {
			pr_warn_ratelimited("the kernel has no cipher %s\n", name);
			err = -ENOPKG;
		}
		return ERR_PTR(err);
	}
	crypto_skcipher_set_flags(tfm, CRYPTO_TFM_REQ_FORBID_WEAK_KEYS);
	err = crypto_skcipher_setkey(tfm, key, key_len);
	if (err) {
		crypto_free_skcipher(tfm);
		return ERR_PTR(err);
	}
	return tfm;
}

/**
 * ecfs_ecb_tfm() - encrypt or decrypt in place
 * @tfm:	ecb handle, key set
 * @buf:	@len bytes from kmalloc(), whole blocks
 * @len:	bytes
 * @encrypt:	or else decrypt
 */
int ecfs_ecb_tfm(struct crypto_skcipher *tfm, u8 *buf, size_t len, bool encrypt)
{
	DECLARE_CRYPTO_WAIT(wait);
	struct skcipher_request *req;
	struct scatterlist sg;
	int err;

	req = skcipher_request_alloc(tfm, GFP_NOFS);
	if (!req)
		return -ENOMEM;
	sg_init_one(&sg, buf, len);
	skcipher_request_set_callback(req, CRYPTO_TFM_REQ_MAY_BACKLOG | CRYPTO_TFM_REQ_MAY_SLEEP,
				      crypto_req_done, &wait);
	skcipher_request_set_crypt(req, &sg, &sg, len, NULL);
	err = crypto_wait_req(encrypt ? crypto_skcipher_encrypt(req) :
					crypto_skcipher_decrypt(req), &wait);
	skcipher_request_free(req);
	return err;
}

int ecfs_ecb(const struct ecfmt_cipher *cipher, const u8 *key, size_t key_len,
	     u8 *buf, size_t len, bool encrypt)
{
	struct crypto_skcipher *tfm = ecfs_tfm_new("ecb", cipher, key, key_len);
	int err;

	if (IS_ERR(tfm))
		return PTR_ERR(tfm);
	err = ecfs_ecb_tfm(tfm, buf, len, encrypt);
	crypto_free_skcipher(tfm);
	return err;
}

/**
 * ecfs_fek_new() - make a file's key ready for use
 * @sbi:	for its MD5 handle
 * @cipher:	row of the table
 * @key:	the file key, @key_len bytes; the caller wipes it
 * @key_len:	bytes
 *
 * Source: docs/format.md, content; root IV = MD5 of the key.
 * Return: key state for ecfs_fek_free(), or ERR_PTR.
 */
struct ecfs_fek *ecfs_fek_new(struct ecfs_sb *sbi, const struct ecfmt_cipher *cipher,
			      const u8 *key, size_t key_len)
{
	struct ecfs_fek *fek = kzalloc(sizeof(*fek), GFP_NOFS);
	int err;

	if (!fek)
		return ERR_PTR(-ENOMEM);
	err = ecfs_md5(sbi, key, key_len, fek->root_iv);
	if (err)
		goto err_free;
	fek->tfm = ecfs_tfm_new("cbc", cipher, key, key_len);
	if (IS_ERR(fek->tfm)) {
		err = PTR_ERR(fek->tfm);
		goto err_free;
	}
	return fek;

err_free:
	kfree_sensitive(fek);
	return ERR_PTR(err);
}

void ecfs_fek_free(struct ecfs_fek *fek)
{
	if (!fek)
		return;
	crypto_free_skcipher(fek->tfm);	/* wipes the key schedule */
	kfree_sensitive(fek);
}

/**
 * ecfs_crypt_extent() - one extent of a file
 * @sbi:	for its MD5 handle
 * @fek:	key of the file
 * @req:	request of @fek's handle; any state
 * @index:	number of the extent in the upper file
 * @src:	page with the extent
 * @dst:	page for the result, may be @src
 * @offset:	bytes into both pages, a multiple of 4096
 * @encrypt:	or else decrypt
 */
int ecfs_crypt_extent(struct ecfs_sb *sbi, struct ecfs_fek *fek, struct skcipher_request *req,
		      u64 index, struct page *src, struct page *dst, unsigned int offset,
		      bool encrypt)
{
	DECLARE_CRYPTO_WAIT(wait);
	struct scatterlist in, out;
	u8 input[32], iv[ECFMT_IV_LEN];
	int err;

	ecfmt_extent_iv_input(input, fek->root_iv, index);
	err = ecfs_md5(sbi, input, sizeof(input), iv);
	if (err)
		goto out;
	sg_init_table(&in, 1);
	sg_set_page(&in, src, ECFMT_EXTENT_LEN, offset);
	sg_init_table(&out, 1);
	sg_set_page(&out, dst, ECFMT_EXTENT_LEN, offset);
	skcipher_request_set_callback(req, CRYPTO_TFM_REQ_MAY_BACKLOG | CRYPTO_TFM_REQ_MAY_SLEEP,
				      crypto_req_done, &wait);
	skcipher_request_set_crypt(req, &in, src == dst ? &in : &out, ECFMT_EXTENT_LEN, iv);
	err = crypto_wait_req(encrypt ? crypto_skcipher_encrypt(req) :
					crypto_skcipher_decrypt(req), &wait);
out:
	memzero_explicit(input, sizeof(input));
	memzero_explicit(iv, sizeof(iv));
	return err;
}
