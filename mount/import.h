/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Moving the files of a present home into its new vault: copy, compare, swap. Until the swap,
 * which is one rename, the old home stands where it was and is only read.
 */
#ifndef EC_MOUNT_IMPORT_H
#define EC_MOUNT_IMPORT_H

#include "mount/plan.h"

struct ec_import {
	const char *id;
	const struct ec_plan *plan;
	const struct ec_key_set *keys;
	const char *staging;	/* directory for the temporary mount, EC_IMPORT_STAGING */
	const char *engine;	/* NULL: any */
	void (*progress)(void *userdata, const char *text);	/* may be NULL */
	bool (*cancelled)(void *userdata);			/* may be NULL */
	void *userdata;
};

#define EC_IMPORT_STAGING "/run/ecryptfsd/staging"

/*
 * Afterwards the closed home stands at plan->import. On failure the old home is in place, the
 * vault is empty again and no mount is left. -EEXIST (vault or kept home not empty), -EBUSY
 * (something is mounted in the home), -ENOSPC, -EUCLEAN (files changed while they were copied),
 * -ECANCELED ...
 */
int ec_import_run(const struct ec_import *import, struct ec_why *why);
/* Unmounts what an import that was killed left below staging. */
void ec_import_clean_up(const char *staging, const char *id);

#endif
