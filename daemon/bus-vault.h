/* SPDX-License-Identifier: GPL-2.0-only */
/* org.ecryptfs.Vault1 on the bus. */
#ifndef ECD_BUS_VAULT_H
#define ECD_BUS_VAULT_H

struct ecd_manager;
struct ecd_vault;

int ecd_bus_vault_add(struct ecd_manager *manager);
void ecd_bus_vault_added(struct ecd_vault *vault);
void ecd_bus_vault_removed(struct ecd_vault *vault);
void ecd_bus_vault_changed(struct ecd_vault *vault);

#endif
