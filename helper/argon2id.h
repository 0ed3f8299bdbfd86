/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Argon2id with costs that are chosen here and bounded here: a floor for what this program
 * makes, a ceiling for what it is willing to spend on a document that somebody wrote.
 */
#ifndef ECD_ARGON2ID_H
#define ECD_ARGON2ID_H

#include "helper/reason.h"
#include "lib/secret.h"

#include <jansson.h>
#include <stdint.h>

#define ECD_ARGON2ID_SALT_LEN		16u
/* Floor of what is made (RFC 9106, 4, the second recommended option). */
#define ECD_ARGON2ID_MEMORY_KIB_MIN	65536u
#define ECD_ARGON2ID_PASSES_MIN		3u
#define ECD_ARGON2ID_MEMORY_KIB_TARGET	262144u
/* Ceilings of what is read: 1 GiB at once, and 16 GiB written in all, some 20 s of one CPU. */
#define ECD_ARGON2ID_MEMORY_KIB_MAX	1048576u
#define ECD_ARGON2ID_PASSES_MAX		64u
#define ECD_ARGON2ID_LANES_MAX		16u
#define ECD_ARGON2ID_WORK_KIB_MAX	16777216u
/* Milliseconds that a derivation shall take on the machine that makes the slot. */
#define ECD_ARGON2ID_TARGET_MS		700u

struct ecd_argon2id {
	uint32_t memory_kib;
	uint32_t passes;
	uint32_t lanes;
	uint8_t salt[ECD_ARGON2ID_SALT_LEN];
};

/* Parameters for about target_ms on this machine, not below the floor; a new salt. 0, -ENOMEM,
 * -EIO. Takes some 60 ms itself. */
int ecd_argon2id_calibrate(unsigned int target_ms, struct ecd_argon2id *ret);
/* From a slot's "kdf". Nothing is allocated before the ceilings hold. 0, -EBADMSG (shape),
 * -EOPNOTSUPP (above a ceiling), -ENOMEM. */
int ecd_argon2id_load(const json_t *kdf, struct ecd_argon2id *ret, struct ecd_reason *reason);
/* A new object for a slot's "kdf", or NULL. */
json_t *ecd_argon2id_format(const struct ecd_argon2id *params);
/* ret_root is initialised here to ret_len bytes. 0, -ENOMEM, -EIO. */
int ecd_argon2id_derive(const struct ecd_argon2id *params, const struct ec_secret *secret,
			struct ec_secret *ret_root, size_t ret_len);

#endif
