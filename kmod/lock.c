// SPDX-License-Identifier: GPL-2.0-only
/*
 * ECFS_IOC_LOCK: the keys go, and with them everything that was made readable by them.
 */
#include "kmod/lower.h"

#include <crypto/skcipher.h>
#include <linux/slab.h>

/* From here on nothing opens a file, makes one, or reads or writes a name. */
static void wipe_mount_keys(struct ecfs_sb *sbi)
{
	down_write(&sbi->key_sem);
	WRITE_ONCE(sbi->locked, true);
	ecfs_keys_free(&sbi->keys);
	if (sbi->names_tfm)
		crypto_free_skcipher(sbi->names_tfm);
	sbi->names_tfm = NULL;
	memzero_explicit(sbi->names_prefix, sizeof(sbi->names_prefix));
	up_write(&sbi->key_sem);
}

/*
 * Writers and page faults see sbi->locked under inode_lock or the invalidate lock, so that nothing
 * becomes dirty after the flush.
 */
static int lock_inode(struct inode *inode)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	struct ecfs_fek *fek;
	int err, flush_err;

	inode_lock(inode);
	filemap_invalidate_lock(inode->i_mapping);
	unmap_mapping_range(inode->i_mapping, 0, 0, 0);
	flush_err = filemap_write_and_wait(inode->i_mapping);
	err = ecfs_meta_store(inode, true);

	down_write(&ei->key_sem);
	fek = ei->fek;
	ei->fek = NULL;
	up_write(&ei->key_sem);
	ecfs_fek_free(fek);

	/* Whatever could not be written cannot be any more: it must not stay as plaintext. */
	truncate_inode_pages(inode->i_mapping, 0);
	filemap_invalidate_unlock(inode->i_mapping);
	inode_unlock(inode);
	return flush_err ?: err;
}

/* The next inode with a key, referenced and off the list; NULL if there is none. */
static struct inode *next_keyed(struct ecfs_sb *sbi)
{
	struct ecfs_inode *ei;
	struct inode *inode = NULL;

	spin_lock(&sbi->keyed_lock);
	while (!inode && !list_empty(&sbi->keyed)) {
		ei = list_first_entry(&sbi->keyed, struct ecfs_inode, keyed);
		list_del_init(&ei->keyed);
		inode = igrab(&ei->vfs_inode);	/* NULL: eviction is freeing the key anyway */
	}
	spin_unlock(&sbi->keyed_lock);
	return inode;
}

/**
 * ecfs_lock() - write back, then wipe every key and drop the plaintext that is cached
 * @sb:	ours
 *
 * Return: 0, or the first error of the writing back. The filesystem is locked either way.
 */
int ecfs_lock(struct super_block *sb)
{
	struct ecfs_sb *sbi = ecfs_sb(sb);
	struct inode *inode;
	int err, inode_err;

	down_read(&sb->s_umount);
	err = sync_filesystem(sb);
	up_read(&sb->s_umount);

	wipe_mount_keys(sbi);
	while ((inode = next_keyed(sbi))) {
		inode_err = lock_inode(inode);
		if (!err)
			err = inode_err;
		iput(inode);
		cond_resched();
	}
	shrink_dcache_sb(sb);
	/* Who still has files open gets ENOKEY, and shall not keep the next mount out. */
	if (!err)
		ecfs_give_up_claim(sbi);
	return err;
}
