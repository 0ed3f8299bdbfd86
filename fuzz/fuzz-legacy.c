// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files of ecryptfs-utils in a home, as the store reads them. An input is Private.sig,
 * Private.mnt, .ecryptfsrc and wrapped-passphrase behind each other, a byte 0xff between two;
 * what has no bytes is not there.
 */
#include "fuzz/fuzz.h"
#include "lib/hex.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define HOME "/home/alice"

static const char *const names[] = {
	"alice/.ecryptfs/Private.sig", "alice/.ecryptfs/Private.mnt", "alice/.ecryptfsrc",
	"alice/.ecryptfs/wrapped-passphrase",
};

#define N_NAMES (sizeof(names) / sizeof(names[0]))

static char base[] = "/dev/shm/fuzz-legacy-XXXXXX";
static int base_fd = -1, config_fd;

static void tear_down(void)
{
	for (size_t i = 0; i < N_NAMES; i++)
		unlinkat(base_fd, names[i], 0);
	unlinkat(base_fd, "alice/.ecryptfs", AT_REMOVEDIR);
	unlinkat(base_fd, "alice", AT_REMOVEDIR);
	rmdir(base);
}

static void set_up(void)
{
	fuzz_assert(mkdtemp(base));
	base_fd = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	fuzz_assert(!mkdirat(base_fd, "alice", 0700));
	fuzz_assert(!mkdirat(base_fd, "alice/.ecryptfs", 0700));
	config_fd = openat(base_fd, "alice/.ecryptfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fuzz_assert(config_fd >= 0);
	atexit(tear_down);
}

static void put(const char *name, const uint8_t *data, size_t len)
{
	int fd;

	if (!len) {
		unlinkat(base_fd, name, 0);
		return;
	}
	fd = openat(base_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	fuzz_assert(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	close(fd);
}

static bool is_in_home(const char *path)
{
	size_t len = strlen(HOME);

	return st_path_is_normal(path) && !strncmp(path, HOME, len) &&
	       (!path[len] || path[len] == '/');
}

static bool is_hex(const json_t *value)
{
	uint8_t bytes[8];

	return json_is_string(value) &&
	       !ec_hex_decode(bytes, sizeof(bytes), json_string_value(value),
			      json_string_length(value));
}

static void check_reply(const json_t *reply, bool is_home, const uint8_t *wrapped,
			size_t wrapped_len)
{
	const char *mount_point = json_string_value(json_object_get(reply, "mount_point"));
	const json_t *legacy = json_object_get(reply, "legacy");
	const json_t *sigs = json_object_get(legacy, "sigs"), *sig;
	const json_t *salt = json_object_get(legacy, "v1_salt");
	const char *text = json_string_value(json_object_get(legacy, "wrapped"));
	uint8_t *bytes = NULL;
	size_t len, i;

	fuzz_assert(mount_point && is_in_home(mount_point));
	fuzz_assert(is_home == !strcmp(mount_point, HOME));
	fuzz_assert(json_array_size(sigs) == 1 || json_array_size(sigs) == 2);
	json_array_foreach(sigs, i, sig)
		fuzz_assert(is_hex(sig));
	fuzz_assert(!salt || is_hex(salt));
	fuzz_assert(text && !ec_base64_decode(text, &bytes, &len));
	fuzz_assert(len == wrapped_len && !memcmp(bytes, wrapped, len));
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *at = data, *end = data + len;
	size_t part_len = 0;

	if (base_fd < 0)
		set_up();
	for (size_t i = 0; i < N_NAMES; i++) {
		const uint8_t *mark = i + 1 < N_NAMES ? memchr(at, 0xff, (size_t)(end - at)) : NULL;

		part_len = (size_t)((mark ? mark : end) - at);
		put(names[i], at, part_len);
		if (i + 1 < N_NAMES)
			at = mark ? mark + 1 : end;
	}
	for (int is_home = 0; is_home <= 1; is_home++) {
		const struct st_home home = {
			.user = (char *)"alice", .uid = geteuid(), .gid = getegid(),
			.database_path = (char *)HOME, .base = (char *)"/home",
			.base_fd = base_fd, .leaf = (char *)"alice",
		};
		struct st_problem problem = { "" };
		json_t *reply = NULL;
		int r = st_legacy_read(&home, config_fd, HOME "/.Private", is_home, &reply,
				       &problem);

		if (r) {
			fuzz_assert((r == -EBADMSG || r == -ELOOP || r == -ENOENT) && !reply);
			fuzz_assert(problem.text[0]);
			continue;
		}
		check_reply(reply, is_home, at, part_len);
		json_decref(reply);
	}
	return 0;
}
