/* SPDX-License-Identifier: GPL-2.0-only */
/* The requests of docs/architecture.md, "broker to store", one function each. */
#ifndef EC_STORE_STORE_H
#define EC_STORE_STORE_H

#include "store/path.h"

#include <jansson.h>

/* What HOMEBASE/.ecryptfs/USER may hold. */
#define ST_BASE_DIR		".ecryptfs"
#define ST_VAULT_DIR		"vault"
#define ST_LEGACY_CONFIG_DIR	".ecryptfs"
#define ST_LEGACY_LOWER_DIR	".Private"
#define ST_KEPT_DIR		"home-before-encryption"
/* Stands there from the first step of a creation to the last. */
#define ST_CREATING_FILE	"creating"
/* The one file of a closed home. */
#define ST_README_NAME		"README.txt"

/* Below are the system's own users, for whom pam_ecryptfs opens nothing (UID_MIN_PERSON there). */
#define ST_UID_MIN		1000

/* A user and the home that the user database gives. */
struct st_home {
	char *user;
	uid_t uid;
	gid_t gid;
	char *database_path;	/* as the user database has it, but for needless slashes */
	char *base;		/* its parent, without symlinks */
	int base_fd;		/* O_PATH of base */
	char *leaf;		/* its last component */
};

#define ST_HOME_NULL ((struct st_home){ .base_fd = -1 })

/* home.c */
int st_home_find(struct st_home *ret, const char *user, const json_t *uid,
		 struct st_problem *problem);
void st_home_done(struct st_home *home);
#define _cleanup_home_ _cleanup_(st_home_done)
char *st_home_path(const struct st_home *home);
bool st_dir_is_placeholder(int dir_fd, uid_t owner);
/* -ELOOP unless the directory, below base, is root's or the user's and no others may write there. */
int st_home_check_way(const struct st_home *home, const char *path, struct st_problem *problem);
/* An interrupted creation: its marker stands, and the old home is still in its place. As the
 * user. */
bool st_home_is_unfinished(const struct st_home *home, int user_fd);

/*
 * Each takes a request and gives a reply, a new reference that is not touched on failure.
 * They run as root when called and return as root.
 */
int st_probe_home(const json_t *request, json_t **ret_reply, struct st_problem *problem);
int st_list_homes(const json_t *request, json_t **ret_reply, struct st_problem *problem);
int st_read(const json_t *request, json_t **ret_reply, struct st_problem *problem);
int st_write(const json_t *request, json_t **ret_reply, struct st_problem *problem);
int st_write_legacy(const json_t *request, json_t **ret_reply, struct st_problem *problem);
int st_create_home(const json_t *request, json_t **ret_reply, struct st_problem *problem);
int st_commit_home(const json_t *request, json_t **ret_reply, struct st_problem *problem);
int st_create_directory(const json_t *request, json_t **ret_reply, struct st_problem *problem);
int st_remove_created(const json_t *request, json_t **ret_reply, struct st_problem *problem);

/* document.c */
int st_document_read(int lower_fd, uid_t owner, json_t **ret_document, bool *ret_from_backup,
		     struct st_problem *problem);
/* keep_present: whether the document that stands there becomes the backup. */
int st_document_write(int lower_fd, const json_t *document, bool keep_present,
		      struct st_problem *problem);
/* Of a new vault: the backup is the same, as there is none before it. */
int st_document_write_first(int lower_fd, const json_t *document, struct st_problem *problem);
/* Somebody else's change must not be lost: -EBUSY unless serial and vault are as expected. */
int st_document_check_present(int fd, uid_t owner, const json_t *next, json_int_t expect_serial,
			      bool *ret_from_backup, struct st_problem *problem);
/* "lower" and "owner" of a request: becomes the owner and opens it. */
int st_open_lower(const json_t *request, uid_t *ret_owner, int *ret_fd,
		  struct st_problem *problem);
/* With the primary group, for what is created; any group would do for what is read. */
void st_become_owner(uid_t owner);

/* legacy.c */
int st_legacy_read(const struct st_home *home, int config_fd, const char *lower, bool is_home,
		   json_t **ret_reply, struct st_problem *problem);

/* request members; -EINVAL with a problem that names the member */
int st_get_string(const json_t *request, const char *name, const char **ret,
		  struct st_problem *problem);
int st_get_path(const json_t *request, const char *name, const char **ret,
		struct st_problem *problem);
int st_get_uid(const json_t *request, const char *name, uid_t *ret, struct st_problem *problem);
int st_get_document(const json_t *request, const json_t **ret, struct st_problem *problem);

#endif
