/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stop: unmounts what the state file says, and only if it still is that mount. Works without a
 * broker, because a home must close even when nobody is left to ask.
 */
#include "mount/worker.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/log-ids.h"
#include "lib/log.h"
#include "mount/blockers.h"
#include "mount/broker.h"
#include "mount/clock.h"
#include "mount/detached.h"
#include "mount/import.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <systemd/sd-daemon.h>

/* What a worker does that nobody answers. */
#define GRACE_MS_ALONE 2000u
#define WORKING_MS 2000u

struct stop {
	const char *id;
	struct ec_broker broker;
	uint64_t next_ms;	/* when to say again that the work goes on */
};

static void busy(void *userdata, json_t *blockers)
{
	struct stop *stop = userdata;
	char names[600], text[700];

	ec_blockers_to_text(blockers, names, sizeof(names));
	snprintf(text, sizeof(text), "in use by %s", names[0] ? names : "something that is no process");
	ec_broker_progress(&stop->broker, text);
	ec_log(LOG_NOTICE, EC_LOG_FIELDS(.message_id = EC_LOG_ID_BUSY_AT_LOGOUT,
					 .vault = stop->id, .operation = "stop"),
	       "%s is %s", stop->id, text);
}

/* The unit has 40 s for its stop, and as long again from each time that it hears of this. */
static void working(void *userdata, const char *doing)
{
	struct stop *stop = userdata;

	if (ec_now_ms() < stop->next_ms)
		return;
	stop->next_ms = ec_now_ms() + WORKING_MS;
	(void)sd_notify(0, "EXTEND_TIMEOUT_USEC=40000000");
	if (doing)
		ec_broker_progress(&stop->broker, doing);
}

static void log_result(const char *id, const struct ec_mount_state *state,
		       const struct ec_unmount_result *result, const struct ec_why *why)
{
	if (why->text[0])
		ec_log(LOG_WARNING, EC_LOG_FIELDS(.vault = id, .operation = "stop"),
		       "%s: %s, ignoring", id, why->text);
	if (result->detached)
		ec_log(LOG_WARNING, EC_LOG_FIELDS(.message_id = EC_LOG_ID_VAULT_DETACHED,
						  .vault = id, .operation = "stop"),
		       "%s stayed in use: it was detached, %s", id,
		       ec_detached_loses_its_key(state) ? "its key is gone" :
		       "but the module of the kernel keeps its key until the last of those programs has ended");
}

static int unmount_state(struct stop *stop, const struct ec_mount_state *state,
			 struct ec_unmount_result *result, struct ec_why *why)
{
	struct ec_broker_stop how = { .detach = true, .grace_ms = GRACE_MS_ALONE };
	struct ec_unmount_request request = ec_worker_unmount_request(state);

	ec_broker_connect(&stop->broker, EC_BROKER_SOCKET, stop->id, EC_BROKER_TIMEOUT_MS);
	ec_broker_unmounting(&stop->broker, &how);
	if (how.keep)
		return ec_why_set(why, -EBUSY, "a session uses it (who means it all the same: ecryptfsctl lock --force)");
	request.busy = busy;
	request.working = working;
	request.userdata = stop;
	request.detach = how.detach;
	request.grace_ms = how.grace_ms;
	return ec_unmount(&request, result, why);
}

static void note_detached(const char *id, const struct ec_mount_state *state)
{
	int r = ec_detached_note(EC_DETACHED_DIRECTORY, state);

	if (r < 0)
		ec_log(LOG_WARNING, EC_LOG_FIELDS(.vault = id, .operation = "stop", .error = r),
		       "%s: that it was detached cannot be noted: %s, ignoring", id, strerror(-r));
}

static int report_failure(struct stop *stop, int r, json_t *blockers, const struct ec_why *why)
{
	const char *text = ec_why_text(why, r);

	ec_broker_failed(&stop->broker, r, text, blockers);
	ec_log(LOG_ERR, EC_LOG_FIELDS(.message_id = EC_LOG_ID_UNMOUNT_FAILED, .vault = stop->id,
				      .operation = "stop", .error = r),
	       "%s cannot be unmounted: %s", stop->id, text);
	return r;
}

int ec_worker_stop(const char *id)
{
	_cleanup_mount_state_ struct ec_mount_state state = EC_MOUNT_STATE_NULL;
	struct stop stop = { .id = id, .broker = { .socket = -1 } };
	struct ec_unmount_result result = { 0 };
	struct ec_why why = EC_WHY_NULL;
	int r;

	signal(SIGPIPE, SIG_IGN);
	ec_import_clean_up(EC_IMPORT_STAGING, id);
	r = ec_mount_state_read(EC_MOUNT_STATE_DIRECTORY, id, &state);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		ec_why_set(&why, r, "its state file is damaged");
	else
		r = unmount_state(&stop, &state, &result, &why);
	if (r < 0) {
		report_failure(&stop, r, result.blockers, &why);
	} else {
		log_result(id, &state, &result, &why);
		if (result.detached)
			note_detached(id, &state);
		ec_mount_state_remove(EC_MOUNT_STATE_DIRECTORY, id);
		ec_broker_unmounted(&stop.broker, result.blockers, result.detached);
	}
	json_decref(result.blockers);
	ec_broker_done(&stop.broker);
	return r;
}
