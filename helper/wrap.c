/* SPDX-License-Identifier: GPL-2.0-only */
/* AES-256-GCM and key commitment of slots. */
#include "helper/wrap.h"

#include "helper/json-bytes.h"
#include "lib/kdf.h"
#include "lib/vault-document.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

#define WRAPPING_KEY_LEN	32u
#define COMMITMENT_LEN		32u
#define NONCE_LEN		12u
#define TAG_LEN			16u

#define INFO_WRAPPING_KEY	"ecryptfs slot wrapping key"
#define INFO_COMMITMENT		"ecryptfs slot key commitment"

struct wrapped {
	uint8_t nonce[NONCE_LEN];
	uint8_t ciphertext[EC_VAULT_KEY_LEN];
	uint8_t tag[TAG_LEN];
};

int ecd_random(void *ret, size_t len)
{
	/* Up to 256 bytes come whole, says getrandom(2). */
	return len <= 256 && getrandom(ret, len, 0) == (ssize_t)len ? 0 : -EIO;
}

/* What the wrapping is bound to: this vault, this slot, this way of deriving. */
static int associated_data(const char *uuid, const json_t *slot, char **ret_text)
{
	_cleanup_json_ json_t *bound = json_pack("{s:s, s:O, s:O, s:O}", "uuid", uuid,
						 "id", json_object_get(slot, "id"),
						 "type", json_object_get(slot, "type"),
						 "kdf", json_object_get(slot, "kdf"));

	/* Short of memory, jansson leaves members out without a word: format() reads again. */
	if (json_object_size(bound) != 4)
		return -ENOMEM;
	return ec_vault_document_format(bound, true, ret_text, NULL);
}

static int derive(const struct ec_secret *root, struct ec_secret *ret_wrapping_key,
		  struct ec_secret *ret_commitment)
{
	_cleanup_secret_ struct ec_secret commitment = EC_SECRET_NULL;
	int r;

	r = ec_hkdf_sha512(&commitment, COMMITMENT_LEN, root, NULL, 0, INFO_COMMITMENT);
	if (r < 0)
		return r;
	r = ec_hkdf_sha512(ret_wrapping_key, WRAPPING_KEY_LEN, root, NULL, 0, INFO_WRAPPING_KEY);
	if (r < 0)
		return r;
	ec_secret_move(ret_commitment, &commitment);
	return 0;
}

static void cipher_ctx_freep(EVP_CIPHER_CTX **ctx)
{
	EVP_CIPHER_CTX_free(*ctx);	/* wipes the key schedule */
}

static int gcm_seal(const struct ec_secret *wrapping_key, const char *aad,
		    const struct ec_secret *key, struct wrapped *wrapped)
{
	_cleanup_(cipher_ctx_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n;

	if (!ctx ||
	    EVP_EncryptInit_ex2(ctx, EVP_aes_256_gcm(), wrapping_key->data, wrapped->nonce,
				NULL) != 1 ||
	    EVP_EncryptUpdate(ctx, NULL, &n, (const uint8_t *)aad, (int)strlen(aad)) != 1 ||
	    EVP_EncryptUpdate(ctx, wrapped->ciphertext, &n, key->data, (int)key->len) != 1 ||
	    n != EC_VAULT_KEY_LEN ||
	    EVP_EncryptFinal_ex(ctx, wrapped->tag, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, wrapped->tag) != 1)
		return -EIO;
	return 0;
}

/* -EBADMSG if the tag does not fit. */
static int gcm_open(const struct ec_secret *wrapping_key, const char *aad,
		    struct wrapped *wrapped, struct ec_secret *key)
{
	_cleanup_(cipher_ctx_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t rest[TAG_LEN];
	int n;

	if (!ctx ||
	    EVP_DecryptInit_ex2(ctx, EVP_aes_256_gcm(), wrapping_key->data, wrapped->nonce,
				NULL) != 1 ||
	    EVP_DecryptUpdate(ctx, NULL, &n, (const uint8_t *)aad, (int)strlen(aad)) != 1 ||
	    EVP_DecryptUpdate(ctx, key->data, &n, wrapped->ciphertext, EC_VAULT_KEY_LEN) != 1 ||
	    n != EC_VAULT_KEY_LEN ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, wrapped->tag) != 1)
		return -EIO;
	return EVP_DecryptFinal_ex(ctx, rest, &n) == 1 ? 0 : -EBADMSG;
}

static int store(json_t *slot, const struct wrapped *wrapped, const struct ec_secret *commitment)
{
	_cleanup_json_ json_t *object = json_object();

	if (!object ||
	    ecd_json_set_bytes(object, "nonce", wrapped->nonce, NONCE_LEN) < 0 ||
	    ecd_json_set_bytes(object, "ciphertext", wrapped->ciphertext, EC_VAULT_KEY_LEN) < 0 ||
	    ecd_json_set_bytes(object, "tag", wrapped->tag, TAG_LEN) < 0 ||
	    json_object_set(slot, "wrapped", object) < 0 ||
	    ecd_json_set_bytes(slot, "commitment", commitment->data, COMMITMENT_LEN) < 0)
		return -ENOMEM;
	return 0;
}

static int load(const json_t *slot, struct wrapped *wrapped, uint8_t commitment[COMMITMENT_LEN])
{
	const json_t *object = json_object_get(slot, "wrapped");
	int r;

	if (json_object_size(object) != 3)
		return -EBADMSG;
	r = ecd_json_get_bytes(object, "nonce", wrapped->nonce, NONCE_LEN);
	if (r == 0)
		r = ecd_json_get_bytes(object, "ciphertext", wrapped->ciphertext,
				       EC_VAULT_KEY_LEN);
	if (r == 0)
		r = ecd_json_get_bytes(object, "tag", wrapped->tag, TAG_LEN);
	if (r == 0)
		r = ecd_json_get_bytes(slot, "commitment", commitment, COMMITMENT_LEN);
	return r;
}

int ecd_wrap_seal(const char *uuid, json_t *slot, const struct ec_secret *root,
		  const struct ec_secret *key)
{
	_cleanup_secret_ struct ec_secret wrapping_key = EC_SECRET_NULL;
	_cleanup_secret_ struct ec_secret commitment = EC_SECRET_NULL;
	_cleanup_free_ char *aad = NULL;
	struct wrapped wrapped;
	int r;

	if (key->len != EC_VAULT_KEY_LEN)
		return -EINVAL;
	r = associated_data(uuid, slot, &aad);
	if (r < 0)
		return r;
	r = derive(root, &wrapping_key, &commitment);
	if (r < 0)
		return r;
	r = ecd_random(wrapped.nonce, NONCE_LEN);
	if (r < 0)
		return r;
	r = gcm_seal(&wrapping_key, aad, key, &wrapped);
	if (r < 0)
		return r;
	return store(slot, &wrapped, &commitment);
}

int ecd_wrap_open(const char *uuid, const json_t *slot, const struct ec_secret *root,
		  struct ec_secret *ret_key, struct ecd_reason *reason)
{
	_cleanup_secret_ struct ec_secret wrapping_key = EC_SECRET_NULL;
	_cleanup_secret_ struct ec_secret commitment = EC_SECRET_NULL;
	_cleanup_secret_ struct ec_secret key = EC_SECRET_NULL;
	_cleanup_free_ char *aad = NULL;
	uint8_t stored_commitment[COMMITMENT_LEN];
	struct wrapped wrapped;
	int r;

	r = load(slot, &wrapped, stored_commitment);
	if (r < 0)
		return ecd_fail(reason, r, "the wrapped key of a slot is malformed");
	r = associated_data(uuid, slot, &aad);
	if (r < 0)
		return r;
	r = derive(root, &wrapping_key, &commitment);
	if (r < 0)
		return r;
	if (CRYPTO_memcmp(commitment.data, stored_commitment, COMMITMENT_LEN) != 0)
		return -EKEYREJECTED;

	r = ec_secret_init(&key, EC_VAULT_KEY_LEN);
	if (r < 0)
		return r;
	r = gcm_open(&wrapping_key, aad, &wrapped, &key);
	if (r == -EBADMSG)
		return ecd_fail(reason, r, "the secret is right, but the wrapped key of its slot "
				"is damaged or was altered");
	if (r < 0)
		return r;
	ec_secret_move(ret_key, &key);
	return 0;
}
