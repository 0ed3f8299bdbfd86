/* SPDX-License-Identifier: GPL-2.0-only */
/* The decision when a home is closed, and nothing else. */
#include "daemon/session.h"

enum ecd_usage_action ecd_usage_decide(const struct ecd_usage *usage)
{
	if (!usage->mounted || usage->closing || usage->stay_open || !usage->known)
		return ECD_USAGE_NOTHING;
	if (usage->n_pam)
		return ECD_USAGE_NOTHING;
	return usage->n_logind ? ECD_USAGE_LOOK_AGAIN : ECD_USAGE_CLOSE;
}
