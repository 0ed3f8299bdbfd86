/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The closed home and its swap. It is prepared under the name that the old home will get, so
 * that renameat2(RENAME_EXCHANGE) alone does all: no crash falls between two renames.
 */
#include "mount/placeholder.h"

#include "lib/cleanup.h"
#include "mount/mount-table.h"
#include "mount/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#define KEPT EC_PLACEHOLDER_KEPT
#define README EC_CLOSED_HOME_README
#define PROBE ".exchange-probe"

static const char readme_text[] =
	"This home directory is encrypted and closed.\n"
	"\n"
	"It opens by itself when its owner logs in with the password. Where that did not\n"
	"happen (a login without password, for example), open it with\n"
	"\n"
	"    ecryptfsctl unlock\n"
	"\n"
	"Files that were here before the encryption was set up are kept in the directory\n"
	"home-before-encryption below .ecryptfs, beside the home directories, until the\n"
	"owner deletes them.\n";

static int fill(int dir, const struct ec_placeholder *ph)
{
	_cleanup_close_ int file = openat(dir, README, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
					  0444);
	size_t len = sizeof(readme_text) - 1;
	ssize_t n;

	if (file < 0)
		return -errno;
	n = write(file, readme_text, len);
	if (n < 0)
		return -errno;
	if ((size_t)n != len)
		return -ENOSPC;
	/* umask(2) and an inherited group are not to show in it. */
	if (fchown(file, ph->uid, ph->gid) < 0 || fchmod(file, 0444) < 0 || fsync(file) < 0)
		return -errno;
	if (fchown(dir, ph->uid, ph->gid) < 0 || fchmod(dir, 0500) < 0 || fsync(dir) < 0)
		return -errno;
	return 0;
}

/* Is README.txt ours, or the beginning of it that a crash left? Absent counts as ours. */
static bool readme_is_ours(int dir)
{
	_cleanup_close_ int file = openat(dir, README, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
					  O_CLOEXEC);
	char text[sizeof(readme_text)];
	ssize_t n;

	if (file < 0)
		return errno == ENOENT;
	n = read(file, text, sizeof(text));
	return n >= 0 && (size_t)n < sizeof(readme_text) &&
	       !memcmp(text, readme_text, (size_t)n);
}

/* Removes a closed home and nothing else: whatever a person put there makes it -EEXIST. */
static int remove_stale(const struct ec_placeholder *ph)
{
	_cleanup_close_ int dir = openat(ph->base_fd, KEPT, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
					 O_CLOEXEC);
	bool no_files = false;
	int r;

	if (dir < 0)
		return errno == ENOENT ? 0 : -EEXIST;
	r = ec_pin_holds_no_files(dir, &no_files);
	if (r < 0)
		return r;
	if (!no_files || !readme_is_ours(dir))
		return -EEXIST;
	if (unlinkat(dir, README, 0) < 0 && errno != ENOENT)
		return -errno;
	return unlinkat(ph->base_fd, KEPT, AT_REMOVEDIR) < 0 ? -errno : 0;
}

static int explain_kept(int r, struct ec_why *why)
{
	if (r == -EEXIST)
		return ec_why_set(why, r, "%s holds files of an earlier time, move them away first",
				  KEPT);
	return ec_why_set(why, r, "%s: %s", KEPT, strerror(-r));
}

int ec_placeholder_discard(const struct ec_placeholder *ph)
{
	return remove_stale(ph);
}

/* What mkdirat() made, and not what USER may have put in its place since. */
static int open_new(struct ec_placeholder *ph, int *ret_fd)
{
	_cleanup_close_ int dir = openat(ph->base_fd, KEPT, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
					 O_CLOEXEC);
	bool no_files = false;
	struct stat st;
	int r;

	if (dir < 0 || fstat(dir, &st) < 0)
		return -errno;
	r = ec_pin_holds_no_files(dir, &no_files);
	if (r < 0)
		return r;
	if (st.st_uid != geteuid() || (st.st_mode & 077) || st.st_nlink > 2 || !no_files)
		return -ESTALE;
	ph->ino = st.st_ino;
	*ret_fd = ec_take_fd(&dir);
	return 0;
}

int ec_placeholder_prepare(struct ec_placeholder *ph, struct ec_why *why)
{
	_cleanup_close_ int dir = -1;
	int r;

	r = remove_stale(ph);
	if (r < 0)
		return explain_kept(r, why);
	if (mkdirat(ph->base_fd, KEPT, 0700) < 0)
		return ec_why_set(why, -errno, "%s: %s", KEPT, strerror(errno));
	r = open_new(ph, &dir);
	if (r == 0)
		r = fill(dir, ph);
	if (r == 0 && fsync(ph->base_fd) < 0)
		r = -errno;
	if (r < 0) {
		ec_placeholder_discard(ph);
		return ec_why_set(why, r, "the closed home cannot be made: %s", strerror(-r));
	}
	return 0;
}

static int sync_both(const struct ec_placeholder *ph)
{
	return fsync(ph->base_fd) < 0 || fsync(ph->home_parent_fd) < 0 ? -errno : 0;
}

static int exchange(const struct ec_placeholder *ph)
{
	return renameat2(ph->base_fd, KEPT, ph->home_parent_fd, ph->home_name,
			 RENAME_EXCHANGE) < 0 ? -errno : 0;
}

int ec_placeholder_swap(const struct ec_placeholder *ph, ino_t old_home, struct ec_why *why)
{
	int r;

	if (!ec_pin_names(ph->home_parent_fd, ph->home_name, old_home) ||
	    !ec_pin_names(ph->base_fd, KEPT, ph->ino))
		return ec_why_set(why, -ESTALE, "%s was replaced by something else meanwhile",
				  ph->home_name);
	r = exchange(ph);
	if (r < 0)
		return ec_why_set(why, r, "%s cannot be exchanged: %s", ph->home_name, strerror(-r));
	/* USER may have been quicker with the name in the base directory. */
	r = ec_pin_names(ph->home_parent_fd, ph->home_name, ph->ino) ? sync_both(ph) : -ESTALE;
	if (r < 0) {
		exchange(ph);
		return ec_why_set(why, r, "%s was exchanged and back again: %s", ph->home_name,
				  strerror(-r));
	}
	return 0;
}

int ec_placeholder_swap_back(const struct ec_placeholder *ph, ino_t old_home, struct ec_why *why)
{
	int r = -ESTALE;

	if (ec_pin_names(ph->home_parent_fd, ph->home_name, ph->ino) &&
	    ec_pin_names(ph->base_fd, KEPT, old_home))
		r = exchange(ph);
	if (r == 0)
		r = sync_both(ph);
	if (r < 0)
		return ec_why_set(why, r, "%s cannot be put back: %s", KEPT, strerror(-r));
	return 0;
}

int ec_placeholder_move(const struct ec_placeholder *ph, struct ec_why *why)
{
	if (renameat2(ph->base_fd, KEPT, ph->home_parent_fd, ph->home_name, RENAME_NOREPLACE) < 0)
		return ec_why_set(why, -errno, "%s cannot be made: %s", ph->home_name,
				  strerror(errno));
	if (!ec_pin_names(ph->home_parent_fd, ph->home_name, ph->ino)) {
		renameat2(ph->home_parent_fd, ph->home_name, ph->base_fd, KEPT, RENAME_NOREPLACE);
		return ec_why_set(why, -ESTALE, "%s was replaced by something else meanwhile", KEPT);
	}
	return sync_both(ph);
}

int ec_placeholder_move_back(const struct ec_placeholder *ph, struct ec_why *why)
{
	if (!ec_pin_names(ph->home_parent_fd, ph->home_name, ph->ino))
		return ec_why_set(why, -ESTALE, "%s was replaced by something else meanwhile",
				  ph->home_name);
	if (renameat2(ph->home_parent_fd, ph->home_name, ph->base_fd, KEPT, RENAME_NOREPLACE) < 0)
		return ec_why_set(why, -errno, "%s cannot be removed again: %s", ph->home_name,
				  strerror(errno));
	return sync_both(ph);
}

int ec_placeholder_drop_empty(const struct ec_placeholder *ph)
{
	return unlinkat(ph->base_fd, KEPT, AT_REMOVEDIR) < 0 ? -errno : 0;
}

int ec_placeholder_probe(const struct ec_placeholder *ph, struct ec_why *why)
{
	static const char *const names[] = { PROBE "-a", PROBE "-b" };
	uint64_t base_mount, home_mount;
	int dir = ph->home_parent_fd, r;
	size_t i;

	r = ec_mount_id_at(ph->base_fd, "", &base_mount, NULL);
	if (r == 0)
		r = ec_mount_id_at(dir, "", &home_mount, NULL);
	if (r == 0 && base_mount != home_mount)
		r = -EXDEV;
	/* In root's directory: whatever USER does in the other one, this is undone again. */
	for (i = 0; r == 0 && i < 2; i++)
		if (mkdirat(dir, names[i], 0700) < 0 && errno != EEXIST)
			r = -errno;
	if (r == 0 && renameat2(dir, names[0], dir, names[1], RENAME_EXCHANGE) < 0)
		r = errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP : -errno;
	for (i = 0; i < 2; i++)
		unlinkat(dir, names[i], AT_REMOVEDIR);
	if (r == -EOPNOTSUPP)
		return ec_why_set(why, r, "the filesystem of %s cannot exchange two directories in one step (RENAME_EXCHANGE), so no home on it can be closed safely",
				  ph->home_name);
	if (r < 0)
		return ec_why_set(why, r, "the home cannot be exchanged with a directory beside it: %s",
				  strerror(-r));
	return 0;
}
