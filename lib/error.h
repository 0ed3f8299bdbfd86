/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One vocabulary for what can go wrong: negative errno inside a program, an error name on the
 * bus, an exit code on the command line, a sentence for a person. One table, lib/error.c.
 *
 *   errno		bus name (org.ecryptfs.Error.*)	exit code
 *   ENOENT		NoSuchVault			3
 *   EKEYREJECTED	WrongSecret			4
 *   EBUSY		Busy				5
 *   EACCES, EPERM	NotAuthorized			6
 *   ENOTCONN		DaemonUnavailable		7
 *   EEXIST		AlreadyExists			8
 *   EOPNOTSUPP		NotSupported			9
 *   EBADMSG		DamagedDocument			10
 *   ENOKEY		Locked				11
 *   ENOSPC, EDQUOT	NoSpace				12
 *   ETIMEDOUT		TimedOut			13
 *   ELOOP		UnsafePath			14
 *   ENOPKG		MissingComponent		15
 *   EALREADY		AlreadyUnlocked			16
 *   EPROTO		ProtocolViolation		17
 *   EROFS		ReadOnly			18
 *   ECANCELED		Cancelled			19
 *   EAGAIN		RateLimited			20
 *   ENOTDIR		NoSuchDirectory			21
 *   EINVAL		InvalidArgument			2 (the code of wrong usage)
 *   any other		Failed				1
 *
 * The exit codes are part of the interface: they are never renumbered.
 */
#ifndef EC_ERROR_H
#define EC_ERROR_H

#define EC_ERROR_PREFIX "org.ecryptfs.Error."

/* r is a negative errno. Never NULL. */
const char *ec_error_bus_name(int r);
int ec_error_exit_code(int r);
/* What went wrong, as a clause without the name of the vault: "the secret is wrong". */
const char *ec_error_sentence(int r);
/* Full or short bus name to negative errno; -EIO for a name that is not ours, and maps the
 * D-Bus daemon's own names (ServiceUnknown, NoReply, AccessDenied, ...). */
int ec_error_from_bus_name(const char *name);

#endif
