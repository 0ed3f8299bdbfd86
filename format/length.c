// SPDX-License-Identifier: GPL-2.0-only
/* Lengths of packets: the one and two octet forms of OpenPGP. Facts: docs/format.md. */
#include "format/ecfmt.h"

#define ONE_OCTET_END	192u	/* first length, and first octet, of the two-octet form */
#define TWO_OCTET_END	224u	/* first octet that is neither form */

/**
 * ecfmt_length_get() - read a packet length
 * @cur:	reader; advanced by 1 or 2 bytes on success, untouched on failure
 * @ret_len:	bytes of the packet behind its length, 0..8383; untouched on failure
 *
 * First octet 0..191 is the length; 192..223 starts a two-octet length. 224 and up (partial and
 * five-octet lengths) are refused, as the in-tree filesystem does.
 *
 * Source: RFC 2440, 4.2.2; Linux fs/ecryptfs/keystore.c, ecryptfs_parse_packet_length().
 * Return: 0, -EBADMSG if truncated or out of range.
 */
int ecfmt_length_get(struct ecfmt_reader *cur, size_t *ret_len)
{
	struct ecfmt_reader c = *cur;
	u8 first, second;
	int r;

	r = ecfmt_get_u8(&c, &first);
	if (r)
		return r;
	if (first >= TWO_OCTET_END)
		return -EBADMSG;
	if (first < ONE_OCTET_END) {
		*ret_len = first;
		*cur = c;
		return 0;
	}
	r = ecfmt_get_u8(&c, &second);
	if (r)
		return r;
	*ret_len = ((size_t)(first - ONE_OCTET_END) << 8) + second + ONE_OCTET_END;
	*cur = c;
	return 0;
}

/**
 * ecfmt_length_put() - write a packet length
 * @cur:	writer; fails if @len is over 8383, which no reader takes
 * @len:	bytes of the packet behind its length
 */
void ecfmt_length_put(struct ecfmt_writer *cur, size_t len)
{
	if (len > ECFMT_PACKET_LEN_MAX) {
		cur->failed = true;
		return;
	}
	if (len >= ONE_OCTET_END) {
		len -= ONE_OCTET_END;
		ecfmt_put_u8(cur, (u8)(ONE_OCTET_END + (len >> 8)));
	}
	ecfmt_put_u8(cur, (u8)len);
}
