/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The passphrase slot: Argon2id over the bytes of the passphrase exactly as given (no trimming,
 * no normalisation), then helper/wrap.c.
 */
#include "helper/argon2id.h"
#include "helper/slot.h"
#include "helper/wrap.h"

#include <errno.h>

#define N_MEMBERS 7	/* id, type, label, created, kdf, wrapped, commitment */

static int passphrase_open(const char *uuid, const json_t *slot, const struct ec_secret *secret,
			   struct ec_secret *ret_key, struct ecd_reason *reason)
{
	_cleanup_secret_ struct ec_secret root = EC_SECRET_NULL;
	struct ecd_argon2id params;
	int r;

	if (json_object_size(slot) != N_MEMBERS)
		return ecd_fail(reason, -EBADMSG, "a passphrase slot has unknown members");
	r = ecd_argon2id_load(json_object_get(slot, "kdf"), &params, reason);
	if (r < 0)
		return r;
	if (!secret->len)	/* none is ever made with an empty one */
		return -EKEYREJECTED;
	r = ecd_argon2id_derive(&params, secret, &root, ECD_ROOT_LEN);
	if (r == -ENOMEM)
		return ecd_fail(reason, r, "there is not enough memory to derive the key: "
				"%u MiB are needed", params.memory_kib / 1024);
	if (r < 0)
		return r;
	return ecd_wrap_open(uuid, slot, &root, ret_key, reason);
}

static uint64_t work_kib(const struct ecd_argon2id *params)
{
	return (uint64_t)params->memory_kib * params->passes;
}

/*
 * A machine that is busy while a password is changed measures itself as slow; the slot keeps
 * what it cost before if that was more. It was opened at that cost, so it can be again.
 */
static void keep_cost(struct ecd_argon2id *params, const json_t *old_kdf)
{
	struct ecd_reason ignored;
	struct ecd_argon2id old;

	if (!old_kdf || ecd_argon2id_load(old_kdf, &old, &ignored) < 0)
		return;
	if (work_kib(&old) <= work_kib(params) || old.memory_kib < ECD_ARGON2ID_MEMORY_KIB_MIN ||
	    old.passes < ECD_ARGON2ID_PASSES_MIN)
		return;
	params->memory_kib = old.memory_kib;
	params->passes = old.passes;
	params->lanes = old.lanes;
}

static int passphrase_make(const char *uuid, json_t *slot, const struct ec_secret *secret,
			   const struct ec_secret *key, unsigned int target_ms,
			   struct ecd_reason *reason)
{
	_cleanup_secret_ struct ec_secret root = EC_SECRET_NULL;
	struct ecd_argon2id params;
	int r;

	if (!secret->len)
		return ecd_fail(reason, -EINVAL, "an empty passphrase is not allowed");
	r = ecd_argon2id_calibrate(target_ms, &params);
	if (r < 0)
		return r;
	keep_cost(&params, json_object_get(slot, "kdf"));
	if (json_object_set_new(slot, "kdf", ecd_argon2id_format(&params)) < 0)
		return -ENOMEM;
	r = ecd_argon2id_derive(&params, secret, &root, ECD_ROOT_LEN);
	if (r < 0)
		return r;
	return ecd_wrap_seal(uuid, slot, &root, key);
}

const struct ecd_slot_type ecd_slot_passphrase = {
	.name = "passphrase",
	.open = passphrase_open,
	.make = passphrase_make,
};
