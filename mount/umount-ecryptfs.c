/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * umount.ecryptfs: the helper of umount(8). Unmounts, then takes the keys that mount.ecryptfs
 * left in the user keyring away, where the mount's options say ecryptfs_unlink_sigs.
 */
#include "format/ecfmt.h"
#include "lib/cleanup.h"
#include "mount/keyring.h"
#include "mount/mount-table.h"

#include <errno.h>
#include <keyutils.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>

#define EXIT_USAGE 1
#define EXIT_UMOUNT_FAILED 32

struct arguments {
	const char *target;
	int flags;	/* MNT_* */
};

static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
	int c;

	ret->flags = UMOUNT_NOFOLLOW;
	while ((c = getopt(argc, argv, "flnrvN:t:")) >= 0) {
		if (c == 'f')
			ret->flags |= MNT_FORCE;
		else if (c == 'l')
			ret->flags |= MNT_DETACH;
		else if (c == 'N' || c == '?')
			return -EINVAL;
	}
	if (argc - optind != 1)
		return -EINVAL;
	ret->target = argv[optind];
	return 0;
}

/* The value of one ecryptfs_sig= or ecryptfs_fnek_sig= option; NULL if item is another. */
static const char *sig_of(const char *item)
{
	static const char *const names[] = { "ecryptfs_sig=", "ecryptfs_fnek_sig=" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strncmp(item, names[i], strlen(names[i])))
			return item + strlen(names[i]);
	return NULL;
}

static void unlink_sigs(const char *super_options)
{
	_cleanup_free_ char *copy = strdup(super_options);
	char *save = NULL, *item;

	if (!copy || !ec_mount_options_has(super_options, "ecryptfs_unlink_sigs"))
		return;
	for (item = strtok_r(copy, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
		const char *text = sig_of(item);
		uint8_t sig[ECFMT_SIG_LEN];
		int r;

		if (!text || ecfmt_sig_from_hex(sig, text, strlen(text)) < 0)
			continue;
		r = ec_keyring_unlink(KEY_SPEC_USER_KEYRING, sig);
		if (r < 0)
			fprintf(stderr, "umount.ecryptfs: warning: the key %s stays in the user keyring: %s\n",
				text, strerror(-r));
	}
}

static int umount_entry(const struct ec_mount_entry *entry, int flags)
{
	if (umount2(entry->target, flags) < 0) {
		fprintf(stderr, "umount.ecryptfs: %s: %s\n", entry->target,
			errno == EBUSY ? "it is in use" : strerror(errno));
		return EXIT_UMOUNT_FAILED;
	}
	unlink_sigs(entry->super_options);
	return 0;
}

int main(int argc, char **argv)
{
	_cleanup_mount_table_ struct ec_mount_table table = EC_MOUNT_TABLE_NULL;
	const struct ec_mount_entry *entry;
	struct arguments arguments;
	char target[PATH_MAX];
	int r;

	if (parse_arguments(argc, argv, &arguments) < 0) {
		fprintf(stderr, "usage: umount.ecryptfs MOUNT_POINT [-flnrv]\n");
		return EXIT_USAGE;
	}
	if (!realpath(arguments.target, target)) {
		fprintf(stderr, "umount.ecryptfs: %s: %s\n", arguments.target, strerror(errno));
		return EXIT_USAGE;
	}
	r = ec_mount_table_read("/proc/self/mountinfo", &table);
	if (r < 0) {
		fprintf(stderr, "umount.ecryptfs: /proc/self/mountinfo: %s\n", strerror(-r));
		return EXIT_UMOUNT_FAILED;
	}
	entry = ec_mount_table_by_target(&table, target);
	if (!entry || !ec_mount_type_is_ours(entry->type)) {
		fprintf(stderr, "umount.ecryptfs: %s is not the mount point of an encrypted directory\n",
			target);
		return EXIT_UMOUNT_FAILED;
	}
	return umount_entry(entry, arguments.flags);
}
