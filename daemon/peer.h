/* SPDX-License-Identifier: GPL-2.0-only */
/* What one uid may ask for: so much at a time, and so many wrong secrets a minute. */
#ifndef ECD_PEER_H
#define ECD_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#define ECD_PEER_IN_FLIGHT_MAX	8u
#define ECD_PEER_WRONG_MAX	30u
#define ECD_PEER_WRONG_WINDOW_US (60u * UINT64_C(1000000))

struct ecd_peer_list;

struct ecd_peer {
	TAILQ_ENTRY(ecd_peer) link;
	uid_t uid;
	unsigned int n_in_flight;
	unsigned int n_helpers;		/* key helpers at work for it */
	unsigned int n_left;		/* requests that nobody waits for, and the store works at */
	uint64_t served;		/* the turn in which it last got a key helper */
	uint64_t wrong_us[ECD_PEER_WRONG_MAX];	/* ring of the times of wrong secrets */
	unsigned int n_wrong;		/* ever; the next one goes to n_wrong % MAX */
};

/* Found or made; NULL only without memory. */
struct ecd_peer *ecd_peer_get(struct ecd_peer_list *peers, uid_t uid);
void ecd_peers_done(struct ecd_peer_list *peers);
/* Forgets those that have nothing in flight or at work, and no wrong secret within the window. */
void ecd_peers_trim(struct ecd_peer_list *peers, uint64_t now_us);

/* Root is never limited: it could open anything anyhow, and speaks for every login. What the store
 * still works at for those who have gone counts with what is in flight. */
bool ecd_peer_may_start(const struct ecd_peer *peer);
bool ecd_peer_may_try(const struct ecd_peer *peer, uint64_t now_us);
void ecd_peer_count_wrong(struct ecd_peer *peer, uint64_t now_us);

#endif
