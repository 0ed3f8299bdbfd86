// SPDX-License-Identifier: GPL-2.0-only
/*
 * The header of a lower file, at offset 0 of the file or in the extended attribute. Nothing in
 * it is authenticated, so every number is checked against bounds before anyone computes with it.
 * Facts and check values: docs/format.md.
 */
#include "format/ecfmt.h"

#define SIZE_LIMIT	0x7fffffffffffffffULL	/* of a file's bytes: a signed 64-bit offset */
#define VERSION0_HEADER_LEN 8192u

static_assert(ECFMT_HEADER_LEN_MAX / ECFMT_EXTENT_LEN <= 0xffff, "a count of 16 bits on disk");

static int get_size_and_marker(struct ecfmt_reader *cur, u64 *ret_size, u32 *ret_m1)
{
	struct ecfmt_reader c = *cur;
	u64 size;
	u32 m1, m2;
	int r;

	r = ecfmt_get_be64(&c, &size);
	if (r)
		return r;
	r = ecfmt_get_be32(&c, &m1);
	if (r)
		return r;
	r = ecfmt_get_be32(&c, &m2);
	if (r)
		return r;
	if ((m1 ^ ECFMT_MARKER) != m2)
		return -EBADMSG;
	*ret_size = size;
	*ret_m1 = m1;
	*cur = c;
	return 0;
}

/**
 * ecfmt_marker_ok() - is this a header at all
 * @buf:	start of a lower file or of the extended attribute
 * @len:	bytes of @buf; 16 are looked at
 *
 * Source: Linux fs/ecryptfs/crypto.c, ecryptfs_validate_marker().
 * Return: whether the marker is there. One in 2^32 other inputs has it, too.
 */
bool ecfmt_marker_ok(const u8 *buf, size_t len)
{
	struct ecfmt_reader cur;
	u64 size;
	u32 m1;

	ecfmt_reader_init(&cur, buf, len);
	return !get_size_and_marker(&cur, &size, &m1);
}

/**
 * ecfmt_size_get() - read the plaintext size, without a key
 * @buf:	start of a lower file or of the extended attribute
 * @len:	bytes of @buf; 16 are looked at
 * @ret_size:	bytes of plaintext, at most 2^63 - 1; untouched on failure
 *
 * Return: 0, -EBADMSG without the marker or for a size out of range.
 */
int ecfmt_size_get(const u8 *buf, size_t len, u64 *ret_size)
{
	struct ecfmt_reader cur;
	u64 size;
	u32 m1;
	int r;

	ecfmt_reader_init(&cur, buf, len);
	r = get_size_and_marker(&cur, &size, &m1);
	if (r)
		return r;
	if (size > SIZE_LIMIT)
		return -EBADMSG;
	*ret_size = size;
	return 0;
}

/**
 * ecfmt_size_put() - the first field of a header
 * @buf:	8 bytes to write at offset 0 of the file or attribute
 * @size:	bytes of plaintext
 */
void ecfmt_size_put(u8 buf[static 8], u64 size)
{
	struct ecfmt_writer cur;

	ecfmt_writer_init(&cur, buf, 8);
	ecfmt_put_be64(&cur, size);
}

static bool header_len_ok(u64 len)
{
	return len >= ECFMT_HEADER_LEN_MIN && len <= ECFMT_HEADER_LEN_MAX &&
	       len % ECFMT_EXTENT_LEN == 0;
}

/*
 * The two fields that give the length of the region. They exist since version 1, in an extended
 * attribute too, where they mean nothing: the reader of the in-tree filesystem ignores them there.
 */
static int get_header_len(struct ecfmt_reader *cur, enum ecfmt_place place,
			  struct ecfmt_header *header)
{
	u32 extent_len = 0;
	u16 n_extents = 0;
	u64 len;
	int r;

	if (header->version == 0) {
		len = VERSION0_HEADER_LEN;
	} else {
		r = ecfmt_get_be32(cur, &extent_len);
		if (r)
			return r;
		r = ecfmt_get_be16(cur, &n_extents);
		if (r)
			return r;
		len = (u64)extent_len * n_extents;
	}
	if (place == ECFMT_PLACE_XATTR) {
		header->header_len = 0;
		return 0;
	}
	if (!header_len_ok(len))
		return -EBADMSG;
	header->header_len = (u32)len;
	return 0;
}

/*
 * At least one unit, all of them readable, and one cipher and key length for all passphrases:
 * the content has only one key, so a second opinion about it is damage.
 */
static int check_packets(const struct ecfmt_reader *packets)
{
	struct ecfmt_reader cur = *packets;
	struct ecfmt_packet packet;
	const struct ecfmt_cipher *cipher = NULL;
	size_t fek_len = 0, n = 0;
	int r;

	while ((r = ecfmt_packet_get(&cur, &packet)) == 0) {
		n++;
		if (packet.kind != ECFMT_PACKET_PASSPHRASE)
			continue;
		if (cipher && (cipher != packet.cipher || fek_len != packet.fek_len))
			return -EBADMSG;
		cipher = packet.cipher;
		fek_len = packet.fek_len;
	}
	if (r != ECFMT_E_END)
		return r;
	return n ? 0 : -EBADMSG;
}

static int get_version_and_flags(struct ecfmt_reader *cur, struct ecfmt_header *header)
{
	u32 word;
	int r;

	r = ecfmt_get_be32(cur, &word);
	if (r)
		return r;
	header->version = (u8)(word >> 24);
	header->flags = (u8)word;
	return header->version > ECFMT_VERSION ? -EOPNOTSUPP : 0;
}

/**
 * ecfmt_header_get() - read the header of a lower file
 * @buf:	start of the lower file, or the value of the extended attribute
 * @len:	bytes of @buf; only the first 4096 count, as for the in-tree filesystem
 * @place:	where @buf comes from
 * @ret:	the header; its packets are borrowed from @buf, and are known to be readable, so
 *		that ecfmt_packet_get() on them ends with ECFMT_E_END. Untouched on failure
 *
 * Where the bytes were found decides where the data is; the flag that says the same is reported
 * as it stands. Whether the lower file has as many bytes as the header promises is for the
 * caller to see.
 *
 * Source: Linux fs/ecryptfs/crypto.c, ecryptfs_read_headers_virt(). Bounds of the region and of
 * the size, and the rule of one cipher, are ours.
 * Return: 0, -EBADMSG if it does not follow the format (also: is no header), -EOPNOTSUPP for a
 * version over 3, or a packet that no writer of version 3 made.
 */
int ecfmt_header_get(const u8 *buf, size_t len, enum ecfmt_place place, struct ecfmt_header *ret)
{
	struct ecfmt_header header = { 0 };
	struct ecfmt_reader cur;
	int r;

	ecfmt_reader_init(&cur, buf, len < ECFMT_HEADER_READ_LEN ? len : ECFMT_HEADER_READ_LEN);
	r = get_size_and_marker(&cur, &header.size, &header.marker_m1);
	if (r)
		return r;
	if (header.size > SIZE_LIMIT)
		return -EBADMSG;
	r = get_version_and_flags(&cur, &header);
	if (r)
		return r;
	r = get_header_len(&cur, place, &header);
	if (r)
		return r;
	header.packets = cur;
	r = check_packets(&cur);
	if (r)
		return r;
	*ret = header;
	return 0;
}

/**
 * ecfmt_header_put() - write a header up to its first packet
 * @cur:	writer; fails if it does not fit, or for a size or header_len out of bounds
 * @place:	where the header will stand
 * @header:	size, marker_m1, flags and, for a header in the file, header_len are used
 *
 * 26 bytes, always version 3, always marked as encrypted; the flag of the place follows @place.
 * Behind the packets a header in the file has zeros up to header_len; one in the extended
 * attribute ends with its last packet.
 *
 * Source: Linux fs/ecryptfs/crypto.c, ecryptfs_write_headers_virt().
 */
void ecfmt_header_put(struct ecfmt_writer *cur, enum ecfmt_place place,
		      const struct ecfmt_header *header)
{
	bool in_xattr = place == ECFMT_PLACE_XATTR;
	u32 len = in_xattr ? ECFMT_HEADER_LEN_MIN : header->header_len;
	u8 flags = header->flags | ECFMT_FLAG_ENCRYPTED;

	if (header->size > SIZE_LIMIT || !header_len_ok(len)) {
		cur->failed = true;
		return;
	}
	if (in_xattr)
		flags |= ECFMT_FLAG_IN_XATTR;
	else
		flags &= (u8)~ECFMT_FLAG_IN_XATTR;
	ecfmt_put_be64(cur, header->size);
	ecfmt_put_be32(cur, header->marker_m1);
	ecfmt_put_be32(cur, header->marker_m1 ^ ECFMT_MARKER);
	ecfmt_put_u8(cur, (u8)ECFMT_VERSION);
	ecfmt_put_zeros(cur, 2);
	ecfmt_put_u8(cur, flags);
	ecfmt_put_be32(cur, ECFMT_EXTENT_LEN);
	ecfmt_put_be16(cur, (u16)(len / ECFMT_EXTENT_LEN));
}

/**
 * ecfmt_lower_len() - how long is the lower file
 * @size:	bytes of plaintext
 * @header_len:	bytes of the header region; 0 if the header is in the extended attribute
 * @ret_len:	bytes of the lower file; untouched on failure
 *
 * Source: Linux fs/ecryptfs/inode.c, upper_size_to_lower_size().
 * Return: 0, -EFBIG if the lower file would be longer than a file can be.
 */
int ecfmt_lower_len(u64 size, u32 header_len, u64 *ret_len)
{
	u64 rest = size % ECFMT_EXTENT_LEN;
	u64 pad = rest ? ECFMT_EXTENT_LEN - rest : 0;

	if (size > SIZE_LIMIT || SIZE_LIMIT - size < pad + header_len)
		return -EFBIG;
	*ret_len = size + pad + header_len;
	return 0;
}

/**
 * ecfmt_size_left() - the size of a file, where a crash took the end of its lower file
 * @size:	bytes of plaintext, as the header says
 * @header_len:	bytes of the header region; 0 if the header is in the extended attribute
 * @lower_len:	bytes that the lower file has
 *
 * The size is stored in place, while the end of the lower file reaches the disk with a later commit
 * of its filesystem: a power cut leaves a size that promises extents that are not there. It leaves
 * whole ones. An end inside an extent is damage, and then the size is what the header says.
 *
 * Return: bytes, not more than @size.
 */
u64 ecfmt_size_left(u64 size, u32 header_len, u64 lower_len)
{
	u64 data = lower_len > header_len ? lower_len - header_len : 0;

	return lower_len % ECFMT_EXTENT_LEN || data > size ? size : data;
}
