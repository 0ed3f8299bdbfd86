/* SPDX-License-Identifier: GPL-2.0-only */
/* What the person or the script at the other end reads: errors with advice, and JSON. */
#include "ctl/ctl.h"

#include "lib/error.h"

#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <string.h>

/* The next command. Suggestions live here, not where errors arise. */
static const char *hint(int r)
{
	switch (r) {
	case -ENOENT:
		return "`ecryptfsctl list` shows the vaults that you may see.";
	case -ENOTDIR:
		return "Make that directory first.";
	case -EKEYREJECTED:
		return "Try again, or use the recovery key.";
	case -EBUSY:
		return "End the programs that use it, or use --force.";
	case -EACCES:
	case -EPERM:
		return "Try again as root.";
	case -ENOTCONN:
	case -ENOPKG:
	case -ETIMEDOUT:
	case -EPROTO:
		return "`ecryptfsctl doctor` looks for the cause.";
	case -EBADMSG:
		return "The previous version is beside it, with the ending .bak.";
	case -ENOKEY:
		return "`ecryptfsctl unlock` opens it.";
	case -ENOTTY:
		return "Without a terminal, give --key-file or --key-fd.";
	default:
		return "";
	}
}

static const char *own_sentence(int r)
{
	switch (r) {
	case -ENOTTY:
		return "there is no terminal to ask for the secret";
	case -EMSGSIZE:
		return "the secret is too long";
	case -ENOMEM:
		return "there is no memory, or none that may be locked (see RLIMIT_MEMLOCK)";
	default:
		return ec_error_sentence(r);
	}
}

/* What a clause lacks to be a sentence. */
static const char *full_stop(const char *text)
{
	size_t len = strlen(text);

	return len && strchr(".!?", text[len - 1]) ? "" : ".";
}

int ctl_fail(const struct ctl *ctl, int r, const char *doing, const char *what, const char *text)
{
	const char *advice = hint(r);
	json_t *error;

	if (!text || !text[0])
		text = own_sentence(r);
	if (!what || !what[0])
		what = "your home";
	/* A sentence of the broker's has subject and advice; a clause gets both here. */
	if (full_stop(text)[0])
		fprintf(stderr, "ecryptfsctl: cannot %s %s: %s.%s%s\n", doing, what, text,
			advice[0] ? " " : "", advice);
	else
		fprintf(stderr, "ecryptfsctl: %s\n", text);
	if (ctl->json != CTL_JSON_OFF) {
		error = json_pack("{s:{s:s, s:s, s:i}}", "error",
				  "name", ec_error_bus_name(r) + strlen(EC_ERROR_PREFIX),
				  "text", text, "exit_code", ec_error_exit_code(r));
		(void)ctl_print_json(ctl, error);
	}
	return ec_error_exit_code(r);
}

int ctl_usage_error(const char *verb, const char *format, ...)
{
	va_list args;

	fputs("ecryptfsctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, ". See `ecryptfsctl %s%s--help`.\n", verb ? verb : "", verb ? " " : "");
	return ec_error_exit_code(-EINVAL);
}

char *ctl_printable(const char *text)
{
	char *copy = strdup(text), *c;

	for (c = copy; c && *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return copy;
}

static int write_out(const char *text, size_t len, void *userdata)
{
	return fwrite(text, 1, len, stdout) == len ? 0 : -1;
}

int ctl_print_json(const struct ctl *ctl, json_t *object)
{
	size_t flags = ctl->json == CTL_JSON_PRETTY ? JSON_INDENT(2) : JSON_COMPACT;
	json_t *whole;
	int r;

	whole = json_pack("{s:i}", "version", CTL_JSON_VERSION);
	if (!whole || !object || json_object_update(whole, object) < 0) {
		json_decref(whole);
		json_decref(object);
		return ctl_fail(&(struct ctl){ 0 }, -ENOMEM, "print", "the result", NULL);
	}
	json_decref(object);
	r = json_dump_callback(whole, write_out, NULL, flags);
	json_decref(whole);
	putchar('\n');
	if (r < 0 || fflush(stdout) == EOF) {
		fputs("ecryptfsctl: cannot write to standard output.\n", stderr);
		return ec_error_exit_code(-EIO);
	}
	return 0;
}

static void wiping_free(void *block)
{
	if (!block)
		return;
	explicit_bzero(block, malloc_usable_size(block));
	free(block);
}

void ctl_json_wipe_memory(void)
{
	json_set_alloc_funcs(malloc, wiping_free);
}
