/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ecryptfs-key-helper: one process for one operation. It answers the first message of the
 * connection it was started for and exits, so that no memory is shared between two users or two
 * requests. It opens no file and no socket of its own.
 */
#include "helper/argon2id.h"
#include "helper/json-bytes.h"
#include "helper/operation.h"
#include "lib/error.h"
#include "lib/log.h"
#include "lib/secret.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#define REQUEST_WAIT_MS		10000	/* for the first message to come */
#define OPERATION_LIMIT_S	60	/* then SIGALRM ends the process: the broker sees it */

struct arguments {
	int socket;
	unsigned int target_ms;
};

static int parse_number(const char *text, unsigned int max, unsigned int *ret)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || value > max)
		return -EINVAL;
	*ret = (unsigned int)value;
	return 0;
}

static int parse_arguments(int argc, char **argv, struct arguments *ret)
{
	static const struct option options[] = {
		{ "socket-fd", required_argument, NULL, 's' },
		{ "kdf-target-ms", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned int number;
	int c;

	*ret = (struct arguments){ .socket = -1, .target_ms = ECD_ARGON2ID_TARGET_MS };
	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == '?' || parse_number(optarg, c == 's' ? INT_MAX : 60000, &number) < 0)
			return -EINVAL;
		if (c == 's')
			ret->socket = (int)number;
		else
			ret->target_ms = number;
	}
	return optind == argc ? 0 : -EINVAL;
}

/* The connection: from systemd (Accept=yes), or as --socket-fd= says. */
static int get_socket(struct arguments *arguments)
{
	int n, r;

	if (arguments->socket < 0) {
		n = sd_listen_fds(1);
		if (n != 1)
			return n < 0 ? n : -EINVAL;
		arguments->socket = SD_LISTEN_FDS_START;
	}
	r = sd_is_socket(arguments->socket, AF_UNIX, SOCK_SEQPACKET, 0);
	return r < 0 ? r : r ? 0 : -EINVAL;
}

static int receive(int socket, struct ec_wire_message *ret)
{
	struct pollfd pollfd = { .fd = socket, .events = POLLIN };
	int r;

	do
		r = poll(&pollfd, 1, REQUEST_WAIT_MS);
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return r ? -errno : -ETIMEDOUT;
	return ec_wire_recv(socket, ret);
}

/* 0 if an answer was sent, be it an error. */
static int serve(const struct arguments *arguments)
{
	_cleanup_message_ struct ec_wire_message request = EC_WIRE_MESSAGE_NULL;
	_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
	struct ecd_reason reason = { "" };
	int r;

	r = receive(arguments->socket, &request);
	if (r == -ECONNRESET)	/* the broker thought better of it */
		return 0;
	if (r == -ETIMEDOUT)
		return r;
	alarm(OPERATION_LIMIT_S);
	if (r == 0)
		r = ecd_operation_run(&request, arguments->target_ms, &reply, &reason);
	if (r < 0)
		return ec_wire_send_error(arguments->socket, r,
					  reason.text[0] ? reason.text : NULL);
	return ec_wire_send(arguments->socket, reply.body, reply.fds, reply.n_fds);
}

int main(int argc, char **argv)
{
	struct arguments arguments;
	int r;

	ec_secret_harden_process();
	/* No configuration of the machine's OpenSSL, which could load foreign code. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return EXIT_FAILURE;
	if (parse_arguments(argc, argv, &arguments) < 0) {
		fprintf(stderr, "usage: ecryptfs-key-helper [--socket-fd=N] [--kdf-target-ms=N]\n");
		return ec_error_exit_code(-EINVAL);
	}
	r = get_socket(&arguments);
	if (r < 0) {
		ec_log_error("There is no connection to serve: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	r = serve(&arguments);
	if (r < 0) {
		ec_log_error("The request could not be answered: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
