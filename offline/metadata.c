// SPDX-License-Identifier: GPL-2.0-only
#include "offline/metadata.h"

#include "lib/cleanup.h"
#include "lib/read-full.h"

#include <sys/stat.h>
#include <sys/xattr.h>

#define XATTR_LEN_MAX 65536u	/* what Linux allows */

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
	ssize_t n;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	file.lower_len = (uint64_t)st.st_size;
	n = ec_pread_full(fd, file.bytes, sizeof(file.bytes), 0);
	if (n < 0)
		return (int)n;
	file.len = (size_t)n;
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
