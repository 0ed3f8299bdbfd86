/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The in-tree eCryptfs, where ecfs cannot be loaded. It looks its keys up in the keyrings of the
 * process that mounts and holds a reference of its own afterwards; so they stand in this
 * process's own keyring while it mounts, and nobody else can reach them there.
 */
#include "mount/engine.h"

#include "lib/cleanup.h"
#include "mount/fs-context.h"
#include "mount/keyring.h"

#include <errno.h>
#include <keyutils.h>
#include <string.h>

#define TYPE "ecryptfs"

static void remove_keys(const struct ec_key_set *keys)
{
	const struct ecfs_mount_key *key;
	size_t i;

	for (i = 0; (key = ec_key_set_get(keys, i)); i++)
		ec_keyring_unlink(KEY_SPEC_PROCESS_KEYRING, key->sig);
	keyctl_unlink(KEY_SPEC_USER_KEYRING, KEY_SPEC_PROCESS_KEYRING);
}

/*
 * The process keyring is searched before the session's (security/keys/process_keys.c). The user
 * keyring is linked below it for signatures that came without a key, as a session's need not be.
 */
static int add_keys(const struct ec_key_set *keys, struct ec_why *why)
{
	const struct ecfs_mount_key *key;
	size_t i;
	int r;

	for (i = 0; (key = ec_key_set_get(keys, i)); i++) {
		r = ec_keyring_add(KEY_SPEC_PROCESS_KEYRING, key);
		if (r < 0)
			return ec_why_set(why, r, "a key cannot be put into the keyring: %s",
					  strerror(-r));
	}
	if (keyctl_link(KEY_SPEC_USER_KEYRING, KEY_SPEC_PROCESS_KEYRING) < 0)
		return ec_why_set(why, -errno, "the user keyring cannot be linked: %s",
				  strerror(errno));
	return 0;
}

static int create(const struct ec_mount_request *request, int *ret_mount_fd, struct ec_why *why)
{
	_cleanup_close_ int fd = -1;
	int r;

	r = ec_fs_context_new(TYPE, request, &fd, why);
	if (r < 0)
		return r;
	r = add_keys(request->keys, why);
	if (r == 0)
		r = ec_fs_context_create(fd, TYPE, request, ret_mount_fd, why);
	remove_keys(request->keys);
	return r;
}

const struct ec_engine ec_engine_intree = {
	.name = TYPE,
	.create = create,
};
