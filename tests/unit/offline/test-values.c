// SPDX-License-Identifier: GPL-2.0-only
/* The check values of docs/format.md that need ciphers, and what damaged files answer. */
#include "../format/check.h"

#include <errno.h>
#include <gcrypt.h>
#include <sys/xattr.h>

#include "lib/cleanup.h"
#include "offline/cipher.h"
#include "offline/content.h"
#include "offline/describe.h"
#include "offline/file.h"
#include "offline/name.h"
#include "offline/wrapped.h"

static struct ec_secret secret_of(const char *text)
{
	struct ec_secret secret;

	assert_int_equal(ec_secret_init_copy(&secret, text, strlen(text)), 0);
	return secret;
}

/* 00 01 02 ... */
static struct ec_secret counting_fek(size_t len)
{
	struct ec_secret fek;

	assert_int_equal(ec_secret_init(&fek, len), 0);
	for (size_t i = 0; i < len; i++)
		fek.data[i] = (uint8_t)i;
	return fek;
}

static void sha256_hex(char ret[static 65], const void *buf, size_t len)
{
	uint8_t digest[32];

	gcry_md_hash_buffer(GCRY_MD_SHA256, digest, buf, len);
	ec_hex_encode(ret, digest, sizeof(digest));
}

/* The passphrase "foo" with the default salt. */
static void foo_key(struct ec_offline_keys *keys, uint8_t sig[static 8])
{
	_cleanup_secret_ struct ec_secret foo = secret_of("foo");

	assert_int_equal(ec_offline_keys_add_passphrase(keys, &foo, ec_s2k_salt_content, sig), 0);
}

/* A whole lower file: header region and encrypted extents. Returns its length. */
static size_t build_file(uint8_t *buf, size_t max, const struct ecfmt_cipher *cipher,
			 size_t key_len, enum ecfmt_place place, const uint8_t *content,
			 size_t content_len, size_t *ret_header_len)
{
	_cleanup_offline_keys_ struct ec_offline_keys keys = EC_OFFLINE_KEYS_NULL;
	_cleanup_offline_content_ struct ec_offline_content *extents = NULL;
	_cleanup_secret_ struct ec_secret fek = counting_fek(key_len);
	uint8_t efek[ECFMT_EFEK_LEN_MAX];
	struct ecfmt_header header = { .size = content_len, .marker_m1 = 0x01020304,
				       .header_len = ECFMT_HEADER_LEN_MIN };
	struct ecfmt_packet packet = { .kind = ECFMT_PACKET_PASSPHRASE, .cipher = cipher,
				       .fek_len = key_len, .efek = efek };
	struct ecfmt_writer out;
	size_t len = ECFMT_HEADER_LEN_MIN;

	foo_key(&keys, packet.sig);
	memcpy(packet.salt, ec_s2k_salt_content, sizeof(packet.salt));
	packet.efek_len = ecfmt_cipher_efek_len(cipher, key_len);
	assert_int_equal(ec_offline_fek_wrap(efek, packet.efek_len, cipher, &fek,
					     &keys.keys[0].key), 0);
	memset(buf, 0, max);
	ecfmt_writer_init(&out, buf, ECFMT_HEADER_LEN_MIN);
	ecfmt_header_put(&out, place, &header);
	ecfmt_packet_put(&out, &packet);
	assert_int_equal(ecfmt_writer_finish(&out, ret_header_len), 0);

	assert_int_equal(ec_offline_content_new(&extents, cipher, &fek), 0);
	for (size_t done = 0; done < content_len; done += ECFMT_EXTENT_LEN) {
		size_t part = content_len - done;

		assert_true(len + ECFMT_EXTENT_LEN <= max);
		memcpy(buf + len, content + done,
		       part < ECFMT_EXTENT_LEN ? part : ECFMT_EXTENT_LEN);
		assert_int_equal(ec_offline_extent_encrypt(extents, done / ECFMT_EXTENT_LEN,
							   buf + len), 0);
		len += ECFMT_EXTENT_LEN;
	}
	return len;
}

static const struct {
	const char *cipher;
	size_t key_len;
	const char *sha256;
	const char *extent;
} files[] = {
	{ "aes", 16, "fd6bc05efb1c11d194d193f7a27594304e3e0a0b5d1f7ae76f7d993f7e5bf013",
	  "57b9eb56121a3f11df9804867727d57e" },
	{ "aes", 24, "9490ddec24a02dd1b616134ef8aebf98608d204bf19c6249e403fe76c0a81850",
	  "7e939b6948e944a2dcb12d526f299b0f" },
	{ "aes", 32, "cab9e68c5d534ae7b36bf6bbf53be3baf18f7f8eea8f75dae953a40b47ce0e60",
	  "d0fbb3e98093b36f5d55936426d336eb" },
	{ "blowfish", 16, "80fb558c1005e932964ee9c7e18127ee3a32655446ac1da2e8d1a0cdae850ade",
	  "d6b6393c7aa80bb9838c643aefd18e1c" },
	{ "des3_ede", 24, "42874f93b1ce70f21c866bd860434bc59143b968ba4c124552f0d8ca4c16d833",
	  "b414a1cc4916d88d86fdf98adff7527e" },
	{ "cast5", 16, "18c82100285875d9084a5d776839bd468cf9289545cf210ee1b660cb3bfad421",
	  "6672a0392c0fcf5af4577692341c4043" },
	{ "twofish", 32, "46df2bae7e399e4b9419ce347393916a952e0a51ce8d3563bf56f8b42b5045a8",
	  "cebd48f2d3e983d4ee67a1cf94dca2eb" },
};

static void test_whole_files(void **state)
{
	static const char content[] = "Hello World\n";
	uint8_t buf[12288];
	char hex[65];

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(files); i++) {
		size_t header_len, len;

		len = build_file(buf, sizeof(buf),
				 ecfmt_cipher_by_name(files[i].cipher, files[i].key_len),
				 files[i].key_len, ECFMT_PLACE_FILE, (const uint8_t *)content, 12,
				 &header_len);
		assert_int_equal(len, 12288);
		assert_hex(buf + 8192, 16, files[i].extent);
		sha256_hex(hex, buf, len);
		assert_string_equal(hex, files[i].sha256);
	}
	report("%zu lower files of 12288 bytes", ECFMT_ARRAY_LEN(files));
}

static void test_file_of_three_extents(void **state)
{
	static uint8_t content[10000], buf[20480];
	size_t header_len, len;
	char hex[65];

	(void)state;
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)(7 * i + 3);
	len = build_file(buf, sizeof(buf), ecfmt_cipher_by_name("aes", 16), 16, ECFMT_PLACE_FILE,
			 content, sizeof(content), &header_len);
	assert_int_equal(len, 20480);
	assert_hex(buf + 8192 + 2 * 4096, 16, "7de774e9e2ab3b611607308917372375");
	sha256_hex(hex, buf, len);
	assert_string_equal(hex,
			    "8d4e3814639f81923639ac0a24337de90908502b2fb3d2fb71c5bf1af64f3929");
}

static void test_ivs(void **state)
{
	static const struct {
		uint64_t index;
		const char *iv;
	} rows[] = {
		{ 0, "cd096e1db464e9b4c91e51419090606b" },
		{ 1, "41e2d33e4f39f1b90c7b306fc13cb684" },
		{ 10, "5ce066bcdaf9ef30ca01ce592e8d196e" },
		{ 123456789012, "dcf6950053fe16fa760d1bb14992f5ca" },
	};
	_cleanup_secret_ struct ec_secret fek = counting_fek(24);
	uint8_t root_iv[16], input[32], iv[16];

	(void)state;
	assert_int_equal(ec_offline_md5(root_iv, fek.data, 24), 0);
	assert_hex(root_iv, 16, "8bd9c8efbbac58748951ca5a45cfd386");
	assert_int_equal(ec_offline_md5(root_iv, fek.data, 16), 0);
	assert_hex(root_iv, 16, "1ac1ef01e96caf1be0d329331a4fc2a8");
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		ecfmt_extent_iv_input(input, root_iv, rows[i].index);
		assert_int_equal(ec_offline_md5(iv, input, sizeof(input)), 0);
		assert_hex(iv, 16, rows[i].iv);
	}
}

static void test_zero_extent(void **state)
{
	_cleanup_offline_content_ struct ec_offline_content *content = NULL;
	_cleanup_secret_ struct ec_secret fek = counting_fek(16);
	uint8_t buf[4096] = { 0 }, zeros[4096] = { 0 };
	char hex[65];

	(void)state;
	assert_int_equal(ec_offline_content_new(&content, ecfmt_cipher_by_name("aes", 16), &fek),
			 0);
	assert_int_equal(ec_offline_extent_encrypt(content, 0, buf), 0);
	assert_hex(buf, 32, "1db197fe9bc2fcd7c0b918e9de97c2c1a477e00b640b1419177c884f2f21aeed");
	sha256_hex(hex, buf, sizeof(buf));
	assert_string_equal(hex,
			    "71fc2db38737058b64db9c5e870d128e3f2abfd66ec3a6e3763e29c511ba1644");
	assert_int_equal(ec_offline_extent_decrypt(content, 0, buf), 0);
	assert_memory_equal(buf, zeros, sizeof(buf));
}

/* The keys themselves are held against their values in tests/unit/lib; here, what finds them. */
static void test_keys_are_found_by_signature(void **state)
{
	static const struct {
		const char *passphrase, *salt, *sig;
	} rows[] = {
		{ "foo", "0011223344556677", "253ca7e88811d184" },
		{ "a", "aaaaaaaaaaaaaaaa", "c42ec75301dc1674" },
		{ "test", "0011223344556677", "d395309aaad4de06" },
		{ "test", "3939383837373636", "be877764c5918621" },
		{ "foo", "3939383837373636", "6967d0c28476ffa1" },
	};
	_cleanup_offline_keys_ struct ec_offline_keys keys = EC_OFFLINE_KEYS_NULL;
	_cleanup_secret_ struct ec_secret short_key = secret_of("no key");
	uint8_t salt[8], sig[8];

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		_cleanup_secret_ struct ec_secret passphrase = secret_of(rows[i].passphrase);

		from_hex(salt, 8, rows[i].salt);
		from_hex(sig, 8, rows[i].sig);
		assert_null(ec_offline_keys_find(&keys, sig));
		assert_int_equal(ec_offline_keys_add_passphrase(&keys, &passphrase, salt, NULL),
				 0);
		assert_non_null(ec_offline_keys_find(&keys, sig));
		/* The signature follows from the key alone, and a key is there once. */
		assert_int_equal(ec_offline_keys_add(&keys, &keys.keys[i].key), 0);
		assert_int_equal(keys.n_keys, i + 1);
	}
	assert_int_equal(ec_offline_keys_add(&keys, &short_key), -EINVAL);
	report("%zu passphrases", ECFMT_ARRAY_LEN(rows));
}

static const struct {
	const char *passphrase, *salt, *cipher;
	size_t key_len;
	const char *plain, *lower;
} names[] = {
	{ "Test", "0011223344556677", "aes", 16, "TestFile",
	  "FWYp3QmdieuVx-ReNM93cFJhZmQKb9S.7xyoDzbVOSbBh3ttRUURq5F-zE--" },
	{ "Test", "0011223344556677", "aes", 24, "TestFile",
	  "FWYp3QmdieuVx-UP0Bp5ZhSV8z0l0qmRIVPgjmpEsGWRgxIcl0sTzLZcs---" },
	{ "Test", "0011223344556677", "aes", 32, "TestFile",
	  "FWYp3QmdieuVx-aK6fArd1FkXCt3ijqL6Arsiu3IFxKKhksWZXxt2HR.i---" },
	{ "Test", "0011223344556677", "blowfish", 16, "TestFile",
	  "FWYp3QmdieuVx-Fi4vCFunEkpmguVPgTV8O7OCI7gcIM0RzNtZOMT.ad8k--" },
	{ "Test", "0011223344556677", "des3_ede", 24, "TestFile",
	  "FWYp3QmdieuVx-7SUzZ0hbmbz5nk3WMwv4ZjYta1MzcS0Zfdls0zMhkKmk--" },
	{ "Test", "0011223344556677", "twofish", 32, "TestFile",
	  "FWYp3QmdieuVx-fYL1xMpMmdFjqaJi9sIgj8dZ-JCGwSNy1z0jeaA3Xa0U--" },
	{ "Test", "0011223344556677", "cast5", 16, "TestFile",
	  "FWYp3QmdieuVx-CmuNOpVG2GsCd8MdmEh7ndp5ixhBAtzsKYxq46G0BYH---" },
	{ "test", "3939383837373636", "aes", 32, "loremipsum.txt",
	  "FWayVrRYlN446EY.WUc7GBFqG9GB6qF3eRmJZ7NYS7ANeS4Gfi9c34ZDTU--" },
	{ "foo", "3939383837373636", "aes", 16, "a",
	  "FWZdNx10V5PzcET11n11tYOchqBr4Vjw0axKrK7SZaLOITjiyJHGsB5D8U--" },
	{ "foo", "3939383837373636", "aes", 16, "hello.txt",
	  "FWZdNx10V5PzcET11n11tYOchqBr4Vjw0axKJjd.DgOJB0EhAf4aiFq3YE--" },
};

static void name_keys(struct ec_offline_keys *keys, size_t i, uint8_t sig[static 8])
{
	_cleanup_secret_ struct ec_secret passphrase = secret_of(names[i].passphrase);
	uint8_t salt[8];

	from_hex(salt, 8, names[i].salt);
	assert_int_equal(ec_offline_keys_add_passphrase(keys, &passphrase, salt, sig), 0);
}

static void test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(names); i++) {
		_cleanup_offline_keys_ struct ec_offline_keys keys = EC_OFFLINE_KEYS_NULL;
		_cleanup_free_ char *lower = NULL, *plain = NULL;
		const struct ecfmt_cipher *cipher =
			ecfmt_cipher_by_name(names[i].cipher, names[i].key_len);
		uint8_t sig[8];

		name_keys(&keys, i, sig);
		assert_int_equal(ec_offline_name_encrypt(&lower, names[i].plain,
							 ec_offline_keys_find(&keys, sig), cipher,
							 names[i].key_len), 0);
		assert_memory_equal(lower, ECFMT_NAME_PREFIX, 24);
		assert_string_equal(lower + 24, names[i].lower);
		assert_int_equal(ec_offline_name_decrypt(&plain, lower, &keys,
							 EC_OFFLINE_COMPONENT), 0);
		assert_string_equal(plain, names[i].plain);
	}
	report("%zu names", ECFMT_ARRAY_LEN(names));
}

/* Each character of a name replaced by another: never another name, never a crash. */
static void test_damaged_names(void **state)
{
	_cleanup_offline_keys_ struct ec_offline_keys keys = EC_OFFLINE_KEYS_NULL;
	uint8_t sig[8];
	unsigned int n = 0, n_same = 0, n_other = 0;

	(void)state;
	name_keys(&keys, 0, sig);
	for (size_t pos = 0; pos < 60; pos++) {
		for (unsigned int c = 1; c <= 0xff; c++, n++) {
			_cleanup_free_ char *plain = NULL;
			char lower[85];
			int r;

			snprintf(lower, sizeof(lower), "%s%s", ECFMT_NAME_PREFIX, names[0].lower);
			lower[24 + pos] = (char)c;
			r = ec_offline_name_decrypt(&plain, lower, &keys, EC_OFFLINE_COMPONENT);
			assert_true(r == 0 || r == -EBADMSG || r == -ENOKEY || r == -EOPNOTSUPP);
			n_same += !r && !strcmp(plain, names[0].plain);
			n_other += !r && strcmp(plain, names[0].plain);
		}
	}
	/* The last block, the name's own, carries no check of the format. */
	report("%u changed names: %u read the same (fill bits), %u as another name, %u refused", n,
	       n_same, n_other, n - n_same - n_other);
	assert_true(n_same >= 60);
}

/* Names and targets of every length there is, each cipher of libgcrypt. */
static void test_names_of_every_length(void **state)
{
	_cleanup_offline_keys_ struct ec_offline_keys keys = EC_OFFLINE_KEYS_NULL;
	unsigned int n = 0;
	uint8_t sig[8];

	(void)state;
	foo_key(&keys, sig);
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(files); i++) {
		const struct ecfmt_cipher *cipher =
			ecfmt_cipher_by_name(files[i].cipher, files[i].key_len);

		for (size_t len = 1; len <= 3007; len += len < 256 ? 1 : 211, n++) {
			_cleanup_free_ char *lower = NULL, *back = NULL;
			char plain[3008];

			memset(plain, 'n', len);
			plain[len - 1] = 'e';
			plain[len] = '\0';
			assert_int_equal(ec_offline_name_encrypt(&lower, plain, &keys.keys[0].key,
								 cipher, files[i].key_len), 0);
			assert_int_equal(strlen(lower),
					 ecfmt_name_lower_len(len, cipher->block_len));
			assert_int_equal(ec_offline_name_decrypt(&back, lower, &keys,
								 EC_OFFLINE_TARGET), 0);
			assert_string_equal(back, plain);
		}
	}
	report("%u names with %zu ciphers", n, ECFMT_ARRAY_LEN(files));
}

/* Keys shorter than the code says nothing about: each possible length is found. */
static void test_name_key_length_is_found(void **state)
{
	_cleanup_offline_keys_ struct ec_offline_keys keys = EC_OFFLINE_KEYS_NULL;
	uint8_t sig[8];

	(void)state;
	foo_key(&keys, sig);
	for (size_t len = 4; len <= 56; len++) {
		_cleanup_free_ char *lower = NULL, *back = NULL;

		assert_int_equal(ec_offline_name_encrypt(&lower, "some name", &keys.keys[0].key,
							 ecfmt_cipher_by_code(0x04), len), 0);
		assert_int_equal(ec_offline_name_decrypt(&back, lower, &keys,
							 EC_OFFLINE_COMPONENT), 0);
		assert_string_equal(back, "some name");
	}
}

static void test_wrapped_passphrases(void **state)
{
	static const char *const rows[] = {
		"3a020102030405060708306633666435316135386566323064350ceec6c611d890d48a7b2df8fd572a37",
		"37326330303738633065616137656563b888e4a76d0433c9dc87c889efea24be",
	};
	_cleanup_secret_ struct ec_secret bar = secret_of("bar"), baz = secret_of("baz");

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		_cleanup_secret_ struct ec_secret have = EC_SECRET_NULL;
		uint8_t buf[64];
		size_t len = from_hex(buf, sizeof(buf), rows[i]);

		assert_int_equal(ec_offline_unwrap(&have, buf, len, &baz, NULL), -EKEYREJECTED);
		assert_int_equal(ec_offline_unwrap(&have, buf, len, &bar, NULL), 0);
		assert_int_equal(have.len, 3);
		assert_memory_equal(have.data, "foo", 3);
	}
}

/* What libgcrypt has not is told as such, and only that. */
static void test_missing_ciphers(void **state)
{
	static const struct {
		const char *cipher;
		size_t key_len;
		int want;
	} rows[] = {
		{ "cast6", 16, -EOPNOTSUPP }, { "cast6", 32, -EOPNOTSUPP },
		{ "cast5", 8, -EOPNOTSUPP },  { "twofish", 24, -EOPNOTSUPP },
		{ "cast5", 16, 0 },	      { "twofish", 16, 0 },
		{ "twofish", 32, 0 },	      { "blowfish", 8, 0 },
		{ "blowfish", 56, 0 },	      { "des3_ede", 24, 0 },
	};
	static const uint8_t key[64] = { 1, 2, 3, [8] = 4, [16] = 5 };

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		_cleanup_offline_cipher_ struct ec_offline_cipher *cipher = NULL;
		int r = ec_offline_cipher_new(&cipher,
					      ecfmt_cipher_by_name(rows[i].cipher, rows[i].key_len),
					      EC_OFFLINE_CBC, key, rows[i].key_len);

		if (r != rows[i].want)
			fail_msg("%s-%zu: %d", rows[i].cipher, rows[i].key_len, r);
	}
}

/* Data under a weak key is data: all zeros is weak for 3DES. */
static void test_weak_key(void **state)
{
	_cleanup_offline_cipher_ struct ec_offline_cipher *cipher = NULL;
	static const uint8_t key[24];
	uint8_t buf[8] = "12345678", iv[8] = { 0 };

	(void)state;
	assert_int_equal(ec_offline_cipher_new(&cipher, ecfmt_cipher_by_code(2), EC_OFFLINE_CBC,
					       key, 24), 0);
	assert_int_equal(ec_offline_cipher_encrypt(cipher, iv, buf, 8), 0);
	assert_memory_not_equal(buf, "12345678", 8);
	assert_int_equal(ec_offline_cipher_decrypt(cipher, iv, buf, 8), 0);
	assert_memory_equal(buf, "12345678", 8);
}

static int temp_file(const uint8_t *bytes, size_t len)
{
	char path[] = "/var/tmp/ec-offline-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, bytes, len), len);
	return fd;
}

struct sample {
	uint8_t buf[20480];
	uint8_t content[10000];
	size_t len;
	size_t header_len;
};

static void make_sample(struct sample *s, enum ecfmt_place place)
{
	for (size_t i = 0; i < sizeof(s->content); i++)
		s->content[i] = (uint8_t)(7 * i + 3);
	s->len = build_file(s->buf, sizeof(s->buf), ecfmt_cipher_by_name("aes", 16), 16, place,
			    s->content, sizeof(s->content), &s->header_len);
}

/* Each cipher, through its packet. aes-24 is the one with a padded key. */
static void test_every_cipher_reads_back(void **state)
{
	static const uint8_t content[5000] = "5000 bytes, most of them zero";
	static uint8_t lower[16384], buf[5000];
	_cleanup_offline_keys_ struct ec_offline_keys keys = EC_OFFLINE_KEYS_NULL;
	uint8_t sig[8];

	(void)state;
	foo_key(&keys, sig);
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(files); i++) {
		_cleanup_offline_file_ struct ec_offline_file *file = NULL;
		_cleanup_close_ int fd = -1;
		size_t header_len, len;

		len = build_file(lower, sizeof(lower),
				 ecfmt_cipher_by_name(files[i].cipher, files[i].key_len),
				 files[i].key_len, ECFMT_PLACE_FILE, content, sizeof(content),
				 &header_len);
		fd = temp_file(lower, len);
		assert_int_equal(ec_offline_file_new(&file, fd, &keys), 0);
		assert_int_equal(ec_offline_file_read(file, 0, buf, sizeof(buf), &len), 0);
		assert_int_equal(len, sizeof(content));
		assert_memory_equal(buf, content, sizeof(content));
	}
}

/* Every start and some lengths: the bytes are those of the content, and end where it ends. */
static void test_read_anywhere(void **state)
{
	static const size_t lens[] = { 0, 1, 4095, 4096, 4097, 9999, 20000 };
	static struct sample s;
	_cleanup_offline_keys_ struct ec_offline_keys keys = EC_OFFLINE_KEYS_NULL;
	_cleanup_offline_file_ struct ec_offline_file *file = NULL;
	_cleanup_close_ int fd = -1;
	static uint8_t buf[20000];
	uint8_t sig[8];
	unsigned int n = 0;

	(void)state;
	make_sample(&s, ECFMT_PLACE_FILE);
	foo_key(&keys, sig);
	fd = temp_file(s.buf, s.len);
	assert_int_equal(ec_offline_file_new(&file, fd, &keys), 0);
	for (size_t offset = 0; offset < 12000; offset += 97)
		for (size_t i = 0; i < ECFMT_ARRAY_LEN(lens); i++, n++) {
			size_t left = offset < 10000 ? 10000 - offset : 0, have;
			size_t want = lens[i] < left ? lens[i] : left;

			assert_int_equal(ec_offline_file_read(file, offset, buf, lens[i], &have),
					 0);
			assert_int_equal(have, want);
			assert_memory_equal(buf, s.content + (left ? offset : 0), want);
		}
	assert_int_equal(ec_offline_file_read(file, UINT64_MAX, buf, 10, &(size_t){ 0 }), 0);
	report("%u reads", n);
}

/* Cut at every byte of what counts: an error, or what was asked for; never noise. */
static void test_cut_file(void **state)
{
	static struct sample s;
	static uint8_t buf[10000];
	_cleanup_offline_keys_ struct ec_offline_keys keys = EC_OFFLINE_KEYS_NULL;
	unsigned int n = 0, n_io = 0;
	uint8_t sig[8];

	(void)state;
	make_sample(&s, ECFMT_PLACE_FILE);
	foo_key(&keys, sig);
	for (size_t cut = 0; cut < s.len; cut += cut < 100 ? 1 : 509, n++) {
		_cleanup_offline_file_ struct ec_offline_file *file = NULL;
		_cleanup_close_ int fd = temp_file(s.buf, cut);
		size_t have;
		int r = ec_offline_file_new(&file, fd, &keys);

		if (cut == 0) {
			assert_int_equal(r, 0);
			assert_true(ec_offline_file_size(file) == 0);
			assert_int_equal(ec_offline_file_read(file, 0, buf, 10, &have), 0);
			assert_int_equal(have, 0);
		} else if (cut < 16) {
			assert_int_equal(r, -ENODATA);
		} else if (cut < s.header_len) {
			assert_int_equal(r, -EBADMSG);
		} else {
			assert_int_equal(r, 0);
			assert_int_equal(ec_offline_file_read(file, 0, buf, sizeof(buf), &have),
					 -EIO);
			n_io++;
		}
	}
	/* Whole extents are missing, as after a crash: what is there is the file. */
	for (size_t cut = 8192; cut < s.len; cut += 4096) {
		_cleanup_offline_file_ struct ec_offline_file *file = NULL;
		_cleanup_close_ int fd = temp_file(s.buf, cut);
		size_t have;

		assert_int_equal(ec_offline_file_new(&file, fd, &keys), 0);
		assert_true(ec_offline_file_size(file) == cut - 8192);
		assert_int_equal(ec_offline_file_read(file, 0, buf, sizeof(buf), &have), 0);
		assert_true(have == cut - 8192 && !memcmp(buf, s.content, have));
	}
	report("%u cuts, %u of them seen when reading", n, n_io);
}

/* A hole in the lower file is damage; the extents around it are still readable. */
static void test_hole(void **state)
{
	static struct sample s;
	static uint8_t buf[10000];
	_cleanup_offline_keys_ struct ec_offline_keys keys = EC_OFFLINE_KEYS_NULL;
	_cleanup_offline_file_ struct ec_offline_file *file = NULL;
	_cleanup_close_ int fd = -1;
	uint8_t sig[8];
	size_t have;

	(void)state;
	make_sample(&s, ECFMT_PLACE_FILE);
	foo_key(&keys, sig);
	memset(s.buf + 8192 + 4096, 0, 4096);
	fd = temp_file(s.buf, s.len);
	assert_int_equal(ec_offline_file_new(&file, fd, &keys), 0);
	assert_int_equal(ec_offline_file_read(file, 0, buf, sizeof(buf), &have), -EIO);
	assert_int_equal(ec_offline_file_read(file, 0, buf, 4096, &have), 0);
	assert_memory_equal(buf, s.content, 4096);
	assert_int_equal(ec_offline_file_read(file, 8192, buf, 4096, &have), 0);
	assert_memory_equal(buf, s.content + 8192, 1808);
}

static void test_metadata_in_the_attribute(void **state)
{
	static struct sample s;
	static uint8_t buf[10000];
	_cleanup_offline_keys_ struct ec_offline_keys keys = EC_OFFLINE_KEYS_NULL;
	_cleanup_offline_file_ struct ec_offline_file *file = NULL;
	_cleanup_close_ int fd = -1;
	uint8_t sig[8];
	size_t have;

	(void)state;
	make_sample(&s, ECFMT_PLACE_XATTR);
	foo_key(&keys, sig);
	fd = temp_file(s.buf + 8192, s.len - 8192);
	if (fsetxattr(fd, ECFMT_XATTR_NAME, s.buf, s.header_len, 0) < 0) {
		report("SKIPPED: /var/tmp has no user extended attributes");
		skip();
	}
	assert_int_equal(ec_offline_file_new(&file, fd, &keys), 0);
	assert_int_equal(ec_offline_file_read(file, 0, buf, sizeof(buf), &have), 0);
	assert_memory_equal(buf, s.content, sizeof(buf));
}

static void test_no_lower_file_at_all(void **state)
{
	const struct ec_offline_keys none = EC_OFFLINE_KEYS_NULL;
	struct ec_offline_file *file = NULL;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(ec_offline_file_new(&file, fds[0], &none), -EINVAL);
	assert_int_equal(ec_offline_file_new(&file, -1, &none), -EBADF);
	close(fds[0]);
	close(fds[1]);
}

static void test_describe(void **state)
{
	static struct sample s;
	_cleanup_free_ char *text = NULL;
	const char *reason;
	json_t *object;

	(void)state;
	make_sample(&s, ECFMT_PLACE_FILE);
	assert_int_equal(ec_offline_describe_header(s.buf, s.len, ECFMT_PLACE_FILE, &object,
						    &reason), 0);
	text = json_dumps(object, JSON_SORT_KEYS | JSON_COMPACT);
	assert_string_equal(text,
			    "{\"flags\":[\"encrypted\"],\"header_len\":8192,\"packets\":[{"
			    "\"cipher\":\"aes\",\"key_bytes\":16,\"kind\":\"passphrase\","
			    "\"salt\":\"0011223344556677\",\"sig\":\"253ca7e88811d184\","
			    "\"wrapped_key_len\":16}],\"place\":\"file\",\"size\":10000,"
			    "\"version\":3}");
	json_decref(object);
}

static void test_describe_names_what_is_wrong(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		int want;
		const char *reason;
	} rows[] = {
		{ 8, 0xff, -EBADMSG, "it has no eCryptfs marker" },
		{ 0, 0x80, -EBADMSG, "its size is beyond what a file can have" },
		{ 16, 0x04, -EOPNOTSUPP, "its format version is later than 3" },
		{ 25, 0x01, -EBADMSG,
		  "the length of the header is no multiple of 4096 from 8192 to 1048576" },
		{ 26, 0x00, -EBADMSG, "its key packets are damaged" },
		{ 29, 0x05, -EOPNOTSUPP,
		  "a key packet has a version, cipher or hash that format 3 never had" },
	};
	static struct sample s;

	(void)state;
	for (size_t i = 0; i < ECFMT_ARRAY_LEN(rows); i++) {
		const char *reason = NULL;
		json_t *object = NULL;

		make_sample(&s, ECFMT_PLACE_FILE);
		s.buf[rows[i].at] = rows[i].value;
		assert_int_equal(ec_offline_describe_header(s.buf, s.len, ECFMT_PLACE_FILE,
							    &object, &reason), rows[i].want);
		assert_string_equal(reason, rows[i].reason);
		assert_null(object);
	}
}

static void test_describe_files_and_names(void **state)
{
	static struct sample s;
	const char *reason;
	char lower[85];
	json_t *object;

	(void)state;
	make_sample(&s, ECFMT_PLACE_FILE);
	for (size_t i = 0; i < 3; i++) {
		static const size_t missing[] = { 0, 1, 4096 };
		_cleanup_close_ int fd = temp_file(s.buf, s.len - missing[i]);

		assert_int_equal(ec_offline_describe_file(fd, &object, &reason), 0);
		assert_int_equal(json_is_true(json_object_get(object, "complete")), !missing[i]);
		assert_int_equal(json_integer_value(json_object_get(object, "lower_len_expected")),
				 20480);
		/* whole extents are missing: what a crash does */
		assert_int_equal(json_integer_value(json_object_get(object, "size_left")),
				 missing[i] == 4096 ? 8192 : 0);
		json_decref(object);
	}
	{
		_cleanup_close_ int empty = temp_file(s.buf, 0), text = temp_file(s.content, 100);

		assert_int_equal(ec_offline_describe_file(empty, &object, &reason), 0);
		assert_string_equal(json_string_value(json_object_get(object, "place")), "none");
		json_decref(object);
		assert_int_equal(ec_offline_describe_file(text, &object, &reason), -ENODATA);
		assert_string_equal(reason, "it has no eCryptfs marker");
	}
	snprintf(lower, sizeof(lower), "%s%s", ECFMT_NAME_PREFIX, names[0].lower);
	assert_int_equal(ec_offline_describe_name(lower, &object, &reason), 0);
	assert_string_equal(json_string_value(json_object_get(object, "sig")), "3515cca9baaea1f4");
	assert_int_equal(json_integer_value(json_object_get(object, "plain_len_max")), 15);
	json_decref(object);
	assert_int_equal(ec_offline_describe_name("lost+found", &object, &reason), -ENODATA);
	lower[30] = '*';
	assert_int_equal(ec_offline_describe_name(lower, &object, &reason), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_files),
		cmocka_unit_test(test_file_of_three_extents),
		cmocka_unit_test(test_ivs),
		cmocka_unit_test(test_zero_extent),
		cmocka_unit_test(test_keys_are_found_by_signature),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_damaged_names),
		cmocka_unit_test(test_names_of_every_length),
		cmocka_unit_test(test_name_key_length_is_found),
		cmocka_unit_test(test_wrapped_passphrases),
		cmocka_unit_test(test_missing_ciphers),
		cmocka_unit_test(test_weak_key),
		cmocka_unit_test(test_every_cipher_reads_back),
		cmocka_unit_test(test_read_anywhere),
		cmocka_unit_test(test_cut_file),
		cmocka_unit_test(test_hole),
		cmocka_unit_test(test_metadata_in_the_attribute),
		cmocka_unit_test(test_no_lower_file_at_all),
		cmocka_unit_test(test_describe),
		cmocka_unit_test(test_describe_names_what_is_wrong),
		cmocka_unit_test(test_describe_files_and_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
