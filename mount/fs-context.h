/* SPDX-License-Identifier: GPL-2.0-only */
/* A filesystem context, fsopen(2), with the kernel's own words collected on failure. */
#ifndef EC_MOUNT_FS_CONTEXT_H
#define EC_MOUNT_FS_CONTEXT_H

#include "mount/engine.h"

/* A new context of that type with source and options set. -ENODEV without a word. */
int ec_fs_context_new(const char *type, const struct ec_mount_request *request, int *ret_fd,
		      struct ec_why *why);
/* Makes the superblock and a mount of it that is attached nowhere. */
int ec_fs_context_create(int fd, const char *type, const struct ec_mount_request *request,
			 int *ret_mount_fd, struct ec_why *why);
/* Writes "what: kernel's messages" into why; returns r. */
int ec_fs_context_explain(int fd, int r, const char *what, struct ec_why *why);

#endif
