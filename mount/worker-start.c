/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Start: asks the broker for plan and keys, mounts exactly that, checks it, says so. What the
 * worker leaves behind is either a mount with its state file, or neither; if it is killed in
 * between, worker-tidy.c sees to that.
 */
#include "mount/worker.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/log-ids.h"
#include "lib/log.h"
#include "mount/broker.h"
#include "mount/detached.h"
#include "mount/import.h"
#include "mount/lower-use.h"
#include "mount/mount-state.h"
#include "mount/mount-table.h"
#include "mount/pin.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static volatile sig_atomic_t terminated;

static void note_signal(int number)
{
	terminated = 1;
}

/* A mount without its state file must not happen, so a stop waits for the next step to end. */
static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = note_signal };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* After a restart of the unit, the mount of before may still stand. */
static bool stands_already(const char *id, char *ret_engine, size_t ret_len)
{
	_cleanup_mount_state_ struct ec_mount_state state = EC_MOUNT_STATE_NULL;

	if (ec_mount_state_read(EC_MOUNT_STATE_DIRECTORY, id, &state) < 0 ||
	    !ec_worker_stands(&state))
		return false;
	snprintf(ret_engine, ret_len, "%s", state.engine);
	return true;
}

static int check_target(const char *id, const struct ec_plan *plan, int target,
			struct ec_why *why)
{
	_cleanup_mount_table_ struct ec_mount_table table = EC_MOUNT_TABLE_NULL;
	const struct ec_mount_entry *entry;
	bool closed = true;
	int r;

	r = ec_pin_check(target, EC_PIN_TARGET, plan->owner, plan->target, why);
	if (r == 0)
		r = ec_mount_table_read("/proc/self/mountinfo", &table);
	if (r < 0)
		return r;
	entry = ec_mount_table_by_target(&table, plan->target);
	if (entry && ec_mount_type_is_ours(entry->type))
		return ec_why_set(why, -EALREADY, "%s is a mount point of %s already",
				  plan->target, entry->type);
	if (ec_plan_is_own_home(id, plan)) {
		r = ec_pin_is_closed_home(target, &closed);
		if (r < 0)
			return ec_why_set(why, r, "%s: %s", plan->target, strerror(-r));
	}
	if (!closed)
		return ec_why_set(why, -EEXIST, "%s holds files that are not in the vault, of an import that was interrupted perhaps; mounting would hide them",
				  plan->target);
	return 0;
}

/* Two mounts of one lower directory know nothing of each other, and each writes over the other. */
static int check_source(const char *id, const struct ec_plan *plan, struct ec_why *why)
{
	_cleanup_mount_state_ struct ec_mount_state state = EC_MOUNT_STATE_NULL;

	if (ec_mount_state_find_source(EC_MOUNT_STATE_DIRECTORY, plan->source, id,
				       ec_worker_stands, &state) < 0)
		return 0;
	return ec_why_set(why, -EBUSY, "%s is mounted at %s already, as %s", plan->source,
			  state.target, state.id);
}

/* What is to be noted of a mount, besides what the engine tells. */
struct opening {
	const char *id;
	const struct ec_plan *plan;
};

/*
 * Written before anything stands, and valid from when it does: who finds it later and no state
 * file knows that a start was killed in between (worker-tidy.c).
 */
static int prepare_state(void *userdata, const struct ec_mounted *mounted, struct ec_why *why)
{
	const struct opening *opening = userdata;
	const struct ec_mount_state state = {
		.id = (char *)opening->id,
		.source = opening->plan->source,
		.target = opening->plan->target,
		.engine = (char *)mounted->engine->name,
		.owner = opening->plan->owner,
		.mount_id = mounted->mount_id,
		.dev_major = major(mounted->device),
		.dev_minor = minor(mounted->device),
	};
	int r = ec_mount_state_prepare(EC_MOUNT_STATE_DIRECTORY, &state, &opening->plan->options);

	return r < 0 ? ec_why_set(why, r, "%s: %s", EC_MOUNT_STATE_DIRECTORY, strerror(-r)) : 0;
}

static int mount_plan(const char *id, const struct ec_plan *plan, const struct ec_key_set *keys,
		      struct ec_mounted *ret, struct ec_why *why)
{
	_cleanup_close_ int source = -1, target = -1;
	struct opening opening = { .id = id, .plan = plan };
	struct ec_mount_request request = {
		.target_path = plan->target,
		.options = &plan->options,
		.keys = keys,
		.prepare = prepare_state,
		.userdata = &opening,
	};
	int r;

	r = ec_pin_directory(plan->source, &source, why);
	if (r == 0)
		r = ec_pin_check(source, EC_PIN_SOURCE, plan->owner, plan->source, why);
	if (r == 0)
		r = ec_pin_directory(plan->target, &target, why);
	if (r == 0)
		r = check_target(id, plan, target, why);
	if (r == 0)
		r = ec_lower_check_free(source, plan->source, why);
	if (r < 0)
		return r;
	request.source_fd = source;
	request.target_fd = target;
	r = ec_pin_attributes(source, target, &request.attributes);
	if (r < 0)
		return ec_why_set(why, r, "%s: %s", plan->target, strerror(-r));
	/* Where only root can change the path, the mount table may show it. */
	if (ec_pin_path_is_stable(plan->source))
		request.source_path = plan->source;
	return ec_engine_mount(&request, NULL, ret, why);
}

static int open_vault(const char *id, const struct ec_plan *plan, const struct ec_key_set *keys,
		      struct ec_mounted *ret, struct ec_why *why)
{
	int r;

	r = mount_plan(id, plan, keys, ret, why);
	if (r < 0) {
		ec_mount_state_remove_prepared(EC_MOUNT_STATE_DIRECTORY, id);
		return r;
	}
	r = ec_mount_state_commit(EC_MOUNT_STATE_DIRECTORY, id);
	if (r == 0)
		return 0;
	ec_worker_tidy(id);
	return ec_why_set(why, r, "%s: %s", EC_MOUNT_STATE_DIRECTORY, strerror(-r));
}

/* What the steps of an import want to know or say. */
struct importing {
	const char *id;
	const struct ec_plan *plan;
	const struct ec_key_set *keys;
	struct ec_broker *broker;
	struct ec_mounted *mounted;
};

static bool import_cancelled(void *userdata)
{
	return terminated;
}

static void import_progress(void *userdata, const char *text)
{
	const struct importing *importing = userdata;

	ec_broker_progress(importing->broker, text);
}

static void import_lost(void *userdata, const char *text)
{
	const struct importing *importing = userdata;

	ec_broker_progress(importing->broker, text);
	ec_log(LOG_WARNING, EC_LOG_FIELDS(.vault = importing->id, .operation = "import"),
	       "%s: %s", importing->id, text);
}

static int import_open(void *userdata, struct ec_why *why)
{
	const struct importing *importing = userdata;

	return open_vault(importing->id, importing->plan, importing->keys, importing->mounted,
			  why);
}

static int import_home(const char *id, const struct ec_plan *plan, const struct ec_key_set *keys,
		       struct ec_broker *broker, struct ec_mounted *ret, struct ec_why *why)
{
	struct importing importing = {
		.id = id, .plan = plan, .keys = keys, .broker = broker, .mounted = ret,
	};
	const struct ec_import import = {
		.id = id,
		.plan = plan,
		.keys = keys,
		.staging = EC_IMPORT_STAGING,
		.progress = import_progress,
		.lost = import_lost,
		.cancelled = import_cancelled,
		.open = import_open,
		.userdata = &importing,
	};

	return ec_import_run(&import, why);
}

/* A sandbox that gives the worker mounts of its own would make the home open for nobody. */
static int check_namespace(struct ec_why *why)
{
	struct stat own, system;

	if (stat("/proc/self/ns/mnt", &own) < 0 || stat("/proc/1/ns/mnt", &system) < 0)
		return 0;	/* not for us to see: no reason to keep a home closed */
	if (own.st_ino == system.st_ino && own.st_dev == system.st_dev)
		return 0;
	return ec_why_set(why, -EXDEV, "the worker runs in a mount namespace of its own: a setting of ecryptfs-mount@.service");
}

/* By us, or by an administrator's own umount --lazy: then our state file still stands. */
static int check_detached(const char *id, struct ec_why *why)
{
	int r = ec_detached_check(EC_DETACHED_DIRECTORY, id, true, why);

	return r < 0 ? r : ec_detached_check(EC_MOUNT_STATE_DIRECTORY, id, false, why);
}

static int start(const char *id, struct ec_broker *broker, struct ec_mounted *ret,
		 struct ec_why *why)
{
	_cleanup_key_set_ struct ec_key_set keys = EC_KEY_SET_NULL;
	_cleanup_plan_ struct ec_plan plan = EC_PLAN_NULL;
	int r;

	r = check_namespace(why);
	if (r == 0)
		r = check_detached(id, why);
	if (r == 0)
		r = ec_broker_plan(broker, &plan, &keys, why);
	if (r < 0)
		return r;
	r = check_source(id, &plan, why);
	if (r < 0)
		return r;
	ec_import_clean_up(EC_IMPORT_STAGING, id);
	if (plan.import)
		return import_home(id, &plan, &keys, broker, ret, why);
	if (ec_plan_is_own_home(id, &plan))
		ec_import_forget(&plan, id);
	return open_vault(id, &plan, &keys, ret, why);
}

static void report_mounted(const char *id, struct ec_broker *broker, const char *engine)
{
	int r = ec_broker_mounted(broker, engine);

	if (r < 0)
		ec_log(LOG_WARNING, EC_LOG_FIELDS(.vault = id, .operation = "start", .error = r),
		       "%s is mounted but the broker could not be told: %s, ignoring", id,
		       ec_error_sentence(r));
	if (strcmp(engine, ECFS_FS_NAME))
		ec_log(LOG_WARNING,
		       EC_LOG_FIELDS(.message_id = EC_LOG_ID_ENGINE_FALLBACK, .vault = id),
		       "%s is mounted with the module %s of the kernel, because the module ecfs is not available",
		       id, engine);
}

int ec_worker_start(const char *id)
{
	_cleanup_(ec_broker_done) struct ec_broker broker = { .socket = -1 };
	struct ec_why why = EC_WHY_NULL;
	struct ec_mounted mounted;
	char engine[32];
	int r;

	catch_signals();
	r = ec_broker_connect(&broker, EC_BROKER_SOCKET, id, EC_BROKER_START_TIMEOUT_MS);
	if (r < 0) {
		ec_log(LOG_ERR, EC_LOG_FIELDS(.message_id = EC_LOG_ID_MOUNT_FAILED, .vault = id,
					      .operation = "start", .error = r),
		       "%s cannot be mounted: %s", id, ec_error_sentence(r));
		return r;
	}
	ec_worker_tidy(id);
	if (stands_already(id, engine, sizeof(engine))) {
		report_mounted(id, &broker, engine);
		return 0;
	}
	r = start(id, &broker, &mounted, &why);
	if (r < 0) {
		const char *text = ec_why_text(&why, r);

		ec_broker_failed(&broker, r, text, NULL);
		ec_log(LOG_ERR, EC_LOG_FIELDS(.message_id = EC_LOG_ID_MOUNT_FAILED, .vault = id,
					      .operation = "start", .error = r),
		       "%s cannot be mounted: %s", id, text);
		return r;
	}
	report_mounted(id, &broker, mounted.engine->name);
	return 0;
}
