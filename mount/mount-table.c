/* SPDX-License-Identifier: GPL-2.0-only */
/* /proc/self/mountinfo, proc_pid_mountinfo(5). */
#include "mount/mount-table.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* \040 and the like, in place. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (text[0] == '\\' && is_octal(text[1]) && is_octal(text[2]) && is_octal(text[3])) {
			*to++ = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 |
				       (text[3] - '0'));
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = 0;
}

/*
 * 36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue
 * id parent device root target options [tags...] - type source super-options
 */
int ec_mount_entry_parse(char *line, struct ec_mount_entry *ret)
{
	struct ec_mount_entry entry = { 0 };
	char *fields[10] = { 0 };
	char *save = NULL, *tail = strstr(line, " - "), *end;
	size_t i;

	if (!tail)
		return -EBADMSG;
	*tail = 0;
	tail += 3;
	fields[0] = strtok_r(line, " ", &save);
	for (i = 1; i < 6 && fields[i - 1]; i++)
		fields[i] = strtok_r(NULL, " ", &save);
	if (i < 6 || !fields[5])
		return -EBADMSG;
	entry.id = strtoull(fields[0], &end, 10);
	if (*end || sscanf(fields[2], "%u:%u", &entry.dev_major, &entry.dev_minor) != 2)
		return -EBADMSG;
	entry.target = fields[4];
	entry.mount_options = fields[5];
	entry.type = strtok_r(tail, " ", &save);
	entry.source = strtok_r(NULL, " ", &save);
	entry.super_options = strtok_r(NULL, " ", &save);
	if (!entry.type || !entry.source)
		return -EBADMSG;
	if (!entry.super_options) {	/* an empty source: two blanks in a row */
		entry.super_options = entry.source;
		entry.source = entry.type + strlen(entry.type);
	}
	unescape(entry.target);
	unescape(entry.source);

	*ret = entry;
	return 0;
}

static int entry_copy(struct ec_mount_entry *ret, const struct ec_mount_entry *from)
{
	*ret = *from;
	ret->target = strdup(from->target);
	ret->mount_options = strdup(from->mount_options);
	ret->type = strdup(from->type);
	ret->source = strdup(from->source);
	ret->super_options = strdup(from->super_options);
	return ret->target && ret->mount_options && ret->type && ret->source && ret->super_options ?
	       0 : -ENOMEM;
}

int ec_mount_table_read(const char *path, struct ec_mount_table *ret)
{
	_cleanup_mount_table_ struct ec_mount_table table = EC_MOUNT_TABLE_NULL;
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	ssize_t n;

	if (!file)
		return -errno;
	while ((n = getline(&line, &size, file)) > 0) {
		struct ec_mount_entry entry, *grown;

		if (line[n - 1] == '\n')
			line[n - 1] = 0;
		if (ec_mount_entry_parse(line, &entry) < 0)
			continue;
		grown = reallocarray(table.entries, table.n_entries + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		table.entries = grown;
		table.n_entries++;
		if (entry_copy(&grown[table.n_entries - 1], &entry) < 0)
			return -ENOMEM;
	}

	*ret = table;
	table = EC_MOUNT_TABLE_NULL;
	return 0;
}

void ec_mount_table_done(struct ec_mount_table *table)
{
	size_t i;

	for (i = 0; i < table->n_entries; i++) {
		struct ec_mount_entry *entry = &table->entries[i];

		free(entry->target);
		free(entry->mount_options);
		free(entry->type);
		free(entry->source);
		free(entry->super_options);
	}
	free(table->entries);
	*table = EC_MOUNT_TABLE_NULL;
}

const struct ec_mount_entry *ec_mount_table_by_id(const struct ec_mount_table *table, uint64_t id)
{
	size_t i;

	for (i = 0; i < table->n_entries; i++)
		if (table->entries[i].id == id)
			return &table->entries[i];
	return NULL;
}

const struct ec_mount_entry *ec_mount_table_by_target(const struct ec_mount_table *table,
						      const char *target)
{
	size_t i;

	for (i = table->n_entries; i-- > 0;)
		if (!strcmp(table->entries[i].target, target))
			return &table->entries[i];
	return NULL;
}

const struct ec_mount_entry *ec_mount_table_below(const struct ec_mount_table *table,
						  const char *path)
{
	size_t len = strlen(path), i;

	while (len > 0 && path[len - 1] == '/')
		len--;
	for (i = 0; i < table->n_entries; i++) {
		const char *target = table->entries[i].target;

		if (!strncmp(target, path, len) && target[len] == '/' && target[len + 1])
			return &table->entries[i];
	}
	return NULL;
}

/* The mount whose mount point is the longest beginning of path; the last of several. */
static const struct ec_mount_entry *covering(const struct ec_mount_table *table, const char *path)
{
	const struct ec_mount_entry *best = NULL;
	size_t best_len = 0, i;

	for (i = 0; i < table->n_entries; i++) {
		const struct ec_mount_entry *entry = &table->entries[i];
		size_t len = strcmp(entry->target, "/") ? strlen(entry->target) : 0;

		if (strncmp(path, entry->target, len) || (path[len] && path[len] != '/'))
			continue;
		if (!best || len >= best_len) {
			best = entry;
			best_len = len;
		}
	}
	return best;
}

bool ec_mount_table_may_hang(const struct ec_mount_table *table, const char *path)
{
	static const char *const types[] = { "nfs", "cifs", "smb", "fuse", "9p", "ceph", "afs" };
	const struct ec_mount_entry *entry = covering(table, path);
	size_t i;

	for (i = 0; entry && i < sizeof(types) / sizeof(types[0]); i++)
		if (!strncmp(entry->type, types[i], strlen(types[i])))
			return true;
	return false;
}

bool ec_mount_options_has(const char *options, const char *name)
{
	size_t len = strlen(name);
	const char *at = options;

	while (at) {
		if (!strncmp(at, name, len) && (at[len] == ',' || !at[len]))
			return true;
		at = strchr(at, ',');
		if (at)
			at++;
	}
	return false;
}

bool ec_mount_type_is_ours(const char *type)
{
	return !strcmp(type, "ecfs") || !strcmp(type, "ecryptfs");
}

int ec_mount_id_at(int dir, const char *name, uint64_t *ret_id, dev_t *ret_dev)
{
	struct statx stx;

	if (statx(dir, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT |
		  AT_STATX_DONT_SYNC, STATX_MNT_ID, &stx) < 0)
		return -errno;
	if (!(stx.stx_mask & STATX_MNT_ID))	/* Linux before 5.8 */
		return -EOPNOTSUPP;
	*ret_id = stx.stx_mnt_id;
	if (ret_dev)
		*ret_dev = makedev(stx.stx_dev_major, stx.stx_dev_minor);
	return 0;
}
