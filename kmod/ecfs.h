/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Prototypes, one section for each .c file. What a function does stands above its definition.
 */
#ifndef ECFS_ECFS_H
#define ECFS_ECFS_H

#include "kmod/types.h"

struct ecfs_batch;
struct skcipher_request;

/* Names the superblock and the inode; for all that a file's content can trigger. */
#define ecfs_warn(inode, fmt, ...) \
	pr_warn_ratelimited("%s inode %llu: " fmt "\n", (inode)->i_sb->s_id, \
			    (unsigned long long)(inode)->i_ino, ##__VA_ARGS__)

/* One line for an inode, however often it is met. */
#define ecfs_warn_once(inode, fmt, ...) do { \
	if (!test_and_set_bit(ECFS_I_WARNED, &ecfs_i(inode)->flags)) \
		ecfs_warn(inode, fmt, ##__VA_ARGS__); \
} while (0)

/* aops.c */
extern const struct address_space_operations ecfs_aops;
void *ecfs_batch_alloc(gfp_t gfp, void *unused);
void ecfs_batch_free(void *element, void *unused);
int ecfs_zero_range(struct inode *inode, loff_t from, loff_t to);
int ecfs_zero_tail(struct inode *inode, loff_t size);
int ecfs_grow(struct inode *inode, loff_t size);
int ecfs_back(struct inode *inode, loff_t end);

/* attr.c */
void ecfs_copy_owner(struct inode *inode);
void ecfs_copy_attr(struct inode *inode);
int ecfs_getattr(ecfs_idmap_t *idmap, const struct path *path, struct kstat *stat, u32 mask,
		 unsigned int flags);
int ecfs_setattr(ecfs_idmap_t *idmap, struct dentry *dentry, struct iattr *attr);
int ecfs_truncate(struct inode *inode, loff_t size);
int ecfs_update_time(ECFS_UPDATE_TIME_ARGS);

/* crypto.c */
int ecfs_md5(struct ecfs_sb *sbi, const u8 *buf, size_t len, u8 ret[ECFMT_MD5_LEN]);
int ecfs_ecb(const struct ecfmt_cipher *cipher, const u8 *key, size_t key_len,
	     u8 *buf, size_t len, bool encrypt);
int ecfs_ecb_tfm(struct crypto_skcipher *tfm, u8 *buf, size_t len, bool encrypt);
struct crypto_skcipher *ecfs_tfm_new(const char *mode, const struct ecfmt_cipher *cipher,
				     const u8 *key, size_t key_len);
struct ecfs_fek *ecfs_fek_new(struct ecfs_sb *sbi, const struct ecfmt_cipher *cipher,
			      const u8 *key, size_t key_len);
void ecfs_fek_free(struct ecfs_fek *fek);
int ecfs_crypt_extent(struct ecfs_sb *sbi, struct ecfs_fek *fek, struct skcipher_request *req,
		      u64 index, struct page *src, struct page *dst, unsigned int offset,
		      bool encrypt);

/* dentry.c */
extern const struct dentry_operations ecfs_dentry_ops;
bool ecfs_dentry_stale(struct dentry *dentry);

/* export.c */
extern const struct export_operations ecfs_export_ops;

/* file.c */
extern const struct file_operations ecfs_file_fops;
extern const struct file_operations ecfs_dir_fops;
int ecfs_write_back(struct inode *inode);
int ecfs_file_get(struct inode *inode, struct dentry *dentry, bool write);
void ecfs_file_put(struct inode *inode);

/* inode.c */
extern const struct inode_operations ecfs_dir_iops;
extern const struct inode_operations ecfs_file_iops;
extern const struct inode_operations ecfs_symlink_iops;
extern const struct inode_operations ecfs_special_iops;
struct inode *ecfs_iget(struct super_block *sb, struct dentry *lower_dentry);
char *ecfs_read_target(struct dentry *dentry, size_t *ret_len);
bool ecfs_name_reserved(const struct inode *dir, const char *name, size_t len);

/* keys.c */
int ecfs_key_add(struct list_head *keys, const u8 sig[ECFMT_SIG_LEN],
		 const u8 salt[ECFMT_SALT_LEN], const u8 key[ECFMT_KEY_LEN]);
const struct ecfs_key *ecfs_key_find(const struct list_head *keys,
				     const u8 sig[ECFMT_SIG_LEN]);
void ecfs_keys_free(struct list_head *keys);
int ecfs_key_lookup(const u8 sig[ECFMT_SIG_LEN], struct ecfmt_auth_tok *ret);

/* lock.c */
int ecfs_lock(struct super_block *sb);

/* lower.c */
int ecfs_lower_init(void);
void ecfs_lower_exit(void);
struct file *ecfs_lower_open(struct ecfs_sb *sbi, struct dentry *lower_dentry, int flags);
struct file *ecfs_lower_file(struct ecfs_inode *ei);
int ecfs_lower_read(struct file *file, struct iov_iter *iter, loff_t pos, size_t *ret_len);
int ecfs_lower_write(struct file *file, struct iov_iter *iter, loff_t pos);
int ecfs_lower_check(struct super_block *sb, const struct path *path, const char **ret_why);
bool ecfs_lower_lacks(struct file *file, u64 len);

/* meta.c */
void ecfs_meta_peek(struct inode *inode, struct dentry *lower_dentry);
int ecfs_meta_load(struct inode *inode, struct dentry *lower_dentry, bool write);
int ecfs_meta_create(struct inode *inode, struct dentry *lower_dentry);
int ecfs_meta_store(struct inode *inode, bool ordered);
int ecfs_meta_shrink(struct inode *inode, loff_t size);

/* name.c */
int ecfs_name_encode(struct ecfs_sb *sbi, const char *name, size_t len,
		     char **ret_name, size_t *ret_len);
int ecfs_name_decode(struct ecfs_sb *sbi, const char *lower, size_t lower_len, bool component,
		     char **ret_name, size_t *ret_len);
int ecfs_names_setup(struct ecfs_sb *sbi, const struct ecfs_key *key);

/* params.c */
int ecfs_init_fs_context(struct fs_context *fc);
extern const struct fs_parameter_spec ecfs_fs_parameters[];

/* super.c */
extern struct file_system_type ecfs_fs_type;
extern const struct super_operations ecfs_super_ops;
int ecfs_inode_cache_init(void);
void ecfs_inode_cache_exit(void);
int ecfs_fill_super(struct super_block *sb, struct fs_context *fc);
int ecfs_claim_lower(struct ecfs_sb *sbi, struct fs_context *fc);
void ecfs_give_up_claim(struct ecfs_sb *sbi);
void ecfs_sb_free(struct ecfs_sb *sbi);

/* xattr.c */
extern const struct xattr_handler *const ecfs_xattr_handlers[];
ssize_t ecfs_listxattr(struct dentry *dentry, char *list, size_t size);

#endif
