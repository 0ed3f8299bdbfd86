/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of byte formats share: bytes from hex, guard pages, a repeatable random source. */
#ifndef CHECK_H
#define CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <unistd.h>

#include "format/ecfmt.h"
#include "lib/hex.h"

#define CHECK_SEED 0x9e3779b97f4a7c15ULL

/* A copy of bytes whose end is the end of the readable memory. */
struct guarded {
	uint8_t *map;
	size_t map_len;
	uint8_t *data;
	size_t len;
};

static inline struct guarded guarded_new(const void *bytes, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t room = (len + page - 1) / page * page;
	struct guarded g = { .map_len = room + page, .len = len };

	g.map = mmap(NULL, g.map_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(g.map, MAP_FAILED);
	assert_int_equal(mprotect(g.map + room, page, PROT_NONE), 0);
	g.data = g.map + room - len;
	if (len)
		memcpy(g.data, bytes, len);
	return g;
}

static inline void guarded_free(struct guarded *g)
{
	munmap(g->map, g->map_len);
}

/* Bytes of hex into buf of max bytes; fails the test if they do not fit. */
static inline size_t from_hex(uint8_t *buf, size_t max, const char *hex)
{
	size_t len = strlen(hex) / 2;

	assert_true(len <= max);
	assert_int_equal(ec_hex_decode(buf, len, hex, strlen(hex)), 0);
	return len;
}

static inline void assert_hex(const uint8_t *have, size_t len, const char *want_hex)
{
	char *hex = malloc(2 * len + 1);

	assert_non_null(hex);
	ec_hex_encode(hex, have, len);
	assert_string_equal(hex, want_hex);
	free(hex);
}

/* xorshift64*: the same numbers in every run, and the seed is printed. */
static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

static inline void random_bytes(uint64_t *state, uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(random_next(state) >> 32);
}

/* What was tried, for a reader of the log; TAP takes it as a remark. */
#define report(...) (printf("# " __VA_ARGS__), printf("\n"), fflush(stdout))

#endif
