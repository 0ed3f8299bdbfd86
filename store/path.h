/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one way in which the store touches a path: no symlink that a user could have placed, no
 * file that is not what it should be, never with more rights than the owner of the path has.
 */
#ifndef EC_STORE_PATH_H
#define EC_STORE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What went wrong, for a person. Set beside every negative errno that a function returns. */
struct st_problem {
	char text[768];
};

/* Writes the text and returns r. */
__attribute__((format(printf, 3, 4)))
int st_fail(struct st_problem *problem, int r, const char *format, ...);
/* The same with the meaning of r behind a colon; what, path: meaning. */
int st_fail_errno(struct st_problem *problem, int r, const char *what, const char *path);

/* The identity of every file operation from now on. Aborts the process if the kernel refuses:
 * going on with more rights than meant is the one thing that must not happen. */
void st_become(uid_t uid, gid_t gid);
void st_become_root(void);

/* An absolute path without empty, "." and ".." components, shorter than PATH_MAX. */
bool st_path_is_normal(const char *path);
/* The same path without empty and "." components and slashes at its end, new; "..", and what is not
 * absolute, stay as they are, for st_path_is_normal() to see. NULL without memory. */
char *st_path_normalise(const char *path);
/* One component of a path, and no trick: not empty, no '/', not "." or "..". */
bool st_name_is_component(const char *name);

int st_open_base(const char *path, char **ret_real, int *ret_fd, struct st_problem *problem);
int st_open_dir(int dir_fd, const char *path, int *ret_fd, struct st_problem *problem);
int st_pin_owned_dir(int dir_fd, const char *path, uid_t owner, int *ret_fd,
		     struct st_problem *problem);
int st_open_owned_dir(int dir_fd, const char *path, uid_t owner, int *ret_fd,
		      struct st_problem *problem);
int st_read_file(int dir_fd, const char *name, uid_t owner, size_t len_max, char **ret_text,
		 size_t *ret_len, struct st_problem *problem);
int st_replace_file(int dir_fd, const char *name, const char *backup_name, const void *bytes,
		    size_t len, struct st_problem *problem);
int st_lock_dir(int dir_fd, struct st_problem *problem);
int st_dir_is_empty(int dir_fd, const char *const *except, bool *ret_empty);
int st_remove_tree(int dir_fd, const char *name, unsigned int depth);

#endif
