// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and unloading of the module. The filesystem is called "ecfs" so that it and the in-tree
 * ecryptfs can be loaded side by side.
 */
#include "kmod/ecfs.h"

#include <linux/module.h>

static int __init ecfs_init(void)
{
	int err;

	BUILD_BUG_ON(PAGE_SIZE % ECFMT_EXTENT_LEN);

	err = ecfs_inode_cache_init();
	if (err)
		return err;
	err = ecfs_lower_init();
	if (err)
		goto err_lower;
	err = register_filesystem(&ecfs_fs_type);
	if (err)
		goto err_register;
	return 0;

err_register:
	ecfs_lower_exit();
err_lower:
	ecfs_inode_cache_exit();
	return err;
}

static void __exit ecfs_exit(void)
{
	unregister_filesystem(&ecfs_fs_type);
	ecfs_lower_exit();
	ecfs_inode_cache_exit();
}

module_init(ecfs_init);
module_exit(ecfs_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Encrypted files on any lower filesystem, format of eCryptfs");
MODULE_VERSION(KBUILD_ECFS_VERSION);
MODULE_ALIAS_FS("ecfs");
MODULE_SOFTDEP("pre: md5 cbc ecb aes");
