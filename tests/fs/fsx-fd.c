// SPDX-License-Identifier: GPL-2.0-only
/* Operations of fsx on what is known of a file besides its bytes, and on what it can be used for. */
#include "tests/fs/fsx.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Not what is free: others write to the same disk. */
static void op_statfs(struct fsx *f)
{
	struct fsx_slot *slot = fsx_chance(f, 50) ? fsx_pick_slot(f, -1) : NULL;
	struct fsx_result result[FSX_N_SIDES];
	struct statfs st[FSX_N_SIDES];
	struct fsx_path path;

	fsx_pick_path(f, &path);
	fsx_note(f, "%s", slot ? "by descriptor" : path.rel);
	each_side(s)
		result[s] = fsx_result(slot ? fstatfs(slot->fd[s], &st[s]) : statfs(path.in[s], &st[s]));
	if (!fsx_same(f, result))
		return;
	if (st[0].f_bsize != st[1].f_bsize || st[0].f_frsize != st[1].f_frsize ||
	    st[0].f_blocks != st[1].f_blocks)
		fsx_differ(f, "%llu blocks of %ld (%ld) instead of %llu of %ld (%ld)",
			   (unsigned long long)st[0].f_blocks, (long)st[0].f_bsize, (long)st[0].f_frsize,
			   (unsigned long long)st[1].f_blocks, (long)st[1].f_bsize, (long)st[1].f_frsize);
	if ((size_t)st[FSX_SUT].f_namelen != f->name_len_max)
		fsx_differ(f, "names of %ld bytes instead of %zu", (long)st[FSX_SUT].f_namelen,
			   f->name_len_max);
}

static void op_fchdir(struct fsx *f)
{
	int home = open("/", O_PATH | O_CLOEXEC), flags = fsx_chance(f, 50) ? O_PATH : O_RDONLY;
	char where[FSX_N_SIDES][PATH_MAX] = { "", "" };
	struct fsx_result result[FSX_N_SIDES];
	struct stat st[FSX_N_SIDES];
	const char *name[FSX_N_SIDES];
	struct fsx_path path;

	if (home < 0)
		fsx_die("open /");
	fsx_pick_path(f, &path);
	fsx_note(f, "to that of %s by %s", path.rel, flags ? "O_PATH" : "O_RDONLY");
	each_side(s) {
		char *slash = strrchr(path.in[s], '/');
		int fd;

		*slash = '\0';
		name[s] = slash + 1;
		fd = open(path.in[s], flags | O_DIRECTORY | O_CLOEXEC);
		result[s] = fsx_result(fd < 0 ? fd : fchdir(fd));
		if (fd >= 0)
			close(fd);
		if (result[s].err)
			continue;
		if (!getcwd(where[s], PATH_MAX) || strncmp(where[s], f->root[s], strlen(f->root[s])))
			fsx_differ(f, "getcwd: %s", where[s][0] ? where[s] : strerror(errno));
		result[s] = fsx_result(lstat(name[s], &st[s]));
		if (fchdir(home) < 0)
			fsx_die("fchdir");
	}
	close(home);
	if (strcmp(where[0] + (where[0][0] ? strlen(f->root[0]) : 0),
		   where[1] + (where[1][0] ? strlen(f->root[1]) : 0)))
		fsx_differ(f, "getcwd: %s instead of %s", where[0], where[1]);
	if (fsx_same(f, result))
		fsx_compare_stat(f, name[0], &st[0], &st[1]);
}

/* A descriptor that is a place and nothing else. */
static void op_o_path(struct fsx *f)
{
	static const char *const names[] = {
		"read", "fchmod", "fchownat", "reopen", "readlinkat", "fgetxattr", "faccessat",
	};
	int flags = O_PATH | O_CLOEXEC | (fsx_chance(f, 60) ? O_NOFOLLOW : 0), fd[FSX_N_SIDES];
	struct fsx_result result[FSX_N_SIDES];
	size_t kind = fsx_below(f, 7), len = 0;
	struct stat st[FSX_N_SIDES];
	struct fsx_path path;
	char proc[64];

	fsx_pick_existing(f, &path);
	fsx_note(f, "%s flags %#o, %s", path.rel, flags, names[kind]);
	each_side(s) {
		fd[s] = open(path.in[s], flags);
		result[s] = fsx_result(fd[s] < 0 ? -1 : fstat(fd[s], &st[s]));
	}
	if (!fsx_same(f, result))
		return;
	fsx_compare_stat(f, path.rel, &st[0], &st[1]);
	each_side(s) {
		snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd[s]);
		switch (kind) {
		case 0: result[s] = fsx_result(read(fd[s], f->buf[s], 100)); break;
		case 1: result[s] = fsx_result(fchmod(fd[s], 0600)); break;
		case 2: result[s] = fsx_result(fchownat(fd[s], "", 1000, -1, AT_EMPTY_PATH)); break;
		case 3:
			result[s] = fsx_result(open(proc, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
			if (!result[s].err) {
				close(fd[s]);
				fd[s] = result[s].ret;
				result[s].ret = 0;
			}
			break;
		case 4: result[s] = fsx_result(readlinkat(fd[s], "", (char *)f->buf[s], PATH_MAX)); break;
		case 5: result[s] = fsx_result(fgetxattr(fd[s], "user.a", f->buf[s], 300)); break;
		default: result[s] = fsx_result(faccessat(fd[s], "", R_OK, AT_EMPTY_PATH | AT_EACCESS));
		}
	}
	if (kind == 4 || kind == 5)
		len = result[0].ret > 0 ? result[0].ret : 0;
	if (fsx_same_bytes(f, result, len) && kind == 3 && S_ISREG(st[0].st_mode))
		fsx_compare_fd_content(f, fd, "opened again");
	each_side(s)
		close(fd[s]);
	fsx_compare_path(f, &path);
}

/*
 * Where the blocks are. The old call is answered with those of the ciphertext, as the in-tree module
 * does; the new one would promise that the content stands there, so it is refused.
 */
static void op_fiemap(struct fsx *f)
{
	struct {
		struct fiemap head;
		struct fiemap_extent extents[4];
	} map;
	struct fsx_result result[FSX_N_SIDES];
	bool by_block = fsx_chance(f, 40);
	int block[FSX_N_SIDES] = { -1, -1 };

	need_slot(slot, -1);
	fsx_note(f, "slot %td%s", slot - f->slots, by_block ? " FIBMAP" : "");
	each_side(s) {
		memset(&map, 0, sizeof(map));
		map.head.fm_length = FIEMAP_MAX_OFFSET;
		map.head.fm_extent_count = 4;
		block[s] = 0;
		result[s] = fsx_result(by_block ? ioctl(slot->fd[s], FIBMAP, &block[s]) :
				       ioctl(slot->fd[s], FS_IOC_FIEMAP, &map));
		result[s].ret = result[s].err ? -1 : 0;
	}
	if (f->stacked && !by_block) {
		if (result[FSX_SUT].err != EOPNOTSUPP)
			fsx_differ(f, "extents of the other filesystem are told: %ld, %s",
				   result[FSX_SUT].ret, strerror(result[FSX_SUT].err));
		f->n_refused++;
		return;
	}
	/* where the lower filesystem has no answer, ours cannot say so, but for "no block" */
	if (f->stacked && result[FSX_ORACLE].err == EINVAL && !result[FSX_SUT].err && !block[FSX_SUT]) {
		f->n_refused++;
		return;
	}
	fsx_same(f, result);
}

static void op_ioctl(struct fsx *f)
{
	static const struct { unsigned long call; const char *name; } all[] = {
		{ FIONREAD, "FIONREAD" }, { FIGETBSZ, "FIGETBSZ" }, { 0xec01, "nonsense" },
	};
	size_t i = fsx_below(f, 3);
	long long value[FSX_N_SIDES] = { 0, 0 };
	struct fsx_result result[FSX_N_SIDES];

	need_slot(slot, -1);
	off_t offset = fsx_pick_offset_inside(f, slot);

	fsx_note(f, "slot %td %s at %lld", slot - f->slots, all[i].name, (long long)offset);
	each_side(s) {
		lseek(slot->fd[s], offset, SEEK_SET);
		result[s] = fsx_result(ioctl(slot->fd[s], all[i].call, &value[s]));
	}
	if (fsx_same(f, result) && value[0] != value[1])
		fsx_differ(f, "%lld instead of %lld", value[0], value[1]);
}

/* As getflags, by the younger pair of calls, which knows projects as well. */
static void op_fsxattr(struct fsx *f)
{
	const uint32_t shown = FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND | FS_XFLAG_SYNC | FS_XFLAG_NOATIME |
		FS_XFLAG_NODUMP;
	struct fsx_result result[FSX_N_SIDES];
	struct fsxattr attr[FSX_N_SIDES];
	size_t change = fsx_below(f, 10);

	need_slot(slot, -1);
	fsx_note(f, "slot %td%s", slot - f->slots,
		 change < 5 ? " NODUMP turned" : change < 6 ? " project 5" : "");
	each_side(s) {
		memset(&attr[s], 0, sizeof(attr[s]));
		result[s] = fsx_result(ioctl(slot->fd[s], FS_IOC_FSGETXATTR, &attr[s]));
		if (result[s].err || change > 5)
			continue;
		if (change < 5)
			attr[s].fsx_xflags ^= FS_XFLAG_NODUMP;
		else
			attr[s].fsx_projid = 5;
		result[s] = fsx_result(ioctl(slot->fd[s], FS_IOC_FSSETXATTR, &attr[s]));
		if (!result[s].err)
			result[s] = fsx_result(ioctl(slot->fd[s], FS_IOC_FSGETXATTR, &attr[s]));
	}
	if (fsx_same(f, result) && ((attr[0].fsx_xflags ^ attr[1].fsx_xflags) & shown ||
				    attr[0].fsx_projid != attr[1].fsx_projid))
		fsx_differ(f, "flags %#x of project %u instead of %#x of %u", attr[0].fsx_xflags & shown,
			   attr[0].fsx_projid, attr[1].fsx_xflags & shown, attr[1].fsx_projid);
}

static void op_rw_hint(struct fsx *f)
{
	struct fsx_result result[FSX_N_SIDES];
	uint64_t hint = fsx_below(f, 7), have[FSX_N_SIDES] = { 77, 77 };

	need_slot(slot, -1);
	fsx_note(f, "slot %td hint %llu", slot - f->slots, (unsigned long long)hint);
	each_side(s) {
		result[s] = fsx_result(fcntl(slot->fd[s], F_SET_RW_HINT, &hint));
		if (!result[s].err)
			result[s] = fsx_result(fcntl(slot->fd[s], F_GET_RW_HINT, &have[s]));
	}
	if (fsx_same(f, result) && have[0] != have[1])
		fsx_differ(f, "hint %llu instead of %llu", (unsigned long long)have[0],
			   (unsigned long long)have[1]);
}

/* Always ready for poll(), and nothing that epoll takes. */
static void op_poll(struct fsx *f)
{
	short events = fsx_chance(f, 50) ? POLLIN | POLLOUT : (short)fsx_below(f, 0x400);
	struct fsx_result result[FSX_N_SIDES], watch[FSX_N_SIDES];
	struct epoll_event event = { .events = EPOLLIN };
	short seen[FSX_N_SIDES];
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0)
		fsx_die("epoll_create1");
	struct fsx_slot *slot = fsx_pick_slot(f, -1);

	if (!slot) {
		close(epoll);
		return;
	}
	fsx_note(f, "slot %td events %#hx", slot - f->slots, events);
	each_side(s) {
		struct pollfd fd = { .fd = slot->fd[s], .events = events };

		result[s] = fsx_result(poll(&fd, 1, 0));
		seen[s] = fd.revents;
		watch[s] = fsx_result(epoll_ctl(epoll, EPOLL_CTL_ADD, slot->fd[s], &event));
	}
	close(epoll);
	if (fsx_same(f, result) && seen[0] != seen[1])
		fsx_differ(f, "events %#hx instead of %#hx", seen[0], seen[1]);
	fsx_same(f, watch);
}

/* One thing that others who watch should see. */
static struct fsx_result do_watched(const struct fsx *f, int s, size_t kind, const char *a, const char *b)
{
	const struct timespec times[2] = { { 1300000000, 1 }, { 1300000001, 2 } };
	int fd;

	switch (kind) {
	case 0:
		fd = open(a, O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0666);
		if (fd < 0)
			return fsx_result(-1);
		if (pwrite(fd, f->pattern, 300, 10) != 300 || pread(fd, f->buf[s], 10, 0) != 10)
			errno = 0;	/* a FIFO, say */
		return fsx_result(close(fd));
	case 1: return fsx_result(chmod(a, 0666));
	case 2: return fsx_result(truncate(a, 1234));
	case 3: return fsx_result(lsetxattr(a, "user.a", "watched", 7, 0));
	case 4: return fsx_result(rename(a, b));
	case 5: return fsx_result(unlink(a));
	case 6: return fsx_result(link(a, b));
	case 7: return fsx_result(mkdir(a, 0777));
	default: return fsx_result(utimensat(AT_FDCWD, a, times, AT_SYMLINK_NOFOLLOW));
	}
}

/* Events as "mask name" lines: numbers of watches and cookies are nobody's promise. */
static size_t read_events(struct fsx *f, int fd, uint8_t *ret, size_t room)
{
	char raw[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t len = read(fd, raw, sizeof(raw));
	size_t done = 0;

	if (len < 0 && errno != EAGAIN)
		fsx_differ(f, "inotify: %s", strerror(errno));
	for (ssize_t at = 0; at < len;) {
		const struct inotify_event *event = (const void *)(raw + at);

		done += snprintf((char *)ret + done, room - done, "%d %#x %s\n", event->wd, event->mask,
				 event->len ? event->name : "");
		at += sizeof(*event) + event->len;
	}
	return done;
}

static void op_inotify(struct fsx *f)
{
	static const char *const names[] = {
		"write", "chmod", "truncate", "setxattr", "rename", "unlink", "link", "mkdir", "utimensat",
	};
	struct fsx_result result[FSX_N_SIDES];
	struct fsx_path dir, a, b;
	size_t kind = fsx_below(f, 9), len[FSX_N_SIDES];

	fsx_pick_existing(f, &a);
	fsx_pick_path(f, &b);
	dir = a;
	each_side(s)
		*strrchr(dir.in[s], '/') = '\0';
	fsx_note(f, "%s %s (%s)", names[kind], a.rel, b.rel);
	each_side(s) {
		int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

		if (fd < 0)
			fsx_die("inotify_init1");
		/* the directory and what is in it, which may not be there */
		inotify_add_watch(fd, dir.in[s], IN_ALL_EVENTS);
		inotify_add_watch(fd, a.in[s], IN_ALL_EVENTS | IN_DONT_FOLLOW);
		result[s] = do_watched(f, s, kind, a.in[s], b.in[s]);
		len[s] = read_events(f, fd, f->buf[s], FSX_IO_LEN_MAX);
		close(fd);
	}
	fsx_same(f, result);
	if (len[0] != len[1] || memcmp(f->buf[0], f->buf[1], len[0]))
		fsx_differ(f, "events\n%.*sinstead of\n%.*s", (int)len[0], (char *)f->buf[0], (int)len[1],
			   (char *)f->buf[1]);
	fsx_compare_path(f, &a);
	fsx_compare_path(f, &b);
}

/* A program that exits with a number, as a script or as a file that is mapped. Returns its length. */
static size_t make_program(uint8_t *ret, bool script, uint8_t number)
{
	struct {
		Elf64_Ehdr head;
		Elf64_Phdr load;
		uint8_t code[16];
	} elf;
	/* mov edi, number; mov eax, 231 (exit_group); syscall */
	const uint8_t code[] = { 0xbf, number, 0, 0, 0, 0xb8, 231, 0, 0, 0, 0x0f, 0x05 };

	if (script)
		return sprintf((char *)ret, "#!/bin/sh\nexit %u\n", number);
	memset(&elf, 0, sizeof(elf));
	memcpy(elf.head.e_ident, ELFMAG, SELFMAG);
	elf.head.e_ident[EI_CLASS] = ELFCLASS64;
	elf.head.e_ident[EI_DATA] = ELFDATA2LSB;
	elf.head.e_ident[EI_VERSION] = EV_CURRENT;
	elf.head.e_type = ET_EXEC;
	elf.head.e_machine = EM_X86_64;
	elf.head.e_version = EV_CURRENT;
	elf.head.e_entry = 0x400000 + offsetof(typeof(elf), code);
	elf.head.e_phoff = offsetof(typeof(elf), load);
	elf.head.e_ehsize = sizeof(elf.head);
	elf.head.e_phentsize = sizeof(elf.load);
	elf.head.e_phnum = 1;
	elf.load = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = 0x400000, .p_paddr = 0x400000,
		.p_filesz = sizeof(elf), .p_memsz = sizeof(elf), .p_align = 4096,
	};
	memcpy(elf.code, code, sizeof(code));
	memcpy(ret, &elf, sizeof(elf));
	return sizeof(elf);
}

/* The status of a program, or the errno of what keeps it from running. */
static struct fsx_result execute(struct fsx *f, const char *path, bool by_fd)
{
	char *const arguments[] = { (char *)"program", NULL };
	int status, fd;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		fsx_die("fork");
	if (pid == 0) {
		/* a shell says it when it cannot read its script */
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
		if (by_fd) {
			fd = open(path, O_PATH);	/* open in the program: a script needs it */
			execveat(fd, "", arguments, environ, AT_EMPTY_PATH);
		} else {
			execve(path, arguments, environ);
		}
		_exit(errno);
	}
	if (waitpid(pid, &status, 0) != pid)
		fsx_die("waitpid");
	if (WIFSIGNALED(status))
		fsx_differ(f, "the program dies: %s", strsignal(WTERMSIG(status)));
	status = WEXITSTATUS(status);
	return status < 128 ? (struct fsx_result){ -1, status } : (struct fsx_result){ status, 0 };
}

static void op_exec(struct fsx *f)
{
	uint8_t program[512], number = 128 + fsx_below(f, 100);
	bool script = fsx_chance(f, 50), by_fd = fsx_chance(f, 40), nonsense = fsx_chance(f, 10);
	mode_t mode = fsx_chance(f, 80) ? 0755 : 0644;
	struct fsx_result result[FSX_N_SIDES];
	size_t len = make_program(program, script, number);
	struct fsx_path path;

	if (nonsense)
		program[0] = '?';
	fsx_pick_path(f, &path);
	fsx_note(f, "%s %s%s, exit %u, mode %o%s", path.rel, nonsense ? "broken " : "",
		 script ? "script" : "program", number, mode, by_fd ? ", by descriptor" : "");
	each_side(s) {
		int fd = open(path.in[s], O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC, mode);

		result[s] = fsx_result(fd < 0 ? -1 : 0);
		if (fd < 0)
			continue;
		result[s] = fsx_result(write(fd, program, len));
		fchmod(fd, mode);
		close(fd);
		if (!result[s].err)
			result[s] = execute(f, path.in[s], by_fd);
	}
	fsx_same(f, result);
	fsx_compare_path(f, &path);
}

struct fsx_op fsx_fd_ops[] = {
	{ "statfs", 8, op_statfs },
	{ "fchdir", 8, op_fchdir },
	{ "o_path", 14, op_o_path },
	{ "fiemap", 6, op_fiemap, .refused = true },
	{ "ioctl", 6, op_ioctl },
	{ "fsxattr", 6, op_fsxattr },
	{ "rw_hint", 5, op_rw_hint },
	{ "poll", 5, op_poll },
	{ "inotify", 8, op_inotify },
	{ "exec", 3, op_exec },
	{ NULL },
};
