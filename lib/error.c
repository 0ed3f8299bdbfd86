/* SPDX-License-Identifier: GPL-2.0-only */
/* The one table of errors: errno, bus name, exit code, sentence. */
#include "lib/error.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

struct error_row {
	int error;		/* positive errno */
	const char *bus_name;	/* full */
	int exit_code;
	const char *sentence;
};

#define NAME(short_name) EC_ERROR_PREFIX short_name

/* Where a bus name stands twice, the first row is the errno it becomes again. */
static const struct error_row rows[] = {
	{ ENOENT, NAME("NoSuchVault"), 3, "there is no such vault" },
	{ EKEYREJECTED, NAME("WrongSecret"), 4, "the secret is wrong" },
	{ EBUSY, NAME("Busy"), 5, "it is in use" },
	{ EACCES, NAME("NotAuthorized"), 6, "you are not authorized" },
	{ EPERM, NAME("NotAuthorized"), 6, "you are not authorized" },
	{ ENOTCONN, NAME("DaemonUnavailable"), 7, "the service ecryptfsd cannot be reached" },
	{ EEXIST, NAME("AlreadyExists"), 8, "it exists already" },
	{ EOPNOTSUPP, NAME("NotSupported"), 9, "that is not supported" },
	{ EBADMSG, NAME("DamagedDocument"), 10, "its description is damaged or was altered" },
	{ ENOKEY, NAME("Locked"), 11, "it is locked" },
	{ ENOSPC, NAME("NoSpace"), 12, "there is no space left" },
	{ EDQUOT, NAME("NoSpace"), 12, "the disk quota is used up" },
	{ ETIMEDOUT, NAME("TimedOut"), 13, "it took too long" },
	{ ELOOP, NAME("UnsafePath"), 14, "a path on the way to it is not safe to use" },
	{ ENOPKG, NAME("MissingComponent"), 15,
	  "a part of the system that it needs is missing" },
	{ EALREADY, NAME("AlreadyUnlocked"), 16, "it is unlocked already" },
	{ EPROTO, NAME("ProtocolViolation"), 17, "a program broke the protocol" },
	{ EROFS, NAME("ReadOnly"), 18, "it is read-only" },
	{ ECANCELED, NAME("Cancelled"), 19, "it was cancelled" },
	{ EAGAIN, NAME("RateLimited"), 20, "there were too many attempts, wait a little" },
	{ ENOTDIR, NAME("NoSuchDirectory"), 21, "the directory that it would be in does not exist" },
	{ EINVAL, NAME("InvalidArgument"), 2, "an argument is not valid" },
};

static const struct error_row failed = { EIO, NAME("Failed"), 1, "it failed" };

/* What the bus itself says when a call does not reach us. */
static const struct {
	const char *name;
	int error;
} foreign_names[] = {
	{ "org.freedesktop.DBus.Error.AccessDenied", EACCES },
	{ "org.freedesktop.DBus.Error.AuthFailed", EACCES },
	{ "org.freedesktop.DBus.Error.Disconnected", ENOTCONN },
	{ "org.freedesktop.DBus.Error.FileNotFound", ENOTCONN },
	{ "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", EACCES },
	{ "org.freedesktop.DBus.Error.InvalidArgs", EINVAL },
	{ "org.freedesktop.DBus.Error.LimitsExceeded", EAGAIN },
	{ "org.freedesktop.DBus.Error.NameHasNoOwner", ENOTCONN },
	{ "org.freedesktop.DBus.Error.NoMemory", ENOMEM },
	{ "org.freedesktop.DBus.Error.NoReply", ETIMEDOUT },
	{ "org.freedesktop.DBus.Error.NoServer", ENOTCONN },
	{ "org.freedesktop.DBus.Error.ServiceUnknown", ENOTCONN },
	{ "org.freedesktop.DBus.Error.TimedOut", ETIMEDOUT },
	{ "org.freedesktop.DBus.Error.Timeout", ETIMEDOUT },
	{ "org.freedesktop.DBus.Error.UnknownInterface", EOPNOTSUPP },
	{ "org.freedesktop.DBus.Error.UnknownMethod", EOPNOTSUPP },
	{ "org.freedesktop.DBus.Error.UnknownObject", ENOENT },
	{ "org.freedesktop.DBus.Error.UnknownProperty", EOPNOTSUPP },
	/* activation through systemd: unit masked, absent, or failed at once */
	{ "org.freedesktop.systemd1.LoadFailed", ENOTCONN },
	{ "org.freedesktop.systemd1.NoSuchUnit", ENOTCONN },
	{ "org.freedesktop.systemd1.UnitMasked", ENOTCONN },
};

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

static const struct error_row *find_row(int r)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].error == -r)
			return &rows[i];
	return &failed;
}

const char *ec_error_bus_name(int r)
{
	return find_row(r)->bus_name;
}

int ec_error_exit_code(int r)
{
	return find_row(r)->exit_code;
}

const char *ec_error_sentence(int r)
{
	return find_row(r)->sentence;
}

/**
 * ec_error_from_bus_name() - the errno behind a name
 * @name:	"org.ecryptfs.Error.WrongSecret", "WrongSecret", or a name of the bus itself;
 *		NULL counts as unknown
 *
 * Return: a negative errno, -EIO for an unknown name.
 */
int ec_error_from_bus_name(const char *name)
{
	const size_t prefix_len = strlen(EC_ERROR_PREFIX);
	size_t i;

	if (!name)
		return -EIO;
	for (i = 0; i < ARRAY_LEN(rows); i++)
		if (!strcmp(name, rows[i].bus_name) ||
		    !strcmp(name, rows[i].bus_name + prefix_len))
			return -rows[i].error;
	for (i = 0; i < ARRAY_LEN(foreign_names); i++)
		if (!strcmp(name, foreign_names[i].name))
			return -foreign_names[i].error;
	return -failed.error;
}
