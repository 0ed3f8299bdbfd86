// SPDX-License-Identifier: GPL-2.0-only
/* What ecryptfsctl inspect says about a file or name of unknown origin. */
#include "fuzz/fuzz.h"
#include "lib/cleanup.h"
#include "offline/describe.h"

static void check_result(int r, json_t *object, const char *reason)
{
	if (r) {
		fuzz_assert(r == -EBADMSG || r == -EOPNOTSUPP || r == -ENODATA);
		fuzz_assert(reason && *reason);
		return;
	}
	fuzz_assert(json_is_object(object));
	json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_free_ char *name = strndup((const char *)data, len);
	const char *reason = NULL;
	json_t *object = NULL;
	int r;

	r = ec_offline_describe_header(data, len, ECFMT_PLACE_FILE, &object, &reason);
	check_result(r, object, reason);
	reason = NULL;
	r = ec_offline_describe_header(data, len, ECFMT_PLACE_XATTR, &object, &reason);
	check_result(r, object, reason);
	reason = NULL;
	r = ec_offline_describe_name(name, &object, &reason);
	check_result(r, object, reason);
	return 0;
}
