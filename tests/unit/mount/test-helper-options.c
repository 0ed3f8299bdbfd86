/* SPDX-License-Identifier: GPL-2.0-only */
#include "mount/helper-options.h"

#include "tests/unit/mount/support.h"

#include <errno.h>
#include <sys/mount.h>

#define SIG "0123456789abcdef"

static int parse(struct ec_helper_options *options, const char *text, struct ec_why *why)
{
	ec_helper_options_init(options);
	return ec_helper_options_parse(options, text, strlen(text), EC_OPTIONS_FROM_COMMAND_LINE,
				       false, why);
}

/* What reaches the filesystem, as one string. */
static void assert_mount_options(const struct ec_helper_options *options, const char *want)
{
	struct ec_mount_options rows = { 0 };
	char text[1024] = "";
	size_t i;

	assert_int_equal(ec_helper_options_to_mount(options, &rows, NULL), 0);
	for (i = 0; i < rows.n_rows; i++) {
		strcat(text, i ? "," : "");
		strcat(text, rows.rows[i].name);
		strcat(text, rows.rows[i].value ? "=" : "");
		strcat(text, rows.rows[i].value ? rows.rows[i].value : "");
	}
	assert_string_equal(text, want);
	ec_mount_options_done(&rows);
}

static void test_accepted(void **state)
{
	static const struct {
		const char *text;
		const char *want;
		uint64_t attributes;
	} rows[] = {
		{ "ecryptfs_sig=" SIG ",ecryptfs_cipher=aes,ecryptfs_key_bytes=16",
		  "ecryptfs_unlink_sigs,ecryptfs_key_bytes=16,ecryptfs_cipher=aes,ecryptfs_sig=" SIG },
		{ "sig=" SIG ",cipher=twofish,ecryptfs_key_bytes=32",
		  "ecryptfs_unlink_sigs,ecryptfs_key_bytes=32,ecryptfs_cipher=twofish,ecryptfs_sig=" SIG },
		{ "ecryptfs_sig=0123456789ABCDEF,ecryptfs_cipher=aes,ecryptfs_key_bytes=16,ecryptfs_sig=" SIG,
		  "ecryptfs_unlink_sigs,ecryptfs_key_bytes=16,ecryptfs_cipher=aes,ecryptfs_sig=" SIG },
		{ "ecryptfs_cipher=aes,ecryptfs_cipher=cast5,ecryptfs_key_bytes=16,ecryptfs_fnek_sig=" SIG
		  ",ecryptfs_fn_cipher=aes,ecryptfs_fn_key_bytes=24",
		  "ecryptfs_unlink_sigs,ecryptfs_fnek_sig=" SIG ",ecryptfs_fn_cipher=aes,"
		  "ecryptfs_fn_key_bytes=24,ecryptfs_key_bytes=16,ecryptfs_cipher=cast5" },
		{ "ecryptfs_fnek_sig=" SIG ",ecryptfs_enable_filename_crypto=n,cipher=aes,ecryptfs_key_bytes=16",
		  "ecryptfs_unlink_sigs,ecryptfs_key_bytes=16,ecryptfs_cipher=aes" },
		{ "cipher=aes,ecryptfs_key_bytes=16,ecryptfs_passthrough,ecryptfs_xattr=y,ecryptfs_encrypted_view=YES",
		  "ecryptfs_unlink_sigs,ecryptfs_key_bytes=16,ecryptfs_cipher=aes,ecryptfs_passthrough,"
		  "ecryptfs_xattr_metadata,ecryptfs_encrypted_view" },
		{ "cipher=aes,ecryptfs_key_bytes=16,ecryptfs_passthrough=y,ecryptfs_passthrough=n,ecryptfs_xattr_metadata",
		  "ecryptfs_unlink_sigs,ecryptfs_key_bytes=16,ecryptfs_cipher=aes,ecryptfs_xattr_metadata" },
		{ "cipher=aes,ecryptfs_key_bytes=16,ecryptfs_mount_auth_tok_only,ecryptfs_check_dev_ruid,ecryptfs_unlink_sigs",
		  "ecryptfs_unlink_sigs,ecryptfs_key_bytes=16,ecryptfs_cipher=aes,"
		  "ecryptfs_mount_auth_tok_only,ecryptfs_check_dev_ruid" },
		{ "rw,nosuid,nodev,noexec,cipher=aes,ecryptfs_key_bytes=16",
		  "ecryptfs_unlink_sigs,ecryptfs_key_bytes=16,ecryptfs_cipher=aes",
		  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC },
		{ "user,exec,dev,cipher=aes,ecryptfs_key_bytes=16",
		  "ecryptfs_unlink_sigs,ecryptfs_key_bytes=16,ecryptfs_cipher=aes", MOUNT_ATTR_NOSUID },
		{ "ro,noatime,relatime,strictatime,sync,cipher=aes,ecryptfs_key_bytes=16",
		  "ecryptfs_unlink_sigs,ecryptfs_key_bytes=16,ecryptfs_cipher=aes,ro,sync",
		  MOUNT_ATTR_RDONLY | MOUNT_ATTR_STRICTATIME },
		{ "ro,rw,cipher=aes,ecryptfs_key_bytes=16",
		  "ecryptfs_unlink_sigs,ecryptfs_key_bytes=16,ecryptfs_cipher=aes,rw" },
		{ ",,defaults,,_netdev,nofail,x-systemd.automount,X-mount.mkdir=0700,comment=hello,cipher=aes,ecryptfs_key_bytes=8,ecryptfs_key_bytes=16,",
		  "ecryptfs_unlink_sigs,ecryptfs_key_bytes=16,ecryptfs_cipher=aes" },
		{ "hmac=n,verbosity=1,debug=4,cipher=aes,ecryptfs_key_bytes=16",
		  "ecryptfs_unlink_sigs,ecryptfs_key_bytes=16,ecryptfs_cipher=aes" },
	};
	struct ec_helper_options options;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ec_why why = EC_WHY_NULL;

		if (parse(&options, rows[i].text, &why) < 0)
			fail_msg("%s: %s", rows[i].text, why.text);
		assert_mount_options(&options, rows[i].want);
		assert_int_equal(options.attributes, rows[i].attributes);
		ec_helper_options_done(&options);
	}
}

/* Every name that mount.ecryptfs of ecryptfs-utils 111 looks for, or that ecryptfs(7) has, but those
 * of its other key modules. */
static void test_names_of_ecryptfs_utils(void **state)
{
	static const char *const items[] = {
		"key=passphrase", "key=passphrase:passphrase_passwd=foo", "passphrase_passwd=foo",
		"passwd=foo", "passphrase_passwd_file=/k", "passfile=/k", "passphrase_passwd_fd=3",
		"passfd=3", "passphrase_salt=" SIG, "salt=" SIG, "passphrase_type=x",
		"ecryptfs_sig=" SIG, "sig=" SIG, "ecryptfs_fnek_sig=" SIG, "ecryptfs_cipher=aes",
		"cipher=aes", "ecryptfs_key_bytes=16", "ecryptfs_enable_filename_crypto=y",
		"ecryptfs_enable_filename_crypto=n", "ecryptfs_passthrough", "ecryptfs_passthrough=n",
		"passthrough=y", "passthrough", "ecryptfs_xattr", "ecryptfs_xattr=y",
		"ecryptfs_xattr_metadata", "xattr", "ecryptfs_encrypted_view",
		"ecryptfs_encrypted_view=n", "encrypted_view", "ecryptfs_hmac=n", "hmac=n",
		"ecryptfs_unlink_sigs", "no_sig_cache", "no_prompt", "wild_ass_guess", "verbose",
		"verbosity=0", "verbosity=1", "user", "rw", "remount",
	};
	struct ec_helper_options options;
	size_t i;

	for (i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		struct ec_why why = EC_WHY_NULL;

		if (parse(&options, items[i], &why) < 0)
			fail_msg("%s: %s", items[i], why.text);
		ec_helper_options_done(&options);
	}
	print_message("# %zu options of ecryptfs-utils are known\n", i);
}

static void test_nothing_is_asked(void **state)
{
	static const char *const items[] = { "no_prompt", "wild_ass_guess", "verbosity=0" };
	struct ec_helper_options options;
	size_t i;

	for (i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		assert_int_equal(parse(&options, items[i], NULL), 0);
		if (!options.no_prompt || !options.no_sig_cache)
			fail_msg("%s: asks", items[i]);
		ec_helper_options_done(&options);
	}
	assert_int_equal(parse(&options, "no_sig_cache,verbosity=1", NULL), 0);
	assert_true(!options.no_prompt && options.no_sig_cache && options.verbose);
	ec_helper_options_done(&options);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text;
		int want;
		const char *words;
	} rows[] = {
		{ "frobnicate", -EINVAL, "unknown option frobnicate" },
		{ "ecryptfs_frob=1", -EINVAL, "unknown option ecryptfs_frob" },
		{ "=x", -EINVAL, "without a proper name" },
		{ "ecryptfs_sig", -EINVAL, "ecryptfs_sig: a signature has 16" },
		{ "ecryptfs_sig=", -EINVAL, "16" },
		{ "ecryptfs_sig=0123456789abcde", -EINVAL, "16" },
		{ "ecryptfs_sig=0123456789abcdef0", -EINVAL, "16" },
		{ "ecryptfs_sig=0123456789abcdeg", -EINVAL, "16" },
		{ "ecryptfs_fnek_sig=-", -EINVAL, "ecryptfs_fnek_sig" },
		{ "ecryptfs_cipher", -EINVAL, "needs a value" },
		{ "ecryptfs_cipher=", -EINVAL, "needs a value" },
		{ "ecryptfs_cipher=rot13", -EINVAL, "no such cipher" },
		{ "ecryptfs_cipher=aesaesaesaesaesaesaesaesaesaesaesaes", -EINVAL, "too long" },
		{ "ecryptfs_key_bytes=", -EINVAL, "needs a value" },
		{ "ecryptfs_key_bytes=0", -EINVAL, "must not be 0" },
		{ "ecryptfs_key_bytes=-16", -EINVAL, "must be a number" },
		{ "ecryptfs_key_bytes=16x", -EINVAL, "must be a number" },
		{ "ecryptfs_key_bytes=4294967312", -EINVAL, "too large" },
		{ "ecryptfs_passthrough=", -EINVAL, "needs a value" },
		{ "ecryptfs_passthrough=perhaps", -EINVAL, "y or n" },
		{ "no_sig_cache=1", -EINVAL, "takes no value" },
		{ "nosuid=1", -EINVAL, "takes no value" },
		{ "hmac", -EOPNOTSUPP, "no kernel ever had it" },
		{ "key", -EINVAL, "needs a value" },
		{ "key=", -EINVAL, "needs a value" },
		{ "key=openssl:keyfile=/x", -EOPNOTSUPP, "only kind of key" },
		{ "key=passphrase2", -EOPNOTSUPP, "only kind of key" },
		{ "key=passphrase:", 0, "" },
		{ "key=passphrase:what=ever", -EINVAL, "unknown option what" },
		{ "key=passphrase:passphrase_passwd=", -EINVAL, "empty" },
		{ "key=passphrase:passphrase_passwd", -EINVAL, "empty" },
		{ "key=passphrase:passphrase_passwd_fd=x", -EINVAL, "number" },
		{ "key=passphrase:salt=00", -EINVAL, "a salt has 16" },
		{ "key=passphrase:passwd=0123456789012345678901234567890123456789012345678901234567890123",
		  0, "" },
		{ "key=passphrase:passwd=01234567890123456789012345678901234567890123456789012345678901234",
		  -EINVAL, "at most 64" },
	};
	struct ec_helper_options options;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ec_why why = EC_WHY_NULL;
		int r = parse(&options, rows[i].text, &why);

		if (r != rows[i].want || !strstr(why.text, rows[i].words))
			fail_msg("%s: %d %s", rows[i].text, r, why.text);
		ec_helper_options_done(&options);
	}
	print_message("# %zu option strings, each taken or refused by its name\n", i);
}

static void test_passphrase_is_never_named(void **state)
{
	static const char *const texts[] = {
		"key=passphrase:passphrase_passwd=horse:battery,no_sig_cache",
		"key=passphrase:passwd=horse,battery",
		"passwd=horse,battery=staple",
	};
	struct ec_helper_options options;
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct ec_why why = EC_WHY_NULL;
		char copy[128];

		assert_int_equal(parse(&options, texts[i], &why), -EINVAL);
		assert_null(strstr(why.text, "horse"));
		assert_null(strstr(why.text, "battery"));
		ec_helper_options_done(&options);
		strcpy(copy, texts[i]);
		assert_true(ec_helper_options_hide_passphrase(copy));
		assert_null(strstr(copy, "horse"));
		assert_int_equal(strlen(copy), strlen(texts[i]));
	}
}

static void test_hide(void **state)
{
	static const struct {
		const char *text;
		const char *want;	/* NULL: left alone */
	} rows[] = {
		{ "key=passphrase:passphrase_passwd=foo:salt=1,ro", "key=passphrase:passphrase_passwd=**********,ro" },
		{ "passwd=foo", "passwd=***" },
		{ "ro,passphrase_passwd=a,b", "ro,passphrase_passwd=*,b" },
		{ "passphrase_passwd_file=/x", NULL },
		{ "comment=passwd", NULL },
		{ "", NULL },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char copy[128];

		strcpy(copy, rows[i].text);
		assert_int_equal(ec_helper_options_hide_passphrase(copy), rows[i].want != NULL);
		assert_string_equal(copy, rows[i].want ? rows[i].want : rows[i].text);
	}
}

/* Cut anywhere, and with every byte replaced by junk: an answer, no crash, nothing kept. */
static void test_truncated_and_junk(void **state)
{
	static const char text[] = "key=passphrase:passphrase_passwd=foo:salt=0123456789abcdef,"
		"ecryptfs_sig=" SIG ",ecryptfs_cipher=aes,ecryptfs_key_bytes=16,"
		"ecryptfs_enable_filename_crypto=y,nosuid,context=a:b:c,no_sig_cache";
	struct ec_helper_options options;
	size_t len, i;
	int c;

	for (len = 0; len <= strlen(text); len++) {
		char *copy = malloc(len ? len : 1);	/* exact, for the address sanitizer */

		memcpy(copy, text, len);
		ec_helper_options_init(&options);
		ec_helper_options_parse(&options, copy, len, EC_OPTIONS_FROM_COMMAND_LINE, false,
					NULL);
		assert_true(options.passphrase.len <= 3);
		ec_helper_options_done(&options);
		free(copy);
	}
	for (i = 0; i < strlen(text); i++) {
		for (c = 0; c < 256; c += 3) {
			char copy[sizeof(text)];

			memcpy(copy, text, sizeof(text));
			copy[i] = (char)c;
			ec_helper_options_init(&options);
			ec_helper_options_parse(&options, copy, strlen(text),
						EC_OPTIONS_FROM_COMMAND_LINE, false, NULL);
			ec_helper_options_done(&options);
		}
	}
	print_message("# %zu cuts of an option string, %zu changed bytes\n", len, i * (c / 3));
}

static void test_check(void **state)
{
	static const struct {
		const char *text;
		int want;
	} rows[] = {
		{ "ecryptfs_cipher=aes,ecryptfs_key_bytes=16", 0 },
		{ "ecryptfs_cipher=aes,ecryptfs_key_bytes=17", -EINVAL },
		{ "ecryptfs_cipher=des3_ede,ecryptfs_key_bytes=16", -EINVAL },
		{ "ecryptfs_cipher=cast5,ecryptfs_key_bytes=16", 0 },
		{ "ecryptfs_cipher=aes,ecryptfs_fn_key_bytes=5", -EINVAL },
		{ "ecryptfs_cipher=aes,ecryptfs_fn_cipher=blowfish,ecryptfs_fn_key_bytes=56", 0 },
		{ "remount,ro", -EOPNOTSUPP },
		{ "key=passphrase:passwd=a:passfile=/b", -EINVAL },
		{ "key=passphrase:passfd=3:passfile=/b", -EINVAL },
		{ "key=passphrase:passfd=3", 0 },
	};
	struct ec_helper_options options;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ec_why why = EC_WHY_NULL;

		assert_int_equal(parse(&options, rows[i].text, NULL), 0);
		assert_int_equal(ec_helper_options_check(&options, &why), rows[i].want);
		assert_int_equal(why.text[0] != 0, rows[i].want < 0);
		ec_helper_options_done(&options);
	}
}

static void test_rc_file(void **state)
{
	static const char rc[] = "key=passphrase:passphrase_passwd_file=/root/k\n"
		"ecryptfs_cipher=aes,ecryptfs_key_bytes=32\n\necryptfs_sig=" SIG "\nno_sig_cache";
	static const char line[] = "ecryptfs_key_bytes=24,ecryptfs_sig=fedcba9876543210";
	struct ec_helper_options options;
	struct ec_why why = EC_WHY_NULL;
	char longest[300];

	ec_helper_options_init(&options);
	assert_int_equal(ec_helper_options_read_rc(&options, "none", NULL), 0);
	write_file("rc", rc, sizeof(rc) - 1);
	assert_int_equal(ec_helper_options_read_rc(&options, "rc", &why), 0);
	assert_string_equal(options.passphrase_file, "/root/k");
	assert_int_equal(options.key_bytes, 32);
	assert_true(options.no_sig_cache && options.key_given);
	assert_int_equal(ec_helper_options_parse(&options, line, strlen(line),
						 EC_OPTIONS_FROM_COMMAND_LINE, false, NULL), 0);
	assert_int_equal(options.key_bytes, 24);
	assert_int_equal(options.n_sigs, 1);
	assert_string_equal(options.sigs[0], "fedcba9876543210");
	ec_helper_options_done(&options);

	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "comment=", 8);
	write_file("rc", longest, 127);
	assert_int_equal(ec_helper_options_read_rc(&options, "rc", NULL), 0);
	write_file("rc", longest, 128);
	assert_int_equal(ec_helper_options_read_rc(&options, "rc", &why), -E2BIG);
	assert_non_null(strstr(why.text, "rc: "));
	write_file("rc", "no such thing", 13);
	assert_int_equal(ec_helper_options_read_rc(&options, "rc", NULL), -EINVAL);
	write_file("rc", "", 0);
	assert_int_equal(ec_helper_options_read_rc(&options, "rc", NULL), 0);
	sh("head -c 40961 /dev/zero | tr '\\0' '\\n' > rc");
	assert_int_equal(ec_helper_options_read_rc(&options, "rc", NULL), -E2BIG);
	sh("rm rc; mkfifo rc");
	assert_int_equal(ec_helper_options_read_rc(&options, "rc", NULL), -EINVAL);
	sh("rm rc; echo ro > rc; chown 4242 rc");
	assert_int_equal(ec_helper_options_read_rc(&options, "rc", NULL), -EPERM);
	ec_helper_options_done(&options);
}

static void test_passphrase_file(void **state)
{
	static const struct {
		const char *text;
		const char *want;	/* NULL: refused */
	} rows[] = {
		{ "passphrase_passwd=foo\n", "foo" },
		{ "passphrase_passwd=foo", "foo" },
		{ "passwd=foo bar\nrest", "foo bar" },
		{ "\n\nro,passwd=x,y", "x" },
		{ "passwd=a=b:c", "a=b:c" },
		{ "passphrase_passwd=", NULL },
		{ "foo\n", NULL },
		{ "", NULL },
		{ "xpasswd=foo", NULL },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_secret_ struct ec_secret secret = EC_SECRET_NULL;
		int r = ec_helper_passphrase_from_text(&secret, (const uint8_t *)rows[i].text,
						       strlen(rows[i].text));

		assert_int_equal(r, rows[i].want ? 0 : -EINVAL);
		if (rows[i].want) {
			assert_int_equal(secret.len, strlen(rows[i].want));
			assert_memory_equal(secret.data, rows[i].want, secret.len);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_names_of_ecryptfs_utils),
		cmocka_unit_test(test_nothing_is_asked),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_passphrase_is_never_named),
		cmocka_unit_test(test_hide),
		cmocka_unit_test(test_truncated_and_junk),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_rc_file),
		cmocka_unit_test(test_passphrase_file),
	};

	NEED_ROOT();
	return cmocka_run_group_tests(tests, enter_scratch, leave_scratch);
}
