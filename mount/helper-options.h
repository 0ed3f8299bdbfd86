/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Options of mount.ecryptfs, as ecryptfs-utils spells them: on the command line behind -o, and
 * in ~/.ecryptfsrc.
 *
 *   options := item { ("," | "\n") item }
 *   item    := name [ "=" value ]
 *   key     := "key=" module { ":" name "=" value }
 */
#ifndef EC_MOUNT_HELPER_OPTIONS_H
#define EC_MOUNT_HELPER_OPTIONS_H

#include "format/ecfmt.h"
#include "lib/kdf.h"
#include "mount/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EC_HELPER_SIGS_MAX	EC_KEY_SET_MAX
#define EC_HELPER_ITEM_LEN_MAX	4096u	/* bytes of one option */
#define EC_HELPER_RC_ITEM_LEN_MAX 127u	/* the same in ~/.ecryptfsrc */
#define EC_HELPER_RC_LEN_MAX	40960u	/* bytes of ~/.ecryptfsrc */

enum ec_answer {
	EC_ANSWER_UNSET,
	EC_ANSWER_NO,
	EC_ANSWER_YES,
};

struct ec_helper_options {
	/* key module */
	bool key_given;			/* key=passphrase, or one of its options */
	struct ec_secret passphrase;	/* len 0: not on the command line */
	char *passphrase_file;
	int passphrase_fd;		/* -1 */
	bool salt_given;
	uint8_t salt[EC_S2K_SALT_LEN];
	/* the filesystem */
	char sigs[EC_HELPER_SIGS_MAX][ECFMT_SIG_HEX_LEN + 1];
	size_t n_sigs;
	bool sigs_from_rc;		/* the command line's replace them */
	char fnek_sig[ECFMT_SIG_HEX_LEN + 1];	/* "": none */
	char cipher[32];		/* "": not given */
	unsigned int key_bytes;		/* 0: not given */
	char fn_cipher[32];
	unsigned int fn_key_bytes;
	enum ec_answer names;		/* ecryptfs_enable_filename_crypto */
	enum ec_answer passthrough;
	enum ec_answer xattr;
	enum ec_answer encrypted_view;
	bool auth_tok_only;
	bool check_dev_ruid;
	/* this helper */
	bool no_sig_cache;
	bool no_prompt;
	bool verbose;
	bool remount;
	/* of every filesystem */
	uint64_t attributes;		/* MOUNT_ATTR_* */
	struct ec_mount_options generic;	/* of the superblock: ro, sync, context=... */
};

void ec_helper_options_init(struct ec_helper_options *options);
void ec_helper_options_done(struct ec_helper_options *options);

enum ec_options_from {
	EC_OPTIONS_FROM_RC,
	EC_OPTIONS_FROM_COMMAND_LINE,
};

/*
 * Adds what text says; later options win over earlier ones. text is not kept. sloppy: unknown
 * options are passed over (mount -s). 0, -EINVAL with the offending option in why (never a
 * passphrase), -E2BIG, -ENOMEM, -EOPNOTSUPP for a key module of another kind.
 */
int ec_helper_options_parse(struct ec_helper_options *options, const char *text, size_t len,
			    enum ec_options_from from, bool sloppy, struct ec_why *why);
/* ~/.ecryptfsrc at path; 0 also if it is not there. */
int ec_helper_options_read_rc(struct ec_helper_options *options, const char *path,
			      struct ec_why *why);
/* What does not go together: -EINVAL. */
int ec_helper_options_check(const struct ec_helper_options *options, struct ec_why *why);
/* The options as the filesystem takes them, in the order of ecryptfs-utils. */
int ec_helper_options_to_mount(const struct ec_helper_options *options,
			       struct ec_mount_options *ret, struct ec_why *why);

/*
 * The passphrase in the text of a passphrase file: "passphrase_passwd=..." or "passwd=...".
 * ret is new. -EINVAL if there is none.
 */
int ec_helper_passphrase_from_text(struct ec_secret *ret, const uint8_t *text, size_t len);
/* Overwrites the passphrases in an option string with '*', for argv. True if there was one. */
bool ec_helper_options_hide_passphrase(char *text);

#endif
