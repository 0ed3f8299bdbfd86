/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Moving the files of a present home into its new vault: copy, compare, swap, open. Until the
 * swap, which is one rename, the old home stands where it was and is only read; and the swap is
 * undone if the home was in use or changed until then, or if it cannot be opened afterwards.
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
	/* How much the copy lacks, and where the list of it is; may be NULL. */
	void (*lost)(void *userdata, const char *text);
	bool (*cancelled)(void *userdata);			/* may be NULL */
	/* Mounts the vault over the closed home; may be NULL. Fails without leaving a mount. */
	int (*open)(void *userdata, struct ec_why *why);
	void *userdata;
};

#define EC_IMPORT_STAGING "/run/ecryptfsd/staging"

/*
 * Afterwards the closed home stands at plan->import, and what open() mounted over it. On failure
 * the old home is in place, the vault is empty again and no mount is left; if the old home could
 * not be put back, why says where it is, and the vault keeps its copy. -EEXIST (vault or kept home
 * not empty), -EBUSY (the home is in use, was changed, or something is mounted in it),
 * -EOPNOTSUPP, -EXDEV (it cannot be moved in one step), -ENOSPC, -EUCLEAN (the copy is not equal),
 * -ECANCELED ...
 */
int ec_import_run(const struct ec_import *import, struct ec_why *why);
/* For a vault that is complete: removes what the import of its files left when it was killed at its
 * very end. */
void ec_import_forget(const struct ec_plan *plan, const char *id);
/* Unmounts what an import that was killed left below staging. */
void ec_import_clean_up(const char *staging, const char *id);

#endif
