/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tidy: takes away what a start left that was killed when its mount stood already and nothing said
 * so. Nobody would close that home: neither the unit, which failed, nor the broker.
 */
#include "mount/worker.h"

#include "lib/log.h"

#include <jansson.h>
#include <sys/sysmacros.h>

struct ec_unmount_request ec_worker_unmount_request(const struct ec_mount_state *state)
{
	return (struct ec_unmount_request){
		.target = state->target,
		.mount_id = state->mount_id,
		.device = makedev(state->dev_major, state->dev_minor),
	};
}

bool ec_worker_stands(const struct ec_mount_state *state)
{
	struct ec_unmount_request request = ec_worker_unmount_request(state);

	return ec_unmount_stands(&request);
}

static int unmount_unnoted(const char *id, const struct ec_mount_state *state)
{
	struct ec_unmount_request request = ec_worker_unmount_request(state);
	struct ec_unmount_result result = { 0 };
	struct ec_why why = EC_WHY_NULL;
	int r;

	request.detach = true;
	r = ec_unmount(&request, &result, &why);
	json_decref(result.blockers);
	ec_log(r < 0 ? LOG_ERR : LOG_WARNING,
	       EC_LOG_FIELDS(.vault = id, .operation = "tidy", .error = r),
	       "%s was mounted by a start that was killed: %s", id,
	       r < 0 ? ec_why_text(&why, r) : "unmounted");
	return r;
}

int ec_worker_tidy(const char *id)
{
	_cleanup_mount_state_ struct ec_mount_state state = EC_MOUNT_STATE_NULL;
	int r;

	/* One that is damaged was not finished, and so nothing was mounted. */
	r = ec_mount_state_read_prepared(EC_MOUNT_STATE_DIRECTORY, id, &state);
	r = r == 0 && ec_worker_stands(&state) ? unmount_unnoted(id, &state) : 0;
	if (r == 0)
		ec_mount_state_remove_prepared(EC_MOUNT_STATE_DIRECTORY, id);
	return r;
}
