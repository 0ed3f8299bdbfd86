/* SPDX-License-Identifier: GPL-2.0-only */
/* Packing keys for the kernel. */
#include "helper/mount-keys.h"

#include "helper/json-bytes.h"
#include "kmod/uapi/ecfs.h"
#include "lib/hex.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static_assert(sizeof(struct ecfs_mount_key) == 88, "the worker cuts the memfd by this size");
static_assert(sizeof(((struct ecfs_mount_key *)0)->key) == EC_S2K_KEY_LEN, "whole keys");

void ecd_mount_keys_done(struct ecd_mount_keys *keys)
{
	ec_secret_done(&keys->packed);
}

int ecd_mount_keys_add(struct ecd_mount_keys *keys, const struct ec_secret *key,
		       const uint8_t sig[static EC_SIG_LEN],
		       const uint8_t salt[static EC_S2K_SALT_LEN])
{
	struct ecfs_mount_key *packed;
	int r;

	if (keys->n_roles >= ECD_MOUNT_KEYS_MAX || key->len != EC_S2K_KEY_LEN)
		return -EINVAL;
	if (!keys->packed.data) {
		r = ec_secret_init(&keys->packed, ECD_MOUNT_KEYS_MAX * sizeof(*packed));
		if (r < 0)
			return r;
	}
	packed = (struct ecfs_mount_key *)keys->packed.data + keys->n_packed++;
	keys->packed.len = keys->n_packed * sizeof(*packed);
	packed->version = ECFS_MOUNT_KEY_VERSION;
	memcpy(packed->sig, sig, sizeof(packed->sig));
	memcpy(packed->salt, salt, sizeof(packed->salt));
	memcpy(packed->key, key->data, sizeof(packed->key));
	ec_hex_encode(keys->sig_hex[keys->n_roles++], sig, EC_SIG_LEN);
	return 0;
}

void ecd_mount_keys_add_same(struct ecd_mount_keys *keys)
{
	memcpy(keys->sig_hex[1], keys->sig_hex[0], sizeof(keys->sig_hex[1]));
	keys->n_roles = 2;
}

json_t *ecd_mount_keys_describe(const struct ecd_mount_keys *keys)
{
	static const char *const roles[ECD_MOUNT_KEYS_MAX] = { "content", "names" };
	_cleanup_json_ json_t *array = json_array();
	size_t i;

	for (i = 0; i < keys->n_roles; i++)
		if (json_array_append_new(array, json_pack("{s:s, s:s}", "sig", keys->sig_hex[i],
							   "role", roles[i])) < 0)
			return NULL;
	return json_incref(array);
}
