/* SPDX-License-Identifier: GPL-2.0-only */
/* Vault documents on disk: which of the two is read, and how the next one gets there. */
#include "store/store.h"

#include "lib/cleanup.h"
#include "lib/vault-document.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>

static int read_one(int lower_fd, const char *name, uid_t owner, json_t **ret_document,
		    struct st_problem *problem)
{
	_cleanup_free_ char *text = NULL;
	const char *reason = "it is not valid";
	size_t len;
	int r;

	r = st_read_file(lower_fd, name, owner, EC_VAULT_DOCUMENT_LEN_MAX, &text, &len, problem);
	if (r < 0)
		return r;
	r = ec_vault_document_parse(text, len, ret_document, &reason);
	if (r < 0)
		return st_fail(problem, r, "%s is not a vault document: %s", name, reason);
	return 0;
}

/* Not a later version of the format, which is whole, nor a lack of memory. */
static bool is_damage(int r)
{
	return r == -ENOENT || r == -EBADMSG || r == -ELOOP || r == -EACCES || r == -EIO;
}

/**
 * st_document_read() - the vault document of a lower directory
 * @lower_fd:		the directory
 * @owner:		who owns it
 * @ret_document:	new reference, checked but for its MAC
 * @ret_from_backup:	whether the document itself was missing or damaged
 * @problem:		set on failure: why the document itself could not be used
 *
 * A missing or damaged document is no reason to lock anybody out while the one before it is
 * good: its MAC will be checked like that of any other.
 *
 * Return: 0, -ENOENT, -EBADMSG, -ELOOP, -EOPNOTSUPP, ...
 */
int st_document_read(int lower_fd, uid_t owner, json_t **ret_document, bool *ret_from_backup,
		     struct st_problem *problem)
{
	struct st_problem ignored;
	int r;

	r = read_one(lower_fd, EC_VAULT_DOCUMENT_NAME, owner, ret_document, problem);
	*ret_from_backup = is_damage(r);
	if (*ret_from_backup &&
	    read_one(lower_fd, EC_VAULT_DOCUMENT_BACKUP_NAME, owner, ret_document, &ignored) >= 0)
		return 0;
	return r;
}

static int write_as(int lower_fd, const char *name, const char *backup_name,
		    const json_t *document, struct st_problem *problem)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	r = ec_vault_document_format(document, true, &text, &len);
	if (r < 0)
		return st_fail(problem, r, "the vault document is too long");
	return st_replace_file(lower_fd, name, backup_name, text, len, problem);
}

int st_document_write(int lower_fd, const json_t *document, bool keep_present,
		      struct st_problem *problem)
{
	return write_as(lower_fd, EC_VAULT_DOCUMENT_NAME,
			keep_present ? EC_VAULT_DOCUMENT_BACKUP_NAME : NULL, document, problem);
}

int st_document_write_first(int lower_fd, const json_t *document, struct st_problem *problem)
{
	int r;

	r = write_as(lower_fd, EC_VAULT_DOCUMENT_NAME, NULL, document, problem);
	return r < 0 ? r : write_as(lower_fd, EC_VAULT_DOCUMENT_BACKUP_NAME, NULL, document,
				    problem);
}

void st_become_owner(uid_t owner)
{
	const struct passwd *pw = getpwuid(owner);

	/* Where the user database does not know him, what he makes has a group of its own. */
	st_become(owner, pw ? pw->pw_gid : (gid_t)owner);
}

int st_open_lower(const json_t *request, uid_t *ret_owner, int *ret_fd,
		  struct st_problem *problem)
{
	const char *lower;
	uid_t owner;
	int r;

	r = st_get_path(request, "lower", &lower, problem);
	if (r < 0)
		return r;
	r = st_get_uid(request, "owner", &owner, problem);
	if (r < 0)
		return r;
	st_become_owner(owner);
	r = st_open_owned_dir(AT_FDCWD, lower, owner, ret_fd, problem);
	if (r == -ENOENT)
		return st_fail(problem, r, "%s is not there: removed, renamed, or on a disk that "
			       "is not mounted", lower);
	if (r < 0)
		return r;
	*ret_owner = owner;
	return 0;
}

int st_read(const json_t *request, json_t **ret_reply, struct st_problem *problem)
{
	_cleanup_close_ int fd = -1;
	json_t *document;
	bool from_backup;
	uid_t owner;
	int r;

	r = st_open_lower(request, &owner, &fd, problem);
	if (r < 0)
		return r;
	if (json_is_true(json_object_get(request, "backup"))) {
		from_backup = true;
		r = read_one(fd, EC_VAULT_DOCUMENT_BACKUP_NAME, owner, &document, problem);
	} else {
		r = st_document_read(fd, owner, &document, &from_backup, problem);
	}
	if (r < 0)
		return r;
	*ret_reply = json_pack("{s:o, s:b}", "document", document, "from_backup", from_backup);
	return *ret_reply ? 0 : -ENOMEM;
}

int st_document_check_present(int fd, uid_t owner, const json_t *next, json_int_t expect_serial,
			      bool *ret_from_backup, struct st_problem *problem)
{
	json_t *present;
	int r;

	r = st_document_read(fd, owner, &present, ret_from_backup, problem);
	if (r < 0)
		return r;
	if (strcmp(ec_vault_document_uuid(present), ec_vault_document_uuid(next)))
		r = st_fail(problem, -EBUSY, "another vault stands in that directory by now");
	else if (ec_vault_document_serial(present) != expect_serial)
		r = st_fail(problem, -EBUSY, "the vault document was changed meanwhile, its serial "
			    "is %lld", (long long)ec_vault_document_serial(present));
	json_decref(present);
	return r;
}

int st_write(const json_t *request, json_t **ret_reply, struct st_problem *problem)
{
	const json_t *expect = json_object_get(request, "expect_serial");
	_cleanup_close_ int fd = -1;
	const json_t *document;
	bool from_backup, is_damaged;
	uid_t owner;
	int r;

	if (!json_is_integer(expect))
		return st_fail(problem, -EINVAL, "the request has no \"expect_serial\"");
	r = st_get_document(request, &document, problem);
	if (r < 0)
		return r;
	r = st_open_lower(request, &owner, &fd, problem);
	if (r < 0)
		return r;
	r = st_lock_dir(fd, problem);
	if (r < 0)
		return r;
	r = st_document_check_present(fd, owner, document, json_integer_value(expect),
				      &from_backup, problem);
	if (r < 0)
		return r;
	/* A damaged document must not take the place of the backup that still opens. That its MAC is
	 * wrong, only the broker knows. */
	is_damaged = from_backup || json_is_true(json_object_get(request, "present_is_damaged"));
	r = st_document_write(fd, document, !is_damaged, problem);
	if (r < 0)
		return r;
	*ret_reply = json_object();
	return *ret_reply ? 0 : -ENOMEM;
}
