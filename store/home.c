/* SPDX-License-Identifier: GPL-2.0-only */
/* Which home a user has, and what is encrypted of it. */
#include "store/store.h"

#include "kmod/uapi/ecfs.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/vault-document.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define HOMES_MAX 4096

void st_home_done(struct st_home *home)
{
	if (!home)
		return;
	free(home->user);
	free(home->database_path);
	free(home->base);
	free(home->leaf);
	ec_closep(&home->base_fd);
	*home = ST_HOME_NULL;
}

char *st_home_path(const struct st_home *home)
{
	char *path;

	return asprintf(&path, "%s/%s", strcmp(home->base, "/") ? home->base : "",
			home->leaf) < 0 ? NULL : path;
}

static int find_passwd(const char *user, const json_t *uid, const struct passwd **ret,
		       struct st_problem *problem)
{
	if (user && !st_name_is_component(user))
		return st_fail(problem, -EINVAL, "that is not the name of a user");
	errno = 0;
	if (user)
		*ret = getpwnam(user);
	else if (json_is_integer(uid) && json_integer_value(uid) >= 0 &&
		 json_integer_value(uid) < UINT32_MAX)
		*ret = getpwuid((uid_t)json_integer_value(uid));
	else
		return st_fail(problem, -EINVAL, "the request names neither a user nor a uid");
	if (*ret)
		return 0;
	if (errno && errno != ENOENT && errno != ESRCH)
		return st_fail(problem, -errno, "the user database does not answer: %s",
			       strerror(errno));
	return user ? st_fail(problem, -ENOENT, "there is no user %.64s", user) :
	       st_fail(problem, -ENOENT, "there is no user with uid %lld",
		       (long long)json_integer_value(uid));
}

/**
 * st_home_find() - a user and where the home stands
 * @ret:	filled; st_home_done() it
 * @user:	name, or NULL
 * @uid:	else the uid as JSON integer
 * @problem:	set on failure
 *
 * Return: 0; -ENOENT no such user, or the directory of homes is missing; -EINVAL; -EOPNOTSUPP
 * for who cannot have an encrypted home: root, and users whose home is "/"; -ELOOP for one that is
 * not where the user database says, or a database that says nonsense.
 */
int st_home_find(struct st_home *ret, const char *user, const json_t *uid,
		 struct st_problem *problem)
{
	_cleanup_home_ struct st_home home = ST_HOME_NULL;
	const struct passwd *pw;
	_cleanup_free_ char *base = NULL;
	char *slash;
	int r;

	r = find_passwd(user, uid, &pw, problem);
	if (r < 0)
		return r;
	/* The name goes into paths below HOMEBASE, wherever it comes from. */
	if (!st_name_is_component(pw->pw_name) || pw->pw_name[0] == '.')
		return st_fail(problem, -ELOOP, "the user database gives a name that cannot "
			       "be the name of a directory");
	if (pw->pw_uid == 0)
		return st_fail(problem, -EOPNOTSUPP, "the home of root cannot be encrypted: the "
			       "system needs it before anybody logs in");
	home.user = strdup(pw->pw_name);
	home.uid = pw->pw_uid;
	home.gid = pw->pw_gid;
	/* To everybody else, /home/alice/ and /home//alice are /home/alice. */
	home.database_path = st_path_normalise(pw->pw_dir);
	base = home.database_path ? strdup(home.database_path) : NULL;
	if (!home.user || !base)
		return -ENOMEM;
	if (!strcmp(base, "/"))
		return st_fail(problem, -EOPNOTSUPP, "user %s has no home of its own", home.user);
	if (!st_path_is_normal(base))
		return st_fail(problem, -ELOOP, "the user database gives user %s the home \"%.200s\", "
			       "which is not an absolute path without \"..\"", home.user, base);
	slash = strrchr(base, '/');
	home.leaf = strdup(slash + 1);
	if (!home.leaf)
		return -ENOMEM;
	slash[slash == base] = '\0';
	r = st_open_base(base, &home.base, &home.base_fd, problem);
	if (r < 0)
		return r;

	*ret = home;
	home = ST_HOME_NULL;
	return 0;
}

/* What a closed home looks like: mount/placeholder.c makes it. */
bool st_dir_is_placeholder(int dir_fd, uid_t owner)
{
	static const char *const names[] = { ST_README_NAME, NULL };
	struct stat st;
	bool empty;

	return fstat(dir_fd, &st) == 0 && st.st_uid == owner && (st.st_mode & 07777) == 0500 &&
	       st_dir_is_empty(dir_fd, names, &empty) == 0 && empty;
}

/* Closed, or open: then something encrypted is mounted there. */
static bool home_is_encrypted(const struct st_home *home)
{
	_cleanup_close_ int fd = -1;
	struct st_problem ignored;
	struct statfs fs;

	if (st_open_owned_dir(home->base_fd, home->leaf, home->uid, &fd, &ignored) < 0)
		return false;
	return (fstatfs(fd, &fs) == 0 && fs.f_type == ECFS_SUPER_MAGIC) ||
	       st_dir_is_placeholder(fd, home->uid);
}

bool st_home_is_unfinished(const struct st_home *home, int user_fd)
{
	struct stat st;

	return fstatat(user_fd, ST_CREATING_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       !home_is_encrypted(home);
}

static char *below_base(const struct st_home *home, const char *name)
{
	char *path;

	return asprintf(&path, "%s/" ST_BASE_DIR "/%s/%s", strcmp(home->base, "/") ? home->base : "",
			home->user, name) < 0 ? NULL : path;
}

static int probe_vault(const struct st_home *home, int user_fd, json_t **ret_part,
		       struct st_problem *problem)
{
	_cleanup_free_ char *lower = below_base(home, ST_VAULT_DIR), *path = st_home_path(home);
	_cleanup_close_ int fd = -1;
	json_t *document;
	bool from_backup;
	int r;

	if (!lower || !path)
		return -ENOMEM;
	r = st_open_owned_dir(user_fd, ST_VAULT_DIR, home->uid, &fd, problem);
	if (r < 0)
		return r;
	if (st_home_is_unfinished(home, user_fd))
		return 0;
	/* The old home is aside, so nothing of this is scrap. Left by a crash just before the end,
	 * the marker would say otherwise as soon as the user writes to the closed home. */
	(void)unlinkat(user_fd, ST_CREATING_FILE, 0);
	r = st_document_read(fd, home->uid, &document, &from_backup, problem);
	if (r < 0) {
		/* The vault is there, whatever is wrong with its document. */
		*ret_part = json_pack("{s:s, s:s}", "lower", lower, "mount_point", path);
		return r == -ENOENT ? -EBADMSG : r;
	}
	*ret_part = json_pack("{s:s, s:s, s:o, s:b}", "lower", lower, "mount_point", path,
			      "document", document, "from_backup", from_backup);
	return *ret_part ? 0 : -ENOMEM;
}

static int probe_legacy_home(const struct st_home *home, int user_fd, json_t **ret_part,
			     struct st_problem *problem)
{
	_cleanup_free_ char *lower = below_base(home, ST_LEGACY_LOWER_DIR);
	_cleanup_close_ int fd = -1;
	int r;

	if (!lower)
		return -ENOMEM;
	r = st_open_owned_dir(user_fd, ST_LEGACY_CONFIG_DIR, home->uid, &fd, problem);
	if (r < 0)
		return r;
	r = st_legacy_read(home, fd, lower, true, ret_part, problem);
	/* The home is there, so a file that is missing is damage. */
	return r == -ENOENT ? -EBADMSG : r;
}

/*
 * A directory on the way to a user's own: whoever owns it can put another in the place of what is
 * in it. Root's it is as a rule, or the user's.
 */
int st_home_check_way(const struct st_home *home, const char *path, struct st_problem *problem)
{
	_cleanup_close_ int fd = -1;
	struct st_problem ignored;
	int r;

	r = st_pin_owned_dir(home->base_fd, path, 0, &fd, problem);
	if (r == -ELOOP && st_pin_owned_dir(home->base_fd, path, home->uid, &fd, &ignored) >= 0)
		return 0;
	return r;
}

/*
 * Also while a home is mounted over it, which is then the home that we look into: a user of
 * our own homes may have had a Private directory before.
 */
static int probe_private(const struct st_home *home, json_t **ret_part, struct st_problem *problem)
{
	_cleanup_free_ char *config = NULL, *path = st_home_path(home), *lower = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	if (!path || asprintf(&config, "%s/" ST_LEGACY_CONFIG_DIR, home->leaf) < 0 ||
	    asprintf(&lower, "%s/" ST_LEGACY_LOWER_DIR, path) < 0)
		return -ENOMEM;
	r = st_open_owned_dir(home->base_fd, config, home->uid, &fd, problem);
	if (r >= 0)
		r = st_home_check_way(home, home->leaf, problem);
	if (r < 0)
		return r;
	/* Without Private.sig it is of mount.ecryptfs, for other directories: -ENOENT. */
	return st_legacy_read(home, fd, lower, false, ret_part, problem);
}

/* HOMEBASE/.ecryptfs/USER: of the user, or of root, as some versions of ecryptfs-utils left it. */
static int open_user_dir(const struct st_home *home, int *ret_fd, struct st_problem *problem)
{
	_cleanup_free_ char *path = NULL;
	struct st_problem ignored;
	int r;

	if (asprintf(&path, ST_BASE_DIR "/%s", home->user) < 0)
		return -ENOMEM;
	r = st_home_check_way(home, ST_BASE_DIR, problem);
	if (r < 0)
		return r;
	r = st_open_owned_dir(home->base_fd, path, home->uid, ret_fd, problem);
	if (r == -ELOOP && st_open_owned_dir(home->base_fd, path, 0, ret_fd, &ignored) >= 0)
		return 0;
	return r;
}

static int probe(const struct st_home *home, const char **ret_found, json_t **ret_part,
		 struct st_problem *problem)
{
	_cleanup_close_ int user_fd = -1;
	int r;

	r = open_user_dir(home, &user_fd, problem);
	if (r != -ENOENT) {
		*ret_found = "vault";
		if (r < 0)
			return r;
		r = probe_vault(home, user_fd, ret_part, problem);
		if (r >= 0 && !*ret_part) {
			*ret_found = "none";
			return 0;
		}
		if (r != -ENOENT)
			return r;
		*ret_found = "legacy";
		r = probe_legacy_home(home, user_fd, ret_part, problem);
		if (r != -ENOENT)
			return r;
	}
	*ret_found = "legacy";
	r = probe_private(home, ret_part, problem);
	if (r == -ENOENT || r == -EACCES) {
		*ret_found = "none";
		return 0;
	}
	return r;
}

/*
 * Damage is not a failed request: the answer says what was found and what is wrong with it,
 * so that the broker can list it, and a login can say it.
 */
int st_probe_home(const json_t *request, json_t **ret_reply, struct st_problem *problem)
{
	const json_t *user = json_object_get(request, "user");
	_cleanup_home_ struct st_home home = ST_HOME_NULL;
	const char *found = "none";
	json_t *part = NULL, *reply;
	int r;

	r = st_home_find(&home, json_string_value(user), json_object_get(request, "uid"), problem);
	if (r < 0)
		return r;
	st_become(home.uid, home.gid);
	r = probe(&home, &found, &part, problem);

	reply = json_pack("{s:s, s:I, s:I, s:s, s:s}", "user", home.user, "uid",
			  (json_int_t)home.uid, "gid", (json_int_t)home.gid, "home",
			  home.database_path, "found", found);
	if (!reply) {
		json_decref(part);
		return -ENOMEM;
	}
	if (part)
		json_object_update(reply, part);
	json_decref(part);
	if (r < 0) {
		const char *name = ec_error_bus_name(r) + strlen(EC_ERROR_PREFIX);

		json_object_set_new(reply, "problem",
				    json_string(problem->text[0] ? problem->text :
						ec_error_sentence(r)));
		json_object_set_new(reply, "problem_error", json_string(name));
	}
	*ret_reply = reply;
	return 0;
}

/* Adds the users that have a directory below base/.ecryptfs, each once. */
static void list_base(const char *base, json_t *uids)
{
	_cleanup_close_ int base_fd = -1;
	_cleanup_free_ char *real = NULL;
	struct st_problem ignored;
	struct dirent *entry;
	DIR *dir;
	int fd;

	if (st_open_base(base, &real, &base_fd, &ignored) < 0 ||
	    st_open_owned_dir(base_fd, ST_BASE_DIR, 0, &fd, &ignored) < 0)
		return;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return;
	}
	while ((entry = readdir(dir)) && json_object_size(uids) < HOMES_MAX) {
		_cleanup_free_ char *path = NULL;
		const struct passwd *pw;
		const char *slash;
		char key[16];

		if (entry->d_name[0] == '.' || !(pw = getpwnam(entry->d_name)) || !pw->pw_uid)
			continue;
		path = st_path_normalise(pw->pw_dir);
		slash = path ? strrchr(path, '/') : NULL;
		if (!slash || strlen(base) != (size_t)(slash - path) ||
		    strncmp(base, path, strlen(base)))
			continue;
		snprintf(key, sizeof(key), "%u", pw->pw_uid);
		json_object_set_new(uids, key, json_integer(pw->pw_uid));
	}
	closedir(dir);
}

/*
 * The homes below /home and below every directory of homes that /etc/passwd knows: other user
 * databases may have too many users to ask for all of them.
 */
int st_list_homes(const json_t *request, json_t **ret_reply, struct st_problem *problem)
{
	json_t *bases = json_object(), *uids = json_object(), *list = json_array(), *value;
	_cleanup_fclose_ FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *pw;
	const char *base;

	json_object_set_new(bases, "/home", json_true());
	while (file && (pw = fgetpwent(file)) && json_object_size(bases) < HOMES_MAX) {
		_cleanup_free_ char *path = st_path_normalise(pw->pw_dir);
		char *slash = path ? strrchr(path, '/') : NULL;

		if (!slash || !st_path_is_normal(path) || slash == path)
			continue;
		*slash = '\0';
		json_object_set_new(bases, path, json_true());
	}
	json_object_foreach(bases, base, value)
		list_base(base, uids);
	json_object_foreach(uids, base, value)
		json_array_append(list, value);
	json_decref(bases);
	json_decref(uids);
	*ret_reply = json_pack("{s:o}", "uids", list);
	return *ret_reply ? 0 : -ENOMEM;
}
