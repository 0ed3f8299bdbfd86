// SPDX-License-Identifier: GPL-2.0-only
/*
 * The wrapped-passphrase file of ecryptfs-utils: a mount passphrase, encrypted under a key that
 * comes from the login passphrase. Version 1 had one salt for everybody and is only read.
 * Facts and check values: docs/format.md.
 */
#include "format/ecfmt.h"

#define VERSION_MARK		':'	/* no hexadecimal digit, which version 1 starts with */
#define CIPHERTEXT_BLOCK_LEN	16u
#define CIPHERTEXT_LEN_MAX	64u

static bool ciphertext_len_ok(size_t len)
{
	return len && len <= CIPHERTEXT_LEN_MAX && len % CIPHERTEXT_BLOCK_LEN == 0;
}

static int get_sig(struct ecfmt_reader *cur, u8 sig[static ECFMT_SIG_LEN])
{
	const u8 *hex;
	int r;

	r = ecfmt_get_bytes(cur, ECFMT_SIG_HEX_LEN, &hex);
	if (r)
		return r;
	return ecfmt_sig_from_hex(sig, (const char *)hex, ECFMT_SIG_HEX_LEN);
}

/* Behind 64 bytes of ciphertext the tools of ecryptfs-utils do not look, and neither do we. */
static int get_ciphertext(struct ecfmt_reader *cur, struct ecfmt_wrapped *wrapped)
{
	size_t len = ecfmt_reader_left(cur);

	if (len > CIPHERTEXT_LEN_MAX)
		len = CIPHERTEXT_LEN_MAX;
	if (!ciphertext_len_ok(len))
		return -EBADMSG;
	wrapped->ciphertext_len = len;
	return ecfmt_get_bytes(cur, len, &wrapped->ciphertext);
}

static int get_version_and_salt(struct ecfmt_reader *cur, struct ecfmt_wrapped *wrapped)
{
	static const u8 mark = VERSION_MARK;
	int r;

	wrapped->version = 1;
	if (ecfmt_get_const(cur, &mark, 1))
		return 0;
	r = ecfmt_get_u8(cur, &wrapped->version);
	if (r)
		return r;
	if (wrapped->version != 2)
		return -EOPNOTSUPP;
	return ecfmt_get_copy(cur, wrapped->salt, ECFMT_SALT_LEN);
}

/**
 * ecfmt_wrapped_get() - read a wrapped-passphrase file
 * @buf:	the file
 * @len:	bytes of @buf
 * @ret:	its fields, the ciphertext borrowed from @buf; the salt of version 1, which the file
 *		does not have, is zero. Untouched on failure
 *
 * Source: ecryptfs-utils, src/libecryptfs/key_management.c.
 * Return: 0, -EBADMSG if truncated or no such file, -EOPNOTSUPP for a version other than 1 and 2.
 */
int ecfmt_wrapped_get(const u8 *buf, size_t len, struct ecfmt_wrapped *ret)
{
	struct ecfmt_wrapped wrapped = { 0 };
	struct ecfmt_reader cur;
	int r;

	ecfmt_reader_init(&cur, buf, len);
	r = get_version_and_salt(&cur, &wrapped);
	if (r)
		return r;
	r = get_sig(&cur, wrapped.sig);
	if (r)
		return r;
	r = get_ciphertext(&cur, &wrapped);
	if (r)
		return r;
	*ret = wrapped;
	return 0;
}

/**
 * ecfmt_wrapped_put() - write a wrapped-passphrase file, version 2
 * @cur:	writer; fails if it does not fit, for a version other than 2, or for a ciphertext
 *		that is not 1 to 4 blocks of 16 bytes
 * @wrapped:	its fields
 */
void ecfmt_wrapped_put(struct ecfmt_writer *cur, const struct ecfmt_wrapped *wrapped)
{
	char hex[ECFMT_SIG_HEX_LEN + 1];

	if (wrapped->version != 2 || !ciphertext_len_ok(wrapped->ciphertext_len)) {
		cur->failed = true;
		return;
	}
	ecfmt_sig_to_hex(hex, wrapped->sig);
	ecfmt_put_u8(cur, VERSION_MARK);
	ecfmt_put_u8(cur, wrapped->version);
	ecfmt_put_bytes(cur, wrapped->salt, ECFMT_SALT_LEN);
	ecfmt_put_bytes(cur, hex, ECFMT_SIG_HEX_LEN);
	ecfmt_put_bytes(cur, wrapped->ciphertext, wrapped->ciphertext_len);
}
