/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /run/ecryptfsd/mounts/ID.json: what is mounted, for whoever comes later (the stop of the same
 * unit, a restarted broker). No secret.
 *
 *   { "id", "source", "target", "engine", "owner": UID, "options": {...},
 *     "mount_id": N, "device": "MAJOR:MINOR" }
 */
#ifndef EC_MOUNT_STATE_H
#define EC_MOUNT_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ec_mount_options;

struct ec_mount_state {
	char *id;		/* owned, as all strings */
	char *source;
	char *target;
	char *engine;
	uid_t owner;
	uint64_t mount_id;
	unsigned int dev_major;
	unsigned int dev_minor;
};

#define EC_MOUNT_STATE_NULL ((struct ec_mount_state){ 0 })
#define EC_MOUNT_STATE_DIRECTORY "/run/ecryptfsd/mounts"

/*
 * Writes what the file of state->id shall become beside it (".ID.json.new"), making directory
 * (0755) if it is not there, and puts it in its place: at once (atomically), or in two steps. Who
 * is killed between them leaves what was prepared, for the next one to look at.
 */
int ec_mount_state_write(const char *directory, const struct ec_mount_state *state,
			 const struct ec_mount_options *options);
int ec_mount_state_prepare(const char *directory, const struct ec_mount_state *state,
			   const struct ec_mount_options *options);
int ec_mount_state_commit(const char *directory, const char *id);
/* 0, -ENOENT, -EBADMSG. */
int ec_mount_state_read(const char *directory, const char *id, struct ec_mount_state *ret);
int ec_mount_state_read_prepared(const char *directory, const char *id,
				 struct ec_mount_state *ret);
/*
 * The state of another mount than id's with that source, of those that stands() says stand. 0,
 * -ENOENT; what is damaged or not readable is left out.
 */
int ec_mount_state_find_source(const char *directory, const char *source, const char *id,
			       bool (*stands)(const struct ec_mount_state *state),
			       struct ec_mount_state *ret);
/* 0 also if it is not there. */
int ec_mount_state_remove(const char *directory, const char *id);
int ec_mount_state_remove_prepared(const char *directory, const char *id);
void ec_mount_state_done(struct ec_mount_state *state);

#define _cleanup_mount_state_ __attribute__((cleanup(ec_mount_state_done)))

#endif
