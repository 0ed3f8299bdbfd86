// SPDX-License-Identifier: GPL-2.0-only
#include "vectors.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

const char *const vector_sets[] = {
	"aes128", "aes128-names-fn16", "aes128-xattr", "aes192-names2", "aes256-names", "des3",
};

static char root[256];
static int root_fd = -1;
static const char *skip_reason = "the vectors were not unpacked";

/* The attribute of the xattr set needs a filesystem that has such; tmpfs of old kernels has not. */
static int make_root(void)
{
	const char *const places[] = { getenv("TMPDIR"), "/var/tmp", "/tmp" };

	for (size_t i = 0; i < ECFMT_ARRAY_LEN(places); i++) {
		if (!places[i])
			continue;
		snprintf(root, sizeof(root), "%s/ec-vectors-XXXXXX", places[i]);
		if (!mkdtemp(root))
			continue;
		if (setxattr(root, "user.test", "1", 1, 0) == 0)
			return 0;
		rmdir(root);
	}
	root[0] = '\0';
	return -EOPNOTSUPP;
}

static bool run(const char *const *argv)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool is_installed(const char *program)
{
	char text[64];

	snprintf(text, sizeof(text), "command -v %s >/dev/null", program);
	return run((const char *const[]){ "sh", "-c", text, NULL });
}

static bool unpack(const char *archive)
{
	return run((const char *const[]){ "tar", "--xattrs", "--xattrs-include=user.*", "-xJf",
					  archive, "-C", root, NULL });
}

/* What this machine lacks is skipped; an archive that is missing or damaged is a failure. */
int vectors_setup(void **state)
{
	const char *archive = getenv("EC_TEST_VECTORS");

	(void)state;
	if (!archive || access(archive, R_OK) < 0) {
		report("EC_TEST_VECTORS names no readable archive");
		return -1;
	}
	if (!is_installed("tar") || !is_installed("xz")) {
		skip_reason = "tar or xz is not installed";
		return 0;
	}
	if (make_root()) {
		skip_reason = "no directory with user extended attributes in TMPDIR, /var/tmp, /tmp";
		return 0;
	}
	if (!unpack(archive))
		return -1;
	root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return root_fd < 0 ? -1 : 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int vectors_teardown(void **state)
{
	(void)state;
	ec_closep(&root_fd);
	if (root[0])
		nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

int vectors_dir(void)
{
	if (root_fd < 0) {
		report("SKIPPED: %s", skip_reason);
		skip();
	}
	return root_fd;
}

char *vectors_read(const char *path, size_t *ret_len)
{
	_cleanup_close_ int fd = openat(vectors_dir(), path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text;

	if (fd < 0 || fstat(fd, &st) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	text = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(text);
	assert_int_equal(read(fd, text, (size_t)st.st_size), st.st_size);
	*ret_len = (size_t)st.st_size;
	return text;
}

json_t *vectors_json(const char *path)
{
	_cleanup_free_ char *text = NULL;
	json_t *value;
	size_t len;

	text = vectors_read(path, &len);
	value = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(value);
	return value;
}

struct ec_secret vectors_secret(const char *text)
{
	struct ec_secret secret;

	assert_int_equal(ec_secret_init_copy(&secret, text, strlen(text)), 0);
	return secret;
}

static void add_passphrase(struct ec_offline_keys *keys, const char *passphrase,
			   const char *want_sig)
{
	_cleanup_secret_ struct ec_secret secret = vectors_secret(passphrase);
	uint8_t sig[EC_SIG_LEN];

	assert_int_equal(ec_offline_keys_add_passphrase(keys, &secret, ec_s2k_salt_content, sig),
			 0);
	assert_hex(sig, sizeof(sig), want_sig);
}

void vectors_keys(const json_t *set, struct ec_offline_keys *keys)
{
	const char *fnek_sig = json_string_value(json_object_get(set, "fnek_sig"));

	add_passphrase(keys, json_string_value(json_object_get(set, "passphrase")),
		       json_string_value(json_object_get(set, "sig")));
	if (fnek_sig[0])
		add_passphrase(keys, json_string_value(json_object_get(set, "fnek_passphrase")),
			       fnek_sig);
}
