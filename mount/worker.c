/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ecryptfs-mount: the mount worker, the process of ecryptfs-mount@.service. The only part of the
 * suite that may mount; it does what the broker's plan says and chooses nothing.
 */
#include "mount/worker.h"

#include "lib/error.h"
#include "lib/secret.h"
#include "mount/plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*run)(const char *id);
} verbs[] = {
	{ "start", ec_worker_start },
	{ "stop", ec_worker_stop },
	{ "tidy", ec_worker_tidy },
};

int main(int argc, char **argv)
{
	size_t i;

	ec_secret_harden_process();
	for (i = 0; argc == 3 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		int r;

		if (strcmp(argv[1], verbs[i].name))
			continue;
		if (!ec_plan_id_valid(argv[2])) {
			fprintf(stderr, "ecryptfs-mount: \"%s\" is no vault's id\n", argv[2]);
			return ec_error_exit_code(-EINVAL);
		}
		r = verbs[i].run(argv[2]);
		return r < 0 ? ec_error_exit_code(r) : 0;
	}
	fprintf(stderr, "usage: ecryptfs-mount start|stop|tidy ID\n");
	return ec_error_exit_code(-EINVAL);
}
