/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ecryptfsd, the broker: decides who may use which key, and lets others do everything else.
 * It may be killed at any moment: mounts are units of systemd, session descriptors are in
 * systemd's hands, and it holds no key once a mount stands.
 */
#include "daemon/bus-manager.h"
#include "daemon/manager.h"
#include "daemon/session.h"
#include "daemon/worker-server.h"
#include "lib/bus-client.h"
#include "lib/cleanup.h"
#include "lib/log-ids.h"
#include "lib/log.h"
#include "lib/secret.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#define METHOD_TIMEOUT_US (10u * UINT64_C(1000000))
#define SESSION_FD_PREFIX "session-"
#define STOP_TIMEOUT_S	60u
#define STOP_TIMEOUT_S_MAX 3600u

static int usage(FILE *stream)
{
	fputs("Usage: ecryptfsd [OPTION...]\n"
	      "\n"
	      "The broker of ecryptfsd(8). systemd starts it when somebody asks for it.\n"
	      "\n"
	      "  --help                 this text\n"
	      "  --version              the version\n"
	      "\n"
	      "For tests:\n"
	      "  --run-directory=DIR    instead of /run/ecryptfsd\n"
	      "  --state-directory=DIR  instead of /var/lib/ecryptfsd\n"
	      "  --linger-directory=DIR instead of /var/lib/systemd/linger\n"
	      "  --stop-timeout=SECONDS instead of 60, for systemd to stop a mount unit\n", stream);
	return stream == stdout ? EXIT_SUCCESS : 2;
}

static int parse_stop_timeout(const char *text, uint64_t *ret_us)
{
	char *end;
	unsigned long seconds = strtoul(text, &end, 10);

	if (end == text || *end || !seconds || seconds > STOP_TIMEOUT_S_MAX)
		return -EINVAL;
	*ret_us = seconds * UINT64_C(1000000);
	return 0;
}

/* 0: go on; else the exit status + 1. */
static int parse_arguments(int argc, char **argv, struct ecd_config *config)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ "run-directory", required_argument, NULL, 'r' },
		{ "state-directory", required_argument, NULL, 's' },
		{ "linger-directory", required_argument, NULL, 'l' },
		{ "stop-timeout", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 'h':
			return usage(stdout) + 1;
		case 'v':
			puts("ecryptfsd " ECD_VERSION);
			return EXIT_SUCCESS + 1;
		case 'r':
			config->run_dir = optarg;
			break;
		case 's':
			config->state_dir = optarg;
			break;
		case 'l':
			config->linger_dir = optarg;
			break;
		case 't':
			if (parse_stop_timeout(optarg, &config->stop_timeout_us) < 0)
				return usage(stderr) + 1;
			break;
		default:
			return usage(stderr) + 1;
		}
	}
	return optind < argc ? usage(stderr) + 1 : 0;
}

static int block_signals(struct ecd_manager *manager)
{
	sigset_t set;
	int r;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	r = sd_event_add_signal(manager->event, NULL, SIGTERM, NULL, NULL);
	return r < 0 ? r : sd_event_add_signal(manager->event, NULL, SIGINT, NULL, NULL);
}

static int open_bus(struct ecd_manager *manager)
{
	int r;

	r = sd_bus_default_system(&manager->bus);
	if (r < 0)
		return r;
	r = sd_bus_set_method_call_timeout(manager->bus, METHOD_TIMEOUT_US);
	if (r < 0)
		return r;
	return sd_bus_attach_event(manager->bus, manager->event, SD_EVENT_PRIORITY_NORMAL);
}

/* What systemd kept for us: the listening socket of the workers, and the sessions. */
static int take_descriptors(struct ecd_manager *manager)
{
	char **names = NULL;
	int listen_fd = -1, n, i;
	unsigned int n_sessions = 0;

	n = sd_listen_fds_with_names(1, &names);
	for (i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;
		unsigned long uid;
		char *end;

		if (!strncmp(names[i], SESSION_FD_PREFIX, strlen(SESSION_FD_PREFIX))) {
			uid = strtoul(names[i] + strlen(SESSION_FD_PREFIX), &end, 10);
			if (!*end && uid < UINT32_MAX) {
				ecd_session_restore(manager, (uid_t)uid, fd);
				n_sessions++;
				free(names[i]);
				continue;
			}
		} else if (listen_fd < 0 && sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 1) > 0) {
			listen_fd = fd;
			free(names[i]);
			continue;
		}
		ec_log_warning("systemd passed a descriptor \"%s\" that is not known, closing it",
			       names[i]);
		close(fd);
		free(names[i]);
	}
	free(names);
	if (n_sessions)
		ec_log(LOG_INFO, EC_LOG_FIELDS(.message_id = EC_LOG_ID_BROKER_STATE_RESTORED),
		       "Took over %u session descriptors from before the restart", n_sessions);
	return ecd_worker_server_new(manager, listen_fd, &manager->worker_server);
}

static int set_up(struct ecd_manager *manager, const struct ecd_config *config)
{
	int r;

	r = ecd_manager_init(manager, config);
	if (r < 0)
		return r;
	r = block_signals(manager);
	if (r < 0)
		return r;
	r = sd_event_set_watchdog(manager->event, true);
	if (r < 0)
		return r;
	r = open_bus(manager);
	if (r < 0) {
		ec_log_error("cannot connect to the system bus: %s", strerror(-r));
		return r;
	}
	r = ecd_manager_start(manager);
	if (r < 0)
		return r;
	/* After the mounts are known, so that the sessions can be told about them. */
	r = take_descriptors(manager);
	if (r < 0)
		return r;
	r = ecd_bus_manager_add(manager);
	if (r < 0)
		return r;
	/* Last, because calls come as soon as the name is there. */
	r = sd_bus_request_name(manager->bus, EC_BUS_NAME, 0);
	if (r < 0)
		ec_log_error("cannot get the bus name " EC_BUS_NAME ": %s", strerror(-r));
	return r;
}

int main(int argc, char **argv)
{
	struct ecd_config config = {
		.run_dir = "/run/ecryptfsd",
		.state_dir = "/var/lib/ecryptfsd",
		.linger_dir = "/var/lib/systemd/linger",
		.stop_timeout_us = STOP_TIMEOUT_S * UINT64_C(1000000),
	};
	struct ecd_manager manager = { 0 };
	int r;

	r = parse_arguments(argc, argv, &config);
	if (r)
		return r - 1;
	umask(022);
	ec_secret_harden_process();
	r = set_up(&manager, &config);
	if (r >= 0) {
		ec_log(LOG_INFO, EC_LOG_FIELDS(.message_id = EC_LOG_ID_BROKER_STARTED),
		       "ecryptfsd " ECD_VERSION " runs");
		(void)sd_notify(0, "READY=1");
		r = sd_event_loop(manager.event);
		(void)sd_notify(0, "STOPPING=1");
	}
	ecd_manager_done(&manager);
	if (r < 0) {
		ec_log_error("ecryptfsd ends: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	ec_log(LOG_INFO, EC_LOG_FIELDS(.message_id = EC_LOG_ID_BROKER_STOPPED), "ecryptfsd ends");
	return EXIT_SUCCESS;
}
