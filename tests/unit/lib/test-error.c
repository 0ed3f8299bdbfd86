/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/bus-client.h"
#include "lib/error.h"

#include "tests/unit/lib/support.h"

#include <errno.h>
#include <stdlib.h>

/* The table of lib/error.h: interface, so it stands here a second time. */
static const struct {
	int error;
	const char *name;
	int exit_code;
	int back;	/* errno that the name becomes again */
} cases[] = {
	{ ENOENT, "NoSuchVault", 3, ENOENT },
	{ EKEYREJECTED, "WrongSecret", 4, EKEYREJECTED },
	{ EBUSY, "Busy", 5, EBUSY },
	{ EACCES, "NotAuthorized", 6, EACCES },
	{ EPERM, "NotAuthorized", 6, EACCES },
	{ ENOTCONN, "DaemonUnavailable", 7, ENOTCONN },
	{ EEXIST, "AlreadyExists", 8, EEXIST },
	{ EOPNOTSUPP, "NotSupported", 9, EOPNOTSUPP },
	{ EBADMSG, "DamagedDocument", 10, EBADMSG },
	{ ENOKEY, "Locked", 11, ENOKEY },
	{ ENOSPC, "NoSpace", 12, ENOSPC },
	{ EDQUOT, "NoSpace", 12, ENOSPC },
	{ ETIMEDOUT, "TimedOut", 13, ETIMEDOUT },
	{ ELOOP, "UnsafePath", 14, ELOOP },
	{ ENOPKG, "MissingComponent", 15, ENOPKG },
	{ EALREADY, "AlreadyUnlocked", 16, EALREADY },
	{ EPROTO, "ProtocolViolation", 17, EPROTO },
	{ EROFS, "ReadOnly", 18, EROFS },
	{ ECANCELED, "Cancelled", 19, ECANCELED },
	{ EAGAIN, "RateLimited", 20, EAGAIN },
	{ ENOTDIR, "NoSuchDirectory", 21, ENOTDIR },
	{ EINVAL, "InvalidArgument", 2, EINVAL },
	{ ENXIO, "Failed", 1, EIO },
	{ EIO, "Failed", 1, EIO },
};

static void test_table(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char full[128];

		snprintf(full, sizeof(full), "org.ecryptfs.Error.%s", cases[i].name);
		assert_string_equal(ec_error_bus_name(-cases[i].error), full);
		assert_int_equal(ec_error_exit_code(-cases[i].error), cases[i].exit_code);
		assert_int_equal(ec_error_from_bus_name(full), -cases[i].back);
		assert_int_equal(ec_error_from_bus_name(cases[i].name), -cases[i].back);
		assert_true(strlen(ec_error_sentence(-cases[i].error)) > 5);
	}
	print_message("# %zu errors\n", i);
}

static void test_every_errno_has_words(void **state)
{
	int r;

	for (r = 0; r < 200; r++) {
		assert_int_equal(strncmp(ec_error_bus_name(-r), EC_ERROR_PREFIX,
					 strlen(EC_ERROR_PREFIX)), 0);
		assert_non_null(ec_error_sentence(-r));
		assert_in_range(ec_error_exit_code(-r), 1, 21);
	}
}

static void test_foreign_names(void **state)
{
	assert_int_equal(ec_error_from_bus_name("org.freedesktop.DBus.Error.ServiceUnknown"),
			 -ENOTCONN);
	assert_int_equal(ec_error_from_bus_name("org.freedesktop.DBus.Error.NoReply"), -ETIMEDOUT);
	assert_int_equal(ec_error_from_bus_name("org.freedesktop.DBus.Error.AccessDenied"),
			 -EACCES);
	assert_int_equal(ec_error_from_bus_name("com.example.Error.Nothing"), -EIO);
	assert_int_equal(ec_error_from_bus_name("org.ecryptfs.Error."), -EIO);
	assert_int_equal(ec_error_from_bus_name(""), -EIO);
	assert_int_equal(ec_error_from_bus_name(NULL), -EIO);
}

static void test_bus_errors(void **state)
{
	const sd_bus_error wrong = SD_BUS_ERROR_MAKE_CONST(
		"org.ecryptfs.Error.WrongSecret", "no");
	const sd_bus_error failed = SD_BUS_ERROR_MAKE_CONST("org.ecryptfs.Error.Failed", "no");
	const sd_bus_error gone = SD_BUS_ERROR_MAKE_CONST(
		"org.freedesktop.DBus.Error.NameHasNoOwner", "no");
	const sd_bus_error system = SD_BUS_ERROR_MAKE_CONST("System.Error.ENOSPC", "no");
	const sd_bus_error reset = SD_BUS_ERROR_MAKE_CONST("System.Error.ECONNRESET", "no");
	const sd_bus_error none = SD_BUS_ERROR_NULL;

	assert_int_equal(ec_bus_error_to_errno(&wrong, -EREMOTEIO), -EKEYREJECTED);
	assert_int_equal(ec_bus_error_to_errno(&failed, -EREMOTEIO), -EIO);
	assert_int_equal(ec_bus_error_to_errno(&gone, -EHOSTUNREACH), -ENOTCONN);
	assert_int_equal(ec_bus_error_to_errno(&system, -ENOSPC), -ENOSPC);
	assert_int_equal(ec_bus_error_to_errno(&reset, -ECONNRESET), -ENOTCONN);
	assert_int_equal(ec_bus_error_to_errno(&none, -ETIMEDOUT), -ETIMEDOUT);
	assert_int_equal(ec_bus_error_to_errno(&none, -EPIPE), -ENOTCONN);
	assert_int_equal(ec_bus_error_to_errno(NULL, -ENOMEM), -ENOMEM);
	assert_int_equal(ec_bus_error_to_errno(NULL, 0), -EIO);
}

static void test_no_bus(void **state)
{
	sd_bus *bus = NULL;

	assert_int_equal(setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1), 0);
	assert_int_equal(ec_bus_open(1000000, &bus), -ENOTCONN);
	assert_null(bus);
	unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_every_errno_has_words),
		cmocka_unit_test(test_foreign_names),
		cmocka_unit_test(test_bus_errors),
		cmocka_unit_test(test_no_bus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
