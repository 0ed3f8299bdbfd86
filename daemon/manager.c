/* SPDX-License-Identifier: GPL-2.0-only */
/* What is set up once and lasts as long as the process. */
#include "daemon/manager.h"

#include "daemon/bus-manager.h"
#include "daemon/logind.h"
#include "daemon/operation.h"
#include "daemon/peer.h"
#include "daemon/session.h"
#include "daemon/units.h"
#include "daemon/vault.h"
#include "daemon/wire-client.h"
#include "daemon/worker-server.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>

uint64_t ecd_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int ecd_manager_set_timer(struct ecd_manager *manager, sd_event_source **source,
			  uint64_t delay_us, sd_event_time_handler_t handler, void *userdata)
{
	*source = sd_event_source_disable_unref(*source);
	/* An accuracy of 0 would be the default, 250 ms. */
	return sd_event_add_time_relative(manager->event, source, CLOCK_MONOTONIC, delay_us, 1000,
					  handler, userdata);
}

char *ecd_path(const char *dir, const char *kind, const char *name, const char *suffix)
{
	char *path;

	return asprintf(&path, "%s/%s%s%s%s", dir, kind, name ? "/" : "", name ? name : "",
			suffix ? suffix : "") < 0 ? NULL : path;
}

int ecd_flag_set(const char *dir, const char *kind, const char *name)
{
	_cleanup_free_ char *parent = ecd_path(dir, kind, NULL, NULL);
	_cleanup_free_ char *path = ecd_path(dir, kind, name, NULL);
	_cleanup_close_ int fd = -1;

	if (!parent || !path)
		return -ENOMEM;
	if (mkdir(parent, 0755) < 0 && errno != EEXIST)
		return -errno;
	/* Not synced: on a disk that is slow to do that, every login would wait for it. A flag that a
	 * crash takes away is a question less at the next login, no more. */
	fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : 0;
}

void ecd_flag_clear(const char *dir, const char *kind, const char *name)
{
	_cleanup_free_ char *path = ecd_path(dir, kind, name, NULL);

	if (path)
		(void)unlink(path);
}

bool ecd_flag_is_set(const char *dir, const char *kind, const char *name)
{
	_cleanup_free_ char *path = ecd_path(dir, kind, name, NULL);

	return path && access(path, F_OK) == 0;
}

int ecd_manager_init(struct ecd_manager *manager, const struct ecd_config *config)
{
	*manager = (struct ecd_manager){ .config = *config };
	TAILQ_INIT(&manager->vaults);
	TAILQ_INIT(&manager->operations);
	TAILQ_INIT(&manager->peers);
	TAILQ_INIT(&manager->logins);
	TAILQ_INIT(&manager->sessions);
	TAILQ_INIT(&manager->stashes);
	TAILQ_INIT(&manager->jobs);
	TAILQ_INIT(&manager->helper_waiting);
	TAILQ_INIT(&manager->given_up);
	return sd_event_default(&manager->event);
}

static int on_mounts_changed(sd_event_source *source, const struct inotify_event *event,
			     void *userdata)
{
	ecd_vault_scan_mounts(userdata);
	return 0;
}

/* Also what happens behind our back: a unit stopped by hand, a worker whose message was lost. */
static int watch_mounts(struct ecd_manager *manager)
{
	_cleanup_free_ char *path = ecd_path(manager->config.run_dir, "mounts", NULL, NULL);

	if (!path)
		return -ENOMEM;
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	return sd_event_add_inotify(manager->event, &manager->mounts_watch, path,
				    IN_DELETE | IN_MOVED_TO, on_mounts_changed, manager);
}

int ecd_manager_start(struct ecd_manager *manager)
{
	int r;

	r = ecd_vault_load_directories(manager);
	if (r < 0)
		return r;
	r = watch_mounts(manager);
	if (r < 0)
		return r;
	ecd_vault_scan_mounts(manager);
	r = ecd_units_listen(manager);
	if (r < 0)
		return r;
	return ecd_logind_new(manager, &manager->logind);
}

void ecd_manager_done(struct ecd_manager *manager)
{
	struct ecd_operation *operation;
	struct ecd_vault *vault;
	struct ecd_job *job;

	/* Nobody is called back any more: the callers hear it from the bus. */
	while ((operation = TAILQ_FIRST(&manager->operations)))
		ecd_operation_free(operation);
	ecd_sessions_done(manager);
	ecd_requests_done(manager);
	while ((job = TAILQ_FIRST(&manager->jobs)))
		ecd_job_free(job);
	ecd_worker_server_free(manager->worker_server);
	ecd_logind_free(manager->logind);
	while ((vault = TAILQ_FIRST(&manager->vaults)))
		ecd_vault_free(vault);
	ecd_peers_done(&manager->peers);
	sd_event_source_disable_unref(manager->mounts_watch);
	sd_bus_flush_close_unref(manager->bus);
	sd_event_unref(manager->event);
	*manager = (struct ecd_manager){ 0 };
}
