/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The directories of a new vault, and how to take them away again. Until the last step of a
 * creation has succeeded, the marker file "creating" stands beside the vault: a home whose
 * creation was interrupted is still the old home, and its half-filled vault is scrap.
 */
#include "store/store.h"

#include "lib/cleanup.h"
#include "lib/vault-document.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static const char *const vault_names[] = {
	EC_VAULT_DOCUMENT_NAME, EC_VAULT_DOCUMENT_BACKUP_NAME, NULL,
};

/* A directory that root owns and only root writes to, as the parent of every user's own. */
static int open_roots_dir(int dir_fd, const char *name, int *ret_fd, struct st_problem *problem)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	r = st_open_owned_dir(dir_fd, name, 0, &fd, problem);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0 || st.st_mode & (S_IWGRP | S_IWOTH))
		return st_fail(problem, -ELOOP, "others than root may write to %s", name);
	*ret_fd = ec_take_fd(&fd);
	return 0;
}

/* As root: mkdir, then hand over. 1 if it was made, 0 if it stood there. */
static int make_dir(int dir_fd, const char *name, uid_t uid, gid_t gid, mode_t mode,
		    struct st_problem *problem)
{
	_cleanup_close_ int fd = -1;

	if (mkdirat(dir_fd, name, 0700) < 0)
		return errno == EEXIST ? 0 :
		       st_fail_errno(problem, -errno, "cannot make directory", name);
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* The mode first: to whoever gives the directory away, it belongs no longer. */
	if (fd < 0 || fchmod(fd, mode) < 0 || fchown(fd, uid, gid) < 0) {
		int r = -errno;

		(void)unlinkat(dir_fd, name, AT_REMOVEDIR);
		return st_fail_errno(problem, r, "cannot prepare directory", name);
	}
	return 1;
}

static int open_user_dir(const struct st_home *home, int *ret_base_fd, int *ret_user_fd,
			 struct st_problem *problem)
{
	_cleanup_close_ int base_fd = -1;
	int r;

	r = open_roots_dir(home->base_fd, ST_BASE_DIR, &base_fd, problem);
	if (r < 0)
		return r;
	r = st_open_owned_dir(base_fd, home->user, home->uid, ret_user_fd, problem);
	if (r < 0)
		return r;
	*ret_base_fd = ec_take_fd(&base_fd);
	return 0;
}

static bool exists(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/*
 * One that the worker had not given to the user yet when it was interrupted: root's, closed to
 * everybody else, so that all that is in it is the worker's. Nobody's home ever looked like that.
 */
static bool is_half_filled(int dir_fd)
{
	static const char *const names[] = { ST_README_NAME, NULL };
	struct stat st;
	bool empty;

	return fstat(dir_fd, &st) == 0 && st.st_uid == 0 && !(st.st_mode & 077) &&
	       st_dir_is_empty(dir_fd, names, &empty) == 0 && empty;
}

static int empty_placeholder(int dir_fd)
{
	if (fchmod(dir_fd, 0700) < 0 ||
	    (unlinkat(dir_fd, ST_README_NAME, 0) < 0 && errno != ENOENT))
		return -errno;
	return 0;
}

/* As the user. Only what the descriptor holds is touched as root: the name is the user's. */
static int empty_half_filled(const struct st_home *home, int user_fd)
{
	_cleanup_close_ int fd = -1;
	struct st_problem ignored;
	int r = 0;

	st_become_root();
	if (st_open_owned_dir(user_fd, ST_KEPT_DIR, 0, &fd, &ignored) >= 0 && is_half_filled(fd))
		r = empty_placeholder(fd);
	st_become(home->uid, home->gid);
	return r;
}

/* As the user. The closed home that was to take the place of the present one, but never did. */
static int remove_placeholder(const struct st_home *home, int user_fd)
{
	_cleanup_close_ int fd = -1;
	struct st_problem ignored;
	int r;

	if (st_open_owned_dir(user_fd, ST_KEPT_DIR, home->uid, &fd, &ignored) < 0)
		r = empty_half_filled(home, user_fd);
	else
		r = st_dir_is_placeholder(fd, home->uid) ? empty_placeholder(fd) : 0;
	if (r < 0)
		return r;
	/* One with files in it is no placeholder, and check_free() says so. */
	if (unlinkat(user_fd, ST_KEPT_DIR, AT_REMOVEDIR) < 0 && errno != ENOENT &&
	    errno != ENOTEMPTY && errno != ENOTDIR)
		return -errno;
	return 0;
}

/*
 * As the user. A copy of a home may hold what is root's, or immutable: the worker of the next
 * creation removes that, from under a name of its own.
 */
static int remove_vault(int user_fd)
{
	int r = st_remove_tree(user_fd, ST_VAULT_DIR, 0);

	if (r == 0 || (r != -EACCES && r != -EPERM && r != -ENOTEMPTY))
		return r;
	/* One that stands there already is emptied as far as it goes, for it to be one only. */
	(void)st_remove_tree(user_fd, EC_VAULT_UNFINISHED_NAME, 0);
	return renameat2(user_fd, ST_VAULT_DIR, user_fd, EC_VAULT_UNFINISHED_NAME, RENAME_NOREPLACE) < 0 ?
	       -errno : 0;
}

/* As the user. What a creation that never came to its end has left. */
static int remove_unfinished(const struct st_home *home, int user_fd, struct st_problem *problem)
{
	int r;

	if (!st_home_is_unfinished(home, user_fd))
		return 0;
	r = remove_placeholder(home, user_fd);
	if (r < 0)
		return st_fail_errno(problem, r, "cannot remove what is left of an interrupted "
				     "creation:", ST_KEPT_DIR);
	r = remove_vault(user_fd);
	if (r < 0)
		return st_fail_errno(problem, r, "cannot remove what is left of an interrupted "
				     "creation:", ST_VAULT_DIR);
	if (unlinkat(user_fd, ST_CREATING_FILE, 0) < 0 && errno != ENOENT)
		return st_fail_errno(problem, -errno, "cannot remove", ST_CREATING_FILE);
	return 0;
}

static int check_free(const struct st_home *home, int user_fd, struct st_problem *problem)
{
	_cleanup_free_ char *private = NULL;

	if (exists(user_fd, ST_LEGACY_CONFIG_DIR) || exists(user_fd, ST_LEGACY_LOWER_DIR))
		return st_fail(problem, -EEXIST, "user %s has an encrypted home of ecryptfs-utils",
			       home->user);
	if (exists(user_fd, ST_KEPT_DIR))
		return st_fail(problem, -EEXIST, "%s/" ST_BASE_DIR "/%s/" ST_KEPT_DIR " still holds "
			       "the home that stood there before an earlier encryption; move it "
			       "away first", home->base, home->user);
	if (exists(user_fd, ST_VAULT_DIR))
		return st_fail(problem, -EEXIST, "user %s has an encrypted home already", home->user);
	if (asprintf(&private, "%s/" ST_LEGACY_CONFIG_DIR "/wrapped-passphrase", home->leaf) < 0)
		return -ENOMEM;
	/* Its lower directory would be encrypted a second time, and its mount point inside. */
	if (exists(home->base_fd, private))
		return st_fail(problem, -EEXIST, "user %s has a Private directory of ecryptfs-utils "
			       "in the home", home->user);
	return 0;
}

/* As the user: marker, directory, document. */
static int make_vault(int user_fd, const json_t *document, struct st_problem *problem)
{
	_cleanup_close_ int fd = -1;
	int marker, r;

	marker = openat(user_fd, ST_CREATING_FILE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (marker < 0)
		return st_fail_errno(problem, -errno, "cannot make", ST_CREATING_FILE);
	close(marker);
	if (fsync(user_fd) < 0)
		return st_fail_errno(problem, -errno, "cannot sync", ST_BASE_DIR);
	if (mkdirat(user_fd, ST_VAULT_DIR, 0700) < 0)
		return st_fail_errno(problem, -errno, "cannot make directory", ST_VAULT_DIR);
	r = st_open_dir(user_fd, ST_VAULT_DIR, &fd, problem);
	if (r < 0)
		return r;
	r = st_document_write_first(fd, document, problem);
	if (r >= 0 && fsync(user_fd) < 0)
		r = st_fail_errno(problem, -errno, "cannot sync", ST_BASE_DIR);
	return r;
}

/* 1: files to copy in, 0: none, or no home at all. */
static int home_has_files(const struct st_home *home, struct st_problem *problem)
{
	_cleanup_close_ int fd = -1;
	bool empty;
	int r;

	r = st_open_owned_dir(home->base_fd, home->leaf, home->uid, &fd, problem);
	if (r == -ENOENT)
		return 0;
	if (r >= 0)
		r = st_dir_is_empty(fd, NULL, &empty);
	return r < 0 ? r : !empty;
}

static void undo_home(const struct st_home *home, int base_fd, int user_fd)
{
	struct st_problem ignored;

	st_become(home->uid, home->gid);
	(void)remove_unfinished(home, user_fd, &ignored);
	st_become_root();
	(void)unlinkat(base_fd, home->user, AT_REMOVEDIR);
	(void)unlinkat(home->base_fd, ST_BASE_DIR, AT_REMOVEDIR);
}

int st_create_home(const json_t *request, json_t **ret_reply, struct st_problem *problem)
{
	_cleanup_free_ char *lower = NULL, *path = NULL;
	_cleanup_home_ struct st_home home = ST_HOME_NULL;
	_cleanup_close_ int base_fd = -1, user_fd = -1;
	const json_t *document;
	const char *user;
	int r, has_files;

	r = st_get_string(request, "user", &user, problem);
	if (r < 0)
		return r;
	r = st_get_document(request, &document, problem);
	if (r < 0)
		return r;
	r = st_home_find(&home, user, NULL, problem);
	if (r < 0)
		return r;
	if (home.uid < ST_UID_MIN)
		return st_fail(problem, -EOPNOTSUPP, "user %s (uid %u) is one of the system's own, for "
			       "whom no login opens a home: that is for users from uid %u on",
			       home.user, home.uid, ST_UID_MIN);
	r = make_dir(home.base_fd, ST_BASE_DIR, 0, 0, 0755, problem);
	if (r < 0)
		return r;
	r = open_roots_dir(home.base_fd, ST_BASE_DIR, &base_fd, problem);
	if (r < 0)
		return r;
	r = make_dir(base_fd, home.user, home.uid, home.gid, 0700, problem);
	if (r < 0)
		return r;
	r = st_open_owned_dir(base_fd, home.user, home.uid, &user_fd, problem);
	if (r < 0)
		return r;

	st_become(home.uid, home.gid);
	has_files = home_has_files(&home, problem);
	if (has_files < 0)
		return has_files;
	r = remove_unfinished(&home, user_fd, problem);
	if (r >= 0)
		r = check_free(&home, user_fd, problem);
	if (r < 0)
		return r;
	r = make_vault(user_fd, document, problem);
	if (r < 0) {
		undo_home(&home, base_fd, user_fd);
		return r;
	}
	path = st_home_path(&home);
	if (!path || asprintf(&lower, "%s/" ST_BASE_DIR "/%s/" ST_VAULT_DIR,
			      strcmp(home.base, "/") ? home.base : "", home.user) < 0)
		return -ENOMEM;
	*ret_reply = json_pack("{s:s, s:s, s:b, s:I, s:s}", "lower", lower, "mount_point", path,
			       "has_files", has_files, "uid", (json_int_t)home.uid,
			       "user", home.user);
	return *ret_reply ? 0 : -ENOMEM;
}

/* As the user. The document that has the recovery slot, too, in the place of the one without it. */
static int write_final(const struct st_home *home, int user_fd, const json_t *document,
		       struct st_problem *problem)
{
	_cleanup_close_ int fd = -1;
	bool from_backup;
	int r;

	r = st_open_owned_dir(user_fd, ST_VAULT_DIR, home->uid, &fd, problem);
	if (r >= 0)
		r = st_lock_dir(fd, problem);
	if (r >= 0)
		r = st_document_check_present(fd, home->uid, document,
					      ec_vault_document_serial(document), &from_backup,
					      problem);
	return r < 0 ? r : st_document_write_first(fd, document, problem);
}

/*
 * The last step of a creation: the worker has put the old home aside and mounted the new one.
 * From here on a login opens the vault.
 */
int st_commit_home(const json_t *request, json_t **ret_reply, struct st_problem *problem)
{
	_cleanup_home_ struct st_home home = ST_HOME_NULL;
	_cleanup_close_ int base_fd = -1, user_fd = -1;
	const json_t *document = NULL;
	const char *user;
	int r;

	r = st_get_string(request, "user", &user, problem);
	if (r < 0)
		return r;
	if (json_object_get(request, "document")) {
		r = st_get_document(request, &document, problem);
		if (r < 0)
			return r;
	}
	r = st_home_find(&home, user, NULL, problem);
	if (r < 0)
		return r;
	r = open_user_dir(&home, &base_fd, &user_fd, problem);
	if (r < 0)
		return r;
	st_become(home.uid, home.gid);
	r = document ? write_final(&home, user_fd, document, problem) : 0;
	if (r < 0)
		return r;
	if (unlinkat(user_fd, ST_CREATING_FILE, 0) < 0 && errno != ENOENT)
		return st_fail_errno(problem, -errno, "cannot remove", ST_CREATING_FILE);
	if (fsync(user_fd) < 0)
		return st_fail_errno(problem, -errno, "cannot sync", ST_BASE_DIR);
	*ret_reply = json_object();
	return *ret_reply ? 0 : -ENOMEM;
}

/* As the owner. Opens path, making it if its parent is there. */
static int open_or_make(const char *path, uid_t owner, int *ret_fd, bool *ret_made,
			struct st_problem *problem)
{
	_cleanup_free_ char *parent = strdup(path);
	_cleanup_close_ int parent_fd = -1;
	char *slash;
	int r;

	*ret_made = false;
	r = st_open_owned_dir(AT_FDCWD, path, owner, ret_fd, problem);
	if (r != -ENOENT)
		return r;
	if (!parent)
		return -ENOMEM;
	slash = strrchr(parent, '/');
	slash[slash == parent] = '\0';
	r = st_open_dir(AT_FDCWD, parent, &parent_fd, problem);
	if (r == -ENOENT)
		return st_fail(problem, -ENOTDIR, "there is no directory %s, in which %s would be made",
			       parent, path);
	if (r < 0)
		return r;
	if (mkdirat(parent_fd, strrchr(path, '/') + 1, 0700) < 0 && errno != EEXIST)
		return st_fail_errno(problem, -errno, "cannot make directory", path);
	*ret_made = true;
	return st_open_owned_dir(AT_FDCWD, path, owner, ret_fd, problem);
}

static int check_mount_point(const char *path, uid_t owner, struct st_problem *problem)
{
	_cleanup_close_ int fd = -1;
	bool made, empty;
	int r;

	r = open_or_make(path, owner, &fd, &made, problem);
	if (r < 0)
		return r;
	r = st_dir_is_empty(fd, NULL, &empty);
	if (r < 0)
		return st_fail_errno(problem, r, "cannot list", path);
	if (!empty)
		return st_fail(problem, -EEXIST, "%s is not empty; mounting would hide what is in "
			       "it", path);
	return 0;
}

int st_create_directory(const json_t *request, json_t **ret_reply, struct st_problem *problem)
{
	const char *lower, *mount_point;
	const json_t *document;
	_cleanup_close_ int fd = -1;
	bool made, empty;
	uid_t owner;
	int r;

	if ((r = st_get_path(request, "lower", &lower, problem)) < 0 ||
	    (r = st_get_path(request, "mount_point", &mount_point, problem)) < 0 ||
	    (r = st_get_uid(request, "owner", &owner, problem)) < 0 ||
	    (r = st_get_document(request, &document, problem)) < 0)
		return r;
	if (!strcmp(lower, "/") || !strcmp(mount_point, "/"))
		return st_fail(problem, -EINVAL, "\"/\" can be neither");

	st_become_owner(owner);
	if (strcmp(lower, mount_point)) {
		r = check_mount_point(mount_point, owner, problem);
		if (r < 0)
			return r;
	}
	r = open_or_make(lower, owner, &fd, &made, problem);
	if (r < 0)
		return r;
	r = st_lock_dir(fd, problem);
	if (r < 0)
		return r;
	r = st_dir_is_empty(fd, NULL, &empty);
	if (r < 0)
		return st_fail_errno(problem, r, "cannot list", lower);
	if (!empty)
		return st_fail(problem, -EEXIST, "%s is not empty; a vault begins in an empty "
			       "directory", lower);
	r = st_document_write_first(fd, document, problem);
	if (r < 0) {
		if (made)
			(void)rmdir(lower);
		return r;
	}
	*ret_reply = json_object();
	return *ret_reply ? 0 : -ENOMEM;
}

/* 1 if it is complete by now, and stays. */
static int remove_created_home(const char *user, struct st_problem *problem)
{
	_cleanup_home_ struct st_home home = ST_HOME_NULL;
	_cleanup_close_ int base_fd = -1, user_fd = -1;
	int r;

	r = st_home_find(&home, user, NULL, problem);
	if (r < 0)
		return r;
	r = open_user_dir(&home, &base_fd, &user_fd, problem);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	st_become(home.uid, home.gid);
	if (exists(user_fd, ST_VAULT_DIR) && !st_home_is_unfinished(&home, user_fd))
		return 1;
	r = remove_unfinished(&home, user_fd, problem);
	st_become_root();
	if (r < 0)
		return r;
	(void)unlinkat(base_fd, home.user, AT_REMOVEDIR);
	(void)unlinkat(home.base_fd, ST_BASE_DIR, AT_REMOVEDIR);
	return 0;
}

static int remove_created_directory(const json_t *request, struct st_problem *problem)
{
	_cleanup_close_ int fd = -1;
	bool empty;
	uid_t owner;
	int r;

	r = st_open_lower(request, &owner, &fd, problem);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = st_dir_is_empty(fd, vault_names, &empty);
	if (r < 0)
		return r;
	if (!empty)
		return st_fail(problem, -EBUSY, "the directory holds files by now, it stays");
	if ((unlinkat(fd, EC_VAULT_DOCUMENT_NAME, 0) < 0 && errno != ENOENT) ||
	    (unlinkat(fd, EC_VAULT_DOCUMENT_BACKUP_NAME, 0) < 0 && errno != ENOENT))
		return st_fail_errno(problem, -errno, "cannot empty", "the directory");
	return 0;
}

int st_remove_created(const json_t *request, json_t **ret_reply, struct st_problem *problem)
{
	const json_t *user = json_object_get(request, "user");
	int r;

	r = json_is_string(user) ? remove_created_home(json_string_value(user), problem) :
	    remove_created_directory(request, problem);
	if (r < 0)
		return r;
	*ret_reply = json_pack("{s:b}", "complete", r);
	return *ret_reply ? 0 : -ENOMEM;
}
