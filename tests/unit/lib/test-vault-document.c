/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/vault-document.h"

#include "tests/unit/lib/support.h"

#include <errno.h>
#include <stdlib.h>

/* Canonical, so that a round trip gives the same bytes. */
static const char example[] =
	"{\"created\":\"2026-11-21T06:30:00Z\",\"document_version\":1,"
	"\"keys\":{\"fnek_sig\":\"0011223344556677\",\"sig\":\"8899aabbccddeeff\"},"
	"\"kind\":\"home\",\"mac\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\","
	"\"name\":\"alice\","
	"\"options\":{\"cipher\":\"aes\",\"format\":3,\"key_bytes\":32,\"name_cipher\":\"aes\","
	"\"name_key_bytes\":32,\"names\":true,\"xattr\":false},\"serial\":7,"
	"\"slots\":[{\"commitment\":\"AAAA\",\"created\":\"2026-11-21T06:30:00Z\",\"id\":0,"
	"\"kdf\":{\"lanes\":1,\"memory_kib\":65536,\"name\":\"argon2id\",\"passes\":3,"
	"\"salt\":\"AAECAwQFBgcICQoLDA0ODw==\"},\"label\":\"login password\","
	"\"type\":\"passphrase\",\"wrapped\":{\"ciphertext\":\"AAAA\",\"nonce\":\"AAAA\","
	"\"tag\":\"AAAA\"}}],"
	"\"uuid\":\"01234567-89ab-cdef-0123-456789abcdef\"}\n";

static json_t *parse_example(void)
{
	json_t *document = NULL;

	assert_int_equal(ec_vault_document_parse(example, strlen(example), &document, NULL), 0);
	return document;
}

static void test_round_trip(void **state)
{
	json_t *document = parse_example(), *again = NULL;
	struct ec_vault_options options;
	size_t len = 0, short_len = 0;
	char *text = NULL, *short_text = NULL;

	assert_int_equal(ec_vault_document_format(document, true, &text, &len), 0);
	assert_string_equal(text, example);
	assert_int_equal(len, strlen(example));
	assert_int_equal(ec_vault_document_format(document, false, &short_text, &short_len), 0);
	assert_null(strstr(short_text, "\"mac\""));
	assert_int_equal(len - short_len, strlen("\"mac\":\"\",") + 44);
	assert_non_null(json_object_get(document, "mac"));	/* the document keeps it */
	assert_int_equal(ec_vault_document_parse(text, len, &again, NULL), 0);
	assert_true(json_equal(document, again));

	assert_string_equal(ec_vault_document_uuid(document),
			    "01234567-89ab-cdef-0123-456789abcdef");
	assert_int_equal(ec_vault_document_serial(document), 7);
	assert_ptr_equal(ec_vault_document_slot(document, 0),
			 json_array_get(json_object_get(document, "slots"), 0));
	assert_null(ec_vault_document_slot(document, 1));
	assert_int_equal(ec_vault_document_options(document, &options), 0);
	assert_int_equal(options.format, 3);
	assert_string_equal(options.cipher, "aes");
	assert_int_equal(options.key_bytes, 32);
	assert_true(options.names);
	assert_string_equal(options.name_cipher, "aes");
	assert_int_equal(options.name_key_bytes, 32);
	assert_false(options.xattr);

	free(text);
	free(short_text);
	json_decref(document);
	json_decref(again);
}

static void test_canonical_whatever_came_in(void **state)
{
	json_t *document = parse_example(), *again = NULL;
	char *pretty = json_dumps(document, JSON_INDENT(4) | JSON_PRESERVE_ORDER), *text = NULL;

	assert_int_equal(ec_vault_document_parse(pretty, strlen(pretty), &again, NULL), 0);
	assert_int_equal(ec_vault_document_format(again, true, &text, NULL), 0);
	assert_string_equal(text, example);
	free(pretty);
	free(text);
	json_decref(document);
	json_decref(again);
}

/* Whatever is refused is refused with a reason, and never with a document. */
static int parse(const char *text, size_t len)
{
	json_t *document = NULL;
	const char *reason = NULL;
	int r;

	r = ec_vault_document_parse(text, len, &document, &reason);
	assert_true((r == 0) == (document != NULL));
	assert_true((r == 0) == (reason == NULL));
	json_decref(document);
	return r;
}

static void test_truncation(void **state)
{
	size_t len;

	/* without its last byte, the newline, it is still whole */
	for (len = 0; len < strlen(example) - 1; len++)
		if (parse(example, len) != -EBADMSG)
			fail_msg("accepted when cut at byte %zu", len);
	assert_int_equal(parse(example, strlen(example) - 1), 0);
	print_message("# %zu truncations refused\n", len);
}

static void test_trailing_bytes(void **state)
{
	char text[sizeof(example) + 2];

	snprintf(text, sizeof(text), "%s%s", example, "{}");
	assert_int_equal(parse(text, strlen(text)), -EBADMSG);
	memcpy(text + strlen(example), "\0", 2);
	assert_int_equal(parse(text, strlen(example) + 1), -EBADMSG);
}

/*
 * Each row replaces one piece of the example, or puts one in, and says what that must come to.
 */
static const struct {
	const char *find;
	const char *put;
	int want;
} edits[] = {
	/* the document */
	{ "\"document_version\":1", "\"document_version\":2", -EOPNOTSUPP },
	{ "\"document_version\":1", "\"document_version\":999999999999", -EOPNOTSUPP },
	{ "\"document_version\":1", "\"document_version\":0", -EBADMSG },
	{ "\"document_version\":1", "\"document_version\":-1", -EBADMSG },
	{ "\"document_version\":1", "\"document_version\":1.0", -EBADMSG },
	{ "\"document_version\":1", "\"document_version\":\"1\"", -EBADMSG },
	{ "\"document_version\":1,", "", -EBADMSG },
	{ "\"serial\":7", "\"serial\":0", 0 },
	{ "\"serial\":7", "\"serial\":9007199254740992", 0 },
	{ "\"serial\":7", "\"serial\":9007199254740993", -EBADMSG },
	{ "\"serial\":7", "\"serial\":-1", -EBADMSG },
	{ "\"serial\":7", "\"serial\":7.5", -EBADMSG },
	{ "\"serial\":7", "\"serial\":true", -EBADMSG },
	{ "\"serial\":7", "\"serial\":7,\"serial\":7", -EBADMSG },
	{ "\"serial\":7", "\"serial\":7,\"policy\":{}", -EBADMSG },
	{ "\"kind\":\"home\"", "\"kind\":\"directory\"", 0 },
	{ "\"kind\":\"home\"", "\"kind\":\"Home\"", -EBADMSG },
	{ "\"kind\":\"home\"", "\"kind\":null", -EBADMSG },
	{ "\"alice\"", "\"al\\nice\"", -EBADMSG },
	{ "\"alice\"", "\"al\\u001b[2Jice\"", -EBADMSG },
	{ "\"alice\"", "\"al\\u009bice\"", -EBADMSG },
	{ "\"alice\"", "\"al\\u007fice\"", -EBADMSG },
	{ "\"alice\"", "\"\"", -EBADMSG },
	{ "\"alice\"", "\"\xc3\xa4lice \xe6\xbc\xa2\"", 0 },
	{ "\"alice\"", "\"\\u0000\"", -EBADMSG },
	{ "\"alice\"", "7", -EBADMSG },
	{ "\"mac\":\"AAEC", "\"mac\":\"AAE", -EBADMSG },
	{ "Hh8=\"", "Hh9=\"", -EBADMSG },
	{ "Hh8=\"", "Hh8AAA==\"", -EBADMSG },
	{ "\"mac\":\"AAEC", "\"mac\":\"\\n\\nEC", -EBADMSG },
	{ "01234567-89ab", "01234567-89aB", -EBADMSG },
	{ "01234567-89ab", "0123456789ab-", -EBADMSG },
	{ "01234567-89ab", "../34567-89ab", -EBADMSG },
	{ "0123-456789abcdef\"", "0123-456789abcdef0\"", -EBADMSG },
	{ "{\"created\":\"2026-11-21T06:30:00Z\"", "{\"created\":\"2026-11-21 06:30:00Z\"",
	  -EBADMSG },
	{ "{\"created\":\"2026-11-21T06:30:00Z\"", "{\"created\":20261121", -EBADMSG },
	/* options and keys */
	{ "\"format\":3", "\"format\":4", -EBADMSG },
	{ "\"format\":3", "\"format\":2", -EBADMSG },
	{ "\"cipher\":\"aes\"", "\"cipher\":\"twofish\"", 0 },
	{ "\"cipher\":\"aes\"", "\"cipher\":\"\"", -EBADMSG },
	{ "\"cipher\":\"aes\"", "\"cipher\":\"aes,ecryptfs_passthrough\"", -EBADMSG },
	{ "\"cipher\":\"aes\"", "\"cipher\":\"abcdefghijklmnopqrstuvwxyzabcdef\"", -EBADMSG },
	{ "\"key_bytes\":32", "\"key_bytes\":0", -EBADMSG },
	{ "\"key_bytes\":32", "\"key_bytes\":65", -EBADMSG },
	{ "\"key_bytes\":32", "\"key_bytes\":4294967328", -EBADMSG },
	{ "\"names\":true", "\"names\":false", -EBADMSG },
	{ "\"names\":true", "\"names\":1", -EBADMSG },
	{ "\"xattr\":false", "\"xattr\":true", 0 },
	{ "\"xattr\":false", "\"xattr\":false,\"passthrough\":true", -EBADMSG },
	{ ",\"xattr\":false", "", -EBADMSG },
	{ "\"0011223344556677\"", "null", -EBADMSG },
	{ "\"0011223344556677\"", "\"001122334455667\"", -EBADMSG },
	{ "\"8899aabbccddeeff\"", "\"8899AABBCCDDEEFF\"", -EBADMSG },
	{ "\"8899aabbccddeeff\"", "null", -EBADMSG },
	{ "\"8899aabbccddeeff\"", "\"8899aabbccddee,x\"", -EBADMSG },
	{ "\"8899aabbccddeeff\"", "\"8899aabbccddeeff\",\"more\":1", -EBADMSG },
	/* slots */
	{ "\"id\":0", "\"id\":-1", -EBADMSG },
	{ "\"id\":0", "\"id\":2147483647", 0 },
	{ "\"id\":0", "\"id\":2147483648", -EBADMSG },
	{ "\"id\":0", "\"id\":\"0\"", -EBADMSG },
	{ "\"id\":0,", "", -EBADMSG },
	{ "\"passphrase\"", "\"from-the-future\"", 0 },
	{ "\"passphrase\"", "\"Passphrase\"", -EBADMSG },
	{ "\"passphrase\"", "\"\"", -EBADMSG },
	{ "\"login password\"", "\"\"", 0 },
	{ "\"login password\"", "\"\\u0007\"", -EBADMSG },
	{ "\"memory_kib\":65536", "\"memory_kib\":65536.5", -EBADMSG },
	{ "\"memory_kib\":65536", "\"memory_kib\":9007199254740993", -EBADMSG },
	{ "\"memory_kib\":65536", "\"memory_kib\":[[[[[[[0]]]]]]]", -EBADMSG },
	{ "\"memory_kib\":65536", "\"memory_kib\":65536,\"memory_kib\":8", -EBADMSG },
	{ "\"slots\":[{", "\"slots\":[{},{", -EBADMSG },
	{ "\"slots\":[{", "\"slots\":[7,{", -EBADMSG },
	{ "\"slots\":[{", "\"slots\":{\"a\":[{", -EBADMSG },
};

static char *edit(const char *find, const char *put)
{
	const char *at = strstr(example, find);
	char *text = NULL;

	assert_non_null(at);
	assert_true(asprintf(&text, "%.*s%s%s", (int)(at - example), example, put,
			     at + strlen(find)) > 0);
	return text;
}

static void test_edits(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		char *text = edit(edits[i].find, edits[i].put);
		int r = parse(text, strlen(text));

		if (r != edits[i].want)
			fail_msg("%s: %d, not %d", edits[i].put, r, edits[i].want);
		free(text);
	}
	print_message("# %zu edited documents\n", i);
}

/* Without any of its members it is none. */
static void test_missing_members(void **state)
{
	json_t *document = parse_example();
	const json_t *value;
	const char *key;
	size_t n = 0;

	json_object_foreach(document, key, value) {
		json_t *copy = json_deep_copy(document);
		const char *reason = NULL;

		assert_int_equal(json_object_del(copy, key), 0);
		if (ec_vault_document_check(copy, &reason) != -EBADMSG)
			fail_msg("accepted without %s", key);
		assert_non_null(reason);
		json_decref(copy);
		n++;
	}
	assert_int_equal(n, 10);
	json_decref(document);
}

static void test_slots(void **state)
{
	json_t *document = parse_example();
	json_t *slots = json_object_get(document, "slots"), *first = json_array_get(slots, 0);
	size_t i;

	for (i = 1; i < EC_VAULT_SLOTS_MAX; i++) {
		json_t *slot = json_deep_copy(first);

		json_object_set_new(slot, "id", json_integer((json_int_t)i));
		json_array_append_new(slots, slot);
		assert_int_equal(ec_vault_document_check(document, NULL), 0);
	}
	assert_int_equal(json_array_size(slots), 32);
	json_object_set_new(json_array_get(slots, 31), "id", json_integer(5));
	assert_int_equal(ec_vault_document_check(document, NULL), -EBADMSG);
	json_object_set_new(json_array_get(slots, 31), "id", json_integer(31));
	assert_int_equal(ec_vault_document_check(document, NULL), 0);
	json_array_append_new(slots, json_deep_copy(first));
	json_object_set_new(json_array_get(slots, 32), "id", json_integer(32));
	assert_int_equal(ec_vault_document_check(document, NULL), -EBADMSG);	/* 33 */
	json_array_clear(slots);
	assert_int_equal(ec_vault_document_check(document, NULL), -EBADMSG);
	json_decref(document);
}

static void test_no_names(void **state)
{
	json_t *document = parse_example();
	struct ec_vault_options options;

	json_object_set_new(json_object_get(document, "options"), "names", json_false());
	json_object_set_new(json_object_get(document, "keys"), "fnek_sig", json_null());
	assert_int_equal(ec_vault_document_check(document, NULL), 0);
	assert_int_equal(ec_vault_document_options(document, &options), 0);
	assert_false(options.names);
	json_object_set_new(json_object_get(document, "options"), "cipher", json_integer(1));
	assert_int_equal(ec_vault_document_options(document, &options), -EBADMSG);
	json_decref(document);
}

static void test_sizes(void **state)
{
	char *text = calloc(1, EC_VAULT_DOCUMENT_LEN_MAX + 2), *out = NULL;
	json_t *document = parse_example();
	json_t *slot = ec_vault_document_slot(document, 0);

	/* white space to the limit is read; one byte more is not looked at */
	memset(text, ' ', EC_VAULT_DOCUMENT_LEN_MAX + 1);
	memcpy(text, example, strlen(example));
	assert_int_equal(parse(text, EC_VAULT_DOCUMENT_LEN_MAX), 0);
	assert_int_equal(parse(text, EC_VAULT_DOCUMENT_LEN_MAX + 1), -EMSGSIZE);

	memset(text, 'A', EC_VAULT_DOCUMENT_LEN_MAX);
	text[EC_VAULT_DOCUMENT_LEN_MAX - 500] = '\0';
	json_object_set_new(slot, "blob", json_string(text));
	assert_int_equal(ec_vault_document_format(document, true, &out, NULL), -EMSGSIZE);
	assert_null(out);
	free(text);
	json_decref(document);
}

static void test_not_documents(void **state)
{
	static const char *const texts[] = { "", "[]", "null", "7", "\"x\"", "{}", "\xef\xbb\xbf{}" };
	char deep[30000];
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(parse(texts[i], strlen(texts[i])), -EBADMSG);
	memset(deep, '[', sizeof(deep));
	assert_int_equal(parse(deep, sizeof(deep)), -EBADMSG);
	assert_int_equal(ec_vault_document_check(NULL, NULL), -EBADMSG);
	assert_null(ec_vault_document_uuid(NULL));
	assert_null(ec_vault_document_slot(NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_canonical_whatever_came_in),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_trailing_bytes),
		cmocka_unit_test(test_edits),
		cmocka_unit_test(test_missing_members),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_no_names),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_not_documents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
