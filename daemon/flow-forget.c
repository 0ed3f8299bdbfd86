/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Forget: the entry of a directory vault in the register goes, for a vault whose directory has gone
 * before it. What is on the disk is not touched, whether it is there or not.
 */
#include "daemon/flow.h"

#include "daemon/manager.h"
#include "daemon/vault.h"
#include "lib/log-ids.h"
#include "lib/log.h"

#include <errno.h>
#include <string.h>

static void forget(struct ecd_operation *operation)
{
	struct ecd_vault *vault = operation->vault;
	int r = ecd_vault_unregister_directory(operation->manager, vault->id);

	if (r < 0) {
		ecd_operation_fail_text(operation, r, "its entry in the register cannot be removed: %s",
					strerror(-r));
		return;
	}
	/* All that the entry said, for who wants it back. */
	ec_log(LOG_NOTICE, EC_LOG_FIELDS(.message_id = EC_LOG_ID_VAULT_FORGOTTEN, .vault = vault->id,
					 .operation = "forget", .peer_uid = operation->uid),
	       "Vault %s (%s) of uid %u was forgotten; its files were in %s, to be mounted at %s",
	       vault->name, vault->id, vault->owner, vault->lower, vault->mount_point);
	TAILQ_REMOVE(&vault->operations, operation, vault_link);
	operation->vault = NULL;
	ecd_vault_free(vault);
	ecd_operation_finish(operation);
}

static void start(struct ecd_operation *operation)
{
	if (ecd_vault_is_of_home(operation->vault))
		ecd_operation_fail_text(operation, -EOPNOTSUPP, "a home is not in the register: it is "
					"found where it stands");
	else if (operation->vault->mounted)
		ecd_operation_fail_text(operation, -EALREADY, "it is open at %s",
					ecd_vault_target(operation->vault));
	/* It could not be told what became of it. */
	else if (TAILQ_NEXT(operation, vault_link))
		ecd_operation_fail_text(operation, -EBUSY, "another operation on it waits");
	else
		forget(operation);
}

static bool may_cancel(const struct ecd_operation *operation)
{
	return true;
}

const struct ecd_flow ecd_flow_forget = { .start = start, .may_cancel = may_cancel };
