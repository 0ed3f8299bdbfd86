/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading and writing vault documents. The checks are tables of members, one row each, so that
 * what is accepted can be read off; whatever no row names is refused, because a member that one
 * program ignores and another obeys is how authenticated files get forged.
 */
#include "lib/vault-document.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DOCUMENT_VERSION	1
#define NUMBER_MAX		((json_int_t)1 << 53)	/* what every JSON reader can hold */
#define SLOT_ID_MAX		0x7fffffff
#define TEXT_LEN_MAX		255u
#define CIPHER_LEN_MAX		31u
#define SLOT_TYPE_LEN_MAX	31u
#define KEY_BYTES_MAX		64
#define SIG_HEX_LEN		16u
#define MAC_TEXT_LEN		44u	/* 32 bytes in base64 */
#define DEPTH_MAX		6u

/* Checks one value: NULL, or what is wrong with it. */
typedef const char *(*check_fn)(const json_t *value);

struct member {
	const char *name;
	bool required;
	check_fn check;
};

static bool has_only_chars(const char *text, size_t len, const char *set)
{
	return strspn(text, set) == len;
}

/* 1 to len_max characters of set. jansson has refused NUL inside of strings before. */
static bool is_word(const json_t *value, size_t len_max, const char *set)
{
	size_t len = json_string_length(value);

	return json_is_string(value) && len && len <= len_max &&
	       has_only_chars(json_string_value(value), len, set);
}

static bool is_number(const json_t *value, json_int_t min, json_int_t max)
{
	return json_is_integer(value) && json_integer_value(value) >= min &&
	       json_integer_value(value) <= max;
}

static bool is_sig(const json_t *value)
{
	return is_word(value, SIG_HEX_LEN, "0123456789abcdef") &&
	       json_string_length(value) == SIG_HEX_LEN;
}

/* template has '0' for a decimal digit, 'x' for a lower case hexadecimal one. */
static bool fits_template(const json_t *value, const char *template)
{
	const char *text = json_string_value(value);
	size_t i;

	if (!text || json_string_length(value) != strlen(template))
		return false;
	for (i = 0; template[i]; i++) {
		const char *set = template[i] == '0' ? "0123456789" :
				  template[i] == 'x' ? "0123456789abcdef" : NULL;

		if (set ? !strchr(set, text[i]) : text[i] != template[i])
			return false;
	}
	return true;
}

static const char *check_uuid(const json_t *value)
{
	return fits_template(value, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") ? NULL :
	       "the uuid is not a uuid in lower case";
}

static const char *check_time(const json_t *value)
{
	return fits_template(value, "0000-00-00T00:00:00Z") ? NULL :
	       "a creation time is not of the form 2026-11-21T06:30:00Z";
}

static const char *check_version(const json_t *value)
{
	return is_number(value, DOCUMENT_VERSION, DOCUMENT_VERSION) ? NULL :
	       "the document version is not a version";
}

static const char *check_serial(const json_t *value)
{
	return is_number(value, 0, NUMBER_MAX) ? NULL : "the serial is not a number";
}

/* Printable: no control characters, which could repaint the terminal they are listed on. */
static bool is_text(const json_t *value)
{
	const unsigned char *p = (const unsigned char *)json_string_value(value);

	if (!p || json_string_length(value) > TEXT_LEN_MAX)
		return false;
	for (; *p; p++)
		/* 0xc2 0x80..0x9f are the C1 controls in UTF-8 */
		if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0))
			return false;
	return true;
}

static const char *check_name(const json_t *value)
{
	return is_text(value) && json_string_length(value) ? NULL :
	       "the name is empty, too long or has control characters";
}

static const char *check_label(const json_t *value)
{
	return is_text(value) ? NULL : "a slot's label is too long or has control characters";
}

static const char *check_kind(const json_t *value)
{
	const char *kind = json_string_value(value);

	return kind && (!strcmp(kind, "home") || !strcmp(kind, "directory")) ? NULL :
	       "the kind is neither home nor directory";
}

/* Told by its letters, so that there is no memory to be short of: 43 and a '=', the last of the
 * 43 with its two lowest bits zero. */
static const char *check_mac(const json_t *value)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *text = json_string_value(value);
	bool ok;

	ok = text && json_string_length(value) == MAC_TEXT_LEN &&
	     strspn(text, letters) == MAC_TEXT_LEN - 1 && text[MAC_TEXT_LEN - 1] == '=' &&
	     strchr("AEIMQUYcgkosw048", text[MAC_TEXT_LEN - 2]);
	return ok ? NULL : "the MAC is not 32 bytes of base64";
}

static const char *check_members(const json_t *object, const struct member *members,
				 size_t n_members, const char *unknown)
{
	size_t i, n_found = 0;

	for (i = 0; i < n_members; i++) {
		const json_t *value = json_object_get(object, members[i].name);
		const char *reason;

		if (!value && !members[i].required)
			continue;
		n_found += !!value;
		reason = members[i].check(value);	/* which copes with NULL */
		if (reason)
			return reason;
	}
	return n_found == json_object_size(object) ? NULL : unknown;
}

#define CHECK_MEMBERS(object, members, unknown) \
	check_members(object, members, sizeof(members) / sizeof((members)[0]), unknown)

static const char *check_format(const json_t *value)
{
	return is_number(value, 3, 3) ? NULL : "the file format is not 3";
}

static const char *check_cipher(const json_t *value)
{
	return is_word(value, CIPHER_LEN_MAX, "abcdefghijklmnopqrstuvwxyz0123456789_") ? NULL :
	       "a cipher's name is not a name";
}

static const char *check_key_bytes(const json_t *value)
{
	return is_number(value, 1, KEY_BYTES_MAX) ? NULL : "a key length is out of range";
}

static const char *check_boolean(const json_t *value)
{
	return json_is_boolean(value) ? NULL : "an option is neither true nor false";
}

static const char *check_options(const json_t *value)
{
	static const struct member members[] = {
		{ "format", true, check_format },
		{ "cipher", true, check_cipher },
		{ "key_bytes", true, check_key_bytes },
		{ "names", true, check_boolean },
		{ "name_cipher", true, check_cipher },
		{ "name_key_bytes", true, check_key_bytes },
		{ "xattr", true, check_boolean },
	};

	if (!json_is_object(value))
		return "there are no options";
	return CHECK_MEMBERS(value, members, "there is an unknown option");
}

static const char *check_sig(const json_t *value)
{
	return is_sig(value) ? NULL : "a key signature is not 16 hexadecimal digits";
}

static const char *check_sig_or_null(const json_t *value)
{
	return json_is_null(value) ? NULL : check_sig(value);
}

static const char *check_keys(const json_t *value)
{
	static const struct member members[] = {
		{ "sig", true, check_sig },
		{ "fnek_sig", true, check_sig_or_null },
	};

	if (!json_is_object(value))
		return "there are no key signatures";
	return CHECK_MEMBERS(value, members, "there is an unknown member beside the signatures");
}

/* What only a slot's own type understands: bounded, and exact in every JSON reader. */
static const char *check_opaque(const json_t *value, unsigned int depth)
{
	const json_t *member;
	const char *key;
	size_t i;

	if (depth > DEPTH_MAX)
		return "it is nested too deeply";
	if (json_is_real(value))
		return "there is a fractional number";
	if (json_is_integer(value) && !is_number(value, -NUMBER_MAX, NUMBER_MAX))
		return "a number is out of range";

	if (json_is_object(value)) {
		json_object_foreach((json_t *)value, key, member) {
			const char *reason = check_opaque(member, depth + 1);

			if (reason)
				return reason;
		}
	}
	json_array_foreach(value, i, member) {
		const char *reason = check_opaque(member, depth + 1);

		if (reason)
			return reason;
	}
	return NULL;
}

static const char *check_slot(const json_t *slot)
{
	if (!json_is_object(slot))
		return "a slot is not an object";
	if (!is_number(json_object_get(slot, "id"), 0, SLOT_ID_MAX))
		return "a slot has no usable id";
	if (!is_word(json_object_get(slot, "type"), SLOT_TYPE_LEN_MAX,
		     "abcdefghijklmnopqrstuvwxyz0123456789-"))
		return "a slot has no usable type";
	return check_label(json_object_get(slot, "label")) ?:
	       check_time(json_object_get(slot, "created")) ?:
	       check_opaque(slot, 0);
}

static json_int_t slot_id(const json_t *slots, size_t i)
{
	return json_integer_value(json_object_get(json_array_get(slots, i), "id"));
}

static const char *check_slots(const json_t *value)
{
	size_t n = json_array_size(value), i, j;

	if (!json_is_array(value) || !n)
		return "there are no slots";
	if (n > EC_VAULT_SLOTS_MAX)
		return "there are too many slots";
	for (i = 0; i < n; i++) {
		const char *reason = check_slot(json_array_get(value, i));

		if (reason)
			return reason;
		for (j = 0; j < i; j++)
			if (slot_id(value, j) == slot_id(value, i))
				return "two slots have the same id";
	}
	return NULL;
}

static const char *check_names_key(const json_t *document)
{
	const json_t *options = json_object_get(document, "options");
	const json_t *keys = json_object_get(document, "keys");
	bool names = json_is_true(json_object_get(options, "names"));
	bool has_key = json_is_string(json_object_get(keys, "fnek_sig"));

	return names == has_key ? NULL : "the option and the key for names do not agree";
}

/**
 * ec_vault_document_check() - is this a vault document?
 * @document:	any JSON value, or NULL
 * @ret_reason:	static text if not, may be NULL
 *
 * Says nothing about the MAC, which needs the vault key.
 *
 * Return: 0, -EBADMSG, -EOPNOTSUPP for a later document_version.
 */
int ec_vault_document_check(const json_t *document, const char **ret_reason)
{
	static const struct member members[] = {
		{ "document_version", true, check_version },
		{ "uuid", true, check_uuid },
		{ "serial", true, check_serial },
		{ "created", true, check_time },
		{ "name", true, check_name },
		{ "kind", true, check_kind },
		{ "options", true, check_options },
		{ "keys", true, check_keys },
		{ "slots", true, check_slots },
		{ "mac", true, check_mac },
	};
	const json_t *version = json_object_get(document, "document_version");
	const char *reason;
	int r = -EBADMSG;

	if (!json_is_object(document)) {
		reason = "it is not a JSON object";
	} else if (json_is_integer(version) && json_integer_value(version) > DOCUMENT_VERSION) {
		reason = "it is of a later version than this program knows";
		r = -EOPNOTSUPP;
	} else {
		reason = CHECK_MEMBERS(document, members, "there is an unknown member") ?:
			 check_names_key(document);
	}

	if (!reason)
		return 0;
	if (ret_reason)
		*ret_reason = reason;
	return r;
}

/**
 * ec_vault_document_parse() - text to checked document
 * @text:		len bytes, no terminator needed
 * @len:		bytes
 * @ret_document:	new reference
 * @ret_reason:		static text on failure, may be NULL
 *
 * Return: 0, -EBADMSG, -EOPNOTSUPP (later version), -EMSGSIZE, -ENOMEM.
 */
int ec_vault_document_parse(const char *text, size_t len, json_t **ret_document,
			    const char **ret_reason)
{
	json_error_t error;
	json_t *document;
	int r;

	if (len > EC_VAULT_DOCUMENT_LEN_MAX) {
		if (ret_reason)
			*ret_reason = "it is too long";
		return -EMSGSIZE;
	}
	document = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!document) {
		if (json_error_code(&error) == json_error_out_of_memory)
			return -ENOMEM;
		if (ret_reason)
			*ret_reason = "it is not JSON, is cut off, or names a member twice";
		return -EBADMSG;
	}
	r = ec_vault_document_check(document, ret_reason);
	if (r < 0) {
		json_decref(document);
		return r;
	}
	*ret_document = document;
	return 0;
}

/*
 * len bytes of text in a new buffer that has room for two more. Short of memory, jansson may call
 * half an object a success, so the text is read again before anybody relies on it.
 */
static char *dump_whole(const json_t *value, size_t len)
{
	char *text = len ? malloc(len + 2) : NULL;
	json_t *again = NULL;

	if (text && json_dumpb(value, text, len, JSON_COMPACT | JSON_SORT_KEYS) == len)
		again = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	if (!again || !json_equal(again, value)) {
		free(text);
		text = NULL;
	}
	json_decref(again);
	return text;
}

/**
 * ec_vault_document_format() - canonical text
 * @document:	an object; not checked again
 * @with_mac:	false leaves "mac" out: this is what the MAC covers
 * @ret_text:	new, terminated
 * @ret_len:	bytes without the terminator, may be NULL
 *
 * Return: 0, -EMSGSIZE for more than EC_VAULT_DOCUMENT_LEN_MAX bytes, -ENOMEM.
 */
int ec_vault_document_format(const json_t *document, bool with_mac, char **ret_text,
			     size_t *ret_len)
{
	json_t *shallow;
	size_t len;
	char *text;
	int r = -ENOMEM;

	shallow = json_copy((json_t *)document);
	if (!shallow)
		return -ENOMEM;
	/* jansson's copies leave out what they find no memory for, and say nothing. */
	if (json_object_size(shallow) != json_object_size(document))
		goto out;
	if (!with_mac)
		json_object_del(shallow, "mac");

	len = json_dumpb(shallow, NULL, 0, JSON_COMPACT | JSON_SORT_KEYS);
	if (len >= EC_VAULT_DOCUMENT_LEN_MAX) {
		r = -EMSGSIZE;
		goto out;
	}
	text = dump_whole(shallow, len);
	if (!text)
		goto out;
	text[len] = '\n';
	text[len + 1] = '\0';

	*ret_text = text;
	if (ret_len)
		*ret_len = len + 1;
	r = 0;
out:
	json_decref(shallow);
	return r;
}

static bool copy_string(char *ret, size_t size, const json_t *value)
{
	const char *text = json_string_value(value);

	if (!text || strlen(text) >= size)
		return false;
	strcpy(ret, text);
	return true;
}

static unsigned int get_number(const json_t *object, const char *name)
{
	return (unsigned int)json_integer_value(json_object_get(object, name));
}

/**
 * ec_vault_document_options() - how the vault's files are written
 * @document:	checked
 * @ret:	filled
 *
 * Return: 0, -EBADMSG.
 */
int ec_vault_document_options(const json_t *document, struct ec_vault_options *ret)
{
	const json_t *options = json_object_get(document, "options");
	struct ec_vault_options parsed = {
		.format = get_number(options, "format"),
		.key_bytes = get_number(options, "key_bytes"),
		.names = json_is_true(json_object_get(options, "names")),
		.name_key_bytes = get_number(options, "name_key_bytes"),
		.xattr = json_is_true(json_object_get(options, "xattr")),
	};

	if (check_options(options) ||
	    !copy_string(parsed.cipher, sizeof(parsed.cipher),
			 json_object_get(options, "cipher")) ||
	    !copy_string(parsed.name_cipher, sizeof(parsed.name_cipher),
			 json_object_get(options, "name_cipher")))
		return -EBADMSG;
	*ret = parsed;
	return 0;
}

const char *ec_vault_document_uuid(const json_t *document)
{
	return json_string_value(json_object_get(document, "uuid"));
}

json_int_t ec_vault_document_serial(const json_t *document)
{
	return json_integer_value(json_object_get(document, "serial"));
}

json_t *ec_vault_document_slot(const json_t *document, json_int_t id)
{
	const json_t *slots = json_object_get(document, "slots");
	size_t i;

	for (i = 0; i < json_array_size(slots); i++)
		if (slot_id(slots, i) == id)
			return json_array_get(slots, i);
	return NULL;
}
