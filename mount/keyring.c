/* SPDX-License-Identifier: GPL-2.0-only */
/* Auth tokens of eCryptfs in kernel keyrings. */
#include "mount/keyring.h"

#include "format/ecfmt.h"
#include "lib/secret.h"

#include <errno.h>
#include <keyutils.h>
#include <string.h>

static key_serial_t find(key_serial_t ring, const char *type, const char *sig_hex)
{
	long serial = keyctl_search(ring, type, sig_hex, 0);

	return serial < 0 ? 0 : (key_serial_t)serial;
}

static int errno_of_keyctl(void)
{
	return errno == ENOKEY || errno == EKEYEXPIRED || errno == EKEYREVOKED ? -ENOKEY : -errno;
}

/* Locked memory for a payload and for the struct it is made from. */
static int init_token(struct ec_secret *payload, struct ec_secret *scratch,
		      struct ecfmt_auth_tok **ret_token)
{
	int r = ec_secret_init(payload, ECFMT_AUTH_TOK_LEN);

	if (r == 0)
		r = ec_secret_init(scratch, sizeof(struct ecfmt_auth_tok));
	if (r == 0)
		*ret_token = (struct ecfmt_auth_tok *)scratch->data;
	return r;
}

int ec_keyring_add(int32_t ring, const struct ecfs_mount_key *key)
{
	_cleanup_secret_ struct ec_secret payload = EC_SECRET_NULL;
	_cleanup_secret_ struct ec_secret scratch = EC_SECRET_NULL;
	char sig_hex[ECFMT_SIG_HEX_LEN + 1];
	struct ecfmt_auth_tok *token = NULL;
	int r;

	ecfmt_sig_to_hex(sig_hex, key->sig);
	/* add_key(2) would replace the payload under a mount that uses it. */
	if (find(ring, "user", sig_hex))
		return 0;
	r = init_token(&payload, &scratch, &token);
	if (r < 0)
		return r;
	memcpy(token->sig, key->sig, sizeof(token->sig));
	memcpy(token->salt, key->salt, sizeof(token->salt));
	memcpy(token->key, key->key, sizeof(token->key));
	r = ecfmt_auth_tok_put(payload.data, payload.len, token);
	if (r < 0)
		return r;
	if (add_key("user", sig_hex, payload.data, payload.len, ring) < 0)
		return -errno;
	return 0;
}

static int read_token(key_serial_t serial, const uint8_t *sig, struct ecfs_mount_key *ret)
{
	_cleanup_secret_ struct ec_secret payload = EC_SECRET_NULL;
	_cleanup_secret_ struct ec_secret scratch = EC_SECRET_NULL;
	struct ecfmt_auth_tok *token = NULL;
	long len;
	int r;

	r = init_token(&payload, &scratch, &token);
	if (r < 0)
		return r;
	len = keyctl_read(serial, (char *)payload.data, payload.len);
	if (len < 0)
		return errno_of_keyctl();
	if ((size_t)len != payload.len)
		return -EBADMSG;
	r = ecfmt_auth_tok_get(payload.data, payload.len, token);
	if (r < 0)
		return r;
	if (memcmp(sig, token->sig, sizeof(token->sig)))
		return -EBADMSG;

	*ret = (struct ecfs_mount_key){ .version = ECFS_MOUNT_KEY_VERSION };
	memcpy(ret->sig, token->sig, sizeof(ret->sig));
	memcpy(ret->salt, token->salt, sizeof(ret->salt));
	memcpy(ret->key, token->key, sizeof(ret->key));
	return 0;
}

int ec_keyring_find(const uint8_t sig[static EC_SIG_LEN], struct ecfs_mount_key *ret)
{
	static const key_serial_t rings[] = { KEY_SPEC_USER_KEYRING, KEY_SPEC_SESSION_KEYRING };
	char sig_hex[ECFMT_SIG_HEX_LEN + 1];
	size_t i;

	ecfmt_sig_to_hex(sig_hex, sig);
	for (i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
		key_serial_t serial = find(rings[i], "user", sig_hex);

		if (serial)
			return read_token(serial, sig, ret);
	}
	for (i = 0; i < sizeof(rings) / sizeof(rings[0]); i++)
		if (find(rings[i], "encrypted", sig_hex))
			return -EOPNOTSUPP;
	return -ENOKEY;
}

int ec_keyring_unlink(int32_t ring, const uint8_t sig[static EC_SIG_LEN])
{
	char sig_hex[ECFMT_SIG_HEX_LEN + 1];
	key_serial_t serial;

	ecfmt_sig_to_hex(sig_hex, sig);
	serial = find(ring, "user", sig_hex);
	if (!serial)
		return 0;
	return keyctl_unlink(serial, ring) < 0 ? -errno : 0;
}
