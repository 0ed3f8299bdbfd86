/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A stopwatch around another PAM module, which the tests in a VM put in its place: how long it held
 * a login, whatever else the login did and however slow the machine is.
 *
 * in a stack:	session optional /path/pam_timed.so LOG /path/pam_other.so [ARGUMENT...]
 * Appends a line to LOG for each hook: service, user, hook, seconds; "load" is loading the module,
 * which is much for a slow machine to compute, and has nothing to do with what the module does.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

typedef int (*hook_fn)(pam_handle_t *pamh, int flags, int argc, const char **argv);

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static const char *item(pam_handle_t *pamh, int type)
{
	const void *value = NULL;

	return pam_get_item(pamh, type, &value) == PAM_SUCCESS && value ? value : "-";
}

static void note(pam_handle_t *pamh, const char *path, const char *hook, double seconds)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0 || dprintf(fd, "%s %s %s %.4f\n", item(pamh, PAM_SERVICE), item(pamh, PAM_USER),
			      hook, seconds) < 0)
		pam_syslog(pamh, LOG_ERR, "cannot write %s: %m", path);
	if (fd >= 0)
		close(fd);
}

static int time_hook(const char *hook, const char *symbol, pam_handle_t *pamh, int flags, int argc,
		     const char **argv)
{
	double start = now(), loaded;
	hook_fn function;
	void *module;
	int r;

	if (argc < 2)
		return PAM_SERVICE_ERR;
	module = dlopen(argv[1], RTLD_NOW);	/* stays: as libpam keeps it during a login */
	function = module ? (hook_fn)dlsym(module, symbol) : NULL;
	if (!function) {
		pam_syslog(pamh, LOG_ERR, "%s: %s", argv[1], dlerror());
		return PAM_SERVICE_ERR;
	}
	loaded = now();
	r = function(pamh, flags, argc - 2, argv + 2);
	note(pamh, argv[0], hook, now() - loaded);
	note(pamh, argv[0], "load", loaded - start);
	return r;
}

#define TIMED_HOOK(name) \
	PAM_EXTERN int pam_sm_##name(pam_handle_t *pamh, int flags, int argc, const char **argv) \
	{ \
		return time_hook(#name, "pam_sm_" #name, pamh, flags, argc, argv); \
	}

TIMED_HOOK(authenticate)
TIMED_HOOK(setcred)
TIMED_HOOK(open_session)
TIMED_HOOK(close_session)
TIMED_HOOK(chauthtok)
