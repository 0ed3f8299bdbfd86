/* SPDX-License-Identifier: GPL-2.0-only */
/* The broker's side of worker.socket. docs/architecture.md, "worker to broker". */
#ifndef ECD_WORKER_SERVER_H
#define ECD_WORKER_SERVER_H

struct ecd_manager;
struct ecd_worker_server;

/* Takes over listen_fd, a listening SOCK_SEQPACKET socket, or -1: then it makes its own. */
int ecd_worker_server_new(struct ecd_manager *manager, int listen_fd,
			  struct ecd_worker_server **ret);
void ecd_worker_server_free(struct ecd_worker_server *server);

#endif
