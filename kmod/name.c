// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names and symlink targets: plain above, encrypted below when the mount has a names key.
 */
#include "kmod/ecfs.h"

#include <crypto/skcipher.h>
#include <linux/slab.h>

/**
 * ecfs_names_setup() - derive what encrypting names needs
 * @sbi:	options parsed, MD5 handle there
 * @key:	the names key; borrowed
 *
 * The prefix that pads a name is the same for every name of a key, so it is made once.
 * Source: docs/format.md, names; Linux fs/ecryptfs/keystore.c, ecryptfs_write_tag_70_packet().
 */
int ecfs_names_setup(struct ecfs_sb *sbi, const struct ecfs_key *key)
{
	struct crypto_skcipher *tfm;
	u8 digest[ECFMT_MD5_LEN], next[ECFMT_MD5_LEN];
	size_t pos;
	int err;

	err = ecfs_md5(sbi, key->key, ECFMT_KEY_LEN, digest);
	for (pos = 0; !err && pos < ECFS_NAMES_PREFIX_LEN; pos += ECFMT_MD5_LEN) {
		ecfmt_name_prefix_block(sbi->names_prefix + pos, ECFMT_MD5_LEN, digest);
		err = ecfs_md5(sbi, digest, sizeof(digest), next);
		memcpy(digest, next, sizeof(digest));
	}
	memzero_explicit(digest, sizeof(digest));
	memzero_explicit(next, sizeof(next));
	if (err)
		return err;

	tfm = ecfs_tfm_new("ecb", sbi->opts.fn_cipher, key->key, sbi->opts.fn_key_len);
	if (IS_ERR(tfm))
		return PTR_ERR(tfm);
	sbi->names_tfm = tfm;
	return 0;
}

static int copy_plain(const char *name, size_t len, char **ret_name, size_t *ret_len)
{
	char *copy = kmemdup_nul(name, len, GFP_KERNEL);

	if (!copy)
		return -ENOMEM;
	*ret_name = copy;
	*ret_len = len;
	return 0;
}

static bool names_plain(const struct ecfs_sb *sbi)
{
	return !(sbi->opts.flags & ECFS_OPT_FN_SIG) ||
	       (sbi->opts.flags & ECFS_OPT_ENCRYPTED_VIEW);
}

/* @padded: prefix and name, @len bytes from kmalloc(); encrypted in place. */
static int pad_and_encrypt(struct ecfs_sb *sbi, u8 *padded, size_t len, size_t prefix_len,
			   const char *name)
{
	int err;

	down_read(&sbi->key_sem);
	if (!sbi->names_tfm) {
		err = -ENOKEY;
		goto out;
	}
	memcpy(padded, sbi->names_prefix, prefix_len - 1);
	padded[prefix_len - 1] = 0;
	memcpy(padded + prefix_len, name, len - prefix_len);
	err = ecfs_ecb_tfm(sbi->names_tfm, padded, len, true);
out:
	up_read(&sbi->key_sem);
	return err;
}

/* Puts the packet for @padded into text form behind the prefix of an encrypted name. */
static int write_text(struct ecfs_sb *sbi, const u8 *padded, size_t padded_len,
		      char **ret_name, size_t *ret_len)
{
	struct ecfmt_name_packet packet = {
		.cipher = sbi->opts.fn_cipher, .ciphertext = padded, .ciphertext_len = padded_len,
	};
	size_t raw_max = padded_len + ECFMT_SIG_LEN + 4, raw_len, text_len;
	struct ecfmt_writer cur;
	char *text = NULL;
	u8 *raw;
	int err;

	raw = kmalloc(raw_max, GFP_KERNEL);
	if (!raw)
		return -ENOMEM;
	memcpy(packet.sig, sbi->opts.fn_sig, ECFMT_SIG_LEN);
	ecfmt_writer_init(&cur, raw, raw_max);
	ecfmt_name_packet_put(&cur, &packet);
	err = ecfmt_writer_finish(&cur, &raw_len);
	if (err) {
		err = -ENAMETOOLONG;	/* longer than a packet can be */
		goto out;
	}
	text_len = ecfmt_sixbit_encoded_len(raw_len);
	text = kmalloc(ECFMT_NAME_PREFIX_LEN + text_len + 1, GFP_KERNEL);
	if (!text) {
		err = -ENOMEM;
		goto out;
	}
	memcpy(text, ECFMT_NAME_PREFIX, ECFMT_NAME_PREFIX_LEN);
	err = ecfmt_sixbit_encode(text + ECFMT_NAME_PREFIX_LEN, text_len, raw, raw_len);
	if (err)
		goto out;
	text[ECFMT_NAME_PREFIX_LEN + text_len] = 0;
	*ret_name = text;
	*ret_len = ECFMT_NAME_PREFIX_LEN + text_len;
	text = NULL;
out:
	kfree(text);
	kfree(raw);
	return err;
}

/**
 * ecfs_name_encode() - the lower form of a name or symlink target
 * @sbi:	ours
 * @name:	@len bytes, 1 or more
 * @len:	bytes
 * @ret_name:	NUL-terminated, for kfree()
 * @ret_len:	bytes without the NUL
 *
 * Return: 0, -ENAMETOOLONG, -ENOKEY once locked, -ENOMEM.
 */
int ecfs_name_encode(struct ecfs_sb *sbi, const char *name, size_t len,
		     char **ret_name, size_t *ret_len)
{
	size_t prefix_len, padded_len;
	u8 *padded;
	int err;

	if (names_plain(sbi))
		return copy_plain(name, len, ret_name, ret_len);
	prefix_len = ecfmt_name_prefix_len(len, sbi->opts.fn_cipher->block_len);
	padded_len = prefix_len + len;
	if (prefix_len > ECFS_NAMES_PREFIX_LEN || padded_len > ECFMT_PACKET_LEN_MAX)
		return -ENAMETOOLONG;
	padded = kmalloc(padded_len, GFP_KERNEL);
	if (!padded)
		return -ENOMEM;
	err = pad_and_encrypt(sbi, padded, padded_len, prefix_len, name);
	if (!err)
		err = write_text(sbi, padded, padded_len, ret_name, ret_len);
	kfree(padded);
	return err;
}

/* Another key length gives noise, in which a name may seem to be. */
static bool prefix_ok(const struct ecfs_sb *sbi, const u8 *plain, size_t prefix_len)
{
	return prefix_len && prefix_len <= ECFS_NAMES_PREFIX_LEN &&
	       !memcmp(plain, sbi->names_prefix, prefix_len - 1);
}

static int decrypt_packet(struct ecfs_sb *sbi, const struct ecfmt_name_packet *packet,
			  bool component, char **ret_name, size_t *ret_len)
{
	const char *name;
	size_t len;
	u8 *plain;
	int err;

	/* Another key or cipher: lookup could never find it, so it is not listed either. */
	if (memcmp(packet->sig, sbi->opts.fn_sig, ECFMT_SIG_LEN) ||
	    packet->cipher->code != sbi->opts.fn_cipher->code)
		return -EBADMSG;
	plain = kmemdup(packet->ciphertext, packet->ciphertext_len, GFP_KERNEL);
	if (!plain)
		return -ENOMEM;
	down_read(&sbi->key_sem);
	err = sbi->names_tfm ? ecfs_ecb_tfm(sbi->names_tfm, plain, packet->ciphertext_len, false) :
			       -ENOKEY;
	if (!err)
		err = ecfmt_name_plain_get(plain, packet->ciphertext_len, component, &name, &len);
	if (!err && !prefix_ok(sbi, plain, (const u8 *)name - plain))
		err = -EBADMSG;
	up_read(&sbi->key_sem);
	if (!err)
		err = copy_plain(name, len, ret_name, ret_len);
	kfree_sensitive(plain);
	return err;
}

/**
 * ecfs_name_decode() - the upper form of a lower name or symlink target
 * @sbi:	ours
 * @lower:	@lower_len bytes
 * @lower_len:	bytes
 * @component:	a file name, which holds no '/'
 * @ret_name:	NUL-terminated, for kfree()
 * @ret_len:	bytes without the NUL
 *
 * Return: 0, -EBADMSG if this mount could not have written it, -ENOKEY once locked, -ENOMEM.
 */
int ecfs_name_decode(struct ecfs_sb *sbi, const char *lower, size_t lower_len, bool component,
		     char **ret_name, size_t *ret_len)
{
	struct ecfmt_name_packet packet;
	struct ecfmt_reader cur;
	size_t raw_len;
	u8 *raw;
	int err;

	if (names_plain(sbi))
		return copy_plain(lower, lower_len, ret_name, ret_len);
	if (!ecfmt_name_is_encrypted(lower, lower_len))
		return -EBADMSG;
	lower += ECFMT_NAME_PREFIX_LEN;
	lower_len -= ECFMT_NAME_PREFIX_LEN;
	raw_len = ecfmt_sixbit_decoded_len(lower_len);
	if (!raw_len)
		return -EBADMSG;
	raw = kmalloc(raw_len, GFP_KERNEL);
	if (!raw)
		return -ENOMEM;
	err = ecfmt_sixbit_decode(raw, raw_len, lower, lower_len);
	if (err)
		goto out;
	ecfmt_reader_init(&cur, raw, raw_len);
	err = ecfmt_name_packet_get(&cur, &packet);
	if (err) {
		err = -EBADMSG;
		goto out;
	}
	err = decrypt_packet(sbi, &packet, component, ret_name, ret_len);
out:
	kfree(raw);
	return err;
}
