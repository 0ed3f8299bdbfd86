/* SPDX-License-Identifier: GPL-2.0-only */
/* Finds the header of a lower file: at its start, or in its extended attribute. */
#ifndef EC_OFFLINE_METADATA_H
#define EC_OFFLINE_METADATA_H

#include "format/ecfmt.h"

struct ec_offline_metadata {
	enum ecfmt_place place;
	uint64_t lower_len;			/* bytes of the lower file */
	uint8_t bytes[ECFMT_HEADER_READ_LEN];
	size_t len;				/* bytes of header or attribute that were read */
};

/*
 * Reads what a header can be in; fd is a regular file open for reading, its position stays.
 * A readable header in the file wins over the attribute, as for the in-tree filesystem; where
 * neither is readable, the one with a marker is returned, for a message about it.
 * 0, -ENODATA if there is no marker anywhere, -EINVAL if fd is no regular file, or the errno of
 * fstat(), pread(), fgetxattr().
 */
int ec_offline_metadata_read(int fd, struct ec_offline_metadata *ret);

#endif
