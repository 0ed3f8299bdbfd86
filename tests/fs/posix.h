/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of posix share: options, helpers, and the checks themselves, which the table in
 * posix.c names. Each runs in a child of its own, in an empty directory of the mount, and has
 * passed if it returns.
 */
#ifndef TESTS_FS_POSIX_H
#define TESTS_FS_POSIX_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct stat;

/* posix.c: what the command line says, because it cannot be seen from within */
extern const char *lower;		/* the directory below the mount */
extern size_t link_len, name_len;	/* the longest there are: encryption takes some */
extern bool in_xattr;			/* lower files have no header, so their sizes differ */
/* Bytes to fill files with. A check has a copy of its own, as a child, and may change it. */
extern char content[20000];

/* posix-files.c */
/* It stays open, for reading and writing. */
int create(const char *name, const void *bytes, size_t len);
/* What is read next comes from below. */
void drop_caches(void);
/* All of the file: no byte more. */
void expect_content(const char *name, const void *want, size_t len);
void expect_zero(int fd, off_t from, off_t to);
/* The lower file of the only file here, whatever its name is there. */
void lower_path(char ret[PATH_MAX]);
void lower_stat(struct stat *ret);
/* A directory beside the lower one, for what is moved out of it; empty at first. */
void elsewhere(char ret[PATH_MAX], const char *name);

/* posix-names.c */
void rename_noreplace(void);
void rename_exchange(void);
void rename_whiteout(void);
void tmpfile_link(void);
void symlink_long(void);
void symlink_too_long(void);
void name_longest(void);
void handles(void);
void handles_outside(void);
void rename_under_lookups(void);
void unlinked_open(void);
void remove_while_reading(void);
void inode_numbers(void);

/* posix-data.c */
void splice_to_file(void);
void sendfile_to_file(void);
void copy_range(void);
void direct(void);
void fsize_limit(void);
void zero_fill_killable(void);
void fallocate_modes(void);
void clones_refused(void);
void holes_read_zero(void);
void truncate_traps(void);
void mmap_tail(void);
void mmap_beyond_end(void);

/* posix-attr.c */
void time_nanoseconds(void);
void atime_of_header(void);
void statx_birth(void);
void statx_attributes(void);
void blocks_without_header(void);
void immutable(void);
void metadata_hidden(void);

/* posix-rights.c */
void setgid_on_create(void);
void setgid_directory(void);
void setid_lost_on_write(void);
void capability_lost_on_write(void);
void acl_after_set(void);
void acl_inherited(void);
void write_only_file(void);
void create_without_permission(void);
void read_only_file_by_reader(void);

/* posix-below.c */
void filled_from_below(void);
void moved_below(void);
void directory_moved_below(void);
void replaced_below(void);
void cut_by_crash(void);
void short_below(void);
void error_until_close(void);

/* posix-special.c */
void executes(void);
void sockets_and_fifos(void);
void filesystem_type(void);
void swap_refused(void);

#endif
