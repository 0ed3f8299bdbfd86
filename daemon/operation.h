/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pending work. An operation waits its turn on its vault, takes one asynchronous step after the
 * other, and ends once, with a result or a failure, by calling its owner back.
 */
#ifndef ECD_OPERATION_H
#define ECD_OPERATION_H

#include "daemon/failure.h"
#include "lib/secret.h"
#include "lib/wire.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

struct ecd_job;
struct ecd_manager;
struct ecd_operation;
struct ecd_polkit;
struct ecd_request;
struct ecd_vault;

#define ECD_SECRETS_MAX 4u
#define ECD_OPERATIONS_MAX 1024u	/* in flight, of all uids */

enum ecd_operation_kind {
	ECD_OPERATION_UNLOCK,
	ECD_OPERATION_LOCK,
	ECD_OPERATION_CHANGE,
	ECD_OPERATION_CREATE,
	ECD_OPERATION_QUERY,
	ECD_OPERATION_FORGET,
};

typedef void (*ecd_operation_fn)(struct ecd_operation *operation, void *userdata);

struct ecd_create_options {
	bool home;
	char *user;		/* home */
	char *lower;		/* directory, as is mount_point */
	char *mount_point;
	char *name;
	char *label;
	char *cipher;		/* NULL: the default */
	uint32_t key_bytes;	/* 0: the default */
	bool names, recovery;
};

struct ecd_operation {
	TAILQ_ENTRY(ecd_operation) link;	/* manager->operations */
	TAILQ_ENTRY(ecd_operation) vault_link;	/* vault->operations */
	struct ecd_manager *manager;
	enum ecd_operation_kind kind;
	uid_t uid;		/* on whose account it runs */
	bool counted;		/* in the uid's operations in flight */
	struct ecd_vault *vault;	/* NULL until it is known, and for queries */
	bool running;

	/* input */
	struct ec_secret secrets[ECD_SECRETS_MAX];	/* tried in turn; of a change: the old one */
	size_t n_secrets, n_tried;
	struct ec_secret new_secret;
	json_int_t slot_wanted;	/* -1: any */
	bool force;		/* lock: detach if busy */
	bool logout;		/* lock: of the last session */
	bool login;		/* unlock, change: of PAM */
	char *mount_point;	/* unlock: instead of the vault's own */
	char *designator;	/* query: resolve; NULL: list */
	bool one_home;		/* query: the designator is a user, and only that home is meant */
	struct ecd_create_options create;

	/* in flight */
	const struct ecd_flow *flow;
	void (*next)(struct ecd_operation *operation);
	void (*fail)(struct ecd_operation *operation);
	struct ecd_request *request;
	struct ecd_job *job;
	struct ecd_polkit *polkit;
	sd_event_source *deadline;
	int keys_fd;		/* sealed memfd on its way from helper to worker */
	json_t *document;	/* unlock: the one that the secret is tried on, for the plan */
	json_t *todo;		/* query: what is still to be asked of the store */
	bool mounting;		/* between ecd_mount_begin() and its end */
	bool stopping;		/* mounting was given up, the worker has not ended yet */
	bool planned;		/* the worker has come for the plan */
	bool import_plan;	/* the plan says to copy the present home in */
	bool retried;
	bool unmounting;	/* lock: its worker is at it */
	bool timed_out;		/* lock: systemd was asked to drop the job */
	bool looked;		/* query: the directory that was found is up to date */
	bool undo;		/* create: what was made has to go again */
	bool from_backup;	/* unlock: the document is the one before the present one */
	bool abandoned;		/* the caller is gone, and it went on */
	json_t *first_document;	/* create: what is on disk until the last step; change: the backup,
				 * if the slot to change is in that */
	bool recovery_sent;	/* create: the document with that slot went to the store */

	/* result */
	struct ecd_failure failure;	/* failure.r == 0: success */
	json_int_t slot;
	char slot_type[32];
	char key_sig[17];	/* unlock: of the key for contents, hexadecimal */
	int recovery_fd;	/* sealed memfd, of a create */
	char *kept;		/* create: where the old home is */
	char *problem;		/* create: why the new home could not be opened, or NULL */
	int problem_error;	/* negative errno */
	struct ecd_vault *found;	/* query: resolved */
	char *caller;		/* query: the name of the user who asks, or NULL */
	bool nothing;		/* login: there is nothing to open or change */

	/* owner */
	ecd_operation_fn done;
	void *userdata;
	sd_bus_message *message;	/* to be answered, or NULL */
	sd_bus_track *track;		/* of its sender */
	ecd_operation_fn authorized;	/* what follows a yes of polkit */
};

/* What distinguishes the kinds. Every function runs in the context of the event loop. */
struct ecd_flow {
	void (*start)(struct ecd_operation *operation);
	/* May it be dropped when its caller is gone? */
	bool (*may_cancel)(const struct ecd_operation *operation);
	/* It may not, and is told. May end it. NULL: it goes on as if nothing had happened. */
	void (*abandon)(struct ecd_operation *operation);
};

extern const struct ecd_flow ecd_flow_unlock;
extern const struct ecd_flow ecd_flow_lock;
extern const struct ecd_flow ecd_flow_change;
extern const struct ecd_flow ecd_flow_create;
extern const struct ecd_flow ecd_flow_query;
extern const struct ecd_flow ecd_flow_forget;

/* 0; -EAGAIN if uid has too many already; -ENOMEM. done is called exactly once, after which
 * the operation is freed. */
int ecd_operation_new(struct ecd_manager *manager, enum ecd_operation_kind kind, uid_t uid,
		      ecd_operation_fn done, void *userdata, struct ecd_operation **ret);
/* One that was never started; copes with NULL. */
void ecd_operation_free(struct ecd_operation *operation);
/* Queues it on its vault, if it has one, or starts it. It may have ended when this returns. */
void ecd_operation_start(struct ecd_operation *operation, struct ecd_vault *vault);
/* Binds an operation that runs already to a vault on which nothing else runs. */
void ecd_operation_bind(struct ecd_operation *operation, struct ecd_vault *vault);
/* The end: with operation->failure as it is. */
void ecd_operation_finish(struct ecd_operation *operation);
void ecd_operation_fail(struct ecd_operation *operation, const struct ecd_failure *failure);
__attribute__((format(printf, 3, 4)))
void ecd_operation_fail_text(struct ecd_operation *operation, int r, const char *format, ...);
void ecd_operation_no_memory(struct ecd_operation *operation);
int ecd_operation_set_deadline(struct ecd_operation *operation, uint64_t delay_us,
			       sd_event_time_handler_t handler);

/* From the worker of the vault's running operation. */
void ecd_operation_worker_mounted(struct ecd_vault *vault, const char *engine);
void ecd_operation_worker_failed(struct ecd_vault *vault, int r, const char *text,
				 json_t *blockers);
void ecd_operation_worker_progress(struct ecd_vault *vault);
void ecd_operation_worker_unmounted(struct ecd_vault *vault, json_t *blockers, bool detached);
/* The plan for its worker; 0 with a new reference and a borrowed fd, or negative errno. */
int ecd_operation_worker_plan(struct ecd_vault *vault, json_t **ret_plan, int *ret_keys_fd,
			      struct ecd_failure *failure);
/* The plan went out: the broker has no key any more. */
void ecd_operation_worker_planned(struct ecd_vault *vault);
void ecd_operation_worker_unmounting(struct ecd_vault *vault, bool *ret_detach,
				     unsigned int *ret_grace_ms);
/* A session uses the home, and nobody who may has asked for it to be closed. */
bool ecd_operation_worker_unmount_is_stray(const struct ecd_vault *vault);
/* Its worker was told to leave the mount alone. */
void ecd_operation_worker_unmount_refused(struct ecd_vault *vault);
/* A session of the owner begins: a home that is being closed after the last one stays open, if it
 * is not too late. */
void ecd_operation_overtake_lock(struct ecd_vault *vault);
/* A session of the owner has the home open: user@.service is started again where logind would not. */
void ecd_operation_restart_user_manager(struct ecd_vault *vault);

#endif
