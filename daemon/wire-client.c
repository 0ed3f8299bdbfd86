/* SPDX-License-Identifier: GPL-2.0-only */
/* Requests over SOCK_SEQPACKET, and the queue for the few key helpers that may run at once. */
#include "daemon/wire-client.h"

#include "daemon/failure.h"
#include "daemon/manager.h"
#include "daemon/peer.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define HELPERS_MAX	2u
#define CONNECT_STEP_US	20000u

struct ecd_request {
	TAILQ_ENTRY(ecd_request) link;	/* manager->helper_waiting or given_up */
	struct ecd_manager *manager;
	struct ecd_request **slot;
	const struct ecd_service *service;
	uid_t uid;
	json_t *body;
	int fds[EC_WIRE_FDS_MAX];
	size_t n_fds;
	ecd_reply_fn fn;
	void *userdata;
	int socket;
	bool waiting, running, given_up;
	sd_event_source *io, *retry, *deadline;
};

static void start_next(struct ecd_manager *manager);

static void drop_input(struct ecd_request *request)
{
	size_t i;

	json_decref(request->body);
	request->body = NULL;
	for (i = 0; i < request->n_fds; i++)
		ec_closep(&request->fds[i]);
	request->n_fds = 0;
}

static void request_release(struct ecd_request *request)
{
	struct ecd_manager *manager = request->manager;
	bool was_running = request->running && request->service->limited;
	bool was_left = request->given_up && !request->service->limited;
	struct ecd_peer *peer = was_running || was_left ?
				ecd_peer_get(&manager->peers, request->uid) : NULL;

	if (request->waiting)
		TAILQ_REMOVE(&manager->helper_waiting, request, link);
	if (request->given_up)
		TAILQ_REMOVE(&manager->given_up, request, link);
	sd_event_source_disable_unref(request->io);
	sd_event_source_disable_unref(request->retry);
	sd_event_source_disable_unref(request->deadline);
	ec_closep(&request->socket);
	drop_input(request);
	if (request->slot)
		*request->slot = NULL;
	free(request);
	if (peer && was_running && peer->n_helpers)
		peer->n_helpers--;
	if (peer && was_left && peer->n_left)
		peer->n_left--;
	if (was_running) {
		manager->n_helper_running--;
		start_next(manager);
	}
}

static void forget(void *userdata, const struct ecd_failure *failure,
		   struct ec_wire_message *reply)
{
}

/*
 * Who has a request works on, whoever has lost interest. A helper keeps its place until it has
 * ended, and the store is counted for its caller, also past the deadline: else somebody who comes
 * and goes could have any number of them at work. What the store does for root is not counted.
 */
static bool works_on(const struct ecd_request *request)
{
	return request->running && request->io && !request->body &&
	       (request->service->limited || request->uid);
}

static void give_up(struct ecd_request *request)
{
	struct ecd_peer *peer;

	if (request->slot)
		*request->slot = NULL;
	request->slot = NULL;
	request->fn = forget;
	request->userdata = NULL;
	request->given_up = true;
	TAILQ_INSERT_TAIL(&request->manager->given_up, request, link);
	if (request->service->limited)
		return;
	request->deadline = sd_event_source_disable_unref(request->deadline);
	peer = ecd_peer_get(&request->manager->peers, request->uid);
	if (peer)
		peer->n_left++;
}

void ecd_request_free(struct ecd_request *request)
{
	if (!request)
		return;
	if (works_on(request))
		give_up(request);
	else
		request_release(request);
}

void ecd_requests_done(struct ecd_manager *manager)
{
	struct ecd_request *request;

	while ((request = TAILQ_FIRST(&manager->given_up)))
		request_release(request);
}

/* Frees the request, then tells its owner: who may free himself in turn. */
static void complete(struct ecd_request *request, const struct ecd_failure *failure,
		     struct ec_wire_message *reply)
{
	ecd_reply_fn fn = request->fn;
	void *userdata = request->userdata;

	request_release(request);
	fn(userdata, failure, reply);
}

static void service_failed(const struct ecd_service *service, int r, struct ecd_failure *failure)
{
	switch (r) {
	case -ETIMEDOUT:
		ecd_fail(failure, r, service->message_id, "%s did not answer in time",
			 service->title);
		break;
	case -ENOTCONN:
		ecd_fail(failure, r, service->message_id, "%s cannot be reached (is its socket "
			 "unit active?)", service->title);
		break;
	case -ECONNRESET:
	case -EPIPE:
		ecd_fail(failure, -EIO, service->message_id, "%s ended without an answer",
			 service->title);
		break;
	case -EPROTO:
		ecd_fail(failure, r, service->message_id, "%s answered something unintelligible",
			 service->title);
		break;
	default:
		ecd_fail(failure, r, service->message_id, "talking to %s failed: %s",
			 service->title, strerror(-r));
	}
}

static void complete_failed(struct ecd_request *request, int r)
{
	struct ecd_failure failure;

	service_failed(request->service, r, &failure);
	complete(request, &failure, NULL);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ecd_request *request = userdata;
	ecd_reply_fn fn = request->fn;
	void *owner = request->userdata;
	struct ecd_failure failure;

	service_failed(request->service, -ETIMEDOUT, &failure);
	if (request->service->limited)
		request_release(request);
	else
		ecd_request_free(request);
	fn(owner, &failure, NULL);
	return 0;
}

static void receive_reply(struct ecd_request *request)
{
	_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
	struct ecd_failure failure;
	int r;

	r = ec_wire_recv(request->socket, &reply);
	if (r == -EAGAIN)
		return;
	if (r < 0) {
		complete_failed(request, r);
		return;
	}
	r = ec_wire_reply_error(reply.body);
	if (r < 0) {
		const char *text = json_string_value(json_object_get(reply.body, "text"));

		ecd_fail(&failure, r, NULL, "%s", text ? text : "");
		complete(request, &failure, NULL);
		return;
	}
	complete(request, NULL, &reply);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct ecd_request *request = userdata;
	int r;

	if (!request->body) {
		receive_reply(request);
		return 0;
	}
	r = ec_wire_send(fd, request->body, request->fds, request->n_fds);
	if (r == -EAGAIN)
		return 0;
	if (r < 0) {
		complete_failed(request, r);
		return 0;
	}
	drop_input(request);
	r = sd_event_source_set_io_events(source, EPOLLIN);
	if (r < 0)
		complete_failed(request, r);
	return 0;
}

static int try_connect(struct ecd_request *request);

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ecd_request *request = userdata;
	int r;

	r = try_connect(request);
	if (r < 0)
		complete_failed(request, r);
	return 0;
}

/* connect(2) of a non-blocking unix socket is done, or the backlog is full: then later. */
static int try_connect(struct ecd_request *request)
{
	struct ecd_manager *manager = request->manager;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int n;

	n = snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", manager->config.run_dir,
		     request->service->socket_name);
	if (n < 0 || (size_t)n >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	if (connect(request->socket, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return ecd_manager_set_timer(manager, &request->retry, CONNECT_STEP_US,
						     on_retry, request);
		return errno == ECONNREFUSED || errno == ENOENT ? -ENOTCONN : -errno;
	}
	return sd_event_add_io(manager->event, &request->io, request->socket, EPOLLOUT, on_io,
			       request);
}

static int on_start(sd_event_source *source, uint64_t usec, void *userdata)
{
	return on_retry(source, usec, userdata);
}

/* Its own work begins; the first step from the event loop, so that fn is never called early. */
static int begin(struct ecd_request *request)
{
	int r;

	request->running = true;
	request->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (request->socket < 0)
		return -errno;
	r = ecd_manager_set_timer(request->manager, &request->deadline,
				  request->service->timeout_us, on_deadline, request);
	if (r < 0)
		return r;
	return ecd_manager_set_timer(request->manager, &request->retry, 0, on_start, request);
}

/* Whoever of the waiting uids got a helper the longest ago is next. No user has all of them: what
 * one makes them compute must not be what another's login waits for. */
static struct ecd_request *pick_next(struct ecd_manager *manager)
{
	struct ecd_request *request, *best = NULL;
	uint64_t best_served = UINT64_MAX;

	TAILQ_FOREACH(request, &manager->helper_waiting, link) {
		const struct ecd_peer *peer = ecd_peer_get(&manager->peers, request->uid);
		uint64_t served = peer ? peer->served : 0;

		if (peer && request->uid && peer->n_helpers >= HELPERS_MAX - 1)
			continue;
		if (served < best_served) {
			best = request;
			best_served = served;
		}
	}
	return best;
}

static int on_begin_failed(sd_event_source *source, uint64_t usec, void *userdata)
{
	complete_failed(userdata, -ENOMEM);
	return 0;
}

static void start_next(struct ecd_manager *manager)
{
	struct ecd_request *request;

	while (manager->n_helper_running < HELPERS_MAX && (request = pick_next(manager))) {
		struct ecd_peer *peer = ecd_peer_get(&manager->peers, request->uid);

		TAILQ_REMOVE(&manager->helper_waiting, request, link);
		request->waiting = false;
		manager->n_helper_running++;
		if (peer) {
			peer->served = ++manager->helper_turn;
			peer->n_helpers++;
		}
		if (begin(request) < 0)
			(void)ecd_manager_set_timer(manager, &request->retry, 0, on_begin_failed,
						    request);
	}
}

int ecd_request_start(struct ecd_manager *manager, struct ecd_request **slot,
		      const struct ecd_service *service, uid_t uid, json_t *body, const int *fds,
		      size_t n_fds, ecd_reply_fn fn, void *userdata)
{
	struct ecd_request *request = calloc(1, sizeof(*request));
	size_t i;
	int r;

	if (!request || !body) {
		for (i = 0; i < n_fds; i++)
			close(fds[i]);
		json_decref(body);
		free(request);
		return -ENOMEM;
	}
	*request = (struct ecd_request){
		.manager = manager,
		.service = service,
		.uid = uid,
		.body = body,
		.n_fds = n_fds,
		.fn = fn,
		.userdata = userdata,
		.socket = -1,
	};
	for (i = 0; i < n_fds; i++)
		request->fds[i] = fds[i];

	if (service->limited) {
		request->waiting = true;
		TAILQ_INSERT_TAIL(&manager->helper_waiting, request, link);
		start_next(manager);
	} else {
		r = begin(request);
		if (r < 0) {
			ecd_request_free(request);
			return r;
		}
	}
	request->slot = slot;
	*slot = request;
	return 0;
}
