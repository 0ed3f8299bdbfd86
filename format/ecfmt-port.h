/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one file of format/ that knows whether it is compiled into the kernel module or into
 * userspace: integer types, errno values, memory functions, 64-bit division.
 */
#ifndef ECFMT_PORT_H
#define ECFMT_PORT_H

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/math64.h>
#include <linux/string.h>
#include <linux/types.h>
#else
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

/* The kernel's name: a plain 64-bit division does not link on its 32-bit machines. */
static inline u64 div_u64_rem(u64 dividend, u32 divisor, u32 *remainder)
{
	*remainder = (u32)(dividend % divisor);
	return dividend / divisor;
}
#endif

#define ECFMT_ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#endif
