/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages between the broker and its workers: one JSON object in one SOCK_SEQPACKET message,
 * descriptors beside it. Secrets travel only as sealed memfds among those descriptors.
 * docs/architecture.md lists the messages.
 */
#ifndef EC_WIRE_H
#define EC_WIRE_H

#include <jansson.h>
#include <stddef.h>

#define EC_WIRE_LEN_MAX 131072u	/* bytes of JSON */
#define EC_WIRE_FDS_MAX 4u

struct ec_wire_message {
	json_t *body;			/* an object; owned */
	int fds[EC_WIRE_FDS_MAX];	/* owned, -1 where none */
	size_t n_fds;
};

#define EC_WIRE_MESSAGE_NULL ((struct ec_wire_message){ .fds = { -1, -1, -1, -1 } })

/* body and fds stay the caller's. 0, -EMSGSIZE, -EPIPE, -EAGAIN (full, non-blocking) ... */
int ec_wire_send(int socket, const json_t *body, const int *fds, size_t n_fds);
/* Duplicate keys, trailing bytes, too many descriptors: -EPROTO. End of stream: -ECONNRESET. */
int ec_wire_recv(int socket, struct ec_wire_message *ret);
void ec_wire_message_done(struct ec_wire_message *message);
/* Takes descriptor i out of the message; -EPROTO if it is not there. */
int ec_wire_take_fd(struct ec_wire_message *message, size_t i, int *ret_fd);

/* A reply that carries only an error: {"error": "WrongSecret", "text": "..."}. text may be NULL. */
int ec_wire_send_error(int socket, int r, const char *text);
/* 0 if body carries no "error", else the negative errno of its name. */
int ec_wire_reply_error(const json_t *body);

/* Connects with a deadline. 0, -ENOTCONN, -ETIMEDOUT. */
int ec_wire_connect(const char *path, unsigned int timeout_ms, int *ret_socket);

#define _cleanup_message_ _cleanup_(ec_wire_message_done)

#endif
