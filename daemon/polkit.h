/* SPDX-License-Identifier: GPL-2.0-only */
/* Asking polkit whether the caller of a method may do it, without waiting for the answer. */
#ifndef ECD_POLKIT_H
#define ECD_POLKIT_H

#include <stdbool.h>
#include <systemd/sd-bus.h>

#define ECD_ACTION_CREATE_HOME		"org.ecryptfs.create-home"
#define ECD_ACTION_MANAGE_OTHERS	"org.ecryptfs.manage-others"

struct ecd_manager;
struct ecd_polkit;

/* r: 0 allowed; -EACCES refused; -ECANCELED the caller is gone. *slot is cleared before. */
typedef void (*ecd_polkit_fn)(void *userdata, int r);

/* Never calls fn before it returns. Holds a reference to the message. */
int ecd_polkit_check(struct ecd_manager *manager, struct ecd_polkit **slot,
		     sd_bus_message *message, const char *action, ecd_polkit_fn fn,
		     void *userdata);
/* Gives the question up, and takes the dialogue off the caller's screen. Copes with NULL. */
void ecd_polkit_free(struct ecd_polkit *polkit);

#endif
