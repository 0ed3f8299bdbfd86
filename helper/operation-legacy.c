/* SPDX-License-Identifier: GPL-2.0-only */
/* open-legacy and change-legacy: homes and Private directories of ecryptfs-utils. */
#include "helper/json-bytes.h"
#include "helper/mount-keys.h"
#include "helper/operation.h"
#include "helper/slot.h"
#include "lib/hex.h"

#include <errno.h>
#include <string.h>

/* What Private.sig names. */
struct sigs {
	uint8_t sig[ECD_MOUNT_KEYS_MAX][EC_SIG_LEN];
	size_t n;	/* 1: content; 2: content and names */
};

static int get_sigs(const json_t *body, struct sigs *ret, struct ecd_reason *reason)
{
	const json_t *array = json_object_get(body, "sigs"), *text;
	size_t i;

	ret->n = json_array_size(array);
	if (!ret->n || ret->n > ECD_MOUNT_KEYS_MAX)
		return ecd_fail(reason, -EBADMSG, "the file Private.sig does not have one or two "
				"signatures");
	json_array_foreach(array, i, text)
		if (!json_is_string(text) ||
		    ec_hex_decode(ret->sig[i], EC_SIG_LEN, json_string_value(text),
				  json_string_length(text)) < 0)
			return ecd_fail(reason, -EBADMSG, "a signature in Private.sig is not 16 "
					"hexadecimal digits");
	return 0;
}

static int fail_mismatch(struct ecd_reason *reason, const char *what,
			 const uint8_t have[static EC_SIG_LEN],
			 const uint8_t want[static EC_SIG_LEN])
{
	char have_hex[ECD_SIG_HEX_LEN + 1], want_hex[ECD_SIG_HEX_LEN + 1];

	ec_hex_encode(have_hex, have, EC_SIG_LEN);
	ec_hex_encode(want_hex, want, EC_SIG_LEN);
	return ecd_fail(reason, -EBADMSG, "the secret is right, but Private.sig names the %s key "
			"%s and wrapped-passphrase gives %s", what, want_hex, have_hex);
}

/*
 * salt= in ~/.ecryptfsrc was used by the PAM module of ecryptfs-utils for the content key as
 * well, but not by its other tools: Private.sig tells which salt made this one.
 */
static int add_content_key(const json_t *body, const struct ec_secret *passphrase,
			   const uint8_t want[static EC_SIG_LEN], struct ecd_mount_keys *keys,
			   struct ecd_reason *reason)
{
	const char *rc_salt = json_string_value(json_object_get(body, "v1_salt"));
	_cleanup_secret_ struct ec_secret key = EC_SECRET_NULL;
	uint8_t sig[EC_SIG_LEN], salt[EC_S2K_SALT_LEN];
	int r;

	memcpy(salt, ec_s2k_salt_content, sizeof(salt));
	r = ec_s2k(&key, sig, passphrase, salt);
	if (r < 0)
		return r;
	if (memcmp(sig, want, EC_SIG_LEN) != 0 && rc_salt &&
	    ec_hex_decode(salt, sizeof(salt), rc_salt, strlen(rc_salt)) == 0) {
		ec_secret_done(&key);
		r = ec_s2k(&key, sig, passphrase, salt);
		if (r < 0)
			return r;
	}
	if (memcmp(sig, want, EC_SIG_LEN) != 0)
		return fail_mismatch(reason, "content", sig, want);
	return ecd_mount_keys_add(keys, &key, sig, salt);
}

static int add_names_key(const struct ec_secret *passphrase, const struct sigs *sigs,
			 struct ecd_mount_keys *keys, struct ecd_reason *reason)
{
	_cleanup_secret_ struct ec_secret key = EC_SECRET_NULL;
	uint8_t sig[EC_SIG_LEN];
	int r;

	if (!memcmp(sigs->sig[0], sigs->sig[1], EC_SIG_LEN)) {
		ecd_mount_keys_add_same(keys);
		return 0;
	}
	r = ec_s2k(&key, sig, passphrase, ec_s2k_salt_names);
	if (r < 0)
		return r;
	if (memcmp(sig, sigs->sig[1], EC_SIG_LEN) != 0)
		return fail_mismatch(reason, "names", sig, sigs->sig[1]);
	return ecd_mount_keys_add(keys, &key, sig, ec_s2k_salt_names);
}

static int derive_mount_keys(const json_t *body, const struct ec_secret *passphrase,
			     struct ecd_mount_keys *keys, struct ecd_reason *reason)
{
	struct sigs sigs;
	int r;

	r = get_sigs(body, &sigs, reason);
	if (r < 0)
		return r;
	r = add_content_key(body, passphrase, sigs.sig[0], keys, reason);
	if (r == 0 && sigs.n > 1)
		r = add_names_key(passphrase, &sigs, keys, reason);
	return r;
}

int ecd_operation_open_legacy(struct ecd_request *request, struct ec_wire_message *reply,
			      struct ecd_reason *reason)
{
	_cleanup_mount_keys_ struct ecd_mount_keys keys = ECD_MOUNT_KEYS_NULL;
	_cleanup_secret_ struct ec_secret passphrase = EC_SECRET_NULL;
	int r;

	r = ecd_slot_legacy.open(NULL, request->body, &request->secrets[0], &passphrase, reason);
	if (r < 0)
		return r;
	r = derive_mount_keys(request->body, &passphrase, &keys, reason);
	if (r < 0)
		return r;

	r = ecd_reply_set_new(reply, "version", json_integer(ecd_slot_legacy_version(request->body)));
	if (r == 0)
		r = ecd_reply_set_new(reply, "keys", ecd_mount_keys_describe(&keys));
	if (r == 0)
		r = ecd_reply_add_secret(reply, &keys.packed);
	return r;
}

/* The new file gives the same mount passphrase to the new secret. */
static int verify_changed(const json_t *changed, const struct ec_secret *secret,
			  const struct ec_secret *passphrase, struct ecd_reason *reason)
{
	_cleanup_secret_ struct ec_secret again = EC_SECRET_NULL;
	struct ecd_reason why = { "" };
	int r;

	r = ecd_slot_legacy.open(NULL, changed, secret, &again, &why);
	if (r < 0 || !ec_secret_equal(&again, passphrase))
		return ecd_fail(reason, -EIO, "the new file wrapped-passphrase does not open "
				"again, so nothing was changed");
	return 0;
}

int ecd_operation_change_legacy(struct ecd_request *request, struct ec_wire_message *reply,
				struct ecd_reason *reason)
{
	_cleanup_mount_keys_ struct ecd_mount_keys keys = ECD_MOUNT_KEYS_NULL;
	_cleanup_secret_ struct ec_secret passphrase = EC_SECRET_NULL;
	_cleanup_json_ json_t *changed = json_object();
	int r;

	r = ecd_slot_legacy.open(NULL, request->body, &request->secrets[0], &passphrase, reason);
	if (r < 0)
		return r;
	/* A file that does not lead to the keys is not carried on under a new password. */
	if (json_object_get(request->body, "sigs")) {
		r = derive_mount_keys(request->body, &passphrase, &keys, reason);
		if (r < 0)
			return r;
	}
	if (!changed)
		return -ENOMEM;
	r = ecd_slot_legacy.make(NULL, changed, &request->secrets[1], &passphrase,
				 request->target_ms, reason);
	if (r < 0)
		return r;
	r = verify_changed(changed, &request->secrets[1], &passphrase, reason);
	if (r < 0)
		return r;
	return ecd_reply_set_new(reply, "wrapped",
				 json_incref(json_object_get(changed, "wrapped")));
}
