/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading a descriptor that may answer in pieces. */
#ifndef EC_READ_FULL_H
#define EC_READ_FULL_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

/* From @offset in bytes, or from where the descriptor stands if that is negative. */
static inline ssize_t ec_read_full_at(int fd, uint8_t *buf, size_t len, off_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = offset < 0 ? read(fd, buf + done, len - done) :
					 pread(fd, buf + done, len - done, offset + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* Up to len bytes, fewer only at the end of the file. The count, or a negative errno. */
static inline ssize_t ec_read_full(int fd, uint8_t *buf, size_t len)
{
	return ec_read_full_at(fd, buf, len, -1);
}

/* The same from an offset in bytes; the descriptor's own position is neither used nor moved. */
static inline ssize_t ec_pread_full(int fd, uint8_t *buf, size_t len, uint64_t offset)
{
	if (offset > INT64_MAX - len)
		return -EINVAL;
	return ec_read_full_at(fd, buf, len, (off_t)offset);
}

#endif
