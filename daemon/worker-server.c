/* SPDX-License-Identifier: GPL-2.0-only */
/* Workers come here for their plan and say here how it went. They are few, and root. */
#include "daemon/worker-server.h"

#include "daemon/manager.h"
#include "daemon/operation.h"
#include "daemon/units.h"
#include "daemon/vault.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/log.h"
#include "lib/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define CONNECTIONS_MAX 256u

struct connection {
	TAILQ_ENTRY(connection) link;
	struct ecd_worker_server *server;
	int fd;
	sd_event_source *io;
	struct ecd_state_query *query;	/* on which its answer waits, or NULL */
	char *vault_id;			/* of that answer */
};

struct ecd_worker_server {
	struct ecd_manager *manager;
	int fd;
	sd_event_source *io;
	TAILQ_HEAD(, connection) connections;
	unsigned int n_connections;
};

static void connection_free(struct connection *connection)
{
	TAILQ_REMOVE(&connection->server->connections, connection, link);
	connection->server->n_connections--;
	ecd_state_query_free(connection->query);
	free(connection->vault_id);
	sd_event_source_disable_unref(connection->io);
	ec_closep(&connection->fd);
	free(connection);
}

static int reply_empty(int fd)
{
	json_t *body = json_object();
	int r = ec_wire_send(fd, body, NULL, 0);

	json_decref(body);
	return r;
}

static int do_plan(struct connection *connection, struct ecd_vault *vault, const json_t *body)
{
	struct ecd_failure failure;
	json_t *plan;
	int keys_fd, r;

	r = ecd_operation_worker_plan(vault, &plan, &keys_fd, &failure);
	if (r < 0)
		return ec_wire_send_error(connection->fd, r, failure.text);
	r = ec_wire_send(connection->fd, plan, &keys_fd, 1);
	json_decref(plan);
	if (r >= 0)
		ecd_operation_worker_planned(vault);
	return r;
}

static int do_mounted(struct connection *connection, struct ecd_vault *vault, const json_t *body)
{
	const char *engine = json_string_value(json_object_get(body, "engine"));

	if (!engine)
		return ec_wire_send_error(connection->fd, -EINVAL, "the message has no \"engine\"");
	ecd_operation_worker_mounted(vault, engine);
	return reply_empty(connection->fd);
}

static int do_failed(struct connection *connection, struct ecd_vault *vault, const json_t *body)
{
	const char *error = json_string_value(json_object_get(body, "error"));
	const char *text = json_string_value(json_object_get(body, "text"));
	int r = ec_error_from_bus_name(error);

	ecd_operation_worker_failed(vault, r, text ? text : ec_error_sentence(r),
				    json_object_get(body, "blockers"));
	return reply_empty(connection->fd);
}

static int do_progress(struct connection *connection, struct ecd_vault *vault, const json_t *body)
{
	ecd_operation_worker_progress(vault);
	return 0;
}

/* keep: leave the mount alone, whether it is busy or not. */
static int answer_unmounting(struct connection *connection, struct ecd_vault *vault, bool keep)
{
	unsigned int grace_ms = 0;
	bool detach = false;
	json_t *reply;
	int r;

	if (keep)
		ecd_operation_worker_unmount_refused(vault);
	else
		ecd_operation_worker_unmounting(vault, &detach, &grace_ms);
	reply = json_pack("{s:b, s:i, s:b}", "detach", detach, "grace_ms", (int)grace_ms, "keep", keep);
	r = reply ? ec_wire_send(connection->fd, reply, NULL, 0) : -ENOMEM;
	json_decref(reply);
	return r;
}

static void on_goes_down(void *userdata, bool goes_down)
{
	struct connection *connection = userdata;
	struct ecd_vault *vault = ecd_vault_find(connection->server->manager, connection->vault_id);

	if (!vault || answer_unmounting(connection, vault, !goes_down &&
					ecd_operation_worker_unmount_is_stray(vault)) < 0)
		connection_free(connection);
}

/* At shutdown a home is closed, whoever uses it. */
static int do_unmounting(struct connection *connection, struct ecd_vault *vault, const json_t *body)
{
	if (!ecd_operation_worker_unmount_is_stray(vault))
		return answer_unmounting(connection, vault, false);
	if (connection->query)
		return -EPROTO;
	free(connection->vault_id);
	connection->vault_id = strdup(vault->id);
	if (!connection->vault_id)
		return -ENOMEM;
	return ecd_units_ask_goes_down(connection->server->manager, &connection->query, on_goes_down,
				       connection);
}

static int do_unmounted(struct connection *connection, struct ecd_vault *vault, const json_t *body)
{
	ecd_operation_worker_unmounted(vault, json_object_get(body, "blockers"),
				       json_is_true(json_object_get(body, "detached")));
	return reply_empty(connection->fd);
}

static const struct {
	const char *name;
	int (*run)(struct connection *connection, struct ecd_vault *vault, const json_t *body);
} requests[] = {
	{ "plan", do_plan },
	{ "mounted", do_mounted },
	{ "failed", do_failed },
	{ "progress", do_progress },
	{ "unmounting", do_unmounting },
	{ "unmounted", do_unmounted },
};

static int dispatch(struct connection *connection, const json_t *body)
{
	struct ecd_manager *manager = connection->server->manager;
	const char *op, *id;
	struct ecd_vault *vault;
	size_t i;

	if (json_unpack((json_t *)body, "{s:s, s:s}", "op", &op, "id", &id) < 0)
		return ec_wire_send_error(connection->fd, -EINVAL, "the message has no \"op\" or no \"id\"");
	vault = ecd_vault_find(manager, id);
	if (!vault) {
		/* After a restart: what a worker tells about it is written down there. */
		ecd_vault_scan_mounts(manager);
		vault = ecd_vault_find(manager, id);
	}
	if (!vault)
		return ec_wire_send_error(connection->fd, -ENOENT, "the broker knows no vault of that id");
	for (i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (!strcmp(requests[i].name, op))
			return requests[i].run(connection, vault, body);
	return ec_wire_send_error(connection->fd, -EOPNOTSUPP, "the broker knows no such message");
}

static int on_message(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	_cleanup_message_ struct ec_wire_message message = EC_WIRE_MESSAGE_NULL;
	struct connection *connection = userdata;
	int r;

	r = ec_wire_recv(fd, &message);
	if (r == -EAGAIN)
		return 0;
	if (r >= 0)
		r = dispatch(connection, message.body);
	else if (r == -EPROTO)
		(void)ec_wire_send_error(fd, r, NULL);
	if (r < 0)
		connection_free(connection);
	return 0;
}

static bool peer_is_root(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == 0;
}

static int on_connection(sd_event_source *source, int listen_fd, uint32_t revents, void *userdata)
{
	struct ecd_worker_server *server = userdata;
	struct connection *connection;
	int fd;

	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return 0;
	connection = server->n_connections < CONNECTIONS_MAX && peer_is_root(fd) ?
		     calloc(1, sizeof(*connection)) : NULL;
	if (!connection) {
		close(fd);
		return 0;
	}
	connection->server = server;
	connection->fd = fd;
	TAILQ_INSERT_TAIL(&server->connections, connection, link);
	server->n_connections++;
	if (sd_event_add_io(server->manager->event, &connection->io, fd, EPOLLIN, on_message,
			    connection) < 0)
		connection_free(connection);
	return 0;
}

/* Without socket activation: in tests, and when somebody starts the broker by hand. */
static int listen_here(const struct ecd_manager *manager)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	int n;

	n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/worker.socket",
		     manager->config.run_dir);
	if (n < 0 || (size_t)n >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	(void)unlink(addr.sun_path);
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 64) < 0)
		return -errno;
	return ec_take_fd(&fd);
}

int ecd_worker_server_new(struct ecd_manager *manager, int listen_fd,
			  struct ecd_worker_server **ret)
{
	struct ecd_worker_server *server = calloc(1, sizeof(*server));
	int r;

	if (listen_fd < 0)
		listen_fd = listen_here(manager);
	if (!server || listen_fd < 0) {
		free(server);
		return listen_fd < 0 ? listen_fd : -ENOMEM;
	}
	server->manager = manager;
	server->fd = listen_fd;
	TAILQ_INIT(&server->connections);
	r = sd_event_add_io(manager->event, &server->io, listen_fd, EPOLLIN, on_connection, server);
	if (r < 0) {
		ecd_worker_server_free(server);
		return r;
	}
	*ret = server;
	return 0;
}

void ecd_worker_server_free(struct ecd_worker_server *server)
{
	struct connection *connection;

	if (!server)
		return;
	while ((connection = TAILQ_FIRST(&server->connections)))
		connection_free(connection);
	sd_event_source_disable_unref(server->io);
	ec_closep(&server->fd);
	free(server);
}
