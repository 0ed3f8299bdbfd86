/* SPDX-License-Identifier: GPL-2.0-only */
/* Options of mount.ecryptfs: one table of names, one setter for each kind. */
#include "mount/helper-options.h"

#include "lib/cleanup.h"
#include "lib/hex.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mount.h>
#include <sys/stat.h>

struct context {
	struct ec_helper_options *options;
	enum ec_options_from from;
	const char *name;	/* NUL-terminated copy */
	const char *value;	/* NULL: none; borrowed, value_len bytes, not terminated */
	size_t value_len;
	long number;		/* of the row */
	struct ec_why *why;
};

typedef int (*set_fn)(struct context *ctx);

struct row {
	const char *name;
	set_fn set;
	long number;		/* an offset in struct ec_helper_options, or a constant */
};

#define OFFSET(member) ((long)offsetof(struct ec_helper_options, member))
#define FIELD(ctx, type) ((type *)((char *)(ctx)->options + (ctx)->number))

void ec_helper_options_init(struct ec_helper_options *options)
{
	*options = (struct ec_helper_options){ .passphrase_fd = -1 };
}

void ec_helper_options_done(struct ec_helper_options *options)
{
	ec_secret_done(&options->passphrase);
	free(options->passphrase_file);
	ec_mount_options_done(&options->generic);
	ec_helper_options_init(options);
}

static int wrong(struct context *ctx, const char *wanted)
{
	return ec_why_set(ctx->why, -EINVAL, "option %s: %s", ctx->name, wanted);
}

/* The value as a string of at most size - 1 bytes. */
static int get_text(struct context *ctx, char *ret, size_t size)
{
	if (!ctx->value || !ctx->value_len)
		return wrong(ctx, "it needs a value");
	if (ctx->value_len >= size)
		return wrong(ctx, "the value is too long");
	if (memchr(ctx->value, 0, ctx->value_len))
		return wrong(ctx, "the value has a zero byte");
	memcpy(ret, ctx->value, ctx->value_len);
	ret[ctx->value_len] = 0;
	return 0;
}

static int set_flag(struct context *ctx)
{
	if (ctx->value)
		return wrong(ctx, "it takes no value");
	*FIELD(ctx, bool) = true;
	return 0;
}

static int set_answer(struct context *ctx)
{
	char text[8];
	int r;

	if (!ctx->value) {
		*FIELD(ctx, enum ec_answer) = EC_ANSWER_YES;
		return 0;
	}
	r = get_text(ctx, text, sizeof(text));
	if (r == 0 && (!strcasecmp(text, "y") || !strcasecmp(text, "yes")))
		*FIELD(ctx, enum ec_answer) = EC_ANSWER_YES;
	else if (r == 0 && (!strcasecmp(text, "n") || !strcasecmp(text, "no")))
		*FIELD(ctx, enum ec_answer) = EC_ANSWER_NO;
	else
		return wrong(ctx, "the value must be y or n");
	return 0;
}

static int get_number(struct context *ctx, unsigned long max, unsigned long *ret)
{
	unsigned long number = 0;
	char text[16];
	size_t i;
	int r;

	r = get_text(ctx, text, sizeof(text));
	if (r < 0)
		return r;
	for (i = 0; text[i]; i++) {
		if (!isdigit((unsigned char)text[i]))
			return wrong(ctx, "the value must be a number");
		number = number * 10 + (unsigned long)(text[i] - '0');
	}
	if (i > 9 || number > max)
		return wrong(ctx, "the number is too large");
	*ret = number;
	return 0;
}

static int set_number(struct context *ctx)
{
	unsigned long number;
	int r = get_number(ctx, 1024, &number);

	if (r < 0)
		return r;
	if (!number)
		return wrong(ctx, "the number must not be 0");
	*FIELD(ctx, unsigned int) = (unsigned int)number;
	return 0;
}

static int set_cipher(struct context *ctx)
{
	const struct ecfmt_cipher *row;
	char text[32];
	size_t i;
	int r = get_text(ctx, text, sizeof(text));

	if (r < 0)
		return r;
	for (i = 0; (row = ecfmt_cipher_row(i)); i++)
		if (!strcmp(row->name, text)) {
			strcpy(FIELD(ctx, char), text);
			return 0;
		}
	return wrong(ctx, "there is no such cipher (aes, blowfish, des3_ede, twofish, cast6, cast5)");
}

static int get_sig(struct context *ctx, char ret[static ECFMT_SIG_HEX_LEN + 1])
{
	uint8_t sig[ECFMT_SIG_LEN];

	if (!ctx->value || ctx->value_len != ECFMT_SIG_HEX_LEN ||
	    ecfmt_sig_from_hex(sig, ctx->value, ctx->value_len) < 0)
		return wrong(ctx, "a signature has 16 hexadecimal digits");
	ecfmt_sig_to_hex(ret, sig);
	return 0;
}

static int set_fnek_sig(struct context *ctx)
{
	return get_sig(ctx, ctx->options->fnek_sig);
}

static int set_sig(struct context *ctx)
{
	struct ec_helper_options *options = ctx->options;
	char sig[ECFMT_SIG_HEX_LEN + 1];
	size_t i;
	int r = get_sig(ctx, sig);

	if (r < 0)
		return r;
	if (ctx->from == EC_OPTIONS_FROM_COMMAND_LINE && options->sigs_from_rc)
		options->n_sigs = 0;
	options->sigs_from_rc = ctx->from == EC_OPTIONS_FROM_RC;
	for (i = 0; i < options->n_sigs; i++)
		if (!strcmp(options->sigs[i], sig))
			return 0;
	if (options->n_sigs >= EC_HELPER_SIGS_MAX)
		return ec_why_set(ctx->why, -E2BIG, "option %s: too many signatures", ctx->name);
	strcpy(options->sigs[options->n_sigs++], sig);
	return 0;
}

static int set_passphrase(struct context *ctx)
{
	if (!ctx->value || !ctx->value_len)
		return wrong(ctx, "the passphrase is empty");
	if (ctx->value_len > EC_S2K_PASSPHRASE_LEN_MAX)
		return wrong(ctx, "a passphrase has at most 64 bytes");
	ctx->options->key_given = true;
	ec_secret_done(&ctx->options->passphrase);
	return ec_secret_init_copy(&ctx->options->passphrase, ctx->value, ctx->value_len);
}

static int set_passphrase_file(struct context *ctx)
{
	char path[EC_HELPER_ITEM_LEN_MAX];
	char *copy;
	int r = get_text(ctx, path, sizeof(path));

	if (r < 0)
		return r;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	free(ctx->options->passphrase_file);
	ctx->options->passphrase_file = copy;
	ctx->options->key_given = true;
	return 0;
}

static int set_passphrase_fd(struct context *ctx)
{
	unsigned long number;
	int r = get_number(ctx, 65535, &number);

	if (r < 0)
		return r;
	ctx->options->passphrase_fd = (int)number;
	ctx->options->key_given = true;
	return 0;
}

static int set_salt(struct context *ctx)
{
	if (!ctx->value ||
	    ec_hex_decode(ctx->options->salt, EC_S2K_SALT_LEN, ctx->value, ctx->value_len) < 0)
		return wrong(ctx, "a salt has 16 hexadecimal digits");
	ctx->options->salt_given = true;
	return 0;
}

/* To ask nothing has always meant "and do not look into the cache of signatures", too. */
static void be_quiet(struct ec_helper_options *options)
{
	options->no_prompt = true;
	options->no_sig_cache = true;
}

static int set_no_prompt(struct context *ctx)
{
	if (ctx->value)
		return wrong(ctx, "it takes no value");
	be_quiet(ctx->options);
	return 0;
}

static int set_verbosity(struct context *ctx)
{
	unsigned long number;
	int r = get_number(ctx, 9, &number);

	if (r < 0)
		return r;
	if (number == 0)
		be_quiet(ctx->options);
	else
		ctx->options->verbose = true;
	return 0;
}

static int ignore(struct context *ctx)
{
	return 0;
}

static int refuse_hmac(struct context *ctx)
{
	if (ctx->value && ctx->value_len == 1 && ctx->value[0] == 'n')
		return 0;
	return ec_why_set(ctx->why, -EOPNOTSUPP, "option %s: no kernel ever had it", ctx->name);
}

static int set_attribute(struct context *ctx)
{
	if (ctx->value)
		return wrong(ctx, "it takes no value");
	ctx->options->attributes |= (uint64_t)ctx->number;
	return 0;
}

static int clear_attribute(struct context *ctx)
{
	if (ctx->value)
		return wrong(ctx, "it takes no value");
	ctx->options->attributes &= ~(uint64_t)ctx->number;
	return 0;
}

/* One field of two bits: the last of noatime, relatime and strictatime counts. */
static int set_atime(struct context *ctx)
{
	ctx->options->attributes &= ~(uint64_t)MOUNT_ATTR__ATIME;
	return set_attribute(ctx);
}

static int pass_on(struct context *ctx)
{
	char value[EC_HELPER_ITEM_LEN_MAX];
	int r = ctx->value ? get_text(ctx, value, sizeof(value)) : 0;

	if (r == 0)
		r = ec_mount_options_add(&ctx->options->generic, ctx->name,
					 ctx->value ? value : NULL);
	return r < 0 ? ec_why_set(ctx->why, r, "option %s cannot be passed on", ctx->name) : 0;
}

static int set_read_only(struct context *ctx)
{
	int r = set_attribute(ctx);

	return r < 0 ? r : pass_on(ctx);
}

static int set_read_write(struct context *ctx)
{
	struct ec_mount_options *generic = &ctx->options->generic;
	size_t i;

	for (i = 0; i < generic->n_rows; i++)
		if (!strcmp(generic->rows[i].name, "ro"))
			strcpy(generic->rows[i].name, "rw");
	return clear_attribute(ctx);
}

/* What fstab(5) lets a user do includes these, unless something later says otherwise. */
static int set_user(struct context *ctx)
{
	ctx->options->attributes |= MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
	return 0;
}

static const struct row rows[] = {
	/* the passphrase module */
	{ "passphrase_passwd", set_passphrase },
	{ "passwd", set_passphrase },
	{ "passphrase_passwd_file", set_passphrase_file },
	{ "passfile", set_passphrase_file },
	{ "passphrase_passwd_fd", set_passphrase_fd },
	{ "passfd", set_passphrase_fd },
	{ "passphrase_salt", set_salt },
	{ "salt", set_salt },
	{ "passphrase_type", ignore },
	/* the filesystem */
	{ "ecryptfs_sig", set_sig },
	{ "sig", set_sig },
	{ "ecryptfs_fnek_sig", set_fnek_sig },
	{ "ecryptfs_cipher", set_cipher, OFFSET(cipher) },
	{ "cipher", set_cipher, OFFSET(cipher) },
	{ "ecryptfs_key_bytes", set_number, OFFSET(key_bytes) },
	{ "ecryptfs_fn_cipher", set_cipher, OFFSET(fn_cipher) },
	{ "ecryptfs_fn_key_bytes", set_number, OFFSET(fn_key_bytes) },
	{ "ecryptfs_enable_filename_crypto", set_answer, OFFSET(names) },
	{ "ecryptfs_passthrough", set_answer, OFFSET(passthrough) },
	{ "passthrough", set_answer, OFFSET(passthrough) },
	{ "ecryptfs_xattr", set_answer, OFFSET(xattr) },
	{ "ecryptfs_xattr_metadata", set_answer, OFFSET(xattr) },
	{ "xattr", set_answer, OFFSET(xattr) },
	{ "ecryptfs_encrypted_view", set_answer, OFFSET(encrypted_view) },
	{ "encrypted_view", set_answer, OFFSET(encrypted_view) },
	{ "ecryptfs_mount_auth_tok_only", set_flag, OFFSET(auth_tok_only) },
	{ "ecryptfs_check_dev_ruid", set_flag, OFFSET(check_dev_ruid) },
	{ "ecryptfs_unlink_sigs", ignore },	/* always set */
	{ "ecryptfs_hmac", refuse_hmac },
	{ "hmac", refuse_hmac },
	{ "ecryptfs_debug", ignore },
	{ "debug", ignore },
	/* this helper */
	{ "no_sig_cache", set_flag, OFFSET(no_sig_cache) },
	{ "no_prompt", set_no_prompt },
	{ "wild_ass_guess", set_no_prompt },
	{ "verbose", set_flag, OFFSET(verbose) },
	{ "verbosity", set_verbosity },
	{ "remount", set_flag, OFFSET(remount) },
	/* every filesystem, mount(8) */
	{ "ro", set_read_only, MOUNT_ATTR_RDONLY },
	{ "rw", set_read_write, MOUNT_ATTR_RDONLY },
	{ "nosuid", set_attribute, MOUNT_ATTR_NOSUID },
	{ "suid", clear_attribute, MOUNT_ATTR_NOSUID },
	{ "nodev", set_attribute, MOUNT_ATTR_NODEV },
	{ "dev", clear_attribute, MOUNT_ATTR_NODEV },
	{ "noexec", set_attribute, MOUNT_ATTR_NOEXEC },
	{ "exec", clear_attribute, MOUNT_ATTR_NOEXEC },
	{ "noatime", set_atime, MOUNT_ATTR_NOATIME },
	{ "atime", clear_attribute, MOUNT_ATTR_NOATIME },
	{ "strictatime", set_atime, MOUNT_ATTR_STRICTATIME },
	{ "relatime", set_atime, 0 },
	{ "norelatime", ignore },
	{ "nodiratime", set_attribute, MOUNT_ATTR_NODIRATIME },
	{ "diratime", clear_attribute, MOUNT_ATTR_NODIRATIME },
	{ "nosymfollow", set_attribute, MOUNT_ATTR_NOSYMFOLLOW },
	{ "symfollow", clear_attribute, MOUNT_ATTR_NOSYMFOLLOW },
	{ "sync", pass_on },
	{ "dirsync", pass_on },
	{ "lazytime", pass_on },
	{ "async", ignore },
	{ "nolazytime", ignore },
	{ "context", pass_on },
	{ "fscontext", pass_on },
	{ "defcontext", pass_on },
	{ "rootcontext", pass_on },
	/* for mount(8) and systemd, not for us */
	{ "defaults", ignore },
	{ "auto", ignore },
	{ "noauto", ignore },
	{ "nofail", ignore },
	{ "_netdev", ignore },
	{ "comment", ignore },
	{ "user", set_user },
	{ "users", set_user },
	{ "owner", set_user },
	{ "group", set_user },
	{ "nouser", ignore },
	{ "nousers", ignore },
	{ "noowner", ignore },
	{ "nogroup", ignore },
};

static const struct row *find_row(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	return NULL;
}

static int parse_item(struct context *ctx, const char *item, size_t len, bool sloppy);

/* key=passphrase:passphrase_passwd_file=/root/key */
static int parse_key(struct context *ctx)
{
	const char *at = ctx->value, *end = at ? at + ctx->value_len : at;
	bool first = true;

	if (!at || at == end)
		return wrong(ctx, "it needs a value");
	while (at <= end) {
		const char *colon = memchr(at, ':', (size_t)(end - at));
		size_t len = (size_t)((colon ? colon : end) - at);
		int r = 0;

		if (first && (len != 10 || memcmp(at, "passphrase", 10)))
			return ec_why_set(ctx->why, -EOPNOTSUPP,
					  "option key: the only kind of key is \"passphrase\"");
		if (!first && len)
			r = parse_item(&(struct context){ .options = ctx->options,
							  .from = ctx->from, .why = ctx->why },
				       at, len, false);
		if (r < 0)
			return r;
		first = false;
		at += len + 1;
	}
	ctx->options->key_given = true;
	return 0;
}

static int parse_item(struct context *ctx, const char *item, size_t len, bool sloppy)
{
	const char *equals = memchr(item, '=', len);
	size_t name_len = equals ? (size_t)(equals - item) : len;
	const struct row *row;
	char name[64];

	if (!name_len || name_len >= sizeof(name) || memchr(item, 0, name_len))
		return ec_why_set(ctx->why, -EINVAL, "there is an option without a proper name");
	memcpy(name, item, name_len);
	name[name_len] = 0;
	ctx->name = name;
	ctx->value = equals ? equals + 1 : NULL;
	ctx->value_len = equals ? len - name_len - 1 : 0;
	if (!strcmp(name, "key"))
		return parse_key(ctx);
	row = find_row(name);
	if (row) {
		ctx->number = row->number;
		return row->set(ctx);
	}
	if (sloppy || !strncmp(name, "x-", 2) || !strncmp(name, "X-", 2))
		return 0;
	/* It may be the rest of a passphrase, which is not for anybody's eyes. */
	if (ctx->options->passphrase.len)
		return ec_why_set(ctx->why, -EINVAL, "unknown option behind the passphrase (a passphrase in an option can have no comma and no colon)");
	return ec_why_set(ctx->why, -EINVAL, "unknown option %s", name);
}

int ec_helper_options_parse(struct ec_helper_options *options, const char *text, size_t len,
			    enum ec_options_from from, bool sloppy, struct ec_why *why)
{
	const size_t max = from == EC_OPTIONS_FROM_RC ? EC_HELPER_RC_ITEM_LEN_MAX :
						       EC_HELPER_ITEM_LEN_MAX;
	size_t at = 0;

	while (at < len) {
		struct context ctx = { .options = options, .from = from, .why = why };
		size_t n = 0;
		int r;

		while (at + n < len && text[at + n] != ',' &&
		       !(from == EC_OPTIONS_FROM_RC && text[at + n] == '\n'))
			n++;
		if (n > max)
			return ec_why_set(why, -E2BIG, "an option is longer than %zu bytes", max);
		if (n) {
			r = parse_item(&ctx, text + at, n, sloppy);
			if (r < 0)
				return r;
		}
		at += n + 1;
	}
	return 0;
}

int ec_helper_options_read_rc(struct ec_helper_options *options, const char *path,
			      struct ec_why *why)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	_cleanup_secret_ struct ec_secret text = EC_SECRET_NULL;
	struct ec_why inner = EC_WHY_NULL;
	struct stat st;
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : ec_why_set(why, -errno, "%s: %s", path,
							 strerror(errno));
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return ec_why_set(why, -EINVAL, "%s is no regular file", path);
	/* It may name a file with a passphrase, or hold one. */
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return ec_why_set(why, -EPERM, "%s belongs to somebody else", path);
	if (st.st_size > EC_HELPER_RC_LEN_MAX)
		return ec_why_set(why, -E2BIG, "%s is longer than %u bytes", path,
				  EC_HELPER_RC_LEN_MAX);
	if (!st.st_size)
		return 0;
	r = ec_secret_from_fd(&text, fd, false);
	if (r < 0)
		return ec_why_set(why, r, "%s: %s", path, strerror(-r));
	r = ec_helper_options_parse(options, (const char *)text.data, text.len,
				    EC_OPTIONS_FROM_RC, false, &inner);
	return r < 0 ? ec_why_set(why, r, "%s: %s", path, ec_why_text(&inner, r)) : 0;
}

static int check_key_bytes(const char *name, const char *cipher, unsigned int key_bytes,
			   struct ec_why *why)
{
	if (!cipher[0] || !key_bytes || ecfmt_cipher_by_name(cipher, key_bytes))
		return 0;
	return ec_why_set(why, -EINVAL, "option %s: %s has no keys of %u bytes", name, cipher,
			  key_bytes);
}

int ec_helper_options_check(const struct ec_helper_options *options, struct ec_why *why)
{
	const char *fn_cipher = options->fn_cipher[0] ? options->fn_cipher : options->cipher;
	unsigned int n_sources = (options->passphrase.len > 0) + !!options->passphrase_file +
				 (options->passphrase_fd >= 0);
	int r;

	if (options->remount)
		return ec_why_set(why, -EOPNOTSUPP, "the helper does not remount: use mount -i -o remount,...");
	if (n_sources > 1)
		return ec_why_set(why, -EINVAL, "the passphrase is given more than once");
	r = check_key_bytes("ecryptfs_key_bytes", options->cipher, options->key_bytes, why);
	if (r < 0)
		return r;
	return check_key_bytes("ecryptfs_fn_key_bytes", fn_cipher, options->fn_key_bytes, why);
}

/* Collects the first failure, so that the list below reads as a list. */
static void put(struct ec_mount_options *options, int *r, const char *name, const char *value)
{
	if (*r == 0)
		*r = ec_mount_options_add(options, name, value);
}

static void put_number(struct ec_mount_options *options, int *r, const char *name,
		       unsigned int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	put(options, r, name, text);
}

int ec_helper_options_to_mount(const struct ec_helper_options *options,
			       struct ec_mount_options *ret, struct ec_why *why)
{
	size_t i;
	int r = 0;

	put(ret, &r, "ecryptfs_unlink_sigs", NULL);
	if (options->names != EC_ANSWER_NO && options->fnek_sig[0]) {
		put(ret, &r, "ecryptfs_fnek_sig", options->fnek_sig);
		if (options->fn_cipher[0])
			put(ret, &r, "ecryptfs_fn_cipher", options->fn_cipher);
		if (options->fn_key_bytes)
			put_number(ret, &r, "ecryptfs_fn_key_bytes", options->fn_key_bytes);
	}
	put_number(ret, &r, "ecryptfs_key_bytes", options->key_bytes);
	put(ret, &r, "ecryptfs_cipher", options->cipher);
	for (i = 0; i < options->n_sigs; i++)
		put(ret, &r, "ecryptfs_sig", options->sigs[i]);
	if (options->passthrough == EC_ANSWER_YES)
		put(ret, &r, "ecryptfs_passthrough", NULL);
	if (options->xattr == EC_ANSWER_YES)
		put(ret, &r, "ecryptfs_xattr_metadata", NULL);
	if (options->encrypted_view == EC_ANSWER_YES)
		put(ret, &r, "ecryptfs_encrypted_view", NULL);
	if (options->auth_tok_only)
		put(ret, &r, "ecryptfs_mount_auth_tok_only", NULL);
	if (options->check_dev_ruid)
		put(ret, &r, "ecryptfs_check_dev_ruid", NULL);
	for (i = 0; i < options->generic.n_rows; i++)
		put(ret, &r, options->generic.rows[i].name, options->generic.rows[i].value);
	return r < 0 ? ec_why_set(why, r, "the options cannot be passed on") : 0;
}

/* Is text[at] the beginning of one of the names that carry a passphrase? Its length with '='. */
static size_t passphrase_name_len(const char *text, size_t len)
{
	static const char *const names[] = { "passphrase_passwd=", "passwd=" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t n = strlen(names[i]);

		if (len >= n && !memcmp(text, names[i], n))
			return n;
	}
	return 0;
}

int ec_helper_passphrase_from_text(struct ec_secret *ret, const uint8_t *text, size_t len)
{
	const char *chars = (const char *)text;
	size_t at = 0;

	while (at < len) {
		size_t n = 0, name_len;

		while (at + n < len && !strchr(",\n", chars[at + n]))
			n++;
		name_len = passphrase_name_len(chars + at, n);
		if (name_len) {
			if (n == name_len)
				return -EINVAL;
			if (n - name_len > EC_S2K_PASSPHRASE_LEN_MAX)
				return -EMSGSIZE;
			return ec_secret_init_copy(ret, chars + at + name_len, n - name_len);
		}
		at += n + 1;
	}
	return -EINVAL;
}

bool ec_helper_options_hide_passphrase(char *text)
{
	bool found = false;
	char *at = text;

	while (*at) {
		size_t len = strcspn(at, ",:"), name_len;

		/* The first option of a module follows "key=passphrase:", so colons split, too. */
		name_len = passphrase_name_len(at, len);
		if (name_len) {
			/* To the end of the option: a passphrase may have colons in it. */
			len = strcspn(at, ",");
			memset(at + name_len, '*', len - name_len);
			found = true;
		}
		at += len;
		if (*at)
			at++;
	}
	return found;
}
