/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where secrets come from: a key file, a descriptor, a credential of systemd, the terminal; never
 * the command line or the environment.
 */
#include "ctl/ctl.h"

#include "lib/error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

/* The path of a credential that is there, else false. */
static bool credential_path(const char *name, char ret[static PATH_MAX])
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	int n;

	if (!directory || directory[0] != '/')
		return false;
	n = snprintf(ret, PATH_MAX, "%s/%s", directory, name);
	return n > 0 && n < PATH_MAX && access(ret, F_OK) == 0;
}

static int read_file(const char *path, struct ec_secret *ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return -errno;
	return ec_secret_from_fd(ret, fd, true);
}

static int fail_to_read(const struct ctl *ctl, int r, const char *source)
{
	if (r == -EISDIR)
		return ctl_fail(ctl, -EINVAL, "read the secret from", source, "it is a directory");
	if (r == -ENOENT || r == -EACCES || r == -EBADF)
		return ctl_fail(ctl, -EINVAL, "read the secret from", source, strerror(-r));
	return ctl_fail(ctl, r, "read the secret from", source, NULL);
}

/* 1 if there is no source but the terminal. */
static int read_source(const struct ctl *ctl, const struct ctl_key_source *source,
		       const char *credential, struct ec_secret *ret)
{
	char path[PATH_MAX], name[64];
	int r;

	if (source->fd >= 0) {
		snprintf(name, sizeof(name), "descriptor %d", source->fd);
		r = ec_secret_from_fd(ret, source->fd, true);
		return r < 0 ? -fail_to_read(ctl, r, name) : 0;
	}
	if (source->file && !strcmp(source->file, "-")) {
		r = ec_secret_from_fd(ret, STDIN_FILENO, true);
		return r < 0 ? -fail_to_read(ctl, r, "standard input") : 0;
	}
	if (source->file) {
		r = read_file(source->file, ret);
		return r < 0 ? -fail_to_read(ctl, r, source->file) : 0;
	}
	if (credential_path(credential, path)) {
		r = read_file(path, ret);
		return r < 0 ? -fail_to_read(ctl, r, path) : 0;
	}
	return 1;
}

bool ctl_secret_is_typed(const struct ctl *ctl)
{
	char path[PATH_MAX];

	return ctl->key.fd < 0 && !ctl->key.file && !credential_path(CTL_CREDENTIAL, path);
}

static int refuse_empty(const struct ctl *ctl, const char *doing,
			const char *what, struct ec_secret *secret)
{
	if (secret->len)
		return 0;
	ec_secret_done(secret);
	return ctl_fail(ctl, -EINVAL, doing, what, "the secret is empty");
}

int ctl_secret(const struct ctl *ctl, const char *doing, const char *what, const char *question,
	       struct ec_secret *ret)
{
	int r;

	r = read_source(ctl, &ctl->key, CTL_CREDENTIAL, ret);
	if (r < 0)
		return -r;
	if (r > 0) {
		r = ctl_prompt_secret(question, ret);
		if (r < 0)
			return ctl_fail(ctl, r, doing, what, NULL);
	}
	return refuse_empty(ctl, doing, what, ret);
}

static int ask_twice(const struct ctl *ctl, const char *doing, const char *what,
		     const char *question, struct ec_secret *ret)
{
	_cleanup_secret_ struct ec_secret first = EC_SECRET_NULL, second = EC_SECRET_NULL;
	int r;

	r = ctl_prompt_secret(question, &first);
	if (r < 0)
		return ctl_fail(ctl, r, doing, what, NULL);
	r = ctl_prompt_secret("The same passphrase again: ", &second);
	if (r < 0)
		return ctl_fail(ctl, r, doing, what, NULL);
	if (!ec_secret_equal(&first, &second))
		return ctl_fail(ctl, -EINVAL, doing, what, "the two answers differ");
	*ret = first;
	first = EC_SECRET_NULL;
	return 0;
}

int ctl_new_secret(const struct ctl *ctl, const struct ctl_key_source *source, const char *doing,
		   const char *what, const char *question, const char *credential,
		   struct ec_secret *ret)
{
	int r;

	r = read_source(ctl, source, credential, ret);
	if (r < 0)
		return -r;
	if (r > 0) {
		r = ask_twice(ctl, doing, what, question, ret);
		if (r != 0)
			return r;
	}
	return refuse_empty(ctl, doing, what, ret);
}
