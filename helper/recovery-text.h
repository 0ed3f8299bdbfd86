/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A recovery key as a person writes it down: 256 bits in 8 groups of 8 letters, 4 bits a letter,
 * each group with 2 letters of checksum.
 *
 *   text	:= group ("-" group)*7
 *   group	:= letter*8 check0 check1
 *   letter	:= one of "cbdefghijklnrtuv" for 0..15: modhex, the letters that stand in the
 *		   same place on nearly all keyboards
 *   check0	:= xor of the letters' values, and of the group's number 0..7
 *   check1	:= sum of a^i * letter i over GF(16), a^4 + a + 1 = 0
 *
 * That is a Reed-Solomon code of distance 3 in each group: every one or two wrong letters and
 * every transposition are noticed, and so are two groups in the wrong order.
 */
#ifndef ECD_RECOVERY_TEXT_H
#define ECD_RECOVERY_TEXT_H

#include "lib/secret.h"

#include <stdbool.h>

#define ECD_RECOVERY_KEY_LEN		32u
#define ECD_RECOVERY_GROUPS		8u
#define ECD_RECOVERY_GROUP_LEN		10u	/* letters, with the checksum */
#define ECD_RECOVERY_TEXT_LEN		87u	/* bytes, with the dashes */

/* ret_text is initialised here to ECD_RECOVERY_TEXT_LEN bytes, without terminator. */
int ecd_recovery_encode(const struct ec_secret *key, struct ec_secret *ret_text);
/* Does this look like a recovery key, even one with mistakes in it? */
bool ecd_recovery_looks_like(const struct ec_secret *text);
/*
 * Either case; dashes and white space may stand anywhere or be missing. 0; -EKEYREJECTED with the
 * number 1..8 of the first group that cannot be right in *ret_group; -EINVAL if this does not
 * look like a recovery key; -ENOMEM.
 */
int ecd_recovery_decode(const struct ec_secret *text, struct ec_secret *ret_key,
			unsigned int *ret_group);

#endif
