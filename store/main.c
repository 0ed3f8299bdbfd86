/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ecryptfs-store: reads and writes vault documents and ~/.ecryptfs for the broker, which cannot
 * reach users' files itself. One connection, passed by systemd as descriptor 3; every request is
 * answered; the end of the connection is the end of the process.
 */
#include "store/store.h"

#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/log.h"
#include "lib/wire.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

typedef int (*operation_fn)(const json_t *request, json_t **ret_reply, struct st_problem *problem);

static const struct {
	const char *name;
	operation_fn run;
} operations[] = {
	{ "probe-home", st_probe_home },
	{ "list-homes", st_list_homes },
	{ "read", st_read },
	{ "write", st_write },
	{ "write-legacy", st_write_legacy },
	{ "create-home", st_create_home },
	{ "commit-home", st_commit_home },
	{ "create-directory", st_create_directory },
	{ "remove-created", st_remove_created },
};

static int run(const json_t *request, json_t **ret_reply, struct st_problem *problem)
{
	const char *name = NULL;
	size_t i;
	int r;

	r = st_get_string(request, "op", &name, problem);
	if (r < 0)
		return r;
	for (i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		if (strcmp(operations[i].name, name))
			continue;
		r = operations[i].run(request, ret_reply, problem);
		st_become_root();
		return r;
	}
	return st_fail(problem, -EOPNOTSUPP, "the store knows no request \"%.32s\"", name);
}

static int answer(int socket, const json_t *request)
{
	struct st_problem problem = { "" };
	json_t *reply = NULL;
	int r;

	r = run(request, &reply, &problem);
	if (r < 0)
		return ec_wire_send_error(socket, r, problem.text[0] ? problem.text : NULL);
	r = ec_wire_send(socket, reply, NULL, 0);
	json_decref(reply);
	return r;
}

static int serve(int socket)
{
	for (;;) {
		_cleanup_message_ struct ec_wire_message message = EC_WIRE_MESSAGE_NULL;
		int r;

		r = ec_wire_recv(socket, &message);
		if (r == -ECONNRESET || r == -EPIPE)
			return 0;
		if (r == -EPROTO)
			r = ec_wire_send_error(socket, r, "the request is not one JSON object");
		else if (r >= 0)
			r = answer(socket, message.body);
		if (r == -EPIPE || r == -ECONNRESET)
			return 0;
		if (r < 0)
			return r;
	}
}

/* Only root may ask. The socket's mode says so too; this costs nothing. */
static int check_peer(int socket)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return -errno;
	return peer.uid == 0 ? 0 : -EPERM;
}

static int set_up_process(void)
{
	const struct rlimit none = { 0, 0 };

	umask(077);
	signal(SIGPIPE, SIG_IGN);
	/* A write over RLIMIT_FSIZE is an error to report, not a reason to die half-way. */
	signal(SIGXFSZ, SIG_IGN);
	(void)setrlimit(RLIMIT_CORE, &none);
	/* The groups of root would give a user's access more than the user has. */
	if (setgroups(0, NULL) < 0)
		return -errno;
	return 0;
}

int main(void)
{
	int r;

	r = sd_listen_fds(1);
	if (r != 1 || sd_is_socket(SD_LISTEN_FDS_START, AF_UNIX, SOCK_SEQPACKET, 0) <= 0) {
		ec_log_error("ecryptfs-store is started by ecryptfs-store.socket, with one "
			     "connection as descriptor 3. It is of no use by itself.");
		return EXIT_FAILURE;
	}
	r = set_up_process();
	if (r >= 0)
		r = check_peer(SD_LISTEN_FDS_START);
	if (r >= 0)
		r = serve(SD_LISTEN_FDS_START);
	if (r < 0) {
		ec_log_error("ecryptfs-store ends: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
