// SPDX-License-Identifier: GPL-2.0-only
/* A whole lower file, opened with the key of the seeds ("foo") and read at some places. */
#include "fuzz/fuzz.h"
#include "offline/file.h"

#include <sys/mman.h>

/* Derived once: 65,537 hashes for each input would leave no time for inputs. */
static const struct ec_offline_keys *foo_keys(void)
{
	static struct ec_offline_keys keys;
	struct ec_secret foo;

	if (keys.n_keys)
		return &keys;
	fuzz_assert(!ec_secret_init_copy(&foo, "foo", 3));
	fuzz_assert(!ec_offline_keys_add_passphrase(&keys, &foo, ec_s2k_salt_content, NULL));
	ec_secret_done(&foo);
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
	static int fd = -1;
	int r;

	if (fd < 0)
		fd = memfd_create("lower", MFD_CLOEXEC);
	fuzz_assert(fd >= 0 && !ftruncate(fd, 0));
	fuzz_assert(pwrite(fd, data, len, 0) == (ssize_t)len);
	r = ec_offline_file_new(&file, fd, foo_keys());
	if (!r)
		read_some(file);
	else
		fuzz_assert(r == -EBADMSG || r == -EOPNOTSUPP || r == -ENODATA || r == -ENOKEY);
	return 0;
}
