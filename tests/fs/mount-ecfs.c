// SPDX-License-Identifier: GPL-2.0-only
/*
 * mount-ecfs: mounts ecfs or the in-tree ecryptfs for tests, with keys made from passphrases.
 *
 *   mount-ecfs -a [-S SALT] KEYS		adds the keys to the session keyring, prints signatures
 *   mount-ecfs -w FILE [-S SALT] KEYS		writes the keys to FILE, for -B
 *   mount-ecfs [-t TYPE] [-r] [KEYS] [-K FILE] [-o OPTIONS] SOURCE TARGET
 *						KEYS are given with the mount (fsconfig), not by keyring;
 *						-K: the bytes of FILE as they are, as a key parameter
 *
 * KEYS are -k FILE, -n FILE and -B FILE, any number. FILE holds a passphrase without newline: -k
 * takes the salt of content keys, -n that of the names of encrypted homes; -S, before -k, gives it
 * another, 16 hex digits. -B takes keys that -w wrote, because making one takes a second. OPTIONS go
 * to the filesystem as they are. A mount that fails prints the name of its errno and what the kernel
 * says about it; status is 1 then.
 */
#include "format/ecfmt.h"
#include "kmod/uapi/ecfs.h"
#include "lib/kdf.h"
#include "lib/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define N_KEYS_MAX 8u

struct request {
	const char *type;
	const char *options;
	bool add_only, read_only;
	const char *write_to;	/* of -w */
	struct ecfs_mount_key keys[N_KEYS_MAX];
	size_t n_keys;
	uint8_t raw[256];	/* of -K */
	size_t raw_len;
};

static void fail(const char *what)
{
	fprintf(stderr, "mount-ecfs: %s: %s: %s\n", what, strerrorname_np(errno), strerror(errno));
	exit(1);
}

static void read_key(struct request *req, const char *path, const uint8_t *salt)
{
	struct ecfs_mount_key *key = &req->keys[req->n_keys];
	_cleanup_(ec_secret_done) struct ec_secret passphrase = EC_SECRET_NULL, secret = EC_SECRET_NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;

	if (fd < 0 || req->n_keys == N_KEYS_MAX)
		fail(path);
	r = ec_secret_from_fd(&passphrase, fd, true);
	close(fd);
	if (r == 0)
		r = ec_s2k(&secret, key->sig, &passphrase, salt);
	if (r < 0) {
		errno = -r;
		fail(path);
	}
	key->version = ECFS_MOUNT_KEY_VERSION;
	memcpy(key->salt, salt, sizeof(key->salt));
	memcpy(key->key, secret.data, sizeof(key->key));
	req->n_keys++;
}

static void read_made(struct request *req, const char *path)
{
	size_t room = (N_KEYS_MAX - req->n_keys) * sizeof(req->keys[0]);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, &req->keys[req->n_keys], room);

	if (n <= 0 || n % sizeof(req->keys[0]))
		fail(path);
	req->n_keys += n / sizeof(req->keys[0]);
	close(fd);
}

static void write_made(const struct request *req)
{
	ssize_t len = req->n_keys * sizeof(req->keys[0]);
	int fd = open(req->write_to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, req->keys, len) != len || close(fd))
		fail(req->write_to);
}

static void read_raw(struct request *req, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, req->raw, sizeof(req->raw));

	if (n <= 0)
		fail(path);
	req->raw_len = n;
	close(fd);
}

static void add_keys(const struct request *req)
{
	for (size_t i = 0; i < req->n_keys; i++) {
		struct ecfmt_auth_tok token = { 0 };
		char hex[ECFMT_SIG_HEX_LEN + 1];
		u8 payload[ECFMT_AUTH_TOK_LEN];

		memcpy(token.sig, req->keys[i].sig, sizeof(token.sig));
		memcpy(token.salt, req->keys[i].salt, sizeof(token.salt));
		memcpy(token.key, req->keys[i].key, sizeof(token.key));
		ecfmt_sig_to_hex(hex, token.sig);
		if (ecfmt_auth_tok_put(payload, sizeof(payload), &token) < 0 ||
		    syscall(SYS_add_key, "user", hex, payload, sizeof(payload),
			    KEY_SPEC_SESSION_KEYRING) < 0)
			fail("add_key");
		printf("%s\n", hex);
	}
}

/* The kernel keeps what it has to say in the context's descriptor. */
static void fail_context(int fd, const char *what)
{
	char text[512];
	int err = errno;
	ssize_t n;

	while ((n = read(fd, text, sizeof(text) - 1)) > 0) {
		text[n] = '\0';
		fprintf(stderr, "mount-ecfs: kernel: %s\n", text);
	}
	errno = err;
	fail(what);
}

static void set(int fd, unsigned int command, const char *key, const void *value, int aux)
{
	if (syscall(SYS_fsconfig, fd, command, key, value, aux) < 0)
		fail_context(fd, key ? key : "create");
}

static void set_options(int fd, const char *options)
{
	char *copy = strdup(options), *save = NULL;

	if (!copy)
		fail("strdup");
	for (char *option = strtok_r(copy, ",", &save); option; option = strtok_r(NULL, ",", &save)) {
		char *value = strchr(option, '=');

		if (value)
			*value++ = '\0';
		set(fd, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, option, value, 0);
	}
	free(copy);
}

static void do_mount(const struct request *req, const char *source, const char *target)
{
	int fd = syscall(SYS_fsopen, req->type, FSOPEN_CLOEXEC), mount;

	if (fd < 0)
		fail(req->type);
	set(fd, FSCONFIG_SET_STRING, "source", source, 0);
	if (req->read_only)
		set(fd, FSCONFIG_SET_FLAG, "ro", NULL, 0);
	for (size_t i = 0; i < req->n_keys; i++)
		set(fd, FSCONFIG_SET_BINARY, ECFS_OPT_KEY, &req->keys[i], sizeof(req->keys[i]));
	if (req->raw_len)
		set(fd, FSCONFIG_SET_BINARY, ECFS_OPT_KEY, req->raw, req->raw_len);
	set_options(fd, req->options);
	set(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	mount = syscall(SYS_fsmount, fd, FSMOUNT_CLOEXEC, req->read_only ? MOUNT_ATTR_RDONLY : 0);
	if (mount < 0)
		fail_context(fd, "fsmount");
	if (syscall(SYS_move_mount, mount, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		fail(target);
}

int main(int argc, char **argv)
{
	struct request req = { .type = ECFS_FS_NAME, .options = "" };
	uint8_t salt[EC_S2K_SALT_LEN];
	int opt;

	memcpy(salt, ec_s2k_salt_content, sizeof(salt));
	while ((opt = getopt(argc, argv, "arS:k:n:B:K:w:t:o:")) != -1) {
		switch (opt) {
		case 'S':
			if (ecfmt_sig_from_hex(salt, optarg, strlen(optarg)) < 0)
				return 2;
			break;
		case 'a': req.add_only = true; break;
		case 'r': req.read_only = true; break;
		case 'k': read_key(&req, optarg, salt); break;
		case 'n': read_key(&req, optarg, ec_s2k_salt_names); break;
		case 'B': read_made(&req, optarg); break;
		case 'w': req.write_to = optarg; break;
		case 'K': read_raw(&req, optarg); break;
		case 't': req.type = optarg; break;
		case 'o': req.options = optarg; break;
		default: return 2;
		}
	}
	if (argc - optind != (req.add_only || req.write_to ? 0 : 2)) {
		fprintf(stderr, "usage: mount-ecfs [-a] [-w FILE] [-r] [-t TYPE] [-k FILE] [-n FILE] [-B FILE] [-K FILE] [-o OPTIONS] SOURCE TARGET\n");
		return 2;
	}
	if (req.write_to)
		write_made(&req);
	else if (req.add_only)
		add_keys(&req);
	else
		do_mount(&req, argv[optind], argv[optind + 1]);
	return 0;
}
