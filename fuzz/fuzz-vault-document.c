// SPDX-License-Identifier: GPL-2.0-only
/*
 * Vault documents: what is accepted has a canonical text, which is read to the same document; and
 * the key helper looks into each of its slots. It refuses costs before it pays them, and no slot
 * of an input opens: nobody finds a commitment to the key by trying.
 */
#include "fuzz/fuzz.h"
#include "helper/argon2id.h"
#include "helper/recovery-text.h"
#include "helper/slot.h"
#include "lib/cleanup.h"
#include "lib/vault-document.h"

#include <errno.h>
#include <string.h>

static void check_canonical(const json_t *document)
{
	_cleanup_free_ char *text = NULL, *again_text = NULL;
	const char *reason = NULL;
	json_t *again = NULL;
	size_t len, again_len;

	fuzz_assert(!ec_vault_document_format(document, true, &text, &len));
	if (len > EC_VAULT_DOCUMENT_LEN_MAX)
		return;
	fuzz_assert(!ec_vault_document_parse(text, len, &again, &reason));
	fuzz_assert(json_equal(document, again));
	fuzz_assert(!ec_vault_document_format(again, true, &again_text, &again_len));
	fuzz_assert(len == again_len && !memcmp(text, again_text, len));
	json_decref(again);
}

static const struct ec_secret *recovery_key(void)
{
	static const uint8_t bytes[ECD_RECOVERY_KEY_LEN] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	static struct ec_secret text;
	struct ec_secret key;

	if (!text.len) {
		fuzz_assert(!ec_secret_init_copy(&key, bytes, sizeof(bytes)));
		fuzz_assert(!ecd_recovery_encode(&key, &text));
		ec_secret_done(&key);
	}
	return &text;
}

static void check_slot(const char *uuid, const json_t *slot)
{
	struct ec_secret key = EC_SECRET_NULL;
	struct ecd_reason reason = { "" };
	struct ecd_argon2id cost;
	int r;

	r = ecd_argon2id_load(json_object_get(slot, "kdf"), &cost, &reason);
	fuzz_assert(r == 0 || ((r == -EBADMSG || r == -EOPNOTSUPP) && reason.text[0]));
	fuzz_assert(r || (cost.memory_kib <= ECD_ARGON2ID_MEMORY_KIB_MAX &&
			  cost.passes && cost.passes <= ECD_ARGON2ID_PASSES_MAX &&
			  cost.lanes && cost.lanes <= ECD_ARGON2ID_LANES_MAX &&
			  (uint64_t)cost.memory_kib * cost.passes <= ECD_ARGON2ID_WORK_KIB_MAX));
	r = ecd_slot_recovery.open(uuid, slot, recovery_key(), &key, &reason);
	fuzz_assert(r == -EBADMSG || r == -EKEYREJECTED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_free_ char *text = malloc(len + 1);
	struct ec_vault_options options;
	const char *reason = NULL;
	json_t *document = NULL;
	int r;

	/* Its own block, so that a read behind the end is seen. */
	memcpy(text, data, len);
	r = ec_vault_document_parse(text, len, &document, &reason);
	if (r) {
		fuzz_assert(r == -EBADMSG || r == -EOPNOTSUPP || r == -EMSGSIZE);
		return 0;
	}
	fuzz_assert(ec_vault_document_uuid(document));
	fuzz_assert(ec_vault_document_serial(document) >= 0);
	fuzz_assert(!ec_vault_document_options(document, &options));
	for (int id = -1; id < 4; id++) {
		const json_t *slot = ec_vault_document_slot(document, id);

		if (slot)
			check_slot(ec_vault_document_uuid(document), slot);
	}
	check_canonical(document);
	json_decref(document);
	return 0;
}
