// SPDX-License-Identifier: GPL-2.0-only
#include "offline/file.h"

#include "offline/content.h"
#include "offline/metadata.h"

#include "lib/read-full.h"

#include <sys/stat.h>

struct ec_offline_file {
	int fd;
	uint64_t size;
	uint32_t header_len;
	struct ec_offline_content *content;	/* NULL for a file without header */
};

/* The in-tree filesystem tries the last packet first, so where two keys fit, the last wins. */
static int find_packet(const struct ecfmt_header *header, const struct ec_offline_keys *keys,
		       struct ecfmt_packet *ret_packet, const struct ec_secret **ret_key)
{
	struct ecfmt_reader cur = header->packets;
	struct ecfmt_packet packet;
	const struct ec_secret *key = NULL;
	int missing = -EOPNOTSUPP;

	while (!ecfmt_packet_get(&cur, &packet)) {
		const struct ec_secret *found;

		if (packet.kind != ECFMT_PACKET_PASSPHRASE)
			continue;
		missing = -ENOKEY;
		found = ec_offline_keys_find(keys, packet.sig);
		if (!found)
			continue;
		key = found;
		*ret_packet = packet;
	}
	if (!key)
		return missing;
	*ret_key = key;
	return 0;
}

static int read_exactly(int fd, uint8_t *buf, size_t len, uint64_t offset)
{
	ssize_t n = ec_pread_full(fd, buf, len, offset);

	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -EIO;
}

static bool is_zero(const uint8_t *buf, size_t len)
{
	return buf[0] == 0 && !memcmp(buf, buf + 1, len - 1);
}

/* As the module does: zeros at the end are blocks that a crash kept from being written. */
static int leave_out_holes(struct ec_offline_file *file)
{
	uint8_t extent[ECFMT_EXTENT_LEN];
	unsigned int left = ECFMT_HOLES_MAX;
	uint64_t start;
	int r;

	while (file->size && left--) {
		start = (file->size - 1) / ECFMT_EXTENT_LEN * ECFMT_EXTENT_LEN;
		r = read_exactly(file->fd, extent, sizeof(extent), file->header_len + start);
		if (r == -EIO)		/* damage: for who reads there */
			return 0;
		if (r || !is_zero(extent, sizeof(extent)))
			return r;
		file->size = start;
	}
	return 0;
}

static int open_content(struct ec_offline_file *file, const struct ec_offline_metadata *metadata,
			const struct ec_offline_keys *keys)
{
	_cleanup_secret_ struct ec_secret fek = EC_SECRET_NULL;
	const struct ec_secret *key;
	struct ecfmt_header header;
	struct ecfmt_packet packet;
	int r;

	r = ecfmt_header_get(metadata->bytes, metadata->len, metadata->place, &header);
	if (r)
		return r;
	file->size = ecfmt_size_left(header.size, header.header_len, metadata->lower_len);
	file->header_len = header.header_len;
	r = find_packet(&header, keys, &packet, &key);
	if (r)
		return r;
	r = ec_offline_fek_unwrap(&fek, &packet, key);
	if (r)
		return r;
	r = ec_offline_content_new(&file->content, packet.cipher, &fek);
	return r ? r : leave_out_holes(file);
}

static bool is_empty(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_size == 0;
}

int ec_offline_file_new(struct ec_offline_file **ret, int fd, const struct ec_offline_keys *keys)
{
	_cleanup_offline_file_ struct ec_offline_file *new = calloc(1, sizeof(*new));
	_cleanup_free_ struct ec_offline_metadata *metadata = calloc(1, sizeof(*metadata));
	int r;

	if (!new || !metadata)
		return -ENOMEM;
	new->fd = fd;
	r = ec_offline_metadata_read(fd, metadata);
	if (!r)
		r = open_content(new, metadata, keys);
	else if (r == -ENODATA && is_empty(fd))
		r = 0;
	if (r)
		return r;
	*ret = ec_take_ptr(new);
	return 0;
}

void ec_offline_file_free(struct ec_offline_file *file)
{
	if (!file)
		return;
	ec_offline_content_free(file->content);
	free(file);
}

uint64_t ec_offline_file_size(const struct ec_offline_file *file)
{
	return file->size;
}

static int read_extent(struct ec_offline_file *file, uint64_t index,
		       uint8_t buf[static ECFMT_EXTENT_LEN])
{
	int r;

	r = read_exactly(file->fd, buf, ECFMT_EXTENT_LEN,
			 file->header_len + index * ECFMT_EXTENT_LEN);
	if (r)
		return r;
	/* No ciphertext is all zero; decrypting a hole would give noise that looks like data. */
	if (is_zero(buf, ECFMT_EXTENT_LEN))
		return -EIO;
	return ec_offline_extent_decrypt(file->content, index, buf);
}

int ec_offline_file_read(struct ec_offline_file *file, uint64_t offset, void *buf, size_t len,
			 size_t *ret_len)
{
	uint8_t extent[ECFMT_EXTENT_LEN];
	uint8_t *out = buf;
	size_t done = 0;
	int r;

	if (offset >= file->size)
		len = 0;
	else if (len > file->size - offset)
		len = (size_t)(file->size - offset);
	while (done < len) {
		size_t start = (size_t)((offset + done) % ECFMT_EXTENT_LEN);
		size_t part = ECFMT_EXTENT_LEN - start;

		if (part > len - done)
			part = len - done;
		r = read_extent(file, (offset + done) / ECFMT_EXTENT_LEN, extent);
		if (r)
			return r;
		memcpy(out + done, extent + start, part);
		done += part;
	}
	*ret_len = done;
	return 0;
}
