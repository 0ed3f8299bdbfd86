/* SPDX-License-Identifier: GPL-2.0-only */
/* Moving the files of a present home into its new vault. */
#include "mount/import.h"

#include "lib/cleanup.h"
#include "mount/mount-table.h"
#include "mount/pin.h"
#include "mount/placeholder.h"
#include "mount/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

/* Header region and the rounding of the last extent. */
#define OVERHEAD_PER_FILE (8192u + 4096u)

struct places {
	int base;		/* HOMEBASE/.ecryptfs/USER */
	int home_parent;
	int home;		/* -1: there is none */
	ino_t home_ino;
	bool copied;		/* the vault holds a copy, or a part of one */
	struct ec_placeholder placeholder;
};

static void places_done(struct places *places)
{
	ec_closep(&places->base);
	ec_closep(&places->home_parent);
	ec_closep(&places->home);
}

__attribute__((format(printf, 2, 3)))
static void tell(const struct ec_import *import, const char *format, ...)
{
	char text[256];
	va_list args;

	if (!import->progress)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	import->progress(import->userdata, text);
}

static bool cancelled(const struct ec_import *import)
{
	return import->cancelled && import->cancelled(import->userdata);
}

/*
 * The directory that path stands in, for reading. Root's, or owner's: what happens in the latter
 * is checked as it is done (mount/placeholder.h).
 */
static int open_parent(const char *path, uid_t owner, int *ret_fd, struct ec_why *why)
{
	char parent[PATH_MAX];
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	snprintf(parent, sizeof(parent), "%s", path);
	*strrchr(parent, '/') = 0;
	r = ec_pin_directory(parent[0] ? parent : "/", &fd, why);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_uid != 0 && st.st_uid != owner) || st.st_mode & 02)
		return ec_why_set(why, -ELOOP, "%s can be changed by others than %s", parent,
				  owner ? "root and the owner of the home" : "root");
	return ec_pin_reopen(fd, ret_fd);
}

static int open_home(const struct ec_import *import, struct places *places, struct ec_why *why)
{
	const char *path = import->plan->import;
	_cleanup_close_ int pinned = -1;
	struct stat st;
	int r;

	if (fstatat(places->home_parent, places->placeholder.home_name, &st,
		    AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : ec_why_set(why, -errno, "%s: %s", path,
							 strerror(errno));
	r = ec_pin_directory(path, &pinned, why);
	if (r == 0)
		r = ec_pin_check(pinned, EC_PIN_TARGET, import->plan->owner, path, why);
	if (r == 0)
		r = ec_pin_reopen(pinned, &places->home);
	if (r < 0)
		return r;
	if (fstat(places->home, &st) < 0)
		return -errno;
	places->home_ino = st.st_ino;
	places->placeholder.gid = st.st_gid;
	return 0;
}

/* The group of the closed home, where there is no old one to take it from: that of the vault. */
static int group_of_vault(const struct ec_import *import, gid_t *ret_gid)
{
	struct stat st;

	if (lstat(import->plan->source, &st) < 0)
		return -errno;
	*ret_gid = st.st_gid;
	return 0;
}

static int open_places(const struct ec_import *import, struct places *places,
		       struct ec_why *why)
{
	int r;

	r = open_parent(import->plan->source, import->plan->owner, &places->base, why);
	if (r == 0)
		r = open_parent(import->plan->import, 0, &places->home_parent, why);
	if (r == 0)
		r = group_of_vault(import, &places->placeholder.gid);
	if (r < 0)
		return r;
	places->placeholder.base_fd = places->base;
	places->placeholder.home_parent_fd = places->home_parent;
	places->placeholder.home_name = strrchr(import->plan->import, '/') + 1;
	places->placeholder.uid = import->plan->owner;
	return open_home(import, places, why);
}

/* A mount in the home would be copied, or be lost from sight when the home is renamed. */
static int check_no_mounts(const struct ec_import *import, const struct places *places,
			   struct ec_why *why)
{
	_cleanup_mount_table_ struct ec_mount_table table = EC_MOUNT_TABLE_NULL;
	const struct ec_mount_entry *entry;
	uint64_t home, parent;
	int r;

	r = ec_mount_table_read("/proc/self/mountinfo", &table);
	if (r == 0)
		r = ec_mount_id_at(places->home, "", &home, NULL);
	if (r == 0)
		r = ec_mount_id_at(places->home_parent, "", &parent, NULL);
	if (r < 0)
		return r;
	if (home != parent)
		return ec_why_set(why, -EBUSY, "%s is a mount point and cannot be moved",
				  import->plan->import);
	entry = ec_mount_table_below(&table, import->plan->import);
	if (entry)
		return ec_why_set(why, -EBUSY, "something is mounted at %s, unmount it first",
				  entry->target);
	return 0;
}

static int check_space(const struct places *places, const struct ec_tree_counts *counts,
		       struct ec_why *why)
{
	uint64_t needed = counts->bytes + counts->files * OVERHEAD_PER_FILE, left;
	struct statvfs fs;

	if (fstatvfs(places->base, &fs) < 0)
		return -errno;
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (needed <= left)
		return 0;
	return ec_why_set(why, -ENOSPC, "copying the home needs %" PRIu64 " MiB, %" PRIu64 " MiB are free",
			  needed >> 20, left >> 20);
}

/* The staging directory, 0700 root, below a directory that is root's, too. */
static int make_staging(const struct ec_import *import, char *ret_path, int *ret_fd,
			struct ec_why *why)
{
	int r;

	if (mkdir(import->staging, 0700) < 0 && errno != EEXIST)
		return ec_why_set(why, -errno, "%s: %s", import->staging, strerror(errno));
	snprintf(ret_path, PATH_MAX, "%s/%s", import->staging, import->id);
	if (mkdir(ret_path, 0700) < 0 && errno != EEXIST)
		return ec_why_set(why, -errno, "%s: %s", ret_path, strerror(errno));
	r = ec_pin_directory(ret_path, ret_fd, why);
	return r < 0 ? r : ec_pin_check(*ret_fd, EC_PIN_TARGET, 0, ret_path, why);
}

/* Mounts the vault at the staging directory; ret_root is open for reading. */
static int stage(const struct ec_import *import, int *ret_root, struct ec_why *why)
{
	_cleanup_close_ int source = -1, target = -1;
	struct ec_mount_request request = {
		.options = &import->plan->options,
		.keys = import->keys,
		.attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
	};
	struct ec_mounted mounted;
	char path[PATH_MAX];
	int r;

	r = ec_pin_directory(import->plan->source, &source, why);
	if (r == 0)
		r = ec_pin_check(source, EC_PIN_SOURCE, import->plan->owner, import->plan->source,
				 why);
	if (r == 0)
		r = make_staging(import, path, &target, why);
	if (r < 0)
		return r;
	request.source_fd = source;
	request.target_fd = target;
	request.target_path = path;
	r = ec_engine_mount(&request, import->engine, &mounted, why);
	if (r < 0)
		return r;
	r = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r < 0)
		return ec_why_set(why, -errno, "%s: %s", path, strerror(errno));
	*ret_root = r;
	return 0;
}

/* Closes root and unmounts; somebody who only looks around in the mount table is waited for. */
static int unstage(const struct ec_import *import, int *root, struct ec_why *why)
{
	char path[PATH_MAX];
	unsigned int i;
	int r = 0;

	if (*root >= 0 && syncfs(*root) < 0)
		r = ec_why_set(why, -errno, "the copy cannot be written back: %s",
			       strerror(errno));
	ec_closep(root);
	snprintf(path, sizeof(path), "%s/%s", import->staging, import->id);
	for (i = 0; umount2(path, UMOUNT_NOFOLLOW) < 0; i++) {
		if (errno != EBUSY || i >= 20)
			return ec_why_set(why, -errno, "%s cannot be unmounted: %s", path,
					  strerror(errno));
		nanosleep(&(struct timespec){ .tv_nsec = 250000000 }, NULL);
	}
	rmdir(path);
	return r;
}

void ec_import_clean_up(const char *staging, const char *id)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", staging, id);
	/* Not ours, not mounted, not there: in each case there is nothing to do. */
	if (umount2(path, UMOUNT_NOFOLLOW | MNT_DETACH) == 0 || errno == EINVAL)
		rmdir(path);
}

/* Nothing may be mixed with what somebody put into the vault before. */
static int check_vault_empty(int root, struct ec_why *why)
{
	struct ec_tree_counts counts = { 0 };
	int r = ec_tree_count(root, NULL, &counts, why);

	if (r == 0 && counts.files)
		return ec_why_set(why, -EEXIST, "the vault has %" PRIu64 " files already, of an import that was interrupted perhaps",
				  counts.files);
	return r;
}

/* The lower directory of a home is closed to others, whatever the mode of the old home was. */
static int close_to_others(int root)
{
	return fchmod(root, 0700) < 0 ? -errno : 0;
}

/* For work that may take hours: the broker gives a worker up that it hears nothing of. */
struct pulse {
	const struct ec_import *import;
	const char *doing;
};

static int beat(void *userdata)
{
	const struct pulse *pulse = userdata;

	if (cancelled(pulse->import))
		return -ECANCELED;
	tell(pulse->import, "%s", pulse->doing);
	return 0;
}

/* Runs work on the staged vault. A fresh mount each time: nothing is read from the cache above. */
static int with_vault(const struct ec_import *import, struct places *places,
		      int (*work)(struct places *places, int root, struct ec_tree_watch *watch,
				  struct ec_why *why),
		      const char *doing, struct ec_why *why)
{
	struct pulse pulse = { .import = import, .doing = doing };
	struct ec_tree_watch watch = { .tick = beat, .userdata = &pulse };
	_cleanup_close_ int root = -1;
	int r, r2;

	r = stage(import, &root, why);
	if (r < 0) {
		ec_import_clean_up(import->staging, import->id);
		return r;
	}
	r = work(places, root, doing ? &watch : NULL, why);
	r2 = unstage(import, &root, why);
	if (r == 0 && doing && cancelled(import))
		r = -ECANCELED;
	return r < 0 ? r : r2;
}

static int copy_work(struct places *places, int root, struct ec_tree_watch *watch,
		     struct ec_why *why)
{
	int r = check_vault_empty(root, why);

	if (r < 0)
		return r;
	places->copied = true;
	r = ec_tree_copy(places->home, root, watch, why);
	return r < 0 ? r : close_to_others(root);
}

static int compare_work(struct places *places, int root, struct ec_tree_watch *watch,
		        struct ec_why *why)
{
	struct ec_tree_counts counts = { 0 };

	return ec_tree_compare(places->home, root, watch, &counts, why);
}

static int remove_work(struct places *places, int root, struct ec_tree_watch *watch,
		       struct ec_why *why)
{
	return ec_tree_remove_contents(root, watch, why);
}

static int import_files(const struct ec_import *import, struct places *places,
			struct ec_why *why)
{
	struct pulse pulse = { .import = import, .doing = "counting files" };
	struct ec_tree_watch watch = { .tick = beat, .userdata = &pulse };
	struct ec_tree_counts counts = { 0 };
	char doing[80];
	int r;

	r = check_no_mounts(import, places, why);
	if (r == 0)
		r = ec_tree_count(places->home, &watch, &counts, why);
	if (r == 0)
		r = check_space(places, &counts, why);
	if (r < 0 || !counts.files)
		return r;
	snprintf(doing, sizeof(doing), "copying %" PRIu64 " files, %" PRIu64 " MiB", counts.files,
		 counts.bytes >> 20);
	r = with_vault(import, places, copy_work, doing, why);
	if (r < 0)
		return r;
	return with_vault(import, places, compare_work, "comparing the copy with the files", why);
}

static int swap(struct places *places, struct ec_why *why)
{
	int r;

	if (places->home < 0)
		return ec_placeholder_move(&places->placeholder, why);
	r = ec_placeholder_swap(&places->placeholder, places->home_ino, why);
	if (r == 0)
		/* Fails, rightly, unless the old home was empty. */
		ec_placeholder_drop_empty(&places->placeholder);
	return r;
}

int ec_import_run(const struct ec_import *import, struct ec_why *why)
{
	_cleanup_(places_done) struct places places = {
		.base = -1, .home_parent = -1, .home = -1,
	};
	int r;

	r = open_places(import, &places, why);
	if (r == 0 && places.home >= 0)
		r = ec_placeholder_probe(&places.placeholder, why);
	if (r == 0)
		r = ec_placeholder_prepare(&places.placeholder, why);
	if (r < 0)
		return r;
	if (places.home >= 0)
		r = import_files(import, &places, why);
	if (r == 0) {
		tell(import, "putting the closed home in place");
		r = swap(&places, why);
	}
	if (r < 0) {
		ec_placeholder_discard(&places.placeholder);
		if (places.copied)
			with_vault(import, &places, remove_work, NULL, NULL);
	}
	return r;
}
