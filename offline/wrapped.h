/* SPDX-License-Identifier: GPL-2.0-only */
/* The mount passphrase out of a wrapped-passphrase file of ecryptfs-utils. */
#ifndef EC_OFFLINE_WRAPPED_H
#define EC_OFFLINE_WRAPPED_H

#include "lib/kdf.h"

/*
 * buf is the file. v1_salt is only used for a file of version 1, which has no salt of its own;
 * NULL for the default of ecryptfs-utils. ret_passphrase is initialised here.
 * 0, -EKEYREJECTED if the wrapping passphrase is another, -EBADMSG, -EOPNOTSUPP, -ENOMEM.
 */
int ec_offline_unwrap(struct ec_secret *ret_passphrase, const uint8_t *buf, size_t len,
		      const struct ec_secret *wrapping, const uint8_t *v1_salt);

#endif
