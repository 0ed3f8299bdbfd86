/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ~/.ecryptfs/sig-cache.txt: signatures of keys that were used before, 16 hexadecimal digits and
 * a newline each. A signature that is not in it may come of a mistyped passphrase.
 */
#ifndef EC_MOUNT_SIG_CACHE_H
#define EC_MOUNT_SIG_CACHE_H

#include "format/ecfmt.h"

#include <stdbool.h>

#define EC_SIG_CACHE_RECORD_LEN 17u
#define EC_SIG_CACHE_LEN_MAX	(17u * 65536u)

/* 0; a missing file has nothing in it. -EINVAL if it is no regular file, -E2BIG. */
int ec_sig_cache_has(const char *path, const char sig[static ECFMT_SIG_HEX_LEN + 1], bool *ret);
/* Adds the signature if it is not there: a new file (0600, its directory 0700) with every good
 * record of the old one takes its place. */
int ec_sig_cache_add(const char *path, const char sig[static ECFMT_SIG_HEX_LEN + 1]);

#endif
