/* SPDX-License-Identifier: GPL-2.0-only */
/* The keys that an offline reader was given, found by their signatures. */
#ifndef EC_OFFLINE_KEYS_H
#define EC_OFFLINE_KEYS_H

#include "format/ecfmt.h"
#include "lib/kdf.h"

struct ec_offline_key {
	uint8_t sig[ECFMT_SIG_LEN];
	struct ec_secret key;		/* 64 bytes */
};

struct ec_offline_keys {
	struct ec_offline_key *keys;
	size_t n_keys;
};

#define EC_OFFLINE_KEYS_NULL ((struct ec_offline_keys){ 0 })

void ec_offline_keys_done(struct ec_offline_keys *keys);
/* A key of 64 bytes, copied. 0 also if it is there already; -EINVAL for another length, -ENOMEM. */
int ec_offline_keys_add(struct ec_offline_keys *keys, const struct ec_secret *key);
/* The key of a passphrase, ec_s2k(); its signature in ret_sig if that is not NULL. */
int ec_offline_keys_add_passphrase(struct ec_offline_keys *keys,
				   const struct ec_secret *passphrase,
				   const uint8_t salt[static EC_S2K_SALT_LEN], uint8_t *ret_sig);
/* Borrowed; NULL if there is none of that signature. */
const struct ec_secret *ec_offline_keys_find(const struct ec_offline_keys *keys,
					     const uint8_t sig[static ECFMT_SIG_LEN]);

#define _cleanup_offline_keys_ _cleanup_(ec_offline_keys_done)

#endif
