// SPDX-License-Identifier: GPL-2.0-only
/* What the in-tree filesystem wrote, read byte for byte without it. */
#include "vectors.h"

#include <errno.h>
#include <fcntl.h>
#include <gcrypt.h>

#include "offline/describe.h"
#include "offline/metadata.h"
#include "offline/name.h"
#include "offline/tree.h"
#include "offline/wrapped.h"

struct tally {
	json_t *want;		/* what is left of the manifest; NULL: only sums */
	unsigned int n_files, n_dirs, n_links;
	uint64_t n_bytes;
	enum ecfmt_place place;
	bool check_place;
};

/* SHA-256 of the plaintext, read in pieces that fit no extent. */
static void hash_file(struct ec_offline_file *file, char ret_hex[static 65])
{
	uint8_t buf[10007];
	uint64_t offset = 0;
	gcry_md_hd_t md;
	size_t len;

	assert_int_equal(gcry_md_open(&md, GCRY_MD_SHA256, 0), 0);
	do {
		assert_int_equal(ec_offline_file_read(file, offset, buf, sizeof(buf), &len), 0);
		gcry_md_write(md, buf, len);
		offset += len;
	} while (len);
	assert_true(offset == ec_offline_file_size(file));
	ec_hex_encode(ret_hex, gcry_md_read(md, GCRY_MD_SHA256), 32);
	gcry_md_close(md);
}

static void check_regular(const struct ec_offline_entry *entry, const json_t *want,
			  struct tally *tally)
{
	char hex[65];

	assert_int_equal(ec_offline_file_size(entry->file),
			 json_integer_value(json_object_get(want, "size")));
	hash_file(entry->file, hex);
	assert_string_equal(hex, json_string_value(json_object_get(want, "sha256")));
	tally->n_files++;
	tally->n_bytes += ec_offline_file_size(entry->file);
}

static int check_entry(const struct ec_offline_entry *entry, void *arg)
{
	struct tally *tally = arg;
	const json_t *want = json_object_get(tally->want, entry->path);
	const char *type;

	if (entry->error)
		fail_msg("%s: %s", entry->path, strerror(-entry->error));
	if (S_ISDIR(entry->lower->st_mode)) {
		/* The manifest names directories only if they are empty. */
		tally->n_dirs++;
		json_object_del(tally->want, entry->path);
		return 0;
	}
	if (!want)
		fail_msg("%s is not in the manifest", entry->path);
	type = json_string_value(json_object_get(want, "type"));
	if (S_ISLNK(entry->lower->st_mode)) {
		assert_string_equal(type, "symlink");
		assert_string_equal(entry->target,
				    json_string_value(json_object_get(want, "target")));
		tally->n_links++;
	} else {
		assert_string_equal(type, "file");
		check_regular(entry, want, tally);
	}
	json_object_del(tally->want, entry->path);
	return 0;
}

static void read_set(const char *name)
{
	_cleanup_offline_keys_ struct ec_offline_keys keys = EC_OFFLINE_KEYS_NULL;
	_cleanup_close_ int fd = -1;
	char path[128];
	struct tally tally = { 0 };
	json_t *set;
	bool names;

	snprintf(path, sizeof(path), "%s/case.json", name);
	set = vectors_json(path);
	vectors_keys(set, &keys);
	names = json_string_value(json_object_get(set, "fnek_sig"))[0] != '\0';
	snprintf(path, sizeof(path), "%s/manifest.json", name);
	tally.want = vectors_json(path);
	snprintf(path, sizeof(path), "%s/lower", name);
	fd = openat(vectors_dir(), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);

	assert_int_equal(ec_offline_tree_walk(fd, &keys, names, check_entry, &tally), 0);
	if (json_object_size(tally.want))
		fail_msg("%s: not found: %s", name, json_dumps(tally.want, 0));
	assert_true(tally.n_files >= 20 && tally.n_links == 2);
	report("%s: %u files with %llu bytes, %u directories, %u symlinks", name, tally.n_files,
	       (unsigned long long)tally.n_bytes, tally.n_dirs, tally.n_links);
	json_decref(tally.want);
	json_decref(set);
}

static void test_six_sets(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_VECTOR_SETS; i++)
		read_set(vector_sets[i]);
}

/* Each regular file below a directory of the vectors. */
typedef void (*lower_fn)(int fd, const char *name, void *arg);

struct each_lower {
	lower_fn fn;
	void *arg;
	int dir_fd;
};

static int each_entry(const struct ec_offline_entry *entry, void *arg)
{
	struct each_lower *each = arg;
	_cleanup_close_ int fd = -1;

	if (!S_ISREG(entry->lower->st_mode))
		return 0;
	fd = openat(each->dir_fd, entry->path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	each->fn(fd, entry->path, each->arg);
	return 0;
}

/* @dir: what follows the name of the set. */
static void for_each_lower(const char *set, const char *dir, lower_fn fn, void *arg)
{
	const struct ec_offline_keys none = EC_OFFLINE_KEYS_NULL;
	_cleanup_close_ int fd = -1;
	struct each_lower each = { .fn = fn, .arg = arg };
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", set, dir);
	fd = openat(vectors_dir(), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	each.dir_fd = fd;
	assert_int_equal(ec_offline_tree_walk(fd, &none, false, each_entry, &each), 0);
}

struct header_tally {
	enum ecfmt_place place;
	unsigned int n_headers, n_cuts, n_cuts_good, n_flips, n_flips_good;
};

/* Where the bytes that count end: behind the last packet. */
static size_t packets_end(const struct ecfmt_header *header)
{
	struct ecfmt_reader cur = header->packets;
	struct ecfmt_packet packet;

	while (!ecfmt_packet_get(&cur, &packet))
		;
	return (size_t)(cur.pos - header->packets.pos) + ECFMT_HEADER_FIXED_LEN;
}

static void cut_header(const struct ec_offline_metadata *m, size_t end, struct header_tally *t)
{
	for (size_t cut = 0; cut <= m->len; cut++) {
		struct guarded g = guarded_new(m->bytes, cut);
		struct ecfmt_header header;
		int r = ecfmt_header_get(g.data, cut, m->place, &header);

		assert_int_equal(r, cut < end ? -EBADMSG : 0);
		t->n_cuts++;
		t->n_cuts_good += !r;
		guarded_free(&g);
	}
}

/* All packets of a header that was accepted must be readable, whatever the flipped bit. */
static void walk_packets(const struct ecfmt_header *header)
{
	struct ecfmt_reader cur = header->packets;
	struct ecfmt_packet packet;
	int r;

	while ((r = ecfmt_packet_get(&cur, &packet)) == 0)
		assert_true(packet.efek >= header->packets.pos &&
			    packet.efek + packet.efek_len <= header->packets.end);
	assert_int_equal(r, ECFMT_E_END);
}

static void flip_header(const struct ec_offline_metadata *m, struct header_tally *t)
{
	struct guarded g = guarded_new(m->bytes, m->len);

	for (size_t bit = 0; bit < m->len * 8; bit++) {
		struct ecfmt_header header;
		uint8_t mask = (uint8_t)(1u << (bit % 8));
		int r;

		g.data[bit / 8] ^= mask;
		r = ecfmt_header_get(g.data, g.len, m->place, &header);
		assert_true(r == 0 || r == -EBADMSG || r == -EOPNOTSUPP);
		if (!r)
			walk_packets(&header);
		g.data[bit / 8] ^= mask;
		t->n_flips++;
		t->n_flips_good += !r;
	}
	guarded_free(&g);
}

static void attack_header(int fd, const char *name, void *arg)
{
	struct header_tally *t = arg;
	struct ec_offline_metadata m;
	struct ecfmt_header header;

	assert_int_equal(ec_offline_metadata_read(fd, &m), 0);
	if (m.place != t->place)
		fail_msg("%s: header is in the other place", name);
	assert_int_equal(ecfmt_header_get(m.bytes, m.len, m.place, &header), 0);
	cut_header(&m, packets_end(&header), t);
	flip_header(&m, t);
	t->n_headers++;
}

static void test_every_header_cut_and_flipped(void **state)
{
	struct header_tally all = { 0 };
	unsigned int n_sets;

	(void)state;
	for (size_t i = 0; i < N_VECTOR_SETS; i++) {
		all.place = strstr(vector_sets[i], "xattr") ? ECFMT_PLACE_XATTR : ECFMT_PLACE_FILE;
		for_each_lower(vector_sets[i], "lower", attack_header, &all);
	}
	assert_true(all.n_headers > 6 * 20);
	n_sets = all.n_headers;
	all.place = ECFMT_PLACE_FILE;
	for_each_lower("home-alice", "lower/.Private", attack_header, &all);
	assert_true(all.n_headers - n_sets == 6);
	report("%u headers, %u of them of home-alice: %u cuts, %u of them readable; %u flipped bits, %u of them readable",
	       all.n_headers, all.n_headers - n_sets, all.n_cuts, all.n_cuts_good, all.n_flips, all.n_flips_good);
}

static void describe_one(int fd, const char *name, void *arg)
{
	unsigned int *n = arg;
	const char *reason = NULL;
	json_t *object, *packet;
	int r = ec_offline_describe_file(fd, &object, &reason);

	if (r)
		fail_msg("%s: %d %s", name, r, reason);
	assert_true(json_is_true(json_object_get(object, "complete")));
	assert_int_equal(json_integer_value(json_object_get(object, "version")), 3);
	packet = json_array_get(json_object_get(object, "packets"), 0);
	assert_string_equal(json_string_value(json_object_get(packet, "kind")), "passphrase");
	assert_int_equal(strlen(json_string_value(json_object_get(packet, "sig"))), 16);
	json_decref(object);
	++*n;
}

static void test_describe_without_keys(void **state)
{
	unsigned int n = 0;

	(void)state;
	for (size_t i = 0; i < N_VECTOR_SETS; i++)
		for_each_lower(vector_sets[i], "lower", describe_one, &n);
	report("%u lower files described", n);
}

/* Every name of the set: encrypted again, it is the same lower name. */
struct names {
	const struct ec_offline_keys *keys;
	const uint8_t *sig;
	size_t key_len;
	unsigned int n;
};

static int encrypt_again(const struct ec_offline_entry *entry, void *arg)
{
	struct names *names = arg;
	const char *slash = strrchr(entry->path, '/');
	_cleanup_free_ char *lower = NULL;

	assert_int_equal(entry->error, 0);
	assert_int_equal(ec_offline_name_encrypt(&lower, slash ? slash + 1 : entry->path,
						 ec_offline_keys_find(names->keys, names->sig),
						 ecfmt_cipher_by_name("aes", names->key_len),
						 names->key_len), 0);
	assert_string_equal(lower, entry->lower_name);
	names->n++;
	return 0;
}

static void test_names_are_the_same_again(void **state)
{
	static const struct {
		const char *set;
		size_t key_len;
	} rows[] = {
		{ "aes128-names-fn16", 16 }, { "aes192-names2", 24 }, { "aes256-names", 32 },
	};
	unsigned int n = 0;

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		_cleanup_offline_keys_ struct ec_offline_keys keys = EC_OFFLINE_KEYS_NULL;
		_cleanup_close_ int fd = -1;
		struct names names = { .keys = &keys, .key_len = rows[i].key_len };
		uint8_t sig[8];
		char path[128];
		json_t *set;

		snprintf(path, sizeof(path), "%s/case.json", rows[i].set);
		set = vectors_json(path);
		vectors_keys(set, &keys);
		from_hex(sig, 8, json_string_value(json_object_get(set, "fnek_sig")));
		names.sig = sig;
		snprintf(path, sizeof(path), "%s/lower", rows[i].set);
		fd = openat(vectors_dir(), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_int_equal(ec_offline_tree_walk(fd, &keys, true, encrypt_again, &names), 0);
		n += names.n;
		json_decref(set);
	}
	report("%u names", n);
}

static void test_wrapped(void **state)
{
	_cleanup_secret_ struct ec_secret wrapping = EC_SECRET_NULL, wrong = EC_SECRET_NULL;
	_cleanup_secret_ struct ec_secret have = EC_SECRET_NULL;
	_cleanup_free_ char *file = NULL;
	json_t *set = vectors_json("wrapped/case.json");
	const char *want = json_string_value(json_object_get(set, "mount_passphrase"));
	size_t len;

	(void)state;
	file = vectors_read("wrapped/wrapped-passphrase", &len);
	wrapping = vectors_secret(json_string_value(json_object_get(set, "wrapping")));
	wrong = vectors_secret("login secreT");
	assert_int_equal(ec_offline_unwrap(&have, (uint8_t *)file, len, &wrong, NULL),
			 -EKEYREJECTED);
	assert_int_equal(ec_offline_unwrap(&have, (uint8_t *)file, len, &wrapping, NULL), 0);
	assert_int_equal(have.len, strlen(want));
	assert_memory_equal(have.data, want, have.len);
	json_decref(set);
}

/* Sums as sha256sum writes them: "HEX  ./path". */
static json_t *sums_to_manifest(char *text)
{
	json_t *manifest = json_object();
	char *save, *line;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		assert_true(strlen(line) > 68 && !strncmp(line + 64, "  ./", 4));
		line[64] = '\0';
		assert_int_equal(json_object_set_new(manifest, line + 68, json_string(line)), 0);
	}
	return manifest;
}

static int check_sum(const struct ec_offline_entry *entry, void *arg)
{
	struct tally *tally = arg;
	const char *want;
	char hex[65];

	if (entry->error)
		fail_msg("%s: %s", entry->path, strerror(-entry->error));
	if (S_ISLNK(entry->lower->st_mode)) {
		assert_non_null(entry->target);
		tally->n_links++;
		return 0;
	}
	if (!S_ISREG(entry->lower->st_mode))
		return 0;
	want = json_string_value(json_object_get(tally->want, entry->path));
	if (!want)
		fail_msg("%s is not among the sums", entry->path);
	hash_file(entry->file, hex);
	assert_string_equal(hex, want);
	json_object_del(tally->want, entry->path);
	tally->n_files++;
	tally->n_bytes += ec_offline_file_size(entry->file);
	return 0;
}

/* From the login passphrase to the files, as a login would. */
static void test_home_alice(void **state)
{
	_cleanup_offline_keys_ struct ec_offline_keys keys = EC_OFFLINE_KEYS_NULL;
	_cleanup_secret_ struct ec_secret login = EC_SECRET_NULL, mount = EC_SECRET_NULL;
	_cleanup_free_ char *wrapped = NULL, *sigs = NULL, *sums = NULL;
	_cleanup_close_ int fd = -1;
	json_t *set = vectors_json("home-alice/case.json");
	struct tally tally = { 0 };
	uint8_t sig[8];
	char have[40];
	size_t len;

	(void)state;
	wrapped = vectors_read("home-alice/lower/.ecryptfs/wrapped-passphrase", &len);
	login = vectors_secret(json_string_value(json_object_get(set, "login_passphrase")));
	assert_int_equal(ec_offline_unwrap(&mount, (uint8_t *)wrapped, len, &login, NULL), 0);
	assert_memory_equal(mount.data, json_string_value(json_object_get(set, "mount_passphrase")),
			    mount.len);

	assert_int_equal(ec_offline_keys_add_passphrase(&keys, &mount, ec_s2k_salt_content, sig), 0);
	ec_hex_encode(have, sig, 8);
	have[16] = '\n';
	assert_int_equal(ec_offline_keys_add_passphrase(&keys, &mount, ec_s2k_salt_names, sig), 0);
	ec_hex_encode(have + 17, sig, 8);
	have[33] = '\n';
	sigs = vectors_read("home-alice/lower/.ecryptfs/Private.sig", &len);
	assert_int_equal(len, 34);
	assert_memory_equal(sigs, have, 34);

	sums = vectors_read("home-alice/manifest.sha256", &len);
	tally.want = sums_to_manifest(sums);
	fd = openat(vectors_dir(), "home-alice/lower/.Private", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ec_offline_tree_walk(fd, &keys, true, check_sum, &tally), 0);
	if (json_object_size(tally.want))
		fail_msg("not found: %s", json_dumps(tally.want, 0));
	report("home-alice: %u files with %llu bytes, %u symlinks", tally.n_files,
	       (unsigned long long)tally.n_bytes, tally.n_links);
	json_decref(tally.want);
	json_decref(set);
}

static int count_locked(const struct ec_offline_entry *entry, void *arg)
{
	unsigned int *n = arg;

	assert_int_equal(entry->error, -ENOKEY);
	++*n;
	return 0;
}

/* Without the key nothing is shown, and the error says so. */
static void test_without_keys(void **state)
{
	const struct ec_offline_keys none = EC_OFFLINE_KEYS_NULL;
	_cleanup_close_ int fd = -1;
	unsigned int n = 0;

	(void)state;
	fd = openat(vectors_dir(), "aes256-names/lower", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(ec_offline_tree_walk(fd, &none, true, count_locked, &n), 0);
	assert_true(n >= 20);
	report("%u entries answer ENOKEY", n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_six_sets),
		cmocka_unit_test(test_home_alice),
		cmocka_unit_test(test_wrapped),
		cmocka_unit_test(test_names_are_the_same_again),
		cmocka_unit_test(test_every_header_cut_and_flipped),
		cmocka_unit_test(test_describe_without_keys),
		cmocka_unit_test(test_without_keys),
	};

	return cmocka_run_group_tests(tests, vectors_setup, vectors_teardown);
}
