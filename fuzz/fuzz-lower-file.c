// SPDX-License-Identifier: GPL-2.0-only
/* A whole lower file, opened with the keys of the seeds and read at some places. */
#include "fuzz/fuzz.h"
#include "offline/file.h"

/* Derived once: 65,537 hashes for each input would leave no time for inputs. */
static const struct ec_offline_keys *seed_keys(void)
{
	static const char *const passphrases[] = {
		"foo", "Ubuntu-style", "correct horse battery", "pass one", "three keys",
		"00112233445566778899aabbccddeeff",
	};
	static struct ec_offline_keys keys;

	for (size_t i = keys.n_keys; i < sizeof(passphrases) / sizeof(passphrases[0]); i++) {
		struct ec_secret secret;

		fuzz_assert(!ec_secret_init_copy(&secret, passphrases[i], strlen(passphrases[i])));
		fuzz_assert(!ec_offline_keys_add_passphrase(&keys, &secret, ec_s2k_salt_content,
							    NULL));
		ec_secret_done(&secret);
	}
	return &keys;
}

static void read_some(struct ec_offline_file *file)
{
	uint64_t size = ec_offline_file_size(file);
	const uint64_t offsets[] = { 0, 4090, size / 2, size - 1, size, UINT64_MAX };
	uint8_t buf[5000];

	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		size_t len;

		if (!ec_offline_file_read(file, offsets[i], buf, sizeof(buf), &len))
			fuzz_assert(len <= sizeof(buf) && (len == 0 || len <= size - offsets[i]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_offline_file_ struct ec_offline_file *file = NULL;
	int r;

	r = ec_offline_file_new(&file, fuzz_file(data, len, NULL), seed_keys());
	if (!r)
		read_some(file);
	else
		fuzz_assert(r == -EBADMSG || r == -EOPNOTSUPP || r == -ENODATA || r == -ENOKEY);
	return 0;
}
