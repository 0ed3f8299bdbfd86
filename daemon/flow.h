/* SPDX-License-Identifier: GPL-2.0-only */
/* Steps that several kinds of operations share. */
#ifndef ECD_FLOW_H
#define ECD_FLOW_H

#include "daemon/operation.h"
#include "daemon/wire-client.h"

/* The request for the document in the vault's lower directory, new. */
json_t *ecd_read_request(const struct ecd_vault *vault);
/* Asks the store for the document before the present one. -ENOENT where there is none to be tried:
 * for an old home, or because that is what was tried. */
int ecd_ask_for_backup(struct ecd_operation *operation, ecd_reply_fn fn);
/* In the journal: it was needed. */
void ecd_warn_of_backup(const struct ecd_vault *vault, const char *operation);
/* The request that brings a vault up to date, new. */
json_t *ecd_refresh_request(const struct ecd_vault *vault);
/* Asks the store about operation->vault, then goes on with next; or fails. */
void ecd_refresh(struct ecd_operation *operation, void (*next)(struct ecd_operation *operation));
/* Ends the operation if the vault is damaged; true if it did. */
bool ecd_has_problem(struct ecd_operation *operation);

/* Whether the account may try another secret; ends the operation if not. */
bool ecd_may_try_secret(struct ecd_operation *operation);
void ecd_count_wrong_secret(struct ecd_operation *operation);

/*
 * operation->keys_fd is set: starts the vault's unit, whose worker takes plan and keys, and goes
 * on with next when it is mounted, or with fail, where operation->failure says why not.
 */
void ecd_mount_begin(struct ecd_operation *operation, void (*next)(struct ecd_operation *operation),
		     void (*fail)(struct ecd_operation *operation));
/* Gives up a mount that does not stand yet; as above, when the worker has ended. */
void ecd_mount_cancel(struct ecd_operation *operation);
/* The worker that unmounts it is at work: it may take its time. */
void ecd_lock_progress(struct ecd_vault *vault);
/* "ecryptfs-mount@ID.service", new, or NULL. */
char *ecd_mount_unit(const struct ecd_vault *vault);

#endif
