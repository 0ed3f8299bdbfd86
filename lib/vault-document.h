/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The vault document, <lower>/ecryptfs-vault.json: what the vault is, and every way to open it.
 * Parsed strictly, written canonically (sorted keys, no white space but a final newline).
 *
 *   { "document_version": 1, "uuid": "...", "serial": 7, "created": "2026-11-21T06:30:00Z",
 *     "name": "alice", "kind": "home" | "directory",
 *     "options": { "format": 3, "cipher": "aes", "key_bytes": 32,
 *                  "names": true, "name_cipher": "aes", "name_key_bytes": 32, "xattr": false },
 *     "keys": { "sig": "16 hex", "fnek_sig": "16 hex" | null },
 *     "slots": [ { "id": 0, "type": "passphrase", "label": "...", "created": "...",
 *                  "kdf": { "name": "argon2id", "memory_kib": 65536, "passes": 3,
 *                           "lanes": 1, "salt": base64 16 bytes },
 *                  "wrapped": { "nonce": base64 12, "ciphertext": base64 64, "tag": base64 16 },
 *                  "commitment": base64 32 },
 *                { "id": 1, "type": "recovery", ..., "kdf": { "name": "hkdf-sha512", "salt": } } ],
 *     "mac": base64 32 }
 *
 * The MAC is HMAC-SHA-256 over the canonical text without "mac", under a key derived from the
 * vault key. Which fields a slot has beyond id, type, label, created is that slot type's affair
 * (helper/slot-*.c); this file checks shape and bounds only.
 */
#ifndef EC_VAULT_DOCUMENT_H
#define EC_VAULT_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define EC_VAULT_DOCUMENT_NAME	"ecryptfs-vault.json"
#define EC_VAULT_DOCUMENT_BACKUP_NAME "ecryptfs-vault.json.bak"
/* Beside a vault: what an interrupted creation left, as far as only root can remove it. */
#define EC_VAULT_UNFINISHED_NAME "unfinished-vault"
#define EC_VAULT_DOCUMENT_LEN_MAX 65536u
#define EC_VAULT_SLOTS_MAX	32u
#define EC_VAULT_KEY_LEN	64u

struct ec_vault_options {
	unsigned int format;		/* 3 */
	char cipher[32];
	unsigned int key_bytes;
	bool names;			/* names are encrypted */
	char name_cipher[32];
	unsigned int name_key_bytes;
	bool xattr;			/* metadata in the xattr */
};

/* Parses and checks: 0, -EBADMSG (with a reason in *ret_reason, static text), -EOPNOTSUPP for
 * a later document_version, -EMSGSIZE, -ENOMEM. ret_document is a new reference. */
int ec_vault_document_parse(const char *text, size_t len, json_t **ret_document,
			    const char **ret_reason);
/* The same checks on a JSON value that came another way. */
int ec_vault_document_check(const json_t *document, const char **ret_reason);
/* Canonical text with final newline, new; with_mac false is what the MAC covers. */
int ec_vault_document_format(const json_t *document, bool with_mac, char **ret_text,
			     size_t *ret_len);
int ec_vault_document_options(const json_t *document, struct ec_vault_options *ret);
const char *ec_vault_document_uuid(const json_t *document);
json_int_t ec_vault_document_serial(const json_t *document);
/* Borrowed, or NULL. */
json_t *ec_vault_document_slot(const json_t *document, json_int_t id);

#endif
