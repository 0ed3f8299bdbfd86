/* SPDX-License-Identifier: GPL-2.0-only */
/* The client's side of the system bus. */
#include "lib/bus-client.h"

#include "lib/error.h"

#include <errno.h>

/**
 * ec_bus_open() - a private connection to the system bus
 * @timeout_us:	default limit of each method call in microseconds
 * @ret_bus:	new; sd_bus_flush_close_unref() it
 *
 * Does not wait for the bus: what cannot be reached shows at the first call, within its limit.
 *
 * Return: 0, -ENOTCONN if there is no bus, -ENOMEM.
 */
int ec_bus_open(uint64_t timeout_us, sd_bus **ret_bus)
{
	sd_bus *bus = NULL;
	int r;

	r = sd_bus_open_system(&bus);
	if (r < 0)
		return r == -ENOMEM ? r : -ENOTCONN;
	r = sd_bus_set_method_call_timeout(bus, timeout_us);
	if (r < 0) {
		sd_bus_flush_close_unref(bus);
		return r;
	}
	*ret_bus = bus;
	return 0;
}

static int connection_errno(int r)
{
	switch (r) {
	case -ECONNREFUSED:
	case -ECONNRESET:
	case -EHOSTDOWN:
	case -EPIPE:
	case -ESHUTDOWN:
		return -ENOTCONN;
	default:
		return r < 0 ? r : -EIO;
	}
}

/**
 * ec_bus_error_to_errno() - what a failed call means
 * @error:	as filled by sd_bus_call(), or NULL
 * @r:		what sd_bus_call() returned
 *
 * Return: a negative errno of lib/error.h, or the connection's own.
 */
int ec_bus_error_to_errno(const sd_bus_error *error, int r)
{
	int named;

	if (!error || !sd_bus_error_is_set(error))
		return connection_errno(r);
	named = ec_error_from_bus_name(error->name);
	if (named != -EIO || sd_bus_error_has_name(error, EC_ERROR_PREFIX "Failed"))
		return named;
	/* System.Error.EXXX and what sd-bus knows besides. */
	return connection_errno(-sd_bus_error_get_errno(error));
}
