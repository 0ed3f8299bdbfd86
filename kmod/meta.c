// SPDX-License-Identifier: GPL-2.0-only
/*
 * The metadata of a regular file: finding it, reading it, making it, and storing the size.
 *
 * A stored size never promises data that is not below: when a file grew, its data goes down
 * first; when it shrinks, the size goes down before the data is cut off. On the disk that order
 * holds for what is synced; for the rest see take_size().
 */
#include "kmod/lower.h"

#include <linux/slab.h>

static int read_bytes(struct file *file, u8 *buf, size_t len, loff_t pos, size_t *ret_len)
{
	struct kvec vec = { .iov_base = buf, .iov_len = len };
	struct iov_iter iter;

	iov_iter_kvec(&iter, ITER_DEST, &vec, 1, len);
	return ecfs_lower_read(file, &iter, pos, ret_len);
}

/* With the mounter's credentials: a caller's would cost the file its setgid bit. */
static int write_bytes(struct ecfs_sb *sbi, struct file *file, u8 *buf, size_t len, loff_t pos)
{
	struct kvec vec = { .iov_base = buf, .iov_len = len };
	const struct cred *old = override_creds(sbi->cred);
	struct iov_iter iter;
	int err;

	iov_iter_kvec(&iter, ITER_SOURCE, &vec, 1, len);
	err = ecfs_lower_write(file, &iter, pos);
	revert_creds(old);
	return err;
}

/* The whole value: a shorter buffer would get -ERANGE. 0 bytes if there is none. */
static int read_xattr(struct ecfs_sb *sbi, struct dentry *lower, u8 buf[ECFS_XATTR_LEN_MAX],
		      size_t *ret_len)
{
	const struct cred *old = override_creds(sbi->cred);
	ssize_t len = vfs_getxattr(ECFS_NOP_IDMAP, lower, ECFMT_XATTR_NAME, buf,
				   ECFS_XATTR_LEN_MAX);

	revert_creds(old);
	if (len == -ENODATA || len == -EOPNOTSUPP)
		len = 0;
	if (len < 0)
		return len;
	*ret_len = len;
	return 0;
}

static int write_xattr(struct inode *inode, struct dentry *lower)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	const struct cred *old = override_creds(ecfs_sb(inode->i_sb)->cred);
	int err;

	err = ecfs_do_setxattr(inode->i_sb, lower, ECFMT_XATTR_NAME, ei->xattr, ei->xattr_len, 0);
	revert_creds(old);
	return err;
}

/* Header bytes as found, in buf, which holds 4096. */
struct found {
	u8 *buf;
	size_t len;
	enum ecfmt_place place;
	bool marker;
};

/* Looks in the file first, then in the xattr, as every reader of the format does. */
static int find_header(struct ecfs_sb *sbi, struct file *file, struct found *found)
{
	int err;

	found->place = ECFMT_PLACE_FILE;
	err = read_bytes(file, found->buf, ECFMT_HEADER_READ_LEN, 0, &found->len);
	if (err)
		return err;
	found->marker = ecfmt_marker_ok(found->buf, found->len);
	if (found->marker)
		return 0;
	err = read_xattr(sbi, file->f_path.dentry, found->buf, &found->len);
	if (err)
		return err;
	found->marker = ecfmt_marker_ok(found->buf, found->len);
	if (found->marker)
		found->place = ECFMT_PLACE_XATTR;
	return 0;
}

static bool size_ok(const struct inode *inode, u64 size)
{
	return size <= inode->i_sb->s_maxbytes;
}

/*
 * How much a crash has left of what the header counts. A network filesystem may have an old length
 * in its cache, while another machine lets the file grow: before we believe a loss we have it asked.
 */
static u64 size_left(const struct file *file, const struct ecfmt_header *header)
{
	u64 size = ecfmt_size_left(header->size, header->header_len, i_size_read(file_inode(file)));
	struct kstat stat;

	if (size == header->size)
		return size;
	if (ecfs_vfs_getattr(&file->f_path, &stat, STATX_SIZE, AT_STATX_FORCE_SYNC))
		return header->size;
	return ecfmt_size_left(header->size, header->header_len, stat.size);
}

static void peek_header(struct inode *inode, const struct file *file, const struct found *found)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	struct ecfmt_header header;
	u64 size;

	if (!ecfmt_header_get(found->buf, found->len, found->place, &header)) {
		ei->place = found->place;
		ei->header_len = header.header_len;
		size = size_left(file, &header);
	} else if (ecfmt_size_get(found->buf, found->len, &size)) {
		return;
	}
	if (size_ok(inode, size))
		i_size_write(inode, size);
}

/**
 * ecfs_meta_peek() - the size that stat shows, without a key
 * @inode:	new, regular; its size becomes that of the lower file if there is no header
 * @lower_dentry:	its lower dentry
 */
void ecfs_meta_peek(struct inode *inode, struct dentry *lower_dentry)
{
	struct ecfs_sb *sbi = ecfs_sb(inode->i_sb);
	struct found found = {};
	struct file *file;

	i_size_write(inode, i_size_read(ecfs_lower_inode(inode)));
	found.buf = kmalloc(ECFMT_HEADER_READ_LEN, GFP_KERNEL);
	if (!found.buf)
		return;
	file = ecfs_lower_open(sbi, lower_dentry, O_RDONLY);
	if (IS_ERR(file))
		goto out;
	if (!find_header(sbi, file, &found) && found.marker) {
		if (!ecfs_opt(inode->i_sb, ECFS_OPT_ENCRYPTED_VIEW))
			peek_header(inode, file, &found);
		else if (found.place == ECFMT_PLACE_XATTR)
			i_size_write(inode, i_size_read(inode) + ECFMT_HEADER_LEN_MIN);
	}
	fput(file);
out:
	kfree(found.buf);
}

static int keep_xattr(struct ecfs_inode *ei, const u8 *buf, size_t len)
{
	u8 *copy = kmemdup(buf, len, GFP_KERNEL);

	if (!copy)
		return -ENOMEM;
	kfree(ei->xattr);
	ei->xattr = copy;
	ei->xattr_len = len;
	return 0;
}

/*
 * The mount's key of this signature, or the one in the caller's keyrings: what the first one finds
 * is the file's key for everybody, so he must own the file. @ret is secret.
 */
static int find_key(struct inode *inode, const u8 sig[ECFMT_SIG_LEN], u8 ret[ECFMT_KEY_LEN])
{
	struct ecfs_sb *sbi = ecfs_sb(inode->i_sb);
	const struct ecfs_key *key;
	struct ecfmt_auth_tok tok;
	int err = -ENOKEY;

	down_read(&sbi->key_sem);
	key = ecfs_key_find(&sbi->keys, sig);
	if (key) {
		memcpy(ret, key->key, ECFMT_KEY_LEN);
		err = 0;
	}
	up_read(&sbi->key_sem);
	if (!err || sbi->locked || (sbi->opts.flags & ECFS_OPT_MOUNT_AUTH_TOK_ONLY))
		return err;
	if (!inode_owner_or_capable(ECFS_NOP_IDMAP, inode))
		return err;

	err = ecfs_key_lookup(sig, &tok);
	if (!err)
		memcpy(ret, tok.key, ECFMT_KEY_LEN);
	memzero_explicit(&tok, sizeof(tok));
	return err;
}

static struct ecfs_fek *unwrap(struct ecfs_sb *sbi, const struct ecfmt_packet *packet,
			       const u8 key[ECFMT_KEY_LEN])
{
	struct ecfs_fek *fek;
	u8 *plain;
	int err;

	plain = kmemdup(packet->efek, packet->efek_len, GFP_KERNEL);
	if (!plain)
		return ERR_PTR(-ENOMEM);
	err = ecfs_ecb(packet->cipher, key, packet->fek_len, plain, packet->efek_len, false);
	fek = err ? ERR_PTR(err) : ecfs_fek_new(sbi, packet->cipher, plain, packet->fek_len);
	kfree_sensitive(plain);
	return fek;
}

/* The packet number @n of a set that is known to be good. */
static bool packet_nth(struct ecfmt_reader packets, unsigned int n, struct ecfmt_packet *ret)
{
	do {
		if (ecfmt_packet_get(&packets, ret))
			return false;
	} while (n--);
	return true;
}

/*
 * Tries the last packet first, as the in-tree module does: where several keys are at hand, both
 * use the same one.
 */
static struct ecfs_fek *open_packets(struct inode *inode, const struct ecfmt_header *header)
{
	struct ecfs_fek *fek = ERR_PTR(-ENOKEY);
	u8 key[ECFMT_KEY_LEN];
	struct ecfmt_packet packet;
	unsigned int n = 0;

	while (packet_nth(header->packets, n, &packet))
		n++;
	while (n--) {
		if (!packet_nth(header->packets, n, &packet) ||
		    packet.kind != ECFMT_PACKET_PASSPHRASE ||
		    find_key(inode, packet.sig, key))
			continue;
		fek = unwrap(ecfs_sb(inode->i_sb), &packet, key);
		if (!IS_ERR(fek))
			break;
	}
	memzero_explicit(key, sizeof(key));
	return fek;
}

/* Fails if the mount was locked meanwhile, and then frees the key. */
static int install_fek(struct inode *inode, struct ecfs_fek *fek)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	struct ecfs_sb *sbi = ecfs_sb(inode->i_sb);
	int err = 0;

	down_read(&sbi->key_sem);
	if (sbi->locked) {
		ecfs_fek_free(fek);
		err = -ENOKEY;
		goto out;
	}
	down_write(&ei->key_sem);
	ei->fek = fek;
	up_write(&ei->key_sem);
	spin_lock(&sbi->keyed_lock);
	list_add_tail(&ei->keyed, &sbi->keyed);
	spin_unlock(&sbi->keyed_lock);
out:
	up_read(&sbi->key_sem);
	return err;
}

static void set_geometry(struct inode *inode, enum ecfmt_place place, u32 header_len)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	loff_t lower_size = i_size_read(ei->lower);

	ei->place = place;
	ei->header_len = header_len;
	WRITE_ONCE(ei->backed, lower_size > header_len ?
			       round_down(lower_size - header_len, ECFMT_EXTENT_LEN) : 0);
}

/*
 * A lower filesystem may have given a file its length and the blocks, and not have come to write
 * them: then the end is zeros, which no cipher writes. Extents in front of the end are not asked,
 * and not more than a crash may leave so: a large sparse file is no work for us.
 */
static u64 without_holes(struct file *file, u64 size, u32 header_len)
{
	u8 *buf = kmalloc(ECFMT_EXTENT_LEN, GFP_KERNEL);
	unsigned int left = ECFMT_HOLES_MAX;
	size_t len;
	u64 pos;

	while (buf && size && left--) {
		pos = round_down(size - 1, ECFMT_EXTENT_LEN);
		if (read_bytes(file, buf, ECFMT_EXTENT_LEN, header_len + pos, &len) ||
		    len < ECFMT_EXTENT_LEN || memchr_inv(buf, 0, ECFMT_EXTENT_LEN))
			break;
		size = pos;
	}
	kfree(buf);
	return size;
}

/*
 * After a crash the header may promise what is not below: the size is what there is. It is stored
 * with the next write, not by one who only looks: the file may be one that is being copied there.
 */
static void take_size(struct inode *inode, const struct ecfmt_header *header)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	u64 size = without_holes(ei->lower_file, size_left(ei->lower_file, header),
				 header->header_len);

	if (size != header->size) {
		ecfs_warn_once(inode, "its header promises %llu bytes, and %llu are there",
			       header->size, size);
		set_bit(ECFS_I_CUT, &ei->flags);
	}
	ei->stored_size = size;
	i_size_write(inode, size);
}

static int load_header(struct inode *inode, const struct found *found)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	struct ecfmt_header header;
	struct ecfs_fek *fek;
	int err;

	if (found->place == ECFMT_PLACE_XATTR && !ecfs_opt(inode->i_sb, ECFS_OPT_XATTR_METADATA)) {
		ecfs_warn_once(inode, "its metadata is in the xattr, and the mount is without ecryptfs_xattr_metadata");
		return -EIO;
	}
	err = ecfmt_header_get(found->buf, found->len, found->place, &header);
	if (!err && !size_ok(inode, header.size))
		err = -EFBIG;
	if (err) {
		ecfs_warn_once(inode, "bad header (error %d)", err);
		return -EIO;
	}
	fek = open_packets(inode, &header);
	if (IS_ERR(fek)) {
		ecfs_warn_once(inode, "no key opens it (error %ld)", PTR_ERR(fek));
		return PTR_ERR(fek);
	}
	if (found->place == ECFMT_PLACE_XATTR) {
		err = keep_xattr(ei, found->buf, found->len);
		if (err) {
			ecfs_fek_free(fek);
			return err;
		}
	}
	err = install_fek(inode, fek);
	if (err)
		return err;
	take_size(inode, &header);
	set_geometry(inode, found->place, header.header_len);
	ei->kind = ECFS_KIND_CRYPT;
	return 0;
}

static int load_view(struct inode *inode, const struct found *found)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	int err;

	ei->header_len = 0;
	if (!found->marker || found->place == ECFMT_PLACE_FILE) {
		ei->kind = ECFS_KIND_RAW;
		return 0;
	}
	err = keep_xattr(ei, found->buf, found->len);
	if (err)
		return err;
	ei->kind = ECFS_KIND_VIEW_XATTR;
	return 0;
}

/*
 * From a crash between creating the file and writing its header: no byte, or none but zeros. Without
 * a byte it is encrypted from the first one on also where passthrough is allowed.
 */
static bool is_left_over(struct inode *inode)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	loff_t lower_len = i_size_read(ei->lower);

	if (!lower_len)
		return true;
	if (ecfs_opt(inode->i_sb, ECFS_OPT_PASSTHROUGH) ||
	    without_holes(ei->lower_file, lower_len, 0))
		return false;
	ecfs_warn_once(inode, "it is zeros alone, and empty");
	return true;
}

static int load_found(struct inode *inode, const struct found *found, bool write)
{
	struct ecfs_inode *ei = ecfs_i(inode);

	if (ecfs_opt(inode->i_sb, ECFS_OPT_ENCRYPTED_VIEW))
		return load_view(inode, found);
	if (found->marker)
		return load_header(inode, found);
	if (is_left_over(inode)) {
		ei->kind = ECFS_KIND_EMPTY;
		i_size_write(inode, 0);
		return write ? ecfs_meta_create(inode, ei->lower_file->f_path.dentry) : 0;
	}
	if (ecfs_opt(inode->i_sb, ECFS_OPT_PASSTHROUGH)) {
		ei->kind = ECFS_KIND_RAW;
		ei->header_len = 0;
		i_size_write(inode, i_size_read(ei->lower));
		WRITE_ONCE(ei->backed, round_up(i_size_read(inode), ECFMT_EXTENT_LEN));
		return 0;
	}
	ecfs_warn_once(inode, "it has no header");
	return -EIO;
}

/**
 * ecfs_meta_load() - find out what a file is, and get its key
 * @inode:	regular
 * @lower_dentry:	any of its lower names
 * @write:	give an empty lower file a header
 *
 * Context: meta_lock held, lower file open.
 * Return: 0; -ENOKEY; -EIO for what is no file of ours, with one line in the log.
 */
int ecfs_meta_load(struct inode *inode, struct dentry *lower_dentry, bool write)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	struct found found = {};
	int err;

	if (ei->kind == ECFS_KIND_CRYPT)
		return READ_ONCE(ecfs_sb(inode->i_sb)->locked) ? -ENOKEY : 0;
	/* It may have been filled from below meanwhile: a new header would bury the file's key. */
	if (ei->kind == ECFS_KIND_EMPTY && (write || i_size_read(ei->lower)))
		ei->kind = ECFS_KIND_UNKNOWN;
	if (ei->kind != ECFS_KIND_UNKNOWN)
		return 0;
	found.buf = kmalloc(ECFMT_HEADER_READ_LEN, GFP_KERNEL);
	if (!found.buf)
		return -ENOMEM;
	err = find_header(ecfs_sb(inode->i_sb), ei->lower_file, &found);
	if (!err)
		err = load_found(inode, &found, write);
	kfree(found.buf);
	return err;
}

/* One packet for each content key of the mount, in the order of the options. */
static int put_packets(struct ecfs_sb *sbi, struct ecfmt_writer *cur, const u8 *fek)
{
	const struct ecfmt_cipher *cipher = sbi->opts.cipher;
	size_t efek_len = ecfmt_cipher_efek_len(cipher, sbi->opts.key_len);
	struct ecfmt_packet packet = {
		.kind = ECFMT_PACKET_PASSPHRASE, .cipher = cipher,
		.fek_len = sbi->opts.key_len, .efek_len = efek_len,
	};
	const struct ecfs_key *key;
	struct ecfs_sig *sig;
	int err = 0;
	u8 *efek;

	efek = kzalloc(efek_len, GFP_KERNEL);
	if (!efek)
		return -ENOMEM;
	packet.efek = efek;
	down_read(&sbi->key_sem);
	list_for_each_entry(sig, &sbi->opts.sigs, list) {
		key = ecfs_key_find(&sbi->keys, sig->sig);
		if (!key) {
			err = -ENOKEY;
			break;
		}
		memset(efek, 0, efek_len);
		memcpy(efek, fek, sbi->opts.key_len);
		err = ecfs_ecb(cipher, key->key, sbi->opts.key_len, efek, efek_len, true);
		if (err)
			break;
		memcpy(packet.sig, key->sig, ECFMT_SIG_LEN);
		memcpy(packet.salt, key->salt, ECFMT_SALT_LEN);
		ecfmt_packet_put(cur, &packet);
	}
	up_read(&sbi->key_sem);
	kfree_sensitive(efek);
	return err;
}

/* @buf: zeros, at least 4096 bytes, of which a reader sees the first 4096. */
static int build_header(struct ecfs_sb *sbi, enum ecfmt_place place, u32 header_len,
			const u8 *fek, u8 *buf, size_t *ret_len)
{
	struct ecfmt_header header = {
		.version = ECFMT_VERSION,
		.flags = ECFMT_FLAG_ENCRYPTED,
		.marker_m1 = get_random_u32(),
		.header_len = header_len,
	};
	struct ecfmt_writer cur;
	int err;

	if (place == ECFMT_PLACE_XATTR)
		header.flags |= ECFMT_FLAG_IN_XATTR;
	if (sbi->opts.flags & ECFS_OPT_FN_SIG)
		header.flags |= ECFMT_FLAG_NAMES;
	/* One byte less than a reader sees: a zero must end the packets. */
	ecfmt_writer_init(&cur, buf, ECFMT_HEADER_READ_LEN - 1);
	ecfmt_header_put(&cur, place, &header);
	err = put_packets(sbi, &cur, fek);
	if (err)
		return err;
	return ecfmt_writer_finish(&cur, ret_len) ? -E2BIG : 0;
}

/* Random keys that the cipher refuses as weak are drawn again. @key is secret. */
static struct ecfs_fek *draw_fek(struct ecfs_sb *sbi, u8 key[ECFMT_FEK_LEN_MAX])
{
	struct ecfs_fek *fek;
	int tries = 4;

	do {
		get_random_bytes(key, sbi->opts.key_len);
		fek = ecfs_fek_new(sbi, sbi->opts.cipher, key, sbi->opts.key_len);
	} while (fek == ERR_PTR(-EINVAL) && --tries);
	return fek;
}

static int write_header(struct inode *inode, struct dentry *lower, u8 *buf, size_t region_len,
			size_t len)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	int err;

	if (region_len)
		return write_bytes(ecfs_sb(inode->i_sb), ei->lower_file, buf, region_len, 0);
	err = keep_xattr(ei, buf, len);
	return err ?: write_xattr(inode, lower);
}

/**
 * ecfs_meta_create() - give an empty lower file a new key and its header
 * @inode:	regular
 * @lower_dentry:	any of its lower names
 *
 * Context: meta_lock held, lower file open for writing.
 * Return: 0, -E2BIG if the mount has more keys than a header holds, errors of the write.
 */
int ecfs_meta_create(struct inode *inode, struct dentry *lower_dentry)
{
	struct ecfs_sb *sbi = ecfs_sb(inode->i_sb);
	bool in_xattr = sbi->opts.flags & ECFS_OPT_XATTR_METADATA;
	enum ecfmt_place place = in_xattr ? ECFMT_PLACE_XATTR : ECFMT_PLACE_FILE;
	u32 region_len = max_t(u32, ECFMT_HEADER_LEN_MIN, PAGE_SIZE);
	u8 key[ECFMT_FEK_LEN_MAX];
	struct ecfs_fek *fek;
	size_t len;
	u8 *buf;
	int err;

	buf = kzalloc(region_len, GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	fek = draw_fek(sbi, key);
	if (IS_ERR(fek)) {
		err = PTR_ERR(fek);
		goto out;
	}
	err = build_header(sbi, place, region_len, key, buf, &len);
	if (!err)
		err = write_header(inode, lower_dentry, buf, in_xattr ? 0 : region_len, len);
	if (err) {
		ecfs_fek_free(fek);
		goto out;
	}
	err = install_fek(inode, fek);
	if (err)
		goto out;
	set_geometry(inode, place, in_xattr ? 0 : region_len);
	ecfs_i(inode)->stored_size = 0;
	ecfs_i(inode)->kind = ECFS_KIND_CRYPT;
out:
	memzero_explicit(key, sizeof(key));
	kfree(buf);
	return err;
}

static int store_size(struct inode *inode, struct file *file, u64 size)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	u8 buf[8];
	int err;

	if (size == ei->stored_size && !(test_bit(ECFS_I_CUT, &ei->flags) &&
					 test_bit(ECFS_I_TIMES, &ei->flags)))
		return 0;
	ecfmt_size_put(buf, size);
	if (ei->place == ECFMT_PLACE_FILE) {
		err = write_bytes(ecfs_sb(inode->i_sb), file, buf, sizeof(buf), 0);
	} else {
		memcpy(ei->xattr, buf, sizeof(buf));
		err = write_xattr(inode, file->f_path.dentry);
	}
	if (err)
		return err;
	ei->stored_size = size;
	clear_bit(ECFS_I_CUT, &ei->flags);
	return 0;
}

/* The extents that the new size promises, down to the lower filesystem's disk. */
static int settle_growth(struct inode *inode, struct file *file, u64 size, bool ordered)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	loff_t from = round_down(ei->stored_size, ECFMT_EXTENT_LEN);
	int err;

	/* An error that was met before is for who closes or syncs the file: it stays. */
	err = filemap_fdatawrite_range(inode->i_mapping, from, size - 1);
	filemap_fdatawait_range_keep_errors(inode->i_mapping, from, size - 1);
	if (err || !ordered)
		return err;
	return filemap_write_and_wait_range(file->f_mapping, ei->header_len + from, LLONG_MAX);
}

/* Delayed writes leave the lower times alone; here the lower file gets the upper ones. */
static int store_times(struct inode *inode, struct dentry *lower)
{
	struct iattr attr = { .ia_valid = ATTR_MTIME | ATTR_MTIME_SET | ATTR_CTIME };
	const struct cred *old;
	struct timespec64 below, now;
	bool newer;
	int err = 0;

	spin_lock(&inode->i_lock);
	newer = test_bit(ECFS_I_TIMES, &ecfs_i(inode)->flags);
	attr.ia_mtime = inode_get_mtime(inode);
	spin_unlock(&inode->i_lock);
	if (!newer)
		return 0;
	below = inode_get_mtime(d_inode(lower));
	if (timespec64_equal(&attr.ia_mtime, &below))
		goto stored;
	old = override_creds(ecfs_sb(inode->i_sb)->cred);
	err = ecfs_do_notify_change(inode->i_sb, lower, &attr);
	if (err == -EPERM) {	/* append-only: a time cannot be chosen, only renewed */
		attr.ia_valid = ATTR_MTIME | ATTR_CTIME | ATTR_TOUCH;
		err = ecfs_do_notify_change(inode->i_sb, lower, &attr);
	}
	revert_creds(old);
	if (err && err != -EPERM && err != -EROFS)
		return err;
stored:
	/* Until here the lower inode had old ones, and it has them again if we wrote meanwhile. */
	spin_lock(&inode->i_lock);
	now = inode_get_mtime(inode);
	if (timespec64_equal(&attr.ia_mtime, &now))
		clear_bit(ECFS_I_TIMES, &ecfs_i(inode)->flags);
	spin_unlock(&inode->i_lock);
	return 0;
}

/**
 * ecfs_meta_store() - bring size and times of the lower file up to date
 * @inode:	any; only regular ones have something to store
 * @ordered:	new data is on the disk before the size that promises it is written
 */
int ecfs_meta_store(struct inode *inode, bool ordered)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	struct file *file;
	u64 size;
	int err = 0;

	if (!S_ISREG(inode->i_mode))
		return 0;
	mutex_lock(&ei->meta_lock);
	file = ecfs_lower_file(ei);
	if (!file || !(file->f_mode & FMODE_WRITE))
		goto out;
	size = i_size_read(inode);
	if (ei->kind == ECFS_KIND_CRYPT) {
		/* What a growth under way has not put below yet is not promised. */
		size = min(size, max_t(u64, ei->stored_size, READ_ONCE(ei->backed)));
		if (size > ei->stored_size)
			err = settle_growth(inode, file, size, ordered);
		if (!err)
			err = store_size(inode, file, size);
	}
	if (!err)
		err = store_times(inode, file->f_path.dentry);
	if (err)
		mark_inode_dirty_sync(inode);	/* clean, it could go with what is not stored */
out:
	if (file)
		fput(file);
	mutex_unlock(&ei->meta_lock);
	return err;
}

/**
 * ecfs_meta_shrink() - store a smaller size, before the data behind it is cut off
 * @inode:	regular, format 3
 * @size:	bytes
 *
 * The write of the header is started, so that it reaches the disk before the journal of the lower
 * filesystem commits the truncation that follows.
 *
 * Context: upper inode_lock held, lower file open for writing.
 */
int ecfs_meta_shrink(struct inode *inode, loff_t size)
{
	struct ecfs_inode *ei = ecfs_i(inode);
	int err;

	mutex_lock(&ei->meta_lock);
	err = store_size(inode, ei->lower_file, size);
	if (!err && ei->place == ECFMT_PLACE_FILE)
		err = filemap_fdatawrite_range(ei->lower_file->f_mapping, 0,
					       ECFMT_EXTENT_LEN - 1);
	if (err)
		mark_inode_dirty_sync(inode);
	mutex_unlock(&ei->meta_lock);
	return err;
}
