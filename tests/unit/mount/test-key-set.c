/* SPDX-License-Identifier: GPL-2.0-only */
#include "mount/key-set.h"

#include "tests/unit/mount/support.h"

#include <errno.h>

static struct ecfs_mount_key key_of(uint8_t number)
{
	struct ecfs_mount_key key = { .version = ECFS_MOUNT_KEY_VERSION };

	memset(key.sig, number, sizeof(key.sig));
	memset(key.key, number, sizeof(key.key));
	return key;
}

static void test_add_and_find(void **state)
{
	struct ec_key_set set = EC_KEY_SET_NULL;
	struct ecfs_mount_key key;
	uint8_t i;

	for (i = 0; i < EC_KEY_SET_MAX; i++) {
		key = key_of(i);
		assert_int_equal(ec_key_set_add(&set, &key), 0);
	}
	assert_int_equal(ec_key_set_add(&set, &key), -E2BIG);
	for (i = 0; i < EC_KEY_SET_MAX; i++) {
		key = key_of(i);
		assert_memory_equal(ec_key_set_get(&set, i), &key, sizeof(key));
		assert_ptr_equal(ec_key_set_find(&set, key.sig), ec_key_set_get(&set, i));
	}
	assert_null(ec_key_set_get(&set, EC_KEY_SET_MAX));
	assert_null(ec_key_set_find(&set, "nothing!"));
	ec_key_set_done(&set);
	assert_null(ec_key_set_get(&set, 0));
	ec_key_set_done(&set);
}

static int from_bytes(struct ec_key_set *set, const void *bytes, size_t len)
{
	_cleanup_secret_ struct ec_secret secret = EC_SECRET_NULL;
	_cleanup_close_ int fd = -1;

	assert_int_equal(ec_secret_init_copy(&secret, bytes, len), 0);
	assert_int_equal(ec_secret_to_memfd(&secret, &fd), 0);
	return ec_key_set_from_memfd(set, fd);
}

static void test_memfd(void **state)
{
	struct ecfs_mount_key keys[EC_KEY_SET_MAX + 1];
	struct ec_key_set set = EC_KEY_SET_NULL;
	size_t i;
	int fd;

	for (i = 0; i <= EC_KEY_SET_MAX; i++)
		keys[i] = key_of((uint8_t)i);
	assert_int_equal(from_bytes(&set, keys, 2 * sizeof(keys[0])), 0);
	assert_int_equal(set.n_keys, 2);
	assert_memory_equal(ec_key_set_get(&set, 1), &keys[1], sizeof(keys[1]));
	ec_key_set_done(&set);

	for (i = 1; i < 2 * sizeof(keys[0]); i++)
		assert_int_equal(from_bytes(&set, keys, i), i % sizeof(keys[0]) ? -EPROTO : 0);
	ec_key_set_done(&set);
	assert_int_equal(from_bytes(&set, keys, sizeof(keys)), -EPROTO);
	keys[1].version = 2;
	assert_int_equal(from_bytes(&set, keys, 2 * sizeof(keys[0])), -EPROTO);
	keys[1].version = 1;
	keys[1].reserved = 1;
	assert_int_equal(from_bytes(&set, keys, 2 * sizeof(keys[0])), -EPROTO);
	fd = open("/dev/null", O_RDONLY);
	assert_int_equal(ec_key_set_from_memfd(&set, fd), -EBADF);
	close(fd);
	assert_null(set.bytes.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_and_find),
		cmocka_unit_test(test_memfd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
