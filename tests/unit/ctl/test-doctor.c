/* SPDX-License-Identifier: GPL-2.0-only */
/* The checks of doctor, on trees that look like systems. */
#include "ctl/doctor.h"

#include "lib/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define N_FILES 12

struct file {
	const char *path;
	const char *text;	/* "" with a final slash in path: a directory; "->x": a link to x */
};

/* A tree below a new directory. */
static void make_file(const char *root, const struct file *file)
{
	char path[PATH_MAX], *slash;
	FILE *stream;

	snprintf(path, sizeof(path), "%s%s", root, file->path);
	for (slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		if (mkdir(path, 0755) < 0)
			assert_int_equal(errno, EEXIST);
		*slash = '/';
	}
	if (path[strlen(path) - 1] == '/')
		return;
	if (!strncmp(file->text, "->", 2)) {
		assert_int_equal(symlink(file->text + 2, path), 0);
		return;
	}
	stream = fopen(path, "we");
	assert_non_null(stream);
	fputs(file->text, stream);
	fclose(stream);
}

static void make_tree(char root[static 64], const struct file files[static N_FILES])
{
	size_t i;

	strcpy(root, "/tmp/test-doctor-XXXXXX");
	assert_non_null(mkdtemp(root));
	for (i = 0; i < N_FILES && files[i].path; i++)
		make_file(root, &files[i]);
}

static void remove_tree(const char *root)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	assert_int_equal(system(command), 0);
}

enum check {
	MODULE,
	PAM,
	SWAP,
	KEYRINGS,
	ORDER,
};

static json_t *run(enum check check, const char *root)
{
	json_t *checks = json_array();

	switch (check) {
	case MODULE:
		ctl_doctor_module(checks, root, "6.1.0-test");
		break;
	case PAM:
		ctl_doctor_pam(checks, root);
		break;
	case SWAP:
		ctl_doctor_swap(checks, root);
		break;
	case KEYRINGS:
		ctl_doctor_keyrings(checks, root);
		break;
	case ORDER:
		ctl_doctor_order(checks, root);
		break;
	}
	return checks;
}

#define COMMON_AUTH "/etc/pam.d/common-auth"
#define COMMON_SESSION "/etc/pam.d/common-session"
#define COMMON_PASSWORD "/etc/pam.d/common-password"
#define GOOD_AUTH { COMMON_AUTH, "# a comment\nauth [success=1 default=ignore] pam_unix.so nullok\n" \
		    "auth requisite pam_deny.so\nauth optional pam_ecryptfs.so\n" }
#define GOOD_SESSION { COMMON_SESSION, "session required pam_unix.so\n" \
		       "session optional pam_ecryptfs.so\n-session optional pam_systemd.so\n" }
#define GOOD_PASSWORD { COMMON_PASSWORD, "password [success=1 default=ignore] pam_unix.so obscure\n" \
			"password optional pam_ecryptfs.so\n" }
#define SWAPS "Filename Type Size Used Priority\n"
#define CAN_HIBERNATE { "/sys/power/state", "freeze mem disk\n" }, \
		      { "/sys/power/disk", "[platform] shutdown\n" }

/* want: the statuses, in order, by their first letters; text: part of some text, or NULL */
static const struct {
	const char *name;
	enum check check;
	struct file files[N_FILES];
	const char *want;
	const char *text;
} rows[] = {
	{ "ecfs is loaded", MODULE, { { "/proc/filesystems", "nodev\tproc\n\text4\nnodev\tecfs\n" } },
	  "o", "is loaded" },
	{ "ecfs can be loaded", MODULE, {
		{ "/proc/filesystems", "\text4\n" },
		{ "/lib/modules/6.1.0-test/modules.dep", "updates/dkms/ecfs.ko.xz: a.ko b.ko\n" } },
	  "o", "will be loaded" },
	{ "ecfs is only what another module needs", MODULE, {
		{ "/lib/modules/6.1.0-test/modules.dep", "kernel/x.ko: kernel/ecfs.ko\n" } },
	  "f", "neither" },
	{ "the kernel's own", MODULE, {
		{ "/lib/modules/6.1.0-test/modules.dep", "kernel/fs/ecryptfs/ecryptfs.ko:\n" } },
	  "w", "mounts instead" },
	{ "built in", MODULE, {
		{ "/lib/modules/6.1.0-test/modules.builtin", "kernel/fs/ecryptfs/ecryptfs.ko\n" } },
	  "w", "mounts instead" },
	{ "another kernel's", MODULE, {
		{ "/lib/modules/6.1.0-other/modules.dep", "updates/dkms/ecfs.ko:\n" } },
	  "f", "6.1.0-test" },
	{ "nothing", MODULE, { { NULL, NULL } }, "f", "nothing can be mounted" },

	{ "PAM as it should be", PAM, { GOOD_AUTH, GOOD_SESSION, GOOD_PASSWORD }, "ooo", NULL },
	{ "PAM with a path", PAM, { GOOD_AUTH, GOOD_PASSWORD, { COMMON_SESSION,
		"session optional /usr/lib/x86_64-linux-gnu/security/pam_ecryptfs.so # us\n" } },
	  "ooo", NULL },
	{ "PAM without us", PAM, { GOOD_AUTH, GOOD_PASSWORD, { COMMON_SESSION,
		"session optional pam_systemd.so\n#session optional pam_ecryptfs.so\n" } },
	  "ofo", "no line" },
	{ "PAM, session behind systemd", PAM, { GOOD_AUTH, GOOD_PASSWORD, { COMMON_SESSION,
		"session optional pam_systemd.so\nsession optional pam_ecryptfs.so\n" } },
	  "ofo", "come before pam_systemd.so" },
	{ "PAM, auth in front of unix", PAM, { GOOD_SESSION, GOOD_PASSWORD, { COMMON_AUTH,
		"auth optional pam_ecryptfs.so\nauth [success=1 default=ignore] pam_unix.so\n" } },
	  "foo", "come after pam_unix.so" },
	{ "PAM of ecryptfs-utils", PAM, { GOOD_SESSION, GOOD_PASSWORD, { COMMON_AUTH,
		"auth required pam_unix.so\nauth optional pam_ecryptfs.so unwrap\n" } },
	  "woo", "ecryptfs-utils" },
	{ "PAM, noninteractive stack too", PAM, { GOOD_AUTH, GOOD_SESSION, GOOD_PASSWORD,
		{ "/etc/pam.d/common-session-noninteractive", "session required pam_unix.so\n" } },
	  "oofo", "noninteractive" },
	{ "PAM of another distribution", PAM, { { NULL, NULL } }, "www", "yourself" },
	{ "PAM lines that are none", PAM, { GOOD_SESSION, GOOD_PASSWORD, { COMMON_AUTH,
		"\n \nauth\nauth required\nauth [a=b\nauth [x] \n@include y\nauth x pam_ecryptfs.so" } },
	  "ooo", NULL },

	{ "no swap", SWAP, { { "/proc/swaps", SWAPS } }, "oo", "no swap" },
	{ "plain swap", SWAP, { { "/proc/swaps", SWAPS "/dev/sda2 partition 1 0 -2\n" },
		{ "/dev/sda2", "" }, { "/sys/class/block/sda2/size", "1" } }, "wo", "not encrypted" },
	{ "plain swap and hibernation", SWAP, { { "/proc/swaps", SWAPS "/dev/sda2 partition 1 0 -2\n" },
		{ "/dev/sda2", "" }, { "/sys/class/block/sda2/size", "1" }, CAN_HIBERNATE },
	  "ww", "hibernation would write" },
	{ "encrypted swap and hibernation", SWAP, {
		{ "/proc/swaps", SWAPS "/dev/dm-1 partition 1 0 -2\n" }, { "/dev/dm-1", "" },
		{ "/sys/class/block/dm-1/dm/uuid", "CRYPT-PLAIN-swap\n" }, CAN_HIBERNATE },
	  "oo", "is encrypted" },
	{ "a volume on an encrypted device", SWAP, {
		{ "/proc/swaps", SWAPS "/dev/mapper/swap partition 1 0 -2\n" },
		{ "/dev/mapper/swap", "->../dm-2" }, { "/dev/dm-2", "" },
		{ "/sys/class/block/dm-2/dm/uuid", "LVM-abc\n" },
		{ "/sys/class/block/dm-2/slaves/dm-1/", "" },
		{ "/sys/class/block/dm-1/dm/uuid", "CRYPT-LUKS2-x\n" } }, "oo", NULL },
	{ "a mirror with one plain half", SWAP, {
		{ "/proc/swaps", SWAPS "/dev/md0 partition 1 0 -2\n" }, { "/dev/md0", "" },
		{ "/sys/class/block/md0/slaves/dm-1/", "" },
		{ "/sys/class/block/md0/slaves/sdb/", "" }, { "/sys/class/block/sdb/size", "1" },
		{ "/sys/class/block/dm-1/dm/uuid", "CRYPT-LUKS2-x\n" } }, "wo", NULL },
	{ "zram and a plain one", SWAP, {
		{ "/proc/swaps", SWAPS "/dev/zram0 partition 1 0 100\n/dev/sda2 partition 1 0 -2\n" },
		{ "/dev/zram0", "" }, { "/dev/sda2", "" } }, "owo", NULL },
	{ "swap in a file that is not there", SWAP, {
		{ "/proc/swaps", SWAPS "/swap file 1 0 -2\n" } }, "wo", "cannot tell" },
	{ "no /proc/swaps", SWAP, { { NULL, NULL } }, "w", NULL },

	{ "empty keyrings", KEYRINGS, { { "/proc/keys",
		"11e9d2f1 I--Q---    11 perm 1f3f0000     0 65534 keyring   _uid_ses.0: 1\n"
		"1a2b3c4d I--Q---     1 perm 3f010000  1000  1000 user      invocation_id: 16\n"
		"1a2b3c4e I--Q---     1 perm 3f010000  1000  1000 user      0123456789abcdef0: 16\n" } },
	  "o", NULL },
	{ "keys left behind", KEYRINGS, { { "/proc/keys",
		"1a2b3c4d I--Q---     1 perm 3f010000  1000  1000 user      0123456789abcdef: 740\n"
		"1a2b3c4e I--Q---     1 perm 3f010000  1000  1000 encrypted fedcba9876543210: ecryptfs\n"
		} }, "w", "2 eCryptfs keys" },
	{ "no keys at all", KEYRINGS, { { "/proc/keys", "" } }, "o", NULL },

	{ "drop-in", ORDER, {
		{ "/usr/lib/systemd/system/user@.service.d/10-ecryptfs.conf", "[Unit]\n" } }, "o", NULL },
	{ "other drop-in", ORDER, {
		{ "/usr/lib/systemd/system/user@.service.d/10-login.conf", "[Unit]\n" } }, "f", NULL },
};

static void assert_row(size_t n)
{
	char root[64], have[16] = "";
	bool said = false;
	const char *text;
	json_t *checks, *check;
	size_t i;

	make_tree(root, rows[n].files);
	checks = run(rows[n].check, root);
	remove_tree(root);
	json_array_foreach(checks, i, check) {
		text = json_string_value(json_object_get(check, "text"));
		assert_non_null(text);
		have[i] = json_string_value(json_object_get(check, "status"))[0];
		said |= !rows[n].text || strstr(text, rows[n].text);
	}
	if (strcmp(have, rows[n].want) || !said) {
		text = json_dumps(checks, JSON_INDENT(1));
		fail_msg("%s: want %s and \"%s\", have %s:\n%s", rows[n].name, rows[n].want,
			 rows[n].text ? rows[n].text : "", have, text);
	}
	json_decref(checks);
}

static void test_checks(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_row(i);
	print_message("# %zu systems\n", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
