// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bounds, once for all: a parser that reads only through a reader cannot leave its input, and a
 * builder that writes only through a writer cannot leave its buffer. A get that fails moves
 * nothing; a put that fails makes the whole output invalid, so builders check once, at the end.
 */
#include "format/ecfmt.h"

/**
 * ecfmt_reader_init() - read from a buffer
 * @cur:	reader to set up
 * @buf:	input, borrowed; may be NULL if @len is 0
 * @len:	bytes of @buf
 */
void ecfmt_reader_init(struct ecfmt_reader *cur, const u8 *buf, size_t len)
{
	cur->pos = buf;
	cur->end = len ? buf + len : buf;
}

/**
 * ecfmt_reader_left() - how much is there to read
 * @cur:	reader
 *
 * Return: bytes from the position to the end.
 */
size_t ecfmt_reader_left(const struct ecfmt_reader *cur)
{
	return (size_t)(cur->end - cur->pos);
}

/**
 * ecfmt_get_bytes() - borrow the next bytes
 * @cur:	reader; advanced by @len on success, untouched on failure
 * @len:	bytes wanted
 * @ret:	points into the input, @len bytes; valid as long as the input is
 *
 * Return: 0, -EBADMSG if fewer are left.
 */
int ecfmt_get_bytes(struct ecfmt_reader *cur, size_t len, const u8 **ret)
{
	if (len > ecfmt_reader_left(cur))
		return -EBADMSG;
	*ret = cur->pos;
	if (len)
		cur->pos += len;
	return 0;
}

/**
 * ecfmt_get_u8() - read one byte
 * @cur:	reader; advanced on success, untouched on failure
 * @ret:	the byte; untouched on failure
 *
 * Return: 0, -EBADMSG at the end.
 */
int ecfmt_get_u8(struct ecfmt_reader *cur, u8 *ret)
{
	const u8 *b;
	int r;

	r = ecfmt_get_bytes(cur, 1, &b);
	if (r)
		return r;
	*ret = b[0];
	return 0;
}

/**
 * ecfmt_get_be16() - read two bytes, most significant first
 * @cur:	reader; advanced on success, untouched on failure
 * @ret:	the number; untouched on failure
 *
 * Return: 0, -EBADMSG if fewer are left.
 */
int ecfmt_get_be16(struct ecfmt_reader *cur, u16 *ret)
{
	const u8 *b;
	int r;

	r = ecfmt_get_bytes(cur, 2, &b);
	if (r)
		return r;
	*ret = (u16)((u16)b[0] << 8 | b[1]);
	return 0;
}

static u32 be32_at(const u8 *b)
{
	return (u32)b[0] << 24 | (u32)b[1] << 16 | (u32)b[2] << 8 | b[3];
}

/**
 * ecfmt_get_be32() - read four bytes, most significant first
 * @cur:	reader; advanced on success, untouched on failure
 * @ret:	the number; untouched on failure
 *
 * Return: 0, -EBADMSG if fewer are left.
 */
int ecfmt_get_be32(struct ecfmt_reader *cur, u32 *ret)
{
	const u8 *b;
	int r;

	r = ecfmt_get_bytes(cur, 4, &b);
	if (r)
		return r;
	*ret = be32_at(b);
	return 0;
}

/**
 * ecfmt_get_be64() - read eight bytes, most significant first
 * @cur:	reader; advanced on success, untouched on failure
 * @ret:	the number; untouched on failure
 *
 * Return: 0, -EBADMSG if fewer are left.
 */
int ecfmt_get_be64(struct ecfmt_reader *cur, u64 *ret)
{
	const u8 *b;
	int r;

	r = ecfmt_get_bytes(cur, 8, &b);
	if (r)
		return r;
	*ret = (u64)be32_at(b) << 32 | be32_at(b + 4);
	return 0;
}

/**
 * ecfmt_get_copy() - copy the next bytes
 * @cur:	reader; advanced by @len on success, untouched on failure
 * @ret:	@len bytes; untouched on failure
 * @len:	bytes wanted
 *
 * Return: 0, -EBADMSG if fewer are left.
 */
int ecfmt_get_copy(struct ecfmt_reader *cur, u8 *ret, size_t len)
{
	const u8 *b;
	int r;

	r = ecfmt_get_bytes(cur, len, &b);
	if (r)
		return r;
	if (len)
		memcpy(ret, b, len);
	return 0;
}

/**
 * ecfmt_get_sub() - a reader of its own for the next bytes
 * @cur:	reader; advanced by @len on success, untouched on failure
 * @len:	bytes of the part
 * @ret:	reads exactly these @len bytes
 *
 * Return: 0, -EBADMSG if fewer are left.
 */
int ecfmt_get_sub(struct ecfmt_reader *cur, size_t len, struct ecfmt_reader *ret)
{
	const u8 *b;
	int r;

	r = ecfmt_get_bytes(cur, len, &b);
	if (r)
		return r;
	ecfmt_reader_init(ret, b, len);
	return 0;
}

/**
 * ecfmt_get_const() - the next bytes must be these
 * @cur:	reader; advanced by @len on success, untouched on failure
 * @want:	@len bytes
 * @len:	bytes to compare
 *
 * Return: 0, -EBADMSG if fewer are left or they are others.
 */
int ecfmt_get_const(struct ecfmt_reader *cur, const void *want, size_t len)
{
	if (len > ecfmt_reader_left(cur))
		return -EBADMSG;
	if (!len)
		return 0;
	if (memcmp(cur->pos, want, len))
		return -EBADMSG;
	cur->pos += len;
	return 0;
}

/**
 * ecfmt_writer_init() - write to a buffer
 * @cur:	writer to set up
 * @buf:	output, borrowed; may be NULL if @len is 0
 * @len:	bytes of @buf
 */
void ecfmt_writer_init(struct ecfmt_writer *cur, u8 *buf, size_t len)
{
	cur->start = buf;
	cur->pos = buf;
	cur->end = len ? buf + len : buf;
	cur->failed = false;
}

/* Room for len bytes, or NULL; len is at least 1. */
static u8 *writer_take(struct ecfmt_writer *cur, size_t len)
{
	u8 *b = cur->pos;

	if (cur->failed || len > (size_t)(cur->end - cur->pos)) {
		cur->failed = true;
		return NULL;
	}
	cur->pos += len;
	return b;
}

/**
 * ecfmt_put_u8() - write one byte
 * @cur:	writer
 * @value:	the byte
 */
void ecfmt_put_u8(struct ecfmt_writer *cur, u8 value)
{
	u8 *b = writer_take(cur, 1);

	if (b)
		b[0] = value;
}

/**
 * ecfmt_put_be16() - write two bytes, most significant first
 * @cur:	writer
 * @value:	the number
 */
void ecfmt_put_be16(struct ecfmt_writer *cur, u16 value)
{
	u8 *b = writer_take(cur, 2);

	if (!b)
		return;
	b[0] = (u8)(value >> 8);
	b[1] = (u8)value;
}

static void be32_to(u8 *b, u32 value)
{
	b[0] = (u8)(value >> 24);
	b[1] = (u8)(value >> 16);
	b[2] = (u8)(value >> 8);
	b[3] = (u8)value;
}

/**
 * ecfmt_put_be32() - write four bytes, most significant first
 * @cur:	writer
 * @value:	the number
 */
void ecfmt_put_be32(struct ecfmt_writer *cur, u32 value)
{
	u8 *b = writer_take(cur, 4);

	if (b)
		be32_to(b, value);
}

/**
 * ecfmt_put_be64() - write eight bytes, most significant first
 * @cur:	writer
 * @value:	the number
 */
void ecfmt_put_be64(struct ecfmt_writer *cur, u64 value)
{
	u8 *b = writer_take(cur, 8);

	if (!b)
		return;
	be32_to(b, (u32)(value >> 32));
	be32_to(b + 4, (u32)value);
}

/**
 * ecfmt_put_bytes() - write bytes
 * @cur:	writer
 * @bytes:	@len bytes; may be NULL if @len is 0
 * @len:	bytes to write
 */
void ecfmt_put_bytes(struct ecfmt_writer *cur, const void *bytes, size_t len)
{
	u8 *b = len ? writer_take(cur, len) : NULL;

	if (b)
		memcpy(b, bytes, len);
}

/**
 * ecfmt_put_zeros() - write zero bytes
 * @cur:	writer
 * @len:	bytes to write
 */
void ecfmt_put_zeros(struct ecfmt_writer *cur, size_t len)
{
	u8 *b = len ? writer_take(cur, len) : NULL;

	if (b)
		memset(b, 0, len);
}

/**
 * ecfmt_writer_finish() - did everything fit
 * @cur:	writer
 * @ret_len:	bytes written; untouched on failure
 *
 * Return: 0, -ENOBUFS if a put did not fit or was given what the format cannot say.
 */
int ecfmt_writer_finish(const struct ecfmt_writer *cur, size_t *ret_len)
{
	if (cur->failed)
		return -ENOBUFS;
	*ret_len = (size_t)(cur->pos - cur->start);
	return 0;
}
