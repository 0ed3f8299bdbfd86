// SPDX-License-Identifier: GPL-2.0-only
#include "offline/metadata.h"

#include "lib/cleanup.h"

#include <sys/stat.h>
#include <sys/xattr.h>

#define XATTR_LEN_MAX 65536u	/* what Linux allows */

/* As many bytes as there are, up to len. */
static int read_start(int fd, uint8_t *buf, size_t len, size_t *ret_len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, buf + done, len - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*ret_len = done;
	return 0;
}

/* -ENODATA also where the filesystem has no such attributes. */
static int read_xattr(int fd, struct ec_offline_metadata *metadata)
{
	_cleanup_free_ uint8_t *value = malloc(XATTR_LEN_MAX);
	ssize_t n;

	if (!value)
		return -ENOMEM;
	n = fgetxattr(fd, ECFMT_XATTR_NAME, value, XATTR_LEN_MAX);
	if (n < 0)
		return errno == EOPNOTSUPP ? -ENODATA : -errno;
	metadata->len = (size_t)n < sizeof(metadata->bytes) ? (size_t)n : sizeof(metadata->bytes);
	memcpy(metadata->bytes, value, metadata->len);
	metadata->place = ECFMT_PLACE_XATTR;
	return ecfmt_marker_ok(metadata->bytes, metadata->len) ? 0 : -ENODATA;
}

int ec_offline_metadata_read(int fd, struct ec_offline_metadata *ret)
{
	struct ec_offline_metadata file = { .place = ECFMT_PLACE_FILE }, xattr = { 0 };
	struct ecfmt_header header;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	file.lower_len = (uint64_t)st.st_size;
	r = read_start(fd, file.bytes, sizeof(file.bytes), &file.len);
	if (r)
		return r;
	if (!ecfmt_header_get(file.bytes, file.len, ECFMT_PLACE_FILE, &header)) {
		*ret = file;
		return 0;
	}
	xattr.lower_len = file.lower_len;
	r = read_xattr(fd, &xattr);
	if (!r) {
		*ret = xattr;
		return 0;
	}
	if (r != -ENODATA)
		return r;
	if (!ecfmt_marker_ok(file.bytes, file.len))
		return -ENODATA;
	*ret = file;
	return 0;
}
