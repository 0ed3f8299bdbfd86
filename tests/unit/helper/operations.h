/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Real data for the tests of operations. The files are those of the shared vectors: the home
 * "alice" and the single wrapped-passphrase, both written by ecryptfs-utils 111.
 */
#ifndef ECD_TEST_OPERATIONS_H
#define ECD_TEST_OPERATIONS_H

#include "helper/json-bytes.h"
#include "kmod/uapi/ecfs.h"
#include "lib/wire.h"
#include "tests/unit/lib/support.h"

#define ALICE_WRAPPED_HEX \
	"3a02b27654c3458c49213462393638653131353063646161613644e67aea969e8474ada7fc8fcdd445f911f8574ad7c49da9506ae358325b40d9"
#define ALICE_LOGIN "alice-login"
#define ALICE_MOUNT "00112233445566778899aabbccddeeff"
#define ALICE_SIG "8902cd9f6ab967b4"
#define ALICE_FNEK_SIG "6b4572bf20e606ec"

#define SINGLE_WRAPPED_HEX \
	"3a02c5a6e4c40038e1ec3435373865323462616437653836326348a31c136f851af23f009cdfd13adc74394d98cc25dcf3fc3ad0b5c6c15a659de78a9f1d5ed3b5ebb0483bcf10299294"
#define SINGLE_LOGIN "login secret"
#define SINGLE_MOUNT "mount-passphrase-0123456789abcdef"

/* Passphrase "foo" wrapped by "bar". */
#define FOO_V2_HEX "3a020102030405060708306633666435316135386566323064350ceec6c611d890d48a7b2df8fd572a37"
#define FOO_V1_HEX "37326330303738633065616137656563b888e4a76d0433c9dc87c889efea24be"
#define FOO_SIG "253ca7e88811d184"
#define FOO_FNEK_SIG "6967d0c28476ffa1"

#define UUID "01234567-89ab-cdef-0123-456789abcdef"

/* A request with up to two secrets; NULL for none. */
static inline struct ec_wire_message request_of(json_t *body, const char *first,
						const char *second)
{
	struct ec_wire_message message = EC_WIRE_MESSAGE_NULL;
	const char *texts[] = { first, second };
	size_t i;

	assert_non_null(body);
	message.body = body;
	for (i = 0; i < 2 && texts[i]; i++) {
		_cleanup_secret_ struct ec_secret secret = secret_of_text(texts[i]);

		assert_int_equal(ec_secret_to_memfd(&secret, &message.fds[i]), 0);
		message.n_fds++;
	}
	return message;
}

static inline json_t *base64_of_hex(const char *hex)
{
	_cleanup_secret_ struct ec_secret bytes = secret_of_hex(hex);
	json_t *object = json_object(), *text;

	assert_int_equal(ecd_json_set_bytes(object, "x", bytes.data, bytes.len), 0);
	text = json_incref(json_object_get(object, "x"));
	json_decref(object);
	return text;
}

static inline json_t *create_body(void)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:{}, s:[s, s], s:s}", "op", "create",
			 "uuid", UUID, "name", "alice", "kind", "home", "options",
			 "slots", "passphrase", "recovery", "label", "login password");
}

#endif
