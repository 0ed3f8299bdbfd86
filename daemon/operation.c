/* SPDX-License-Identifier: GPL-2.0-only */
/* Life and end of operations; what each kind does is in flow-*.c. */
#include "daemon/operation.h"

#include "daemon/manager.h"
#include "daemon/peer.h"
#include "daemon/polkit.h"
#include "daemon/units.h"
#include "daemon/vault.h"
#include "daemon/wire-client.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#include <errno.h>
#include <string.h>

static const struct ecd_flow *const flows[] = {
	[ECD_OPERATION_UNLOCK] = &ecd_flow_unlock,
	[ECD_OPERATION_LOCK] = &ecd_flow_lock,
	[ECD_OPERATION_CHANGE] = &ecd_flow_change,
	[ECD_OPERATION_CREATE] = &ecd_flow_create,
	[ECD_OPERATION_QUERY] = &ecd_flow_query,
	[ECD_OPERATION_FORGET] = &ecd_flow_forget,
};

int ecd_operation_new(struct ecd_manager *manager, enum ecd_operation_kind kind, uid_t uid,
		      ecd_operation_fn done, void *userdata, struct ecd_operation **ret)
{
	struct ecd_operation *operation;
	struct ecd_peer *peer;

	if (manager->n_operations >= ECD_OPERATIONS_MAX)
		return -EAGAIN;
	ecd_peers_trim(&manager->peers, ecd_now_us());
	peer = ecd_peer_get(&manager->peers, uid);
	operation = peer ? calloc(1, sizeof(*operation)) : NULL;
	if (!operation)
		return -ENOMEM;
	if (!ecd_peer_may_start(peer)) {
		free(operation);
		return -EAGAIN;
	}
	peer->n_in_flight++;
	operation->manager = manager;
	operation->kind = kind;
	operation->flow = flows[kind];
	operation->uid = uid;
	operation->counted = true;
	operation->done = done;
	operation->userdata = userdata;
	operation->slot_wanted = -1;
	operation->keys_fd = -1;
	operation->recovery_fd = -1;
	TAILQ_INSERT_TAIL(&manager->operations, operation, link);
	manager->n_operations++;
	*ret = operation;
	return 0;
}

static void wipe_input(struct ecd_operation *operation)
{
	size_t i;

	for (i = 0; i < ECD_SECRETS_MAX; i++)
		ec_secret_done(&operation->secrets[i]);
	ec_secret_done(&operation->new_secret);
	ec_closep(&operation->keys_fd);
}

static void stop_waiting(struct ecd_operation *operation)
{
	ecd_request_free(operation->request);
	ecd_job_free(operation->job);
	ecd_polkit_free(operation->polkit);
	operation->deadline = sd_event_source_disable_unref(operation->deadline);
}

void ecd_operation_free(struct ecd_operation *operation)
{
	struct ecd_create_options *create;
	struct ecd_peer *peer;

	if (!operation)
		return;
	create = &operation->create;
	stop_waiting(operation);
	wipe_input(operation);
	if (operation->vault)
		TAILQ_REMOVE(&operation->vault->operations, operation, vault_link);
	peer = ecd_peer_get(&operation->manager->peers, operation->uid);
	if (operation->counted && peer)
		peer->n_in_flight--;
	TAILQ_REMOVE(&operation->manager->operations, operation, link);
	operation->manager->n_operations--;
	sd_bus_track_unref(operation->track);
	sd_bus_message_unref(operation->message);
	json_decref(operation->document);
	json_decref(operation->first_document);
	json_decref(operation->todo);
	ec_closep(&operation->recovery_fd);
	free(operation->mount_point);
	free(operation->designator);
	free(operation->caller);
	free(operation->kept);
	free(operation->problem);
	free(create->user);
	free(create->lower);
	free(create->mount_point);
	free(create->name);
	free(create->label);
	free(create->cipher);
	free(operation);
}

static void run(struct ecd_operation *operation)
{
	operation->running = true;
	if (operation->vault)
		ecd_vault_changed(operation->vault);
	operation->flow->start(operation);
}

void ecd_operation_start(struct ecd_operation *operation, struct ecd_vault *vault)
{
	if (vault) {
		operation->vault = vault;
		TAILQ_INSERT_TAIL(&vault->operations, operation, vault_link);
		if (TAILQ_FIRST(&vault->operations) != operation)
			return;
	}
	run(operation);
}

void ecd_operation_bind(struct ecd_operation *operation, struct ecd_vault *vault)
{
	operation->vault = vault;
	TAILQ_INSERT_HEAD(&vault->operations, operation, vault_link);
}

static int on_next(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ecd_operation *operation = userdata;

	operation->deadline = sd_event_source_disable_unref(operation->deadline);
	run(operation);
	return 0;
}

void ecd_operation_finish(struct ecd_operation *operation)
{
	struct ecd_vault *vault = operation->vault;
	struct ecd_operation *next;

	stop_waiting(operation);
	/* Off the vault first: what the owner does next must see the state after it. */
	if (vault) {
		TAILQ_REMOVE(&vault->operations, operation, vault_link);
		next = TAILQ_FIRST(&vault->operations);
		ecd_vault_changed(vault);
		if (next && !next->running &&
		    ecd_operation_set_deadline(next, 0, on_next) < 0)
			ec_log_error("out of memory, an operation on a vault is stuck");
	}
	/* done() may want to name the vault. */
	if (operation->done)
		operation->done(operation, operation->userdata);
	operation->vault = NULL;
	ecd_operation_free(operation);
}

void ecd_operation_fail(struct ecd_operation *operation, const struct ecd_failure *failure)
{
	struct ecd_failure copy = *failure;

	operation->failure = copy;
	ecd_operation_finish(operation);
}

void ecd_operation_fail_text(struct ecd_operation *operation, int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	ecd_failv(&operation->failure, r, NULL, format, args);
	va_end(args);
	ecd_operation_finish(operation);
}

void ecd_operation_no_memory(struct ecd_operation *operation)
{
	ecd_operation_fail_text(operation, -ENOMEM, "out of memory");
}

int ecd_operation_set_deadline(struct ecd_operation *operation, uint64_t delay_us,
			       sd_event_time_handler_t handler)
{
	return ecd_manager_set_timer(operation->manager, &operation->deadline, delay_us, handler,
				     operation);
}
