// SPDX-License-Identifier: GPL-2.0-only
/* Vault documents: what is accepted has a canonical text, which is read to the same document. */
#include "fuzz/fuzz.h"
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
	for (int id = -1; id < 4; id++)
		(void)ec_vault_document_slot(document, id);
	check_canonical(document);
	json_decref(document);
	return 0;
}
