/* SPDX-License-Identifier: GPL-2.0-only */
/* A directory of root's beside those of the users; renameat2(2) in and out of it. */
#include "mount/enclosure.h"

#include "lib/cleanup.h"
#include "lib/vault-document.h"
#include "mount/mount-table.h"
#include "mount/pin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define VAULT "vault"

static const char *const documents[] = { EC_VAULT_DOCUMENT_NAME, EC_VAULT_DOCUMENT_BACKUP_NAME };

#define N_DOCUMENTS (sizeof(documents) / sizeof(documents[0]))

static int open_directory(int dir, const char *name, struct stat *ret_st)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, ret_st) < 0)
		return -errno;
	return ec_take_fd(&fd);
}

static bool is_document(const char *name)
{
	size_t i;

	for (i = 0; i < N_DOCUMENTS; i++)
		if (!strcmp(name, documents[i]))
			return true;
	return false;
}

static int count_others(int fd, unsigned int *ret)
{
	struct dirent *entry;
	unsigned int n = 0;
	DIR *dir;
	int r;

	r = ec_pin_list(fd, &dir);
	if (r < 0)
		return r;
	while (errno = 0, (entry = readdir(dir)))
		n += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
		     !is_document(entry->d_name);
	r = -errno;
	closedir(dir);
	*ret = n;
	return r;
}

/* Nothing may be mixed with, or take the place of, what somebody put into the vault before. */
static int open_placed(const struct ec_enclosure *enclosure, struct stat *ret_st,
		       struct ec_why *why)
{
	_cleanup_close_ int fd = open_directory(enclosure->base, VAULT, ret_st);
	unsigned int n;
	int r;

	if (fd < 0)
		return ec_why_set(why, fd, "the vault cannot be opened: %s", strerror(-fd));
	if (ret_st->st_uid != enclosure->owner)
		return ec_why_set(why, -ELOOP, "the vault belongs to uid %u and not to uid %u",
				  (unsigned int)ret_st->st_uid, (unsigned int)enclosure->owner);
	r = count_others(fd, &n);
	if (r < 0)
		return ec_why_set(why, r, "the vault cannot be read: %s", strerror(-r));
	if (n)
		return ec_why_set(why, -EEXIST, "the vault has %u files already, of an import that was interrupted perhaps",
				  n);
	return ec_take_fd(&fd);
}

/* Could a rename lead from one into the other, and an exchange? */
static int check_same_filesystem(const struct ec_enclosure *enclosure, const struct stat *placed,
				 struct ec_why *why)
{
	uint64_t a, b;
	struct stat st;
	int r;

	if (fstat(enclosure->vault, &st) < 0)
		return -errno;
	r = ec_mount_id_at(enclosure->dir, "", &a, NULL);
	if (r == 0)
		r = ec_mount_id_at(enclosure->base, "", &b, NULL);
	if (r < 0)
		return r;
	if (a == b && st.st_dev == placed->st_dev)
		return 0;
	return ec_why_set(why, -EXDEV, "the directory of the vault is a filesystem of its own, apart from the directory above it");
}

static int make_directory(int dir, const char *name, int *ret_fd)
{
	struct stat st;
	int fd;

	if (mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open_directory(dir, name, &st);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return st.st_uid == 0 && !(st.st_mode & 077) ? 0 : -ELOOP;
}

/* Inside, it is removed with the rest. */
static int take_unfinished(const struct ec_enclosure *enclosure)
{
	if (renameat2(enclosure->base, EC_VAULT_UNFINISHED_NAME, enclosure->dir, EC_VAULT_UNFINISHED_NAME,
		      RENAME_NOREPLACE) < 0 && errno != ENOENT)
		return -errno;
	return 0;
}

/* What is left there, unfinished vaults among it, is removed first. */
static int make_empty(struct ec_enclosure *enclosure, struct ec_tree_watch *watch,
		      struct ec_why *why)
{
	int r;

	r = make_directory(enclosure->parent, enclosure->name, &enclosure->dir);
	if (r == 0)
		r = ec_tree_remove_contents(enclosure->dir, watch, why);
	if (r == 0)
		r = take_unfinished(enclosure);
	if (r == 0)
		r = ec_tree_remove_contents(enclosure->dir, watch, why);
	if (r == 0)
		r = make_directory(enclosure->dir, VAULT, &enclosure->vault);
	return r < 0 ? ec_why_set(why, r, "%s: %s", enclosure->name, strerror(-r)) : 0;
}

static void name_it(struct ec_enclosure *enclosure, const char *id)
{
	snprintf(enclosure->name, sizeof(enclosure->name), ".import-%s", id);
}

int ec_enclosure_make(struct ec_enclosure *enclosure, int parent, int base, const char *id,
		      uid_t owner, struct ec_tree_watch *watch, struct ec_why *why)
{
	_cleanup_close_ int placed = -1;
	struct stat st;
	int r;

	*enclosure = EC_ENCLOSURE_NULL;
	enclosure->parent = parent;
	enclosure->base = base;
	enclosure->owner = owner;
	name_it(enclosure, id);
	placed = open_placed(enclosure, &st, why);
	if (placed < 0)
		return placed;
	r = make_empty(enclosure, watch, why);
	return r < 0 ? r : check_same_filesystem(enclosure, &st, why);
}

/*
 * The second name is as good as a copy, and until the exchange the first one stays. What USER put
 * there in a document's place is told by what has arrived.
 */
static int link_documents(const struct ec_enclosure *enclosure, int placed)
{
	struct stat st;
	size_t i;

	for (i = 0; i < N_DOCUMENTS; i++) {
		if (unlinkat(enclosure->vault, documents[i], 0) < 0 && errno != ENOENT)
			return -errno;
		if (linkat(placed, documents[i], enclosure->vault, documents[i], 0) < 0) {
			if (errno == ENOENT)
				continue;
			return -errno;
		}
		if (fstatat(enclosure->vault, documents[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		if (!S_ISREG(st.st_mode) || st.st_uid != enclosure->owner) {
			unlinkat(enclosure->vault, documents[i], 0);
			return -ESTALE;
		}
	}
	return 0;
}

static int exchange(const struct ec_enclosure *enclosure)
{
	return renameat2(enclosure->dir, VAULT, enclosure->base, VAULT, RENAME_EXCHANGE) < 0 ?
	       -errno : 0;
}

static int sync_both(const struct ec_enclosure *enclosure)
{
	return fsync(enclosure->dir) < 0 || fsync(enclosure->base) < 0 ? -errno : 0;
}

/*
 * The mount above has written back into the lower files, which only one of the two engines goes
 * on to bring to the disk (in-tree, ecryptfs has no sync_fs). The descriptor is older than the
 * copy, so an error that the disk has reported meanwhile comes up here.
 */
static int sync_copy(const struct ec_enclosure *enclosure)
{
	return syncfs(enclosure->parent) < 0 ? -errno : 0;
}

int ec_enclosure_publish(struct ec_enclosure *enclosure, struct ec_why *why)
{
	_cleanup_close_ int placed = -1;
	struct stat old, new;
	int r;

	placed = open_placed(enclosure, &old, why);
	if (placed < 0)
		return placed;
	r = fstat(enclosure->vault, &new) < 0 ? -errno : link_documents(enclosure, placed);
	if (r == 0)
		r = sync_copy(enclosure);
	if (r < 0)
		return ec_why_set(why, r, "the filled vault cannot be brought to the disk: %s",
				  strerror(-r));
	r = exchange(enclosure);
	if (r < 0)
		return ec_why_set(why, r, "the filled vault cannot be put in its place: %s",
				  strerror(-r));
	enclosure->placed = old.st_ino;
	/* USER may have been quicker with the name. */
	if (ec_pin_names(enclosure->base, VAULT, new.st_ino) &&
	    ec_pin_names(enclosure->dir, VAULT, old.st_ino))
		r = sync_both(enclosure);
	else
		r = -ESTALE;
	if (r == 0)
		return 0;
	/* Whatever stands there now: what is USER's goes back to him. */
	if (exchange(enclosure) == 0)
		enclosure->placed = 0;
	return ec_why_set(why, r, "the vault was put in its place and taken back: %s",
			  strerror(-r));
}

int ec_enclosure_withdraw(struct ec_enclosure *enclosure, struct ec_why *why)
{
	struct stat st;
	int r;

	if (!enclosure->placed)
		return 0;
	if (fstat(enclosure->vault, &st) < 0)
		return -errno;
	r = ec_pin_names(enclosure->base, VAULT, st.st_ino) ? exchange(enclosure) : -ESTALE;
	if (r == 0)
		enclosure->placed = 0;
	if (r == 0)
		r = sync_both(enclosure);
	return r < 0 ? ec_why_set(why, r, "the vault cannot be taken back: %s", strerror(-r)) : 0;
}

int ec_enclosure_discard(struct ec_enclosure *enclosure, struct ec_tree_watch *watch,
			 struct ec_why *why)
{
	int r;

	if (enclosure->dir < 0)
		return 0;
	r = ec_tree_remove_contents(enclosure->dir, watch, why);
	if (r == 0 && unlinkat(enclosure->parent, enclosure->name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}

void ec_enclosure_forget(int parent, const char *id)
{
	struct ec_enclosure enclosure = EC_ENCLOSURE_NULL;
	struct stat st;

	name_it(&enclosure, id);
	enclosure.parent = parent;
	enclosure.dir = open_directory(parent, enclosure.name, &st);
	if (enclosure.dir >= 0 && st.st_uid == 0 && !(st.st_mode & 077))
		ec_enclosure_discard(&enclosure, NULL, NULL);
	ec_closep(&enclosure.dir);
}

void ec_enclosure_done(struct ec_enclosure *enclosure)
{
	ec_closep(&enclosure->parent);
	ec_closep(&enclosure->dir);
	ec_closep(&enclosure->vault);
}
