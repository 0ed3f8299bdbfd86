/* SPDX-License-Identifier: GPL-2.0-only */
/* org.ecryptfs.Manager1 on the bus: arguments, authorization and replies; no logic. */
#ifndef ECD_BUS_MANAGER_H
#define ECD_BUS_MANAGER_H

struct ecd_manager;

/* Adds the objects; the name is asked for afterwards, when everything is ready. */
int ecd_bus_manager_add(struct ecd_manager *manager);

#endif
