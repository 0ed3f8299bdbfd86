// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lower files: which filesystems we stand on, opening, reading and writing.
 */
#include "kmod/lower.h"

#include <linux/file.h>
#include <linux/magic.h>
#include <linux/overflow.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/statfs.h>
#include <linux/workqueue.h>

static struct workqueue_struct *lower_wq;

int ecfs_lower_init(void)
{
	lower_wq = alloc_workqueue("ecfs-lower", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return lower_wq ? 0 : -ENOMEM;
}

void ecfs_lower_exit(void)
{
	destroy_workqueue(lower_wq);
}

/*
 * Filesystems whose files are no stored bytes: reading or writing them has side effects, or
 * faulting in one of their pages can come back to us (CVE-2016-1583).
 */
static const unsigned long special_magics[] = {
	AAFS_MAGIC, ANON_INODE_FS_MAGIC, AUTOFS_SUPER_MAGIC, BDEVFS_MAGIC, BINDERFS_SUPER_MAGIC,
	BINFMTFS_MAGIC, BPF_FS_MAGIC, CGROUP2_SUPER_MAGIC, CGROUP_SUPER_MAGIC, DAXFS_MAGIC,
	DEBUGFS_MAGIC, DEVMEM_MAGIC, DEVPTS_SUPER_MAGIC, DMA_BUF_MAGIC, ECRYPTFS_SUPER_MAGIC,
	EFIVARFS_MAGIC, FUTEXFS_SUPER_MAGIC, HUGETLBFS_MAGIC, MTD_INODE_FS_MAGIC, NSFS_MAGIC,
	OPENPROM_SUPER_MAGIC, PIPEFS_MAGIC, PROC_SUPER_MAGIC, PSTOREFS_MAGIC,
	RDTGROUP_SUPER_MAGIC, SECRETMEM_MAGIC, SECURITYFS_MAGIC, SELINUX_MAGIC, SMACK_MAGIC,
	SOCKFS_MAGIC, SYSFS_MAGIC, TRACEFS_MAGIC, USBDEVICE_SUPER_MAGIC, XENFS_SUPER_MAGIC,
	0x62656570,	/* configfs */
	0x19800202,	/* mqueue */
	0x65735543,	/* fusectl */
	0x67596969,	/* rpc_pipefs */
	0x6e667364,	/* nfsd */
};

static bool is_special(const struct super_block *lower)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(special_magics); i++)
		if (lower->s_magic == special_magics[i])
			return true;
	/* FS_DISALLOW_NOTIFY_PERM is what procfs, sysfs and their like say of themselves. */
	return lower->s_type->fs_flags & FS_DISALLOW_NOTIFY_PERM;
}

/**
 * ecfs_lower_check() - can and may @path be the lower directory of @sb?
 * @sb:	ours, coming up
 * @path:	the source of the mount
 * @ret_why:	constant text for the user, set on failure
 *
 * FUSE is allowed when it was mounted from the initial user namespace: content goes through the
 * page caches of both, never through a mapping of the lower file.
 *
 * Return: 0, -EINVAL, -EOPNOTSUPP, -ENOTDIR.
 */
int ecfs_lower_check(struct super_block *sb, const struct path *path, const char **ret_why)
{
	struct super_block *lower = path->dentry->d_sb;
	struct inode *inode = d_inode(path->dentry);

	if (!d_is_dir(path->dentry) || !inode->i_op->lookup) {
		*ret_why = "source is not a directory";
		return -ENOTDIR;
	}
	if (is_special(lower)) {
		*ret_why = "this kind of filesystem cannot hold encrypted files";
		return -EINVAL;
	}
	if (lower->s_user_ns != &init_user_ns) {
		*ret_why = "source was mounted in a user namespace";
		return -EINVAL;
	}
	if (is_idmapped_mnt(path->mnt)) {
		*ret_why = "source is an idmapped mount";
		return -EINVAL;
	}
	if (IS_CASEFOLDED(inode)) {
		*ret_why = "source directory is case-insensitive";
		return -EINVAL;
	}
	if (lower->s_stack_depth + 1 > FILESYSTEM_MAX_STACK_DEPTH) {
		*ret_why = "filesystems are stacked too deep";
		return -EINVAL;
	}
	return 0;
}

/*
 * What is free below, or U64_MAX where that is not told: network filesystems and FUSE may not. Asked
 * of a file, because a directory may answer for the quota of its project.
 */
static u64 free_len(const struct file *lower)
{
	struct kstatfs buf;
	u64 len;

	if (vfs_statfs(&lower->f_path, &buf) || !buf.f_blocks || !buf.f_frsize ||
	    check_mul_overflow(buf.f_bfree, (u64)buf.f_frsize, &len))
		return U64_MAX;
	return len;
}

/* What fallocate() has kept behind the end. i_blocks may say less than the filesystem does. */
static u64 kept_len(const struct file *lower)
{
	struct kstat stat;

	if (ecfs_vfs_getattr(&lower->f_path, &stat, STATX_BLOCKS | STATX_SIZE, 0))
		return U64_MAX;
	return stat.blocks * 512 > stat.size ? stat.blocks * 512 - stat.size : 0;
}

/**
 * ecfs_lower_lacks() - is there certainly no room below for a growth?
 * @file:	the lower file
 * @len:	bytes behind its end
 *
 * For a long gap, whose zeros would fill the disk for minutes before they fail. It counts what is
 * reserved for root as free, and says no where the lower filesystem does not say: only writing
 * shows whether the rest works. Some filesystems free removed files late; a sync has them do it.
 *
 * Context: may sleep, writes back the lower filesystem before it says yes.
 */
bool ecfs_lower_lacks(struct file *file, u64 len)
{
	struct super_block *lower = file_inode(file)->i_sb;
	u64 kept = kept_len(file);

	if (kept >= len || free_len(file) >= len - kept)
		return false;
	if (!down_read_trylock(&lower->s_umount))
		return false;
	sync_filesystem(lower);
	up_read(&lower->s_umount);
	return free_len(file) < len - kept;
}

/**
 * ecfs_lower_open() - open a lower file with the mounter's credentials
 * @sbi:	for the mount below and the credentials
 * @lower_dentry:	positive
 * @flags:	O_RDONLY or O_RDWR, O_DIRECTORY
 *
 * The access time below is left alone; so are the other times, which ecfs_meta_store() sets to
 * those of the upper inode: a delayed write must not make a file look newer than it is.
 *
 * Return: file for fput(), or ERR_PTR.
 */
struct file *ecfs_lower_open(struct ecfs_sb *sbi, struct dentry *lower_dentry, int flags)
{
	struct path path = { .mnt = sbi->lower_mnt, .dentry = lower_dentry };
	const struct cred *old;
	struct file *file;

	if (d_is_negative(lower_dentry))
		return ERR_PTR(-ESTALE);
	old = override_creds(sbi->cred);
	file = dentry_open(&path, flags | O_NOATIME | O_LARGEFILE, sbi->cred);
	revert_creds(old);
	if (IS_ERR(file) || d_is_dir(lower_dentry))
		return file;
	if (!file->f_op->read_iter || ((flags & O_ACCMODE) == O_RDWR && !file->f_op->write_iter)) {
		fput(file);
		return ERR_PTR(-EOPNOTSUPP);
	}
	file->f_mode |= FMODE_NOCMTIME;
	return file;
}

/**
 * ecfs_lower_file() - the open lower file of an inode
 * @ei:	regular
 *
 * Return: reference for fput(), or NULL.
 */
struct file *ecfs_lower_file(struct ecfs_inode *ei)
{
	struct file *file;

	spin_lock(&ei->file_lock);
	file = ei->lower_file;
	if (file)
		get_file(file);
	spin_unlock(&ei->file_lock);
	return file;
}

/**
 * ecfs_lower_read() - read until the iterator is full or the file ends
 * @file:	lower file
 * @iter:	where to; bytes wanted is its count
 * @pos:	bytes into the lower file
 * @ret_len:	bytes read, less than asked for at the end of the file
 */
int ecfs_lower_read(struct file *file, struct iov_iter *iter, loff_t pos, size_t *ret_len)
{
	size_t done = 0;

	while (iov_iter_count(iter)) {
		ssize_t len = vfs_iter_read(file, iter, &pos, 0);

		if (len < 0)
			return len;
		if (!len)
			break;
		done += len;
	}
	*ret_len = done;
	return 0;
}

struct lower_write {
	struct work_struct work;
	const struct cred *cred;
	struct file *file;
	struct iov_iter *iter;
	loff_t pos;
	int err;
};

static int write_all(struct file *file, struct iov_iter *iter, loff_t *pos)
{
	while (iov_iter_count(iter)) {
		ssize_t len = ecfs_iter_write(file, iter, pos);

		if (len < 0)
			return len;
		if (!len)
			return -EIO;
	}
	return 0;
}

static void write_work(struct work_struct *work)
{
	struct lower_write *job = container_of(work, struct lower_write, work);
	const struct cred *old = override_creds(job->cred);
	unsigned int nofs = memalloc_nofs_save();
	unsigned int throttle = current->flags & PF_LOCAL_THROTTLE;

	/* Its caller may hold folios under writeback: see writepages(). */
	current->flags |= PF_LOCAL_THROTTLE;
	job->err = write_all(job->file, job->iter, &job->pos);
	if (!throttle)
		current->flags &= ~PF_LOCAL_THROTTLE;
	memalloc_nofs_restore(nofs);
	revert_creds(old);
}

/**
 * ecfs_lower_write() - write all of the iterator
 * @file:	lower file, writable
 * @iter:	what; all of it
 * @pos:	bytes into the lower file
 *
 * RLIMIT_FSIZE is about the upper file, where the VFS has judged it. The lower one is longer by
 * its header and padding, so a caller with a limit has a worker write, which has none: else the
 * lower filesystem would send the caller SIGXFSZ. The worker also ends what a fatal signal of the
 * caller interrupts: a process that dies still closes its files, and undoes what it began.
 */
int ecfs_lower_write(struct file *file, struct iov_iter *iter, loff_t pos)
{
	struct lower_write job = {
		.cred = current_cred(), .file = file, .iter = iter, .pos = pos,
	};

	if ((current->flags & PF_KTHREAD) || rlimit(RLIMIT_FSIZE) == RLIM_INFINITY) {
		job.err = write_all(file, iter, &job.pos);
		if (job.err != -EINTR || !fatal_signal_pending(current))
			return job.err;
	}
	INIT_WORK_ONSTACK(&job.work, write_work);
	queue_work(lower_wq, &job.work);
	flush_work(&job.work);
	destroy_work_on_stack(&job.work);
	return job.err;
}
