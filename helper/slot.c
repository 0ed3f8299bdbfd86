/* SPDX-License-Identifier: GPL-2.0-only */
/* The table of slot types of vault documents. */
#include "helper/slot.h"

#include <string.h>

static const struct ecd_slot_type *const types[] = {
	&ecd_slot_recovery,	/* told by its form and opened without cost: first */
	&ecd_slot_passphrase,
};

const struct ecd_slot_type *ecd_slot_type_row(size_t i)
{
	return i < sizeof(types) / sizeof(types[0]) ? types[i] : NULL;
}

const struct ecd_slot_type *ecd_slot_type_by_name(const char *name)
{
	const struct ecd_slot_type *type;
	size_t i;

	for (i = 0; name && (type = ecd_slot_type_row(i)); i++)
		if (!strcmp(type->name, name))
			return type;
	return NULL;
}
