// SPDX-License-Identifier: GPL-2.0-only
/*
 * posix: one named check for each thing that applications expect of a filesystem and that a
 * stacked one gets wrong easily; the shortcomings of the in-tree ecryptfs come first.
 *
 *   posix [-l LINK_LEN] [-n NAME_LEN] [-x] UPPER LOWER [NAME...]
 *
 * UPPER is an empty directory of the filesystem under test, LOWER the same one below it; -x: file
 * metadata is in an extended attribute, not in a header. Each check runs in a child of its own
 * with a time limit. Prints "pass NAME" or "fail NAME: why" for each, and "ran N, N passed" at the end.
 * The status is 0 if all passed.
 */
#include "tests/fs/posix.h"

#include "tests/fs/must.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TIME_LIMIT	100u	/* seconds for one check */

static const char *upper;
const char *lower;
size_t link_len = 4095, name_len = 255;
bool in_xattr;
char content[20000];

static const char *running;

void fail(const char *format, ...)
{
	va_list args;

	printf("fail %s: ", running);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

static const struct {
	const char *name;
	void (*run)(void);
} checks[] = {
	{ "renameat2 RENAME_NOREPLACE", rename_noreplace },
	{ "renameat2 RENAME_EXCHANGE", rename_exchange },
	{ "renameat2 RENAME_WHITEOUT", rename_whiteout },
	{ "O_TMPFILE and linkat", tmpfile_link },
	{ "splice to a file", splice_to_file },
	{ "sendfile to a file", sendfile_to_file },
	{ "copy_file_range", copy_range },
	{ "O_DIRECT", direct },
	{ "an immutable file", immutable },
	{ "time stamps to the nanosecond", time_nanoseconds },
	{ "atime untouched by header reads", atime_of_header },
	{ "RLIMIT_FSIZE counts the upper size", fsize_limit },
	{ "setgid kept on create by a user", setgid_on_create },
	{ "setgid directories", setgid_directory },
	{ "set-id bits lost on a write", setid_lost_on_write },
	{ "capabilities lost on a write", capability_lost_on_write },
	{ "statx birth time", statx_birth },
	{ "statx attributes", statx_attributes },
	{ "blocks without the header", blocks_without_header },
	{ "ACL right after being set", acl_after_set },
	{ "ACL inherited", acl_inherited },
	{ "longest symlink target", symlink_long },
	{ "symlink target too long", symlink_too_long },
	{ "longest name", name_longest },
	{ "zero fill ended by SIGKILL", zero_fill_killable },
	{ "file handles", handles },
	{ "handles of what is elsewhere", handles_outside },
	{ "fallocate: five modes work, three are refused", fallocate_modes },
	{ "clones refused", clones_refused },
	{ "holes read as zeros", holes_read_zero },
	{ "truncate leaves no trap", truncate_traps },
	{ "empty file filled from below", filled_from_below },
	{ "lower file cut short", short_below },
	{ "lower file cut by a crash", cut_by_crash },
	{ "error kept for close", error_until_close },
	{ "file moved below", moved_below },
	{ "directory moved below", directory_moved_below },
	{ "file replaced below", replaced_below },
	{ "renames under lookups", rename_under_lookups },
	{ "user.ecryptfs hidden", metadata_hidden },
	{ "mmap behind the end", mmap_tail },
	{ "SIGBUS behind the end", mmap_beyond_end },
	{ "programs run", executes },
	{ "unlinked open file", unlinked_open },
	{ "write-only file by its owner", write_only_file },
	{ "file of mode 0 while it is open", create_without_permission },
	{ "reader first, writer second", read_only_file_by_reader },
	{ "sockets, FIFOs, devices", sockets_and_fifos },
	{ "removal while reading a directory", remove_while_reading },
	{ "inode numbers agree", inode_numbers },
	{ "statfs", filesystem_type },
	{ "swap files refused", swap_refused },
};

static void clear(void)
{
	char command[2 * PATH_MAX + 64];

	/* what a check that failed has left immutable cannot be removed */
	snprintf(command, sizeof(command), "chattr -R -f -i '%s/check'; rm -rf '%s/check'", upper, upper);
	if (system(command))
		fprintf(stderr, "posix: could not clear %s/check\n", upper);
}

/* True if it passed. The child says why not, unless it dies. */
static bool run(size_t i)
{
	char dir[PATH_MAX];
	int status;
	pid_t pid;

	clear();
	snprintf(dir, sizeof(dir), "%s/check", upper);
	running = checks[i].name;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		alarm(TIME_LIMIT);
		umask(022);
		MUST(mkdir(dir, 0755));
		MUST(chdir(dir));
		checks[i].run();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		fail("no child: %s", strerror(errno));
	if (WIFSIGNALED(status))
		printf("fail %s: %s\n", running,
		       WTERMSIG(status) == SIGALRM ? "out of time" : strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == 0)
		printf("pass %s\n", running);
	return status == 0;
}

static bool wanted(size_t i, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++) {
		if (strstr(checks[i].name, *names))
			return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	unsigned int ran = 0, passed = 0;
	int opt;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((opt = getopt(argc, argv, "l:n:x")) != -1) {
		switch (opt) {
		case 'l': link_len = strtoul(optarg, NULL, 0); break;
		case 'n': name_len = strtoul(optarg, NULL, 0); break;
		case 'x': in_xattr = true; break;
		default: return 2;
		}
	}
	if (argc - optind < 2 || link_len >= PATH_MAX || name_len > NAME_MAX) {
		fprintf(stderr, "usage: posix [-l LINK_LEN] [-n NAME_LEN] [-x] UPPER LOWER [NAME...]\n");
		return 2;
	}
	upper = argv[optind];
	lower = argv[optind + 1];
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = "0123456789abcdef"[(i ^ i >> 8 ^ i >> 12) & 15];
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		if (!wanted(i, argv + optind + 2))
			continue;
		passed += run(i);
		ran++;
	}
	clear();
	printf("ran %u, %u passed\n", ran, passed);
	return ran == 0 || passed != ran;
}
