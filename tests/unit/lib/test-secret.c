/* SPDX-License-Identifier: GPL-2.0-only */
#include "lib/secret.h"

#include "tests/unit/lib/support.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* The address sanitizer turns mlock() into nothing. */
#ifdef __SANITIZE_ADDRESS__
#define LOCKS_WORK false
#else
#define LOCKS_WORK true
#endif

#define ALL_SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK)

/* Is flag ("lo", "dd") among the VmFlags of the mapping of address? */
static bool mapping_has_flag(const void *address, const char *flag)
{
	_cleanup_fclose_ FILE *smaps = fopen("/proc/self/smaps", "re");
	char line[1024];
	bool here = false;

	assert_non_null(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = (uintptr_t)address >= start && (uintptr_t)address < end;
		else if (here && !strncmp(line, "VmFlags:", 8))
			return strstr(line + 8, flag);
	}
	return false;
}

/* The address at which a memfd that was made of a secret is mapped, or NULL. */
static const void *mapped_memfd(void)
{
	_cleanup_fclose_ FILE *maps = fopen("/proc/self/maps", "re");
	char line[1024];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, "/memfd:ecryptfs-secret"))
			return (const void *)(uintptr_t)strtoul(line, NULL, 16);
	return NULL;
}

/* Whoever has it: it stays in memory as long as the secret itself. */
static void test_sent_is_locked(void **state)
{
	struct ec_secret secret, moved = EC_SECRET_NULL;
	int first, second;

	assert_int_equal(ec_secret_init_copy(&secret, "canary", 6), 0);
	assert_null(mapped_memfd());
	assert_int_equal(ec_secret_to_memfd(&secret, &first), 0);
	assert_int_equal(ec_secret_to_memfd(&secret, &second), 0);
	assert_non_null(mapped_memfd());
	assert_memory_equal(mapped_memfd(), "canary", 6);
	assert_true(mapping_has_flag(mapped_memfd(), " lo") || !LOCKS_WORK);
	assert_true(mapping_has_flag(mapped_memfd(), " dd"));
	assert_true(mapping_has_flag(mapped_memfd(), " dc"));
	ec_secret_move(&moved, &secret);
	ec_secret_done(&secret);
	assert_non_null(mapped_memfd());
	ec_secret_done(&moved);
	assert_null(mapped_memfd());
	close(first);
	close(second);
}

/* A child has its own things where the parent has that mapping. */
static void test_sent_and_forked(void **state)
{
	struct ec_secret secret;
	int fd, status;
	pid_t pid;

	assert_int_equal(ec_secret_init_copy(&secret, "canary", 6), 0);
	assert_int_equal(ec_secret_to_memfd(&secret, &fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		const void *copy = mapped_memfd();
		char *other = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		*other = 'x';
		ec_secret_done(&secret);
		_exit(copy || *other != 'x');
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_memory_equal(mapped_memfd(), "canary", 6);
	ec_secret_done(&secret);
	close(fd);
}

static void test_memory(void **state)
{
	static const size_t lens[] = { 0, 1, 64, 4096, 4097, EC_SECRET_LEN_MAX };
	size_t i, j;

	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		_cleanup_secret_ struct ec_secret secret = EC_SECRET_NULL;

		assert_int_equal(ec_secret_init(&secret, lens[i]), 0);
		assert_int_equal(secret.len, lens[i]);
		assert_int_equal((uintptr_t)secret.data % 4096, 0);
		assert_true(secret.mapped_len >= secret.len && secret.mapped_len);
		for (j = 0; j < secret.mapped_len; j++)
			assert_int_equal(secret.data[j], 0);
		assert_true(mapping_has_flag(secret.data, " lo") || !LOCKS_WORK);
		assert_true(mapping_has_flag(secret.data, " dd"));
		assert_true(mapping_has_flag(secret.data, " wf"));
	}
}

static void test_too_long(void **state)
{
	struct ec_secret secret = EC_SECRET_NULL;

	assert_int_equal(ec_secret_init(&secret, EC_SECRET_LEN_MAX + 1), -EMSGSIZE);
	assert_int_equal(ec_secret_init(&secret, SIZE_MAX), -EMSGSIZE);
	assert_null(secret.data);
}

static void test_done(void **state)
{
	struct ec_secret secret = secret_of_text("x");

	ec_secret_done(&secret);
	assert_null(secret.data);
	assert_int_equal(secret.len, 0);
	ec_secret_done(&secret);
	ec_secret_done(NULL);
}

static void test_move(void **state)
{
	_cleanup_secret_ struct ec_secret from = secret_of_text("from"), to = secret_of_text("to");

	ec_secret_move(&to, &from);
	assert_null(from.data);
	assert_int_equal(to.len, 4);
	assert_memory_equal(to.data, "from", 4);
	ec_secret_move(&to, &to);
	assert_memory_equal(to.data, "from", 4);
}

static void test_truncate(void **state)
{
	_cleanup_secret_ struct ec_secret secret = secret_of_text("passphrase");

	ec_secret_truncate(&secret, 20);
	assert_int_equal(secret.len, 10);
	ec_secret_truncate(&secret, 4);
	assert_int_equal(secret.len, 4);
	assert_memory_equal(secret.data, "pass\0\0\0\0\0\0", 10);
}

static void test_equal(void **state)
{
	_cleanup_secret_ struct ec_secret a = secret_of_text("secret"), b = EC_SECRET_NULL;
	size_t i;

	for (i = 0; i < a.len; i++) {
		_cleanup_secret_ struct ec_secret other = secret_of_text("secret");

		assert_true(ec_secret_equal(&a, &other));
		other.data[i] ^= 0x80;
		assert_false(ec_secret_equal(&a, &other));
	}
	assert_false(ec_secret_equal(&a, &b));
	assert_true(ec_secret_equal(&b, &b));
}

/* Runs fn in a child and returns its exit status. */
static int in_child(int (*fn)(const void *arg), const void *arg)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn(arg));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int child_sees_zeros(const void *arg)
{
	const struct ec_secret *secret = arg;

	return secret->data[0] == 0 && !memcmp(secret->data, secret->data + 1, secret->len - 1) ?
	       0 : 1;
}

static void test_fork_wipes(void **state)
{
	_cleanup_secret_ struct ec_secret secret = secret_of_text("not for children");

	assert_int_equal(in_child(child_sees_zeros, &secret), 0);
	assert_memory_equal(secret.data, "not for children", 16);
}

static int child_cannot_lock(const void *arg)
{
	const struct rlimit none = { 0, 0 };
	struct ec_secret secret = EC_SECRET_NULL;

	if (setrlimit(RLIMIT_MEMLOCK, &none) < 0 || (geteuid() == 0 && setuid(65534) < 0))
		return 2;
	return ec_secret_init(&secret, 10) == -ENOMEM && !secret.data ? 0 : 1;
}

static void test_unlockable_is_refused(void **state)
{
	if (!LOCKS_WORK) {
		print_message("skipped: the address sanitizer turns mlock() into nothing\n");
		skip();
	}
	assert_int_equal(in_child(child_cannot_lock, NULL), 0);
}

static int child_hardens(const void *arg)
{
	struct rlimit core;

	ec_secret_harden_process();
	if (getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_cur || core.rlim_max)
		return 1;
	return prctl(PR_GET_DUMPABLE) == 0 ? 0 : 2;
}

static void test_harden(void **state)
{
	assert_int_equal(in_child(child_hardens, NULL), 0);
}

static void test_memfd_round_trip(void **state)
{
	static const size_t lens[] = { 0, 1, 64, 4096, EC_SECRET_LEN_MAX };
	size_t i;

	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		_cleanup_secret_ struct ec_secret secret = EC_SECRET_NULL, back = EC_SECRET_NULL;
		_cleanup_close_ int fd = -1;

		assert_int_equal(ec_secret_init(&secret, lens[i]), 0);
		memset(secret.data, 0x5a, secret.len);
		assert_int_equal(ec_secret_to_memfd(&secret, &fd), 0);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		assert_int_equal(fcntl(fd, F_GET_SEALS) & (ALL_SEALS | F_SEAL_SEAL),
				 ALL_SEALS | F_SEAL_SEAL);
		assert_int_equal(pwrite(fd, "x", 1, 0), -1);
		assert_int_equal(ftruncate(fd, (off_t)lens[i] + 1), -1);
		assert_int_equal(ec_secret_from_memfd(&back, fd), 0);
		assert_true(ec_secret_equal(&secret, &back));
		ec_secret_done(&back);
		assert_int_equal(ec_secret_from_memfd(&back, fd), 0);	/* offset untouched */
		assert_true(ec_secret_equal(&secret, &back));
	}
}

static int new_memfd(const void *bytes, size_t len, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void refuse(const char *name, int fd)
{
	struct ec_secret secret = EC_SECRET_NULL;

	if (ec_secret_from_memfd(&secret, fd) != -EBADF)
		fail_msg("taken for a sealed memfd: %s", name);
	assert_null(secret.data);
	if (fd >= 0)
		close(fd);
}

static void test_memfd_refused(void **state)
{
	static uint8_t big[EC_SECRET_LEN_MAX + 1];
	char path[] = "/tmp/ec-test-secret-XXXXXX";
	int pair[2], fd, o_path;

	refuse("nothing", -1);
	refuse("unsealed", new_memfd("x", 1, 0));
	refuse("may be written", new_memfd("x", 1, F_SEAL_GROW | F_SEAL_SHRINK));
	refuse("may grow", new_memfd("x", 1, F_SEAL_WRITE | F_SEAL_SHRINK));
	refuse("may shrink", new_memfd("x", 1, F_SEAL_WRITE | F_SEAL_GROW));
	refuse("too long", new_memfd(big, sizeof(big), ALL_SEALS));
	fd = new_memfd("x", 1, 0);
	assert_int_equal(ftruncate(fd, 1LL << 40), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, ALL_SEALS), 0);
	refuse("one tebibyte", fd);

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	refuse("pipe", pair[0]);
	refuse("other end of pipe", pair[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	refuse("socket", pair[0]);
	close(pair[1]);
	fd = mkostemp(path, O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	refuse("file", fd);
	refuse("directory", open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	refuse("device", open("/dev/zero", O_RDONLY | O_CLOEXEC));

	fd = new_memfd("x", 1, ALL_SEALS);
	snprintf((char *)big, 64, "/proc/self/fd/%d", fd);
	o_path = open((char *)big, O_PATH | O_CLOEXEC);
	assert_true(o_path >= 0);
	refuse("O_PATH", o_path);
	close(fd);
}

static void check_from_fd(const char *bytes, size_t len, bool strip, const char *want)
{
	_cleanup_secret_ struct ec_secret secret = EC_SECRET_NULL;
	int pair[2];

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(write(pair[1], bytes, len), len);
	close(pair[1]);
	assert_int_equal(ec_secret_from_fd(&secret, pair[0], strip), 0);
	close(pair[0]);
	assert_int_equal(secret.len, strlen(want));
	assert_memory_equal(secret.data, want, secret.len);
}

static void test_from_fd(void **state)
{
	check_from_fd("", 0, true, "");
	check_from_fd("\n", 1, true, "");
	check_from_fd("\n", 1, false, "\n");
	check_from_fd("word", 4, true, "word");
	check_from_fd("word\n", 5, true, "word");
	check_from_fd("word\n\n", 6, true, "word\n");
	check_from_fd("word\n", 5, false, "word\n");
	check_from_fd("a b \t\r\n", 7, true, "a b \t\r");
}

static void test_from_fd_limits(void **state)
{
	_cleanup_secret_ struct ec_secret secret = EC_SECRET_NULL;
	static uint8_t big[EC_SECRET_LEN_MAX + 1];
	_cleanup_close_ int fits = -1, zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int too_long = new_memfd(big, sizeof(big), 0);

	lseek(too_long, 0, SEEK_SET);
	assert_int_equal(ec_secret_from_fd(&secret, too_long, false), -EMSGSIZE);
	assert_int_equal(ec_secret_from_fd(&secret, zero, false), -EMSGSIZE);
	assert_int_equal(ec_secret_from_fd(&secret, -1, false), -EBADF);
	assert_null(secret.data);
	fits = new_memfd(big, sizeof(big) - 1, 0);
	lseek(fits, 0, SEEK_SET);
	assert_int_equal(ec_secret_from_fd(&secret, fits, false), 0);
	assert_int_equal(secret.len, EC_SECRET_LEN_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_sent_is_locked),
		cmocka_unit_test(test_sent_and_forked),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_done),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_truncate),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_fork_wipes),
		cmocka_unit_test(test_unlockable_is_refused),
		cmocka_unit_test(test_harden),
		cmocka_unit_test(test_memfd_round_trip),
		cmocka_unit_test(test_memfd_refused),
		cmocka_unit_test(test_from_fd),
		cmocka_unit_test(test_from_fd_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
