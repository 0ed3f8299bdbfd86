// SPDX-License-Identifier: GPL-2.0-only
/*
 * The superblock: how it comes up over its lower directory, what it says about itself, and how
 * it goes, taking every key with it.
 */
#include "kmod/lower.h"
#include "kmod/uapi/ecfs.h"

#include <crypto/hash.h>
#include <crypto/skcipher.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/string.h>

static struct kmem_cache *inode_cache;

static void ecfs_inode_init_once(void *object)
{
	struct ecfs_inode *ei = object;

	inode_init_once(&ei->vfs_inode);
}

static struct inode *new_ecfs_inode(struct super_block *sb)
{
	struct ecfs_inode *ei = alloc_inode_sb(sb, inode_cache, GFP_KERNEL);

	if (!ei)
		return NULL;
	memset(ei, 0, offsetof(struct ecfs_inode, vfs_inode));
	mutex_init(&ei->meta_lock);
	spin_lock_init(&ei->file_lock);
	init_rwsem(&ei->key_sem);
	INIT_LIST_HEAD(&ei->keyed);
	return &ei->vfs_inode;
}

static void free_ecfs_inode(struct inode *inode)
{
	kmem_cache_free(inode_cache, ecfs_i(inode));
}

int ecfs_inode_cache_init(void)
{
	inode_cache = kmem_cache_create("ecfs_inode", sizeof(struct ecfs_inode), 0,
					SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT,
					ecfs_inode_init_once);
	return inode_cache ? 0 : -ENOMEM;
}

void ecfs_inode_cache_exit(void)
{
	rcu_barrier();		/* inodes are freed by RCU */
	kmem_cache_destroy(inode_cache);
}

static void forget_fek(struct inode *inode)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	struct ecfs_sb *sbi = ecfs_sb(inode->i_sb);

	spin_lock(&sbi->keyed_lock);
	list_del_init(&ei->keyed);
	spin_unlock(&sbi->keyed_lock);
	ecfs_fek_free(ei->fek);
	ei->fek = NULL;
}

static void evict_inode(struct inode *inode)
{
	struct ecfs_inode *ei = ecfs_i(inode);

	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (ei->lower_file)
		fput(ei->lower_file);
	ei->lower_file = NULL;
	forget_fek(inode);
	kfree(ei->xattr);
	ei->xattr = NULL;
	/* Path walks under RCU may still look: both inodes are freed by RCU, so it stays valid. */
	iput(ei->lower);
}

/* syncfs() hears of an error by the superblock alone. */
static int write_inode(struct inode *inode, struct writeback_control *wbc)
{
	int err = ecfs_meta_store(inode, true);

	if (err && wbc->for_sync)
		errseq_set(&inode->i_sb->s_wb_err, err);
	return err;
}

/* What the lower filesystem has lost since the last look: data of ours may be in it. */
static int take_over_error(struct super_block *sb, struct super_block *lower)
{
	struct ecfs_sb *sbi = ecfs_sb(sb);
	int err;

	spin_lock(&sbi->err_lock);
	err = errseq_check_and_advance(&lower->s_wb_err, &sbi->lower_err);
	spin_unlock(&sbi->err_lock);
	if (err)
		errseq_set(&sb->s_wb_err, err);
	return err;
}

static int sync_fs(struct super_block *sb, int wait)
{
	struct super_block *lower = ecfs_sb(sb)->lower_root->d_sb;
	int err;

	/* An unmount asks too, but promises nothing: the lower filesystem lives on. */
	if (!wait || !atomic_read(&sb->s_active))
		return 0;
	down_read(&lower->s_umount);
	err = sync_filesystem(lower);
	up_read(&lower->s_umount);
	return err ?: take_over_error(sb, lower);
}

static int statfs(struct dentry *dentry, struct kstatfs *buf)
{
	struct ecfs_sb *sbi = ecfs_sb(dentry->d_sb);
	struct path path = ecfs_lower_path(dentry->d_sb, sbi->lower_root);
	int err = vfs_statfs(&path, buf);

	if (err)
		return err;
	buf->f_type = ECFS_SUPER_MAGIC;
	if ((sbi->opts.flags & ECFS_OPT_FN_SIG) && !(sbi->opts.flags & ECFS_OPT_ENCRYPTED_VIEW))
		buf->f_namelen = ecfmt_name_plain_max(buf->f_namelen,
						      sbi->opts.fn_cipher->block_len);
	return 0;
}

static int show_options(struct seq_file *m, struct dentry *root)
{
	const struct ecfs_opts *opts = &ecfs_sb(root->d_sb)->opts;
	static const struct { unsigned int flag; const char *name; } flags[] = {
		{ ECFS_OPT_PASSTHROUGH, "passthrough" },
		{ ECFS_OPT_XATTR_METADATA, "xattr_metadata" },
		{ ECFS_OPT_ENCRYPTED_VIEW, "encrypted_view" },
		{ ECFS_OPT_UNLINK_SIGS, "unlink_sigs" },
		{ ECFS_OPT_MOUNT_AUTH_TOK_ONLY, "mount_auth_tok_only" },
	};
	char hex[ECFMT_SIG_HEX_LEN + 1];
	const struct ecfs_sig *sig;
	size_t i;

	list_for_each_entry(sig, &opts->sigs, list) {
		ecfmt_sig_to_hex(hex, sig->sig);
		seq_printf(m, ",ecryptfs_sig=%s", hex);
	}
	if (opts->flags & ECFS_OPT_FN_SIG) {
		ecfmt_sig_to_hex(hex, opts->fn_sig);
		seq_printf(m, ",ecryptfs_fnek_sig=%s", hex);
	}
	seq_printf(m, ",ecryptfs_cipher=%s,ecryptfs_key_bytes=%zu", opts->cipher->name,
		   opts->key_len);
	if (opts->flags & ECFS_OPT_FN_SIG)
		seq_printf(m, ",ecryptfs_fn_cipher=%s,ecryptfs_fn_key_bytes=%zu",
			   opts->fn_cipher->name, opts->fn_key_len);
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (opts->flags & flags[i].flag)
			seq_printf(m, ",ecryptfs_%s", flags[i].name);
	return 0;
}

const struct super_operations ecfs_super_ops = {
	.alloc_inode	= new_ecfs_inode,
	.free_inode	= free_ecfs_inode,
	.evict_inode	= evict_inode,
	.write_inode	= write_inode,
	.sync_fs	= sync_fs,
	.statfs		= statfs,
	.show_options	= show_options,
};

static DEFINE_MUTEX(writers_lock);
static LIST_HEAD(writers);		/* struct ecfs_sb.writer */

static const struct ecfs_sb *find_writer(const struct ecfs_sb *sbi)
{
	const struct ecfs_sb *other;

	lockdep_assert_held(&writers_lock);
	list_for_each_entry(other, &writers, writer)
		if (d_inode(other->lower_root) == d_inode(sbi->lower_root))
			return other;
	return NULL;
}

/**
 * ecfs_claim_lower() - be the one superblock that may write to a lower directory
 * @sbi:	stands on its lower directory; keeps the claim until it is locked or freed
 * @fc:		for the message
 *
 * Two of them would know nothing of each other: each holds sizes and pages of its own, and writes
 * them over the other's. Mounts that only read may be as many as people like.
 *
 * Return: 0, also if it has the claim already; -EBUSY.
 */
int ecfs_claim_lower(struct ecfs_sb *sbi, struct fs_context *fc)
{
	const struct ecfs_sb *other;

	mutex_lock(&writers_lock);
	other = find_writer(sbi);
	if (!other)
		list_add(&sbi->writer, &writers);
	mutex_unlock(&writers_lock);
	if (!other || other == sbi)
		return 0;
	errorfc(fc, "source is mounted for writing already, or still in use: a second mount would damage it");
	return -EBUSY;
}

/**
 * ecfs_give_up_claim() - let another superblock write to the lower directory
 * @sbi:	has written all that it ever will; need not have a claim
 */
void ecfs_give_up_claim(struct ecfs_sb *sbi)
{
	mutex_lock(&writers_lock);
	list_del_init(&sbi->writer);
	mutex_unlock(&writers_lock);
}

/**
 * ecfs_sb_free() - free what a superblock, or one that never came up, holds
 * @sbi:	may be NULL or half built
 */
void ecfs_sb_free(struct ecfs_sb *sbi)
{
	struct ecfs_sig *sig, *next;

	if (!sbi)
		return;
	ecfs_give_up_claim(sbi);
	ecfs_keys_free(&sbi->keys);
	list_for_each_entry_safe(sig, next, &sbi->opts.sigs, list)
		kfree(sig);
	if (sbi->names_tfm)
		crypto_free_skcipher(sbi->names_tfm);
	if (sbi->md5)
		crypto_free_shash(sbi->md5);
	mempool_destroy(sbi->batches);
	if (sbi->lower_mnt)
		kern_unmount(sbi->lower_mnt);
	if (sbi->cred)
		put_cred(sbi->cred);
	kfree_sensitive(sbi);
}

static void kill_sb(struct super_block *sb)
{
	struct ecfs_sb *sbi = sb->s_fs_info;

	kill_anon_super(sb);
	ecfs_sb_free(sbi);
}

/*
 * The mount worker names the source by a descriptor, because the path could be swapped under it.
 * The mount table is for people: it shows where that led to.
 */
static void name_source(struct fs_context *fc, const struct path *path)
{
	char *buf, *name;

	if (!str_has_prefix(fc->source, "/proc/self/fd/"))
		return;
	buf = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!buf)
		return;
	name = d_path(path, buf, PATH_MAX);
	name = IS_ERR(name) ? NULL : kstrdup(name, GFP_KERNEL);
	kfree(buf);
	if (name) {
		kfree(fc->source);
		fc->source = name;
	}
}

/* Pins the lower directory by a mount of our own, which no umount elsewhere takes away. */
static int pin_lower(struct super_block *sb, struct fs_context *fc)
{
	struct ecfs_sb *sbi = ecfs_sb(sb);
	const char *why = NULL;
	struct vfsmount *mnt;
	struct path path;
	int err;

	if (!*fc->source)
		return invalfc(fc, "source is empty");	/* kern_path() would take the cwd */
	err = kern_path(fc->source, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &path);
	if (err) {
		errorfc(fc, "source '%s': error %d", fc->source, err);
		return err;
	}
	err = ecfs_lower_check(sb, &path, &why);
	if (err) {
		errorfc(fc, "%s", why);
		goto out;
	}
	if ((sbi->opts.flags & ECFS_OPT_CHECK_DEV_RUID) &&
	    !uid_eq(d_inode(path.dentry)->i_uid, current_uid())) {
		errorfc(fc, "source is not owned by the caller's real user");
		err = -EPERM;
		goto out;
	}
	mnt = clone_private_mount(&path);
	if (IS_ERR(mnt)) {
		err = PTR_ERR(mnt);
		errorfc(fc, "source cannot be pinned: error %d", err);
		goto out;
	}
	if (__mnt_is_readonly(path.mnt))
		sb->s_flags |= SB_RDONLY;
	sbi->lower_mnt = mnt;
	sbi->lower_root = mnt->mnt_root;
	name_source(fc, &path);
out:
	path_put(&path);
	return err;
}

static void take_over_limits(struct super_block *sb)
{
	const struct ecfs_sb *sbi = ecfs_sb(sb);
	const struct super_block *lower = sbi->lower_root->d_sb;

	sb->s_magic = ECFS_SUPER_MAGIC;
	/* What the log calls us: the device number that the mount table shows. */
	snprintf(sb->s_id, sizeof(sb->s_id), "%u:%u", MAJOR(sb->s_dev), MINOR(sb->s_dev));
	sb->s_blocksize = lower->s_blocksize;
	sb->s_blocksize_bits = lower->s_blocksize_bits;
	sb->s_stack_depth = lower->s_stack_depth + 1;
	sb->s_time_gran = lower->s_time_gran;
	sb->s_time_min = lower->s_time_min;
	sb->s_time_max = lower->s_time_max;
	/* The header and the padding of the last extent must fit below as well. */
	sb->s_maxbytes = round_down(lower->s_maxbytes - ECFMT_HEADER_LEN_MIN, ECFMT_EXTENT_LEN);
	sb->s_flags |= lower->s_flags & (SB_POSIXACL | SB_RDONLY);
	if (sbi->opts.flags & ECFS_OPT_ENCRYPTED_VIEW)
		sb->s_flags |= SB_RDONLY;
}

static int setup_crypto(struct super_block *sb)
{
	struct ecfs_sb *sbi = ecfs_sb(sb);
	const struct ecfs_key *key;

	sbi->md5 = crypto_alloc_shash("md5", 0, 0);
	if (IS_ERR(sbi->md5)) {
		int err = PTR_ERR(sbi->md5);

		sbi->md5 = NULL;
		pr_warn("the kernel has no MD5, which the format needs: error %d\n", err);
		return err == -ENOENT ? -ENOPKG : err;
	}
	if (!(sbi->opts.flags & ECFS_OPT_FN_SIG))
		return 0;
	key = ecfs_key_find(&sbi->keys, sbi->opts.fn_sig);
	return key ? ecfs_names_setup(sbi, key) : -ENOKEY;
}

/* The cipher of new files must work, so that the mount fails and not the first write. */
static int try_cipher(struct super_block *sb)
{
	struct ecfs_sb *sbi = ecfs_sb(sb);
	struct ecfs_fek *fek;
	u8 key[ECFMT_FEK_LEN_MAX];

	get_random_bytes(key, sizeof(key));
	fek = ecfs_fek_new(sbi, sbi->opts.cipher, key, sbi->opts.key_len);
	memzero_explicit(key, sizeof(key));
	if (IS_ERR(fek))
		return PTR_ERR(fek);
	ecfs_fek_free(fek);
	return 0;
}

static int lower_name_max(struct super_block *sb)
{
	struct ecfs_sb *sbi = ecfs_sb(sb);
	struct path path = ecfs_lower_path(sb, sbi->lower_root);
	struct kstatfs buf;
	int err = vfs_statfs(&path, &buf);

	if (!err)
		sbi->lower_name_max = buf.f_namelen;
	return err;
}

int ecfs_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct ecfs_sb *sbi = ecfs_sb(sb);
	struct cred *cred;
	struct inode *root;
	int err;

	sbi->sb = sb;
	cred = prepare_creds();
	if (!cred)
		return -ENOMEM;
	sbi->cred = cred;
	err = pin_lower(sb, fc);
	if (err)
		return err;
	take_over_limits(sb);
	if (!sb_rdonly(sb)) {
		err = ecfs_claim_lower(sbi, fc);
		if (err)
			return err;
	}
	sbi->lower_err = errseq_sample(&sbi->lower_root->d_sb->s_wb_err);
	err = lower_name_max(sb);
	if (!err)
		err = setup_crypto(sb);
	if (!err)
		err = try_cipher(sb);
	if (!err)
		err = super_setup_bdi(sb);
	if (err)
		return err;
	sbi->batches = mempool_create(1, ecfs_batch_alloc, ecfs_batch_free, NULL);
	if (!sbi->batches)
		return -ENOMEM;

	sb->s_op = &ecfs_super_ops;
	sb->s_xattr = (void *)ecfs_xattr_handlers;
	sb->s_export_op = &ecfs_export_ops;
	set_default_d_op(sb, &ecfs_dentry_ops);

	root = ecfs_iget(sb, sbi->lower_root);
	if (IS_ERR(root))
		return PTR_ERR(root);
	sb->s_root = d_make_root(root);
	if (!sb->s_root)
		return -ENOMEM;
	ecfs_set_lower(sb->s_root, dget(sbi->lower_root));
	return 0;
}

struct file_system_type ecfs_fs_type = {
	.owner			= THIS_MODULE,
	.name			= ECFS_FS_NAME,
	.init_fs_context	= ecfs_init_fs_context,
	.parameters		= ecfs_fs_parameters,
	.kill_sb		= kill_sb,
	/* Not FS_USERNS_MOUNT: lower content is opened with the mounter's rights. */
};
