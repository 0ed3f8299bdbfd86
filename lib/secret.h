/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only home of key bytes and passphrases in userspace: page-aligned, locked in memory,
 * left out of core dumps and of forked children, wiped on release.
 */
#ifndef EC_SECRET_H
#define EC_SECRET_H

#include "lib/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EC_SECRET_LEN_MAX 65536u	/* bytes; a longer secret is refused with -EMSGSIZE */

/* What keeps the memfds in memory that were made of a secret: lib/secret.c. */
struct ec_secret_copy;

struct ec_secret {
	uint8_t *data;
	size_t len;		/* bytes of secret */
	size_t mapped_len;	/* bytes of mapping, whole pages */
	struct ec_secret_copy **copies;
};

#define EC_SECRET_NULL ((struct ec_secret){ 0 })

/* Room for len bytes, zeroed. 0, -EMSGSIZE, -ENOMEM (also where locking is refused). */
int ec_secret_init(struct ec_secret *secret, size_t len);
int ec_secret_init_copy(struct ec_secret *secret, const void *bytes, size_t len);
/* Wipes and unmaps; copes with NULL and with EC_SECRET_NULL. */
void ec_secret_done(struct ec_secret *secret);
/* Empties from; what to held before is wiped. */
void ec_secret_move(struct ec_secret *to, struct ec_secret *from);
/* Shortens to len bytes, wiping the rest. */
void ec_secret_truncate(struct ec_secret *secret, size_t len);
/* Constant time for equal lengths. */
bool ec_secret_equal(const struct ec_secret *a, const struct ec_secret *b);

/* A new sealed memfd (write, grow, shrink, seal; close-on-exec) holding the bytes. It cannot be
 * swapped as long as secret lives, whoever else has it. */
int ec_secret_to_memfd(const struct ec_secret *secret, int *ret_fd);
/* Reads a sealed memfd. Anything else (file, pipe, unsealed, too large) is -EBADF. Does not
 * close fd. */
int ec_secret_from_memfd(struct ec_secret *secret, int fd);
/* Reads to end of file or to EC_SECRET_LEN_MAX; a final newline is dropped if strip_newline. */
int ec_secret_from_fd(struct ec_secret *secret, int fd, bool strip_newline);

/* No core dumps, not dumpable, all future mappings locked if the limit allows. For main(). */
void ec_secret_harden_process(void);

#define _cleanup_secret_ _cleanup_(ec_secret_done)

#endif
