/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The files of ecryptfs-utils: wrapped-passphrase, Private.sig, Private.mnt and the flags.
 * Their formats: ecryptfs-utils 111, src/libecryptfs/key_management.c (wrapped passphrases),
 * src/utils/mount.ecryptfs_private.c (the others), src/pam_ecryptfs (the flags).
 */
#include "store/store.h"

#include "lib/cleanup.h"
#include "lib/hex.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define WRAPPED_NAME		"wrapped-passphrase"
#define WRAPPED_BACKUP_NAME	"wrapped-passphrase.bak"
#define WRAPPED_LEN_MAX		1024u	/* version 2 has at most 90 bytes; readers ignore more */
#define SIG_HEX_LEN		16u
#define SIG_FILE_LEN_MAX	4096u
#define RC_NAME			".ecryptfsrc"
#define RC_LEN_MAX		40960u
#define RC_SALT_LEN		16u

static bool is_sig(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!isxdigit((unsigned char)text[i]))
			return false;
	return len == SIG_HEX_LEN;
}

/* Line 1: the key for contents; line 2, if any: the one for names. Nothing else. */
static int read_sigs(int config_fd, uid_t owner, json_t *ret_sigs, struct st_problem *problem)
{
	_cleanup_free_ char *text = NULL;
	char *line, *rest;
	size_t len, n = 0;
	int r;

	r = st_read_file(config_fd, "Private.sig", owner, SIG_FILE_LEN_MAX, &text, &len, problem);
	if (r < 0)
		return r;
	if (strlen(text) != len)
		return st_fail(problem, -EBADMSG, "Private.sig has a NUL byte");
	for (rest = text; (line = strsep(&rest, "\n"));) {
		if (!*line && !rest)
			break;
		if (!is_sig(line, strlen(line)) || ++n > 2)
			return st_fail(problem, -EBADMSG,
				       "Private.sig is not one or two lines of 16 hexadecimal digits");
		if (json_array_append_new(ret_sigs, json_string(line)) < 0)
			return -ENOMEM;
	}
	return n ? 0 : st_fail(problem, -EBADMSG, "Private.sig is empty");
}

/* path with the database's spelling of the home replaced by the one without symlinks. */
static int resolve_in_home(const struct st_home *home, const char *path, char **ret,
			   struct st_problem *problem)
{
	_cleanup_free_ char *real_home = st_home_path(home);
	size_t len = strlen(home->database_path);
	const char *rest;

	if (!real_home)
		return -ENOMEM;
	if (!st_path_is_normal(path))
		return st_fail(problem, -ELOOP, "Private.mnt is not an absolute path without \".\" "
			       "and \"..\"");
	if (!strncmp(path, home->database_path, len) && (!path[len] || path[len] == '/')) {
		rest = path + len;
	} else {
		len = strlen(real_home);
		if (strncmp(path, real_home, len) || (path[len] && path[len] != '/'))
			return st_fail(problem, -ELOOP, "Private.mnt names %.200s, which is outside "
				       "of the home", path);
		rest = path + len;
	}
	return asprintf(ret, "%s%s", real_home, rest) < 0 ? -ENOMEM : 0;
}

/* What else than UTF-8 a path may be, a reply cannot carry. */
static bool is_utf8(const char *text)
{
	json_t *value = json_string(text);

	json_decref(value);
	return value != NULL;
}

static int read_mount_point(const struct st_home *home, int config_fd, char **ret,
			    struct st_problem *problem)
{
	_cleanup_free_ char *text = NULL, *fallback = NULL, *normal = NULL;
	size_t len;
	int r;

	r = st_read_file(config_fd, "Private.mnt", home->uid, PATH_MAX, &text, &len, problem);
	if (r == -ENOENT) {
		if (asprintf(&fallback, "%s/Private", home->database_path) < 0)
			return -ENOMEM;
		return resolve_in_home(home, fallback, ret, problem);
	}
	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	if (!is_utf8(text))
		return st_fail(problem, -EBADMSG, "Private.mnt is not UTF-8");
	normal = st_path_normalise(text);
	return normal ? resolve_in_home(home, normal, ret, problem) : -ENOMEM;
}

/* Existence is the whole content of a flag. */
static bool has_flag(int config_fd, const char *name)
{
	struct stat st;

	return fstatat(config_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Version 1 has its salt in ~/.ecryptfsrc, or none: then the caller takes the default one. */
static void add_v1_salt(const struct st_home *home, json_t *legacy)
{
	_cleanup_close_ int home_fd = -1;
	_cleanup_free_ char *text = NULL;
	struct st_problem ignored;
	char *item, *rest;
	size_t len;

	if (st_open_dir(home->base_fd, home->leaf, &home_fd, &ignored) < 0 ||
	    st_read_file(home_fd, RC_NAME, home->uid, RC_LEN_MAX, &text, &len, &ignored) < 0)
		return;
	for (rest = text; (item = strsep(&rest, ",\n"));) {
		if (strncmp(item, "salt=", 5) || !is_sig(item + 5, strlen(item + 5)))
			continue;
		json_object_set_new(legacy, "v1_salt", json_string(item + 5));
		return;
	}
}

static int add_wrapped(const struct st_home *home, int config_fd, json_t *legacy,
		       struct st_problem *problem)
{
	_cleanup_free_ char *bytes = NULL, *b64 = NULL;
	size_t len;
	int r;

	r = st_read_file(config_fd, WRAPPED_NAME, home->uid, WRAPPED_LEN_MAX, &bytes, &len, problem);
	if (r < 0)
		return r;
	if (!len)
		return st_fail(problem, -EBADMSG, WRAPPED_NAME " is empty");
	b64 = ec_base64_encode(bytes, len);
	if (!b64 || json_object_set_new(legacy, "wrapped", json_string(b64)) < 0)
		return -ENOMEM;
	if (bytes[0] != ':')
		add_v1_salt(home, legacy);
	return 0;
}

/**
 * st_legacy_read() - what ecryptfs-utils left for a user
 * @home:	the user
 * @config_fd:	the directory with wrapped-passphrase
 * @lower:	path of .Private
 * @is_home:	whether the whole home is encrypted
 * @ret_reply:	members "lower", "mount_point" and "legacy" of the reply to probe-home
 * @problem:	set on failure
 *
 * Return: 0, -ENOENT, -ELOOP, -EBADMSG, ...
 */
int st_legacy_read(const struct st_home *home, int config_fd, const char *lower, bool is_home,
		   json_t **ret_reply, struct st_problem *problem)
{
	_cleanup_free_ char *mount_point = NULL, *home_path = st_home_path(home);
	json_t *sigs = json_array();
	json_t *legacy = json_pack("{s:O, s:b, s:b, s:b}", "sigs", sigs,
				   "auto_mount", has_flag(config_fd, "auto-mount"),
				   "auto_umount", has_flag(config_fd, "auto-umount"),
				   "wrapping_independent",
				   has_flag(config_fd, "wrapping-independent"));
	int r = -ENOMEM;

	if (!sigs || !legacy || !home_path)
		goto out;
	r = read_mount_point(home, config_fd, &mount_point, problem);
	if (r < 0)
		goto out;
	if (is_home != !strcmp(mount_point, home_path)) {
		r = st_fail(problem, -ELOOP, "Private.mnt names %.200s, which does not fit a "
			    "directory %s", mount_point,
			    is_home ? "that holds a whole home" : "inside of the home");
		goto out;
	}
	r = read_sigs(config_fd, home->uid, sigs, problem);
	if (r < 0)
		goto out;
	r = add_wrapped(home, config_fd, legacy, problem);
	if (r < 0)
		goto out;
	*ret_reply = json_pack("{s:s, s:s, s:O}", "lower", lower, "mount_point", mount_point,
			       "legacy", legacy);
	r = *ret_reply ? 0 : -ENOMEM;
out:
	json_decref(sigs);
	json_decref(legacy);
	return r;
}

static int open_config(const struct st_home *home, int *ret_fd, struct st_problem *problem)
{
	_cleanup_free_ char *in_base = NULL, *in_home = NULL;
	int r;

	if (asprintf(&in_base, ST_BASE_DIR "/%s/" ST_LEGACY_CONFIG_DIR, home->user) < 0 ||
	    asprintf(&in_home, "%s/" ST_LEGACY_CONFIG_DIR, home->leaf) < 0)
		return -ENOMEM;
	r = st_home_check_way(home, ST_BASE_DIR, problem);
	if (r >= 0)
		r = st_open_owned_dir(home->base_fd, in_base, home->uid, ret_fd, problem);
	if (r != -ENOENT)
		return r;
	r = st_home_check_way(home, home->leaf, problem);
	return r < 0 ? r : st_open_owned_dir(home->base_fd, in_home, home->uid, ret_fd, problem);
}

static int get_base64(const json_t *request, const char *name, uint8_t **ret, size_t *ret_len,
		      struct st_problem *problem)
{
	const char *text;
	int r;

	r = st_get_string(request, name, &text, problem);
	if (r < 0)
		return r;
	r = ec_base64_decode(text, ret, ret_len);
	return r < 0 ? st_fail(problem, r, "\"%s\" of the request is not base64", name) : 0;
}

int st_write_legacy(const json_t *request, json_t **ret_reply, struct st_problem *problem)
{
	_cleanup_home_ struct st_home home = ST_HOME_NULL;
	_cleanup_free_ uint8_t *wrapped = NULL, *expect = NULL;
	_cleanup_free_ char *present = NULL;
	size_t wrapped_len, expect_len, present_len;
	_cleanup_close_ int fd = -1;
	int r;

	r = get_base64(request, "wrapped", &wrapped, &wrapped_len, problem);
	if (r < 0)
		return r;
	r = get_base64(request, "expect", &expect, &expect_len, problem);
	if (r < 0)
		return r;
	if (!wrapped_len || wrapped_len > WRAPPED_LEN_MAX)
		return st_fail(problem, -EINVAL, "\"wrapped\" of the request has no fitting length");
	r = st_home_find(&home, NULL, json_object_get(request, "uid"), problem);
	if (r < 0)
		return r;

	st_become(home.uid, home.gid);
	r = open_config(&home, &fd, problem);
	if (r < 0)
		return r;
	r = st_lock_dir(fd, problem);
	if (r < 0)
		return r;
	r = st_read_file(fd, WRAPPED_NAME, home.uid, WRAPPED_LEN_MAX, &present, &present_len,
			 problem);
	if (r < 0)
		return r;
	if (present_len != expect_len || memcmp(present, expect, expect_len))
		return st_fail(problem, -EBUSY, WRAPPED_NAME " was changed meanwhile");
	r = st_replace_file(fd, WRAPPED_NAME, WRAPPED_BACKUP_NAME, wrapped, wrapped_len, problem);
	if (r < 0)
		return r;
	*ret_reply = json_object();
	return *ret_reply ? 0 : -ENOMEM;
}
