/* SPDX-License-Identifier: GPL-2.0-only */
/* The mount table, and the roots of the mounts in it. */
#include "mount/lower-use.h"

#include "lib/cleanup.h"
#include "mount/mount-table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

/* What the mount's source leads to, where that is a name of its own and not a descriptor's. */
static bool source_leads_elsewhere(const struct ec_mount_entry *entry, const struct stat *lower)
{
	struct stat st;

	if (entry->source[0] != '/' || !strncmp(entry->source, "/proc/", 6))
		return false;
	return stat(entry->source, &st) == 0 &&
	       (st.st_dev != lower->st_dev || st.st_ino != lower->st_ino);
}

static bool is_source_of(const struct ec_mount_entry *entry, const struct stat *lower)
{
	struct stat st;

	return entry->source[0] == '/' && stat(entry->source, &st) == 0 &&
	       st.st_dev == lower->st_dev && st.st_ino == lower->st_ino;
}

/* Both engines number inodes as the lower filesystem does. */
static bool is_mount_of(const struct ec_mount_entry *entry, const struct stat *lower)
{
	_cleanup_close_ int root = open(entry->target, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	uint64_t id;

	if (root < 0 || ec_mount_id_at(root, "", &id, NULL) < 0 || id != entry->id)
		return is_source_of(entry, lower);	/* under another mount */
	return fstat(root, &st) == 0 && st.st_ino == lower->st_ino &&
	       !source_leads_elsewhere(entry, lower);
}

int ec_lower_check_free(int source, const char *path, struct ec_why *why)
{
	_cleanup_mount_table_ struct ec_mount_table table = EC_MOUNT_TABLE_NULL;
	struct stat lower;
	size_t i;
	int r;

	if (fstat(source, &lower) < 0)
		return -errno;
	r = ec_mount_table_read("/proc/self/mountinfo", &table);
	if (r < 0)
		return ec_why_set(why, r, "/proc/self/mountinfo: %s", strerror(-r));
	for (i = 0; i < table.n_entries; i++) {
		const struct ec_mount_entry *entry = &table.entries[i];

		if (ec_mount_type_is_ours(entry->type) &&
		    !ec_mount_options_has(entry->super_options, "ecryptfs_encrypted_view") &&
		    is_mount_of(entry, &lower))
			return ec_why_set(why, -EBUSY, "%s is mounted at %s already", path,
					  entry->target);
	}
	return 0;
}
