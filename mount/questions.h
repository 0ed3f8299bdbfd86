/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What mount.ecryptfs asks besides the passphrase. Questions and order are those of
 * ecryptfs-utils, because scripts answer them.
 */
#ifndef EC_MOUNT_QUESTIONS_H
#define EC_MOUNT_QUESTIONS_H

#include "mount/helper-options.h"

/* Fills in what options left open: asks (may_ask), or -EINVAL with the missing option named. */
int ec_questions_cipher(struct ec_helper_options *options, bool may_ask, struct ec_why *why);
int ec_questions_passthrough(struct ec_helper_options *options, bool may_ask, struct ec_why *why);
/* preset_sig: what is offered as the key of names. */
int ec_questions_names(struct ec_helper_options *options, bool may_ask, const char *preset_sig,
		       struct ec_why *why);
/* A key that was never used here and was not typed twice: -ECANCELED unless the answer is yes. */
int ec_questions_unknown_sig(const char *sig, const char *cache_path, bool *ret_remember,
			     struct ec_why *why);

#endif
