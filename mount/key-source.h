/* SPDX-License-Identifier: GPL-2.0-only */
/* Where mount.ecryptfs has its keys from: a passphrase, or a keyring of the caller. */
#ifndef EC_MOUNT_KEY_SOURCE_H
#define EC_MOUNT_KEY_SOURCE_H

#include "mount/helper-options.h"
#include "mount/key-set.h"

/*
 * Reads the passphrase from where the options say, or asks for it (may_ask). ret_asked: it was
 * typed, so that a first use calls for typing it again. -ENOKEY if there is no way to get one.
 */
int ec_key_source_passphrase(const struct ec_helper_options *options, bool may_ask,
			     struct ec_secret *ret, bool *ret_asked, struct ec_why *why);
/* Asks again and compares: -EKEYREJECTED. */
int ec_key_source_confirm(const struct ec_secret *passphrase, struct ec_why *why);
/* Derives the key of a passphrase and adds it; ret_sig is its signature. */
int ec_key_source_derive(const struct ec_helper_options *options,
			 const struct ec_secret *passphrase, struct ec_key_set *keys,
			 char ret_sig[static ECFMT_SIG_HEX_LEN + 1], struct ec_why *why);
/* Takes the key of that signature from the caller's keyrings, unless it is in keys already. A
 * key that only the kernel can read is left to it. */
int ec_key_source_keyring(const char sig[static ECFMT_SIG_HEX_LEN + 1], struct ec_key_set *keys,
			  struct ec_why *why);

#endif
