/* SPDX-License-Identifier: GPL-2.0-only */
/* One JSON object and a few descriptors in one SOCK_SEQPACKET message. */
#include "lib/wire.h"

#include "lib/cleanup.h"
#include "lib/error.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

/* Room for our descriptors and for the credentials that a socket with SO_PASSCRED adds. */
union control {
	struct cmsghdr align;
	uint8_t buf[CMSG_SPACE(sizeof(int) * EC_WIRE_FDS_MAX) + CMSG_SPACE(sizeof(struct ucred))];
};

static void attach_fds(struct msghdr *msg, union control *control, const int *fds, size_t n_fds)
{
	struct cmsghdr *cmsg;

	if (!n_fds)
		return;
	memset(control, 0, sizeof(*control));
	msg->msg_control = control->buf;
	msg->msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
	cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
	memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
}

/**
 * ec_wire_send() - send one message
 * @socket:	SOCK_SEQPACKET
 * @body:	an object; stays the caller's
 * @fds:	n_fds descriptors, duplicated into the message; stay the caller's
 * @n_fds:	0..EC_WIRE_FDS_MAX
 *
 * Return: 0, -EMSGSIZE, -EINVAL (no object, too many descriptors), -ENOMEM, errno of sendmsg(2).
 */
int ec_wire_send(int socket, const json_t *body, const int *fds, size_t n_fds)
{
	_cleanup_free_ char *text = NULL;
	union control control;
	struct msghdr msg = { .msg_iovlen = 1 };
	struct iovec iov;
	ssize_t n;

	if (!json_is_object(body) || n_fds > EC_WIRE_FDS_MAX)
		return -EINVAL;
	text = json_dumps(body, JSON_COMPACT);
	if (!text)
		return -ENOMEM;
	iov = (struct iovec){ .iov_base = text, .iov_len = strlen(text) };
	if (iov.iov_len > EC_WIRE_LEN_MAX)
		return -EMSGSIZE;
	msg.msg_iov = &iov;
	attach_fds(&msg, &control, fds, n_fds);

	do
		n = sendmsg(socket, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* Takes every descriptor that came, closing those for which there is no room. */
static int collect_fds(struct msghdr *msg, struct ec_wire_message *message)
{
	struct cmsghdr *cmsg;
	int r = msg->msg_flags & MSG_CTRUNC ? -EPROTO : 0;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		size_t n, i;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			if (message->n_fds < EC_WIRE_FDS_MAX) {
				message->fds[message->n_fds++] = fd;
			} else {
				close(fd);
				r = -EPROTO;
			}
		}
	}
	return r;
}

/**
 * ec_wire_recv() - receive one message
 * @socket:	SOCK_SEQPACKET
 * @ret:	filled on success; ec_wire_message_done() it. Untouched on failure
 *
 * What arrives on failure is closed and dropped, so that the connection may be used on.
 *
 * Return: 0; -ECONNRESET at the end of the stream; -EPROTO for a message that is too long, is
 * not one JSON object, names a key twice or carries too many descriptors; -EAGAIN; -ENOMEM;
 * errno of recvmsg(2).
 */
int ec_wire_recv(int socket, struct ec_wire_message *ret)
{
	_cleanup_message_ struct ec_wire_message message = EC_WIRE_MESSAGE_NULL;
	_cleanup_free_ char *buf = malloc(EC_WIRE_LEN_MAX);
	struct iovec iov = { .iov_base = buf, .iov_len = EC_WIRE_LEN_MAX };
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n;
	int r;

	if (!buf)
		return -ENOMEM;
	do
		n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	r = collect_fds(&msg, &message);
	if (n == 0)
		return -ECONNRESET;
	if (r < 0 || msg.msg_flags & MSG_TRUNC)
		return -EPROTO;

	message.body = json_loadb(buf, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(message.body))
		return -EPROTO;
	*ret = message;
	message = EC_WIRE_MESSAGE_NULL;
	return 0;
}

void ec_wire_message_done(struct ec_wire_message *message)
{
	size_t i;

	if (!message)
		return;
	json_decref(message->body);
	for (i = 0; i < EC_WIRE_FDS_MAX; i++)
		ec_closep(&message->fds[i]);
	*message = EC_WIRE_MESSAGE_NULL;
}

int ec_wire_take_fd(struct ec_wire_message *message, size_t i, int *ret_fd)
{
	if (i >= message->n_fds || message->fds[i] < 0)
		return -EPROTO;
	*ret_fd = ec_take_fd(&message->fds[i]);
	return 0;
}

/**
 * ec_wire_send_error() - answer that a request failed
 * @socket:	SOCK_SEQPACKET
 * @r:		negative errno
 * @text:	what went wrong, UTF-8, or NULL for the sentence of lib/error.c
 *
 * Return: as ec_wire_send().
 */
int ec_wire_send_error(int socket, int r, const char *text)
{
	const char *name = ec_error_bus_name(r) + strlen(EC_ERROR_PREFIX);
	json_t *body;

	body = json_pack("{s:s, s:s}", "error", name, "text", text ? text : ec_error_sentence(r));
	if (!body)	/* text that is no UTF-8 */
		body = json_pack("{s:s, s:s}", "error", name, "text", ec_error_sentence(r));
	if (!body)
		return -ENOMEM;
	r = ec_wire_send(socket, body, NULL, 0);
	json_decref(body);
	return r;
}

int ec_wire_reply_error(const json_t *body)
{
	const json_t *error = json_object_get(body, "error");

	if (!error)
		return 0;
	if (!json_is_string(error))
		return -EPROTO;
	return ec_error_from_bus_name(json_string_value(error));
}

/**
 * ec_wire_connect() - connect to a listening socket
 * @path:	of the socket
 * @timeout_ms:	how long a full backlog is waited for, in milliseconds
 * @ret_socket:	new, blocking, close-on-exec
 *
 * Return: 0, -ENOTCONN if nobody listens there, -ETIMEDOUT, -ENAMETOOLONG, -EACCES and the like.
 */
int ec_wire_connect(const char *path, unsigned int timeout_ms, int *ret_socket)
{
	const struct timeval no_limit = { 0 }, limit = {
		.tv_sec = timeout_ms / 1000,
		.tv_usec = timeout_ms % 1000 * 1000 + (timeout_ms ? 0 : 1),
	};
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* unix(7) sockets wait for room in the backlog as long as the send timeout says. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		if (errno == EAGAIN)
			return -ETIMEDOUT;
		return errno == ECONNREFUSED || errno == ENOENT ? -ENOTCONN : -errno;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &no_limit, sizeof(no_limit)) < 0)
		return -errno;

	*ret_socket = ec_take_fd(&fd);
	return 0;
}
