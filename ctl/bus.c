/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls to the broker. */
#include "ctl/ctl.h"

#include "lib/bus-client.h"
#include "lib/error.h"

#include <errno.h>
#include <string.h>

#define CALL_US (30ULL * 1000 * 1000)

int ctl_bus(struct ctl *ctl)
{
	int r;

	if (ctl->bus)
		return 0;
	r = ec_bus_open(CALL_US, &ctl->bus);
	if (r < 0)
		return ctl_fail(ctl, r, "reach", "the system bus",
				"there is none to connect to");
	return 0;
}

int ctl_call_new(struct ctl *ctl, const char *path, const char *interface, const char *member,
		 sd_bus_message **ret)
{
	int r;

	r = sd_bus_message_new_method_call(ctl->bus, ret, EC_BUS_NAME, path, interface, member);
	if (r < 0)
		return r;
	return sd_bus_message_set_allow_interactive_authorization(*ret, 1);
}

/* The broker's own words; what the bus says itself is put better by lib/error.c. */
static char *own_text(const sd_bus_error *error)
{
	if (!error->name || strncmp(error->name, EC_ERROR_PREFIX, strlen(EC_ERROR_PREFIX)) != 0 ||
	    !error->message || !error->message[0])
		return NULL;
	return ctl_printable(error->message);
}

int ctl_call(struct ctl *ctl, sd_bus_message *call, uint64_t timeout_us, sd_bus_message **ret_reply,
	     char **ret_text)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	int r;

	*ret_text = NULL;
	r = sd_bus_call(ctl->bus, call, timeout_us, &error, ret_reply);
	if (r >= 0)
		return 0;
	*ret_text = own_text(&error);
	return ec_bus_error_to_errno(&error, r);
}

/* The message has a descriptor of its own afterwards. */
int ctl_append_secret(sd_bus_message *call, const struct ec_secret *secret)
{
	_cleanup_close_ int fd = -1;
	int r;

	r = ec_secret_to_memfd(secret, &fd);
	if (r < 0)
		return r;
	return sd_bus_message_append(call, "h", fd);
}
