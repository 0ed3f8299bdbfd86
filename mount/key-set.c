/* SPDX-License-Identifier: GPL-2.0-only */
/* The mount keys of one mount. */
#include "mount/key-set.h"

#include <errno.h>
#include <string.h>

#define KEY_LEN sizeof(struct ecfs_mount_key)

_Static_assert(KEY_LEN == 88, "struct ecfs_mount_key is 88 bytes on the wire");

const struct ecfs_mount_key *ec_key_set_get(const struct ec_key_set *set, size_t i)
{
	if (i >= set->n_keys)
		return NULL;
	return (const struct ecfs_mount_key *)(set->bytes.data + i * KEY_LEN);
}

const struct ecfs_mount_key *ec_key_set_find(const struct ec_key_set *set, const void *sig)
{
	const struct ecfs_mount_key *key;
	size_t i;

	for (i = 0; (key = ec_key_set_get(set, i)); i++)
		if (!memcmp(key->sig, sig, sizeof(key->sig)))
			return key;
	return NULL;
}

int ec_key_set_from_memfd(struct ec_key_set *ret, int fd)
{
	_cleanup_key_set_ struct ec_key_set set = EC_KEY_SET_NULL;
	size_t i;
	int r;

	r = ec_secret_from_memfd(&set.bytes, fd);
	if (r < 0)
		return r;
	if (!set.bytes.len || set.bytes.len % KEY_LEN || set.bytes.len / KEY_LEN > EC_KEY_SET_MAX)
		return -EPROTO;
	set.n_keys = set.bytes.len / KEY_LEN;
	for (i = 0; i < set.n_keys; i++) {
		const struct ecfs_mount_key *key = ec_key_set_get(&set, i);

		if (key->version != ECFS_MOUNT_KEY_VERSION || key->reserved)
			return -EPROTO;
	}

	*ret = set;
	set = EC_KEY_SET_NULL;
	return 0;
}

int ec_key_set_add(struct ec_key_set *set, const struct ecfs_mount_key *key)
{
	_cleanup_secret_ struct ec_secret grown = EC_SECRET_NULL;
	int r;

	if (set->n_keys >= EC_KEY_SET_MAX)
		return -E2BIG;
	r = ec_secret_init(&grown, (set->n_keys + 1) * KEY_LEN);
	if (r < 0)
		return r;
	if (set->n_keys)
		memcpy(grown.data, set->bytes.data, set->n_keys * KEY_LEN);
	memcpy(grown.data + set->n_keys * KEY_LEN, key, KEY_LEN);
	ec_secret_move(&set->bytes, &grown);
	set->n_keys++;
	return 0;
}

void ec_key_set_done(struct ec_key_set *set)
{
	if (!set)
		return;
	ec_secret_done(&set->bytes);
	set->n_keys = 0;
}
