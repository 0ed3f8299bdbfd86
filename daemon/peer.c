/* SPDX-License-Identifier: GPL-2.0-only */
/* Limits for each uid. Time is an argument, so that the tests need not wait. */
#include "daemon/peer.h"

#include "daemon/manager.h"

#include <stdlib.h>

struct ecd_peer *ecd_peer_get(struct ecd_peer_list *peers, uid_t uid)
{
	struct ecd_peer *peer;

	TAILQ_FOREACH(peer, peers, link)
		if (peer->uid == uid)
			return peer;
	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return NULL;
	peer->uid = uid;
	TAILQ_INSERT_TAIL(peers, peer, link);
	return peer;
}

static void peer_free(struct ecd_peer_list *peers, struct ecd_peer *peer)
{
	TAILQ_REMOVE(peers, peer, link);
	free(peer);
}

void ecd_peers_done(struct ecd_peer_list *peers)
{
	struct ecd_peer *peer;

	while ((peer = TAILQ_FIRST(peers)))
		peer_free(peers, peer);
}

/* How many of the remembered wrong secrets are younger than the window. */
static unsigned int count_recent(const struct ecd_peer *peer, uint64_t now_us)
{
	unsigned int i, n = 0;

	for (i = 0; i < ECD_PEER_WRONG_MAX && i < peer->n_wrong; i++)
		if (now_us - peer->wrong_us[i] < ECD_PEER_WRONG_WINDOW_US)
			n++;
	return n;
}

void ecd_peers_trim(struct ecd_peer_list *peers, uint64_t now_us)
{
	struct ecd_peer *peer, *next;

	for (peer = TAILQ_FIRST(peers); peer; peer = next) {
		next = TAILQ_NEXT(peer, link);
		if (!peer->n_in_flight && !peer->n_helpers && !peer->n_left &&
		    !count_recent(peer, now_us))
			peer_free(peers, peer);
	}
}

bool ecd_peer_may_start(const struct ecd_peer *peer)
{
	return peer->uid == 0 || peer->n_in_flight + peer->n_left < ECD_PEER_IN_FLIGHT_MAX;
}

bool ecd_peer_may_try(const struct ecd_peer *peer, uint64_t now_us)
{
	return peer->uid == 0 || count_recent(peer, now_us) < ECD_PEER_WRONG_MAX;
}

void ecd_peer_count_wrong(struct ecd_peer *peer, uint64_t now_us)
{
	peer->wrong_us[peer->n_wrong % ECD_PEER_WRONG_MAX] = now_us;
	peer->n_wrong++;
}
