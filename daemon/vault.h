/* SPDX-License-Identifier: GPL-2.0-only */
/* A vault as the broker knows it: never a key, never a secret. */
#ifndef ECD_VAULT_H
#define ECD_VAULT_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

struct ecd_failure;
struct ecd_manager;

TAILQ_HEAD(ecd_vault_operation_list, ecd_operation);

enum ecd_vault_kind {
	ECD_VAULT_HOME,
	ECD_VAULT_DIRECTORY,
	ECD_VAULT_LEGACY,
};

struct ecd_vault {
	TAILQ_ENTRY(ecd_vault) link;
	struct ecd_manager *manager;
	char *id;		/* "home-UID" or the uuid */
	char *bus_path;
	enum ecd_vault_kind kind;
	uid_t owner;
	char *user;		/* of a home; else NULL */
	char *name;
	char *lower;
	char *mount_point;
	char *mounted_at;	/* where it is mounted, if that is somewhere else; else NULL */
	json_t *document;	/* as last read, or NULL */
	json_t *legacy;		/* of a legacy home: the member of probe-home, or NULL */
	int problem_error;	/* negative errno; the vault is damaged */
	char *problem;
	bool mounted;
	bool stay_open;		/* the user wants it open after the last session (no auto-umount) */
	char *engine;		/* of the mount */
	/* The first one runs, the others wait for it. */
	struct ecd_vault_operation_list operations;
	sd_event_source *close_timer;	/* of a home without sessions */
	uint64_t silent_until_us;	/* of a directory: its disk hangs, nobody looks until then */
	bool manager_stopped;	/* of a home: user@.service, by us, since the last session */
	bool login_rejected;	/* the last login brought a password that is newer than the slot */
};

/* Found by id, or NULL. */
struct ecd_vault *ecd_vault_find(struct ecd_manager *manager, const char *id);
struct ecd_vault *ecd_vault_find_path(struct ecd_manager *manager, const char *bus_path);
struct ecd_vault *ecd_vault_find_home(struct ecd_manager *manager, uid_t uid);
/* New and announced on the bus; 0, -ENOMEM. */
int ecd_vault_new(struct ecd_manager *manager, const char *id, enum ecd_vault_kind kind,
		  uid_t owner, struct ecd_vault **ret);
/* Takes it off the bus. Nobody may be using it: see ecd_vault_is_idle(). */
void ecd_vault_free(struct ecd_vault *vault);
bool ecd_vault_is_idle(const struct ecd_vault *vault);

/*
 * Takes over what the store found for a user. ret is the vault, or NULL if there is none (any
 * more). 0, -EPROTO for a reply that the store should not give.
 */
int ecd_vault_update_home(struct ecd_manager *manager, const json_t *probe,
			  struct ecd_vault **ret);
/* What reading its document gave: one of the two. */
void ecd_vault_set_document(struct ecd_vault *vault, json_t *document);
void ecd_vault_set_problem(struct ecd_vault *vault, int r, const char *text);
void ecd_vault_set_mounted(struct ecd_vault *vault, bool mounted, const char *engine);
/* Of a mounted one: the place of this mount, forgotten when it is locked. */
void ecd_vault_set_target(struct ecd_vault *vault, const char *target);
/* Where it is mounted, or would be. */
const char *ecd_vault_target(const struct ecd_vault *vault);
/* Tells the bus that properties changed. */
void ecd_vault_changed(struct ecd_vault *vault);

/* "locked", "unlocking", "mounted", "locking", "damaged" */
const char *ecd_vault_state(const struct ecd_vault *vault);
const char *ecd_vault_kind_name(const struct ecd_vault *vault);
bool ecd_vault_is_of_home(const struct ecd_vault *vault);
/*
 * The mark that the owner's login password was set without the old one, so that his home has another.
 * It outlives a restart of the machine. Setting: 0, or a negative errno of the file.
 */
bool ecd_vault_secret_is_stale(const struct ecd_vault *vault);
int ecd_vault_set_secret_stale(const struct ecd_vault *vault);
void ecd_vault_clear_secret_stale(const struct ecd_vault *vault);
/* The plan for the worker, a new reference; NULL without memory or without a document, which a
 * legacy home does not need. */
json_t *ecd_vault_plan(const struct ecd_vault *vault, const json_t *document);

/* The registered directory vaults in state_dir/vaults. */
int ecd_vault_load_directories(struct ecd_manager *manager);
int ecd_vault_register_directory(struct ecd_manager *manager, const char *uuid, uid_t owner,
				 const char *name, const char *lower, const char *mount_point,
				 struct ecd_vault **ret, struct ecd_failure *failure);
/* 0, also if it was not there; negative errno. The vault itself stays. */
int ecd_vault_unregister_directory(struct ecd_manager *manager, const char *uuid);
/* Looks at run_dir/mounts: what is mounted, and by which engine. */
void ecd_vault_scan_mounts(struct ecd_manager *manager);

#endif
