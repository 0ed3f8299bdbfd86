/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one file of format/ that knows whether it is compiled into the kernel module or into
 * userspace: integer types, errno values, memory functions and static assertions.
 */
#ifndef ECFMT_PORT_H
#define ECFMT_PORT_H

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/errno.h>
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
#endif

#define ECFMT_ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#endif
