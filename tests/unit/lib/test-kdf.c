/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/kdf.h"

#include "tests/unit/lib/support.h"

#include <errno.h>

static uint8_t range_bytes[256];

/* Bytes first, first + 1, ... as the inputs of RFC 5869 are. */
static const uint8_t *range(uint8_t first)
{
	size_t i;

	for (i = 0; i < sizeof(range_bytes); i++)
		range_bytes[i] = (uint8_t)i;
	return range_bytes + first;
}

/*
 * RFC 5869, A.1 to A.3, and the same inputs with SHA-512, for which the RFC has no outputs:
 * those were computed with Python's hmac module.
 */
static const struct {
	const char *digest;
	int test;
	const char *okm;
} hkdf_cases[] = {
	{ "SHA256", 1, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
		       "34007208d5b887185865" },
	{ "SHA256", 2, "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
		       "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
		       "cc30c58179ec3e87c14c01d5c1f3434f1d87" },
	{ "SHA256", 3, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
		       "9d201395faa4b61a96c8" },
	{ "SHA512", 1, "832390086cda71fb47625bb5ceb168e4c8e26a1a16ed34d9fc7fe92c14815793"
		       "38da362cb8d9f925d7cb" },
	{ "SHA512", 2, "ce6c97192805b346e6161e821ed165673b84f400a2b514b2fe23d84cd189ddf1"
		       "b695b48cbd1c8388441137b3ce28f16aa64ba33ba466b24df6cfcb021ecff235"
		       "f6a2056ce3af1de44d572097a8505d9e7a93" },
	{ "SHA512", 3, "f5fa02b18298a72a8c23898a8703472c6eb179dc204c03425c970e3b164bf90f"
		       "ff22d04836d0e2343bac" },
};

static void test_hkdf(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(hkdf_cases) / sizeof(hkdf_cases[0]); i++) {
		_cleanup_secret_ struct ec_secret key = EC_SECRET_NULL, okm = EC_SECRET_NULL;
		size_t len = strlen(hkdf_cases[i].okm) / 2, salt_len = 0;
		char info[81] = "";
		uint8_t salt[80];

		assert_int_equal(ec_secret_init(&key, hkdf_cases[i].test == 2 ? 80 : 22), 0);
		if (hkdf_cases[i].test == 2) {
			memcpy(key.data, range(0), 80);
			memcpy(salt, range(0x60), salt_len = 80);
			memcpy(info, range(0xb0), 80);
		} else {
			memset(key.data, 0x0b, 22);
		}
		if (hkdf_cases[i].test == 1) {
			memcpy(salt, range(0), salt_len = 13);
			memcpy(info, range(0xf0), 10);
		}
		assert_int_equal(ec_hkdf(hkdf_cases[i].digest, &okm, len, &key, salt, salt_len,
					 info), 0);
		assert_secret_is_hex(&okm, hkdf_cases[i].okm);
		if (!strcmp(hkdf_cases[i].digest, "SHA512")) {
			_cleanup_secret_ struct ec_secret again = EC_SECRET_NULL;

			assert_int_equal(ec_hkdf_sha512(&again, len, &key, salt, salt_len, info),
					 0);
			assert_true(ec_secret_equal(&okm, &again));
		}
	}
}

static void test_hkdf_failures(void **state)
{
	_cleanup_secret_ struct ec_secret key = secret_of_text("key"), okm = EC_SECRET_NULL;

	assert_int_equal(ec_hkdf("SHA999", &okm, 32, &key, NULL, 0, "x"), -EIO);
	/* RFC 5869, 2.3: at most 255 digests */
	assert_int_equal(ec_hkdf_sha512(&okm, 255 * 64 + 1, &key, NULL, 0, "x"), -EIO);
	assert_null(okm.data);
	assert_int_equal(ec_hkdf_sha512(&okm, 255 * 64, &key, NULL, 0, "x"), 0);
}

/* Check values of eCryptfs: of its own tests, of real files, and two derived from those. */
static const struct {
	const char *passphrase;
	const char *salt_hex;
	const char *sig_hex;
	const char *key_hex;
} s2k_cases[] = {
	{ "foo", "0011223344556677", "253ca7e88811d184",
	  "3f0cffa9389d2c396ad887c6ec657898e2e9e74cbb3cb1d25d410f58de2aa6b7"
	  "0dd81ccedaf8fad725346d8f751b8fc2c50ad69fba27d1d4fb735f207e76c6e9" },
	{ "a", "aaaaaaaaaaaaaaaa", "c42ec75301dc1674",
	  "27f2ff49bfc520109f2579b36377a29955585cee6e8e5210b474a7ef7e5c4e9c"
	  "f499075ace62d03b78d718d0e311726bb35b6699061f12d0731dd6a3efe9b3f2" },
	{ "ef2fa983a4ecc87b6f48821bd9b36940220345624949e6bf826efd692678d78b",
	  "fa1507f9913d915b", "09582907da54851e",
	  "bdc9089cb08554ac6039c64345a82f49e175c1427104bb1906fed9f3ad703c4f"
	  "3745b2ef9a2f4210b24c973fe17370ae39def8af31d7b3f304d1209ed4313f4d" },
	{ "test", "0011223344556677", "d395309aaad4de06",
	  "58116605277520b3fa1315497f2089514d53100b08096ee8ab2c752c96ebfc7e"
	  "8d270fce370c29b1afe1cde71ec6218c6fa62b7500b3b14e7456b6f53eb38580" },
	{ "test", "3939383837373636", "be877764c5918621",
	  "ac4007120f27ff0d0c30ce723432d13c24dccb0c0a4e3b5ae4beece867b19686"
	  "85ff009e5fb62960b904ec7f0d853447f11c1a75d63b97fb98b3f4ee374052f8" },
	{ "foo", "3939383837373636", "6967d0c28476ffa1",
	  "84b01d27c74b2ad958e0f756e6891514f7f0b1faeb21f9405c5c4bba2bb2770e"
	  "a6057b15c3cffff77612b1466fc7d9dbeef4a39b1e15ee39f9452a7462b090ca" },
};

static void test_s2k(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(s2k_cases) / sizeof(s2k_cases[0]); i++) {
		_cleanup_secret_ struct ec_secret pass = secret_of_text(s2k_cases[i].passphrase);
		_cleanup_secret_ struct ec_secret key = EC_SECRET_NULL;
		uint8_t salt[8], sig[8], want[8], sig_again[8];

		assert_int_equal(ec_hex_decode(salt, 8, s2k_cases[i].salt_hex, 16), 0);
		assert_int_equal(ec_hex_decode(want, 8, s2k_cases[i].sig_hex, 16), 0);
		assert_int_equal(ec_s2k(&key, sig, &pass, salt), 0);
		assert_memory_equal(sig, want, 8);
		assert_secret_is_hex(&key, s2k_cases[i].key_hex);
		assert_int_equal(ec_key_sig(sig_again, &key), 0);
		assert_memory_equal(sig_again, want, 8);
	}
	print_message("# %zu string-to-key values\n", i);
}

static void test_s2k_salts(void **state)
{
	static const uint8_t content[] = { 0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77 };

	assert_memory_equal(ec_s2k_salt_content, content, 8);
	assert_memory_equal(ec_s2k_salt_names, "99887766", 8);
}

static void test_s2k_lengths(void **state)
{
	_cleanup_secret_ struct ec_secret key = EC_SECRET_NULL, pass = EC_SECRET_NULL;
	uint8_t sig[8];

	assert_int_equal(ec_secret_init(&pass, 65), 0);
	memset(pass.data, 'x', 65);
	assert_int_equal(ec_s2k(&key, sig, &pass, ec_s2k_salt_content), -EINVAL);
	ec_secret_truncate(&pass, 64);
	assert_int_equal(ec_s2k(&key, sig, &pass, ec_s2k_salt_content), 0);
	ec_secret_truncate(&pass, 0);
	ec_secret_done(&key);
	assert_int_equal(ec_s2k(&key, sig, &pass, ec_s2k_salt_content), -EINVAL);
	assert_null(key.data);
	assert_int_equal(ec_key_sig(sig, &pass), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hkdf),
		cmocka_unit_test(test_hkdf_failures),
		cmocka_unit_test(test_s2k),
		cmocka_unit_test(test_s2k_lengths),
		cmocka_unit_test(test_s2k_salts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
