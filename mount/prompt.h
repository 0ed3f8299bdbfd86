/* SPDX-License-Identifier: GPL-2.0-only */
/* Questions on the terminal. */
#ifndef EC_MOUNT_PROMPT_H
#define EC_MOUNT_PROMPT_H

#include "lib/secret.h"

#include <stdbool.h>
#include <stddef.h>

/* Is there a terminal to ask at? */
bool ec_prompt_possible(void);
/*
 * One line without its newline; an empty answer is preset (NULL: none, asked again). 0;
 * -ECANCELED at end of input or a signal; -EMSGSIZE.
 */
int ec_prompt_line(const char *question, const char *preset, char *ret, size_t ret_len);
/* The same without echo, at most max bytes. An empty answer is -EINVAL. */
int ec_prompt_secret(const char *question, size_t max, struct ec_secret *ret);
/* "y", "yes", "n", "no"; asks until it is one of them. */
int ec_prompt_yes_no(const char *question, const char *preset, bool *ret);

#endif
