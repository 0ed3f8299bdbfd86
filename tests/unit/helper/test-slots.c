/* SPDX-License-Identifier: GPL-2.0-only */
/* The slot types: what they make, they open; what was tampered with, they do not. */
#include "helper/argon2id.h"
#include "helper/slot.h"
#include "helper/wrap.h"
#include "lib/vault-document.h"
#include "tests/unit/lib/support.h"

#include <argon2.h>
#include <errno.h>
#include <jansson.h>
#include <sys/resource.h>
#include <time.h>

#define UUID "01234567-89ab-cdef-0123-456789abcdef"
#define CHEAP_MS 1	/* leads to the floor: 64 MiB, 3 passes */

static struct ec_secret vault_key(void)
{
	struct ec_secret key;
	size_t i;

	assert_int_equal(ec_secret_init(&key, EC_VAULT_KEY_LEN), 0);
	for (i = 0; i < key.len; i++)
		key.data[i] = (uint8_t)(i + 1);
	return key;
}

static json_t *new_slot(const struct ecd_slot_type *type)
{
	return json_pack("{s:i, s:s, s:s, s:s}", "id", 3, "type", type->name, "label", "test",
			 "created", "2026-11-21T06:30:00Z");
}

static json_t *make(const struct ecd_slot_type *type, const struct ec_secret *secret)
{
	_cleanup_secret_ struct ec_secret key = vault_key();
	struct ecd_reason reason = { "" };
	json_t *slot = new_slot(type);

	assert_int_equal(type->make(UUID, slot, secret, &key, CHEAP_MS, &reason), 0);
	return slot;
}

static int open_slot(const char *uuid, const struct ecd_slot_type *type, const json_t *slot,
		     const struct ec_secret *secret)
{
	_cleanup_secret_ struct ec_secret key = EC_SECRET_NULL, want = vault_key();
	struct ecd_reason reason = { "" };
	int r;

	r = type->open(uuid, slot, secret, &key, &reason);
	assert_int_equal(r == 0, key.data != NULL);
	if (r == 0)
		assert_true(ec_secret_equal(&key, &want));
	else if (r != -EKEYREJECTED)
		assert_true(reason.text[0]);
	return r;
}

static uint64_t now_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void test_passphrase(void **state)
{
	_cleanup_secret_ struct ec_secret right = secret_of("pass\0phrase \n", 13);
	_cleanup_secret_ struct ec_secret cut = secret_of("pass", 4);
	_cleanup_secret_ struct ec_secret trimmed = secret_of("pass\0phrase", 11);
	_cleanup_secret_ struct ec_secret empty = secret_of("", 0);
	json_t *slot = make(&ecd_slot_passphrase, &right);

	assert_int_equal(json_object_size(slot), 7);
	assert_int_equal(open_slot(UUID, &ecd_slot_passphrase, slot, &right), 0);
	assert_int_equal(open_slot(UUID, &ecd_slot_passphrase, slot, &cut), -EKEYREJECTED);
	assert_int_equal(open_slot(UUID, &ecd_slot_passphrase, slot, &trimmed), -EKEYREJECTED);
	assert_int_equal(open_slot(UUID, &ecd_slot_passphrase, slot, &empty), -EKEYREJECTED);
	json_decref(slot);
}

static void test_longest_passphrase(void **state)
{
	_cleanup_secret_ struct ec_secret secret = EC_SECRET_NULL;
	json_t *slot;

	assert_int_equal(ec_secret_init(&secret, EC_SECRET_LEN_MAX), 0);
	memset(secret.data, 'x', secret.len);
	slot = make(&ecd_slot_passphrase, &secret);
	assert_int_equal(open_slot(UUID, &ecd_slot_passphrase, slot, &secret), 0);
	secret.data[EC_SECRET_LEN_MAX - 1] = 'y';
	assert_int_equal(open_slot(UUID, &ecd_slot_passphrase, slot, &secret), -EKEYREJECTED);
	json_decref(slot);
}

static void test_empty_passphrase_is_not_made(void **state)
{
	_cleanup_secret_ struct ec_secret empty = secret_of("", 0), key = vault_key();
	json_t *slot = new_slot(&ecd_slot_passphrase);
	struct ecd_reason reason = { "" };

	assert_int_equal(ecd_slot_passphrase.make(UUID, slot, &empty, &key, CHEAP_MS, &reason),
			 -EINVAL);
	assert_true(reason.text[0]);
	assert_null(json_object_get(slot, "wrapped"));
	json_decref(slot);
}

/* Nothing repeats between two slots with the same secret and the same key. */
static void test_fresh_randomness(void **state)
{
	_cleanup_secret_ struct ec_secret secret = secret_of_text("same");
	static const char *const members[] = { "nonce", "ciphertext", "tag" };
	json_t *a = make(&ecd_slot_passphrase, &secret), *b = make(&ecd_slot_passphrase, &secret);
	size_t i;

	for (i = 0; i < 3; i++)
		assert_false(json_equal(
			json_object_get(json_object_get(a, "wrapped"), members[i]),
			json_object_get(json_object_get(b, "wrapped"), members[i])));
	assert_false(json_equal(json_object_get(json_object_get(a, "kdf"), "salt"),
				json_object_get(json_object_get(b, "kdf"), "salt")));
	assert_false(json_equal(json_object_get(a, "commitment"),
				json_object_get(b, "commitment")));
	json_decref(a);
	json_decref(b);
}

/* The first letter of a base64 text exchanged: 6 bits of its first byte. */
static json_t *altered_text(const json_t *value)
{
	char text[256];

	snprintf(text, sizeof(text), "%s", json_string_value(value));
	text[0] = text[0] == 'A' ? 'B' : 'A';
	return json_string(text);
}

/* Each parameter of a slot changed, one at a time; the secret is the right one throughout. */
static void check_bindings(const struct ecd_slot_type *type, const struct ec_secret *secret)
{
	static const char *const paths[][2] = {
		{ "kdf", "salt" }, { "wrapped", "nonce" }, { "wrapped", "ciphertext" },
		{ "wrapped", "tag" }, { NULL, "commitment" },
	};
	json_t *slot = make(type, secret), *copy;
	size_t i;
	int r;

	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		json_t *object;

		copy = json_deep_copy(slot);
		object = paths[i][0] ? json_object_get(copy, paths[i][0]) : copy;
		json_object_set_new(object, paths[i][1],
				    altered_text(json_object_get(object, paths[i][1])));
		r = open_slot(UUID, type, copy, secret);
		/* what the commitment covers is a wrong key, the rest is damage */
		assert_int_equal(r, i == 0 || i == 4 ? -EKEYREJECTED : -EBADMSG);
		json_object_del(object, paths[i][1]);
		assert_int_equal(open_slot(UUID, type, copy, secret), -EBADMSG);
		json_decref(copy);
	}
	copy = json_deep_copy(slot);
	json_object_set_new(copy, "id", json_integer(4));
	assert_int_equal(open_slot(UUID, type, copy, secret), -EBADMSG);
	json_decref(copy);
	copy = json_deep_copy(slot);
	json_object_set_new(copy, "more", json_true());
	assert_int_equal(open_slot(UUID, type, copy, secret), -EBADMSG);
	json_decref(copy);
	assert_int_equal(open_slot("11234567-89ab-cdef-0123-456789abcdef", type, slot, secret),
			 -EBADMSG);
	assert_int_equal(open_slot(UUID, type, slot, secret), 0);
	json_decref(slot);
}

static void test_passphrase_bindings(void **state)
{
	_cleanup_secret_ struct ec_secret secret = secret_of_text("right");

	check_bindings(&ecd_slot_passphrase, &secret);
}

static void test_recovery(void **state)
{
	_cleanup_secret_ struct ec_secret text = EC_SECRET_NULL, other = EC_SECRET_NULL;
	_cleanup_secret_ struct ec_secret words = secret_of_text("login password");
	json_t *slot;

	assert_int_equal(ecd_slot_recovery.generate(&text), 0);
	assert_int_equal(ecd_slot_recovery.generate(&other), 0);
	assert_false(ec_secret_equal(&text, &other));
	slot = make(&ecd_slot_recovery, &text);
	assert_int_equal(open_slot(UUID, &ecd_slot_recovery, slot, &text), 0);
	assert_int_equal(open_slot(UUID, &ecd_slot_recovery, slot, &other), -EKEYREJECTED);
	assert_int_equal(open_slot(UUID, &ecd_slot_recovery, slot, &words), -EKEYREJECTED);
	assert_true(ecd_slot_recovery.fits(&text));
	assert_false(ecd_slot_recovery.fits(&words));
	json_decref(slot);
	check_bindings(&ecd_slot_recovery, &text);
}

static void test_recovery_names_the_group(void **state)
{
	_cleanup_secret_ struct ec_secret text = EC_SECRET_NULL, key = EC_SECRET_NULL;
	struct ecd_reason reason = { "" };
	json_t *slot;

	assert_int_equal(ecd_slot_recovery.generate(&text), 0);
	slot = make(&ecd_slot_recovery, &text);
	text.data[2 * 11 + 4] = text.data[2 * 11 + 4] == 'c' ? 'b' : 'c';
	assert_int_equal(ecd_slot_recovery.open(UUID, slot, &text, &key, &reason), -EKEYREJECTED);
	assert_string_equal(reason.text, "group 3 is mistyped");
	json_decref(slot);
}

static void test_calibration(void **state)
{
	struct ecd_argon2id floor, normal, again;
	_cleanup_secret_ struct ec_secret secret = secret_of_text("x"), root = EC_SECRET_NULL;
	uint64_t start, took;

	assert_int_equal(ecd_argon2id_calibrate(0, &floor), 0);
	assert_int_equal(floor.memory_kib, 65536);
	assert_int_equal(floor.passes, 3);
	assert_in_range(floor.lanes, 1, 4);
	assert_int_equal(ecd_argon2id_calibrate(60000, &again), 0);
	assert_true((uint64_t)again.memory_kib * again.passes <= ECD_ARGON2ID_WORK_KIB_MAX);
	assert_in_range(again.memory_kib, 65536, 262144);
	assert_in_range(again.passes, 3, ECD_ARGON2ID_PASSES_MAX);
	assert_memory_not_equal(floor.salt, again.salt, sizeof(again.salt));

	assert_int_equal(ecd_argon2id_calibrate(ECD_ARGON2ID_TARGET_MS, &normal), 0);
	assert_true(normal.memory_kib >= 65536 && normal.passes >= 3);
	start = now_us(CLOCK_MONOTONIC);
	assert_int_equal(ecd_argon2id_derive(&normal, &secret, &root, ECD_ROOT_LEN), 0);
	took = now_us(CLOCK_MONOTONIC) - start;
	print_message("# calibrated for %u ms: %u MiB, %u passes, %u lanes, takes %llu ms\n",
		      ECD_ARGON2ID_TARGET_MS, normal.memory_kib / 1024, normal.passes,
		      normal.lanes, (unsigned long long)(took / 1000));
}

/* What is written down is what is computed. */
static void test_argon2id_parameters(void **state)
{
	struct ecd_argon2id params = { .memory_kib = 1024, .passes = 2, .lanes = 2, .salt = "0123456789abcde" };
	_cleanup_secret_ struct ec_secret secret = secret_of_text("password"), root = EC_SECRET_NULL;
	json_t *kdf = ecd_argon2id_format(&params);
	struct ecd_reason reason = { "" };
	struct ecd_argon2id loaded;
	uint8_t want[32];

	assert_int_equal(ecd_argon2id_load(kdf, &loaded, &reason), 0);
	assert_int_equal(loaded.memory_kib, 1024);
	assert_int_equal(loaded.passes, 2);
	assert_int_equal(loaded.lanes, 2);
	assert_memory_equal(loaded.salt, params.salt, 16);
	assert_int_equal(ecd_argon2id_derive(&loaded, &secret, &root, 32), 0);
	assert_int_equal(argon2id_hash_raw(2, 1024, 2, "password", 8, params.salt, 16, want, 32),
			 ARGON2_OK);
	assert_memory_equal(root.data, want, 32);
	json_decref(kdf);
}

/* Documents of somebody who wants the helper to use up the machine. */
static void test_hostile_costs(void **state)
{
	static const struct {
		const char *member;
		const char *value;
		int want;
	} cases[] = {
		{ "memory_kib", "4294967296", -EOPNOTSUPP },		/* 4 TiB */
		{ "memory_kib", "1048577", -EOPNOTSUPP },
		{ "memory_kib", "9007199254740992", -EOPNOTSUPP },
		{ "memory_kib", "4294967296000000", -EOPNOTSUPP },
		{ "memory_kib", "0", -EBADMSG },
		{ "memory_kib", "7", -EBADMSG },
		{ "memory_kib", "-65536", -EBADMSG },
		{ "memory_kib", "\"65536\"", -EBADMSG },
		{ "memory_kib", "null", -EBADMSG },
		{ "passes", "65", -EOPNOTSUPP },
		{ "passes", "4294967299", -EOPNOTSUPP },
		{ "passes", "0", -EBADMSG },
		{ "passes", "-3", -EBADMSG },
		{ "lanes", "17", -EOPNOTSUPP },
		{ "lanes", "16777216", -EOPNOTSUPP },
		{ "lanes", "0", -EBADMSG },
		{ "name", "\"argon2i\"", -EBADMSG },
		{ "name", "\"pbkdf2\"", -EBADMSG },
		{ "salt", "\"AAAA\"", -EBADMSG },
		{ "salt", "\"\"", -EBADMSG },
		{ "salt", "\"AAAAAAAAAAAAAAAAAAAAAA\"", -EBADMSG },
		{ "salt", "7", -EBADMSG },
		{ "extra", "1", -EBADMSG },
	};
	_cleanup_secret_ struct ec_secret secret = secret_of_text("right");
	json_t *slot = make(&ecd_slot_passphrase, &secret);
	struct rusage before, after;
	uint64_t slowest = 0;
	size_t i;

	getrusage(RUSAGE_SELF, &before);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *copy = json_deep_copy(slot);
		uint64_t start, took;
		int r;

		json_object_set_new(json_object_get(copy, "kdf"), cases[i].member,
				    json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
		/* of this process: others that use the machine do not count */
		start = now_us(CLOCK_PROCESS_CPUTIME_ID);
		r = open_slot(UUID, &ecd_slot_passphrase, copy, &secret);
		took = now_us(CLOCK_PROCESS_CPUTIME_ID) - start;
		if (took > slowest)
			slowest = took;
		if (r != cases[i].want)
			fail_msg("%s %s: %d, not %d", cases[i].member, cases[i].value, r,
				 cases[i].want);
		json_decref(copy);
	}
	getrusage(RUSAGE_SELF, &after);
	assert_int_equal(before.ru_maxrss, after.ru_maxrss);	/* nothing was allocated for it */
	assert_true(slowest < 10000);	/* the least that is allowed takes ten times that */
	print_message("# %zu hostile derivations refused, the slowest in %llu us of a processor\n", i,
		      (unsigned long long)slowest);
	json_decref(slot);
}

/* 1 GiB and 16 passes are within bounds, 17 are not: the product counts. */
static void test_work_ceiling(void **state)
{
	struct ecd_argon2id params = { .memory_kib = ECD_ARGON2ID_MEMORY_KIB_MAX, .passes = 16, .lanes = 1 };
	struct ecd_reason reason = { "" };
	struct ecd_argon2id loaded;
	json_t *kdf = ecd_argon2id_format(&params);

	assert_int_equal(ecd_argon2id_load(kdf, &loaded, &reason), 0);
	json_object_set_new(kdf, "passes", json_integer(17));
	assert_int_equal(ecd_argon2id_load(kdf, &loaded, &reason), -EOPNOTSUPP);
	json_decref(kdf);
}

/* A password change on a busy machine must not make guessing cheaper. */
static void test_cost_is_kept(void **state)
{
	_cleanup_secret_ struct ec_secret secret = secret_of_text("right"), key = vault_key();
	json_t *slot = make(&ecd_slot_passphrase, &secret), *kdf = json_object_get(slot, "kdf");
	struct ecd_reason reason = { "" };

	json_object_set_new(kdf, "passes", json_integer(5));
	json_object_set_new(kdf, "memory_kib", json_integer(80000));
	assert_int_equal(ecd_slot_passphrase.make(UUID, slot, &secret, &key, CHEAP_MS, &reason), 0);
	kdf = json_object_get(slot, "kdf");
	assert_int_equal(json_integer_value(json_object_get(kdf, "passes")), 5);
	assert_int_equal(json_integer_value(json_object_get(kdf, "memory_kib")), 80000);
	assert_int_equal(open_slot(UUID, &ecd_slot_passphrase, slot, &secret), 0);
	/* what lies below the floor, or above the ceiling, is not kept */
	json_object_set_new(kdf, "memory_kib", json_integer(1024));
	json_object_set_new(kdf, "passes", json_integer(2));
	assert_int_equal(ecd_slot_passphrase.make(UUID, slot, &secret, &key, CHEAP_MS, &reason), 0);
	kdf = json_object_get(slot, "kdf");
	assert_int_equal(json_integer_value(json_object_get(kdf, "memory_kib")), 65536);
	json_decref(slot);
}

static void test_table(void **state)
{
	size_t n;

	for (n = 0; ecd_slot_type_row(n); n++)
		assert_ptr_equal(ecd_slot_type_by_name(ecd_slot_type_row(n)->name),
				 ecd_slot_type_row(n));
	assert_int_equal(n, 2);
	assert_null(ecd_slot_type_by_name("legacy"));	/* not of documents */
	assert_null(ecd_slot_type_by_name("tpm2"));
	assert_null(ecd_slot_type_by_name(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_passphrase),
		cmocka_unit_test(test_longest_passphrase),
		cmocka_unit_test(test_empty_passphrase_is_not_made),
		cmocka_unit_test(test_fresh_randomness),
		cmocka_unit_test(test_passphrase_bindings),
		cmocka_unit_test(test_recovery),
		cmocka_unit_test(test_recovery_names_the_group),
		cmocka_unit_test(test_calibration),
		cmocka_unit_test(test_argon2id_parameters),
		cmocka_unit_test(test_hostile_costs),
		cmocka_unit_test(test_work_ceiling),
		cmocka_unit_test(test_cost_is_kept),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
