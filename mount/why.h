/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sentence that goes with an error code. The function that knows most about a failure writes
 * it; those above forward it untouched. No secret ever comes here.
 */
#ifndef EC_MOUNT_WHY_H
#define EC_MOUNT_WHY_H

struct ec_why {
	char text[1024];	/* valid UTF-8 not promised: paths are bytes */
};

#define EC_WHY_NULL ((struct ec_why){ .text = "" })

/* Keeps the first text; why may be NULL. Returns r, so that a caller can return it at once. */
__attribute__((format(printf, 3, 4)))
int ec_why_set(struct ec_why *why, int r, const char *format, ...);
/* The text, or the sentence of lib/error.h where nobody wrote one. */
const char *ec_why_text(const struct ec_why *why, int r);

#endif
