/* SPDX-License-Identifier: GPL-2.0-only */
/* What the unit tests of lib/ and helper/ share. */
#ifndef EC_TEST_SUPPORT_H
#define EC_TEST_SUPPORT_H

#include "lib/hex.h"
#include "lib/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static inline struct ec_secret secret_of(const void *bytes, size_t len)
{
	struct ec_secret secret;

	assert_int_equal(ec_secret_init_copy(&secret, bytes, len), 0);
	return secret;
}

static inline struct ec_secret secret_of_text(const char *text)
{
	return secret_of(text, strlen(text));
}

static inline struct ec_secret secret_of_hex(const char *hex)
{
	struct ec_secret secret;

	assert_int_equal(ec_secret_init(&secret, strlen(hex) / 2), 0);
	assert_int_equal(ec_hex_decode(secret.data, secret.len, hex, strlen(hex)), 0);
	return secret;
}

static inline void assert_secret_is_hex(const struct ec_secret *secret, const char *hex)
{
	_cleanup_secret_ struct ec_secret want = secret_of_hex(hex);

	assert_int_equal(secret->len, want.len);
	assert_memory_equal(secret->data, want.data, want.len);
}

#endif
