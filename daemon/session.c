/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Session descriptors. A login waits on its own for the result, with a sign of life every second;
 * all logins of one user that come at the same time wait for one unlock.
 */
#include "daemon/session.h"

#include "daemon/logind.h"
#include "daemon/manager.h"
#include "daemon/operation.h"
#include "daemon/peer.h"
#include "daemon/store-client.h"
#include "daemon/vault.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/log-ids.h"
#include "lib/log.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#define SESSIONS_MAX	4096u
#define SESSIONS_OF_USER_MAX 512u	/* so that nobody uses up what all the others need */
#define STASHES_MAX	64u
#define HEARTBEAT_US	(1u * UINT64_C(1000000))
#define STASH_US	(60u * UINT64_C(1000000))
#define CLOSE_DELAY_US	(1u * UINT64_C(1000000))	/* a new login may follow at once */
#define LOOK_AGAIN_US	(2u * UINT64_C(1000000))
#define RETRY_US	(30u * UINT64_C(1000000))
#define SESSION_MESSAGE_LEN_MAX 1000u	/* what readers have room for */
#define UID_UNKNOWN	((uid_t)-1)

/* One descriptor that somebody holds the other end of. */
struct ecd_session {
	TAILQ_ENTRY(ecd_session) link;
	struct ecd_manager *manager;
	struct ecd_login *login;	/* whose end it waits for, or NULL */
	uid_t uid;
	char *user;		/* NULL: from before a restart, when uid is known */
	char *service;
	int fd;
	bool counts;		/* a session; else only the progress of a change */
	sd_event_source *io, *heartbeat;
};

/* What one or more descriptors wait for. */
struct ecd_login {
	TAILQ_ENTRY(ecd_login) link;
	struct ecd_manager *manager;
	char *user;
	uid_t caller;
	bool change;		/* of the secret: then it has one descriptor */
	struct ec_secret secrets[ECD_SECRETS_MAX];	/* not tried yet */
	size_t n_secrets;
	struct ec_secret new_secret;
	struct ecd_request *request;
	struct ecd_operation *operation;
};

struct ecd_stash {
	TAILQ_ENTRY(ecd_stash) link;
	struct ecd_manager *manager;
	char *user;
	struct ec_secret secret;
	sd_event_source *timer;
};

static void session_free(struct ecd_session *session)
{
	TAILQ_REMOVE(&session->manager->sessions, session, link);
	session->manager->n_sessions--;
	sd_event_source_disable_unref(session->io);
	sd_event_source_disable_unref(session->heartbeat);
	ec_closep(&session->fd);
	free(session->user);
	free(session->service);
	free(session);
}

static void login_free(struct ecd_login *login)
{
	size_t i;

	TAILQ_REMOVE(&login->manager->logins, login, link);
	ecd_request_free(login->request);
	for (i = 0; i < ECD_SECRETS_MAX; i++)
		ec_secret_done(&login->secrets[i]);
	ec_secret_done(&login->new_secret);
	free(login->user);
	free(login);
}

/* A reader that does not read loses a message; it hears the next one. */
static void say(const struct ecd_session *session, const char *text)
{
	(void)send(session->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int on_heartbeat(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ecd_session *session = userdata;

	say(session, "W");
	return ecd_manager_set_timer(session->manager, &session->heartbeat, HEARTBEAT_US,
				     on_heartbeat, session);
}

/* Nothing is expected from there: any event but noise is the end. */
static int on_session_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct ecd_session *session = userdata;
	struct ecd_manager *manager = session->manager;
	uid_t uid = session->uid;
	bool counts = session->counts;
	char noise[64];

	if (!(revents & (EPOLLHUP | EPOLLERR)) &&
	    recv(fd, noise, sizeof(noise), MSG_DONTWAIT) > 0)
		return 0;
	session_free(session);
	if (counts && uid != UID_UNKNOWN) {
		if (!ecd_sessions_count(manager, uid))
			ec_log(LOG_INFO, EC_LOG_FIELDS(.message_id = EC_LOG_ID_SESSION_ENDED,
						       .peer_uid = uid),
			       "The last session of uid %u is over", uid);
		/* The session of logind ends in the same moment, and does not say so. */
		ecd_logind_refresh(manager->logind, uid);
		ecd_sessions_check(manager, uid);
	}
	return 0;
}

static int session_new(struct ecd_manager *manager, int fd, const char *service, bool counts,
		       struct ecd_session **ret)
{
	struct ecd_session *session = calloc(1, sizeof(*session));
	int r;

	if (!session)
		return -ENOMEM;
	session->manager = manager;
	session->uid = UID_UNKNOWN;
	session->counts = counts;
	session->fd = -1;
	session->service = strdup(service);
	TAILQ_INSERT_TAIL(&manager->sessions, session, link);
	manager->n_sessions++;
	r = session->service ?
	    sd_event_add_io(manager->event, &session->io, fd, EPOLLIN, on_session_io, session) :
	    -ENOMEM;
	if (r < 0) {
		session_free(session);
		return r;
	}
	session->fd = fd;
	*ret = session;
	return 0;
}

/* The descriptor survives this process in systemd's hands, which lets go of it at a hangup. */
static void keep_over_restart(const struct ecd_session *session)
{
	_cleanup_free_ char *state = NULL;

	if (asprintf(&state, "FDSTORE=1\nFDNAME=session-%u", session->uid) >= 0)
		(void)sd_pid_notify_with_fds(0, 0, state, &session->fd, 1);
}

static void session_identify(struct ecd_session *session, uid_t uid)
{
	if (session->uid == uid || !session->counts)
		return;
	session->uid = uid;
	keep_over_restart(session);
	ec_log(LOG_INFO, EC_LOG_FIELDS(.message_id = EC_LOG_ID_SESSION_BEGUN, .peer_uid = uid),
	       "A session of uid %u begins (%s)", uid, session->service);
}

/*
 * The end of a login
 */

static void tell_end(struct ecd_login *login, const char *text)
{
	struct ecd_session *session, *next;

	for (session = TAILQ_FIRST(&login->manager->sessions); session; session = next) {
		next = TAILQ_NEXT(session, link);
		if (session->login != login)
			continue;
		session->login = NULL;
		session->heartbeat = sd_event_source_disable_unref(session->heartbeat);
		say(session, text);
		if (!session->counts)
			session_free(session);
	}
}

static void login_end(struct ecd_login *login, const char *text)
{
	tell_end(login, text);
	login_free(login);
}

static void login_fail(struct ecd_login *login, const struct ecd_failure *failure,
		       const char *vault_id)
{
	const char *name = ec_error_bus_name(failure->r) + strlen(EC_ERROR_PREFIX);
	const char *id = ecd_failure_message_id(failure);
	const char *hint = ecd_failure_hint(failure->r);
	char text[SESSION_MESSAGE_LEN_MAX];
	int n;

	if (failure->r == -ENOKEY || failure->r == -EKEYREJECTED)
		hint = login->change ? "Set the new one: ecryptfsctl passwd" :
		       "Open it: ecryptfsctl unlock";
	n = snprintf(text, sizeof(text), "E %s The encrypted home of %.64s %s: ", name, login->user,
		     login->change ? "keeps its old secret" : "stays closed");
	ecd_failure_sentences(text + n, sizeof(text) - (size_t)n, failure, hint);
	/* What "" marks is in the journal already, by the worker that met it. */
	if (!id || *id)
		ec_log(LOG_WARNING,
		       EC_LOG_FIELDS(.message_id = login->change ? EC_LOG_ID_SECRET_CHANGE_FAILED :
				     id ? id : EC_LOG_ID_LOGIN_WITHOUT_HOME, .vault = vault_id,
				     .operation = login->change ? "change" : "login",
				     .error = failure->r),
		       "%s", text + strlen("E ") + strlen(name) + 1);
	login_end(login, text);
}

static void login_proceed(struct ecd_login *login, struct ecd_vault *vault);

static void on_operation_done(struct ecd_operation *operation, void *userdata)
{
	struct ecd_login *login = userdata;
	struct ecd_manager *manager = login->manager;
	struct ecd_vault *vault = operation->vault;
	int r = operation->failure.r;

	login->operation = NULL;
	if (operation->nothing) {
		login_end(login, "N");
	} else if (r == 0 || (r == -EALREADY && !login->change)) {
		if (!login->change)
			ecd_operation_restart_user_manager(vault);
		login_end(login, "M");
	} else if ((r == -EKEYREJECTED || r == -ENOKEY) && login->n_secrets && !login->change) {
		/* Another login came meanwhile, with a secret of its own. */
		login_proceed(login, vault);
		return;
	} else {
		login_fail(login, &operation->failure, vault ? vault->id : NULL);
	}
	if (vault)
		ecd_sessions_check(manager, vault->owner);
}

static void login_fail_text(struct ecd_login *login, int r, const char *text)
{
	struct ecd_failure failure;

	ecd_fail(&failure, r, NULL, "%s", text);
	login_fail(login, &failure, NULL);
}

static void login_proceed(struct ecd_login *login, struct ecd_vault *vault)
{
	struct ecd_operation *operation;
	int r;

	r = ecd_operation_new(login->manager, login->change ? ECD_OPERATION_CHANGE :
			      ECD_OPERATION_UNLOCK, login->change ? login->caller : 0,
			      on_operation_done, login, &operation);
	if (r < 0) {
		login_fail_text(login, r, r == -EAGAIN ? "too many operations are under way" :
				"out of memory");
		return;
	}
	operation->login = true;
	while (operation->n_secrets < login->n_secrets) {
		ec_secret_move(&operation->secrets[operation->n_secrets],
			       &login->secrets[operation->n_secrets]);
		operation->n_secrets++;
	}
	login->n_secrets = 0;
	ec_secret_move(&operation->new_secret, &login->new_secret);
	login->operation = operation;
	ecd_operation_start(operation, vault);
}

static void login_identify(struct ecd_login *login, uid_t uid)
{
	struct ecd_session *session;

	TAILQ_FOREACH(session, &login->manager->sessions, link)
		if (session->login == login)
			session_identify(session, uid);
	/* From here on it is the sessions that keep the home open. */
	if (!login->change) {
		char id[32];

		snprintf(id, sizeof(id), "home-%u", uid);
		ecd_flag_clear(login->manager->config.run_dir, "keep", id);
	}
}

static void on_probed(void *userdata, const struct ecd_failure *failure,
		      struct ec_wire_message *reply)
{
	struct ecd_login *login = userdata;
	struct ecd_vault *vault;
	int r;

	if (failure && failure->r == -ENOENT && !failure->message_id) {
		login_end(login, "N");
		return;
	}
	/* The home of root, and "/", cannot be ours. */
	if (failure && failure->r == -EOPNOTSUPP) {
		login_end(login, "N");
		return;
	}
	if (failure) {
		login_fail(login, failure, NULL);
		return;
	}
	r = ecd_vault_update_home(login->manager, reply->body, &vault);
	if (r < 0) {
		login_fail_text(login, r, "the store answered something unintelligible");
		return;
	}
	if (!vault) {
		login_end(login, "N");
		return;
	}
	if (login->caller && vault->owner != login->caller) {
		login_fail_text(login, -EACCES, "it belongs to another user");
		return;
	}
	login_identify(login, vault->owner);
	if (!login->change && vault->mounted && TAILQ_EMPTY(&vault->operations)) {
		login_end(login, "M");
		return;
	}
	/* One that is being closed stays open, or where that is too late is opened afterwards. */
	if (!login->change)
		ecd_operation_overtake_lock(vault);
	login_proceed(login, vault);
}

static int login_new(struct ecd_manager *manager, const char *user, struct ecd_login **ret)
{
	struct ecd_login *login = calloc(1, sizeof(*login));

	if (!login)
		return -ENOMEM;
	login->manager = manager;
	login->user = strdup(user);
	TAILQ_INSERT_TAIL(&manager->logins, login, link);
	if (!login->user) {
		login_free(login);
		return -ENOMEM;
	}
	*ret = login;
	return 0;
}

static int login_probe(struct ecd_login *login)
{
	return ecd_store_ask_for(login->manager, &login->request, login->caller,
				 json_pack("{s:s, s:s}", "op", "probe-home", "user", login->user),
				 on_probed, login);
}

static struct ecd_login *find_login(struct ecd_manager *manager, const char *user)
{
	struct ecd_login *login;

	TAILQ_FOREACH(login, &manager->logins, link)
		if (!login->change && !strcmp(login->user, user))
			return login;
	return NULL;
}

/* Moves the secret there, unless it waits there already or there is no more room. */
static void add_secret(struct ecd_login *login, struct ec_secret *secret)
{
	size_t i;

	for (i = 0; i < login->n_secrets; i++)
		if (ec_secret_equal(&login->secrets[i], secret))
			return;
	if (secret->len && login->n_secrets < ECD_SECRETS_MAX)
		ec_secret_move(&login->secrets[login->n_secrets++], secret);
}

/*
 * Stash
 */

static void stash_free(struct ecd_stash *stash)
{
	TAILQ_REMOVE(&stash->manager->stashes, stash, link);
	sd_event_source_disable_unref(stash->timer);
	ec_secret_done(&stash->secret);
	free(stash->user);
	free(stash);
}

static int on_stash_old(sd_event_source *source, uint64_t usec, void *userdata)
{
	stash_free(userdata);
	return 0;
}

static struct ecd_stash *find_stash(struct ecd_manager *manager, const char *user)
{
	struct ecd_stash *stash;

	TAILQ_FOREACH(stash, &manager->stashes, link)
		if (!strcmp(stash->user, user))
			return stash;
	return NULL;
}

int ecd_session_stash(struct ecd_manager *manager, const char *user, struct ec_secret *secret)
{
	struct ecd_stash *stash = find_stash(manager, user), *other;
	unsigned int n = 0;
	int r;

	if (stash)
		stash_free(stash);
	TAILQ_FOREACH(other, &manager->stashes, link)
		n++;
	if (n >= STASHES_MAX)
		stash_free(TAILQ_FIRST(&manager->stashes));
	stash = calloc(1, sizeof(*stash));
	if (!stash)
		return -ENOMEM;
	stash->manager = manager;
	stash->user = strdup(user);
	ec_secret_move(&stash->secret, secret);
	TAILQ_INSERT_TAIL(&manager->stashes, stash, link);
	r = stash->user ? ecd_manager_set_timer(manager, &stash->timer, STASH_US, on_stash_old, stash) :
	    -ENOMEM;
	if (r < 0)
		stash_free(stash);
	return r;
}

static void take_stash(struct ecd_login *login)
{
	struct ecd_stash *stash = find_stash(login->manager, login->user);

	if (!stash)
		return;
	add_secret(login, &stash->secret);
	stash_free(stash);
}

/*
 * Begin
 */

static int make_pair(int *ret_ours, int *ret_theirs)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	*ret_ours = fds[0];
	*ret_theirs = fds[1];
	return 0;
}

static int add_session(struct ecd_login *login, const char *service, bool counts, int *ret_fd)
{
	_cleanup_close_ int ours = -1, theirs = -1;
	struct ecd_session *session;
	int r;

	r = make_pair(&ours, &theirs);
	if (r < 0)
		return r;
	r = session_new(login->manager, ours, service, counts, &session);
	if (r < 0)
		return r;
	ours = -1;
	session->login = login;
	session->user = strdup(login->user);
	(void)on_heartbeat(NULL, 0, session);
	*ret_fd = ec_take_fd(&theirs);
	return 0;
}

/* Under that name, or as the uid that the name is known to have. */
static unsigned int count_of_user(struct ecd_manager *manager, const char *user)
{
	const struct ecd_session *session;
	const struct ecd_vault *vault;
	uid_t uid = UID_UNKNOWN;
	unsigned int n = 0;

	TAILQ_FOREACH(vault, &manager->vaults, link)
		if (vault->user && !strcmp(vault->user, user))
			uid = vault->owner;
	TAILQ_FOREACH(session, &manager->sessions, link)
		if (session->counts &&
		    ((session->user && !strcmp(session->user, user)) ||
		     (uid != UID_UNKNOWN && session->uid == uid)))
			n++;
	return n;
}

int ecd_session_open(struct ecd_manager *manager, const char *user, const char *service,
		     struct ec_secret *secrets, size_t n_secrets, int *ret_fd)
{
	struct ecd_login *login = find_login(manager, user);
	bool is_new = !login;
	size_t i;
	int r, fd = -1;

	if (manager->n_sessions >= SESSIONS_MAX ||
	    count_of_user(manager, user) >= SESSIONS_OF_USER_MAX)
		return -EAGAIN;
	if (is_new) {
		r = login_new(manager, user, &login);
		if (r < 0)
			return r;
	}
	r = add_session(login, service, true, &fd);
	if (r >= 0 && is_new)
		r = login_probe(login);
	if (r < 0) {
		ec_closep(&fd);
		if (is_new) {
			tell_end(login, "E Failed out of memory");
			login_free(login);
		}
		return r;
	}
	for (i = 0; i < n_secrets; i++)
		add_secret(login, &secrets[i]);
	take_stash(login);
	if (login->operation && login->operation->vault)
		login_identify(login, login->operation->vault->owner);
	*ret_fd = fd;
	return 0;
}

/* Each costs a process of the store, descriptors and locked memory, before it is an operation. */
static bool may_change(struct ecd_manager *manager, uid_t caller)
{
	const struct ecd_peer *peer = ecd_peer_get(&manager->peers, caller);
	const struct ecd_login *login;
	unsigned int n = 0;

	TAILQ_FOREACH(login, &manager->logins, link)
		if (login->change && login->caller == caller)
			n++;
	return caller == 0 || (peer && n + peer->n_left < ECD_PEER_IN_FLIGHT_MAX);
}

int ecd_session_change(struct ecd_manager *manager, uid_t caller, const char *user,
		       struct ec_secret *old_secret, struct ec_secret *new_secret, int *ret_fd)
{
	struct ecd_login *login;
	int r, fd = -1;

	if (!may_change(manager, caller))
		return -EAGAIN;
	r = login_new(manager, user, &login);
	if (r < 0)
		return r;
	login->change = true;
	login->caller = caller;
	add_secret(login, old_secret);
	ec_secret_move(&login->new_secret, new_secret);
	r = add_session(login, "passwd", false, &fd);
	if (r >= 0)
		r = login_probe(login);
	if (r < 0) {
		ec_closep(&fd);
		login_end(login, "E Failed out of memory");
		return r;
	}
	*ret_fd = fd;
	return 0;
}

void ecd_session_restore(struct ecd_manager *manager, uid_t uid, int fd)
{
	struct ecd_session *session;
	struct ecd_vault *vault = ecd_vault_find_home(manager, uid);

	if (session_new(manager, fd, "before the restart", true, &session) < 0) {
		close(fd);
		return;
	}
	session->uid = uid;
	/* If its login still waits, its answer went with the process before. */
	say(session, vault && vault->mounted ? "M" :
	    "E Cancelled The encrypted home stays closed: the service was restarted meanwhile. "
	    "Open it: ecryptfsctl unlock.");
}

/*
 * The end of the last session
 */

static unsigned int count_pam(const struct ecd_manager *manager, uid_t uid)
{
	const struct ecd_session *session;
	unsigned int n = 0;

	TAILQ_FOREACH(session, &manager->sessions, link)
		if (session->counts && session->uid == uid)
			n++;
	return n;
}

unsigned int ecd_sessions_count(const struct ecd_manager *manager, uid_t uid)
{
	unsigned int n_logind = manager->logind ? ecd_logind_count(manager->logind, uid) : 0;
	unsigned int n_pam = count_pam(manager, uid);

	/* Most logins are known to both. */
	return n_pam > n_logind ? n_pam : n_logind;
}

static bool is_closing(const struct ecd_vault *vault)
{
	const struct ecd_operation *operation;

	TAILQ_FOREACH(operation, &vault->operations, vault_link)
		if (operation->kind == ECD_OPERATION_LOCK && operation->logout)
			return true;
	return false;
}

static enum ecd_usage_action decide(const struct ecd_vault *vault)
{
	struct ecd_manager *manager = vault->manager;
	const struct ecd_usage usage = {
		.mounted = vault->mounted,
		.known = manager->logind && ecd_logind_is_ready(manager->logind),
		.stay_open = vault->stay_open ||
			     ecd_flag_is_set(manager->config.run_dir, "keep", vault->id),
		.closing = is_closing(vault),
		.n_pam = count_pam(manager, vault->owner),
		.n_logind = manager->logind ? ecd_logind_count(manager->logind, vault->owner) : 0,
	};

	return ecd_usage_decide(&usage);
}

static int on_check_again(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ecd_vault *vault = userdata;

	vault->close_timer = sd_event_source_disable_unref(vault->close_timer);
	ecd_logind_refresh(vault->manager->logind, vault->owner);
	ecd_sessions_check(vault->manager, vault->owner);
	return 0;
}

static void on_logout_done(struct ecd_operation *operation, void *userdata)
{
	struct ecd_vault *vault = operation->vault;

	if (!vault)
		return;
	if (!operation->failure.r) {
		/* Overtaken by a session that may have ended meanwhile. */
		ecd_sessions_check(vault->manager, vault->owner);
		return;
	}
	if (!operation->failure.message_id || *operation->failure.message_id)
		ec_log(LOG_ERR,
		       EC_LOG_FIELDS(.message_id = EC_LOG_ID_UNMOUNT_FAILED, .vault = vault->id,
				     .operation = "logout", .error = operation->failure.r),
		       "Vault %s (%s) could not be locked after the last session: %s; this is tried again",
		       vault->name, vault->id, operation->failure.text);
	if (vault->mounted)
		(void)ecd_manager_set_timer(vault->manager, &vault->close_timer, RETRY_US,
					    on_check_again, vault);
}

static int on_close(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct ecd_vault *vault = userdata;
	struct ecd_operation *operation;

	vault->close_timer = sd_event_source_disable_unref(vault->close_timer);
	if (decide(vault) != ECD_USAGE_CLOSE) {
		ecd_sessions_check(vault->manager, vault->owner);
		return 0;
	}
	if (ecd_operation_new(vault->manager, ECD_OPERATION_LOCK, 0, on_logout_done, NULL,
			      &operation) < 0)
		return ecd_manager_set_timer(vault->manager, &vault->close_timer, RETRY_US,
					     on_check_again, vault);
	operation->logout = true;
	ecd_operation_start(operation, vault);
	return 0;
}

void ecd_sessions_check(struct ecd_manager *manager, uid_t uid)
{
	struct ecd_vault *vault = ecd_vault_find_home(manager, uid);
	int r = 0;

	if (!vault)
		return;
	/* Opened by hand, and used by a session since: then it closes like any other. */
	if (vault->mounted && ecd_sessions_count(manager, uid))
		ecd_flag_clear(manager->config.run_dir, "keep", vault->id);
	switch (decide(vault)) {
	case ECD_USAGE_NOTHING:
		vault->close_timer = sd_event_source_disable_unref(vault->close_timer);
		break;
	case ECD_USAGE_LOOK_AGAIN:
		if (!vault->close_timer)
			r = ecd_manager_set_timer(manager, &vault->close_timer, LOOK_AGAIN_US,
						  on_check_again, vault);
		break;
	case ECD_USAGE_CLOSE:
		r = ecd_manager_set_timer(manager, &vault->close_timer, CLOSE_DELAY_US, on_close,
					  vault);
		break;
	}
	if (r < 0)
		ec_log_error("out of memory, %s may stay open after the last session", vault->id);
}

void ecd_sessions_check_all(struct ecd_manager *manager)
{
	const struct ecd_vault *vault;

	TAILQ_FOREACH(vault, &manager->vaults, link)
		if (ecd_vault_is_of_home(vault))
			ecd_sessions_check(manager, vault->owner);
}

void ecd_sessions_done(struct ecd_manager *manager)
{
	struct ecd_session *session;
	struct ecd_stash *stash;
	struct ecd_login *login;

	while ((login = TAILQ_FIRST(&manager->logins)))
		login_free(login);
	while ((session = TAILQ_FIRST(&manager->sessions)))
		session_free(session);
	while ((stash = TAILQ_FIRST(&manager->stashes)))
		stash_free(stash);
}
