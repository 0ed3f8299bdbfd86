/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sessions of logind: listed once, then kept up to date by its signals. Classes and states
 * are of org.freedesktop.login1(5).
 */
#include "daemon/logind.h"

#include "daemon/manager.h"
#include "daemon/session.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#include <errno.h>
#include <string.h>

#define LOGIND_NAME	"org.freedesktop.login1"
#define LOGIND_PATH	"/org/freedesktop/login1"
#define LOGIND_IFACE	"org.freedesktop.login1.Manager"
#define SESSION_IFACE	"org.freedesktop.login1.Session"
#define RETRY_US	(3u * UINT64_C(1000000))

struct logind_session {
	TAILQ_ENTRY(logind_session) link;
	struct ecd_logind *logind;
	char *path;
	uid_t uid;
	bool known;		/* its class and state were read */
	bool counts;
	sd_bus_slot *call;
};

struct ecd_logind {
	struct ecd_manager *manager;
	TAILQ_HEAD(, logind_session) sessions;
	sd_bus_slot *list_call;
	sd_bus_slot *matches[3];
	sd_event_source *retry;
	bool ready;
};

bool ecd_logind_session_counts(const char *class, const char *state)
{
	static const char *const classes[] = {
		"user", "user-early", "user-incomplete", "user-light", "user-early-light",
		"background", "background-light",
	};
	size_t i;

	if (!strcmp(state, "closing"))
		return false;
	for (i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (!strcmp(class, classes[i]))
			return true;
	return false;
}

bool ecd_logind_is_lingering(const struct ecd_manager *manager, const char *user)
{
	_cleanup_free_ char *path = NULL;

	return user && asprintf(&path, "%s/%s", manager->config.linger_dir, user) >= 0 &&
	       access(path, F_OK) == 0;
}

static void session_free(struct logind_session *session)
{
	TAILQ_REMOVE(&session->logind->sessions, session, link);
	sd_bus_slot_unref(session->call);
	free(session->path);
	free(session);
}

static void forget_all(struct ecd_logind *logind)
{
	struct logind_session *session;

	while ((session = TAILQ_FIRST(&logind->sessions)))
		session_free(session);
}

static struct logind_session *find_session(struct ecd_logind *logind, const char *path)
{
	struct logind_session *session;

	TAILQ_FOREACH(session, &logind->sessions, link)
		if (!strcmp(session->path, path))
			return session;
	return NULL;
}

bool ecd_logind_is_ready(const struct ecd_logind *logind)
{
	const struct logind_session *session;

	if (!logind->ready)
		return false;
	TAILQ_FOREACH(session, &logind->sessions, link)
		if (!session->known)
			return false;
	return true;
}

unsigned int ecd_logind_count(const struct ecd_logind *logind, uid_t uid)
{
	const struct logind_session *session;
	unsigned int n = 0;

	TAILQ_FOREACH(session, &logind->sessions, link)
		if (session->uid == uid && (session->counts || !session->known))
			n++;
	return n;
}

static int on_properties(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
	struct logind_session *session = userdata;
	struct ecd_manager *manager = session->logind->manager;
	const char *name, *class = "", *state = "";
	uid_t uid = session->uid;
	uint32_t user_uid;
	bool has_user = false;

	session->call = sd_bus_slot_unref(session->call);
	if (sd_bus_message_is_method_error(reply, SD_BUS_ERROR_UNKNOWN_OBJECT)) {
		/* It went in the meantime. */
		session_free(session);
		ecd_sessions_check(manager, uid);
		return 0;
	}
	/* A logind that does not answer has not said that the session is over. */
	if (sd_bus_message_is_method_error(reply, NULL)) {
		session->counts = session->counts || !session->known;
		session->known = true;
		return 0;
	}
	if (sd_bus_message_enter_container(reply, 'a', "{sv}") < 0)
		return 0;
	while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
		int r = sd_bus_message_read(reply, "s", &name);

		if (r < 0)
			break;
		if (!strcmp(name, "Class"))
			r = sd_bus_message_read(reply, "v", "s", &class);
		else if (!strcmp(name, "State"))
			r = sd_bus_message_read(reply, "v", "s", &state);
		else if (!strcmp(name, "User"))
			has_user = (r = sd_bus_message_read(reply, "v", "(uo)", &user_uid, NULL)) > 0;
		else
			r = sd_bus_message_skip(reply, "v");
		if (r < 0 || sd_bus_message_exit_container(reply) < 0)
			break;
	}
	if (has_user)
		session->uid = (uid_t)user_uid;
	session->known = true;
	session->counts = ecd_logind_session_counts(class, state);
	ecd_sessions_check(manager, session->uid);
	/* The last answer after a start makes everybody's count valid. */
	if (ecd_logind_is_ready(session->logind))
		ecd_sessions_check_all(manager);
	return 0;
}

static void fetch(struct logind_session *session)
{
	if (session->call)
		return;
	if (sd_bus_call_method_async(session->logind->manager->bus, &session->call, LOGIND_NAME,
				     session->path, "org.freedesktop.DBus.Properties", "GetAll",
				     on_properties, session, "s", SESSION_IFACE) < 0)
		session->known = true;
}

static void add_session(struct ecd_logind *logind, const char *path, uid_t uid)
{
	struct logind_session *session = find_session(logind, path);

	if (!session) {
		session = calloc(1, sizeof(*session));
		if (!session)
			return;
		session->logind = logind;
		session->uid = uid;
		session->path = strdup(path);
		TAILQ_INSERT_TAIL(&logind->sessions, session, link);
		if (!session->path) {
			session_free(session);
			return;
		}
	}
	fetch(session);
}

static int list(struct ecd_logind *logind);

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)list(userdata);
	return 0;
}

static int on_list(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
	struct ecd_logind *logind = userdata;
	const char *id, *user, *seat, *path;
	uint32_t uid;

	logind->list_call = sd_bus_slot_unref(logind->list_call);
	if (sd_bus_message_is_method_error(reply, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
	    sd_bus_message_is_method_error(reply, SD_BUS_ERROR_NAME_HAS_NO_OWNER)) {
		ec_log_info("there is no logind, only the sessions of PAM count");
	} else if (sd_bus_message_is_method_error(reply, NULL)) {
		/* Not ready: nobody is taken for logged out meanwhile. */
		(void)ecd_manager_set_timer(logind->manager, &logind->retry, RETRY_US, on_retry,
					    logind);
		return 0;
	}
	logind->ready = true;
	if (!sd_bus_message_is_method_error(reply, NULL) &&
	    sd_bus_message_enter_container(reply, 'a', "(susso)") > 0) {
		while (sd_bus_message_read(reply, "(susso)", &id, &uid, &user, &seat, &path) > 0)
			add_session(logind, path, (uid_t)uid);
	}
	if (ecd_logind_is_ready(logind))
		ecd_sessions_check_all(logind->manager);
	return 0;
}

static int list(struct ecd_logind *logind)
{
	logind->list_call = sd_bus_slot_unref(logind->list_call);
	return sd_bus_call_method_async(logind->manager->bus, &logind->list_call, LOGIND_NAME,
					LOGIND_PATH, LOGIND_IFACE, "ListSessions", on_list, logind,
					NULL);
}

static int on_signal(sd_bus_message *signal, void *userdata, sd_bus_error *ret_error)
{
	struct ecd_logind *logind = userdata;
	struct logind_session *session;
	const char *id, *path;
	uid_t uid;

	if (sd_bus_message_read(signal, "so", &id, &path) < 0)
		return 0;
	if (sd_bus_message_is_signal(signal, LOGIND_IFACE, "SessionNew")) {
		add_session(logind, path, (uid_t)-1);
		return 0;
	}
	session = find_session(logind, path);
	if (session) {
		uid = session->uid;
		session_free(session);
		ecd_sessions_check(logind->manager, uid);
	}
	return 0;
}

/* A restarted logind announces nothing: ask it for everything. */
static int on_owner_changed(sd_bus_message *signal, void *userdata, sd_bus_error *ret_error)
{
	struct ecd_logind *logind = userdata;
	const char *name, *old_owner, *new_owner;

	if (sd_bus_message_read(signal, "sss", &name, &old_owner, &new_owner) < 0 || !*new_owner)
		return 0;
	logind->ready = false;
	forget_all(logind);
	(void)list(logind);
	return 0;
}

void ecd_logind_refresh(struct ecd_logind *logind, uid_t uid)
{
	struct logind_session *session;

	TAILQ_FOREACH(session, &logind->sessions, link)
		if (session->uid == uid)
			fetch(session);
}

int ecd_logind_new(struct ecd_manager *manager, struct ecd_logind **ret)
{
	struct ecd_logind *logind;
	int r;

	logind = calloc(1, sizeof(*logind));
	if (!logind)
		return -ENOMEM;
	logind->manager = manager;
	TAILQ_INIT(&logind->sessions);
	r = sd_bus_match_signal_async(manager->bus, &logind->matches[0], LOGIND_NAME, LOGIND_PATH,
				      LOGIND_IFACE, "SessionNew", on_signal, NULL, logind);
	if (r >= 0)
		r = sd_bus_match_signal_async(manager->bus, &logind->matches[1], LOGIND_NAME,
					      LOGIND_PATH, LOGIND_IFACE, "SessionRemoved",
					      on_signal, NULL, logind);
	if (r >= 0)
		r = sd_bus_add_match_async(manager->bus, &logind->matches[2],
					   "type='signal',sender='org.freedesktop.DBus',"
					   "member='NameOwnerChanged',arg0='" LOGIND_NAME "'",
					   on_owner_changed, NULL, logind);
	if (r >= 0)
		r = list(logind);
	if (r < 0) {
		ecd_logind_free(logind);
		return r;
	}
	*ret = logind;
	return 0;
}

void ecd_logind_free(struct ecd_logind *logind)
{
	size_t i;

	if (!logind)
		return;
	forget_all(logind);
	sd_bus_slot_unref(logind->list_call);
	sd_event_source_disable_unref(logind->retry);
	for (i = 0; i < sizeof(logind->matches) / sizeof(logind->matches[0]); i++)
		sd_bus_slot_unref(logind->matches[i]);
	free(logind);
}
