// SPDX-License-Identifier: GPL-2.0-only
#include "offline/describe.h"

#include "lib/cleanup.h"
#include "lib/hex.h"
#include "offline/metadata.h"

#include <sys/stat.h>

/* Adds value, which may be NULL for want of memory, and takes the reference in any case. */
static int add(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

/* 8 bytes, a signature or a salt, as 16 digits. */
static int add_hex(json_t *object, const char *key, const uint8_t bytes[static ECFMT_SIG_LEN])
{
	char hex[ECFMT_SIG_HEX_LEN + 1];

	ec_hex_encode(hex, bytes, ECFMT_SIG_LEN);
	return add(object, key, json_string(hex));
}

static int fill_packet(json_t *object, const struct ecfmt_packet *packet)
{
	bool passphrase = packet->kind == ECFMT_PACKET_PASSPHRASE;
	int r;

	r = add(object, "kind", json_string(passphrase ? "passphrase" : "public-key"));
	if (!r)
		r = add_hex(object, "sig", packet->sig);
	if (!r)
		r = add(object, "wrapped_key_len", json_integer((json_int_t)packet->efek_len));
	if (r || !passphrase)
		return r;
	r = add(object, "cipher", json_string(packet->cipher->name));
	if (!r)
		r = add(object, "key_bytes", json_integer((json_int_t)packet->fek_len));
	if (!r)
		r = add_hex(object, "salt", packet->salt);
	return r;
}

static int fill_packets(json_t *array, const struct ecfmt_header *header)
{
	struct ecfmt_reader cur = header->packets;
	struct ecfmt_packet packet;
	int r;

	while ((r = ecfmt_packet_get(&cur, &packet)) == 0) {
		json_t *object = json_object();

		if (json_array_append_new(array, object) < 0)
			return -ENOMEM;
		r = fill_packet(object, &packet);
		if (r)
			return r;
	}
	return r == ECFMT_E_END ? 0 : r;
}

static int fill_flags(json_t *array, uint8_t flags)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} rows[] = {
		{ ECFMT_FLAG_ENCRYPTED, "encrypted" },
		{ ECFMT_FLAG_HMAC, "hmac" },
		{ ECFMT_FLAG_NAMES, "names" },
		{ ECFMT_FLAG_IN_XATTR, "xattr" },
	};

	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++)
		if (flags & rows[i].bit &&
		    json_array_append_new(array, json_string(rows[i].name)) < 0)
			return -ENOMEM;
	return 0;
}

static int fill_header(json_t *object, enum ecfmt_place place, const struct ecfmt_header *header)
{
	json_t *flags = json_array(), *packets = json_array();
	int r;

	/* The object holds both from here on, or has released them. */
	r = add(object, "flags", flags);
	if (r) {
		json_decref(packets);
		return r;
	}
	r = add(object, "packets", packets);
	if (!r)
		r = add(object, "place",
			json_string(place == ECFMT_PLACE_FILE ? "file" : "xattr"));
	if (!r)
		r = add(object, "version", json_integer(header->version));
	if (!r)
		r = add(object, "size", json_integer((json_int_t)header->size));
	if (!r)
		r = add(object, "header_len", json_integer(header->header_len));
	if (!r)
		r = fill_flags(flags, header->flags);
	if (!r)
		r = fill_packets(packets, header);
	return r;
}

/* Where the codec only says no: which of its checks it was, from the outside in. */
static const char *header_reason(const uint8_t *buf, size_t len, enum ecfmt_place place, int r)
{
	uint64_t size;

	if (!ecfmt_marker_ok(buf, len))
		return "it has no eCryptfs marker";
	if (ecfmt_size_get(buf, len, &size))
		return "its size is beyond what a file can have";
	if (r == -EOPNOTSUPP)
		return buf[16] > ECFMT_VERSION ? "its format version is later than 3" :
			"a key packet has a version, cipher or hash that format 3 never had";
	if (len < ECFMT_HEADER_FIXED_LEN)
		return "the header is cut off";
	if (place == ECFMT_PLACE_FILE) {
		/* The packets are good in the attribute's reading, which has no region. */
		struct ecfmt_header header;

		if (!ecfmt_header_get(buf, len, ECFMT_PLACE_XATTR, &header))
			return "the length of the header is no multiple of 4096 from 8192 to 1048576";
	}
	return "its key packets are damaged";
}

int ec_offline_describe_header(const uint8_t *buf, size_t len, enum ecfmt_place place,
			       json_t **ret, const char **ret_reason)
{
	struct ecfmt_header header;
	json_t *object;
	int r;

	r = ecfmt_header_get(buf, len, place, &header);
	if (r) {
		*ret_reason = header_reason(buf, len, place, r);
		return r;
	}
	object = json_object();
	r = object ? fill_header(object, place, &header) : -ENOMEM;
	if (r) {
		*ret_reason = "out of memory";
		json_decref(object);
		return r;
	}
	*ret = object;
	return 0;
}

/* An empty lower file is what a crash right after its creation leaves: no header, no content. */
static int describe_empty(json_t **ret)
{
	json_t *object = json_pack("{s:s, s:i, s:i}", "place", "none", "lower_len", 0, "size", 0);

	if (!object)
		return -ENOMEM;
	*ret = object;
	return 0;
}

static int fill_lower(json_t *object, const struct ec_offline_metadata *metadata)
{
	struct ecfmt_header header;
	uint64_t expected, left;
	int r;

	r = ecfmt_header_get(metadata->bytes, metadata->len, metadata->place, &header);
	if (!r)
		r = ecfmt_lower_len(header.size, header.header_len, &expected);
	if (!r)
		r = add(object, "lower_len", json_integer((json_int_t)metadata->lower_len));
	if (!r)
		r = add(object, "lower_len_expected", json_integer((json_int_t)expected));
	if (!r)
		r = add(object, "complete", json_boolean(metadata->lower_len >= expected));
	if (r)
		return r;
	left = ecfmt_size_left(header.size, header.header_len, metadata->lower_len);
	return left < header.size ? add(object, "size_left", json_integer((json_int_t)left)) : 0;
}

int ec_offline_describe_file(int fd, json_t **ret, const char **ret_reason)
{
	_cleanup_free_ struct ec_offline_metadata *metadata = calloc(1, sizeof(*metadata));
	json_t *object = NULL;
	struct stat st;
	int r;

	*ret_reason = "it could not be read";
	if (!metadata)
		return -ENOMEM;
	r = ec_offline_metadata_read(fd, metadata);
	if (r == -ENODATA && !fstat(fd, &st) && st.st_size == 0)
		return describe_empty(ret);
	if (r == -ENODATA)
		*ret_reason = "it has no eCryptfs marker";
	if (r)
		return r;
	r = ec_offline_describe_header(metadata->bytes, metadata->len, metadata->place, &object,
				       ret_reason);
	if (r)
		return r;
	r = fill_lower(object, metadata);
	if (r) {
		*ret_reason = "its size is beyond what a file can have";
		json_decref(object);
		return r;
	}
	*ret = object;
	return 0;
}

static int fill_name(json_t *object, const struct ecfmt_name_packet *packet)
{
	size_t prefix_len = ecfmt_name_prefix_len(0, 1);
	size_t len = packet->ciphertext_len;
	int r;

	r = add_hex(object, "sig", packet->sig);
	if (!r)
		r = add(object, "cipher", json_string(packet->cipher->name));
	if (!r && packet->cipher->key_len)
		r = add(object, "key_bytes", json_integer(packet->cipher->key_len));
	if (!r)
		r = add(object, "plain_len_max",
			json_integer(len > prefix_len ? (json_int_t)(len - prefix_len) : 0));
	return r;
}

int ec_offline_describe_name(const char *name, json_t **ret, const char **ret_reason)
{
	_cleanup_free_ uint8_t *raw = NULL;
	struct ecfmt_name_packet packet;
	struct ecfmt_reader cur;
	size_t len = strlen(name), raw_len;
	json_t *object;
	int r;

	*ret_reason = "it is not an encrypted name";
	if (!ecfmt_name_is_encrypted(name, len))
		return -ENODATA;
	name += ECFMT_NAME_PREFIX_LEN;
	len -= ECFMT_NAME_PREFIX_LEN;
	raw_len = ecfmt_sixbit_decoded_len(len);
	raw = malloc(raw_len + 1);
	if (!raw)
		return -ENOMEM;
	*ret_reason = "it has characters that no encrypted name has, or is cut off";
	r = ecfmt_sixbit_decode(raw, raw_len, name, len);
	if (r)
		return r;
	ecfmt_reader_init(&cur, raw, raw_len);
	r = ecfmt_name_packet_get(&cur, &packet);
	*ret_reason = r == -EOPNOTSUPP ? "its cipher is one that format 3 never had" :
		"the packet in it is damaged";
	if (r)
		return r;
	object = json_object();
	r = object ? fill_name(object, &packet) : -ENOMEM;
	if (r) {
		*ret_reason = "out of memory";
		json_decref(object);
		return r;
	}
	*ret = object;
	return 0;
}
