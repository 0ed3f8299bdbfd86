/* SPDX-License-Identifier: GPL-2.0-only */
/* Time for deadlines. */
#ifndef EC_MOUNT_CLOCK_H
#define EC_MOUNT_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds that only go forward. */
static inline uint64_t ec_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

#endif
