/* SPDX-License-Identifier: GPL-2.0-only */
/* Encrypted names and symlink targets, to plain and back. */
#ifndef EC_OFFLINE_NAME_H
#define EC_OFFLINE_NAME_H

#include "offline/keys.h"

enum ec_offline_name_kind {
	EC_OFFLINE_COMPONENT,	/* of a directory */
	EC_OFFLINE_TARGET,	/* of a symlink */
};

/*
 * The plain name of a lower one, NUL-terminated and new. The prefix in front of a plain name
 * follows from the key, so it shows whether cipher, key length and ciphertext belong together;
 * where the cipher's code leaves the key length open, each one is tried.
 * 0, -ENODATA if the name is not encrypted, -EBADMSG if it is damaged or not what a writer
 * makes, -ENOKEY if its key was not given, -EOPNOTSUPP, -ENOMEM.
 */
int ec_offline_name_decrypt(char **ret, const char *lower, const struct ec_offline_keys *keys,
			    enum ec_offline_name_kind kind);
/*
 * The lower name of a plain one, NUL-terminated and new; whether it fits a directory is for the
 * caller to see. 0, -EINVAL for an empty name or a key length that the cipher has not,
 * -ENAMETOOLONG if no packet can hold it, -EOPNOTSUPP, -ENOMEM.
 */
int ec_offline_name_encrypt(char **ret, const char *plain, const struct ec_secret *key,
			    const struct ecfmt_cipher *cipher, size_t key_len);

#endif
