/* SPDX-License-Identifier: GPL-2.0-only */
#include "helper/recovery-text.h"

#include "tests/unit/lib/support.h"

#include <errno.h>
#include <stdlib.h>

#define LETTERS "cbdefghijklnrtuv"

/* The texts come from a second implementation, in Python. */
static const struct {
	const char *key_hex;
	const char *text;
} known[] = {
	{ "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
	  "cccbcdcecl-cfcgchcibg-cjckclcndi-crctcucvej-bcbbbdbefc-bfbgbhbigv-bjbkblbnht-brbtbubvid" },
	{ "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e0",
	  "vvvuvtvrct-vnvlvkvjbd-vivhvgvfdc-vevdvbvcev-uvuuuturfi-unulukujgj-uiuhugufhl-ueudubucig" },
	{ "0000000000000000000000000000000000000000000000000000000000000000",
	  "cccccccccc-ccccccccbc-ccccccccdc-ccccccccec-ccccccccfc-ccccccccgc-cccccccchc-ccccccccic" },
};

static void test_known(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		_cleanup_secret_ struct ec_secret key = secret_of_hex(known[i].key_hex);
		_cleanup_secret_ struct ec_secret text = EC_SECRET_NULL, back = EC_SECRET_NULL;
		unsigned int group = 0;

		assert_int_equal(ecd_recovery_encode(&key, &text), 0);
		assert_int_equal(text.len, ECD_RECOVERY_TEXT_LEN);
		assert_int_equal(strlen(known[i].text), ECD_RECOVERY_TEXT_LEN);
		assert_memory_equal(text.data, known[i].text, text.len);
		assert_int_equal(ecd_recovery_decode(&text, &back, &group), 0);
		assert_true(ec_secret_equal(&key, &back));
	}
}

static struct ec_secret random_key(unsigned int seed)
{
	struct ec_secret key;
	size_t i;

	srandom(seed);
	assert_int_equal(ec_secret_init(&key, ECD_RECOVERY_KEY_LEN), 0);
	for (i = 0; i < key.len; i++)
		key.data[i] = (uint8_t)(random() >> 8);
	return key;
}

/* The group that is named, 0 if the text is good, -EINVAL if it is not taken for one at all. */
static int decode(const char *text, size_t len)
{
	_cleanup_secret_ struct ec_secret secret = secret_of(text, len), key = EC_SECRET_NULL;
	unsigned int group = 99;
	int r;

	r = ecd_recovery_decode(&secret, &key, &group);
	assert_int_equal(ecd_recovery_looks_like(&secret), r != -EINVAL);
	assert_int_equal(r == 0, key.data != NULL);
	if (r == -EKEYREJECTED)
		assert_in_range(group, 1, 8);
	return r == -EKEYREJECTED ? (int)group : r;
}

/* Each letter at each place, of every printable character that is not the right one. */
static void test_one_letter_wrong(void **state)
{
	size_t n = 0, i;
	unsigned int seed;
	int c;

	for (seed = 1; seed <= 20; seed++) {
		_cleanup_secret_ struct ec_secret key = random_key(seed), text = EC_SECRET_NULL;
		char typed[ECD_RECOVERY_TEXT_LEN];

		assert_int_equal(ecd_recovery_encode(&key, &text), 0);
		for (i = 0; i < text.len; i++) {
			if (text.data[i] == '-')
				continue;
			for (c = '!'; c <= '~'; c++) {
				memcpy(typed, text.data, text.len);
				typed[i] = (char)c;
				if (c == '-' || (c | 0x20) == text.data[i])
					continue;
				n++;
				if (decode(typed, text.len) != (int)(i / 11) + 1)
					fail_msg("not noticed: '%c' at %zu", c, i);
			}
		}
	}
	print_message("# %zu texts with one wrong letter, all noticed, the group named\n", n);
}

static void test_two_letters_wrong(void **state)
{
	_cleanup_secret_ struct ec_secret key = random_key(7), text = EC_SECRET_NULL;
	char typed[ECD_RECOVERY_TEXT_LEN];
	size_t n = 0, i, j, a, b;

	assert_int_equal(ecd_recovery_encode(&key, &text), 0);
	for (i = 0; i < 10; i++)
		for (j = i + 1; j < 10; j++)
			for (a = 0; a < 16; a++)
				for (b = 0; b < 16; b++) {
					memcpy(typed, text.data, text.len);
					typed[i] = LETTERS[a];
					typed[j] = LETTERS[b];
					if (typed[i] == text.data[i] && typed[j] == text.data[j])
						continue;
					n++;
					assert_int_equal(decode(typed, text.len), 1);
				}
	print_message("# %zu groups with one or two wrong letters, all noticed\n", n);
}

static void test_swapped(void **state)
{
	_cleanup_secret_ struct ec_secret key = random_key(3), text = EC_SECRET_NULL;
	char typed[ECD_RECOVERY_TEXT_LEN];
	size_t i, j, n = 0;

	assert_int_equal(ecd_recovery_encode(&key, &text), 0);
	for (i = 0; i + 1 < text.len; i++) {
		memcpy(typed, text.data, text.len);
		typed[i] = (char)text.data[i + 1];
		typed[i + 1] = (char)text.data[i];
		if (typed[i] == typed[i + 1] || typed[i] == '-' || typed[i + 1] == '-')
			continue;
		n++;
		assert_int_equal(decode(typed, text.len), i / 11 + 1);
	}
	for (i = 0; i < 8; i++)
		for (j = i + 1; j < 8; j++) {
			memcpy(typed, text.data, text.len);
			memcpy(typed + 11 * i, text.data + 11 * j, 10);
			memcpy(typed + 11 * j, text.data + 11 * i, 10);
			n++;
			assert_int_equal(decode(typed, text.len), i + 1);
		}
	print_message("# %zu transpositions noticed\n", n);
}

/* All the ways in which people type what they read. */
static void test_spellings(void **state)
{
	static const char *const separators[] = { "", " ", "-", "--", " - ", "\n", "\t", "\r\n" };
	_cleanup_secret_ struct ec_secret key = random_key(5), text = EC_SECRET_NULL;
	size_t s, i, group;
	int upper;

	assert_int_equal(ecd_recovery_encode(&key, &text), 0);
	for (s = 0; s < sizeof(separators) / sizeof(separators[0]); s++)
		for (upper = 0; upper < 3; upper++) {
			_cleanup_secret_ struct ec_secret typed = EC_SECRET_NULL;
			_cleanup_secret_ struct ec_secret back = EC_SECRET_NULL;
			char spelled[200] = " ";
			unsigned int wrong;

			for (group = 0; group < 8; group++) {
				strncat(spelled, (char *)text.data + 11 * group, 10);
				strcat(spelled, separators[s]);
			}
			for (i = 0; spelled[i]; i++)
				if ((upper == 1 || (upper && i % 2)) &&
				    spelled[i] >= 'a' && spelled[i] <= 'z')
					spelled[i] -= 'a' - 'A';
			typed = secret_of_text(spelled);
			assert_int_equal(ecd_recovery_decode(&typed, &back, &wrong), 0);
			assert_true(ec_secret_equal(&key, &back));
		}
}

static void test_letter_lost_or_added(void **state)
{
	_cleanup_secret_ struct ec_secret key = random_key(11), text = EC_SECRET_NULL;
	size_t i;

	assert_int_equal(ecd_recovery_encode(&key, &text), 0);
	for (i = 0; i < text.len; i++) {
		char typed[ECD_RECOVERY_TEXT_LEN + 1];

		if (text.data[i] == '-')
			continue;
		memcpy(typed, text.data, i);
		memcpy(typed + i, text.data + i + 1, text.len - i - 1);
		assert_int_equal(decode(typed, text.len - 1), i / 11 + 1);
		memcpy(typed + i, "c", 1);
		memcpy(typed + i + 1, text.data + i, text.len - i);
		assert_int_equal(decode(typed, text.len + 1), i / 11 + 1);
	}
}

static void test_not_recovery_keys(void **state)
{
	char letters[100];

	memset(letters, 'c', sizeof(letters));
	assert_int_equal(decode("", 0), -EINVAL);
	assert_int_equal(decode("correct horse battery staple", 28), -EINVAL);
	assert_int_equal(decode(letters, 75), -EINVAL);
	assert_int_equal(decode(letters, 76), 2);	/* group 1 of zeros is right, 2 is not */
	assert_int_equal(decode(letters, 84), 2);
	assert_int_equal(decode(letters, 85), -EINVAL);
	memset(letters, 'x', 9);
	assert_int_equal(decode(letters, 80), -EINVAL);
	memset(letters, 0, sizeof(letters));
	assert_int_equal(decode(letters, 80), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_one_letter_wrong),
		cmocka_unit_test(test_two_letters_wrong),
		cmocka_unit_test(test_swapped),
		cmocka_unit_test(test_spellings),
		cmocka_unit_test(test_letter_lost_or_added),
		cmocka_unit_test(test_not_recovery_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
