/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lock: unmount, which takes the key with it. A vault that must not be torn away from under its
 * users is asked for by "reload", which leaves the unit active if it is busy; "stop" always ends
 * with the key gone.
 */
#include "daemon/flow.h"

#include "daemon/logind.h"
#include "daemon/manager.h"
#include "daemon/session.h"
#include "daemon/units.h"
#include "daemon/vault.h"
#include "lib/cleanup.h"
#include "lib/log-ids.h"
#include "lib/log.h"

#include <errno.h>
#include <string.h>

#define LOCK_TIMEOUT_US		(60u * UINT64_C(1000000))
/* How long a worker waits for those who use the mount. A home shall be closed 10 s after the
 * last session, and the user's own manager has taken some of that. */
#define GRACE_MS_POLITE		300u
#define GRACE_MS_FORCE		1000u
#define GRACE_MS_LOGOUT		4000u
#define GRACE_MS_UNASKED	4000u

static void stop_unit(struct ecd_operation *operation);

static void end(struct ecd_operation *operation)
{
	const struct ecd_vault *vault = operation->vault;

	if (!vault->mounted) {
		operation->failure = (struct ecd_failure){ 0 };
		ec_log(LOG_INFO, EC_LOG_FIELDS(.message_id = EC_LOG_ID_VAULT_LOCKED,
					       .vault = vault->id, .operation = "lock",
					       .peer_uid = operation->uid),
		       "Vault %s (%s) is locked%s", vault->name, vault->id,
		       operation->logout ? ", the last session is over" : "");
	} else if (!operation->failure.r) {
		ecd_fail(&operation->failure, -EIO, EC_LOG_ID_UNMOUNT_FAILED,
			 "it is still mounted at %s", ecd_vault_target(vault));
	}
	ecd_operation_finish(operation);
}

static void on_stopped(void *userdata, int r, const char *text)
{
	struct ecd_operation *operation = userdata;

	/* The worker's message may be lost; its file is gone when the mount is. */
	ecd_vault_scan_mounts(operation->manager);
	end(operation);
}

static void on_reloaded(void *userdata, int r, const char *text)
{
	struct ecd_operation *operation = userdata;

	ecd_vault_scan_mounts(operation->manager);
	if (!operation->vault->mounted) {
		stop_unit(operation);
		return;
	}
	/* A unit that is not active cannot be reloaded, and has nobody to be asked. */
	if (!operation->failure.r)
		ecd_fail(&operation->failure, -EIO, EC_LOG_ID_UNMOUNT_FAILED,
			 "its unit cannot unmount it (%s); add --force", text ? text : "no reason given");
	end(operation);
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ecd_operation *operation = userdata;

	ecd_fail(&operation->failure, -ETIMEDOUT, EC_LOG_ID_WORKER_FAILED,
		 "systemd did not stop its unit in time");
	end(operation);
	return 0;
}

static void job(struct ecd_operation *operation, const char *method, ecd_job_fn fn)
{
	_cleanup_free_ char *unit = ecd_mount_unit(operation->vault);
	int r = -ENOMEM;

	if (unit)
		r = ecd_job_start(operation->manager, &operation->job, method, unit, fn, operation);
	if (r >= 0)
		r = ecd_operation_set_deadline(operation, LOCK_TIMEOUT_US, on_timeout);
	if (r < 0)
		ecd_operation_fail_text(operation, r, "cannot ask systemd to stop its unit: %s",
					strerror(-r));
}

static void stop_unit(struct ecd_operation *operation)
{
	job(operation, "StopUnit", on_stopped);
}

static void forget(void *userdata, int r, const char *text)
{
}

/*
 * The user's own service manager and all that it runs goes before the home: the drop-in on
 * user@.service makes systemd stop the one after the other, both jobs are only queued here.
 */
static void stop_user_manager(struct ecd_operation *operation)
{
	const struct ecd_vault *vault = operation->vault;
	struct ecd_job *ignored = NULL;
	char unit[40];

	if (ecd_logind_is_lingering(operation->manager, vault->user))
		return;
	snprintf(unit, sizeof(unit), "user@%u.service", vault->owner);
	if (ecd_job_start(operation->manager, &ignored, "StopUnit", unit, forget, NULL) < 0)
		ec_log_warning("cannot ask systemd to stop %s, ignoring", unit);
	/* The job stays in the manager's list until systemd ends it, without an owner. */
	ecd_job_disown(ignored);
}

static void close_home(struct ecd_operation *operation)
{
	struct ecd_vault *vault = operation->vault;

	/* A new session may have begun while this waited for its turn, or for the store. */
	if (!vault->mounted || vault->stay_open ||
	    ecd_sessions_count(operation->manager, vault->owner)) {
		operation->nothing = true;
		ecd_operation_finish(operation);
		return;
	}
	stop_user_manager(operation);
	stop_unit(operation);
}

static void start(struct ecd_operation *operation)
{
	struct ecd_vault *vault = operation->vault;

	if (!vault->mounted && operation->logout) {
		/* Somebody else closed it while this waited: that is what was wanted. */
		operation->nothing = true;
		ecd_operation_finish(operation);
	} else if (!vault->mounted) {
		ecd_operation_fail_text(operation, -ENOKEY, "it is locked already");
	} else if (operation->logout) {
		/* After a restart it is not known yet what kind of home this is. */
		if (!vault->document && !vault->legacy && !vault->problem_error)
			ecd_refresh(operation, close_home);
		else
			close_home(operation);
	} else if (operation->force) {
		stop_unit(operation);
	} else {
		job(operation, "ReloadUnit", on_reloaded);
	}
}

void ecd_operation_worker_unmounting(struct ecd_vault *vault, bool *ret_detach,
				     unsigned int *ret_grace_ms)
{
	const struct ecd_operation *operation = TAILQ_FIRST(&vault->operations);

	*ret_detach = true;
	*ret_grace_ms = GRACE_MS_UNASKED;
	if (!operation || !operation->running || operation->kind != ECD_OPERATION_LOCK)
		return;
	*ret_detach = operation->force || operation->logout;
	*ret_grace_ms = operation->logout ? GRACE_MS_LOGOUT :
			operation->force ? GRACE_MS_FORCE : GRACE_MS_POLITE;
}

void ecd_operation_worker_unmounted(struct ecd_vault *vault, json_t *blockers, bool detached)
{
	ecd_vault_set_mounted(vault, false, NULL);
}

static bool may_cancel(const struct ecd_operation *operation)
{
	return false;
}

const struct ecd_flow ecd_flow_lock = { .start = start, .may_cancel = may_cancel };
