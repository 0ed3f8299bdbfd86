// SPDX-License-Identifier: GPL-2.0-only
/* The options of mount.ecryptfs: from the command line, from ~/.ecryptfsrc, in a key file. */
#include "fuzz/fuzz.h"
#include "mount/helper-options.h"

#include <errno.h>
#include <string.h>

static void check_errors(int r, const struct ec_why *why)
{
	fuzz_assert(r == 0 || r == -EINVAL || r == -E2BIG || r == -EOPNOTSUPP);
	fuzz_assert(!r == !why->text[0]);
}

static void check_taken(const struct ec_helper_options *options)
{
	struct ec_mount_options mount = { .n_rows = 0 };
	struct ec_why why = EC_WHY_NULL;
	int r = ec_helper_options_check(options, &why);

	check_errors(r, &why);
	fuzz_assert(options->n_sigs <= EC_HELPER_SIGS_MAX);
	fuzz_assert(options->passphrase.len <= EC_S2K_PASSPHRASE_LEN_MAX);
	if (!r) {
		r = ec_helper_options_to_mount(options, &mount, &why);
		check_errors(r, &why);
		fuzz_assert(r || ec_mount_options_get(&mount, "ecryptfs_unlink_sigs"));
	}
	/* What the kernel gets is one string: no option may smuggle in another. */
	for (size_t i = 0; i < mount.n_rows; i++)
		fuzz_assert(!strpbrk(mount.rows[i].name, ",=\n") &&
			    !(mount.rows[i].value && strchr(mount.rows[i].value, ',')));
	ec_mount_options_done(&mount);
}

static bool parse(const char *text, size_t len, enum ec_options_from from, bool sloppy,
		  struct ec_helper_options *ret)
{
	struct ec_why why = EC_WHY_NULL;
	int r;

	ec_helper_options_init(ret);
	r = ec_helper_options_parse(ret, text, len, from, sloppy, &why);
	check_errors(r, &why);
	if (!r)
		check_taken(ret);
	return !r;
}

/* Each passphrase that was taken from the text is out of it once it was hidden. */
static void check_hidden(const char *text, size_t len)
{
	struct ec_helper_options before, after;
	char *copy = strndup(text, len);

	if (parse(text, strlen(copy), EC_OPTIONS_FROM_COMMAND_LINE, false, &before) &&
	    before.passphrase.len) {
		fuzz_assert(ec_helper_options_hide_passphrase(copy));
		if (parse(copy, strlen(copy), EC_OPTIONS_FROM_COMMAND_LINE, false, &after))
			for (size_t i = 0; i < after.passphrase.len; i++)
				fuzz_assert(after.passphrase.data[i] == '*');
		ec_helper_options_done(&after);
	}
	ec_helper_options_done(&before);
	free(copy);
}

static void check_key_file(const uint8_t *data, size_t len)
{
	struct ec_secret passphrase = EC_SECRET_NULL;
	int r = ec_helper_passphrase_from_text(&passphrase, data, len);

	fuzz_assert(r == 0 || r == -EINVAL || r == -EMSGSIZE);
	fuzz_assert(r || (passphrase.len && passphrase.len <= EC_S2K_PASSPHRASE_LEN_MAX &&
			  memmem(data, len, passphrase.data, passphrase.len)));
	ec_secret_done(&passphrase);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ec_helper_options options;
	char *text = malloc(len ? len : 1);

	/* Its own block, so that a read behind the end is seen. */
	memcpy(text, data, len);
	parse(text, len, EC_OPTIONS_FROM_RC, false, &options);
	ec_helper_options_done(&options);
	parse(text, len, EC_OPTIONS_FROM_COMMAND_LINE, true, &options);
	ec_helper_options_done(&options);
	check_hidden(text, len);
	check_key_file((const uint8_t *)text, len);
	free(text);
	return 0;
}
