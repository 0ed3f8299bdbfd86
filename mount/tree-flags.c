/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flags of chattr(1), which no copying program brings along, and a look at what else the copy
 * could not keep. ioctl_iflags(2).
 */
#include "mount/tree.h"

#include "lib/cleanup.h"
#include "mount/pin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* These forbid changes, of other flags, too: they come last, and off first. */
#define LOCKS (FS_IMMUTABLE_FL | FS_APPEND_FL)

/* Those that people set. The rest tells how a filesystem keeps a file: extents, indexes. */
static const struct flag {
	int flag;
	char letter;	/* of chattr(1) */
} flags_kept[] = {
	{ FS_NODUMP_FL, 'd' },
	{ FS_NOATIME_FL, 'A' },
	{ FS_SYNC_FL, 'S' },
	{ FS_DIRSYNC_FL, 'D' },
	{ FS_COMPR_FL, 'c' },
	{ FS_NOCOMP_FL, 'm' },
	{ FS_NOCOW_FL, 'C' },
	{ FS_JOURNAL_DATA_FL, 'j' },
	{ FS_NOTAIL_FL, 't' },
	{ FS_TOPDIR_FL, 'T' },
	{ FS_SECRM_FL, 's' },
	{ FS_UNRM_FL, 'u' },
	{ FS_PROJINHERIT_FL, 'P' },
	{ FS_CASEFOLD_FL, 'F' },
	{ FS_DAX_FL, 'x' },
	{ FS_ENCRYPT_FL, 'E' },
	{ FS_VERITY_FL, 'V' },
	{ FS_APPEND_FL, 'a' },
	{ FS_IMMUTABLE_FL, 'i' },
};

#define N_FLAGS (sizeof(flags_kept) / sizeof(flags_kept[0]))

struct pass {
	dev_t dev;		/* of from */
	const struct ec_tree_losses *losses;
	struct ec_tree_watch *watch;
	struct ec_why *why;
	char path[PATH_MAX];	/* for messages; cut if it is longer */
};

/* Of a filesystem that has no flags: none. */
static int get_flags(int fd)
{
	int flags = 0;

	return ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0 ? 0 : flags;
}

static int flags_of_people(int fd)
{
	int flags = get_flags(fd), kept = 0;
	size_t i;

	for (i = 0; i < N_FLAGS; i++)
		kept |= flags & flags_kept[i].flag;
	return kept;
}

static void lose(const struct pass *pass, const char *what)
{
	pass->losses->lost(pass->losses->userdata, pass->path[0] ? pass->path : "/", what);
}

/* What is missing then is not worth a failure, but worth a word. */
static void give_flags(const struct pass *pass, int from, int to)
{
	int wanted = flags_of_people(from), missing;
	char letters[N_FLAGS + 1], what[64];
	size_t i, n = 0;

	for (i = 0; i < N_FLAGS; i++) {
		int flags = get_flags(to), one = flags_kept[i].flag;

		if (!(wanted & one) || flags & one)
			continue;
		flags |= one;
		ioctl(to, FS_IOC_SETFLAGS, &flags);
	}
	missing = wanted & ~get_flags(to);
	for (i = 0; i < N_FLAGS; i++)
		if (missing & flags_kept[i].flag)
			letters[n++] = flags_kept[i].letter;
	letters[n] = 0;
	if (!n)
		return;
	snprintf(what, sizeof(what), "chattr +%s", letters);
	lose(pass, what);
}

static void look_for_holes(const struct pass *pass, int from, int to)
{
	struct stat a, b;

	if (fstat(from, &a) < 0 || fstat(to, &b) < 0 || !S_ISREG(a.st_mode))
		return;
	/* Blocks of 512 bytes. Compressed files look like this, too, and the last block may stand
	 * in the inode. */
	if (a.st_blocks * 512 + 4096 <= a.st_size && b.st_blocks * 512 >= b.st_size)
		lose(pass, "holes, which are filled with zeros now");
}

static int pass_directory(struct pass *pass, int from, int to, unsigned int depth);

static int pass_entry(struct pass *pass, int dir_from, int dir_to, const char *name,
		      unsigned int depth)
{
	const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME | O_CLOEXEC;
	_cleanup_close_ int from = -1, to = -1;
	struct stat st;
	int r;

	if (fstatat(dir_from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if ((!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) || st.st_dev != pass->dev)
		return 0;
	from = openat(dir_from, name, flags);
	to = openat(dir_to, name, flags);
	if (from < 0 || to < 0)
		return -errno;
	r = ec_tree_watch_poll(pass->watch);
	if (r == 0 && S_ISDIR(st.st_mode))
		r = pass_directory(pass, from, to, depth + 1);
	if (r < 0)
		return r;
	look_for_holes(pass, from, to);
	give_flags(pass, from, to);
	return 0;
}

static int fail_here(const struct pass *pass, int r)
{
	return ec_why_set(pass->why, r, "the flags of %s cannot be copied: %s",
			  pass->path[0] ? pass->path : "/", strerror(-r));
}

/* Children first: below a directory that is immutable, files can still be changed, but a reader
 * of this need not know that. */
static int pass_directory(struct pass *pass, int from, int to, unsigned int depth)
{
	size_t len = strlen(pass->path);
	struct dirent *entry;
	DIR *dir = NULL;
	int r;

	r = depth > EC_TREE_DEPTH_MAX ? -ENAMETOOLONG : ec_pin_list(from, &dir);
	if (r < 0)
		return fail_here(pass, r);
	while (r == 0 && (errno = 0, entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(pass->path + len, sizeof(pass->path) - len, "/%s", entry->d_name);
		r = pass_entry(pass, from, to, entry->d_name, depth);
		if (r < 0)
			fail_here(pass, r);
		pass->path[len] = 0;
	}
	if (r == 0 && errno)
		r = fail_here(pass, -errno);
	closedir(dir);
	return r;
}

int ec_tree_copy_flags(int from, int to, struct ec_tree_watch *watch,
		       const struct ec_tree_losses *losses, struct ec_why *why)
{
	struct pass pass = { .losses = losses, .watch = watch, .why = why };
	struct stat st;
	int r;

	if (fstat(from, &st) < 0)
		return -errno;
	pass.dev = st.st_dev;
	r = pass_directory(&pass, from, to, 0);
	if (r == 0)
		give_flags(&pass, from, to);
	return r;
}

bool ec_tree_flags_pin(int fd)
{
	return get_flags(fd) & LOCKS;
}

void ec_tree_unlock_flags(int fd)
{
	int flags = get_flags(fd);

	if (!(flags & LOCKS))
		return;
	flags &= ~LOCKS;
	ioctl(fd, FS_IOC_SETFLAGS, &flags);
}
