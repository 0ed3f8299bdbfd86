/* SPDX-License-Identifier: GPL-2.0-only */
/* The operations in this process: what must hold for every byte of what they are given. */
#include "helper/operation.h"

#include "lib/vault-document.h"
#include "tests/unit/helper/operations.h"

#include <errno.h>

#define CHEAP_MS 1

static int run(struct ec_wire_message *request, struct ec_wire_message *ret_reply,
	       struct ecd_reason *reason)
{
	int r;

	*reason = (struct ecd_reason){ "" };
	r = ecd_operation_run(request, CHEAP_MS, ret_reply, reason);
	ec_wire_message_done(request);
	return r;
}

/* A new vault with both slots; the recovery text goes to ret_recovery, terminated. */
static json_t *create(const char *passphrase, char *ret_recovery)
{
	struct ec_wire_message request = request_of(create_body(), passphrase, NULL);
	_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
	_cleanup_secret_ struct ec_secret recovery = EC_SECRET_NULL;
	struct ecd_reason reason;

	assert_int_equal(run(&request, &reply, &reason), 0);
	assert_int_equal(reply.n_fds, 2);
	assert_int_equal(ec_secret_from_memfd(&recovery, reply.fds[1]), 0);
	memcpy(ret_recovery, recovery.data, recovery.len);
	ret_recovery[recovery.len] = '\0';
	return json_incref(json_object_get(reply.body, "document"));
}

static int open_slot(json_t *document, int slot, const char *secret)
{
	struct ec_wire_message request = request_of(
		json_pack("{s:s, s:O, s:i}", "op", "open", "document", document, "slot", slot),
		secret, NULL);
	_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
	struct ecd_reason reason;
	int r;

	r = run(&request, &reply, &reason);
	assert_int_equal(r == 0, reply.n_fds == 1);
	return r;
}

/*
 * Every bit of the canonical text flipped, one at a time. The recovery slot is used because it
 * opens at once; the MAC is the same for all slots.
 */
static void test_every_bit_of_a_document(void **state)
{
	char recovery[128], *text = NULL;
	json_t *document = create("right", recovery);
	size_t len, i, n_refused = 0, n_parsed = 0, n_mac = 0;
	int bit;

	assert_int_equal(open_slot(document, 1, recovery), 0);
	assert_int_equal(ec_vault_document_format(document, true, &text, &len), 0);
	for (i = 0; i < len; i++)
		for (bit = 0; bit < 8; bit++) {
			json_t *altered = NULL;
			int r;

			text[i] ^= (char)(1 << bit);
			if (ec_vault_document_parse(text, len, &altered, NULL) == 0) {
				n_parsed++;
				r = open_slot(altered, 1, recovery);
				if (r == 0)
					fail_msg("byte %zu, bit %d: not noticed", i, bit);
				n_mac += r == -EBADMSG;
				json_decref(altered);
			}
			n_refused++;
			text[i] ^= (char)(1 << bit);
		}
	assert_int_equal(n_refused, len * 8);
	print_message("# document of %zu bytes, %zu flips refused: %zu by its form, %zu of the "
		      "others as damage\n", len, n_refused, n_refused - n_parsed, n_mac);
	assert_true(n_mac > 1000);
	free(text);
	json_decref(document);
}

static void test_every_truncation_of_a_document(void **state)
{
	char recovery[128], *text = NULL;
	json_t *document = create("right", recovery), *cut = NULL;
	size_t len, i;

	assert_int_equal(ec_vault_document_format(document, true, &text, &len), 0);
	for (i = 0; i < len - 1; i++)
		assert_int_equal(ec_vault_document_parse(text, i, &cut, NULL), -EBADMSG);
	print_message("# %zu truncations refused\n", i);
	free(text);
	json_decref(document);
}

/* Changes that keep the form, with the reason that a person gets. */
static void test_altered_documents(void **state)
{
	char recovery[128];
	json_t *document = create("right", recovery);
	static const char *const members[] = { "name", "serial", "kind", "created", "uuid" };
	size_t i;

	for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		json_t *copy = json_deep_copy(document);
		json_t *value = !strcmp(members[i], "serial") ? json_integer(2) :
				!strcmp(members[i], "kind") ? json_string("directory") :
				!strcmp(members[i], "name") ? json_string("bob") :
				!strcmp(members[i], "uuid") ?
				json_string("11234567-89ab-cdef-0123-456789abcdef") :
				json_string("2020-11-21T06:30:00Z");

		json_object_set_new(copy, members[i], value);
		assert_int_equal(open_slot(copy, 0, "right"), -EBADMSG);
		assert_int_equal(open_slot(copy, 0, "wrong"), -EKEYREJECTED);
		assert_int_equal(open_slot(copy, 1, recovery), -EBADMSG);
		json_decref(copy);
	}
	/* a slot removed, a slot doubled: the others still open, and it is noticed */
	json_array_append_new(json_object_get(document, "slots"),
			      json_deep_copy(ec_vault_document_slot(document, 0)));
	json_object_set_new(json_array_get(json_object_get(document, "slots"), 2), "id",
			    json_integer(2));
	assert_int_equal(open_slot(document, 1, recovery), -EBADMSG);
	json_array_remove(json_object_get(document, "slots"), 2);
	assert_int_equal(open_slot(document, 1, recovery), 0);
	json_array_remove(json_object_get(document, "slots"), 0);
	assert_int_equal(open_slot(document, 1, recovery), -EBADMSG);
	json_decref(document);
}

static void test_slots_of_the_future(void **state)
{
	char recovery[128];
	json_t *document = create("right", recovery);
	json_t *first = json_array_get(json_object_get(document, "slots"), 0);

	/* passed over while others are tried; no help if it is all there is */
	json_object_set_new(first, "type", json_string("tpm2"));
	assert_int_equal(open_slot(document, 0, "right"), -EOPNOTSUPP);
	assert_int_equal(open_slot(document, 1, recovery), -EBADMSG);
	assert_int_equal(open_slot(document, 9, recovery), -EINVAL);
	json_object_set_new(json_array_get(json_object_get(document, "slots"), 1), "type",
			    json_string("tpm3"));
	assert_int_equal(open_slot(document, 1, recovery), -EOPNOTSUPP);
	json_decref(document);
}

static json_t *legacy_body(const char *op, const char *wrapped_hex, const char *sig,
			   const char *fnek_sig, const char *v1_salt)
{
	json_t *body = json_pack("{s:s, s:o, s:[], s:s*}", "op", op, "wrapped",
				 base64_of_hex(wrapped_hex), "sigs", "v1_salt", v1_salt);
	json_t *sigs = json_object_get(body, "sigs");

	if (sig)
		json_array_append_new(sigs, json_string(sig));
	if (fnek_sig)
		json_array_append_new(sigs, json_string(fnek_sig));
	return body;
}

static int open_legacy(const char *wrapped_hex, const char *secret, const char *sig,
		       const char *fnek_sig)
{
	struct ec_wire_message request = request_of(
		legacy_body("open-legacy", wrapped_hex, sig, fnek_sig, NULL), secret, NULL);
	_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
	struct ecd_reason reason;
	int r;

	r = run(&request, &reply, &reason);
	assert_int_equal(r == 0, reply.n_fds == 1);
	if (r < 0 && r != -EKEYREJECTED)
		assert_true(reason.text[0]);
	return r;
}

static void test_legacy_sigs(void **state)
{
	assert_int_equal(open_legacy(ALICE_WRAPPED_HEX, ALICE_LOGIN, ALICE_SIG, ALICE_FNEK_SIG), 0);
	assert_int_equal(open_legacy(ALICE_WRAPPED_HEX, ALICE_LOGIN, ALICE_SIG, NULL), 0);
	assert_int_equal(open_legacy(ALICE_WRAPPED_HEX, ALICE_LOGIN, ALICE_SIG, ALICE_SIG), 0);
	assert_int_equal(open_legacy(ALICE_WRAPPED_HEX, ALICE_LOGIN, ALICE_FNEK_SIG, ALICE_SIG),
			 -EBADMSG);
	assert_int_equal(open_legacy(ALICE_WRAPPED_HEX, ALICE_LOGIN, ALICE_SIG,
				     "6b4572bf20e606ed"), -EBADMSG);
	assert_int_equal(open_legacy(ALICE_WRAPPED_HEX, ALICE_LOGIN, NULL, NULL), -EBADMSG);
	assert_int_equal(open_legacy(ALICE_WRAPPED_HEX, ALICE_LOGIN, "8902", NULL), -EBADMSG);
	assert_int_equal(open_legacy(ALICE_WRAPPED_HEX, "alice-logim", ALICE_SIG, NULL),
			 -EKEYREJECTED);
	assert_int_equal(open_legacy(ALICE_WRAPPED_HEX, "", ALICE_SIG, NULL), -EKEYREJECTED);
	assert_int_equal(open_legacy("3a03" FOO_V2_HEX, "bar", FOO_SIG, NULL), -EOPNOTSUPP);
	assert_int_equal(open_legacy("", "bar", FOO_SIG, NULL), -EBADMSG);
}

/* Made with another content salt, as salt= in ~/.ecryptfsrc did; a wrong salt is no harm. */
static void test_legacy_salt_of_the_rc_file(void **state)
{
	static const struct {
		const char *salt;
		const char *sig;
		int want;
	} cases[] = {
		{ "0011223344556677", FOO_SIG, 0 },
		/* the string-to-key signature of "foo" with this salt */
		{ "3939383837373636", FOO_FNEK_SIG, 0 },
		{ "ffffffffffffffff", FOO_SIG, 0 },
		{ "ffffffffffffffff", FOO_FNEK_SIG, -EBADMSG },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ec_wire_message request = request_of(
			legacy_body("open-legacy", FOO_V2_HEX, cases[i].sig, NULL, cases[i].salt),
			"bar", NULL);
		_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
		struct ecd_reason reason;

		assert_int_equal(run(&request, &reply, &reason), cases[i].want);
	}
}

static void test_every_byte_of_a_wrapped_passphrase(void **state)
{
	char hex[] = ALICE_WRAPPED_HEX;
	size_t i, n[3] = { 0 };
	int r;

	for (i = 0; i < strlen(hex); i += 2) {
		char cut[sizeof(hex)];

		/* one bit of each byte: the signature notices what the padding cannot */
		snprintf(cut, sizeof(cut), "%s", hex);
		cut[i] = cut[i] == '3' ? '1' : '3';
		r = open_legacy(cut, ALICE_LOGIN, ALICE_SIG, ALICE_FNEK_SIG);
		assert_true(r == -EKEYREJECTED || r == -EBADMSG || r == -EOPNOTSUPP);
		n[0]++;

		/* whole blocks of ciphertext still have the form */
		snprintf(cut, i + 1, "%s", hex);
		r = open_legacy(cut, ALICE_LOGIN, ALICE_SIG, ALICE_FNEK_SIG);
		assert_int_equal(r, -EBADMSG);
		n[1]++;
	}
	print_message("# wrapped-passphrase of %zu bytes: %zu bytes altered, %zu truncations, none "
		      "opens\n", strlen(hex) / 2, n[0], n[1]);
}

static void test_hostile_requests(void **state)
{
	static const char *const bodies[] = {
		"{}", "{\"op\":7}", "{\"op\":null}", "{\"op\":\"\"}", "{\"op\":\"export\"}",
		"{\"op\":\"OPEN\"}", "{\"op\":\"open\"}", "{\"op\":\"open\",\"document\":7}",
		"{\"op\":\"open\",\"document\":{}}", "{\"op\":\"create\"}",
		"{\"op\":\"create\",\"slots\":[]}", "{\"op\":\"create\",\"slots\":7}",
		"{\"op\":\"open-legacy\"}", "{\"op\":\"open-legacy\",\"wrapped\":7}",
		"{\"op\":\"open-legacy\",\"wrapped\":\"*\"}",
		"{\"op\":\"open-legacy\",\"wrapped\":\"\",\"sigs\":{}}",
	};
	size_t i;

	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct ec_wire_message request = request_of(json_loads(bodies[i], 0, NULL), "x",
							    NULL);
		_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
		struct ecd_reason reason;
		int r;

		r = run(&request, &reply, &reason);
		if (r != -EPROTO && r != -EBADMSG && r != -EINVAL)
			fail_msg("%s: %d", bodies[i], r);
		assert_null(reply.body);
	}
}

/* Each row is what create is asked for beside the usual. */
static void test_create_options(void **state)
{
	static const struct {
		const char *options;
		const char *member;
		const char *value;
		int want;
	} cases[] = {
		{ "{}", NULL, NULL, 0 },
		{ "{\"names\":false}", NULL, NULL, 0 },
		{ "{\"cipher\":\"twofish\",\"key_bytes\":16}", NULL, NULL, 0 },
		{ "{\"key_bytes\":16,\"name_key_bytes\":24,\"xattr\":true}", NULL, NULL, 0 },
		{ "{\"cipher\":\"des3_ede\"}", NULL, NULL, -EINVAL },
		{ "{\"cipher\":\"rot13\"}", NULL, NULL, -EINVAL },
		{ "{\"cipher\":\"cipher_null\"}", NULL, NULL, -EINVAL },
		{ "{\"key_bytes\":17}", NULL, NULL, -EINVAL },
		{ "{\"key_bytes\":0}", NULL, NULL, -EINVAL },
		{ "{\"key_bytes\":-32}", NULL, NULL, -EINVAL },
		{ "{\"name_cipher\":\"rot13\"}", NULL, NULL, -EINVAL },
		{ "{\"name_key_bytes\":64}", NULL, NULL, -EINVAL },
		{ "{\"format\":4}", NULL, NULL, -EINVAL },
		{ "{\"passthrough\":true}", NULL, NULL, -EINVAL },
		{ "{\"names\":1}", NULL, NULL, -EINVAL },
		{ "{}", "uuid", "\"../../etc\"", -EINVAL },
		{ "{}", "name", "\"\\u001b[2J\"", -EINVAL },
		{ "{}", "name", "\"\"", -EINVAL },
		{ "{}", "kind", "\"disk\"", -EINVAL },
		{ "{}", "label", "\"\\n\"", -EINVAL },
		{ "{}", "slots", "[]", -EINVAL },
		{ "{}", "slots", "[\"passphrase\",\"passphrase\"]", -EINVAL },
		{ "{}", "slots", "[\"legacy\"]", -EOPNOTSUPP },
		{ "{}", "slots", "[\"tpm2\"]", -EOPNOTSUPP },
		{ "{}", "slots", "[7]", -EOPNOTSUPP },
		{ "{}", "slots", "[\"recovery\"]", 0 },
		{ "{}", "slots", "[\"passphrase\"]", 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
		struct ec_wire_message request;
		json_t *body = create_body();
		struct ecd_reason reason;
		int r;

		/* without the slow derivation, where it does not matter */
		if (!cases[i].member || strcmp(cases[i].member, "label") != 0)
			json_object_set_new(body, "slots", json_pack("[s]", "recovery"));
		json_object_set_new(body, "options", json_loads(cases[i].options, 0, NULL));
		if (cases[i].member)
			json_object_set_new(body, cases[i].member,
					    json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
		request = request_of(body, "secret", NULL);
		r = run(&request, &reply, &reason);
		if (r != cases[i].want)
			fail_msg("%s %s %s: %d (%s)", cases[i].options, cases[i].member ?: "",
				 cases[i].value ?: "", r, reason.text);
		assert_int_equal(r < 0, reason.text[0] != '\0');
	}
	print_message("# %zu wishes for a new vault\n", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_bit_of_a_document),
		cmocka_unit_test(test_every_truncation_of_a_document),
		cmocka_unit_test(test_altered_documents),
		cmocka_unit_test(test_slots_of_the_future),
		cmocka_unit_test(test_legacy_sigs),
		cmocka_unit_test(test_legacy_salt_of_the_rc_file),
		cmocka_unit_test(test_every_byte_of_a_wrapped_passphrase),
		cmocka_unit_test(test_hostile_requests),
		cmocka_unit_test(test_create_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
