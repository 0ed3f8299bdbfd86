// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keys by signature: those that the superblock holds, and those in a caller's keyrings.
 */
#include "kmod/ecfs.h"

#include <crypto/hash.h>
#include <crypto/sha2.h>
#include <keys/encrypted-type.h>
#include <keys/user-type.h>
#include <linux/key.h>
#include <linux/slab.h>

/**
 * ecfs_key_add() - copy a key into a list
 * @keys:	list of struct ecfs_key; the caller's lock guards it
 * @sig:	8 bytes
 * @salt:	8 bytes, goes into headers, informational
 * @key:	64 bytes, copied; the caller wipes its own
 *
 * Return: 0, -EEXIST if the signature is there already, -ENOMEM.
 */
int ecfs_key_add(struct list_head *keys, const u8 sig[ECFMT_SIG_LEN],
		 const u8 salt[ECFMT_SALT_LEN], const u8 key[ECFMT_KEY_LEN])
{
	struct ecfs_key *new;

	if (ecfs_key_find(keys, sig))
		return -EEXIST;
	new = kzalloc(sizeof(*new), GFP_KERNEL);
	if (!new)
		return -ENOMEM;
	memcpy(new->sig, sig, ECFMT_SIG_LEN);
	memcpy(new->salt, salt, ECFMT_SALT_LEN);
	memcpy(new->key, key, ECFMT_KEY_LEN);
	list_add_tail(&new->list, keys);
	return 0;
}

const struct ecfs_key *ecfs_key_find(const struct list_head *keys, const u8 sig[ECFMT_SIG_LEN])
{
	const struct ecfs_key *key;

	list_for_each_entry(key, keys, list)
		if (!memcmp(key->sig, sig, ECFMT_SIG_LEN))
			return key;
	return NULL;
}

void ecfs_keys_free(struct list_head *keys)
{
	struct ecfs_key *key, *next;

	list_for_each_entry_safe(key, next, keys, list) {
		list_del(&key->list);
		kfree_sensitive(key);
	}
}

/* Borrowed under key->sem. NULL if the key was revoked meanwhile. */
static const u8 *payload_get(const struct key *key, size_t *ret_len)
{
	const struct user_key_payload *user;

#if IS_REACHABLE(CONFIG_ENCRYPTED_KEYS)
	if (key->type == &key_type_encrypted) {
		const struct encrypted_key_payload *enc = key->payload.data[0];

		if (!enc)
			return NULL;
		*ret_len = enc->payload_datalen;
		return enc->payload_data;
	}
#endif
	user = user_key_payload_locked(key);
	if (!user)
		return NULL;
	*ret_len = user->datalen;
	return user->data;
}

static struct key *request_by_sig(const char *sig_hex)
{
	struct key *key = request_key(&key_type_user, sig_hex, NULL);

#if IS_REACHABLE(CONFIG_ENCRYPTED_KEYS)
	if (IS_ERR(key))
		key = request_key(&key_type_encrypted, sig_hex, NULL);
#endif
	return key;
}

/*
 * Anybody can put any key under any signature, and content would be encrypted with it. Type
 * "encrypted" has a name for a signature, of which nothing follows.
 */
static int check_sig(const struct ecfmt_auth_tok *tok)
{
	u8 digest[SHA512_DIGEST_SIZE];
	struct crypto_shash *tfm = crypto_alloc_shash("sha512", 0, 0);
	int err;

	if (IS_ERR(tfm))
		return PTR_ERR(tfm) == -ENOENT ? -ENOPKG : PTR_ERR(tfm);
	err = crypto_shash_tfm_digest(tfm, tok->key, ECFMT_KEY_LEN, digest);
	if (!err && memcmp(digest, tok->sig, ECFMT_SIG_LEN))
		err = -EBADMSG;
	memzero_explicit(digest, sizeof(digest));
	crypto_free_shash(tfm);
	return err;
}

/**
 * ecfs_key_lookup() - find a passphrase token in the caller's keyrings
 * @sig:	8 bytes
 * @ret:	copy of the token; secret, the caller wipes it, also after an error
 *
 * Types "user" and "encrypted", in this order, described by the hexadecimal signature.
 *
 * Source: Linux fs/ecryptfs/keystore.c, ecryptfs_keyring_auth_tok_for_sig().
 * Return: 0, -ENOKEY, -EKEYEXPIRED, -EKEYREVOKED, -EBADMSG if the payload is no such token or its
 * key has another signature, -ENOPKG if the kernel has no SHA-512.
 */
int ecfs_key_lookup(const u8 sig[ECFMT_SIG_LEN], struct ecfmt_auth_tok *ret)
{
	char hex[ECFMT_SIG_HEX_LEN + 1];
	const u8 *payload;
	struct key *key;
	size_t len;
	int err;

	ecfmt_sig_to_hex(hex, sig);
	key = request_by_sig(hex);
	if (IS_ERR(key))
		return PTR_ERR(key);

	down_read(&key->sem);
	err = key_validate(key);
	if (err)
		goto out;
	payload = payload_get(key, &len);
	if (!payload) {
		err = -EKEYREVOKED;
		goto out;
	}
	err = ecfmt_auth_tok_get(payload, len, ret);
	if (!err && memcmp(ret->sig, sig, ECFMT_SIG_LEN))
		err = -EBADMSG;
out:
	up_read(&key->sem);
	if (!err && key->type == &key_type_user)
		err = check_sig(ret);
	key_put(key);
	return err;
}
