/* SPDX-License-Identifier: GPL-2.0-only */
/* The files of ecryptfs-utils: what each of them may say, and the error that names the one at fault. */
#include "store/store.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define SIG	"8902cd9f6ab967b4"
#define HOME	"/home/alice"

static char base[] = "/tmp/ecryptfs-legacy-XXXXXX";
static int base_fd = -1;

static int set_up(void **state)
{
	base_fd = mkdtemp(base) ? open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	return base_fd < 0 || mkdirat(base_fd, "alice", 0700) < 0 ||
	       mkdirat(base_fd, "alice/.ecryptfs", 0700) < 0;
}

static int tear_down(void **state)
{
	int r = st_remove_tree(base_fd, "alice", 0);

	close(base_fd);
	return r < 0 || rmdir(base) < 0;
}

static struct st_home alice(void)
{
	return (struct st_home){
		.user = (char *)"alice", .uid = geteuid(), .gid = getegid(),
		.database_path = (char *)HOME, .base = (char *)"/home", .base_fd = base_fd,
		.leaf = (char *)"alice",
	};
}

static int open_config(void)
{
	int fd = openat(base_fd, "alice/.ecryptfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* NULL: not there. */
static void put(const char *name, const char *text)
{
	_cleanup_close_ int fd = -1;

	assert_true(unlinkat(base_fd, name, 0) == 0 || errno == ENOENT);
	if (!text)
		return;
	fd = openat(base_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static const struct row {
	const char *sig, *mnt, *rc, *wrapped;
	bool is_home;
	int want;
	const char *words;	/* of the problem, or the mount point */
} rows[] = {
	{ SIG "\n", HOME, NULL, "x", true, 0, HOME },
	{ SIG "\n" SIG "\n", HOME "\n", NULL, "x", true, 0, HOME },
	{ SIG, HOME "///", NULL, "x", true, 0, HOME },
	{ SIG, NULL, NULL, "x", false, 0, HOME "/Private" },
	{ SIG, HOME "/Caf\xc3\xa9", NULL, "x", false, 0, HOME "/Caf\xc3\xa9" },
	{ SIG, HOME "/Caf\xe9", NULL, "x", false, -EBADMSG, "Private.mnt is not UTF-8" },
	{ SIG, HOME, NULL, "x", false, -ELOOP, "does not fit a directory inside" },
	{ SIG, HOME "/Private", NULL, "x", true, -ELOOP, "does not fit a directory that holds" },
	{ SIG, "/home/bob", NULL, "x", true, -ELOOP, "outside of the home" },
	{ SIG, "/home/alice2", NULL, "x", true, -ELOOP, "outside of the home" },
	{ SIG, HOME "/../bob", NULL, "x", false, -ELOOP, "not an absolute path" },
	{ SIG, "Private", NULL, "x", false, -ELOOP, "not an absolute path" },
	{ SIG, "", NULL, "x", false, -ELOOP, "not an absolute path" },
	{ NULL, HOME, NULL, "x", true, -ENOENT, "Private.sig" },
	{ "", HOME, NULL, "x", true, -EBADMSG, "Private.sig is empty" },
	{ "\n", HOME, NULL, "x", true, -EBADMSG, "16 hexadecimal digits" },
	{ SIG "\n" SIG "\n" SIG "\n", HOME, NULL, "x", true, -EBADMSG, "16 hexadecimal digits" },
	{ SIG "0\n", HOME, NULL, "x", true, -EBADMSG, "16 hexadecimal digits" },
	{ SIG "\r\n", HOME, NULL, "x", true, -EBADMSG, "16 hexadecimal digits" },
	{ "8902cd9f6ab967bg", HOME, NULL, "x", true, -EBADMSG, "16 hexadecimal digits" },
	{ SIG, HOME, NULL, NULL, true, -ENOENT, "wrapped-passphrase" },
	{ SIG, HOME, NULL, "", true, -EBADMSG, "wrapped-passphrase is empty" },
};

static void each_file_is_checked(void **state)
{
	_cleanup_close_ int config_fd = open_config();
	const struct st_home home = alice();
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct st_problem problem = { "" };
		json_t *reply = NULL;
		const char *said;
		int r;

		put("alice/.ecryptfs/Private.sig", row->sig);
		put("alice/.ecryptfs/Private.mnt", row->mnt);
		put("alice/.ecryptfsrc", row->rc);
		put("alice/.ecryptfs/wrapped-passphrase", row->wrapped);
		r = st_legacy_read(&home, config_fd, HOME "/.Private", row->is_home, &reply,
				   &problem);
		said = r ? problem.text :
			   json_string_value(json_object_get(reply, "mount_point"));
		if (r != row->want || !said || (r ? !strstr(said, row->words) :
						    strcmp(said, row->words) != 0))
			fail_msg("row %zu: %d, \"%s\" instead of %d, \"%s\"", i, r, said, row->want,
				 row->words);
		json_decref(reply);
	}
	print_message("# %zu sets of files, each taken or refused by name\n", i);
}

/* Only a file of version 1 has no salt of its own. */
static void salt_of_version_1(void **state)
{
	static const struct {
		const char *rc, *wrapped, *want;
	} salts[] = {
		{ "salt=0011223344556677\n", "1234", "0011223344556677" },
		{ "ecryptfs_cipher=aes,salt=0011223344556677", "1234", "0011223344556677" },
		{ "salt=0011223344556677\n", ":\x02" "1234", NULL },
		{ "salt=001122334455667\n", "1234", NULL },
		{ "passphrase_salt=0011223344556677\n", "1234", NULL },
		{ NULL, "1234", NULL },
	};
	_cleanup_close_ int config_fd = open_config();
	const struct st_home home = alice();
	size_t i;

	put("alice/.ecryptfs/Private.sig", SIG);
	put("alice/.ecryptfs/Private.mnt", HOME);
	for (i = 0; i < sizeof(salts) / sizeof(salts[0]); i++) {
		struct st_problem problem = { "" };
		json_t *reply = NULL;
		const char *salt;

		put("alice/.ecryptfsrc", salts[i].rc);
		put("alice/.ecryptfs/wrapped-passphrase", salts[i].wrapped);
		assert_int_equal(st_legacy_read(&home, config_fd, HOME "/.Private", true, &reply,
						&problem), 0);
		salt = json_string_value(json_object_get(json_object_get(reply, "legacy"),
							 "v1_salt"));
		if (!salt != !salts[i].want || (salt && strcmp(salt, salts[i].want) != 0))
			fail_msg("row %zu: %s", i, salt ? salt : "none");
		json_decref(reply);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_file_is_checked),
		cmocka_unit_test(salt_of_version_1),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
