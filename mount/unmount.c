/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Taking one of our mounts away. A descriptor on the mount itself would keep it busy, so the
 * parent is held and the name below it is checked: a directory that is a mount point cannot be
 * renamed away between the check and umount2(2).
 */
#include "mount/unmount.h"

#include "kmod/uapi/ecfs.h"
#include "lib/cleanup.h"
#include "mount/blockers.h"
#include "mount/clock.h"
#include "mount/mount-table.h"
#include "mount/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>

#define RETRY_MS 250u
#define SCAN_MS 2000u
#define WRITE_BACK_TICK_MS 2000
#define WRITE_BACK_MAX_MS (15u * 60 * 1000)

/* The directory that target stands in, and its name there (a pointer into target). */
static int open_parent(const char *target, int *ret_fd, const char **ret_name,
		       struct ec_why *why)
{
	char parent[PATH_MAX];
	const char *slash = strrchr(target, '/');
	size_t len;
	int r;

	if (!slash || !slash[1])
		return ec_why_set(why, -EINVAL, "%s cannot be a mount point", target);
	len = slash == target ? 1 : (size_t)(slash - target);
	if (len >= sizeof(parent))
		return -ENAMETOOLONG;
	memcpy(parent, target, len);
	parent[len] = 0;
	r = ec_pin_directory(parent, ret_fd, why);
	if (r < 0)
		return r;
	*ret_name = slash + 1;
	return 0;
}

/* Both engines have this superblock magic, and nothing else has. */
static bool is_encrypted_mount(int parent, const char *name)
{
	_cleanup_close_ int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct statfs fs;

	return fd >= 0 && fstatfs(fd, &fs) == 0 && (unsigned long)fs.f_type == ECFS_SUPER_MAGIC;
}

/* The kernel gives mount ids and device numbers away again as soon as they are free. */
static bool is_on_top(int parent, const char *name, const struct ec_unmount_request *request)
{
	uint64_t id;
	dev_t device;

	return ec_mount_id_at(parent, name, &id, &device) == 0 && id == request->mount_id &&
	       device == request->device && is_encrypted_mount(parent, name);
}

int ec_unmount_stands(const struct ec_unmount_request *request)
{
	_cleanup_close_ int parent = -1;
	const char *name;

	if (open_parent(request->target, &parent, &name, NULL) < 0)
		return 0;
	return is_on_top(parent, name, request);
}

static int open_root(int parent, const char *name)
{
	return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Not on top: gone, or hidden under another mount. */
static int check_gone(const struct ec_unmount_request *request, struct ec_why *why)
{
	_cleanup_mount_table_ struct ec_mount_table table = EC_MOUNT_TABLE_NULL;
	const struct ec_mount_entry *entry;
	int r;

	r = ec_mount_table_read("/proc/self/mountinfo", &table);
	if (r < 0)
		return ec_why_set(why, r, "/proc/self/mountinfo: %s", strerror(-r));
	entry = ec_mount_table_by_id(&table, request->mount_id);
	if (!entry || !ec_mount_type_is_ours(entry->type) ||
	    makedev(entry->dev_major, entry->dev_minor) != request->device)
		return 0;
	return ec_why_set(why, -EBUSY, "another mount stands over %s", entry->target);
}

static void tell_working(const struct ec_unmount_request *request, const char *doing)
{
	if (request->working)
		request->working(request->userdata, doing);
}

/* Errors belong to whoever wrote; the umount itself writes back again. */
static void sync_and_exit(int root)
{
	_exit(syncfs(root) < 0);
}

/* Until the child has closed its end: true. False if it takes too long. */
static bool wait_for_sync(const struct ec_unmount_request *request, int end)
{
	const uint64_t deadline = ec_now_ms() + WRITE_BACK_MAX_MS;
	struct pollfd pollfd = { .fd = end, .events = POLLIN };
	int n;

	do {
		tell_working(request, "writing back");
		n = poll(&pollfd, 1, WRITE_BACK_TICK_MS);
	} while ((n == 0 || (n < 0 && errno == EINTR)) && ec_now_ms() < deadline);
	return n > 0;
}

/*
 * A slow disk needs minutes for what memory holds, and syncfs(2) says nothing meanwhile; so a
 * child waits for it. Not for ever: a disk that is gone must not hold up a shutdown.
 */
static void write_back(const struct ec_unmount_request *request, int parent, const char *name)
{
	_cleanup_close_ int root = open_root(parent, name);
	int ends[2];
	pid_t pid;

	if (root < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0)
		sync_and_exit(root);
	close(ends[1]);
	/* Its descriptor of the mount goes with its last breath: without the wait the mount may still
	 * be busy. One that hangs keeps it so, and is init's. */
	if (pid > 0)
		waitpid(pid, NULL, wait_for_sync(request, ends[0]) ? 0 : WNOHANG);
	close(ends[0]);
}

static int umount_name(int parent, const char *name, int flags)
{
	if (fchdir(parent) < 0)
		return -errno;
	return umount2(name, UMOUNT_NOFOLLOW | flags) < 0 ? -errno : 0;
}

/*
 * A second mount of the same filesystem, of ours alone: it does not make the first one busy, and what
 * it shows outlives that. -1 if there can be none.
 */
static int open_view(int parent, const char *name)
{
	return open_tree(parent, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW |
			 AT_NO_AUTOMOUNT);
}

/*
 * A mount namespace of somebody's own, a sandbox or a container that was left running, keeps the
 * filesystem and its key when the mount has gone from here. Then it loses the key, too.
 */
static void wipe_what_lives_on(int view)
{
	_cleanup_close_ int root = view < 0 ? -1 : open_root(view, ".");

	if (root >= 0)
		(void)ioctl(root, ECFS_IOC_LOCK);	/* the in-tree engine has no such call */
}

/* The key goes first: what still runs in there gets ENOKEY instead of plaintext. */
static int wipe_and_detach(int parent, const char *name, struct ec_why *why)
{
	_cleanup_close_ int root = open_root(parent, name);
	int r;

	if (root >= 0 && ioctl(root, ECFS_IOC_LOCK) < 0 && errno != ENOTTY)
		ec_why_set(why, -errno, "the key could not be wiped: %s", strerror(errno));
	ec_closep(&root);
	r = umount_name(parent, name, MNT_DETACH);
	return r < 0 ? ec_why_set(why, r, "it cannot be detached: %s", strerror(-r)) : 0;
}

static int find_blockers(const struct ec_unmount_request *request, json_t **blockers)
{
	json_t *found;

	if (ec_blockers_find(request->target, request->device, SCAN_MS, &found) < 0)
		return -ENOMEM;
	json_decref(*blockers);
	*blockers = found;
	return 0;
}

/* Tries until the grace is over. -EBUSY, or the result of the last umount2(2). */
static int umount_with_patience(const struct ec_unmount_request *request, int parent,
				const char *name, json_t **blockers)
{
	uint64_t deadline = ec_now_ms() + request->grace_ms;
	bool told = false;
	int r;

	for (;;) {
		r = umount_name(parent, name, 0);
		if (r != -EBUSY)
			return r;
		if (!told) {
			find_blockers(request, blockers);
			if (request->busy)
				request->busy(request->userdata, *blockers);
			told = true;
		}
		if (ec_now_ms() >= deadline)
			return r;
		tell_working(request, NULL);
		nanosleep(&(struct timespec){ .tv_nsec = RETRY_MS * 1000000L }, NULL);
	}
}

int ec_unmount(const struct ec_unmount_request *request, struct ec_unmount_result *ret,
	       struct ec_why *why)
{
	_cleanup_close_ int parent = -1, view = -1;
	char text[600];
	const char *name;
	int r;

	*ret = (struct ec_unmount_result){ .blockers = json_array() };
	if (!ret->blockers)
		return -ENOMEM;
	r = open_parent(request->target, &parent, &name, why);
	if (r < 0)
		return r;
	if (!is_on_top(parent, name, request))
		return check_gone(request, why);
	write_back(request, parent, name);
	view = open_view(parent, name);
	r = umount_with_patience(request, parent, name, &ret->blockers);
	if (r == 0) {
		wipe_what_lives_on(view);
		return 0;
	}
	ec_closep(&view);	/* what is detached below shall not live on by it */
	if (r != -EBUSY)
		return ec_why_set(why, r, "%s cannot be unmounted: %s", request->target,
				  strerror(-r));
	find_blockers(request, &ret->blockers);
	if (request->detach) {
		r = wipe_and_detach(parent, name, why);
		ret->detached = r == 0;
		return r;
	}
	ec_blockers_to_text(ret->blockers, text, sizeof(text));
	return ec_why_set(why, -EBUSY, "%s is in use by %s", request->target,
			  text[0] ? text : "something that is no process");
}
