// SPDX-License-Identifier: GPL-2.0-only
/* What is hashed for the IV of a data extent. Facts and check values: docs/format.md. */
#include "format/ecfmt.h"

#define INDEX_LEN	16u	/* bytes of text with its final NUL */
#define DIGITS_MAX	20u	/* of a 64-bit number */

/**
 * ecfmt_extent_iv_input() - build the input of the hash that is an extent's IV
 * @ret:	32 bytes: @root_iv, then @index as decimal text, padded with NUL
 * @root_iv:	MD5 of the content key; secret, as is the MD5 of @ret
 * @index:	0 for the first 4096 bytes of data
 *
 * The text has at most 15 digits: of a longer number the first 15 count. Extents from 10^15 on,
 * in files over 4 * 10^18 bytes, so share their IV with nine others, as in the in-tree
 * filesystem, which prints into 16 bytes.
 *
 * Source: Linux fs/ecryptfs/crypto.c, ecryptfs_derive_iv().
 */
void ecfmt_extent_iv_input(u8 ret[static 32], const u8 root_iv[static ECFMT_IV_LEN], u64 index)
{
	u8 digits[DIGITS_MAX];
	size_t n = 0, i;
	u32 digit;

	do {
		index = div_u64_rem(index, 10, &digit);
		digits[n++] = (u8)('0' + digit);
	} while (index);

	memcpy(ret, root_iv, ECFMT_IV_LEN);
	memset(ret + ECFMT_IV_LEN, 0, INDEX_LEN);
	for (i = 0; i < n && i < INDEX_LEN - 1; i++)
		ret[ECFMT_IV_LEN + i] = digits[n - 1 - i];
}
