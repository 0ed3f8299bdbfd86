/* SPDX-License-Identifier: GPL-2.0-only */
/* Lines of /proc/self/mountinfo, and the question which mount a path is on. */
#ifndef EC_MOUNT_TABLE_H
#define EC_MOUNT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ec_mount_entry {
	uint64_t id;
	unsigned int dev_major;
	unsigned int dev_minor;
	char *target;		/* unescaped */
	char *mount_options;	/* of the mount: rw,nosuid,nodev,... */
	char *type;
	char *source;		/* unescaped */
	char *super_options;
};

struct ec_mount_table {
	struct ec_mount_entry *entries;
	size_t n_entries;
};

#define EC_MOUNT_TABLE_NULL ((struct ec_mount_table){ 0 })

/* One line without its newline; overwritten. -EBADMSG. The entry borrows from line. */
int ec_mount_entry_parse(char *line, struct ec_mount_entry *ret);
/* path: "/proc/self/mountinfo". Lines that cannot be read are left out. */
int ec_mount_table_read(const char *path, struct ec_mount_table *ret);
void ec_mount_table_done(struct ec_mount_table *table);

/* Borrowed or NULL. By mount id; by mount point (the topmost). */
const struct ec_mount_entry *ec_mount_table_by_id(const struct ec_mount_table *table, uint64_t id);
const struct ec_mount_entry *ec_mount_table_by_target(const struct ec_mount_table *table,
						      const char *target);
/* The first mount whose mount point lies below path (and is not path). */
const struct ec_mount_entry *ec_mount_table_below(const struct ec_mount_table *table,
						  const char *path);
/* Is path, as a text, on a file server or in the hands of a process, which may not answer? */
bool ec_mount_table_may_hang(const struct ec_mount_table *table, const char *path);
/* "nosuid" in "rw,nosuid,nodev"? */
bool ec_mount_options_has(const char *options, const char *name);
/* ecfs or the in-tree ecryptfs? */
bool ec_mount_type_is_ours(const char *type);

/* Mount id and device of what a path under dir (or dir itself, name "") leads to. No symlink is
 * followed and no server asked. 0, errno. */
int ec_mount_id_at(int dir, const char *name, uint64_t *ret_id, dev_t *ret_dev);

#define _cleanup_mount_table_ __attribute__((cleanup(ec_mount_table_done)))

#endif
