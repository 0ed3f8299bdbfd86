/* SPDX-License-Identifier: GPL-2.0-only */
/* Jobs of systemd: start or stop a unit, and hear how it went. */
#ifndef ECD_UNITS_H
#define ECD_UNITS_H

#include <stdbool.h>

struct ecd_job;
struct ecd_manager;

/* r: 0 if the job is done, -ECANCELED, -ETIMEDOUT, -ENOENT (no such unit), -EIO and the like;
 * text: what systemd said, or NULL. The job is freed and *slot cleared before. */
typedef void (*ecd_job_fn)(void *userdata, int r, const char *text);

/* method: "StartUnit", "StopUnit", "RestartUnit", "ReloadUnit". */
int ecd_job_start(struct ecd_manager *manager, struct ecd_job **slot, const char *method,
		  const char *unit, ecd_job_fn fn, void *userdata);
/* Forgets it; systemd goes on. Copes with NULL. */
void ecd_job_free(struct ecd_job *job);
/* Nobody holds it any more: its end is awaited and then forgotten. Copes with NULL. */
void ecd_job_disown(struct ecd_job *job);
/*
 * Asks systemd to drop it: fn hears -ECANCELED, or how it ended if that came first. A job that runs
 * is not undone by that: what it has started goes on. Copes with NULL.
 */
void ecd_job_cancel(struct ecd_job *job);
/* The match for the ends of jobs. */
int ecd_units_listen(struct ecd_manager *manager);

/* goes_down: shutdown, reboot, rescue or emergency mode, or systemd does not say. */
typedef void (*ecd_goes_down_fn)(void *userdata, bool goes_down);
struct ecd_state_query;
/* Never calls fn before it returns; *slot is cleared before fn is called. */
int ecd_units_ask_goes_down(struct ecd_manager *manager, struct ecd_state_query **slot,
			    ecd_goes_down_fn fn, void *userdata);
/* Copes with NULL. */
void ecd_state_query_free(struct ecd_state_query *query);

#endif
