/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ecryptfsctl: a table of verbs over the bus. Nothing here decides anything; the broker does,
 * with polkit.
 */
#ifndef CTL_H
#define CTL_H

#include "lib/secret.h"

#include <jansson.h>
#include <stdbool.h>
#include <systemd/sd-bus.h>

#define CTL_JSON_VERSION 1	/* "version" of every JSON object that is printed */
#define CTL_SLOW_US (5ULL * 60 * 1000 * 1000)	/* Argon2id takes time */
/* Copying a home takes hours, and the reply has the recovery key, once. The broker watches over
 * the copying; a broker that ends is told by the bus. */
#define CTL_NO_LIMIT_US UINT64_MAX

enum ctl_json {
	CTL_JSON_OFF,
	CTL_JSON_SHORT,
	CTL_JSON_PRETTY,
};

/* Which options a verb takes, beside those that all take. */
enum ctl_option {
	CTL_KEY		= 1 << 0,	/* --key-file, --key-fd */
	CTL_NEW_KEY	= 1 << 1,	/* --new-key-file, --new-key-fd */
	CTL_FORCE	= 1 << 2,	/* --force */
	CTL_CREATE	= 1 << 3,	/* what a vault is like */
	CTL_PLAIN	= 1 << 4,	/* --plain */
};

/* Where a secret comes from: a file, a descriptor, or (neither) credential or terminal. */
struct ctl_key_source {
	const char *file;	/* "-" is standard input */
	int fd;			/* -1: none */
};

struct ctl {
	enum ctl_json json;
	struct ctl_key_source key;
	struct ctl_key_source new_key;
	bool force;
	bool plain;
	/* create */
	const char *user;
	const char *name;
	const char *label;
	const char *cipher;
	unsigned int key_bytes;	/* 0: the broker's default */
	bool plain_names;
	bool no_recovery;
	/* the verb's arguments */
	int n_args;
	char **args;
	sd_bus *bus;		/* by ctl_bus() */
};

struct ctl_verb {
	const char *name;
	const char *arguments;	/* as in the usage line */
	const char *summary;
	const char *help;	/* paragraphs below the options */
	int n_args_min;
	int n_args_max;
	unsigned int options;	/* enum ctl_option */
	/* 0 or an exit code; has reported what went wrong */
	int (*run)(struct ctl *ctl);
};

/* bus.c: 0, or an exit code after a report */
int ctl_bus(struct ctl *ctl);
/* A method call without its arguments, which polkit may ask about. */
int ctl_call_new(struct ctl *ctl, const char *path, const char *interface, const char *member,
		 sd_bus_message **ret);
/* Sends. 0, or a negative errno and the broker's own text in *ret_text (new, or NULL). */
int ctl_call(struct ctl *ctl, sd_bus_message *call, uint64_t timeout_us, sd_bus_message **ret_reply,
	     char **ret_text);
int ctl_append_secret(sd_bus_message *call, const struct ec_secret *secret);

/* vault.c */
/* Absolute path for what looks like one, "" for NULL, else a copy. NULL without memory. */
char *ctl_designator(const char *arg);
char *ctl_absolute_path(const char *path);
/* The object of a vault. 0, or an exit code after a report; doing as in "unlock". */
int ctl_resolve(struct ctl *ctl, const char *doing, const char *arg, char **ret_path);
/* Its properties, under the names that the JSON output has. */
int ctl_vault_read(struct ctl *ctl, const char *path, json_t **ret_vault, char **ret_text);
const char *ctl_vault_string(const json_t *vault, const char *key);	/* never NULL */
json_int_t ctl_vault_number(const json_t *vault, const char *key);

/* report.c */
/* One error line: "ecryptfsctl: cannot DOING WHAT: why. Hint". Returns the exit code of r.
 * text may be NULL: the sentence of r. what may be NULL or "": the home of the caller. A text
 * that ends in a full stop is the whole line. */
int ctl_fail(const struct ctl *ctl, int r, const char *doing, const char *what, const char *text);
/* Wrong usage: exit code 2. */
__attribute__((format(printf, 2, 3)))
int ctl_usage_error(const char *verb, const char *format, ...);
/* Prints and releases object, with "version" added. */
int ctl_print_json(const struct ctl *ctl, json_t *object);
/* text with control characters replaced, new. */
char *ctl_printable(const char *text);
/* Keeps what jansson frees from staying readable: a recovery key passes through it. */
void ctl_json_wipe_memory(void);

/* table.c: rows of cells, the columns aligned */
enum ctl_colour {
	CTL_COLOUR_NONE,
	CTL_COLOUR_GOOD,
	CTL_COLOUR_WARN,
	CTL_COLOUR_BAD,
	CTL_COLOUR_HEAD,
};

struct ctl_table;

struct ctl_table *ctl_table_new(size_t n_columns);
void ctl_table_free(struct ctl_table *table);
/* Copies text, printable. Cells come row by row. -ENOMEM is kept and told by the print. */
void ctl_table_add(struct ctl_table *table, enum ctl_colour colour, const char *text);
int ctl_table_print(const struct ctl_table *table);
/* Escape sequences around text, or "" where standard output shows no colours. */
const char *ctl_colour_begin(enum ctl_colour colour);
const char *ctl_colour_end(enum ctl_colour colour);

/* prompt.c */
/* A line from the terminal, not shown. 0, -ENOTTY without a terminal, -ECANCELED at end of
 * input, -EMSGSIZE. The terminal is as before also after a signal that ends the program. */
int ctl_prompt_secret(const char *question, struct ec_secret *ret);
bool ctl_has_terminal(void);
/* Asks until the answer is word. 0, -ENOTTY, -ECANCELED. */
int ctl_prompt_word(const char *question, const char *word);

/* secret.c: all return 0, or an exit code after a report; doing and what as in ctl_fail() */
#define CTL_CREDENTIAL "ecryptfsctl.secret"
#define CTL_NEW_CREDENTIAL "ecryptfsctl.new-secret"

/* The present secret: file, descriptor, credential, else the terminal. */
int ctl_secret(const struct ctl *ctl, const char *doing, const char *what, const char *question,
	       struct ec_secret *ret);
/* A new one: the terminal is asked twice. */
int ctl_new_secret(const struct ctl *ctl, const struct ctl_key_source *source, const char *doing,
		   const char *what, const char *question, const char *credential,
		   struct ec_secret *ret);
/* Does the present secret come from a person who may try again? */
bool ctl_secret_is_typed(const struct ctl *ctl);

/* verb-*.c */
int ctl_verb_create(struct ctl *ctl);
int ctl_verb_doctor(struct ctl *ctl);
int ctl_verb_forget(struct ctl *ctl);
int ctl_verb_inspect(struct ctl *ctl);
int ctl_verb_list(struct ctl *ctl);
int ctl_verb_lock(struct ctl *ctl);
int ctl_verb_lock_all(struct ctl *ctl);
int ctl_verb_passwd(struct ctl *ctl);
int ctl_verb_status(struct ctl *ctl);
int ctl_verb_unlock(struct ctl *ctl);

#endif
