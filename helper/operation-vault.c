/* SPDX-License-Identifier: GPL-2.0-only */
/* open, create and change: the operations on vault documents. */
#include "format/ecfmt.h"
#include "helper/json-bytes.h"
#include "helper/operation.h"
#include "helper/slot.h"
#include "helper/vault-key.h"
#include "lib/vault-document.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* The slot that opened, and the key that was in it. */
struct opened {
	struct ec_secret vault_key;
	json_t *slot;			/* borrowed from the document */
};

static void opened_done(struct opened *opened)
{
	ec_secret_done(&opened->vault_key);
}

static const char *slot_type_name(const json_t *slot)
{
	return json_string_value(json_object_get(slot, "type"));
}

static json_int_t slot_id(const json_t *slot)
{
	return json_integer_value(json_object_get(slot, "id"));
}

/* The document of a request, checked; borrowed. */
static int get_document(const json_t *body, json_t **ret, struct ecd_reason *reason)
{
	json_t *document = json_object_get(body, "document");
	const char *why = NULL;
	int r;

	r = ec_vault_document_check(document, &why);
	if (r < 0)
		return ecd_fail(reason, r, "the vault document cannot be used: %s", why);
	*ret = document;
	return 0;
}

/* The document, and its slot that the request names; *ret_slot is NULL if it names none. */
static int get_target(const json_t *body, json_t **ret_document, json_t **ret_slot,
		      struct ecd_reason *reason)
{
	const json_t *id = json_object_get(body, "slot");
	int r;

	*ret_slot = NULL;
	r = get_document(body, ret_document, reason);
	if (r < 0 || !id || json_is_null(id))
		return r;
	if (!json_is_integer(id))
		return ecd_fail(reason, -EPROTO, "the slot is not a number");
	*ret_slot = ec_vault_document_slot(*ret_document, json_integer_value(id));
	if (!*ret_slot)
		return ecd_fail(reason, -EINVAL, "the vault has no slot %lld",
				(long long)json_integer_value(id));
	return 0;
}

static int open_slot(const json_t *document, json_t *slot, const struct ec_secret *secret,
		     struct opened *ret, struct ecd_reason *reason)
{
	const struct ecd_slot_type *type = ecd_slot_type_by_name(slot_type_name(slot));
	int r;

	if (!type)
		return ecd_fail(reason, -EOPNOTSUPP, "slot %lld is of a type that this program "
				"does not know", (long long)slot_id(slot));
	r = type->open(ec_vault_document_uuid(document), slot, secret, &ret->vault_key, reason);
	if (r == 0)
		ret->slot = slot;
	return r;
}

/*
 * Which failure to tell, when no slot opened: one that is not "wrong secret" tells more than one
 * that is, and among equals the one with a text.
 */
static void keep_failure(int *kept, struct ecd_reason *kept_reason, int r,
			 const struct ecd_reason *reason)
{
	bool more = *kept == -EKEYREJECTED && r != -EKEYREJECTED;

	if (!more && (r != *kept || kept_reason->text[0]))
		return;
	*kept = r;
	*kept_reason = *reason;
}

/* Every slot of a known type that the secret can be for, in the order of the table of types. */
static int open_any_slot(const json_t *document, const struct ec_secret *secret,
			 struct opened *ret, struct ecd_reason *ret_reason)
{
	const json_t *slots = json_object_get(document, "slots");
	const struct ecd_slot_type *type;
	struct ecd_reason kept_reason = { "" };
	int kept = -EKEYREJECTED;
	bool known = false;
	size_t t, i;

	for (t = 0; (type = ecd_slot_type_row(t)); t++) {
		for (i = 0; i < json_array_size(slots); i++) {
			json_t *slot = json_array_get(slots, i);
			struct ecd_reason reason = { "" };
			int r;

			if (strcmp(slot_type_name(slot), type->name) != 0)
				continue;
			known = true;
			if (type->fits && !type->fits(secret))
				continue;
			r = open_slot(document, slot, secret, ret, &reason);
			if (r == 0)
				return 0;
			keep_failure(&kept, &kept_reason, r, &reason);
		}
	}
	if (!known)
		return ecd_fail(ret_reason, -EOPNOTSUPP,
				"the vault has no slot of a type that this program knows");
	*ret_reason = kept_reason;
	return kept;
}

/* The keys, as the document says they are: a second proof besides the MAC. */
static int derive_mount_keys(const json_t *document, const struct ec_secret *vault_key,
			     struct ecd_mount_keys *ret, struct ecd_reason *reason)
{
	const json_t *sigs = json_object_get(document, "keys");
	const char *sig = json_string_value(json_object_get(sigs, "sig"));
	const char *fnek_sig = json_string_value(json_object_get(sigs, "fnek_sig"));
	_cleanup_mount_keys_ struct ecd_mount_keys keys = ECD_MOUNT_KEYS_NULL;
	int r;

	r = ecd_vault_key_mount_keys(vault_key, fnek_sig != NULL, &keys);
	if (r < 0)
		return r;
	if (strcmp(sig, keys.sig_hex[0]) != 0 ||
	    (fnek_sig && strcmp(fnek_sig, keys.sig_hex[1]) != 0))
		return ecd_fail(reason, -EBADMSG, "the signatures in the vault document are not "
				"those of its keys");
	*ret = keys;
	keys = ECD_MOUNT_KEYS_NULL;
	return 0;
}

/* Opens slot, or any if slot is NULL, and checks that the document is whole. */
static int unlock(const json_t *document, json_t *slot, const struct ec_secret *secret,
		  struct opened *ret, struct ecd_mount_keys *ret_keys, struct ecd_reason *reason)
{
	_cleanup_(opened_done) struct opened opened = { .slot = NULL };
	int r;

	r = slot ? open_slot(document, slot, secret, &opened, reason) :
		   open_any_slot(document, secret, &opened, reason);
	if (r < 0)
		return r;
	r = ecd_vault_key_verify(&opened.vault_key, document, reason);
	if (r < 0)
		return r;
	r = derive_mount_keys(document, &opened.vault_key, ret_keys, reason);
	if (r < 0)
		return r;
	*ret = opened;
	opened.vault_key = EC_SECRET_NULL;
	return 0;
}

/* Proof that a document that is about to replace another, or nothing, opens with secret. */
static int verify_opens(const json_t *document, json_int_t id, const struct ec_secret *secret,
			const struct ec_secret *vault_key, struct ecd_reason *reason)
{
	_cleanup_(opened_done) struct opened opened = { .slot = NULL };
	_cleanup_mount_keys_ struct ecd_mount_keys keys = ECD_MOUNT_KEYS_NULL;
	struct ecd_reason why = { "" };
	int r;

	r = ec_vault_document_check(document, NULL);
	if (r == 0)
		r = unlock(document, ec_vault_document_slot(document, id), secret, &opened, &keys,
			   &why);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || !ec_secret_equal(&opened.vault_key, vault_key))
		return ecd_fail(reason, -EIO, "the new slot does not open again, so nothing was "
				"changed");
	return 0;
}

int ecd_operation_open(struct ecd_request *request, struct ec_wire_message *reply,
		       struct ecd_reason *reason)
{
	_cleanup_(opened_done) struct opened opened = { .slot = NULL };
	_cleanup_mount_keys_ struct ecd_mount_keys keys = ECD_MOUNT_KEYS_NULL;
	json_t *document = NULL, *slot = NULL;
	int r;

	r = get_target(request->body, &document, &slot, reason);
	if (r < 0)
		return r;
	r = unlock(document, slot, &request->secrets[0], &opened, &keys, reason);
	if (r < 0)
		return r;

	r = ecd_reply_set_new(reply, "slot", json_integer(slot_id(opened.slot)));
	if (r == 0)
		r = ecd_reply_set_new(reply, "type", json_string(slot_type_name(opened.slot)));
	if (r == 0)
		r = ecd_reply_set_new(reply, "keys", ecd_mount_keys_describe(&keys));
	if (r == 0)
		r = ecd_reply_add_secret(reply, &keys.packed);
	return r;
}

static int now_text(char *ret, size_t size)
{
	time_t now = time(NULL);
	struct tm tm;

	return gmtime_r(&now, &tm) && strftime(ret, size, "%Y-%m-%dT%H:%M:%SZ", &tm) ? 0 : -EIO;
}

/* The slot that change wraps anew: the one asked for, else the one that opened if its secret is
 * a chosen one, else the first that has a chosen one (the old secret was a recovery key). */
static int find_slot_to_change(const json_t *document, json_t *wanted, json_t *opened,
			       json_t **ret, struct ecd_reason *reason)
{
	const json_t *slots = json_object_get(document, "slots");
	size_t i, n = json_array_size(slots);

	for (i = 0; i < n + 2; i++) {
		json_t *slot = i == 0 ? wanted : i == 1 ? opened : json_array_get(slots, i - 2);
		const struct ecd_slot_type *type = ecd_slot_type_by_name(slot_type_name(slot));

		if (slot && type && !type->generate) {
			*ret = slot;
			return 0;
		}
		if (slot && slot == wanted)
			break;
	}
	return ecd_fail(reason, -EOPNOTSUPP, wanted ?
			"the secret of that slot is not one that a person chooses" :
			"the vault has no passphrase slot to change");
}

/*
 * The old secret proves the right to change a slot by opening any: the slot itself, or the
 * recovery key after a login password was forgotten.
 */
static int unlock_for_change(const json_t *document, json_t *slot, const struct ec_secret *secret,
			     struct opened *ret, struct ecd_mount_keys *ret_keys,
			     struct ecd_reason *reason)
{
	struct ecd_reason first = { "" };
	int r;

	r = slot ? unlock(document, slot, secret, ret, ret_keys, &first) : -EKEYREJECTED;
	if (r != -EKEYREJECTED) {
		*reason = first;
		return r;
	}
	return unlock(document, NULL, secret, ret, ret_keys, reason);
}

int ecd_operation_change(struct ecd_request *request, struct ec_wire_message *reply,
			 struct ecd_reason *reason)
{
	_cleanup_(opened_done) struct opened opened = { .slot = NULL };
	_cleanup_mount_keys_ struct ecd_mount_keys keys = ECD_MOUNT_KEYS_NULL;
	_cleanup_json_ json_t *changed = NULL;
	json_t *document = NULL, *slot = NULL;
	json_int_t id;
	int r;

	r = get_target(request->body, &document, &slot, reason);
	if (r < 0)
		return r;
	r = unlock_for_change(document, slot, &request->secrets[0], &opened, &keys, reason);
	if (r < 0)
		return r;
	r = find_slot_to_change(document, slot, opened.slot, &slot, reason);
	if (r < 0)
		return r;
	id = slot_id(slot);

	changed = json_deep_copy(document);
	/* A copy of jansson's may lack what it found no memory for, a slot for instance. */
	if (!changed || !json_equal(changed, document) ||
	    json_object_set_new(changed, "serial",
				json_integer(ec_vault_document_serial(document) + 1)) < 0)
		return -ENOMEM;
	slot = ec_vault_document_slot(changed, id);
	r = ecd_slot_type_by_name(slot_type_name(slot))->make(
		ec_vault_document_uuid(changed), slot, &request->secrets[1], &opened.vault_key,
		request->target_ms, reason);
	if (r < 0)
		return r;
	r = ecd_vault_key_sign(&opened.vault_key, changed);
	if (r < 0)
		return r;
	r = verify_opens(changed, id, &request->secrets[1], &opened.vault_key, reason);
	if (r < 0)
		return r;

	r = ecd_reply_set_new(reply, "document", json_incref(changed));
	if (r == 0)
		r = ecd_reply_set_new(reply, "slot", json_integer(id));
	return r;
}

static const struct ecfmt_cipher *find_cipher(const json_t *options, const char *cipher,
					      const char *key_bytes, size_t *ret_len)
{
	const char *name = json_string_value(json_object_get(options, cipher));
	json_int_t len = json_integer_value(json_object_get(options, key_bytes));

	if (!name || len <= 0 || len > ECFMT_FEK_LEN_MAX)
		return NULL;
	*ret_len = (size_t)len;
	return ecfmt_cipher_by_name(name, (size_t)len);
}

/* What was asked for, over what a new vault has if nothing was; the whole is checked. */
static int complete_options(const json_t *wanted, json_t **ret, struct ecd_reason *reason)
{
	_cleanup_json_ json_t *options = json_pack("{s:i, s:s, s:i, s:b, s:b}", "format", 3,
						   "cipher", "aes", "key_bytes", 32,
						   "names", 1, "xattr", 0);
	const struct ecfmt_cipher *cipher, *name_cipher;
	size_t key_len, name_key_len;

	if (!options || (wanted && json_object_update(options, (json_t *)wanted) < 0))
		return -ENOMEM;
	/* Names are encrypted as the content is, unless somebody wants otherwise. */
	if ((!json_object_get(options, "name_cipher") &&
	     json_object_set(options, "name_cipher", json_object_get(options, "cipher")) < 0) ||
	    (!json_object_get(options, "name_key_bytes") &&
	     json_object_set(options, "name_key_bytes",
			     json_object_get(options, "key_bytes")) < 0))
		return -ENOMEM;

	cipher = find_cipher(options, "cipher", "key_bytes", &key_len);
	name_cipher = find_cipher(options, "name_cipher", "name_key_bytes", &name_key_len);
	if (!cipher || !ecfmt_cipher_key_len_ok(cipher, key_len))
		return ecd_fail(reason, -EINVAL, "there is no such cipher, or not with that many "
				"key bytes");
	if (!name_cipher || !ecfmt_cipher_name_key_len_ok(name_cipher, name_key_len))
		return ecd_fail(reason, -EINVAL, "there is no such cipher for names, or not with "
				"that many key bytes");
	*ret = json_incref(options);
	return 0;
}

/* A document with everything but slots and MAC. */
static int new_document(const struct ecd_request *request, const char *created,
			const struct ecd_mount_keys *keys, json_t *options, json_t **ret)
{
	const json_t *body = request->body;
	json_t *document;

	document = json_pack("{s:i, s:O*, s:i, s:s, s:O*, s:O*, s:O, s:{s:s, s:s?}, s:[]}",
			     "document_version", 1, "uuid", json_object_get(body, "uuid"),
			     "serial", 1, "created", created,
			     "name", json_object_get(body, "name"),
			     "kind", json_object_get(body, "kind"), "options", options,
			     "keys", "sig", keys->sig_hex[0],
			     "fnek_sig", keys->n_roles > 1 ? keys->sig_hex[1] : NULL, "slots");
	if (!document)
		return -ENOMEM;
	*ret = document;
	return 0;
}

static int add_slot(json_t *document, const struct ecd_slot_type *type, const char *label,
		    const struct ec_secret *secret, const struct ec_secret *vault_key,
		    unsigned int target_ms, struct ecd_reason *reason)
{
	json_t *slots = json_object_get(document, "slots");
	json_t *slot = json_pack("{s:i, s:s, s:s, s:O}", "id", (int)json_array_size(slots),
				 "type", type->name, "label", label,
				 "created", json_object_get(document, "created"));

	if (!slot || json_array_append_new(slots, slot) < 0)
		return -ENOMEM;
	return type->make(ec_vault_document_uuid(document), slot, secret, vault_key, target_ms,
			  reason);
}

/* The types that create was asked for, each once. */
static int get_slot_types(const json_t *body, const struct ecd_slot_type **ret, size_t max,
			  size_t *ret_n, struct ecd_reason *reason)
{
	const json_t *names = json_object_get(body, "slots");
	size_t n = json_array_size(names), i, j;

	if (!json_is_array(names) || !n || n > max)
		return ecd_fail(reason, -EINVAL, "a vault needs at least one slot, and one of "
				"each type");
	for (i = 0; i < n; i++) {
		ret[i] = ecd_slot_type_by_name(json_string_value(json_array_get(names, i)));
		if (!ret[i])
			return ecd_fail(reason, -EOPNOTSUPP, "there is no such type of slot");
		for (j = 0; j < i; j++)
			if (ret[j] == ret[i])
				return ecd_fail(reason, -EINVAL,
						"a type of slot was asked for twice");
	}
	*ret_n = n;
	return 0;
}

struct creation {
	struct ec_secret vault_key;
	struct ec_secret recovery;	/* text; empty if no such slot was asked for */
	struct ecd_mount_keys keys;
	json_t *options;
	json_t *document;
};

static void creation_done(struct creation *creation)
{
	ec_secret_done(&creation->vault_key);
	ec_secret_done(&creation->recovery);
	ecd_mount_keys_done(&creation->keys);
	json_decref(creation->options);
	json_decref(creation->document);
}

static int create_skeleton(struct ecd_request *request, struct creation *creation,
			   struct ecd_reason *reason)
{
	char created[sizeof("2026-11-21T06:30:00Z")];
	int r;

	r = complete_options(json_object_get(request->body, "options"), &creation->options,
			     reason);
	if (r < 0)
		return r;
	r = now_text(created, sizeof(created));
	if (r < 0)
		return r;
	r = ecd_vault_key_generate(&creation->vault_key);
	if (r < 0)
		return r;
	r = ecd_vault_key_mount_keys(&creation->vault_key,
				     json_is_true(json_object_get(creation->options, "names")),
				     &creation->keys);
	if (r < 0)
		return r;
	r = ec_secret_init(&creation->recovery, 0);
	if (r < 0)
		return r;
	return new_document(request, created, &creation->keys, creation->options,
			    &creation->document);
}

static int create_slots(struct ecd_request *request, struct creation *creation,
			struct ecd_reason *reason)
{
	const char *label = json_string_value(json_object_get(request->body, "label"));
	const struct ecd_slot_type *types[8];
	size_t n = 0, i;
	int r;

	r = get_slot_types(request->body, types, sizeof(types) / sizeof(types[0]), &n, reason);
	for (i = 0; r == 0 && i < n; i++) {
		const struct ec_secret *secret = &request->secrets[0];

		if (types[i]->generate) {
			r = types[i]->generate(&creation->recovery);
			if (r < 0)
				return r;
			secret = &creation->recovery;
		}
		r = add_slot(creation->document, types[i],
			     types[i]->generate || !label ? types[i]->name : label, secret,
			     &creation->vault_key, request->target_ms, reason);
	}
	return r;
}

/* Every slot opens, and nobody will find the document malformed later. */
static int create_verify(struct ecd_request *request, struct creation *creation,
			 struct ecd_reason *reason)
{
	const json_t *slots = json_object_get(creation->document, "slots");
	const char *why = NULL;
	size_t i;
	int r;

	r = ec_vault_document_check(creation->document, &why);
	if (r < 0)
		return ecd_fail(reason, -EINVAL, "no vault can be made of that: %s", why);
	for (i = 0; i < json_array_size(slots); i++) {
		const json_t *slot = json_array_get(slots, i);
		bool generated = ecd_slot_type_by_name(slot_type_name(slot))->generate;

		r = verify_opens(creation->document, slot_id(slot),
				 generated ? &creation->recovery : &request->secrets[0],
				 &creation->vault_key, reason);
		if (r < 0)
			return r;
	}
	return 0;
}

static void remove_generated_slots(json_t *document)
{
	json_t *slots = json_object_get(document, "slots");
	size_t i = json_array_size(slots);

	while (i--)
		if (ecd_slot_type_by_name(slot_type_name(json_array_get(slots, i)))->generate)
			json_array_remove(slots, i);
}

/*
 * The same vault before anybody has got the recovery key. It stands on disk as long as the key is
 * on its way, so that no slot is left whose secret nobody knows.
 */
static int reply_without_recovery(const struct creation *creation, struct ec_wire_message *reply,
				  struct ecd_reason *reason)
{
	_cleanup_json_ json_t *document = json_deep_copy(creation->document);
	int r;

	if (!document || !json_equal(document, creation->document))
		return -ENOMEM;
	remove_generated_slots(document);
	/* A vault that has the recovery key alone. */
	if (!json_array_size(json_object_get(document, "slots")))
		return 0;
	r = ecd_vault_key_sign(&creation->vault_key, document);
	if (r == 0)
		r = ec_vault_document_check(document, NULL);
	if (r == 0)
		r = ecd_vault_key_verify(&creation->vault_key, document, reason);
	if (r == 0)
		r = ecd_reply_set_new(reply, "without_recovery", json_incref(document));
	return r;
}

int ecd_operation_create(struct ecd_request *request, struct ec_wire_message *reply,
			 struct ecd_reason *reason)
{
	_cleanup_(creation_done) struct creation creation = { .document = NULL };
	int r;

	r = create_skeleton(request, &creation, reason);
	if (r == 0)
		r = create_slots(request, &creation, reason);
	if (r == 0)
		r = ecd_vault_key_sign(&creation.vault_key, creation.document);
	if (r == 0)
		r = create_verify(request, &creation, reason);
	if (r < 0)
		return r;

	r = ecd_reply_set_new(reply, "document", json_incref(creation.document));
	if (r == 0)
		r = ecd_reply_set_new(reply, "recovery", json_boolean(creation.recovery.len > 0));
	if (r == 0 && creation.recovery.len)
		r = reply_without_recovery(&creation, reply, reason);
	if (r == 0)
		r = ecd_reply_add_secret(reply, &creation.keys.packed);
	if (r == 0)
		r = ecd_reply_add_secret(reply, &creation.recovery);
	return r;
}
