/* SPDX-License-Identifier: GPL-2.0-only */
/* HKDF-SHA-512 of the vault key, one info text for each use. */
#include "helper/vault-key.h"

#include "helper/json-bytes.h"
#include "helper/wrap.h"
#include "lib/vault-document.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#define INFO_CONTENT_KEY	"ecryptfs format 3 content key"
#define INFO_NAMES_KEY		"ecryptfs format 3 names key"
#define INFO_DOCUMENT_MAC	"ecryptfs vault document mac"
#define MAC_LEN			32u

/* These keys come from no passphrase, so there is no salt to record in key packets. */
static const uint8_t no_salt[EC_S2K_SALT_LEN];

int ecd_vault_key_generate(struct ec_secret *ret_key)
{
	_cleanup_secret_ struct ec_secret key = EC_SECRET_NULL;
	int r;

	r = ec_secret_init(&key, EC_VAULT_KEY_LEN);
	if (r < 0)
		return r;
	r = ecd_random(key.data, key.len);
	if (r < 0)
		return r;
	ec_secret_move(ret_key, &key);
	return 0;
}

static int add_key(struct ecd_mount_keys *keys, const struct ec_secret *vault_key,
		   const char *info)
{
	_cleanup_secret_ struct ec_secret key = EC_SECRET_NULL;
	uint8_t sig[EC_SIG_LEN];
	int r;

	r = ec_hkdf_sha512(&key, EC_S2K_KEY_LEN, vault_key, NULL, 0, info);
	if (r < 0)
		return r;
	r = ec_key_sig(sig, &key);
	if (r < 0)
		return r;
	return ecd_mount_keys_add(keys, &key, sig, no_salt);
}

int ecd_vault_key_mount_keys(const struct ec_secret *vault_key, bool names,
			     struct ecd_mount_keys *ret)
{
	struct ecd_mount_keys keys = ECD_MOUNT_KEYS_NULL;
	int r;

	r = add_key(&keys, vault_key, INFO_CONTENT_KEY);
	if (r == 0 && names)
		r = add_key(&keys, vault_key, INFO_NAMES_KEY);
	if (r < 0) {
		ecd_mount_keys_done(&keys);
		return r;
	}
	*ret = keys;
	return 0;
}

static int compute_mac(const struct ec_secret *vault_key, const json_t *document,
		       uint8_t ret[static MAC_LEN])
{
	_cleanup_secret_ struct ec_secret key = EC_SECRET_NULL;
	_cleanup_free_ char *text = NULL;
	size_t text_len, mac_len;
	int r;

	r = ec_vault_document_format(document, false, &text, &text_len);
	if (r < 0)
		return r;
	r = ec_hkdf_sha512(&key, MAC_LEN, vault_key, NULL, 0, INFO_DOCUMENT_MAC);
	if (r < 0)
		return r;
	return EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key.data, key.len,
			 (const uint8_t *)text, text_len, ret, MAC_LEN, &mac_len) &&
	       mac_len == MAC_LEN ? 0 : -EIO;
}

int ecd_vault_key_sign(const struct ec_secret *vault_key, json_t *document)
{
	uint8_t mac[MAC_LEN];
	int r;

	r = compute_mac(vault_key, document, mac);
	return r < 0 ? r : ecd_json_set_bytes(document, "mac", mac, sizeof(mac));
}

int ecd_vault_key_verify(const struct ec_secret *vault_key, const json_t *document,
			 struct ecd_reason *reason)
{
	uint8_t stored[MAC_LEN], mac[MAC_LEN];
	int r;

	r = ecd_json_get_bytes(document, "mac", stored, sizeof(stored));
	if (r == 0)
		r = compute_mac(vault_key, document, mac);
	if (r == 0 && CRYPTO_memcmp(mac, stored, MAC_LEN) != 0)
		r = ecd_fail(reason, -EBADMSG, "the secret is right, but the vault document was "
			     "altered since it was written");
	return r;
}
