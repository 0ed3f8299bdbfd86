// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mount options: those of the in-tree filesystem, and the key itself as a binary parameter.
 */
#include "kmod/lower.h"
#include "kmod/uapi/ecfs.h"

#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/slab.h>

enum ecfs_param {
	PARAM_SIG, PARAM_CIPHER, PARAM_KEY_BYTES, PARAM_FN_SIG, PARAM_FN_CIPHER,
	PARAM_FN_KEY_BYTES, PARAM_PASSTHROUGH, PARAM_XATTR_METADATA, PARAM_ENCRYPTED_VIEW,
	PARAM_UNLINK_SIGS, PARAM_MOUNT_AUTH_TOK_ONLY, PARAM_CHECK_DEV_RUID, PARAM_DEBUG,
};

const struct fs_parameter_spec ecfs_fs_parameters[] = {
	fsparam_string("sig",				PARAM_SIG),
	fsparam_string("ecryptfs_sig",			PARAM_SIG),
	fsparam_string("cipher",			PARAM_CIPHER),
	fsparam_string("ecryptfs_cipher",		PARAM_CIPHER),
	fsparam_u32("ecryptfs_key_bytes",		PARAM_KEY_BYTES),
	fsparam_string("ecryptfs_fnek_sig",		PARAM_FN_SIG),
	fsparam_string("ecryptfs_fn_cipher",		PARAM_FN_CIPHER),
	fsparam_u32("ecryptfs_fn_key_bytes",		PARAM_FN_KEY_BYTES),
	fsparam_flag("ecryptfs_passthrough",		PARAM_PASSTHROUGH),
	fsparam_flag("ecryptfs_xattr_metadata",		PARAM_XATTR_METADATA),
	fsparam_flag("ecryptfs_encrypted_view",		PARAM_ENCRYPTED_VIEW),
	fsparam_flag("ecryptfs_unlink_sigs",		PARAM_UNLINK_SIGS),
	fsparam_flag("ecryptfs_mount_auth_tok_only",	PARAM_MOUNT_AUTH_TOK_ONLY),
	fsparam_flag("ecryptfs_check_dev_ruid",		PARAM_CHECK_DEV_RUID),
	fsparam_u32("debug",				PARAM_DEBUG),
	fsparam_u32("ecryptfs_debug",			PARAM_DEBUG),
	{}
};

/* What the options said so far. */
struct ecfs_ctx {
	struct ecfs_sb *sbi;
	char cipher[32], fn_cipher[32];		/* as written; "" if not given */
	u32 key_bytes, fn_key_bytes;		/* 0 if not given */
};

static int parse_sig(struct fs_context *fc, const char *text, u8 ret[ECFMT_SIG_LEN])
{
	if (ecfmt_sig_from_hex(ret, text, strlen(text)))
		return invalfc(fc, "a signature is 16 hexadecimal digits, not '%s'", text);
	return 0;
}

static int add_sig(struct fs_context *fc, struct ecfs_sb *sbi, const char *text)
{
	struct ecfs_sig *sig, *other;
	int err;

	sig = kzalloc(sizeof(*sig), GFP_KERNEL);
	if (!sig)
		return -ENOMEM;
	err = parse_sig(fc, text, sig->sig);
	if (err)
		goto err_free;
	list_for_each_entry(other, &sbi->opts.sigs, list) {
		if (!memcmp(other->sig, sig->sig, ECFMT_SIG_LEN))
			goto err_free;	/* named twice: the same key, once is enough */
	}
	list_add_tail(&sig->list, &sbi->opts.sigs);
	return 0;

err_free:
	kfree(sig);
	return err;
}

static int parse_key(struct fs_context *fc, struct ecfs_sb *sbi, struct fs_parameter *param)
{
	struct ecfs_mount_key *key = param->blob;
	int err;

	if (param->size != sizeof(*key) || key->version != ECFS_MOUNT_KEY_VERSION ||
	    key->reserved)
		err = invalfc(fc, "key is not a struct ecfs_mount_key of version 1");
	else
		err = ecfs_key_add(&sbi->keys, key->sig, key->salt, key->key);
	memzero_explicit(param->blob, param->size);
	if (err == -EEXIST)
		return invalfc(fc, "the same key was given twice");
	return err;
}

static int parse_name(struct fs_context *fc, const char *text, char ret[32])
{
	if (strscpy(ret, text, 32) < 0)
		return invalfc(fc, "cipher name '%s' is too long", text);
	return 0;
}

static int parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct ecfs_ctx *ctx = fc->fs_private;
	struct ecfs_sb *sbi = ctx->sbi;
	struct fs_parse_result result;
	int opt, err;

	/* Not in the table, which has no type for it in every kernel. */
	if (param->type == fs_value_is_blob && !strcmp(param->key, ECFS_OPT_KEY))
		return parse_key(fc, sbi, param);
	opt = fs_parse(fc, ecfs_fs_parameters, param, &result);
	if (opt < 0)
		return opt;
	switch ((enum ecfs_param)opt) {
	case PARAM_SIG:
		return add_sig(fc, sbi, param->string);
	case PARAM_CIPHER:
		return parse_name(fc, param->string, ctx->cipher);
	case PARAM_KEY_BYTES:
		ctx->key_bytes = result.uint_32;
		return 0;
	case PARAM_FN_SIG:
		err = parse_sig(fc, param->string, sbi->opts.fn_sig);
		if (!err)
			sbi->opts.flags |= ECFS_OPT_FN_SIG;
		return err;
	case PARAM_FN_CIPHER:
		return parse_name(fc, param->string, ctx->fn_cipher);
	case PARAM_FN_KEY_BYTES:
		ctx->fn_key_bytes = result.uint_32;
		return 0;
	case PARAM_PASSTHROUGH:
		sbi->opts.flags |= ECFS_OPT_PASSTHROUGH;
		return 0;
	case PARAM_XATTR_METADATA:
		sbi->opts.flags |= ECFS_OPT_XATTR_METADATA;
		return 0;
	case PARAM_ENCRYPTED_VIEW:
		sbi->opts.flags |= ECFS_OPT_ENCRYPTED_VIEW | ECFS_OPT_XATTR_METADATA;
		return 0;
	case PARAM_UNLINK_SIGS:
		sbi->opts.flags |= ECFS_OPT_UNLINK_SIGS;
		return 0;
	case PARAM_MOUNT_AUTH_TOK_ONLY:
		sbi->opts.flags |= ECFS_OPT_MOUNT_AUTH_TOK_ONLY;
		return 0;
	case PARAM_CHECK_DEV_RUID:
		sbi->opts.flags |= ECFS_OPT_CHECK_DEV_RUID;
		return 0;
	case PARAM_DEBUG:
		infofc(fc, "%s has no effect", param->key);
		return 0;
	}
	return -EINVAL;
}

/*
 * The in-tree module generates its first key with length 0 when the length is not given
 * (docs/format.md, habits), so it must be.
 */
static int choose_ciphers(struct fs_context *fc)
{
	struct ecfs_ctx *ctx = fc->fs_private;
	struct ecfs_opts *opts = &ctx->sbi->opts;
	const char *name = ctx->cipher[0] ? ctx->cipher : "aes";
	const char *fn_name = ctx->fn_cipher[0] ? ctx->fn_cipher : name;

	if (!ctx->key_bytes)
		return invalfc(fc, "ecryptfs_key_bytes is missing");
	opts->cipher = ecfmt_cipher_by_name(name, ctx->key_bytes);
	opts->key_len = ctx->key_bytes;
	if (!opts->cipher || !ecfmt_cipher_key_len_ok(opts->cipher, opts->key_len))
		return invalfc(fc, "no cipher %s with a key of %u bytes", name, ctx->key_bytes);

	opts->fn_key_len = ctx->fn_key_bytes ?: ctx->key_bytes;
	opts->fn_cipher = ecfmt_cipher_by_name(fn_name, opts->fn_key_len);
	if (!(opts->flags & ECFS_OPT_FN_SIG))
		return 0;
	if (!opts->fn_cipher || !ecfmt_cipher_name_key_len_ok(opts->fn_cipher, opts->fn_key_len))
		return invalfc(fc, "no cipher %s with a key of %zu bytes for names", fn_name,
			       opts->fn_key_len);
	return 0;
}

/* Makes sure that the superblock has the key: given as a parameter, or from the keyrings. */
static int find_key(struct fs_context *fc, struct ecfs_sb *sbi, const u8 sig[ECFMT_SIG_LEN])
{
	char hex[ECFMT_SIG_HEX_LEN + 1];
	struct ecfmt_auth_tok tok;
	int err;

	if (ecfs_key_find(&sbi->keys, sig))
		return 0;
	err = ecfs_key_lookup(sig, &tok);
	if (!err)
		err = ecfs_key_add(&sbi->keys, tok.sig, tok.salt, tok.key);
	memzero_explicit(&tok, sizeof(tok));
	if (err) {
		ecfmt_sig_to_hex(hex, sig);
		errorfc(fc, "key %s: not given and not usable from the keyrings (error %d)",
			hex, err);
	}
	return err;
}

static int find_keys(struct fs_context *fc, struct ecfs_sb *sbi)
{
	struct ecfs_sig *sig;
	int err;

	if (list_empty(&sbi->opts.sigs))
		return invalfc(fc, "ecryptfs_sig is missing");
	list_for_each_entry(sig, &sbi->opts.sigs, list) {
		err = find_key(fc, sbi, sig->sig);
		if (err)
			return err;
	}
	if (sbi->opts.flags & ECFS_OPT_FN_SIG)
		return find_key(fc, sbi, sbi->opts.fn_sig);
	return 0;
}

static int get_tree(struct fs_context *fc)
{
	struct ecfs_ctx *ctx = fc->fs_private;
	int err;

	if (!fc->source)
		return invalfc(fc, "no source directory");
	err = choose_ciphers(fc);
	if (!err)
		err = find_keys(fc, ctx->sbi);
	if (err)
		return err;
	fc->s_fs_info = ctx->sbi;	/* the superblock's from here on */
	ctx->sbi = NULL;
	return get_tree_nodev(fc, ecfs_fill_super);
}

/*
 * A remount changes the generic flags only: the options that the mount tool repeats from the
 * mount table are read and dropped.
 */
static int reconfigure(struct fs_context *fc)
{
	struct super_block *sb = fc->root->d_sb;
	struct super_block *lower = ecfs_sb(sb)->lower_root->d_sb;
	int err;

	/* Flags that are not in the mask are not asked for: fspick(2) begins with none. */
	if (sb_rdonly(sb) && (fc->sb_flags_mask & ~fc->sb_flags & SB_RDONLY)) {
		if (ecfs_opt(sb, ECFS_OPT_ENCRYPTED_VIEW) || sb_rdonly(lower) ||
		    __mnt_is_readonly(ecfs_sb(sb)->lower_mnt))
			return -EROFS;
		err = ecfs_claim_lower(ecfs_sb(sb), fc);
		if (err)
			return err;
	}
	sync_filesystem(sb);
	return 0;
}

static void free_fc(struct fs_context *fc)
{
	struct ecfs_ctx *ctx = fc->fs_private;

	if (fc->s_fs_info)		/* no superblock took it */
		ecfs_sb_free(fc->s_fs_info);
	if (ctx) {
		ecfs_sb_free(ctx->sbi);
		kfree(ctx);
	}
}

static const struct fs_context_operations context_ops = {
	.free		= free_fc,
	.parse_param	= parse_param,
	.get_tree	= get_tree,
	.reconfigure	= reconfigure,
};

int ecfs_init_fs_context(struct fs_context *fc)
{
	struct ecfs_ctx *ctx = kzalloc(sizeof(*ctx), GFP_KERNEL);
	struct ecfs_sb *sbi = kzalloc(sizeof(*sbi), GFP_KERNEL);

	if (!ctx || !sbi) {
		kfree(ctx);
		kfree(sbi);
		return -ENOMEM;
	}
	init_rwsem(&sbi->key_sem);
	init_rwsem(&sbi->move_sem);
	INIT_LIST_HEAD(&sbi->keys);
	INIT_LIST_HEAD(&sbi->opts.sigs);
	INIT_LIST_HEAD(&sbi->keyed);
	INIT_LIST_HEAD(&sbi->writer);
	spin_lock_init(&sbi->keyed_lock);
	spin_lock_init(&sbi->err_lock);
	ctx->sbi = sbi;
	fc->fs_private = ctx;
	fc->ops = &context_ops;
	return 0;
}
