// SPDX-License-Identifier: GPL-2.0-only
#include "offline/keys.h"

static_assert(ECFMT_KEY_LEN == EC_S2K_KEY_LEN && ECFMT_SIG_LEN == EC_SIG_LEN &&
	      ECFMT_SALT_LEN == EC_S2K_SALT_LEN, "format and lib mean the same");

void ec_offline_keys_done(struct ec_offline_keys *keys)
{
	if (!keys)
		return;
	for (size_t i = 0; i < keys->n_keys; i++)
		ec_secret_done(&keys->keys[i].key);
	free(keys->keys);
	*keys = EC_OFFLINE_KEYS_NULL;
}

/* Takes the key, on failure too. */
static int add_taken(struct ec_offline_keys *keys, const uint8_t sig[static ECFMT_SIG_LEN],
		     struct ec_secret *key)
{
	struct ec_offline_key *grown;

	if (ec_offline_keys_find(keys, sig)) {
		ec_secret_done(key);
		return 0;
	}
	grown = reallocarray(keys->keys, keys->n_keys + 1, sizeof(*grown));
	if (!grown) {
		ec_secret_done(key);
		return -ENOMEM;
	}
	keys->keys = grown;
	grown[keys->n_keys] = (struct ec_offline_key){ 0 };
	memcpy(grown[keys->n_keys].sig, sig, ECFMT_SIG_LEN);
	ec_secret_move(&grown[keys->n_keys].key, key);
	keys->n_keys++;
	return 0;
}

int ec_offline_keys_add(struct ec_offline_keys *keys, const struct ec_secret *key)
{
	_cleanup_secret_ struct ec_secret copy = EC_SECRET_NULL;
	uint8_t sig[EC_SIG_LEN];
	int r;

	if (key->len != ECFMT_KEY_LEN)
		return -EINVAL;
	r = ec_key_sig(sig, key);
	if (r)
		return r;
	r = ec_secret_init_copy(&copy, key->data, key->len);
	if (r)
		return r;
	return add_taken(keys, sig, &copy);
}

int ec_offline_keys_add_passphrase(struct ec_offline_keys *keys,
				   const struct ec_secret *passphrase,
				   const uint8_t salt[static EC_S2K_SALT_LEN], uint8_t *ret_sig)
{
	_cleanup_secret_ struct ec_secret key = EC_SECRET_NULL;
	uint8_t sig[EC_SIG_LEN];
	int r;

	r = ec_s2k(&key, sig, passphrase, salt);
	if (r)
		return r;
	r = add_taken(keys, sig, &key);
	if (!r && ret_sig)
		memcpy(ret_sig, sig, sizeof(sig));
	return r;
}

const struct ec_secret *ec_offline_keys_find(const struct ec_offline_keys *keys,
					     const uint8_t sig[static ECFMT_SIG_LEN])
{
	for (size_t i = 0; i < keys->n_keys; i++)
		if (!memcmp(keys->keys[i].sig, sig, ECFMT_SIG_LEN))
			return &keys->keys[i].key;
	return NULL;
}
