// SPDX-License-Identifier: GPL-2.0-only
#include "offline/name.h"

#include "offline/cipher.h"

/* The bytes in front of a plain name: a chain of MD5 over the whole key, then 0x00. */
static int make_prefix(uint8_t *ret, size_t len, const struct ec_secret *key)
{
	uint8_t digest[ECFMT_MD5_LEN];
	size_t done = 0;
	int r;

	r = ec_offline_md5(digest, key->data, key->len);
	while (!r && done < len - 1) {
		ecfmt_name_prefix_block(ret + done, len - 1 - done, digest);
		done += ECFMT_MD5_LEN;
		r = ec_offline_md5(digest, digest, sizeof(digest));
	}
	ret[len - 1] = 0;
	explicit_bzero(digest, sizeof(digest));
	return r;
}

/* Whether plain starts as every writer makes it start. Most prefixes are shorter than two blocks. */
static int check_prefix(const uint8_t *plain, size_t prefix_len, const struct ec_secret *key)
{
	uint8_t want[64];
	int r;

	if (prefix_len < 1 || prefix_len > sizeof(want))
		return -EBADMSG;
	r = make_prefix(want, prefix_len, key);
	if (r)
		return r;
	return memcmp(plain, want, prefix_len) ? -EBADMSG : 0;
}

/* Decrypts a copy with key_len bytes of key; plain is ciphertext_len bytes. */
static int decrypt_packet(uint8_t *plain, const struct ecfmt_name_packet *packet,
			  const struct ec_secret *key, size_t key_len)
{
	_cleanup_offline_cipher_ struct ec_offline_cipher *cipher = NULL;
	int r;

	r = ec_offline_cipher_new(&cipher, packet->cipher, EC_OFFLINE_ECB, key->data, key_len);
	if (r)
		return r;
	memcpy(plain, packet->ciphertext, packet->ciphertext_len);
	return ec_offline_cipher_decrypt(cipher, NULL, plain, packet->ciphertext_len);
}

static int try_key_len(char **ret, uint8_t *plain, const struct ecfmt_name_packet *packet,
		       const struct ec_secret *key, size_t key_len,
		       enum ec_offline_name_kind kind)
{
	const char *name;
	size_t len, prefix_len;
	int r;

	r = decrypt_packet(plain, packet, key, key_len);
	if (r)
		return r;
	r = ecfmt_name_plain_get(plain, packet->ciphertext_len, kind == EC_OFFLINE_COMPONENT,
				 &name, &len);
	if (r)
		return r;
	prefix_len = packet->ciphertext_len - len;
	if (prefix_len != ecfmt_name_prefix_len(len, packet->cipher->block_len))
		return -EBADMSG;
	r = check_prefix(plain, prefix_len, key);
	if (r)
		return r;
	*ret = strndup(name, len);
	return *ret ? 0 : -ENOMEM;
}

/* Longest key first: that is what mounts have. -EOPNOTSUPP only if no length could be tried. */
static int try_key_lens(char **ret, uint8_t *plain, const struct ecfmt_name_packet *packet,
			const struct ec_secret *key, enum ec_offline_name_kind kind)
{
	const struct ecfmt_cipher *cipher = packet->cipher;
	int result = -EOPNOTSUPP, r;

	for (size_t len = cipher->name_key_len_max; len >= cipher->name_key_len_min; len--) {
		if (!ecfmt_cipher_name_key_len_ok(cipher, len))
			continue;
		r = try_key_len(ret, plain, packet, key, len, kind);
		if (r != -EBADMSG && r != -EOPNOTSUPP)
			return r;
		if (r == -EBADMSG)
			result = r;
	}
	return result;
}

int ec_offline_name_decrypt(char **ret, const char *lower, const struct ec_offline_keys *keys,
			    enum ec_offline_name_kind kind)
{
	_cleanup_free_ uint8_t *raw = NULL, *plain = NULL;
	const struct ec_secret *key;
	struct ecfmt_name_packet packet;
	struct ecfmt_reader cur;
	size_t len = strlen(lower), raw_len;
	int r;

	if (!ecfmt_name_is_encrypted(lower, len))
		return -ENODATA;
	lower += ECFMT_NAME_PREFIX_LEN;
	len -= ECFMT_NAME_PREFIX_LEN;
	raw_len = ecfmt_sixbit_decoded_len(len);
	raw = malloc(raw_len + 1);
	plain = malloc(raw_len + 1);
	if (!raw || !plain)
		return -ENOMEM;
	r = ecfmt_sixbit_decode(raw, raw_len, lower, len);
	if (r)
		return r;
	ecfmt_reader_init(&cur, raw, raw_len);
	r = ecfmt_name_packet_get(&cur, &packet);
	if (r)
		return r;
	key = ec_offline_keys_find(keys, packet.sig);
	if (!key)
		return -ENOKEY;
	return try_key_lens(ret, plain, &packet, key, kind);
}

/* Prefix and name in whole blocks, encrypted in place. */
static int encrypt_plain(uint8_t *buf, size_t prefix_len, const char *plain, size_t plain_len,
			 const struct ec_secret *key, const struct ecfmt_cipher *row,
			 size_t key_len)
{
	_cleanup_offline_cipher_ struct ec_offline_cipher *cipher = NULL;
	int r;

	r = make_prefix(buf, prefix_len, key);
	if (r)
		return r;
	memcpy(buf + prefix_len, plain, plain_len);
	r = ec_offline_cipher_new(&cipher, row, EC_OFFLINE_ECB, key->data, key_len);
	return r ? r : ec_offline_cipher_encrypt(cipher, NULL, buf, prefix_len + plain_len);
}

/* The lower name has lower_len bytes and a NUL behind. */
static int format_lower(char *ret, size_t lower_len, const struct ecfmt_name_packet *packet)
{
	_cleanup_free_ uint8_t *raw = malloc(lower_len);
	struct ecfmt_writer cur;
	size_t raw_len;
	int r;

	if (!raw)
		return -ENOMEM;
	ecfmt_writer_init(&cur, raw, lower_len);
	ecfmt_name_packet_put(&cur, packet);
	r = ecfmt_writer_finish(&cur, &raw_len);
	if (r)
		return r;
	memcpy(ret, ECFMT_NAME_PREFIX, ECFMT_NAME_PREFIX_LEN);
	ret[lower_len] = '\0';
	return ecfmt_sixbit_encode(ret + ECFMT_NAME_PREFIX_LEN, lower_len - ECFMT_NAME_PREFIX_LEN,
				   raw, raw_len);
}

int ec_offline_name_encrypt(char **ret, const char *plain, const struct ec_secret *key,
			    const struct ecfmt_cipher *cipher, size_t key_len)
{
	_cleanup_free_ uint8_t *ciphertext = NULL;
	_cleanup_free_ char *lower = NULL;
	struct ecfmt_name_packet packet = { .cipher = cipher };
	size_t plain_len = strlen(plain), prefix_len, lower_len;
	int r;

	if (!plain_len || key->len != ECFMT_KEY_LEN ||
	    !ecfmt_cipher_name_key_len_ok(cipher, key_len))
		return -EINVAL;
	lower_len = ecfmt_name_lower_len(plain_len, cipher->block_len);
	if (lower_len == (size_t)-1)
		return -ENAMETOOLONG;
	prefix_len = ecfmt_name_prefix_len(plain_len, cipher->block_len);
	packet.ciphertext_len = prefix_len + plain_len;
	ciphertext = malloc(packet.ciphertext_len);
	lower = malloc(lower_len + 1);
	if (!ciphertext || !lower)
		return -ENOMEM;
	r = encrypt_plain(ciphertext, prefix_len, plain, plain_len, key, cipher, key_len);
	if (r)
		return r;
	packet.ciphertext = ciphertext;
	r = ec_key_sig(packet.sig, key);
	if (r)
		return r;
	r = format_lower(lower, lower_len, &packet);
	if (r)
		return r;
	*ret = ec_take_ptr(lower);
	return 0;
}
