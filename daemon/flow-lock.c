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
#include <systemd/sd-login.h>

/* What systemd gets to drop a job. */
#define CANCEL_US		(5u * UINT64_C(1000000))
/* How long a worker waits for those who use the mount. A home shall be closed 10 s after the
 * last session, and the user's own manager has taken some of that. */
#define GRACE_MS_POLITE		300u
#define GRACE_MS_FORCE		1000u
#define GRACE_MS_LOGOUT		4000u
#define GRACE_MS_UNASKED	4000u

static void stop_unit(struct ecd_operation *operation);
static void reload_unit(struct ecd_operation *operation);

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

/* A session has begun since: nobody wants it closed any more. */
static bool is_overtaken(const struct ecd_operation *operation)
{
	return operation->logout &&
	       ecd_sessions_count(operation->manager, operation->vault->owner);
}

static void leave_open(struct ecd_operation *operation)
{
	operation->failure = (struct ecd_failure){ 0 };
	operation->nothing = true;
	ecd_operation_finish(operation);
}

/* It goes no further: what is mounted now stays so. */
static void give_up(struct ecd_operation *operation)
{
	if (operation->vault->mounted && is_overtaken(operation))
		leave_open(operation);
	else
		end(operation);
}

static int on_cancel_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	give_up(userdata);
	return 0;
}

/*
 * The job must not be left behind: it may wait for the user's manager to stop, and would run as
 * soon as the next session starts that again, under its feet.
 */
static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ecd_operation *operation = userdata;

	ecd_fail(&operation->failure, -ETIMEDOUT, EC_LOG_ID_WORKER_FAILED,
		 "systemd did not stop its unit in time");
	operation->timed_out = true;
	ecd_job_cancel(operation->job);
	if (ecd_operation_set_deadline(operation, CANCEL_US, on_cancel_timeout) < 0)
		end(operation);
	return 0;
}

static int set_deadline(struct ecd_operation *operation)
{
	return ecd_operation_set_deadline(operation, operation->manager->config.stop_timeout_us,
					  on_timeout);
}

static void job(struct ecd_operation *operation, const char *method, ecd_job_fn fn)
{
	_cleanup_free_ char *unit = ecd_mount_unit(operation->vault);
	int r = -ENOMEM;

	if (unit)
		r = ecd_job_start(operation->manager, &operation->job, method, unit, fn, operation);
	if (r >= 0)
		r = set_deadline(operation);
	if (r < 0)
		ecd_operation_fail_text(operation, r, "cannot ask systemd to stop its unit: %s",
					strerror(-r));
}

static void forget(void *userdata, int r, const char *text)
{
}

/* The job stays in the manager's list until systemd ends it, without an owner. */
static void start_job_and_forget(struct ecd_manager *manager, const char *method, const char *unit)
{
	struct ecd_job *ignored = NULL;

	if (ecd_job_start(manager, &ignored, method, unit, forget, NULL) < 0)
		ec_log_warning("%s of %s cannot be asked of systemd, ignoring", method, unit);
	ecd_job_disown(ignored);
}

/*
 * Adoption
 *
 * A unit whose ExecStop= failed or took too long is not active any more, and its mount stands. To
 * stop it once more is done at once, without a worker, for ever. A worker that is started finds the
 * mount in its place, says so, and leaves the unit active: then it can be stopped again.
 */

static void on_adopted(void *userdata, int r, const char *text)
{
	struct ecd_operation *operation = userdata;

	ecd_vault_scan_mounts(operation->manager);
	if (!operation->vault->mounted || is_overtaken(operation) || operation->failure.r ||
	    operation->timed_out)
		give_up(operation);
	else if (operation->force || operation->logout)
		stop_unit(operation);
	else
		reload_unit(operation);
}

static void adopt(struct ecd_operation *operation)
{
	operation->retried = true;
	job(operation, "StartUnit", on_adopted);
}

static void readopt_later(struct ecd_vault *vault)
{
	_cleanup_free_ char *unit = ecd_mount_unit(vault);

	if (unit)
		start_job_and_forget(vault->manager, "StartUnit", unit);
}

static void on_stopped(void *userdata, int r, const char *text)
{
	struct ecd_operation *operation = userdata;
	struct ecd_vault *vault = operation->vault;

	/* The worker's message may be lost; its file is gone when the mount is. */
	ecd_vault_scan_mounts(operation->manager);
	if (!vault->mounted) {
		end(operation);
	} else if (is_overtaken(operation) || operation->timed_out || operation->retried ||
		   r == -ECANCELED) {
		/* A job that was cancelled in time leaves the unit active. */
		if (r != -ECANCELED)
			readopt_later(vault);
		give_up(operation);
	} else {
		/* Stopped once more then, unless a worker was there and said why it failed. */
		adopt(operation);
	}
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
	if (!operation->failure.r && !operation->retried) {
		adopt(operation);
		return;
	}
	if (!operation->failure.r)
		ecd_fail(&operation->failure, -EIO, EC_LOG_ID_UNMOUNT_FAILED,
			 "its unit cannot unmount it (%s); add --force", text ? text : "no reason given");
	end(operation);
}

static void stop_unit(struct ecd_operation *operation)
{
	job(operation, "StopUnit", on_stopped);
}

static void reload_unit(struct ecd_operation *operation)
{
	job(operation, "ReloadUnit", on_reloaded);
}

static void start_user_manager_job(struct ecd_vault *vault, const char *method)
{
	char unit[40];

	snprintf(unit, sizeof(unit), "user@%u.service", vault->owner);
	start_job_and_forget(vault->manager, method, unit);
}

/*
 * The user's own service manager and all that it runs goes before the home: the drop-in on
 * user@.service makes systemd stop the one after the other, both jobs are only queued here.
 */
static void stop_user_manager(struct ecd_operation *operation)
{
	struct ecd_vault *vault = operation->vault;

	if (ecd_logind_is_lingering(operation->manager, vault->user))
		return;
	start_user_manager_job(vault, "StopUnit");
	vault->manager_stopped = true;
}

/*
 * logind keeps a user for UserStopDelaySec= after the last session, 10 s as a rule. It has not
 * heard that user@.service was stopped behind its back, so it starts nothing for a login within that
 * time. Once it has let go of the user, it starts all that belongs to one itself.
 */
void ecd_operation_restart_user_manager(struct ecd_vault *vault)
{
	_cleanup_free_ char *state = NULL;

	if (!vault->manager_stopped)
		return;
	vault->manager_stopped = false;
	if (sd_uid_get_state(vault->owner, &state) < 0 || !strcmp(state, "offline"))
		return;
	start_user_manager_job(vault, "StartUnit");
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
		reload_unit(operation);
	}
}

/* The operation that waits for the vault to be unmounted, or NULL. */
static struct ecd_operation *locking(const struct ecd_vault *vault)
{
	struct ecd_operation *operation = TAILQ_FIRST(&vault->operations);

	return operation && operation->running && operation->kind == ECD_OPERATION_LOCK ?
	       operation : NULL;
}

void ecd_lock_progress(struct ecd_vault *vault)
{
	struct ecd_operation *operation = locking(vault);

	if (operation && operation->unmounting && !operation->timed_out)
		(void)set_deadline(operation);
}

void ecd_operation_overtake_lock(struct ecd_vault *vault)
{
	struct ecd_operation *operation = locking(vault);

	/* Where the worker is at it already, its end has to be awaited. */
	if (!operation || !operation->logout || operation->unmounting || !operation->job)
		return;
	ecd_job_cancel(operation->job);
	(void)ecd_operation_set_deadline(operation, CANCEL_US, on_cancel_timeout);
}

bool ecd_operation_worker_unmount_is_stray(const struct ecd_vault *vault)
{
	const struct ecd_operation *operation = TAILQ_FIRST(&vault->operations);

	if (!ecd_vault_is_of_home(vault) || !ecd_sessions_count(vault->manager, vault->owner))
		return false;
	if (!operation || !operation->running)
		return true;
	switch (operation->kind) {
	case ECD_OPERATION_LOCK:
		return operation->logout;
	case ECD_OPERATION_UNLOCK:	/* one that was given up */
	case ECD_OPERATION_CREATE:
		return false;
	default:
		return true;
	}
}

/* The worker writes to the journal why it fails. */
void ecd_operation_worker_unmount_refused(struct ecd_vault *vault)
{
	/* It takes the place of the job that stops the unit, and runs when that has failed. */
	readopt_later(vault);
}

void ecd_operation_worker_unmounting(struct ecd_vault *vault, bool *ret_detach,
				     unsigned int *ret_grace_ms)
{
	struct ecd_operation *operation = locking(vault);

	*ret_detach = true;
	*ret_grace_ms = GRACE_MS_UNASKED;
	if (!operation)
		return;
	/* What it waited for before is over: from now on it is the worker that may take its time. */
	operation->unmounting = true;
	(void)set_deadline(operation);
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
