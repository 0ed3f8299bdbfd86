/* SPDX-License-Identifier: GPL-2.0-only */
/* Who keeps a filesystem busy. */
#include "mount/blockers.h"

#include "lib/cleanup.h"
#include "mount/clock.h"
#include "mount/mount-table.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static void closedirp(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static DIR *open_directory_at(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);

	if (!stream && fd >= 0)
		close(fd);
	return stream;
}

struct wanted {
	const char *target;	/* NULL: there is no mount point any more */
	const struct ec_mount_table *table;	/* then: what is mounted elsewhere */
	dev_t device;
	bool is_mount;		/* target is where that filesystem begins, and not a part of it */
	uint64_t deadline;
};

/* Is the path in text target, or below it? It ends with the text or the line. */
static bool is_at_or_below(const char *text, const char *target)
{
	const char *rest = text + strlen(target);

	return !strncmp(text, target, strlen(target)) &&
	       (!*rest || *rest == '/' || *rest == '\n' || !strncmp(rest, " (deleted)", 10));
}

/*
 * The text of the link first: following it may ask a file server, which may be dead. What holds
 * the mount shows a path at or below its mount point, also if it was deleted.
 */
static bool leads_there(int dir, const char *name, const struct wanted *wanted)
{
	char text[PATH_MAX];
	struct statx stx;
	ssize_t n;

	n = readlinkat(dir, name, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = 0;
	if (wanted->target ? !is_at_or_below(text, wanted->target) :
	    text[0] != '/' || ec_mount_table_may_hang(wanted->table, text))
		return false;
	if (statx(dir, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, 0, &stx) < 0)
		return false;
	return makedev(stx.stx_dev_major, stx.stx_dev_minor) == wanted->device;
}

static bool fd_leads_there(int process, const struct wanted *wanted)
{
	_cleanup_(closedirp) DIR *fds = open_directory_at(process, "fd");
	struct dirent *entry;

	while (fds && ec_now_ms() < wanted->deadline && (entry = readdir(fds)))
		if (entry->d_name[0] != '.' && leads_there(dirfd(fds), entry->d_name, wanted))
			return true;
	return false;
}

/*
 * 7f00-7f01 r--p 00000000 fd:01 1234 /path: all is text there, nothing is followed. The device is
 * that of the filesystem, which need not be the one that stat(2) shows (btrfs).
 */
static bool line_leads_there(const char *line, const struct wanted *wanted)
{
	unsigned int major_no, minor_no;
	int path = 0;

	if (sscanf(line, "%*s %*s %*s %x:%x %*s %n", &major_no, &minor_no, &path) < 2)
		return false;
	if (wanted->is_mount)
		return makedev(major_no, minor_no) == wanted->device;
	return path && is_at_or_below(line + path, wanted->target);
}

static bool map_leads_there(int process, const struct wanted *wanted)
{
	int fd = openat(process, "maps", O_RDONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	if (!file && fd >= 0)
		close(fd);
	while (file && ec_now_ms() < wanted->deadline && getline(&line, &size, file) > 0)
		if (line_leads_there(line, wanted))
			return true;
	return false;
}

static bool blocks(int process, const struct wanted *wanted)
{
	return leads_there(process, "cwd", wanted) || leads_there(process, "root", wanted) ||
	       leads_there(process, "exe", wanted) || fd_leads_there(process, wanted) ||
	       map_leads_there(process, wanted);
}

static void read_first_line(int dir, const char *name, char *ret, size_t ret_len)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, ret_len - 1);

	ret[n > 0 ? n : 0] = 0;
	ret[strcspn(ret, "\n")] = 0;
}

/* The last component of the unified hierarchy's path that is a service or a scope. */
static void read_unit(int process, char *ret, size_t ret_len)
{
	char text[2048], *save = NULL, *part;

	ret[0] = 0;
	read_first_line(process, "cgroup", text, sizeof(text));
	for (part = strtok_r(text, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
		const char *dot = strrchr(part, '.');

		if (dot && (!strcmp(dot, ".service") || !strcmp(dot, ".scope")))
			snprintf(ret, ret_len, "%s", part);
	}
}

static int add_blocker(json_t *blockers, int process, long pid)
{
	char command[64], unit[256];
	json_t *blocker;

	read_first_line(process, "comm", command, sizeof(command));
	read_unit(process, unit, sizeof(unit));
	blocker = json_pack("{s:I, s:s, s:s}", "pid", (json_int_t)pid, "command", command,
			    "unit", unit);
	if (!blocker)	/* a command name that is no UTF-8 */
		blocker = json_pack("{s:I, s:s, s:s}", "pid", (json_int_t)pid, "command", "?",
				    "unit", "");
	return blocker && json_array_append_new(blockers, blocker) == 0 ? 0 : -ENOMEM;
}

static int find(const struct wanted *wanted, json_t **ret)
{
	_cleanup_(closedirp) DIR *proc = opendir("/proc");
	json_t *blockers;
	struct dirent *entry;
	int r = 0;

	if (!proc)
		return -errno;
	blockers = json_array();
	if (!blockers)
		return -ENOMEM;
	while (r == 0 && ec_now_ms() < wanted->deadline && json_array_size(blockers) < EC_BLOCKERS_MAX &&
	       (entry = readdir(proc))) {
		long pid = strtol(entry->d_name, NULL, 10);
		_cleanup_close_ int process = -1;

		if (!isdigit((unsigned char)entry->d_name[0]) || pid == (long)getpid())
			continue;
		process = openat(dirfd(proc), entry->d_name,
				 O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (process >= 0 && blocks(process, wanted))
			r = add_blocker(blockers, process, pid);
	}
	if (r < 0) {
		json_decref(blockers);
		return r;
	}
	*ret = blockers;
	return 0;
}

int ec_blockers_find(const char *target, dev_t device, unsigned int timeout_ms, json_t **ret)
{
	const struct wanted wanted = {
		.target = target,
		.device = device,
		.is_mount = true,
		.deadline = ec_now_ms() + timeout_ms,
	};

	return find(&wanted, ret);
}

/* For those who rely on it that there is nobody. */
static int find_for_sure(const struct wanted *wanted, json_t **ret)
{
	json_t *blockers;
	int r;

	r = find(wanted, &blockers);
	if (r < 0)
		return r;
	if (!json_array_size(blockers) && ec_now_ms() >= wanted->deadline) {
		json_decref(blockers);
		return -ETIMEDOUT;
	}
	*ret = blockers;
	return 0;
}

int ec_blockers_below(const char *directory, dev_t device, unsigned int timeout_ms, json_t **ret)
{
	const struct wanted wanted = {
		.target = directory,
		.device = device,
		.deadline = ec_now_ms() + timeout_ms,
	};

	return find_for_sure(&wanted, ret);
}

int ec_blockers_of_device(dev_t device, const struct ec_mount_table *table,
			  unsigned int timeout_ms, json_t **ret)
{
	const struct wanted wanted = {
		.table = table,
		.device = device,
		.is_mount = true,
		.deadline = ec_now_ms() + timeout_ms,
	};

	return find_for_sure(&wanted, ret);
}

void ec_blockers_to_text(const json_t *blockers, char *ret, size_t ret_len)
{
	size_t used = 0, i;
	json_t *blocker;

	ret[0] = 0;
	json_array_foreach(blockers, i, blocker) {
		const char *command = "?", *unit = "";
		json_int_t pid = 0;

		json_unpack(blocker, "{s:I, s:s, s:s}", "pid", &pid, "command", &command,
			    "unit", &unit);
		used += (size_t)snprintf(ret + used, ret_len - used, "%s%s (pid %lld%s%s)",
					 i ? ", " : "", command, (long long)pid,
					 unit[0] ? ", " : "", unit);
		if (used >= ret_len)
			return;
	}
}
