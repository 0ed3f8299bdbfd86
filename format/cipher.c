// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ciphers of format 3, one row for each code. Content keys and name keys have different
 * bounds: a content key is itself encrypted in whole blocks, so its length is a multiple of the
 * block, while a name key is only ever used, so every length that the cipher takes was possible.
 */
#include "format/ecfmt.h"

/* Key lengths in bytes: fixed by the code; of content {min, max, step}; of names {the same}. */
static const struct ecfmt_cipher ciphers[] = {
	{ "aes",	0x07, 16, 16,	16, 16, 16,	16, 16, 16 },
	{ "aes",	0x08, 16, 24,	24, 24, 8,	24, 24, 8 },
	{ "aes",	0x09, 16, 32,	32, 32, 16,	32, 32, 16 },
	{ "blowfish",	0x04, 8, 0,	8, 56, 8,	4, 56, 1 },
	{ "des3_ede",	0x02, 8, 24,	24, 24, 8,	24, 24, 8 },
	{ "twofish",	0x0a, 16, 0,	16, 32, 16,	16, 32, 8 },
	{ "cast6",	0x0b, 16, 0,	16, 32, 16,	16, 32, 4 },
	{ "cast5",	0x03, 8, 0,	8, 16, 8,	5, 16, 1 },
};

/**
 * ecfmt_cipher_row() - walk over all ciphers
 * @i:		0, 1, ...
 *
 * Return: a row, static; NULL behind the last.
 */
const struct ecfmt_cipher *ecfmt_cipher_row(size_t i)
{
	return i < ECFMT_ARRAY_LEN(ciphers) ? &ciphers[i] : NULL;
}

/**
 * ecfmt_cipher_by_name() - find the row of a mount's cipher
 * @name:	as in mount options, NUL-terminated
 * @key_len:	bytes of key; tells the rows apart that differ in it (aes)
 *
 * Other key lengths than those of a code are not checked here: see ecfmt_cipher_key_len_ok().
 *
 * Source: Linux fs/ecryptfs/crypto.c, ecryptfs_code_for_cipher_string().
 * Return: a row, static; NULL if there is no code for the two.
 */
const struct ecfmt_cipher *ecfmt_cipher_by_name(const char *name, size_t key_len)
{
	size_t i;

	for (i = 0; i < ECFMT_ARRAY_LEN(ciphers); i++) {
		if (strcmp(ciphers[i].name, name))
			continue;
		if (!ciphers[i].key_len || ciphers[i].key_len == key_len)
			return &ciphers[i];
	}
	return NULL;
}

/**
 * ecfmt_cipher_by_code() - find the row of a code on disk
 * @code:	byte of tag 3 and tag 70
 *
 * Return: a row, static; NULL if nobody wrote such a code.
 */
const struct ecfmt_cipher *ecfmt_cipher_by_code(u8 code)
{
	size_t i;

	for (i = 0; i < ECFMT_ARRAY_LEN(ciphers); i++)
		if (ciphers[i].code == code)
			return &ciphers[i];
	return NULL;
}

static bool len_in(size_t len, u8 min, u8 max, u8 step)
{
	return len >= min && len <= max && (len - min) % step == 0;
}

/**
 * ecfmt_cipher_key_len_ok() - can a file's content have such a key
 * @cipher:	row
 * @key_len:	bytes
 *
 * Return: whether the in-tree filesystem can write and read files with it.
 */
bool ecfmt_cipher_key_len_ok(const struct ecfmt_cipher *cipher, size_t key_len)
{
	return len_in(key_len, cipher->key_len_min, cipher->key_len_max, cipher->key_len_step);
}

/**
 * ecfmt_cipher_name_key_len_ok() - can names be encrypted with such a key
 * @cipher:	row
 * @key_len:	bytes
 *
 * Source: the kernel's key lengths of these ciphers, as names only need setkey() to work.
 * Return: whether the in-tree filesystem can use it for names.
 */
bool ecfmt_cipher_name_key_len_ok(const struct ecfmt_cipher *cipher, size_t key_len)
{
	return len_in(key_len, cipher->name_key_len_min, cipher->name_key_len_max,
		      cipher->name_key_len_step);
}

/**
 * ecfmt_cipher_efek_len() - how long is a wrapped content key
 * @cipher:	row
 * @fek_len:	bytes of content key, one that ecfmt_cipher_key_len_ok() takes
 *
 * The content key is encrypted in whole blocks. Only a 24-byte AES key is not whole: it is
 * extended by 8 zero bytes.
 *
 * Source: Linux fs/ecryptfs/keystore.c, write_tag_3_packet().
 * Return: bytes.
 */
size_t ecfmt_cipher_efek_len(const struct ecfmt_cipher *cipher, size_t fek_len)
{
	size_t rest = fek_len % cipher->block_len;

	return rest ? fek_len + cipher->block_len - rest : fek_len;
}
