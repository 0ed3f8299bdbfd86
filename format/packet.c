// SPDX-License-Identifier: GPL-2.0-only
/*
 * Key packets of a file header. A unit is what one key needs: for a passphrase the tag 3 with the
 * wrapped content key and the tag 11 that says by which key; for a public key the tag 1 that has
 * both. Facts and check values: docs/format.md.
 */
#include "format/ecfmt.h"

#define TAG_PUBLIC_KEY		0x01	/* tag 1 */
#define TAG_PASSPHRASE		0x8c	/* tag 3 */
#define TAG_LITERAL		0xed	/* tag 11 */

#define PUBLIC_KEY_VERSION	0x03
#define PUBLIC_KEY_FIXED_LEN	10u	/* version, sig, algorithm */
#define ALGORITHM_RSA		0x01	/* ignored on reading */

#define PASSPHRASE_VERSION	0x04
#define PASSPHRASE_FIXED_LEN	13u	/* version, cipher, S2K, hash, salt, iterations */
#define S2K_ITERATED		0x03
#define HASH_MD5		0x01	/* what the byte says; the hash is SHA-512 */
#define S2K_ITERATIONS		0x60	/* ignored on reading, like the salt */

#define LITERAL_BINARY		0x62
#define LITERAL_NAME		"_CONSOLE"
#define LITERAL_NAME_LEN	8u
#define LITERAL_DATE_LEN	4u
#define LITERAL_LEN		(2u + LITERAL_NAME_LEN + LITERAL_DATE_LEN + ECFMT_SIG_LEN)

/* The byte must be want: -EOPNOTSUPP for another one, -EBADMSG at the end. */
static int get_supported(struct ecfmt_reader *cur, u8 want)
{
	u8 have;
	int r;

	r = ecfmt_get_u8(cur, &have);
	if (r)
		return r;
	return have == want ? 0 : -EOPNOTSUPP;
}

/* Length field, and the body as a reader of its own. The tag is already read. */
static int get_body(struct ecfmt_reader *cur, struct ecfmt_reader *ret)
{
	size_t len;
	int r;

	r = ecfmt_length_get(cur, &len);
	if (r)
		return r;
	return ecfmt_get_sub(cur, len, ret);
}

/* All that is left is the wrapped key. */
static int get_efek(struct ecfmt_reader *body, size_t len_max, struct ecfmt_packet *packet)
{
	packet->efek_len = ecfmt_reader_left(body);
	if (!packet->efek_len || packet->efek_len > len_max)
		return -EBADMSG;
	return ecfmt_get_bytes(body, packet->efek_len, &packet->efek);
}

/*
 * The length of the content key follows from cipher and wrapped length. Only pairs that a writer
 * can have made are taken, so nothing later has to ask whether a key of that length works.
 */
static int set_fek_len(struct ecfmt_packet *packet)
{
	const struct ecfmt_cipher *cipher = packet->cipher;

	packet->fek_len = cipher->key_len ? cipher->key_len : packet->efek_len;
	if (!ecfmt_cipher_key_len_ok(cipher, packet->fek_len) ||
	    ecfmt_cipher_efek_len(cipher, packet->fek_len) != packet->efek_len)
		return -EBADMSG;
	return 0;
}

static int get_passphrase(struct ecfmt_reader *cur, struct ecfmt_packet *packet)
{
	struct ecfmt_reader body;
	u8 code, iterations;
	int r;

	r = get_body(cur, &body);
	if (r)
		return r;
	r = get_supported(&body, PASSPHRASE_VERSION);
	if (r)
		return r;
	r = ecfmt_get_u8(&body, &code);
	if (r)
		return r;
	packet->cipher = ecfmt_cipher_by_code(code);
	if (!packet->cipher)
		return -EOPNOTSUPP;
	r = get_supported(&body, S2K_ITERATED);
	if (r)
		return r;
	r = get_supported(&body, HASH_MD5);
	if (r)
		return r;
	r = ecfmt_get_copy(&body, packet->salt, ECFMT_SALT_LEN);
	if (r)
		return r;
	r = ecfmt_get_u8(&body, &iterations);
	if (r)
		return r;
	r = get_efek(&body, ECFMT_EFEK_LEN_MAX, packet);
	if (r)
		return r;
	return set_fek_len(packet);
}

static int get_literal(struct ecfmt_reader *cur, u8 sig[static ECFMT_SIG_LEN])
{
	static const u8 head[] = { TAG_LITERAL, LITERAL_LEN, LITERAL_BINARY, LITERAL_NAME_LEN };
	const u8 *ignored;
	int r;

	r = ecfmt_get_const(cur, head, sizeof(head));
	if (r)
		return r;
	r = ecfmt_get_bytes(cur, LITERAL_NAME_LEN + LITERAL_DATE_LEN, &ignored);
	if (r)
		return r;
	return ecfmt_get_copy(cur, sig, ECFMT_SIG_LEN);
}

static int get_public_key(struct ecfmt_reader *cur, struct ecfmt_packet *packet)
{
	struct ecfmt_reader body;
	u8 algorithm;
	int r;

	r = get_body(cur, &body);
	if (r)
		return r;
	r = get_supported(&body, PUBLIC_KEY_VERSION);
	if (r)
		return r;
	r = ecfmt_get_copy(&body, packet->sig, ECFMT_SIG_LEN);
	if (r)
		return r;
	r = ecfmt_get_u8(&body, &algorithm);
	if (r)
		return r;
	return get_efek(&body, ECFMT_BLOB_LEN_MAX, packet);
}

/**
 * ecfmt_packet_get() - read the unit of one key
 * @cur:	reader at a tag; advanced behind the unit on success, else untouched
 * @ret:	the unit, its wrapped key borrowed from the input; untouched on failure
 *
 * Source: Linux fs/ecryptfs/keystore.c, parse_tag_3_packet(), parse_tag_11_packet(),
 * parse_tag_1_packet(), ecryptfs_parse_packet_set().
 * Return: 0, ECFMT_E_END at the end of input or at a byte that is no tag of a unit, -EBADMSG if
 * truncated, out of range, or a tag 3 and a tag 11 do not stand together, -EOPNOTSUPP for a
 * packet version, cipher, S2K or hash that no writer used.
 */
int ecfmt_packet_get(struct ecfmt_reader *cur, struct ecfmt_packet *ret)
{
	struct ecfmt_packet packet = { .kind = ECFMT_PACKET_PASSPHRASE };
	struct ecfmt_reader c = *cur;
	u8 tag;
	int r;

	if (ecfmt_get_u8(&c, &tag))
		return ECFMT_E_END;
	switch (tag) {
	case TAG_PASSPHRASE:
		r = get_passphrase(&c, &packet);
		if (!r)
			r = get_literal(&c, packet.sig);
		break;
	case TAG_PUBLIC_KEY:
		packet.kind = ECFMT_PACKET_PUBLIC_KEY;
		r = get_public_key(&c, &packet);
		break;
	case TAG_LITERAL:
		return -EBADMSG;
	default:
		return ECFMT_E_END;
	}
	if (r)
		return r;
	*cur = c;
	*ret = packet;
	return 0;
}

static void put_literal(struct ecfmt_writer *cur, const u8 sig[static ECFMT_SIG_LEN])
{
	ecfmt_put_u8(cur, TAG_LITERAL);
	ecfmt_length_put(cur, LITERAL_LEN);
	ecfmt_put_u8(cur, LITERAL_BINARY);
	ecfmt_put_u8(cur, LITERAL_NAME_LEN);
	ecfmt_put_bytes(cur, LITERAL_NAME, LITERAL_NAME_LEN);
	ecfmt_put_zeros(cur, LITERAL_DATE_LEN);
	ecfmt_put_bytes(cur, sig, ECFMT_SIG_LEN);
}

static void put_passphrase(struct ecfmt_writer *cur, const struct ecfmt_packet *packet)
{
	const struct ecfmt_cipher *cipher = packet->cipher;

	if (!cipher || !ecfmt_cipher_key_len_ok(cipher, packet->fek_len) ||
	    ecfmt_cipher_efek_len(cipher, packet->fek_len) != packet->efek_len) {
		cur->failed = true;
		return;
	}
	ecfmt_put_u8(cur, TAG_PASSPHRASE);
	ecfmt_length_put(cur, PASSPHRASE_FIXED_LEN + packet->efek_len);
	ecfmt_put_u8(cur, PASSPHRASE_VERSION);
	ecfmt_put_u8(cur, cipher->code);
	ecfmt_put_u8(cur, S2K_ITERATED);
	ecfmt_put_u8(cur, HASH_MD5);
	ecfmt_put_bytes(cur, packet->salt, ECFMT_SALT_LEN);
	ecfmt_put_u8(cur, S2K_ITERATIONS);
	ecfmt_put_bytes(cur, packet->efek, packet->efek_len);
	put_literal(cur, packet->sig);
}

static void put_public_key(struct ecfmt_writer *cur, const struct ecfmt_packet *packet)
{
	if (!packet->efek_len || packet->efek_len > ECFMT_BLOB_LEN_MAX) {
		cur->failed = true;
		return;
	}
	ecfmt_put_u8(cur, TAG_PUBLIC_KEY);
	ecfmt_length_put(cur, PUBLIC_KEY_FIXED_LEN + packet->efek_len);
	ecfmt_put_u8(cur, PUBLIC_KEY_VERSION);
	ecfmt_put_bytes(cur, packet->sig, ECFMT_SIG_LEN);
	ecfmt_put_u8(cur, ALGORITHM_RSA);
	ecfmt_put_bytes(cur, packet->efek, packet->efek_len);
}

/**
 * ecfmt_packet_put() - write the unit of one key
 * @cur:	writer; fails if the unit does not fit, or if cipher, key length and wrapped length
 *		are no set that ecfmt_packet_get() would take back
 * @packet:	the unit
 *
 * Source: Linux fs/ecryptfs/keystore.c, write_tag_3_packet(), write_tag_11_packet(),
 * write_tag_1_packet().
 */
void ecfmt_packet_put(struct ecfmt_writer *cur, const struct ecfmt_packet *packet)
{
	switch (packet->kind) {
	case ECFMT_PACKET_PASSPHRASE:
		put_passphrase(cur, packet);
		break;
	case ECFMT_PACKET_PUBLIC_KEY:
		put_public_key(cur, packet);
		break;
	default:
		cur->failed = true;
	}
}
