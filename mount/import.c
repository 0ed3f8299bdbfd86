/* SPDX-License-Identifier: GPL-2.0-only */
/* Moving the files of a present home into its new vault. */
#include "mount/import.h"

#include "lib/cleanup.h"
#include "mount/blockers.h"
#include "mount/clock.h"
#include "mount/enclosure.h"
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
#define SCAN_MS 30000u
/* The manager of a user, and services in his home with it, end 10 s after his last session. */
#define PATIENCE_MS 15000u
#define RETRY_MS 500u
/* The list of what could not be copied as it was: its name, and its length in lines. */
#define REPORT "not-copied-exactly"
#define LOSSES_MAX 100000u
struct places {
	int base;		/* HOMEBASE/.ecryptfs/USER */
	int home_parent;
	int home;		/* -1: there is none */
	int view_mount;
	int view;		/* the home, as it is read: ec_pin_view() */
	ino_t home_ino;
	dev_t home_dev;
	struct ec_tree_note before;	/* the home, before a byte of it was copied */
	bool swapped;		/* the closed home stands where the home was */
	const struct ec_import *import;
	struct ec_enclosure enclosure;
	struct ec_placeholder placeholder;
};

static void places_done(struct places *places)
{
	ec_closep(&places->base);
	ec_closep(&places->home_parent);
	ec_closep(&places->home);
	ec_closep(&places->view);
	ec_closep(&places->view_mount);
	ec_enclosure_done(&places->enclosure);
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
	if (r == 0)
		r = ec_pin_view(pinned, &places->view_mount, &places->view, why);
	if (r < 0)
		return r;
	if (fstat(places->home, &st) < 0)
		return -errno;
	places->home_ino = st.st_ino;
	places->home_dev = st.st_dev;
	places->placeholder.gid = st.st_gid;
	if (ec_tree_flags_pin(places->home))
		return ec_why_set(why, -EOPNOTSUPP, "%s cannot be moved because it is immutable or append-only: chattr -ia takes that off",
				  path);
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
	/* No filesystem without inodes has any files; one that makes them as it goes says 0. */
	if (fs.f_files && counts->files > fs.f_favail)
		return ec_why_set(why, -ENOSPC, "copying the home needs %" PRIu64 " inodes, %" PRIu64 " are free",
				  counts->files, (uint64_t)fs.f_favail);
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

/*
 * Mounts the new vault at the staging directory; ret_root is open for reading. Links are made and
 * read there, and none is followed: see mount/enclosure.h.
 */
static int stage(const struct ec_import *import, const struct places *places, int *ret_root,
		 struct ec_why *why)
{
	_cleanup_close_ int target = -1;
	struct ec_mount_request request = {
		.source_fd = places->enclosure.vault,
		.options = &import->plan->options,
		.keys = import->keys,
		.attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
			      MOUNT_ATTR_NOSYMFOLLOW,
	};
	struct ec_mounted mounted;
	char path[PATH_MAX];
	int r;

	r = make_staging(import, path, &target, why);
	if (r < 0)
		return r;
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

/* For work that may take hours: the broker gives a worker up that it hears nothing of. */
struct pulse {
	const struct ec_import *import;
	const char *doing;
	bool must_end;		/* undoing, and what comes between the swap and the mount */
};

static int beat(void *userdata)
{
	const struct pulse *pulse = userdata;

	if (!pulse->must_end && cancelled(pulse->import))
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

	r = stage(import, places, &root, why);
	if (r < 0) {
		ec_import_clean_up(import->staging, import->id);
		return r;
	}
	r = work(places, root, &watch, why);
	r2 = unstage(import, &root, why);
	if (r == 0 && cancelled(import))
		r = -ECANCELED;
	return r < 0 ? r : r2;
}

static int copy_work(struct places *places, int root, struct ec_tree_watch *watch,
		     struct ec_why *why)
{
	return ec_tree_copy(places->view, root, watch, why);
}

struct losses {
	FILE *list;
	uint64_t n;
};

/* Names may hold anything, a line's end among it. */
static void note_loss(void *userdata, const char *path, const char *what)
{
	struct losses *losses = userdata;

	if (losses->n++ >= LOSSES_MAX)
		return;
	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		fprintf(losses->list, c < ' ' || c == 127 || c == '\\' ? "\\%03o" : "%c", c);
	}
	fprintf(losses->list, ": %s\n", what);
}

/* A new file, for the owner alone to read; ret_name is what it could be called. */
static int make_report(const struct places *places, int root, char *ret_name, size_t name_len)
{
	_cleanup_close_ int fd = -1;
	unsigned int i;

	for (i = 1; i < 100 && fd < 0; i++) {
		snprintf(ret_name, name_len, i > 1 ? REPORT "-%u.txt" : REPORT ".txt", i);
		fd = openat(root, ret_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			return -errno;
	}
	if (fd < 0)
		return -EEXIST;
	if (fchown(fd, places->placeholder.uid, places->placeholder.gid) < 0)
		return -errno;
	return ec_take_fd(&fd);
}

static int fill_report(int fd, const char *list, size_t len)
{
	FILE *file = fdopen(fd, "w");

	if (!file) {
		close(fd);
		return -errno;
	}
	fputs("When this home was encrypted, these things could not be copied as they were.\n"
	      "Names are shown with \\OOO for bytes that are no characters.\n\n", file);
	fwrite(list, 1, len, file);
	return fclose(file) ? -errno : 0;
}

/* Into the new home, because the names of a home belong there and not into a journal. */
static int write_report(const struct places *places, int root, const char *list, size_t len,
			char *ret_name, size_t name_len)
{
	struct timespec times[2];
	struct stat st;
	int fd, r;

	if (fstat(places->view, &st) < 0)
		return -errno;
	fd = make_report(places, root, ret_name, name_len);
	r = fd < 0 ? fd : fill_report(fd, list, len);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	return futimens(root, times) < 0 && r == 0 ? -errno : r;
}

static void report_losses(const struct places *places, int root, struct losses *losses,
			  const char *list, size_t len)
{
	const struct ec_import *import = places->import;
	char text[400], name[40];
	int r;

	if (losses->n == 0)
		return;
	r = write_report(places, root, list, len, name, sizeof(name));
	if (r < 0)
		snprintf(text, sizeof(text), "%" PRIu64 " things could not be copied as they were, and the list of them cannot be written: %s",
			 losses->n, strerror(-r));
	else
		snprintf(text, sizeof(text), "%" PRIu64 " things could not be copied as they were: the list is the file %s in the encrypted home",
			 losses->n, name);
	if (import->lost)
		import->lost(import->userdata, text);
}

/* The flags come last: an immutable file is in the way of whoever changes its directory. */
static int keep_flags(const struct places *places, int root, uint64_t coarse_times,
		      struct ec_tree_watch *watch, struct ec_why *why)
{
	_cleanup_free_ char *list = NULL;
	size_t len = 0;
	struct losses losses = { .list = open_memstream(&list, &len) };
	const struct ec_tree_losses told = { .lost = note_loss, .userdata = &losses };
	char text[100];
	int r;

	if (!losses.list)
		return -ENOMEM;
	r = ec_tree_copy_flags(places->view, root, watch, &told, why);
	if (r == 0 && coarse_times) {
		snprintf(text, sizeof(text), "%" PRIu64 " modification times, of which the fractions of a second are cut off",
			 coarse_times);
		note_loss(&losses, "/", text);
	}
	if (losses.n > LOSSES_MAX)
		fprintf(losses.list, "... and %" PRIu64 " more\n", losses.n - LOSSES_MAX);
	fclose(losses.list);
	if (r == 0)
		report_losses(places, root, &losses, list, len);
	return r;
}

static int compare_work(struct places *places, int root, struct ec_tree_watch *watch,
			struct ec_why *why)
{
	struct ec_tree_counts counts = { 0 };
	int r = ec_tree_compare(places->view, root, watch, &counts, why);

	return r < 0 ? r : keep_flags(places, root, counts.coarse_times, watch, why);
}

/* The path that /proc shows for what is open in the home, wherever the home stands by now. */
static int check_unused(const struct places *places, struct ec_why *why)
{
	const char *home = places->import->plan->import;
	char path[PATH_MAX], link[EC_PIN_PATH_LEN], names[600];
	json_t *blockers;
	ssize_t n;
	int r;

	ec_pin_path(link, places->home);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return -errno;
	path[n] = 0;
	r = ec_blockers_below(path, places->home_dev, SCAN_MS, &blockers);
	if (r < 0)
		return ec_why_set(why, r, "who uses %s cannot be found out: %s", home,
				  strerror(-r));
	ec_blockers_to_text(blockers, names, sizeof(names));
	json_decref(blockers);
	if (!names[0])
		return 0;
	return ec_why_set(why, -EBUSY, "%s is in use by %s; what is written while it is copied would be lost",
			  home, names);
}

/* Somebody may just be leaving. */
static int wait_until_unused(const struct places *places, struct ec_why *why)
{
	const struct ec_import *import = places->import;
	const uint64_t deadline = ec_now_ms() + PATIENCE_MS;
	bool told = false;

	for (;;) {
		struct ec_why busy = EC_WHY_NULL;
		int r = check_unused(places, &busy);

		if (r == -EBUSY && cancelled(import))
			return -ECANCELED;
		if (r != -EBUSY || ec_now_ms() >= deadline)
			return r < 0 ? ec_why_set(why, r, "%s", busy.text) : 0;
		if (!told)
			tell(import, "waiting: %s", busy.text);
		told = true;
		nanosleep(&(struct timespec){ .tv_nsec = RETRY_MS * 1000000L }, NULL);
	}
}

/* What a walk ends with when names change between two of its steps. */
static bool moved_under_walk(int r)
{
	return r == -ENOENT || r == -ENOTDIR || r == -ELOOP || r == -ESTALE;
}

static int check_unchanged(const struct places *places, struct ec_tree_watch *watch,
			   struct ec_why *why)
{
	struct ec_why said = EC_WHY_NULL;
	struct ec_tree_note now;
	int r;

	r = ec_tree_take_note(places->home, watch, &now, &said);
	if (moved_under_walk(r))
		return ec_why_set(why, -EBUSY, "%s is being changed while it is copied (%s); nothing was moved",
				  places->import->plan->import, ec_why_text(&said, r));
	if (r < 0)
		return ec_why_set(why, r, "%s", ec_why_text(&said, r));
	if (ec_tree_note_equal(&places->before, &now))
		return 0;
	return ec_why_set(why, -EBUSY, "%s was changed while it was copied, last of all %s; nothing was moved",
			  places->import->plan->import, now.newest_path);
}

/* In this order: who is not there any more has left his changes behind. */
static int check_quiet(const struct places *places, struct ec_tree_watch *watch,
		       struct ec_why *why)
{
	int r = check_unused(places, why);

	return r < 0 ? r : check_unchanged(places, watch, why);
}

/* A copy that went wrong, or is not equal: because the home was changed meanwhile? */
static int explain_difference(const struct places *places, struct ec_tree_watch *watch, int r,
			      const struct ec_why *said, struct ec_why *why)
{
	struct ec_why quiet = EC_WHY_NULL;

	if (r != -ECANCELED && r != -ENOSPC && r != -EDQUOT &&
	    check_quiet(places, watch, &quiet) == -EBUSY)
		return ec_why_set(why, -EBUSY, "%s", quiet.text);
	return ec_why_set(why, r, "%s", ec_why_text(said, r));
}

static int copy_and_compare(const struct ec_import *import, struct places *places,
			    struct ec_why *why)
{
	const struct ec_tree_counts *counts = &places->before.counts;
	char doing[80];
	int r;

	snprintf(doing, sizeof(doing), "copying %" PRIu64 " files, %" PRIu64 " MiB", counts->files,
		 counts->bytes >> 20);
	r = with_vault(import, places, copy_work, doing, why);
	if (r < 0)
		return r;
	return with_vault(import, places, compare_work, "comparing the copy with the files", why);
}

static int import_files(const struct ec_import *import, struct places *places,
			struct ec_why *why)
{
	struct pulse pulse = { .import = import, .doing = "counting files" };
	struct ec_tree_watch watch = { .tick = beat, .userdata = &pulse };
	struct ec_why said = EC_WHY_NULL;
	int r;

	r = check_no_mounts(import, places, why);
	if (r == 0)
		r = wait_until_unused(places, why);
	if (r == 0 && syncfs(places->home) < 0)
		r = ec_why_set(why, -errno, "%s cannot be written back: %s", import->plan->import,
			       strerror(errno));
	if (r == 0)
		r = ec_tree_take_note(places->home, &watch, &places->before, why);
	if (r == 0)
		r = check_space(places, &places->before.counts, why);
	if (r < 0)
		return r;
	pulse.doing = "looking for changes";
	r = copy_and_compare(import, places, &said);
	if (r < 0)
		return explain_difference(places, &watch, r, &said, why);
	r = check_no_mounts(import, places, why);
	if (r == 0)
		r = check_quiet(places, &watch, why);
	return r < 0 ? r : ec_enclosure_publish(&places->enclosure, why);
}

/*
 * Nobody comes into the old home any more by the path that he knows; so who is not in there after
 * the swap, and has changed nothing until then, never will.
 */
static int swap(struct places *places, struct ec_why *why)
{
	struct pulse pulse = { .import = places->import, .doing = "looking for changes",
			       .must_end = true };
	struct ec_tree_watch watch = { .tick = beat, .userdata = &pulse };
	int r;

	if (places->home < 0)
		r = ec_placeholder_move(&places->placeholder, why);
	else
		r = ec_placeholder_swap(&places->placeholder, places->home_ino, why);
	places->swapped = r == 0;
	if (r == 0 && places->home >= 0)
		r = check_quiet(places, &watch, why);
	return r;
}

static int swap_back(struct places *places, struct ec_why *why)
{
	struct ec_why first = *why, second = EC_WHY_NULL;
	int r;

	if (places->home < 0)
		r = ec_placeholder_move_back(&places->placeholder, &second);
	else
		r = ec_placeholder_swap_back(&places->placeholder, places->home_ino, &second);
	if (r < 0) {
		*why = EC_WHY_NULL;
		return ec_why_set(why, r, "%.400s; and %.400s. The home is encrypted now and closed, its files are in the vault, what it was before is kept as " EC_PLACEHOLDER_KEPT,
				  first.text, ec_why_text(&second, r));
	}
	places->swapped = false;
	return 0;
}

/* Back to where all began. Not if the old home cannot be put back: then the vault is the home. */
static void undo(const struct ec_import *import, struct places *places, struct ec_why *why)
{
	struct pulse pulse = { .import = import, .doing = "removing the copy", .must_end = true };
	struct ec_tree_watch watch = { .tick = beat, .userdata = &pulse };

	if (places->swapped && swap_back(places, why) < 0)
		return;
	ec_placeholder_discard(&places->placeholder);
	if (ec_enclosure_withdraw(&places->enclosure, NULL) == 0)
		ec_enclosure_discard(&places->enclosure, &watch, NULL);
}

/* HOMEBASE/.ecryptfs */
static int open_base_parent(const struct ec_plan *plan, int *ret_fd, struct ec_why *why)
{
	char base[PATH_MAX];

	snprintf(base, sizeof(base), "%s", plan->source);
	*strrchr(base, '/') = 0;
	if (!base[0])
		return ec_why_set(why, -EINVAL, "%s has no directory of vaults above it", plan->source);
	return open_parent(base, 0, ret_fd, why);
}

void ec_import_forget(const struct ec_plan *plan, const char *id)
{
	_cleanup_close_ int parent = -1;

	if (open_base_parent(plan, &parent, NULL) == 0)
		ec_enclosure_forget(parent, id);
}

static int make_enclosure(const struct ec_import *import, struct places *places,
			  struct ec_why *why)
{
	struct pulse pulse = { .import = import, .doing = "removing what an earlier attempt left" };
	struct ec_tree_watch watch = { .tick = beat, .userdata = &pulse };
	_cleanup_close_ int source = -1, parent = -1;
	int r;

	r = ec_pin_directory(import->plan->source, &source, why);
	if (r == 0)
		r = ec_pin_check(source, EC_PIN_SOURCE, import->plan->owner, import->plan->source,
				 why);
	if (r < 0)
		return r;
	r = open_base_parent(import->plan, &parent, why);
	if (r < 0)
		return r;
	return ec_enclosure_make(&places->enclosure, ec_take_fd(&parent), places->base, import->id,
				 import->plan->owner, &watch, why);
}

int ec_import_run(const struct ec_import *import, struct ec_why *why)
{
	_cleanup_(places_done) struct places places = {
		.base = -1, .home_parent = -1, .home = -1, .view_mount = -1, .view = -1,
		.enclosure = EC_ENCLOSURE_NULL, .import = import,
	};
	int r;

	r = open_places(import, &places, why);
	if (r == 0 && places.home >= 0)
		r = ec_placeholder_probe(&places.placeholder, why);
	if (r == 0)
		r = ec_placeholder_prepare(&places.placeholder, why);
	if (r < 0)
		return r;
	r = make_enclosure(import, &places, why);
	if (r == 0 && places.home >= 0)
		r = import_files(import, &places, why);
	if (r == 0) {
		tell(import, "putting the closed home in place");
		r = swap(&places, why);
	}
	if (r == 0 && import->open)
		r = import->open(import->userdata, why);
	if (r < 0) {
		undo(import, &places, why);
		return r;
	}
	if (places.home >= 0)
		/* Fails, rightly, unless the old home was empty. */
		ec_placeholder_drop_empty(&places.placeholder);
	/* The vault of the store, with the first names of the documents. */
	ec_enclosure_discard(&places.enclosure, NULL, NULL);
	return 0;
}
