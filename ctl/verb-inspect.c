/* SPDX-License-Identifier: GPL-2.0-only */
/* inspect: what a lower file says about itself, without key, daemon or module. */
#include "ctl/ctl.h"

#include "lib/error.h"
#include "offline/describe.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static const char doing[] = "inspect";

/* Only regular files: nothing is opened that could block or act. */
static int open_lower(const char *path, const char **ret_reason)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		*ret_reason = strerror(errno);
		return -errno;
	}
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode)) {
		*ret_reason = "it is not a regular file";
		return -EINVAL;
	}
	return ec_take_fd(&fd);
}

/* The target of a symlink is an encrypted name, too. */
static int describe_link(const char *path, json_t **ret, const char **ret_reason)
{
	char target[4096];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	json_t *name = NULL;
	int r;

	if (n < 0)
		return -errno;
	target[n] = '\0';
	r = ec_offline_describe_name(target, &name, ret_reason);
	if (r == -ENODATA)
		*ret_reason = "it is a symbolic link with a target that is not encrypted";
	if (r < 0)
		return r;
	*ret = json_pack("{s:o}", "target", name);
	return 0;
}

static int describe_header(int fd, json_t **ret, const char **ret_reason)
{
	json_t *header = NULL;
	int r;

	r = ec_offline_describe_file(fd, &header, ret_reason);
	if (r < 0)
		return r;
	*ret = json_pack("{s:o}", "header", header);
	return *ret ? 0 : -ENOMEM;
}

/* { "header": } of a file, { "target": } of a link */
static int describe(const char *path, json_t **ret, const char **ret_reason)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (lstat(path, &st) < 0) {
		*ret_reason = strerror(errno);
		return -errno;
	}
	if (S_ISLNK(st.st_mode))
		return describe_link(path, ret, ret_reason);
	fd = open_lower(path, ret_reason);
	if (fd < 0)
		return fd;
	return describe_header(fd, ret, ret_reason);
}

/* A plain name is nothing to tell of; a broken encrypted one is told with its reason. */
static void add_name(json_t *object, const char *path)
{
	const char *slash = strrchr(path, '/'), *reason = NULL;
	json_t *name = NULL;
	int r;

	r = ec_offline_describe_name(slash ? slash + 1 : path, &name, &reason);
	if (r == 0)
		json_object_set_new(object, "name", name);
	else if (r != -ENODATA)
		json_object_set_new(object, "name", json_pack("{s:s}", "error",
							      reason ? reason :
							      ec_error_sentence(r)));
}

static void print_value(const char *label, const json_t *value, int indent)
{
	printf("%*s%-*s", indent, "", 20 - indent, label);
	if (json_is_string(value)) {
		_cleanup_free_ char *text = ctl_printable(json_string_value(value));

		puts(text ? text : "");
	} else if (json_is_integer(value)) {
		printf("%lld\n", (long long)json_integer_value(value));
	} else {
		puts(json_is_true(value) ? "yes" : "no");
	}
}

static void print_flags(const json_t *flags)
{
	json_t *flag;
	size_t i;

	printf("%-20s", "flags");
	json_array_foreach(flags, i, flag)
		printf("%s%s", i ? ", " : "", json_string_value(flag));
	putchar('\n');
}

static void print_members(json_t *object, int indent);

static void print_packets(const json_t *packets)
{
	json_t *packet;
	size_t i;

	json_array_foreach(packets, i, packet) {
		printf("packet %zu\n", i);
		print_members(packet, 2);
	}
}

/* The plain values first, then what is made of parts. */
static void print_members(json_t *object, int indent)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
		if (!json_is_array(value) && !json_is_object(value))
			print_value(key, value, indent);
	json_object_foreach(object, key, value) {
		if (!strcmp(key, "flags")) {
			print_flags(value);
		} else if (!strcmp(key, "packets")) {
			print_packets(value);
		} else if (json_is_object(value)) {
			puts(key);
			print_members(value, 2);
		}
	}
}

static int fail(const struct ctl *ctl, int r, const char *path, const char *reason)
{
	json_t *object;

	if (!reason)
		reason = ec_error_sentence(r);
	/* Not a vault that is missing or a document that is damaged: no advice about those. */
	fprintf(stderr, "ecryptfsctl: cannot %s %s: %s.\n", doing, path, reason);
	if (ctl->json != CTL_JSON_OFF) {
		object = json_pack("{s:{s:s, s:s, s:i}}", "error",
				   "name", ec_error_bus_name(r) + strlen(EC_ERROR_PREFIX),
				   "text", reason, "exit_code", ec_error_exit_code(r));
		json_object_set_new(object, "file", json_string(path));	/* if it is UTF-8 */
		(void)ctl_print_json(ctl, object);
	}
	return ec_error_exit_code(r);
}

static int inspect(const struct ctl *ctl, const char *path)
{
	const char *reason = NULL;
	json_t *object = NULL, *header;
	int r;

	r = describe(path, &object, &reason);
	if (r < 0)
		return fail(ctl, r, path, reason);
	add_name(object, path);
	if (ctl->json != CTL_JSON_OFF) {
		json_object_set_new(object, "file", json_string(path));
		return ctl_print_json(ctl, object);
	}
	if (ctl->n_args > 1)
		printf("%s:\n", path);
	header = json_object_get(object, "header");
	if (header)
		print_members(header, 0);
	json_object_del(object, "header");
	print_members(object, 0);
	if (ctl->n_args > 1)
		putchar('\n');
	json_decref(object);
	return 0;
}

/* All of them, one JSON object each; the exit code is that of the first that failed. */
int ctl_verb_inspect(struct ctl *ctl)
{
	int i, r, first = 0;

	for (i = 0; i < ctl->n_args; i++) {
		r = inspect(ctl, ctl->args[i]);
		if (r != 0 && !first)
			first = r;
	}
	return first;
}
