// SPDX-License-Identifier: GPL-2.0-only
/*
 * The payload of a keyring key, as ecryptfs-utils makes it and the in-tree filesystem takes it.
 * The only structure here in host byte order: it never leaves the machine. Only the fields that
 * mean something for a passphrase are read; all others are written as zero.
 * Facts: docs/format.md.
 */
#include "format/ecfmt.h"

#define VERSION			0x0004	/* major 0, minor 4 */
#define TYPE_PASSPHRASE		0
#define FLAG_KEY_SET		0x02u
#define HASH_SHA512		10

/* Offsets in bytes; 16-bit up to TYPE, then 32-bit. */
enum auth_tok_offset {
	AT_VERSION	= 0,
	AT_TYPE		= 2,
	AT_HASH		= 632,
	AT_KEY_LEN	= 640,
	AT_FLAGS	= 644,
	AT_KEY		= 648,	/* 64 bytes */
	AT_SIG		= 712,	/* 16 digits and a NUL */
	AT_SALT		= 729,	/* 8 bytes, then 3 of padding */
};

static_assert(AT_SALT + ECFMT_SALT_LEN + 3 == ECFMT_AUTH_TOK_LEN, "the whole structure");

static u16 get16(const u8 *buf, enum auth_tok_offset at)
{
	u16 value;

	memcpy(&value, buf + at, sizeof(value));
	return value;
}

static u32 get32(const u8 *buf, enum auth_tok_offset at)
{
	u32 value;

	memcpy(&value, buf + at, sizeof(value));
	return value;
}

/**
 * ecfmt_auth_tok_get() - read a passphrase token
 * @buf:	payload of the key; secret
 * @len:	bytes of @buf; more than 740 are ignored
 * @ret:	signature, salt and key; the caller wipes it. Untouched on failure
 *
 * The in-tree filesystem checks little of this and once used an uninitialised key where the flag
 * was missing. That the signature is the key's description is for the caller to check.
 *
 * Source: Linux include/linux/ecryptfs.h; ecryptfs-utils, src/include/ecryptfs.h.
 * Return: 0, -EBADMSG if too short, without a key of 64 bytes, or without a signature,
 * -EOPNOTSUPP for another version or type of token.
 */
int ecfmt_auth_tok_get(const u8 *buf, size_t len, struct ecfmt_auth_tok *ret)
{
	u8 sig[ECFMT_SIG_LEN];
	int r;

	if (len < ECFMT_AUTH_TOK_LEN)
		return -EBADMSG;
	if (get16(buf, AT_VERSION) != VERSION || get16(buf, AT_TYPE) != TYPE_PASSPHRASE)
		return -EOPNOTSUPP;
	if (get32(buf, AT_KEY_LEN) != ECFMT_KEY_LEN || !(get32(buf, AT_FLAGS) & FLAG_KEY_SET))
		return -EBADMSG;
	if (buf[AT_SIG + ECFMT_SIG_HEX_LEN] != '\0')
		return -EBADMSG;
	r = ecfmt_sig_from_hex(sig, (const char *)buf + AT_SIG, ECFMT_SIG_HEX_LEN);
	if (r)
		return r;
	memcpy(ret->sig, sig, sizeof(sig));
	memcpy(ret->salt, buf + AT_SALT, ECFMT_SALT_LEN);
	memcpy(ret->key, buf + AT_KEY, ECFMT_KEY_LEN);
	return 0;
}

static void put16(u8 *buf, enum auth_tok_offset at, u16 value)
{
	memcpy(buf + at, &value, sizeof(value));
}

static void put32(u8 *buf, enum auth_tok_offset at, u32 value)
{
	memcpy(buf + at, &value, sizeof(value));
}

/**
 * ecfmt_auth_tok_put() - write a passphrase token
 * @buf:	payload; secret afterwards. The first 740 bytes are written
 * @len:	bytes of @buf, at least 740
 * @tok:	signature, salt and key
 *
 * Return: 0, -ENOBUFS if @len is too small.
 */
int ecfmt_auth_tok_put(u8 *buf, size_t len, const struct ecfmt_auth_tok *tok)
{
	char hex[ECFMT_SIG_HEX_LEN + 1];

	if (len < ECFMT_AUTH_TOK_LEN)
		return -ENOBUFS;
	memset(buf, 0, ECFMT_AUTH_TOK_LEN);
	put16(buf, AT_VERSION, VERSION);
	put16(buf, AT_TYPE, TYPE_PASSPHRASE);
	put32(buf, AT_HASH, HASH_SHA512);
	put32(buf, AT_KEY_LEN, ECFMT_KEY_LEN);
	put32(buf, AT_FLAGS, FLAG_KEY_SET);
	memcpy(buf + AT_KEY, tok->key, ECFMT_KEY_LEN);
	ecfmt_sig_to_hex(hex, tok->sig);
	memcpy(buf + AT_SIG, hex, sizeof(hex));
	memcpy(buf + AT_SALT, tok->salt, ECFMT_SALT_LEN);
	return 0;
}
