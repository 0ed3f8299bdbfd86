/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What userspace says to the ecfs module: mount options, the key parameter and the ioctls.
 * The only header that both sides share besides format/.
 */
#ifndef ECFS_UAPI_H
#define ECFS_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define ECFS_FS_NAME	"ecfs"
#define ECFS_SUPER_MAGIC 0xF15F		/* the same as the in-tree eCryptfs */

/*
 * fsconfig(fd, FSCONFIG_SET_BINARY, "key", &key, sizeof(key)), once for each key, before
 * FSCONFIG_CMD_CREATE. The module copies the key into the superblock and wipes the kernel's
 * copy of the parameter. Options ecryptfs_sig= and ecryptfs_fnek_sig= then name it by its
 * signature; a signature without a key given here is looked up in the caller's keyrings.
 */
#define ECFS_OPT_KEY		"key"
#define ECFS_MOUNT_KEY_VERSION	1

struct ecfs_mount_key {
	__u32 version;			/* ECFS_MOUNT_KEY_VERSION */
	__u32 reserved;			/* 0 */
	__u8 sig[8];			/* raw signature */
	__u8 salt[8];			/* goes into tag 3 packets, informational */
	__u8 key[64];
};					/* 88 bytes */

/*
 * On a descriptor of the mount's root directory, CAP_SYS_ADMIN: writes back what is dirty,
 * then wipes every key of the superblock and drops the cached plaintext. What needs a key
 * afterwards fails with ENOKEY until the filesystem is mounted afresh.
 */
#define ECFS_IOC_LOCK	_IO(0xF1, 0x01)

#endif
