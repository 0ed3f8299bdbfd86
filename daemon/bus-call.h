/* SPDX-License-Identifier: GPL-2.0-only */
/* What all methods have in common: who calls, may they, their secrets, and the reply. */
#ifndef ECD_BUS_CALL_H
#define ECD_BUS_CALL_H

#include "daemon/operation.h"

#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

/* The effective uid of the sender, as the bus knows it. */
int ecd_call_uid(sd_bus_message *message, uid_t *ret_uid);
/* Reads an "h" that is a sealed memfd. Sets error. */
int ecd_call_read_secret(sd_bus_message *message, struct ec_secret *ret, sd_bus_error *error);
/* Sets error from errno and text, with the hint that belongs to it. Returns r. */
__attribute__((format(printf, 3, 4)))
int ecd_call_error(sd_bus_error *error, int r, const char *format, ...);

/* Reads or skips the variant of one entry of an a{sv}. */
typedef int (*ecd_entry_fn)(sd_bus_message *message, const char *key, void *userdata,
			    sd_bus_error *error);
/* Calls fn for each entry. A value of the wrong type is a named error. */
int ecd_call_read_entries(sd_bus_message *message, ecd_entry_fn fn, void *userdata,
			  sd_bus_error *error);
/* Absolute, not "/", without empty, "." and ".." components. */
bool ecd_call_is_normal_path(const char *path);

/*
 * An operation that answers message when it ends, by reply on success. The sender is watched:
 * whoever vanishes is not worked for any more.
 */
int ecd_call_operation(struct ecd_manager *manager, sd_bus_message *message,
		       enum ecd_operation_kind kind, uid_t uid, ecd_operation_fn reply,
		       struct ecd_operation **ret, sd_bus_error *error);
/* Calls go at once if allowed, else when polkit has said yes; a no ends the operation. */
void ecd_call_authorize(struct ecd_operation *operation, bool allowed, const char *action,
			ecd_operation_fn go);
/* Starts an operation that has no vault; what follows an authorization. */
void ecd_call_start(struct ecd_operation *operation, void *userdata);
/* A failure as it is, with its hint. */
int ecd_call_reply_text(sd_bus_message *message, const struct ecd_failure *failure);
/* The failure of an operation as the reply to its message, and to the journal. */
void ecd_call_reply_failure(struct ecd_operation *operation);

#endif
