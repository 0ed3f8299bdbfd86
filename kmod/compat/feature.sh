#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# feature.sh INCLUDE_DIR - looks at the kernel's headers and prints one -DECFS_HAVE_x for each
# interface that is there. Asks for features, not for versions: stable kernels backport them.
inc=$1

probe() { # NAME REGEX HEADER...
	name=$1
	regex=$2
	shift 2
	for header; do
		if grep -Eqs -- "$regex" "$inc/linux/$header"; then
			printf ' -DECFS_HAVE_%s' "$name"
			return
		fi
	done
}

probe MNT_IDMAP '\(\*permission\) ?\(struct mnt_idmap' fs.h
probe MKDIR_DENTRY 'struct dentry \*\(\*mkdir\)' fs.h
probe GET_INODE_ACL '\(\*get_inode_acl\)' fs.h
probe FILE_KATTR '^struct file_kattr' fileattr.h
probe WRITE_BEGIN_KIOCB '\(\*write_begin\)\(const struct kiocb' fs.h
probe WRITE_BEGIN_FOLIO 'struct folio \*\*foliop, void' fs.h
probe D_REVALIDATE_DIR '\(\*d_revalidate\)\(struct inode' dcache.h
probe WRITEBACK_ITER 'writeback_iter\(' writeback.h
probe LOOKUP_NOPERM 'lookup_noperm_unlocked\(struct qstr' namei.h
probe START_CREATING 'start_creating_dentry\(' namei.h
probe DELEGATED_INODE '^struct delegated_inode' filelock.h
probe INODE_STATE_ACC 'inode_state_read_once\(' fs.h
probe INODE_MTIME_ACC 'inode_set_mtime_to_ts\(' fs.h
probe FILEMAP_SPLICE_READ 'filemap_splice_read\(' fs.h
probe INODE_JUST_DROP 'inode_just_drop\(' fs.h
probe RENAMEDATA_PARENT 'struct dentry \*old_parent;' fs.h
probe RENAMEDATA_IDMAP 'old_mnt_idmap' fs.h
probe FILLATTR_MASK 'generic_fillattr\(struct mnt_idmap \*, u32' fs.h
probe FS_UPDATE_TIME '^enum fs_update_time' fs.h fs/super_types.h
probe UPDATE_TIME_TS '\(\*update_time\)\(struct inode \*, struct timespec64' fs.h
probe SET_DEFAULT_D_OP 'set_default_d_op' dcache.h
probe KERNEL_TMPFILE_OPEN 'kernel_tmpfile_open\(' fs.h
probe ENCODE_FH_FLAGS 'int \*max_len, struct inode \*parent,$' exportfs.h
probe MMAP_PREPARE 'can_mmap_file\(' fs.h
probe SB_WRITE_IN_ITER 'file_write_not_started\(' fs.h
probe GET_FOLIO_ERRPTR 'FGP_WRITEBEGIN' pagemap.h
probe NR_THPS 'filemap_nr_thps\(' pagemap.h
probe DIR_CONTEXT_COUNT 'dt_flags_mask' fs.h
probe FILELOCK 'generic_setlease' filelock.h
