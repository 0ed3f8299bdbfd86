/* SPDX-License-Identifier: GPL-2.0-only */
/* The shared vectors, unpacked for the time of a test. */
#ifndef VECTORS_H
#define VECTORS_H

#include "../format/check.h"

#include <jansson.h>

#include "lib/cleanup.h"
#include "offline/keys.h"

/* The sets that have a manifest.json. */
extern const char *const vector_sets[];
#define N_VECTOR_SETS 6

/*
 * Group set-up and tear-down of cmocka. Where the vectors cannot be unpacked (no place with user
 * extended attributes, no tar or xz), every test that asks for vectors_dir() is skipped, and the
 * reason is printed.
 */
int vectors_setup(void **state);
int vectors_teardown(void **state);
/* Directory descriptor of the unpacked vectors; skips the test if there is none. */
int vectors_dir(void);
/* A file below it, or fails the test. ret is NUL-terminated and new. */
char *vectors_read(const char *path, size_t *ret_len);
json_t *vectors_json(const char *path);
struct ec_secret vectors_secret(const char *text);
/* The keys that case.json of a set names; checks the signatures that it names, too. */
void vectors_keys(const json_t *set, struct ec_offline_keys *keys);

#endif
