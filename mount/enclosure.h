/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a new vault is filled. What root does by path in a directory that its owner can change, he
 * can lead elsewhere: with a symbolic link that takes a directory's place at the right moment, or
 * by renaming below a mount. So a vault is filled in a directory that nobody but root has ever
 * been in, and takes its place beside the home in one step, complete.
 *
 * HOMEBASE/.ecryptfs/			root's
 *	.import-ID/			root's, 0700
 *		vault/			made empty; exchanged with the next one
 *	USER/				USER's, who can change it at any time
 *		vault/			what the store made: nothing but the documents
 *		unfinished-vault/	what the store could not remove of an interrupted creation
 */
#ifndef EC_MOUNT_ENCLOSURE_H
#define EC_MOUNT_ENCLOSURE_H

#include "mount/tree.h"
#include "mount/why.h"

#include <stdbool.h>
#include <sys/types.h>

struct ec_enclosure {
	int base;		/* HOMEBASE/.ecryptfs/USER, not O_PATH; borrowed */
	int parent;		/* HOMEBASE/.ecryptfs, not O_PATH */
	int dir;		/* .import-ID */
	int vault;		/* the new lower directory, for reading */
	uid_t owner;		/* USER */
	ino_t placed;		/* of what stood in the place of the vault; 0: nothing exchanged yet */
	char name[64];		/* .import-ID */
};

#define EC_ENCLOSURE_NULL ((struct ec_enclosure){ .base = -1, .parent = -1, .dir = -1, .vault = -1 })

/*
 * Takes parent over, in each case. What an earlier attempt left is removed, and so is
 * the unfinished vault. -EEXIST if the vault of the store holds anything but documents; -ELOOP if
 * it is not what the store made; -EXDEV if it cannot be exchanged with the new one.
 */
int ec_enclosure_make(struct ec_enclosure *enclosure, int parent, int base, const char *id,
		      uid_t owner, struct ec_tree_watch *watch, struct ec_why *why);
/*
 * One rename: the filled vault, with the documents and on disk, takes its place. -ESTALE if
 * something else stands there: then nothing has changed.
 */
int ec_enclosure_publish(struct ec_enclosure *enclosure, struct ec_why *why);
/* Undoes publish. -ESTALE if the vault is not where publish put it. */
int ec_enclosure_withdraw(struct ec_enclosure *enclosure, struct ec_why *why);
/* Removes the directory of root's with all that is in it. */
int ec_enclosure_discard(struct ec_enclosure *enclosure, struct ec_tree_watch *watch,
			 struct ec_why *why);
/* Removes what an attempt left that was cut off after it had published. */
void ec_enclosure_forget(int parent, const char *id);
/* Closes the descriptors. */
void ec_enclosure_done(struct ec_enclosure *enclosure);

#endif
