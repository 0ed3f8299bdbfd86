// SPDX-License-Identifier: GPL-2.0-only
/* Messages between processes: bytes of any kind on the socket, with a descriptor beside them. */
#include "fuzz/fuzz.h"
#include "lib/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

static void send_raw(int socket, const uint8_t *data, size_t len, int fd)
{
	union {
		struct cmsghdr align;
		uint8_t buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	fuzz_assert(sendmsg(socket, &msg, MSG_NOSIGNAL) == (ssize_t)len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static int sockets[2] = { -1, -1 }, null = -1;
	struct ec_wire_message message = EC_WIRE_MESSAGE_NULL;
	int r;

	if (null < 0) {
		fuzz_assert(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sockets));
		null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	if (!len)
		return 0;	/* is the end of the stream */
	send_raw(sockets[0], data, len, null);
	r = ec_wire_recv(sockets[1], &message);
	if (r) {
		fuzz_assert(r == -EPROTO || r == -EMSGSIZE);
		return 0;
	}
	fuzz_assert(json_is_object(message.body));
	fuzz_assert(message.n_fds == 1 && message.fds[0] >= 0);
	(void)ec_wire_reply_error(message.body);
	ec_wire_message_done(&message);
	return 0;
}
