/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Slots: the ways to open a vault. A type knows how to get from a secret to the key that its
 * slot wraps, and how to wrap that key anew. All types have this one shape; the operations see
 * nothing else of them.
 */
#ifndef ECD_SLOT_H
#define ECD_SLOT_H

#include "helper/reason.h"
#include "lib/secret.h"

#include <jansson.h>
#include <stdbool.h>

struct ecd_slot_type {
	const char *name;

	/* Has the secret the form of this type's secrets? NULL: any secret has. */
	bool (*fits)(const struct ec_secret *secret);

	/* A new secret of this type, as text; NULL: a person chooses it. */
	int (*generate)(struct ec_secret *ret_secret);

	/*
	 * Unwraps. uuid is the vault's (ignored by the legacy type). 0; -EKEYREJECTED for a wrong
	 * secret; -EBADMSG for a slot that cannot be right; -EOPNOTSUPP for parameters beyond
	 * what this program is willing to spend; -ENOMEM; -EIO.
	 */
	int (*open)(const char *uuid, const json_t *slot, const struct ec_secret *secret,
		    struct ec_secret *ret_key, struct ecd_reason *reason);

	/*
	 * Wraps key under secret and replaces the type's own members of slot, which has its id
	 * already. Never cheaper to guess than what slot had before. target_ms: milliseconds
	 * that a derivation may take. 0; -EINVAL for a secret that this type does not take.
	 */
	int (*make)(const char *uuid, json_t *slot, const struct ec_secret *secret,
		    const struct ec_secret *key, unsigned int target_ms,
		    struct ecd_reason *reason);
};

extern const struct ecd_slot_type ecd_slot_passphrase;
extern const struct ecd_slot_type ecd_slot_recovery;
/* Of ecryptfs-utils: { "wrapped": base64, "v1_salt": hex? }; wraps the mount passphrase. */
extern const struct ecd_slot_type ecd_slot_legacy;
/* Of the file, 1 or 2; -EBADMSG, -EOPNOTSUPP, -ENOMEM. */
int ecd_slot_legacy_version(const json_t *slot);

/* i = 0, 1, ...: the types that vault documents may have, cheapest to open first; NULL after. */
const struct ecd_slot_type *ecd_slot_type_row(size_t i);
const struct ecd_slot_type *ecd_slot_type_by_name(const char *name);

#endif
