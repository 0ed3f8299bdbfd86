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
/* The match for the ends of jobs. */
int ecd_units_listen(struct ecd_manager *manager);

#endif
