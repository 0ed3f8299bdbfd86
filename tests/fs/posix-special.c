// SPDX-License-Identifier: GPL-2.0-only
/* Checks of posix on what is special: programs, sockets, devices, swap files, and statfs. */
#include "tests/fs/posix.h"

#include "tests/fs/must.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/swap.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

void executes(void)
{
	int in = MUST(open("/bin/true", O_RDONLY | O_CLOEXEC));
	int out = MUST(open("true", O_RDWR | O_CREAT | O_CLOEXEC, 0755)), status;
	char buf[4096];
	ssize_t n;
	pid_t pid;

	while ((n = MUST(read(in, buf, sizeof(buf)))) > 0)
		REQUIRE(write(out, buf, n) == n);
	close(out);
	for (int i = 0; i < 2; i++) {
		pid = MUST(fork());
		if (pid == 0) {
			execl("./true", "true", NULL);
			_exit(99);
		}
		MUST(waitpid(pid, &status, 0));
		REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		drop_caches();
	}
}

void sockets_and_fifos(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };
	int server = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
	int client = MUST(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), fd;
	char c = 0;

	MUST(bind(server, (struct sockaddr *)&address, sizeof(address)));
	MUST(listen(server, 1));
	MUST(connect(client, (struct sockaddr *)&address, sizeof(address)));
	MUST(mkfifo("fifo", 0600));
	fd = MUST(open("fifo", O_RDWR | O_CLOEXEC));
	REQUIRE(write(fd, "f", 1) == 1 && read(fd, &c, 1) == 1 && c == 'f');
	MUST(mknod("null", S_IFCHR | 0600, makedev(1, 3)));
	fd = MUST(open("null", O_RDWR | O_CLOEXEC));
	REQUIRE(read(fd, &c, 1) == 0);
}

void filesystem_type(void)
{
	struct statfs st;

	MUST(statfs(".", &st));
	REQUIRE(st.f_type == 0xF15F);
	REQUIRE(st.f_blocks > 0 && st.f_bfree <= st.f_blocks);
}

/* A swap file would be written to its blocks directly: in clear, and over the ciphertext. */
void swap_refused(void)
{
	static char zeros[65536];
	int fd = create("swap", zeros, sizeof(zeros));
	char *page = aligned_alloc(4096, 4096);

	memset(page, 0, 4096);
	((uint32_t *)page)[256] = 1;			/* version */
	((uint32_t *)page)[257] = sizeof(zeros) / 4096 - 1;	/* last page */
	memcpy(page + 4086, "SWAPSPACE2", 10);
	REQUIRE(pwrite(fd, page, 4096, 0) == 4096);
	MUST(fsync(fd));
	if (swapon("swap", 0) == 0) {
		swapoff("swap");
		fail("it was taken");
	}
	REQUIRE(errno == EINVAL);
}
