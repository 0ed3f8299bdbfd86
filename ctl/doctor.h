/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What `ecryptfsctl doctor` looks at. Each check adds one or more lines; those below read files
 * under a root directory ("" for the system's own), which is how they are tested.
 */
#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H

#include <jansson.h>

enum ctl_verdict {
	CTL_OK,
	CTL_WARN,
	CTL_FAIL,
};

/* Appends { "name", "status", "text", "next" } to checks. next: a command, or NULL. */
__attribute__((format(printf, 5, 6)))
void ctl_doctor_add(json_t *checks, enum ctl_verdict verdict, const char *name, const char *next,
		    const char *format, ...);

/* The filesystem: our module, else the kernel's own. release as of uname(2). */
void ctl_doctor_module(json_t *checks, const char *root, const char *release);
/* pam_ecryptfs in each stack, and in the right order. */
void ctl_doctor_pam(json_t *checks, const char *root);
/* Plaintext that reaches a disk: swap devices without encryption, hibernation to them. */
void ctl_doctor_swap(json_t *checks, const char *root);
/* Keys with an eCryptfs signature left in keyrings. */
void ctl_doctor_keyrings(json_t *checks, const char *root);
/* user@.service is ordered after the home. */
void ctl_doctor_order(json_t *checks, const char *root);

#endif
