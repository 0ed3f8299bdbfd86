/* SPDX-License-Identifier: GPL-2.0-only */
/* fsopen(2), fsconfig(2), fsmount(2), and what the kernel says about them. */
#include "mount/fs-context.h"

#include "lib/cleanup.h"
#include "mount/pin.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>

#define STRING_LEN_MAX 255u	/* of a value, fsconfig(2) in fs/fsopen.c */

/* A message is "e text", "w text" or "i text"; ENODATA ends them (fs/fsopen.c). */
static void collect_messages(int fd, char *ret, size_t ret_len)
{
	char message[512];
	size_t used = 0;
	ssize_t n;

	ret[0] = 0;
	while ((n = read(fd, message, sizeof(message) - 1)) > 0) {
		char *text = message;

		while (n > 0 && message[n - 1] == '\n')
			n--;
		message[n] = 0;
		if (n >= 2 && message[1] == ' ')
			text += 2;
		used += (size_t)snprintf(ret + used, ret_len - used, "%s%s", used ? "; " : "", text);
		if (used >= ret_len)
			return;
	}
}

int ec_fs_context_explain(int fd, int r, const char *what, struct ec_why *why)
{
	char messages[700];

	collect_messages(fd, messages, sizeof(messages));
	return ec_why_set(why, r, "%s: %s%s%s%s", what, strerror(-r), messages[0] ? " (" : "",
			  messages, messages[0] ? ")" : "");
}

static int set_option(int fd, const struct ec_mount_option *option, struct ec_why *why)
{
	char what[128];
	int r;

	if (option->value)
		r = fsconfig(fd, FSCONFIG_SET_STRING, option->name, option->value, 0);
	else
		r = fsconfig(fd, FSCONFIG_SET_FLAG, option->name, NULL, 0);
	if (r == 0)
		return 0;
	r = -errno;
	snprintf(what, sizeof(what), "the kernel refuses the option %s", option->name);
	return ec_fs_context_explain(fd, r, what, why);
}

int ec_fs_context_new(const char *type, const struct ec_mount_request *request, int *ret_fd,
		      struct ec_why *why)
{
	const char *source = request->source_path;
	char by_fd[EC_PIN_PATH_LEN];
	_cleanup_close_ int fd = fsopen(type, FSOPEN_CLOEXEC);
	size_t i;
	int r;

	if (fd < 0) {
		r = -errno;
		return r == -ENODEV ? r : ec_why_set(why, r, "fsopen %s: %s", type, strerror(-r));
	}
	ec_pin_path(by_fd, request->source_fd);
	if (source && strlen(source) > STRING_LEN_MAX)
		source = NULL;
	if (fsconfig(fd, FSCONFIG_SET_STRING, "source", source ? source : by_fd, 0) < 0)
		return ec_fs_context_explain(fd, -errno, "the kernel refuses the source", why);
	for (i = 0; i < request->options->n_rows; i++) {
		r = set_option(fd, &request->options->rows[i], why);
		if (r < 0)
			return r;
	}

	*ret_fd = ec_take_fd(&fd);
	return 0;
}

int ec_fs_context_create(int fd, const char *type, const struct ec_mount_request *request,
			 int *ret_mount_fd, struct ec_why *why)
{
	char what[64];
	int mount_fd;

	snprintf(what, sizeof(what), "%s cannot be mounted", type);
	if (fsconfig(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return ec_fs_context_explain(fd, -errno, what, why);
	mount_fd = fsmount(fd, FSMOUNT_CLOEXEC, (unsigned int)request->attributes);
	if (mount_fd < 0)
		return ec_fs_context_explain(fd, -errno, what, why);
	*ret_mount_fd = mount_fd;
	return 0;
}
