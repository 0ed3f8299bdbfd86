// SPDX-License-Identifier: GPL-2.0-only
/*
 * Encrypted file names: the six-bit text that a lower name is made of, the tag 70 packet in it,
 * and how a plain name is laid out before it is encrypted. Facts: docs/format.md.
 */
#include "format/ecfmt.h"

#define TAG_NAME		0x46	/* tag 70 */
#define NAME_FIXED_LEN		(ECFMT_SIG_LEN + 1u)	/* sig, cipher */
#define PREFIX_LEN_MIN		17u	/* bytes in front of a plain name, the 0x00 among them */
#define PREFIX_ZERO		0x42	/* stands for 0x00 in the prefix */
#define TWO_OCTET_LEN		192u	/* from here on the packet's length has two bytes */

/**
 * ecfmt_name_is_encrypted() - does a lower name claim to be encrypted
 * @name:	lower name
 * @len:	bytes of @name
 *
 * Return: whether it starts with ECFMT_NAME_PREFIX and has something behind.
 */
bool ecfmt_name_is_encrypted(const char *name, size_t len)
{
	return len > ECFMT_NAME_PREFIX_LEN &&
	       !memcmp(name, ECFMT_NAME_PREFIX, ECFMT_NAME_PREFIX_LEN);
}

/* 0..63 to text, in the order of ASCII. */
static char sixbit_char(u32 value)
{
	static const char alphabet[] =
		"-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

	return alphabet[value & 0x3f];
}

static int sixbit_value(char c, u32 *ret)
{
	if (c == '-' || c == '.')
		*ret = (u32)(c - '-');
	else if (c >= '0' && c <= '9')
		*ret = 2 + (u32)(c - '0');
	else if (c >= 'A' && c <= 'Z')
		*ret = 12 + (u32)(c - 'A');
	else if (c >= 'a' && c <= 'z')
		*ret = 38 + (u32)(c - 'a');
	else
		return -EBADMSG;
	return 0;
}

/**
 * ecfmt_sixbit_encoded_len() - text for so many bytes
 * @raw_len:	bytes
 *
 * Return: characters, a multiple of 4.
 */
size_t ecfmt_sixbit_encoded_len(size_t raw_len)
{
	return (raw_len / 3 + (raw_len % 3 != 0)) * 4;
}

/**
 * ecfmt_sixbit_decoded_len() - bytes in so much text
 * @text_len:	characters; what is left over from a multiple of 4 does not count
 *
 * Return: bytes, the zeros that fill the last group among them.
 */
size_t ecfmt_sixbit_decoded_len(size_t text_len)
{
	return text_len / 4 * 3;
}

/**
 * ecfmt_sixbit_encode() - bytes to text
 * @ret:	text, not NUL-terminated
 * @ret_len:	bytes of @ret: ecfmt_sixbit_encoded_len(@raw_len)
 * @raw:	bytes
 * @raw_len:	bytes of @raw
 *
 * The last group is filled with zero bytes.
 *
 * Source: Linux fs/ecryptfs/crypto.c, ecryptfs_encode_for_filename().
 * Return: 0, -ENOBUFS if @ret_len is another.
 */
int ecfmt_sixbit_encode(char *ret, size_t ret_len, const u8 *raw, size_t raw_len)
{
	size_t i, j;

	if (ret_len != ecfmt_sixbit_encoded_len(raw_len))
		return -ENOBUFS;
	for (i = 0; i < raw_len; i += 3) {
		u32 group = 0;

		for (j = 0; j < 3; j++)
			group = group << 8 | (i + j < raw_len ? raw[i + j] : 0);
		for (j = 0; j < 4; j++)
			*ret++ = sixbit_char(group >> (18 - 6 * j));
	}
	return 0;
}

/**
 * ecfmt_sixbit_decode() - text to bytes
 * @ret:	bytes; undefined on failure
 * @ret_len:	bytes of @ret: ecfmt_sixbit_decoded_len(@text_len)
 * @text:	text
 * @text_len:	bytes of @text
 *
 * Stricter than the in-tree filesystem, which takes characters outside the alphabet for zero:
 * such a name could be listed there but not be found.
 *
 * Source: Linux fs/ecryptfs/crypto.c, ecryptfs_decode_from_filename().
 * Return: 0, -EBADMSG for a character outside the alphabet or a length that is no multiple of 4,
 * -ENOBUFS if @ret_len is another.
 */
int ecfmt_sixbit_decode(u8 *ret, size_t ret_len, const char *text, size_t text_len)
{
	size_t i, j;

	if (text_len % 4)
		return -EBADMSG;
	if (ret_len != ecfmt_sixbit_decoded_len(text_len))
		return -ENOBUFS;
	for (i = 0; i < text_len; i += 4) {
		u32 group = 0, value;
		int r;

		for (j = 0; j < 4; j++) {
			r = sixbit_value(text[i + j], &value);
			if (r)
				return r;
			group = group << 6 | value;
		}
		*ret++ = (u8)(group >> 16);
		*ret++ = (u8)(group >> 8);
		*ret++ = (u8)group;
	}
	return 0;
}

/**
 * ecfmt_name_packet_get() - read a tag 70
 * @cur:	reader at the tag; advanced behind the packet on success, else untouched
 * @ret:	the packet, its ciphertext borrowed from the input; untouched on failure
 *
 * What is behind the packet, up to 2 bytes that filled the last six-bit group, is the caller's.
 *
 * Source: Linux fs/ecryptfs/keystore.c, ecryptfs_parse_tag_70_packet().
 * Return: 0, -EBADMSG if truncated or not in whole blocks, -EOPNOTSUPP for a cipher that no
 * writer used.
 */
int ecfmt_name_packet_get(struct ecfmt_reader *cur, struct ecfmt_name_packet *ret)
{
	static const u8 tag = TAG_NAME;
	struct ecfmt_reader c = *cur, body;
	struct ecfmt_name_packet packet;
	size_t len;
	u8 code;
	int r;

	r = ecfmt_get_const(&c, &tag, 1);
	if (r)
		return r;
	r = ecfmt_length_get(&c, &len);
	if (r)
		return r;
	r = ecfmt_get_sub(&c, len, &body);
	if (r)
		return r;
	r = ecfmt_get_copy(&body, packet.sig, ECFMT_SIG_LEN);
	if (r)
		return r;
	r = ecfmt_get_u8(&body, &code);
	if (r)
		return r;
	packet.cipher = ecfmt_cipher_by_code(code);
	if (!packet.cipher)
		return -EOPNOTSUPP;
	packet.ciphertext_len = ecfmt_reader_left(&body);
	if (!packet.ciphertext_len || packet.ciphertext_len % packet.cipher->block_len)
		return -EBADMSG;
	r = ecfmt_get_bytes(&body, packet.ciphertext_len, &packet.ciphertext);
	if (r)
		return r;
	*cur = c;
	*ret = packet;
	return 0;
}

/**
 * ecfmt_name_packet_put() - write a tag 70
 * @cur:	writer; fails if it does not fit, or the ciphertext is empty or not in whole blocks
 * @packet:	the packet
 *
 * Source: Linux fs/ecryptfs/keystore.c, ecryptfs_write_tag_70_packet().
 */
void ecfmt_name_packet_put(struct ecfmt_writer *cur, const struct ecfmt_name_packet *packet)
{
	if (!packet->cipher || !packet->ciphertext_len ||
	    packet->ciphertext_len > ECFMT_PACKET_LEN_MAX ||
	    packet->ciphertext_len % packet->cipher->block_len) {
		cur->failed = true;
		return;
	}
	ecfmt_put_u8(cur, TAG_NAME);
	ecfmt_length_put(cur, NAME_FIXED_LEN + packet->ciphertext_len);
	ecfmt_put_bytes(cur, packet->sig, ECFMT_SIG_LEN);
	ecfmt_put_u8(cur, packet->cipher->code);
	ecfmt_put_bytes(cur, packet->ciphertext, packet->ciphertext_len);
}

/**
 * ecfmt_name_prefix_len() - what stands in front of a plain name
 * @name_len:	bytes of plain name
 * @block_len:	bytes of the cipher's block
 *
 * Source: Linux fs/ecryptfs/keystore.c, ecryptfs_write_tag_70_packet().
 * Return: bytes, the 0x00 that ends the prefix among them; with the name, whole blocks.
 */
size_t ecfmt_name_prefix_len(size_t name_len, size_t block_len)
{
	size_t rest = (PREFIX_LEN_MIN + name_len) % block_len;

	return PREFIX_LEN_MIN + (rest ? block_len - rest : 0);
}

/**
 * ecfmt_name_lower_len() - how long a lower name becomes
 * @name_len:	bytes of plain name or symlink target
 * @block_len:	bytes of the cipher's block
 *
 * Return: bytes of lower name; the largest size_t where no packet can hold the name.
 */
size_t ecfmt_name_lower_len(size_t name_len, size_t block_len)
{
	size_t body_len, head_len;

	if (name_len > ECFMT_PACKET_LEN_MAX)
		return (size_t)-1;
	body_len = NAME_FIXED_LEN + ecfmt_name_prefix_len(name_len, block_len) + name_len;
	if (body_len > ECFMT_PACKET_LEN_MAX)
		return (size_t)-1;
	head_len = body_len < TWO_OCTET_LEN ? 2 : 3;
	return ECFMT_NAME_PREFIX_LEN + ecfmt_sixbit_encoded_len(head_len + body_len);
}

/**
 * ecfmt_name_plain_max() - the longest plain name
 * @lower_max:	bytes that a lower name may have
 * @block_len:	bytes of the cipher's block
 *
 * Return: bytes of plain name, 0 if none fits. 255 gives 143.
 */
size_t ecfmt_name_plain_max(size_t lower_max, size_t block_len)
{
	size_t blocks_len, packet_len;

	if (lower_max < ECFMT_NAME_PREFIX_LEN)
		return 0;
	packet_len = ecfmt_sixbit_decoded_len(lower_max - ECFMT_NAME_PREFIX_LEN);
	if (packet_len > 3 + ECFMT_PACKET_LEN_MAX)
		packet_len = 3 + ECFMT_PACKET_LEN_MAX;
	/* From here on the length field takes a second byte. */
	if (packet_len >= 3 + TWO_OCTET_LEN)
		packet_len--;
	if (packet_len < 2 + NAME_FIXED_LEN + block_len)
		return 0;
	blocks_len = packet_len - 2 - NAME_FIXED_LEN;
	blocks_len -= blocks_len % block_len;
	return blocks_len > PREFIX_LEN_MIN ? blocks_len - PREFIX_LEN_MIN : 0;
}

/**
 * ecfmt_name_prefix_block() - a piece of the prefix
 * @ret:	next bytes of the prefix, up to 16; not its final 0x00
 * @len:	bytes of @ret that are still wanted
 * @digest:	MD5 of the name key, all 64 bytes; for the second piece the MD5 of that, and so on
 *
 * Source: Linux fs/ecryptfs/keystore.c, ecryptfs_write_tag_70_packet().
 */
void ecfmt_name_prefix_block(u8 *ret, size_t len, const u8 digest[static ECFMT_MD5_LEN])
{
	size_t i;

	for (i = 0; i < len && i < ECFMT_MD5_LEN; i++)
		ret[i] = digest[i] ? digest[i] : PREFIX_ZERO;
}

static bool is_dots(const u8 *name, size_t len)
{
	return name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'));
}

/**
 * ecfmt_name_plain_get() - find the name in what was decrypted
 * @plain:	decrypted bytes of a tag 70
 * @len:	bytes of @plain
 * @component:	the name is one of a directory, not a symlink's target
 * @ret_name:	points into @plain, not NUL-terminated; untouched on failure
 * @ret_len:	bytes of the name; untouched on failure
 *
 * Return: 0, -EBADMSG if no name is there, or one that has a NUL; of a component also for a '/'
 * and for "." and "..", which a symlink may well point to.
 */
int ecfmt_name_plain_get(const u8 *plain, size_t len, bool component,
			 const char **ret_name, size_t *ret_len)
{
	const u8 *name = len ? memchr(plain, 0, len) : NULL;
	size_t name_len;

	if (!name)
		return -EBADMSG;
	name++;
	name_len = len - (size_t)(name - plain);
	if (!name_len || memchr(name, 0, name_len))
		return -EBADMSG;
	if (component && (memchr(name, '/', name_len) || is_dots(name, name_len)))
		return -EBADMSG;
	*ret_name = (const char *)name;
	*ret_len = name_len;
	return 0;
}
