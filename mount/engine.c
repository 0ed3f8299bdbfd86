/* SPDX-License-Identifier: GPL-2.0-only */
/* The choice between engines, and the one place where a mount is put into the tree. */
#include "mount/engine.h"

#include "lib/cleanup.h"
#include "mount/mount-table.h"
#include "mount/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

static const struct ec_engine *const engines[] = {
	&ec_engine_ecfs,
	&ec_engine_intree,
};

int ec_mount_options_add(struct ec_mount_options *options, const char *name, const char *value)
{
	struct ec_mount_option *row;

	/* A comma would end the option in the legacy mount string of the in-tree module. */
	if (!name[0] || strpbrk(name, ",=") || (value && strchr(value, ',')))
		return -EINVAL;
	if (options->n_rows >= EC_MOUNT_OPTIONS_MAX)
		return -E2BIG;
	row = &options->rows[options->n_rows];
	row->name = strdup(name);
	row->value = value ? strdup(value) : NULL;
	if (!row->name || (value && !row->value)) {
		free(row->name);
		free(row->value);
		return -ENOMEM;
	}
	options->n_rows++;
	return 0;
}

const char *ec_mount_options_get(const struct ec_mount_options *options, const char *name)
{
	size_t i;

	for (i = options->n_rows; i-- > 0;)
		if (!strcmp(options->rows[i].name, name))
			return options->rows[i].value ? options->rows[i].value : "";
	return NULL;
}

void ec_mount_options_done(struct ec_mount_options *options)
{
	size_t i;

	for (i = 0; i < options->n_rows; i++) {
		free(options->rows[i].name);
		free(options->rows[i].value);
	}
	options->n_rows = 0;
}

static int create_with_any(const struct ec_mount_request *request, const char *only,
			   const struct ec_engine **ret_engine, int *ret_mount_fd,
			   struct ec_why *why)
{
	size_t i;
	int r;

	for (i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
		if (only && strcmp(only, engines[i]->name))
			continue;
		r = engines[i]->create(request, ret_mount_fd, why);
		if (r == -ENODEV)
			continue;
		if (r == 0)
			*ret_engine = engines[i];
		return r;
	}
	return ec_why_set(why, -ENOPKG, "neither the module ecfs nor the module ecryptfs is available in this kernel");
}

static bool has_attributes(const struct ec_mount_entry *entry, uint64_t attributes)
{
	static const struct {
		uint64_t attribute;
		const char *option;
	} rows[] = {
		{ MOUNT_ATTR_RDONLY, "ro" },
		{ MOUNT_ATTR_NOSUID, "nosuid" },
		{ MOUNT_ATTR_NODEV, "nodev" },
		{ MOUNT_ATTR_NOEXEC, "noexec" },
		{ MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow" },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (attributes & rows[i].attribute &&
		    !ec_mount_options_has(entry->mount_options, rows[i].option))
			return false;
	return true;
}

/* Does the mount table show what was asked for? */
static int verify_entry(const struct ec_mount_request *request, const struct ec_mounted *mounted,
			struct ec_why *why)
{
	_cleanup_mount_table_ struct ec_mount_table table = EC_MOUNT_TABLE_NULL;
	const struct ec_mount_entry *entry;
	int r;

	r = ec_mount_table_read("/proc/self/mountinfo", &table);
	if (r < 0)
		return ec_why_set(why, r, "/proc/self/mountinfo: %s", strerror(-r));
	entry = ec_mount_table_by_id(&table, mounted->mount_id);
	if (!entry)
		return ec_why_set(why, -ESTALE, "the new mount is not in the mount table");
	if (strcmp(entry->target, request->target_path))
		return ec_why_set(why, -ESTALE, "%s was moved to %s while it was mounted",
				  request->target_path, entry->target);
	if (strcmp(entry->type, mounted->engine->name))
		return ec_why_set(why, -ESTALE, "%s shows the filesystem type %s",
				  request->target_path, entry->type);
	if (!has_attributes(entry, request->attributes))
		return ec_why_set(why, -ESTALE, "%s has the mount options %s",
				  request->target_path, entry->mount_options);
	return 0;
}

/* Both engines number inodes as the lower filesystem does: the root tells its lower directory. */
static int verify_root(const struct ec_mount_request *request, int mount_fd, struct ec_why *why)
{
	struct stat lower, upper;

	if (fstat(request->source_fd, &lower) < 0 || fstat(mount_fd, &upper) < 0)
		return -errno;
	if (lower.st_ino != upper.st_ino)
		return ec_why_set(why, -ESTALE, "the source was replaced while it was mounted");
	return 0;
}

static int attach(const struct ec_mount_request *request, int mount_fd,
		  const struct ec_mounted *mounted, struct ec_why *why)
{
	char by_fd[EC_PIN_PATH_LEN];
	int r;

	r = verify_root(request, mount_fd, why);
	if (r < 0)
		return r;
	if (move_mount(mount_fd, "", request->target_fd, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return ec_why_set(why, -errno, "the new mount cannot be put in its place: %s",
				  strerror(errno));
	r = verify_entry(request, mounted, why);
	if (r < 0) {
		ec_pin_path(by_fd, mount_fd);
		umount2(by_fd, MNT_DETACH);
	}
	return r;
}

int ec_engine_mount(const struct ec_mount_request *request, const char *only,
		    struct ec_mounted *ret, struct ec_why *why)
{
	struct ec_mounted mounted = { 0 };
	_cleanup_close_ int mount_fd = -1;
	int r;

	r = create_with_any(request, only, &mounted.engine, &mount_fd, why);
	if (r < 0)
		return r;
	r = ec_mount_id_at(mount_fd, "", &mounted.mount_id, &mounted.device);
	if (r < 0)
		return ec_why_set(why, r, "the new mount cannot be told from others: %s",
				  strerror(-r));
	r = request->prepare ? request->prepare(request->userdata, &mounted, why) : 0;
	if (r == 0)
		r = attach(request, mount_fd, &mounted, why);
	if (r < 0)
		return r;

	*ret = mounted;
	return 0;
}
