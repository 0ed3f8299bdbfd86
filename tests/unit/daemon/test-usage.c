/* SPDX-License-Identifier: GPL-2.0-only */
/* When a home is closed: all that is known, and what follows. */
#include "daemon/logind.h"
#include "daemon/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define OPEN .mounted = true, .known = true

static void decides(void **state)
{
	static const struct {
		const char *name;
		struct ecd_usage usage;
		enum ecd_usage_action want;
	} rows[] = {
		{ "closed", { .known = true }, ECD_USAGE_NOTHING },
		{ "closed with sessions", { .known = true, .n_pam = 1, .n_logind = 1 },
		  ECD_USAGE_NOTHING },
		{ "open, nobody", { OPEN }, ECD_USAGE_CLOSE },
		{ "open, PAM", { OPEN, .n_pam = 1 }, ECD_USAGE_NOTHING },
		{ "open, logind", { OPEN, .n_logind = 1 }, ECD_USAGE_LOOK_AGAIN },
		{ "open, both", { OPEN, .n_pam = 2, .n_logind = 2 }, ECD_USAGE_NOTHING },
		{ "open, logind has not answered", { .mounted = true }, ECD_USAGE_NOTHING },
		{ "open, kept", { OPEN, .stay_open = true }, ECD_USAGE_NOTHING },
		{ "open, kept, logind", { OPEN, .stay_open = true, .n_logind = 1 },
		  ECD_USAGE_NOTHING },
		{ "open, closing already", { OPEN, .closing = true }, ECD_USAGE_NOTHING },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (ecd_usage_decide(&rows[i].usage) != rows[i].want)
			fail_msg("%s", rows[i].name);
	print_message("# %zu situations\n", i);
}

/* A home is closed in exactly one of all combinations. */
static void closes_only_then(void **state)
{
	unsigned int bits, n_close = 0;

	for (bits = 0; bits < 64; bits++) {
		const struct ecd_usage usage = {
			.mounted = bits & 1, .known = bits & 2, .stay_open = bits & 4,
			.closing = bits & 8, .n_pam = bits & 16 ? 1 : 0,
			.n_logind = bits & 32 ? 1 : 0,
		};

		n_close += ecd_usage_decide(&usage) == ECD_USAGE_CLOSE;
	}
	assert_int_equal(n_close, 1);
	print_message("# %u combinations, %u of them closes\n", bits, n_close);
}

static void counts_sessions(void **state)
{
	static const struct {
		const char *class, *state;
		bool want;
	} rows[] = {
		{ "user", "active", true }, { "user", "online", true }, { "user", "opening", true },
		{ "user", "closing", false }, { "user-early", "active", true },
		{ "user-incomplete", "online", true }, { "user-light", "online", true },
		{ "background", "online", true }, { "background", "closing", false },
		{ "background-light", "online", true },
		{ "manager", "active", false }, { "manager-early", "active", false },
		{ "greeter", "active", false }, { "lock-screen", "active", false },
		{ "none", "active", false }, { "", "", false },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(ecd_logind_session_counts(rows[i].class, rows[i].state),
				 rows[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decides),
		cmocka_unit_test(closes_only_then),
		cmocka_unit_test(counts_sessions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
