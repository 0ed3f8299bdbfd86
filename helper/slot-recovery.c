/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The recovery slot: 256 random bits that a person keeps on paper. They need no slow derivation,
 * so HKDF with the slot's salt leads to helper/wrap.c.
 */
#include "helper/json-bytes.h"
#include "helper/recovery-text.h"
#include "helper/slot.h"
#include "helper/wrap.h"
#include "lib/kdf.h"

#include <errno.h>
#include <string.h>

#define SALT_LEN	16u
#define KDF_NAME	"hkdf-sha512"
#define INFO_ROOT	"ecryptfs recovery key"
#define N_MEMBERS	7	/* id, type, label, created, kdf, wrapped, commitment */

static int derive(const struct ec_secret *text, const uint8_t salt[SALT_LEN],
		  struct ec_secret *ret_root, struct ecd_reason *reason)
{
	_cleanup_secret_ struct ec_secret key = EC_SECRET_NULL;
	unsigned int group = 0;
	int r;

	r = ecd_recovery_decode(text, &key, &group);
	if (r == -EINVAL)
		return ecd_fail(reason, -EKEYREJECTED, "this is not a recovery key: it has %u "
				"groups of %u letters", ECD_RECOVERY_GROUPS,
				ECD_RECOVERY_GROUP_LEN);
	if (r == -EKEYREJECTED)
		return ecd_fail(reason, r, "group %u is mistyped", group);
	if (r < 0)
		return r;
	return ec_hkdf_sha512(ret_root, ECD_ROOT_LEN, &key, salt, SALT_LEN, INFO_ROOT);
}

static int recovery_open(const char *uuid, const json_t *slot, const struct ec_secret *secret,
			 struct ec_secret *ret_key, struct ecd_reason *reason)
{
	const json_t *kdf = json_object_get(slot, "kdf");
	const char *name = json_string_value(json_object_get(kdf, "name"));
	_cleanup_secret_ struct ec_secret root = EC_SECRET_NULL;
	uint8_t salt[SALT_LEN];
	int r;

	if (json_object_size(slot) != N_MEMBERS || json_object_size(kdf) != 2 || !name ||
	    strcmp(name, KDF_NAME) != 0)
		return ecd_fail(reason, -EBADMSG, "a recovery slot is malformed");
	r = ecd_json_get_bytes(kdf, "salt", salt, sizeof(salt));
	if (r < 0)
		return ecd_fail(reason, r, "the salt of a recovery slot is malformed");
	r = derive(secret, salt, &root, reason);
	if (r < 0)
		return r;
	return ecd_wrap_open(uuid, slot, &root, ret_key, reason);
}

static int recovery_make(const char *uuid, json_t *slot, const struct ec_secret *secret,
			 const struct ec_secret *key, unsigned int target_ms,
			 struct ecd_reason *reason)
{
	_cleanup_json_ json_t *kdf = json_pack("{s:s}", "name", KDF_NAME);
	_cleanup_secret_ struct ec_secret root = EC_SECRET_NULL;
	uint8_t salt[SALT_LEN];
	int r;

	r = ecd_random(salt, sizeof(salt));
	if (r < 0)
		return r;
	r = derive(secret, salt, &root, reason);
	if (r < 0)
		return r == -EKEYREJECTED ? -EINVAL : r;
	if (!kdf || ecd_json_set_bytes(kdf, "salt", salt, sizeof(salt)) < 0 ||
	    json_object_set(slot, "kdf", kdf) < 0)
		return -ENOMEM;
	return ecd_wrap_seal(uuid, slot, &root, key);
}

static int recovery_generate(struct ec_secret *ret_secret)
{
	_cleanup_secret_ struct ec_secret key = EC_SECRET_NULL;
	int r;

	r = ec_secret_init(&key, ECD_RECOVERY_KEY_LEN);
	if (r < 0)
		return r;
	r = ecd_random(key.data, key.len);
	if (r < 0)
		return r;
	return ecd_recovery_encode(&key, ret_secret);
}

const struct ecd_slot_type ecd_slot_recovery = {
	.name = "recovery",
	.fits = ecd_recovery_looks_like,
	.generate = recovery_generate,
	.open = recovery_open,
	.make = recovery_make,
};
