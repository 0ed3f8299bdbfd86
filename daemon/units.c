/* SPDX-License-Identifier: GPL-2.0-only */
/* Start and stop of units over org.freedesktop.systemd1. */
#include "daemon/units.h"

#include "daemon/manager.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#include <errno.h>
#include <string.h>

#define SYSTEMD_NAME	"org.freedesktop.systemd1"
#define SYSTEMD_PATH	"/org/freedesktop/systemd1"
#define SYSTEMD_IFACE	"org.freedesktop.systemd1.Manager"
#define CALL_TIMEOUT_US	(20u * UINT64_C(1000000))

struct ecd_job {
	TAILQ_ENTRY(ecd_job) link;
	struct ecd_manager *manager;
	struct ecd_job **slot;
	sd_bus_slot *call;
	char *path;		/* of the job, once systemd has said it */
	bool cancelled;
	ecd_job_fn fn;
	void *userdata;
};

void ecd_job_free(struct ecd_job *job)
{
	if (!job)
		return;
	TAILQ_REMOVE(&job->manager->jobs, job, link);
	sd_bus_slot_unref(job->call);
	free(job->path);
	if (job->slot)
		*job->slot = NULL;
	free(job);
}

void ecd_job_disown(struct ecd_job *job)
{
	if (job)
		job->slot = NULL;
}

/* Without a reply: what comes of it is in the signal that the job is gone. */
static void send_cancel(const struct ecd_job *job)
{
	uint32_t id = (uint32_t)strtoul(strrchr(job->path, '/') + 1, NULL, 10);

	if (sd_bus_call_method_async(job->manager->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH,
				     SYSTEMD_IFACE, "CancelJob", NULL, NULL, "u", id) < 0)
		ec_log_warning("cannot ask systemd to cancel a job, ignoring");
}

void ecd_job_cancel(struct ecd_job *job)
{
	if (!job || job->cancelled)
		return;
	job->cancelled = true;
	if (job->path)
		send_cancel(job);
}

static void complete(struct ecd_job *job, int r, const char *text)
{
	ecd_job_fn fn = job->fn;
	void *userdata = job->userdata;

	ecd_job_free(job);
	fn(userdata, r, text);
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
	const sd_bus_error *error = sd_bus_message_get_error(reply);
	struct ecd_job *job = userdata;
	const char *path;

	job->call = sd_bus_slot_unref(job->call);
	if (error) {
		int r = sd_bus_error_has_name(error, "org.freedesktop.systemd1.NoSuchUnit") ?
			-ENOENT : -EIO;

		complete(job, r, error->message);
		return 0;
	}
	if (sd_bus_message_read(reply, "o", &path) < 0 || !(job->path = strdup(path))) {
		complete(job, -EIO, "systemd gave no job");
		return 0;
	}
	if (job->cancelled)
		send_cancel(job);
	return 0;
}

static int result_errno(const char *result)
{
	if (!strcmp(result, "done") || !strcmp(result, "skipped"))
		return 0;
	if (!strcmp(result, "canceled"))
		return -ECANCELED;
	if (!strcmp(result, "timeout"))
		return -ETIMEDOUT;
	return -EIO;
}

static int on_job_removed(sd_bus_message *signal, void *userdata, sd_bus_error *ret_error)
{
	struct ecd_manager *manager = userdata;
	const char *path, *unit, *result;
	struct ecd_job *job;
	uint32_t id;

	if (sd_bus_message_read(signal, "uoss", &id, &path, &unit, &result) < 0)
		return 0;
	TAILQ_FOREACH(job, &manager->jobs, link) {
		if (!job->path || strcmp(job->path, path))
			continue;
		complete(job, result_errno(result), result);
		break;
	}
	return 0;
}

int ecd_job_start(struct ecd_manager *manager, struct ecd_job **slot, const char *method,
		  const char *unit, ecd_job_fn fn, void *userdata)
{
	sd_bus_message *call = NULL;
	struct ecd_job *job;
	int r;

	job = calloc(1, sizeof(*job));
	if (!job)
		return -ENOMEM;
	*job = (struct ecd_job){ .manager = manager, .fn = fn, .userdata = userdata };
	TAILQ_INSERT_TAIL(&manager->jobs, job, link);

	r = sd_bus_message_new_method_call(manager->bus, &call, SYSTEMD_NAME, SYSTEMD_PATH,
					   SYSTEMD_IFACE, method);
	if (r >= 0)
		r = sd_bus_message_append(call, "ss", unit, "replace");
	if (r >= 0)
		r = sd_bus_call_async(manager->bus, &job->call, call, on_reply, job,
				      CALL_TIMEOUT_US);
	sd_bus_message_unref(call);
	if (r < 0) {
		ecd_job_free(job);
		return r;
	}
	job->slot = slot;
	*slot = job;
	return 0;
}

/*
 * State of the system
 */

struct ecd_state_query {
	struct ecd_state_query **slot;
	sd_bus_slot *call;
	ecd_goes_down_fn fn;
	void *userdata;
};

void ecd_state_query_free(struct ecd_state_query *query)
{
	if (!query)
		return;
	*query->slot = NULL;
	sd_bus_slot_unref(query->call);
	free(query);
}

/* "stopping" as soon as shutdown.target is queued, "maintenance" in rescue and emergency mode:
 * org.freedesktop.systemd1(5). */
static int on_state(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
	struct ecd_state_query *query = userdata;
	ecd_goes_down_fn fn = query->fn;
	void *owner = query->userdata;
	const char *state = "";
	bool goes_down;

	goes_down = sd_bus_message_is_method_error(reply, NULL) ||
		    sd_bus_message_read(reply, "v", "s", &state) < 0 ||
		    !strcmp(state, "stopping") || !strcmp(state, "maintenance");
	ecd_state_query_free(query);
	fn(owner, goes_down);
	return 0;
}

int ecd_units_ask_goes_down(struct ecd_manager *manager, struct ecd_state_query **slot,
			    ecd_goes_down_fn fn, void *userdata)
{
	struct ecd_state_query *query = calloc(1, sizeof(*query));
	int r;

	if (!query)
		return -ENOMEM;
	r = sd_bus_call_method_async(manager->bus, &query->call, SYSTEMD_NAME, SYSTEMD_PATH,
				     "org.freedesktop.DBus.Properties", "Get", on_state, query, "ss",
				     SYSTEMD_IFACE, "SystemState");
	if (r < 0) {
		free(query);
		return r;
	}
	query->fn = fn;
	query->userdata = userdata;
	query->slot = slot;
	*slot = query;
	return 0;
}

int ecd_units_listen(struct ecd_manager *manager)
{
	return sd_bus_match_signal_async(manager->bus, NULL, SYSTEMD_NAME, SYSTEMD_PATH,
					 SYSTEMD_IFACE, "JobRemoved", on_job_removed, NULL,
					 manager);
}
