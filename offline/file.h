/* SPDX-License-Identifier: GPL-2.0-only */
/* A lower file, read as its plaintext. */
#ifndef EC_OFFLINE_FILE_H
#define EC_OFFLINE_FILE_H

#include "offline/keys.h"

struct ec_offline_file;

/*
 * fd is a regular file open for reading, borrowed as long as the object lives.
 * 0, -ENODATA if it has no header (a lower file of 0 bytes has none and is an empty file),
 * -EBADMSG or -EOPNOTSUPP for what ecfmt_header_get() refuses, -ENOKEY if no key of its packets
 * was given, -EOPNOTSUPP if only public keys open it or libgcrypt has not the cipher.
 */
int ec_offline_file_new(struct ec_offline_file **ret, int fd, const struct ec_offline_keys *keys);
void ec_offline_file_free(struct ec_offline_file *file);
/* Bytes of plaintext. */
uint64_t ec_offline_file_size(const struct ec_offline_file *file);
/*
 * Reads len bytes at offset, fewer only at the end. 0, -EIO if the lower file is too short for
 * its size, or has a hole where every writer would have written an extent; else the errno of
 * pread().
 */
int ec_offline_file_read(struct ec_offline_file *file, uint64_t offset, void *buf, size_t len,
			 size_t *ret_len);

static inline void ec_offline_file_freep(struct ec_offline_file **file)
{
	ec_offline_file_free(*file);
}

#define _cleanup_offline_file_ _cleanup_(ec_offline_file_freep)

#endif
