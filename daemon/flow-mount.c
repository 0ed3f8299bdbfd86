/* SPDX-License-Identifier: GPL-2.0-only */
/* Mounting: the unit is started, and its worker comes to fetch what it shall do. */
#include "daemon/flow.h"

#include "daemon/manager.h"
#include "daemon/units.h"
#include "daemon/vault.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/log-ids.h"
#include "lib/log.h"

#include <errno.h>
#include <string.h>

#define MOUNT_TIMEOUT_US	(60u * UINT64_C(1000000))
#define STOP_AGAIN_US		(10u * UINT64_C(1000000))
#define STOP_SILENCE_US		(90u * UINT64_C(1000000))	/* more than TimeoutStopSec= */
#define IMPORT_SILENCE_US	(300u * UINT64_C(1000000))	/* between two of its reports */

char *ecd_mount_unit(const struct ecd_vault *vault)
{
	char *unit;

	return asprintf(&unit, "ecryptfs-mount@%s.service", vault->id) < 0 ? NULL : unit;
}

static void end(struct ecd_operation *operation)
{
	ecd_job_free(operation->job);
	operation->deadline = sd_event_source_disable_unref(operation->deadline);
	operation->mounting = false;
	operation->stopping = false;
	ec_closep(&operation->keys_fd);
	if (operation->vault->mounted)
		operation->next(operation);
	else
		operation->fail(operation);
}

/*
 * Giving up. What follows may undo what the worker was doing, so it follows when the worker has
 * ended, however long that takes: systemd kills it after TimeoutStopSec= of the unit.
 */

static int start_unit(struct ecd_operation *operation, const char *method, ecd_job_fn fn);
static void stop_unit(struct ecd_operation *operation);

static int on_stop_again(sd_event_source *source, uint64_t usec, void *userdata)
{
	stop_unit(userdata);
	return 0;
}

static void stop_again_after(struct ecd_operation *operation, uint64_t delay_us)
{
	if (ecd_operation_set_deadline(operation, delay_us, on_stop_again) < 0)
		ec_log_error("out of memory, %s is not asked to stop again", operation->vault->id);
}

static int on_adopt_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	end(userdata);
	return 0;
}

static void on_adopted(void *userdata, int r, const char *text)
{
	end(userdata);
}

/* It had mounted before it heard of the stop, and no unit is active that could unmount it. A
 * worker that finds its mount in place says so, and leaves the unit active. */
static void adopt(struct ecd_operation *operation)
{
	if (start_unit(operation, "StartUnit", on_adopted) < 0 ||
	    ecd_operation_set_deadline(operation, MOUNT_TIMEOUT_US, on_adopt_timeout) < 0)
		end(operation);
}

static void on_stopped(void *userdata, int r, const char *text)
{
	struct ecd_operation *operation = userdata;

	/* -ENOENT: systemd does not even know it any more. */
	if (r < 0 && r != -ENOENT) {
		stop_again_after(operation, STOP_AGAIN_US);
		return;
	}
	ecd_vault_scan_mounts(operation->manager);
	if (operation->vault->mounted)
		adopt(operation);
	else
		end(operation);
}

static void stop_unit(struct ecd_operation *operation)
{
	_cleanup_free_ char *unit = ecd_mount_unit(operation->vault);

	ecd_job_free(operation->job);
	if (unit && ecd_job_start(operation->manager, &operation->job, "StopUnit", unit, on_stopped,
				  operation) >= 0)
		stop_again_after(operation, STOP_SILENCE_US);
	else
		stop_again_after(operation, STOP_AGAIN_US);
}

/* operation->failure says why. A worker that comes from now on gets no keys any more. */
static void give_up(struct ecd_operation *operation)
{
	operation->stopping = true;
	ec_closep(&operation->keys_fd);
	stop_unit(operation);
}

void ecd_mount_cancel(struct ecd_operation *operation)
{
	if (!operation->mounting || operation->stopping || operation->vault->mounted)
		return;
	ecd_fail(&operation->failure, -ECANCELED, NULL, "the caller is gone");
	give_up(operation);
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ecd_operation *operation = userdata;
	_cleanup_free_ char *unit = ecd_mount_unit(operation->vault);

	ecd_fail(&operation->failure, -ETIMEDOUT, EC_LOG_ID_WORKER_FAILED,
		 "mounting took too long, %s was stopped", unit);
	give_up(operation);
	return 0;
}

static int set_deadline(struct ecd_operation *operation)
{
	return ecd_operation_set_deadline(operation, operation->import_plan ? IMPORT_SILENCE_US :
					  MOUNT_TIMEOUT_US, on_timeout);
}

static void on_job(void *userdata, int r, const char *text)
{
	struct ecd_operation *operation = userdata;
	_cleanup_free_ char *unit = ecd_mount_unit(operation->vault);

	/* The unit was active although nothing is mounted: somebody unmounted by hand. */
	if (r == 0 && !operation->vault->mounted && !operation->planned && !operation->retried) {
		operation->retried = true;
		if (start_unit(operation, "RestartUnit", on_job) >= 0)
			return;
	}
	/* Somebody stopped the unit: its worker may be about to end, and has not yet. */
	if (r == -ECANCELED && !operation->vault->mounted) {
		ecd_fail(&operation->failure, r, EC_LOG_ID_WORKER_FAILED, "%s was stopped meanwhile",
			 unit);
		give_up(operation);
		return;
	}
	if (!operation->vault->mounted && !operation->failure.r)
		ecd_fail(&operation->failure, r < 0 ? r : -EIO, EC_LOG_ID_WORKER_FAILED,
			 "%s did not mount (%s); see journalctl -u %s", unit,
			 text ? text : "it ended", unit);
	end(operation);
}

static int start_unit(struct ecd_operation *operation, const char *method, ecd_job_fn fn)
{
	_cleanup_free_ char *unit = ecd_mount_unit(operation->vault);

	if (!unit)
		return -ENOMEM;
	return ecd_job_start(operation->manager, &operation->job, method, unit, fn, operation);
}

void ecd_mount_begin(struct ecd_operation *operation,
		     void (*next)(struct ecd_operation *operation),
		     void (*fail)(struct ecd_operation *operation))
{
	int r;

	operation->next = next;
	operation->fail = fail;
	operation->mounting = true;
	r = start_unit(operation, "StartUnit", on_job);
	if (r >= 0)
		r = set_deadline(operation);
	if (r < 0) {
		ecd_fail(&operation->failure, r, EC_LOG_ID_WORKER_FAILED,
			 "cannot ask systemd to start its unit: %s", strerror(-r));
		end(operation);
	}
}

/* The operation that waits for a worker of this vault, or NULL. */
static struct ecd_operation *mounting(const struct ecd_vault *vault)
{
	struct ecd_operation *operation = TAILQ_FIRST(&vault->operations);

	return operation && operation->running && operation->mounting && !operation->stopping ?
	       operation : NULL;
}

int ecd_operation_worker_plan(struct ecd_vault *vault, json_t **ret_plan, int *ret_keys_fd,
			      struct ecd_failure *failure)
{
	struct ecd_operation *operation = mounting(vault);
	json_t *plan;

	if (!operation || operation->keys_fd < 0)
		return ecd_fail(failure, -ENOKEY, NULL, "the broker has no key for %s: it is opened "
				"with a secret, not by starting its unit", vault->id);
	/* Not the vault's: that one may have been read again since its MAC was checked. */
	plan = ecd_vault_plan(vault, operation->document);
	if (!plan)
		return ecd_fail(failure, -EBADMSG, NULL, "the document of %s gives no plan",
				vault->id);
	if (operation->mount_point)
		json_object_set_new(plan, "target", json_string(operation->mount_point));
	if (operation->import_plan)
		json_object_set_new(plan, "import", json_string(vault->mount_point));
	*ret_plan = plan;
	*ret_keys_fd = operation->keys_fd;
	return 0;
}

void ecd_operation_worker_planned(struct ecd_vault *vault)
{
	struct ecd_operation *operation = mounting(vault);

	if (!operation)
		return;
	operation->planned = true;
	ec_closep(&operation->keys_fd);
}

void ecd_operation_worker_mounted(struct ecd_vault *vault, const char *engine)
{
	ecd_vault_set_mounted(vault, true, engine);
}

void ecd_operation_worker_progress(struct ecd_vault *vault)
{
	struct ecd_operation *operation = mounting(vault);

	if (operation)
		(void)set_deadline(operation);
	else
		ecd_lock_progress(vault);
}

void ecd_operation_worker_failed(struct ecd_vault *vault, int r, const char *text,
				 json_t *blockers)
{
	struct ecd_operation *operation = TAILQ_FIRST(&vault->operations);

	/* Of one that was told to stop, it is known why. The worker has written it to the journal:
	 * "" says so. */
	if (operation && operation->running && operation->job && !operation->stopping)
		ecd_fail(&operation->failure, r, "", "%s", text);
}
