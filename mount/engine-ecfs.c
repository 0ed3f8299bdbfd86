/* SPDX-License-Identifier: GPL-2.0-only */
/* The engine of this suite: keys go straight into the superblock, no keyring is touched. */
#include "mount/engine.h"

#include "lib/cleanup.h"
#include "mount/fs-context.h"

#include <errno.h>
#include <sys/mount.h>

static int set_keys(int fd, const struct ec_key_set *keys, struct ec_why *why)
{
	const struct ecfs_mount_key *key;
	size_t i;

	for (i = 0; (key = ec_key_set_get(keys, i)); i++)
		if (fsconfig(fd, FSCONFIG_SET_BINARY, ECFS_OPT_KEY, key, sizeof(*key)) < 0)
			return ec_fs_context_explain(fd, -errno, "ecfs refuses a key", why);
	return 0;
}

static int create(const struct ec_mount_request *request, int *ret_mount_fd, struct ec_why *why)
{
	_cleanup_close_ int fd = -1;
	int r;

	r = ec_fs_context_new(ECFS_FS_NAME, request, &fd, why);
	if (r < 0)
		return r;
	r = set_keys(fd, request->keys, why);
	if (r < 0)
		return r;
	return ec_fs_context_create(fd, ECFS_FS_NAME, request, ret_mount_fd, why);
}

const struct ec_engine ec_engine_ecfs = {
	.name = ECFS_FS_NAME,
	.create = create,
};
