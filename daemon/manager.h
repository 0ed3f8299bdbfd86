/* SPDX-License-Identifier: GPL-2.0-only */
/* The one object that owns all others: event loop, bus, vaults, operations, sessions. */
#ifndef ECD_MANAGER_H
#define ECD_MANAGER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

struct ecd_logind;
struct ecd_request;
struct ecd_worker_server;

TAILQ_HEAD(ecd_job_list, ecd_job);
TAILQ_HEAD(ecd_login_list, ecd_login);
TAILQ_HEAD(ecd_operation_list, ecd_operation);
TAILQ_HEAD(ecd_peer_list, ecd_peer);
TAILQ_HEAD(ecd_request_list, ecd_request);
TAILQ_HEAD(ecd_session_list, ecd_session);
TAILQ_HEAD(ecd_stash_list, ecd_stash);
TAILQ_HEAD(ecd_vault_list, ecd_vault);

struct ecd_config {
	const char *run_dir;	/* /run/ecryptfsd */
	const char *state_dir;	/* /var/lib/ecryptfsd */
	const char *linger_dir;	/* /var/lib/systemd/linger */
	uint64_t stop_timeout_us;	/* for systemd to stop a mount unit */
};

struct ecd_manager {
	struct ecd_config config;
	sd_event *event;
	sd_bus *bus;
	struct ecd_vault_list vaults;
	struct ecd_operation_list operations;
	unsigned int n_operations;
	struct ecd_peer_list peers;
	struct ecd_login_list logins;
	struct ecd_session_list sessions;
	unsigned int n_sessions;
	struct ecd_stash_list stashes;
	struct ecd_job_list jobs;
	struct ecd_request_list helper_waiting;	/* for one of the two places */
	struct ecd_request_list given_up;	/* nobody waits for them, and they run */
	unsigned int n_helper_running;
	uint64_t helper_turn;			/* counts the places given away */
	struct ecd_logind *logind;
	struct ecd_worker_server *worker_server;
	sd_event_source *mounts_watch;
	bool emitting;		/* the bus asks for an object to announce it, nobody called */
};

int ecd_manager_init(struct ecd_manager *manager, const struct ecd_config *config);
int ecd_manager_start(struct ecd_manager *manager);
void ecd_manager_done(struct ecd_manager *manager);

/* Now, CLOCK_MONOTONIC, microseconds. */
uint64_t ecd_now_us(void);
/* Calls handler once after delay_us; replaces *source. */
int ecd_manager_set_timer(struct ecd_manager *manager, sd_event_source **source,
			  uint64_t delay_us, sd_event_time_handler_t handler, void *userdata);
/* A path below run_dir or state_dir, new, or NULL. */
char *ecd_path(const char *dir, const char *kind, const char *name, const char *suffix);
/* An empty file that says something by being there. */
int ecd_flag_set(const char *dir, const char *kind, const char *name);
void ecd_flag_clear(const char *dir, const char *kind, const char *name);
bool ecd_flag_is_set(const char *dir, const char *kind, const char *name);

#endif
