/* SPDX-License-Identifier: GPL-2.0-only */
/* Limits of each uid, with a clock that the test turns. */
#include "daemon/manager.h"
#include "daemon/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000)
#define START (UINT64_C(1000) * SECOND)

static int set_up(void **state)
{
	static struct ecd_peer_list peers;

	TAILQ_INIT(&peers);
	*state = &peers;
	return 0;
}

static int tear_down(void **state)
{
	ecd_peers_done(*state);
	return 0;
}

static void wrong_secrets(void **state)
{
	struct ecd_peer *peer = ecd_peer_get(*state, 1000);
	unsigned int i;

	for (i = 0; i < ECD_PEER_WRONG_MAX; i++) {
		assert_true(ecd_peer_may_try(peer, START + i * SECOND));
		ecd_peer_count_wrong(peer, START + i * SECOND);
	}
	assert_false(ecd_peer_may_try(peer, START + 31 * SECOND));
	assert_false(ecd_peer_may_try(peer, START + 60 * SECOND - 1));
	/* The first is a minute old: one more. */
	assert_true(ecd_peer_may_try(peer, START + 60 * SECOND));
	ecd_peer_count_wrong(peer, START + 60 * SECOND);
	assert_false(ecd_peer_may_try(peer, START + 60 * SECOND));
	assert_true(ecd_peer_may_try(peer, START + 200 * SECOND));
	/* Others, and root, are not held up. */
	assert_true(ecd_peer_may_try(ecd_peer_get(*state, 1001), START));
	for (i = 0; i < 100; i++)
		ecd_peer_count_wrong(ecd_peer_get(*state, 0), START);
	assert_true(ecd_peer_may_try(ecd_peer_get(*state, 0), START));
}

/* Over an hour of guessing as fast as it goes, never more than 30 in any minute. */
static void rate_over_an_hour(void **state)
{
	struct ecd_peer *peer = ecd_peer_get(*state, 1000);
	unsigned int n = 0;
	uint64_t t;

	for (t = 0; t < 3600 * SECOND; t += SECOND / 10) {
		if (!ecd_peer_may_try(peer, START + t))
			continue;
		ecd_peer_count_wrong(peer, START + t);
		n++;
	}
	assert_int_equal(n, 60 * ECD_PEER_WRONG_MAX);
}

static void in_flight(void **state)
{
	struct ecd_peer *peer = ecd_peer_get(*state, 1000), *root = ecd_peer_get(*state, 0);

	peer->n_in_flight = ECD_PEER_IN_FLIGHT_MAX - 1;
	assert_true(ecd_peer_may_start(peer));
	peer->n_in_flight++;
	assert_false(ecd_peer_may_start(peer));
	/* What it has left to the store counts as if it still waited for it. */
	peer->n_in_flight = 1;
	peer->n_left = ECD_PEER_IN_FLIGHT_MAX - 2;
	assert_true(ecd_peer_may_start(peer));
	peer->n_left++;
	assert_false(ecd_peer_may_start(peer));
	root->n_in_flight = 1000;
	assert_true(ecd_peer_may_start(root));
}

static void trimmed(void **state)
{
	struct ecd_peer *busy = ecd_peer_get(*state, 1), *guesser = ecd_peer_get(*state, 2);

	ecd_peer_get(*state, 3);
	busy->n_left = 1;
	ecd_peer_count_wrong(guesser, START);
	ecd_peers_trim(*state, START + SECOND);
	assert_ptr_equal(TAILQ_FIRST((struct ecd_peer_list *)*state), busy);
	assert_ptr_equal(TAILQ_NEXT(busy, link), guesser);
	assert_null(TAILQ_NEXT(guesser, link));
	ecd_peers_trim(*state, START + 60 * SECOND);
	assert_null(TAILQ_NEXT(busy, link));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(wrong_secrets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rate_over_an_hour, set_up, tear_down),
		cmocka_unit_test_setup_teardown(in_flight, set_up, tear_down),
		cmocka_unit_test_setup_teardown(trimmed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
