/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Byte formats of format 3, which is the format of the in-tree eCryptfs, read and written exactly.
 * Pure: bytes in, values out. No allocation, no logging, no I/O and no cryptography; compiled
 * into the kernel module and into userspace alike.
 *
 * The lower file:
 *
 *   file     := region extent*			region: header_len bytes, multiple of 4096
 *   xattr    := header				metadata in "user.ecryptfs": no region in the file
 *   region   := header 0x00 zero*
 *   header   := be64(size) be32(m1) be32(m1 ^ MARKER) version 0x0000 flags
 *               [ be32(4096) be16(n_extents) ]	only for version >= 1
 *               unit+
 *   unit     := tag3 tag11 | tag1		one for each key that opens the file
 *   tag3     := 0x8c length(13+E) 0x04 cipher 0x03 0x01 salt[8] 0x60 efek[E]
 *   tag11    := 0xed 0x16 'b' 0x08 "_CONSOLE" 0x00000000 sig[8]
 *   tag1     := 0x01 length(10+E) 0x03 sig[8] 0x01 blob[E]
 *
 * A lower file name, or the target of a symlink:
 *
 *   name     := "ECRYPTFS_FNEK_ENCRYPTED." sixbit(tag70 zero*)
 *   tag70    := 0x46 length(9+C) sig[8] cipher ciphertext[C]
 *   C plain  := prefix[R-1] 0x00 name		see ecfmt_name_plain_layout()
 *
 * Facts: docs/format.md.
 */
#ifndef ECFMT_H
#define ECFMT_H

#include "format/ecfmt-port.h"

#define ECFMT_EXTENT_LEN	4096u
#define ECFMT_HOLES_MAX		4096u	/* extents at the end that a crash may have left unwritten */
#define ECFMT_HEADER_LEN_MIN	8192u
#define ECFMT_HEADER_LEN_MAX	(1u << 20)	/* ours; the format itself has no bound */
#define ECFMT_HEADER_READ_LEN	4096u		/* a reader sees only this much of the region */
#define ECFMT_HEADER_FIXED_LEN	26u		/* up to the first packet, version >= 1 */
#define ECFMT_MARKER		0x3C81B7F5u
#define ECFMT_VERSION		3u
#define ECFMT_SIG_LEN		8u
#define ECFMT_SIG_HEX_LEN	16u
#define ECFMT_SALT_LEN		8u
#define ECFMT_KEY_LEN		64u		/* FEKEK and FNEK, always */
#define ECFMT_FEK_LEN_MAX	64u
#define ECFMT_EFEK_LEN_MAX	64u		/* of a passphrase packet */
#define ECFMT_BLOB_LEN_MAX	512u		/* of a public-key packet */
#define ECFMT_IV_LEN		16u
#define ECFMT_MD5_LEN		16u
#define ECFMT_PACKET_LEN_MAX	8383u
#define ECFMT_NAME_PREFIX	"ECRYPTFS_FNEK_ENCRYPTED."
#define ECFMT_NAME_PREFIX_LEN	24u
#define ECFMT_XATTR_NAME	"user.ecryptfs"
#define ECFMT_FLAG_HMAC		0x01u
#define ECFMT_FLAG_ENCRYPTED	0x02u
#define ECFMT_FLAG_IN_XATTR	0x04u
#define ECFMT_FLAG_NAMES	0x08u
#define ECFMT_AUTH_TOK_LEN	740u

/* cursor.c: every read and every write of this format is checked here, and only here. */

/* Reads [pos, end). A failed get leaves the cursor where it was. */
struct ecfmt_reader {
	const u8 *pos;
	const u8 *end;
};

/* Fills [pos, end). The first put that does not fit sets failed; later puts do nothing. */
struct ecfmt_writer {
	u8 *start;
	u8 *pos;
	u8 *end;
	bool failed;
};

void ecfmt_reader_init(struct ecfmt_reader *cur, const u8 *buf, size_t len);
size_t ecfmt_reader_left(const struct ecfmt_reader *cur);
int ecfmt_get_u8(struct ecfmt_reader *cur, u8 *ret);
int ecfmt_get_be16(struct ecfmt_reader *cur, u16 *ret);
int ecfmt_get_be32(struct ecfmt_reader *cur, u32 *ret);
int ecfmt_get_be64(struct ecfmt_reader *cur, u64 *ret);
int ecfmt_get_bytes(struct ecfmt_reader *cur, size_t len, const u8 **ret); /* borrowed */
int ecfmt_get_copy(struct ecfmt_reader *cur, u8 *ret, size_t len);
int ecfmt_get_sub(struct ecfmt_reader *cur, size_t len, struct ecfmt_reader *ret);
int ecfmt_get_const(struct ecfmt_reader *cur, const void *want, size_t len); /* -EBADMSG if other */

void ecfmt_writer_init(struct ecfmt_writer *cur, u8 *buf, size_t len);
void ecfmt_put_u8(struct ecfmt_writer *cur, u8 value);
void ecfmt_put_be16(struct ecfmt_writer *cur, u16 value);
void ecfmt_put_be32(struct ecfmt_writer *cur, u32 value);
void ecfmt_put_be64(struct ecfmt_writer *cur, u64 value);
void ecfmt_put_bytes(struct ecfmt_writer *cur, const void *bytes, size_t len);
void ecfmt_put_zeros(struct ecfmt_writer *cur, size_t len);
int ecfmt_writer_finish(const struct ecfmt_writer *cur, size_t *ret_len); /* 0 or -ENOBUFS */

/* length.c: packet lengths, RFC 2440 4.2.2 without the five-octet form. */
int ecfmt_length_get(struct ecfmt_reader *cur, size_t *ret_len);
void ecfmt_length_put(struct ecfmt_writer *cur, size_t len); /* > 8383 fails the writer */

/* cipher.c: one row a cipher. */
struct ecfmt_cipher {
	const char *name;	/* as in mount options and in the kernel's crypto API */
	u8 code;		/* in tag 3 and tag 70 */
	u8 block_len;		/* bytes, 8 or 16 */
	u8 key_len;		/* bytes, where the code fixes it; else 0 */
	u8 key_len_min;		/* bytes of a content key */
	u8 key_len_max;
	u8 key_len_step;
	u8 name_key_len_min;	/* bytes of the part of a name key that is used */
	u8 name_key_len_max;
	u8 name_key_len_step;
};

/* key_len only picks the row of aes; whether it is possible say the two _ok() functions. */
const struct ecfmt_cipher *ecfmt_cipher_by_name(const char *name, size_t key_len);
const struct ecfmt_cipher *ecfmt_cipher_by_code(u8 code);
bool ecfmt_cipher_key_len_ok(const struct ecfmt_cipher *cipher, size_t key_len);
bool ecfmt_cipher_name_key_len_ok(const struct ecfmt_cipher *cipher, size_t key_len);
size_t ecfmt_cipher_efek_len(const struct ecfmt_cipher *cipher, size_t fek_len);
/* i = 0, 1, ...; NULL after the last row. */
const struct ecfmt_cipher *ecfmt_cipher_row(size_t i);

/* packet.c: one key packet unit of a header. */
enum ecfmt_packet_kind {
	ECFMT_PACKET_PASSPHRASE,	/* tag 3 and its tag 11 */
	ECFMT_PACKET_PUBLIC_KEY,	/* tag 1 */
};

struct ecfmt_packet {
	enum ecfmt_packet_kind kind;
	u8 sig[ECFMT_SIG_LEN];
	/* passphrase packets only */
	const struct ecfmt_cipher *cipher;
	size_t fek_len;			/* bytes of key after unwrapping */
	u8 salt[ECFMT_SALT_LEN];
	/* wrapped key, borrowed from the input of the get */
	const u8 *efek;
	size_t efek_len;
};

#define ECFMT_E_END 1	/* no further packet: a byte that is no known tag, or the end */

/* 0, ECFMT_E_END, -EBADMSG, -EOPNOTSUPP (cipher, S2K or hash that nobody wrote). */
int ecfmt_packet_get(struct ecfmt_reader *cur, struct ecfmt_packet *ret);
void ecfmt_packet_put(struct ecfmt_writer *cur, const struct ecfmt_packet *packet);

/* header.c */
enum ecfmt_place {
	ECFMT_PLACE_FILE,
	ECFMT_PLACE_XATTR,
};

struct ecfmt_header {
	u64 size;		/* bytes of plaintext */
	u32 marker_m1;		/* random half of the marker; only put uses the caller's */
	u8 version;
	u8 flags;
	u32 header_len;		/* bytes of the region in the lower file; 0 for PLACE_XATTR */
	struct ecfmt_reader packets;	/* borrowed: from the first packet to the end of input */
};

/*
 * ecfmt_marker_ok(): do the first 16 bytes carry the marker? size_get() reads the size too.
 * Both need 16 bytes and no key: this is what lookup uses.
 */
bool ecfmt_marker_ok(const u8 *buf, size_t len);
int ecfmt_size_get(const u8 *buf, size_t len, u64 *ret_size);
/* Checks marker, version, header_len (bounds, multiple of 4096), size <= S64_MAX, at least one
 * unit, one cipher and key length over all passphrase units. 0, -EBADMSG, -EOPNOTSUPP. */
int ecfmt_header_get(const u8 *buf, size_t len, enum ecfmt_place place, struct ecfmt_header *ret);
/* The fixed part; packets follow with ecfmt_packet_put(). Always version 3. */
void ecfmt_header_put(struct ecfmt_writer *cur, enum ecfmt_place place,
		      const struct ecfmt_header *header);
void ecfmt_size_put(u8 buf[static 8], u64 size);
/* Lower length in bytes of a file of size bytes; header_len 0 for xattr. -EFBIG on overflow. */
int ecfmt_lower_len(u64 size, u32 header_len, u64 *ret_len);
u64 ecfmt_size_left(u64 size, u32 header_len, u64 lower_len);

/* extent.c: input of the hash that is the IV of an extent: root_iv and decimal index. */
void ecfmt_extent_iv_input(u8 ret[static 32], const u8 root_iv[static ECFMT_IV_LEN], u64 index);

/* name.c: six-bit text, tag 70, layout of the padded name. */
struct ecfmt_name_packet {
	u8 sig[ECFMT_SIG_LEN];
	const struct ecfmt_cipher *cipher;
	const u8 *ciphertext;	/* borrowed */
	size_t ciphertext_len;	/* bytes, a multiple of the cipher's block */
};

bool ecfmt_name_is_encrypted(const char *name, size_t len);	/* has the prefix */
size_t ecfmt_sixbit_encoded_len(size_t raw_len);		/* multiple of 4 */
size_t ecfmt_sixbit_decoded_len(size_t text_len);
/* Lengths of out must be exactly the two functions above. decode: -EBADMSG for a character
 * outside the alphabet or a length that is no multiple of 4. */
int ecfmt_sixbit_encode(char *ret, size_t ret_len, const u8 *raw, size_t raw_len);
int ecfmt_sixbit_decode(u8 *ret, size_t ret_len, const char *text, size_t text_len);
int ecfmt_name_packet_get(struct ecfmt_reader *cur, struct ecfmt_name_packet *ret);
void ecfmt_name_packet_put(struct ecfmt_writer *cur, const struct ecfmt_name_packet *packet);
/* Bytes of prefix including the 0x00 that ends it, so that the sum is whole blocks. */
size_t ecfmt_name_prefix_len(size_t name_len, size_t block_len);
/* Bytes of a whole lower name, for name_len bytes of plain name; (size_t)-1 if none can be. */
size_t ecfmt_name_lower_len(size_t name_len, size_t block_len);
/* Longest plain name in bytes that fits lower_max bytes (255 -> 143); 0 if none. */
size_t ecfmt_name_plain_max(size_t lower_max, size_t block_len);
/* Copies digest to at most 16 bytes of prefix, 0x00 replaced by 0x42. The caller chains MD5. */
void ecfmt_name_prefix_block(u8 *ret, size_t len, const u8 digest[static ECFMT_MD5_LEN]);
/* Finds the name behind the first 0x00 of the decrypted bytes. -EBADMSG if there is none, if it
 * is empty or has a NUL; if component, also for a '/' and for "." and "..", which only a symlink
 * may point to. Borrowed. */
int ecfmt_name_plain_get(const u8 *plain, size_t len, bool component,
			 const char **ret_name, size_t *ret_len);

/* sig.c */
void ecfmt_sig_to_hex(char ret[static ECFMT_SIG_HEX_LEN + 1], const u8 sig[static ECFMT_SIG_LEN]);
int ecfmt_sig_from_hex(u8 ret[static ECFMT_SIG_LEN], const char *hex, size_t len);

/* wrapped.c: the wrapped-passphrase file of ecryptfs-utils. */
struct ecfmt_wrapped {
	u8 version;		/* 1 or 2 */
	u8 salt[ECFMT_SALT_LEN];	/* version 2 only */
	u8 sig[ECFMT_SIG_LEN];	/* of the wrapping key */
	const u8 *ciphertext;	/* borrowed */
	size_t ciphertext_len;	/* bytes: 16, 32, 48 or 64 */
};

int ecfmt_wrapped_get(const u8 *buf, size_t len, struct ecfmt_wrapped *ret);
void ecfmt_wrapped_put(struct ecfmt_writer *cur, const struct ecfmt_wrapped *wrapped); /* v2 */

/* auth-tok.c: payload of a keyring key as the in-tree module wants it (host byte order). */
struct ecfmt_auth_tok {
	u8 sig[ECFMT_SIG_LEN];
	u8 salt[ECFMT_SALT_LEN];
	u8 key[ECFMT_KEY_LEN];	/* secret: the caller wipes the struct */
};

/* Only passphrase tokens, version 0.4, key-set flag, 64 key bytes, NUL-terminated sig. */
int ecfmt_auth_tok_get(const u8 *buf, size_t len, struct ecfmt_auth_tok *ret);
int ecfmt_auth_tok_put(u8 *buf, size_t len, const struct ecfmt_auth_tok *tok);

#endif
