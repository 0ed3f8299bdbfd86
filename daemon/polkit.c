/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CheckAuthorization of polkit. The subject is the unique bus name of the caller, which only the
 * bus itself gives away; nothing that the client says goes into the question. A caller that
 * vanishes while a person is asked is never authorized.
 */
#include "daemon/polkit.h"

#include "daemon/manager.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <stdlib.h>

#define POLKIT_NAME	"org.freedesktop.PolicyKit1"
#define POLKIT_PATH	"/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_IFACE	"org.freedesktop.PolicyKit1.Authority"
#define ANSWER_TIMEOUT_US (300u * UINT64_C(1000000))	/* a person types a password */
#define FLAG_INTERACTION 1u

struct ecd_polkit {
	struct ecd_manager *manager;
	struct ecd_polkit **slot;
	sd_bus_message *message;
	sd_bus_track *track;
	sd_bus_slot *call;
	char cancellation_id[24];
	bool answered;
	ecd_polkit_fn fn;
	void *userdata;
};

static void cancel_dialogue(struct ecd_polkit *polkit)
{
	sd_bus_message *call = NULL;

	/* No reply is wanted, and no failure would change anything. */
	if (sd_bus_message_new_method_call(polkit->manager->bus, &call, POLKIT_NAME, POLKIT_PATH,
					   POLKIT_IFACE, "CancelCheckAuthorization") >= 0 &&
	    sd_bus_message_append(call, "s", polkit->cancellation_id) >= 0 &&
	    sd_bus_message_set_expect_reply(call, 0) >= 0)
		(void)sd_bus_send(polkit->manager->bus, call, NULL);
	sd_bus_message_unref(call);
}

void ecd_polkit_free(struct ecd_polkit *polkit)
{
	if (!polkit)
		return;
	if (polkit->call && !polkit->answered)
		cancel_dialogue(polkit);
	sd_bus_slot_unref(polkit->call);
	sd_bus_track_unref(polkit->track);
	sd_bus_message_unref(polkit->message);
	if (polkit->slot)
		*polkit->slot = NULL;
	free(polkit);
}

static void complete(struct ecd_polkit *polkit, int r)
{
	ecd_polkit_fn fn = polkit->fn;
	void *userdata = polkit->userdata;

	ecd_polkit_free(polkit);
	fn(userdata, r);
}

static int on_vanished(sd_bus_track *track, void *userdata)
{
	complete(userdata, -ECANCELED);
	return 1;
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
	struct ecd_polkit *polkit = userdata;
	int authorized = 0, challenge = 0, r = -EACCES;

	polkit->answered = true;
	if (!sd_bus_message_is_method_error(reply, NULL) &&
	    sd_bus_message_enter_container(reply, 'r', "bba{ss}") > 0 &&
	    sd_bus_message_read(reply, "bb", &authorized, &challenge) > 0 && authorized)
		r = 0;
	/* The name could have gone in the moment of the answer. */
	if (r == 0 && sd_bus_track_count(polkit->track) == 0)
		r = -ECANCELED;
	complete(polkit, r);
	return 0;
}

static int ask(struct ecd_polkit *polkit, const char *action)
{
	uint32_t flags = sd_bus_message_get_allow_interactive_authorization(polkit->message) > 0 ?
			 FLAG_INTERACTION : 0;
	sd_bus_message *call = NULL;
	int r;

	r = sd_bus_message_new_method_call(polkit->manager->bus, &call, POLKIT_NAME, POLKIT_PATH,
					   POLKIT_IFACE, "CheckAuthorization");
	if (r >= 0)
		r = sd_bus_message_append(call, "(sa{sv})s", "system-bus-name", 1, "name", "s",
					  sd_bus_message_get_sender(polkit->message), action);
	if (r >= 0)
		r = sd_bus_message_append(call, "a{ss}us", 0, flags, polkit->cancellation_id);
	if (r >= 0)
		r = sd_bus_call_async(polkit->manager->bus, &polkit->call, call, on_answer, polkit,
				      ANSWER_TIMEOUT_US);
	sd_bus_message_unref(call);
	return r;
}

int ecd_polkit_check(struct ecd_manager *manager, struct ecd_polkit **slot,
		     sd_bus_message *message, const char *action, ecd_polkit_fn fn, void *userdata)
{
	static uint64_t last_id;
	struct ecd_polkit *polkit;
	int r;

	polkit = calloc(1, sizeof(*polkit));
	if (!polkit)
		return -ENOMEM;
	polkit->manager = manager;
	polkit->message = sd_bus_message_ref(message);
	polkit->fn = fn;
	polkit->userdata = userdata;
	snprintf(polkit->cancellation_id, sizeof(polkit->cancellation_id), "%llu",
		 (unsigned long long)++last_id);

	r = sd_bus_track_new(manager->bus, &polkit->track, on_vanished, polkit);
	if (r >= 0)
		r = sd_bus_track_add_sender(polkit->track, message);
	if (r >= 0)
		r = ask(polkit, action);
	if (r < 0) {
		ecd_polkit_free(polkit);
		return r;
	}
	polkit->slot = slot;
	*slot = polkit;
	return 0;
}
