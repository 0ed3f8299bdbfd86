/* SPDX-License-Identifier: GPL-2.0-only */
/* Where mount.ecryptfs has its keys from. */
#include "mount/key-source.h"

#include "lib/cleanup.h"
#include "mount/keyring.h"
#include "mount/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int read_passphrase_fd(int fd, const char *name, struct ec_secret *ret,
			      struct ec_why *why)
{
	_cleanup_secret_ struct ec_secret text = EC_SECRET_NULL;
	int r;

	r = ec_secret_from_fd(&text, fd, false);
	if (r < 0)
		return ec_why_set(why, r, "%s: %s", name, strerror(-r));
	r = ec_helper_passphrase_from_text(ret, text.data, text.len);
	if (r == -EMSGSIZE)
		return ec_why_set(why, -EINVAL, "%s: a passphrase has at most %u bytes", name,
				  EC_S2K_PASSPHRASE_LEN_MAX);
	if (r == -EINVAL)
		return ec_why_set(why, r, "%s has no line passphrase_passwd=...", name);
	return r;
}

static int read_passphrase_file(const char *path, struct ec_secret *ret, struct ec_why *why)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return ec_why_set(why, -errno, "%s: %s", path, strerror(errno));
	return read_passphrase_fd(fd, path, ret, why);
}

static int ask_passphrase(const char *question, struct ec_secret *ret, struct ec_why *why)
{
	int r = ec_prompt_secret(question, EC_S2K_PASSPHRASE_LEN_MAX, ret);

	if (r == -EINVAL)
		return ec_why_set(why, r, "the passphrase is empty");
	if (r == -EMSGSIZE)
		return ec_why_set(why, -EINVAL, "a passphrase has at most %u bytes",
				  EC_S2K_PASSPHRASE_LEN_MAX);
	if (r == -ECANCELED)
		return ec_why_set(why, r, "no passphrase was given");
	return r;
}

int ec_key_source_passphrase(const struct ec_helper_options *options, bool may_ask,
			     struct ec_secret *ret, bool *ret_asked, struct ec_why *why)
{
	*ret_asked = false;
	if (options->passphrase.len)
		return ec_secret_init_copy(ret, options->passphrase.data, options->passphrase.len);
	if (options->passphrase_file)
		return read_passphrase_file(options->passphrase_file, ret, why);
	if (options->passphrase_fd >= 0)
		return read_passphrase_fd(options->passphrase_fd, "passphrase_passwd_fd", ret, why);
	if (!may_ask)
		return ec_why_set(why, -ENOKEY, "there is no key: give key=passphrase:passphrase_passwd_file=..., or ecryptfs_sig= of a key in the keyring, or mount at a terminal");
	*ret_asked = true;
	return ask_passphrase("Passphrase: ", ret, why);
}

int ec_key_source_confirm(const struct ec_secret *passphrase, struct ec_why *why)
{
	_cleanup_secret_ struct ec_secret again = EC_SECRET_NULL;
	int r = ask_passphrase("Passphrase again: ", &again, why);

	if (r < 0)
		return r;
	if (!ec_secret_equal(passphrase, &again))
		return ec_why_set(why, -EKEYREJECTED, "the two passphrases differ");
	return 0;
}

int ec_key_source_derive(const struct ec_helper_options *options,
			 const struct ec_secret *passphrase, struct ec_key_set *keys,
			 char ret_sig[static ECFMT_SIG_HEX_LEN + 1], struct ec_why *why)
{
	_cleanup_secret_ struct ec_secret derived = EC_SECRET_NULL;
	_cleanup_secret_ struct ec_secret bytes = EC_SECRET_NULL;
	const uint8_t *salt = options->salt_given ? options->salt : ec_s2k_salt_content;
	struct ecfs_mount_key *key;
	uint8_t sig[EC_SIG_LEN];
	int r;

	r = ec_s2k(&derived, sig, passphrase, salt);
	if (r == 0)
		r = ec_secret_init(&bytes, sizeof(*key));
	if (r < 0)
		return ec_why_set(why, r, "the key cannot be derived: %s", strerror(-r));
	key = (struct ecfs_mount_key *)bytes.data;
	key->version = ECFS_MOUNT_KEY_VERSION;
	memcpy(key->sig, sig, sizeof(key->sig));
	memcpy(key->salt, salt, sizeof(key->salt));
	memcpy(key->key, derived.data, sizeof(key->key));
	r = ec_key_set_add(keys, key);
	if (r < 0)
		return r;
	ecfmt_sig_to_hex(ret_sig, sig);
	return 0;
}

int ec_key_source_keyring(const char sig[static ECFMT_SIG_HEX_LEN + 1], struct ec_key_set *keys,
			  struct ec_why *why)
{
	_cleanup_secret_ struct ec_secret bytes = EC_SECRET_NULL;
	uint8_t raw[ECFMT_SIG_LEN];
	int r;

	r = ecfmt_sig_from_hex(raw, sig, ECFMT_SIG_HEX_LEN);
	if (r < 0 || ec_key_set_find(keys, raw))
		return r;
	r = ec_secret_init(&bytes, sizeof(struct ecfs_mount_key));
	if (r < 0)
		return r;
	r = ec_keyring_find(raw, (struct ecfs_mount_key *)bytes.data);
	if (r == -EOPNOTSUPP)
		return 0;
	if (r == -ENOKEY)
		return ec_why_set(why, r, "no key with the signature %s is in the user or session keyring",
				  sig);
	if (r < 0)
		return ec_why_set(why, r, "the key %s in the keyring cannot be used: %s", sig,
				  strerror(-r));
	return ec_key_set_add(keys, (const struct ecfs_mount_key *)bytes.data);
}
