/* SPDX-License-Identifier: GPL-2.0-only */
/* Mounts that live on without a place. */
#include "mount/detached.h"

#include "lib/cleanup.h"
#include "mount/blockers.h"
#include "mount/engine.h"
#include "mount/mount-table.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#define SCAN_MS 10000u

bool ec_detached_loses_its_key(const struct ec_mount_state *state)
{
	return !strcmp(state->engine, ec_engine_ecfs.name);
}

int ec_detached_note(const char *directory, const struct ec_mount_state *state)
{
	const struct ec_mount_options none = { .n_rows = 0 };

	return ec_detached_loses_its_key(state) ? 0 : ec_mount_state_write(directory, state, &none);
}

/* Who uses the device, unless it has a place or its number is another one's by now. */
static int find_users(dev_t device, json_t **ret)
{
	_cleanup_mount_table_ struct ec_mount_table table = EC_MOUNT_TABLE_NULL;
	size_t i;
	int r;

	r = ec_mount_table_read("/proc/self/mountinfo", &table);
	if (r < 0)
		return r;
	for (i = 0; i < table.n_entries; i++)
		if (makedev(table.entries[i].dev_major, table.entries[i].dev_minor) == device) {
			*ret = json_array();
			return *ret ? 0 : -ENOMEM;
		}
	return ec_blockers_of_device(device, &table, SCAN_MS, ret);
}

int ec_detached_check(const char *directory, const char *id, bool forget, struct ec_why *why)
{
	_cleanup_mount_state_ struct ec_mount_state state = EC_MOUNT_STATE_NULL;
	char names[600];
	json_t *blockers;
	int r;

	/* A damaged file tells of nothing. */
	if (ec_mount_state_read(directory, id, &state) < 0 || ec_detached_loses_its_key(&state))
		return 0;
	r = find_users(makedev(state.dev_major, state.dev_minor), &blockers);
	if (r < 0)
		return ec_why_set(why, r, "who still uses %s since it was closed cannot be found out: %s",
				  state.target, strerror(-r));
	ec_blockers_to_text(blockers, names, sizeof(names));
	json_decref(blockers);
	if (names[0])
		return ec_why_set(why, -EBUSY, "%s was closed while it was in use, and still is in use by %s: opened a second time, it would be damaged; end that first",
				  state.target, names);
	if (forget)
		ec_mount_state_remove(directory, id);
	return 0;
}
