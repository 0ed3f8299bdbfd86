/* SPDX-License-Identifier: GPL-2.0-only */
/* What ecryptfsctl and the PAM module need to talk to the broker on the system bus. */
#ifndef EC_BUS_CLIENT_H
#define EC_BUS_CLIENT_H

#include <stdint.h>
#include <systemd/sd-bus.h>

#define EC_BUS_NAME		"org.ecryptfs.Manager1"
#define EC_BUS_MANAGER_PATH	"/org/ecryptfs/Manager1"
#define EC_BUS_MANAGER_IFACE	"org.ecryptfs.Manager1"
#define EC_BUS_VAULT_IFACE	"org.ecryptfs.Vault1"
#define EC_BUS_VAULT_PREFIX	"/org/ecryptfs/Manager1/vault/"

/* The system bus, with a default call timeout. -ENOTCONN if there is none. */
int ec_bus_open(uint64_t timeout_us, sd_bus **ret_bus);
/* Negative errno for a bus error; logs nothing. */
int ec_bus_error_to_errno(const sd_bus_error *error, int r);

#endif
