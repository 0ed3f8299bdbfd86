/* SPDX-License-Identifier: GPL-2.0-only */
/* The worker's side of worker.socket. */
#include "mount/broker.h"

#include "lib/error.h"
#include "lib/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

int ec_broker_connect(struct ec_broker *broker, const char *path, const char *id,
		      unsigned int timeout_ms)
{
	struct timeval limit = {
		.tv_sec = timeout_ms / 1000,
		.tv_usec = timeout_ms % 1000 * 1000,
	};
	int r;

	*broker = (struct ec_broker){ .socket = -1, .id = id };
	r = ec_wire_connect(path, timeout_ms, &broker->socket);
	if (r < 0)
		return r;
	/* A stopped broker must not keep a home open. */
	if (setsockopt(broker->socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(broker->socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	return 0;
}

void ec_broker_done(struct ec_broker *broker)
{
	ec_closep(&broker->socket);
}

/* Takes the reference of body. */
static int say(struct ec_broker *broker, json_t *body)
{
	int r;

	if (broker->socket < 0 || !body) {
		json_decref(body);
		return body ? -ENOTCONN : -ENOMEM;
	}
	r = ec_wire_send(broker->socket, body, NULL, 0);
	json_decref(body);
	return r;
}

/* A conversation that broke once stays broken: a late answer would be taken for another one. */
static int hang_up(struct ec_broker *broker, int r)
{
	ec_closep(&broker->socket);
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

static int ask(struct ec_broker *broker, json_t *body, struct ec_wire_message *ret,
	       struct ec_why *why)
{
	const char *text = NULL;
	int r;

	r = say(broker, body);
	if (r == 0)
		r = ec_wire_recv(broker->socket, ret);
	if (r < 0)
		return hang_up(broker, r);
	r = ec_wire_reply_error(ret->body);
	if (r < 0) {
		json_unpack(ret->body, "{s:s}", "text", &text);
		ec_why_set(why, r, "%s", text ? text : ec_error_sentence(r));
	}
	return r;
}

int ec_broker_plan(struct ec_broker *broker, struct ec_plan *ret_plan,
		   struct ec_key_set *ret_keys, struct ec_why *why)
{
	_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
	_cleanup_key_set_ struct ec_key_set keys = EC_KEY_SET_NULL;
	_cleanup_plan_ struct ec_plan plan = EC_PLAN_NULL;
	_cleanup_close_ int fd = -1;
	int r;

	r = ask(broker, json_pack("{s:s, s:s}", "op", "plan", "id", broker->id), &reply, why);
	if (r < 0)
		return r;
	r = ec_wire_take_fd(&reply, 0, &fd);
	if (r == 0)
		r = ec_key_set_from_memfd(&keys, fd);
	if (r < 0)
		return ec_why_set(why, r, "the broker's plan came without proper keys");
	r = ec_plan_parse(reply.body, &plan, why);
	if (r == 0)
		r = ec_plan_check_keys(&plan, &keys, why);
	if (r < 0)
		return r;

	*ret_plan = plan;
	plan = EC_PLAN_NULL;
	*ret_keys = keys;
	keys = EC_KEY_SET_NULL;
	return 0;
}

static int tell(struct ec_broker *broker, json_t *body)
{
	_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;

	return ask(broker, body, &reply, NULL);
}

int ec_broker_mounted(struct ec_broker *broker, const char *engine)
{
	return tell(broker, json_pack("{s:s, s:s, s:s}", "op", "mounted", "id", broker->id,
				      "engine", engine));
}

int ec_broker_failed(struct ec_broker *broker, int error, const char *text, json_t *blockers)
{
	const char *name = ec_error_bus_name(error) + strlen(EC_ERROR_PREFIX);
	json_t *body;

	body = json_pack("{s:s, s:s, s:s, s:s}", "op", "failed", "id", broker->id,
			 "error", name, "text", text);
	if (!body)	/* text that is no UTF-8 */
		body = json_pack("{s:s, s:s, s:s, s:s}", "op", "failed", "id", broker->id,
				 "error", name, "text", ec_error_sentence(error));
	if (body && blockers)
		json_object_set(body, "blockers", blockers);
	return tell(broker, body);
}

int ec_broker_progress(struct ec_broker *broker, const char *text)
{
	return say(broker, json_pack("{s:s, s:s, s:s}", "op", "progress", "id", broker->id,
				     "text", text));
}

int ec_broker_unmounting(struct ec_broker *broker, struct ec_broker_stop *ret)
{
	_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
	int keep = false, detach, r;
	json_int_t grace_ms;

	r = ask(broker, json_pack("{s:s, s:s}", "op", "unmounting", "id", broker->id), &reply,
		NULL);
	if (r < 0)
		return r;
	if (json_unpack(reply.body, "{s:b, s:I, s?b}", "detach", &detach, "grace_ms", &grace_ms,
			"keep", &keep) < 0 ||
	    grace_ms < 0 || grace_ms > 3600 * 1000)
		return hang_up(broker, -EPROTO);
	*ret = (struct ec_broker_stop){
		.keep = keep,
		.detach = detach,
		.grace_ms = (unsigned int)grace_ms,
	};
	return 0;
}

int ec_broker_unmounted(struct ec_broker *broker, json_t *blockers, bool detached)
{
	return tell(broker, json_pack("{s:s, s:s, s:O, s:b}", "op", "unmounted", "id", broker->id,
				      "blockers", blockers, "detached", detached));
}
