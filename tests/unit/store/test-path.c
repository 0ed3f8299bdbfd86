/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files and directories that are not what they should be, and disks that are full. Runs as root
 * in a mount namespace of its own, because owners and a tiny filesystem are the point.
 */
#include "store/path.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include <cmocka.h>

#define OWNER 61000
#define OTHER 61001

static char root[] = "/tmp/ecryptfs-store-XXXXXX";
static int root_fd;

static int set_up(void **state)
{
	if (!mkdtemp(root) || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", root, "tmpfs", 0, "size=8m,mode=0755") < 0)
		return -1;
	root_fd = open(root, O_RDONLY | O_DIRECTORY);
	return root_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	close(root_fd);
	umount2(root, MNT_DETACH);
	return rmdir(root);
}

static void put_file(const char *name, const char *text, uid_t owner)
{
	_cleanup_close_ int fd = openat(root_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchown(fd, owner, owner), 0);
}

static int read_it(const char *name, size_t len_max, struct st_problem *problem)
{
	_cleanup_free_ char *text = NULL;
	size_t len;

	return st_read_file(root_fd, name, OWNER, len_max, &text, &len, problem);
}

static void make_socket(const char *name)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", root, name);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(fchownat(root_fd, name, OWNER, OWNER, 0), 0);
}

static void reads_only_files_of_the_owner(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct st_problem problem;
	struct timespec begin, end;
	size_t len;

	put_file("good", "content", OWNER);
	put_file("roots", "content", 0);
	put_file("foreign", "content", OTHER);
	assert_int_equal(symlinkat("good", root_fd, "link"), 0);
	assert_int_equal(symlinkat("link-loop", root_fd, "link-loop"), 0);
	assert_int_equal(mkfifoat(root_fd, "fifo", 0600), 0);
	assert_int_equal(fchownat(root_fd, "fifo", OWNER, OWNER, 0), 0);
	assert_int_equal(mkdirat(root_fd, "dir", 0700), 0);
	make_socket("socket");
	put_file("sparse", "", OWNER);
	assert_int_equal(ftruncate(openat(root_fd, "sparse", O_WRONLY), INT64_C(1) << 40), 0);

	clock_gettime(CLOCK_MONOTONIC, &begin);
	assert_int_equal(st_read_file(root_fd, "good", OWNER, 7, &text, &len, &problem), 0);
	assert_int_equal(len, 7);
	assert_string_equal(text, "content");
	assert_int_equal(read_it("roots", 100, &problem), 0);
	assert_int_equal(read_it("good", 6, &problem), -EBADMSG);
	assert_int_equal(read_it("missing", 100, &problem), -ENOENT);
	assert_int_equal(read_it("foreign", 100, &problem), -ELOOP);
	assert_non_null(strstr(problem.text, "61001"));
	assert_int_equal(read_it("link", 100, &problem), -ELOOP);
	assert_int_equal(read_it("link-loop", 100, &problem), -ELOOP);
	assert_int_equal(read_it("fifo", 100, &problem), -ELOOP);
	assert_int_equal(read_it("dir", 100, &problem), -ELOOP);
	assert_int_equal(read_it("socket", 100, &problem), -ELOOP);
	assert_int_equal(read_it("sparse", 65536, &problem), -EBADMSG);
	assert_non_null(strstr(problem.text, "sparse"));
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_true(end.tv_sec - begin.tv_sec < 2);
}

static void opens_only_directories_of_the_owner(void **state)
{
	struct st_problem problem;
	int fd;

	assert_int_equal(mkdirat(root_fd, "own", 0700), 0);
	assert_int_equal(mkdirat(root_fd, "own/below", 0700), 0);
	assert_int_equal(fchownat(root_fd, "own", OWNER, OWNER, 0), 0);
	assert_int_equal(fchownat(root_fd, "own/below", OWNER, OWNER, 0), 0);
	assert_int_equal(symlinkat("own", root_fd, "to-own"), 0);
	assert_int_equal(mkdirat(root_fd, "open-to-all", 0700), 0);
	assert_int_equal(fchownat(root_fd, "open-to-all", OWNER, OWNER, 0), 0);
	assert_int_equal(fchmodat(root_fd, "open-to-all", 0777, 0), 0);

	assert_int_equal(st_open_owned_dir(root_fd, "own/below", OWNER, &fd, &problem), 0);
	close(fd);
	assert_int_equal(st_open_owned_dir(root_fd, "own", OTHER, &fd, &problem), -ELOOP);
	assert_int_equal(st_open_owned_dir(root_fd, "to-own", OWNER, &fd, &problem), -ELOOP);
	assert_int_equal(st_open_owned_dir(root_fd, "to-own/below", OWNER, &fd, &problem), -ELOOP);
	assert_int_equal(st_open_owned_dir(root_fd, "open-to-all", OWNER, &fd, &problem), -ELOOP);
	assert_int_equal(st_open_owned_dir(root_fd, "good", OWNER, &fd, &problem), -ELOOP);
	assert_int_equal(st_open_owned_dir(root_fd, "nothing", OWNER, &fd, &problem), -ENOENT);
	/* Not out of where it begins, whatever the path says. */
	assert_true(st_open_owned_dir(root_fd, "../tmp", 0, &fd, &problem) < 0);

	/* As somebody else, with that one's rights and no more; a foreign one is still foreign. */
	st_become(OTHER, OTHER);
	assert_int_equal(st_open_owned_dir(root_fd, "own", OWNER, &fd, &problem), -EACCES);
	assert_int_equal(st_open_owned_dir(root_fd, "own", OTHER, &fd, &problem), -ELOOP);
	st_become_root();
}

static void follows_only_symlinks_of_root(void **state)
{
	_cleanup_free_ char *path = NULL, *real = NULL;
	struct st_problem problem;
	int fd;

	assert_int_equal(mkdirat(root_fd, "data", 0755), 0);
	assert_int_equal(mkdirat(root_fd, "data/home", 0755), 0);
	assert_int_equal(symlinkat("data/home", root_fd, "home"), 0);
	assert_true(asprintf(&path, "%s/home", root) > 0);
	/* /tmp is open to all, so a symlink above it counts as placed by anybody. */
	assert_int_equal(st_open_base(path, &real, &fd, &problem), 0);
	assert_non_null(strstr(real, "/data/home"));
	close(fd);
	free(ec_take_ptr(real));

	assert_int_equal(fchownat(root_fd, "home", OWNER, OWNER, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st_open_base(path, &real, &fd, &problem), -ELOOP);
	assert_int_equal(fchownat(root_fd, "home", 0, 0, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(fchmod(root_fd, 0777), 0);
	assert_int_equal(st_open_base(path, &real, &fd, &problem), -ELOOP);
	assert_int_equal(fchmod(root_fd, 0755), 0);
	assert_int_equal(unlinkat(root_fd, "home", 0), 0);
	assert_int_equal(symlinkat("home", root_fd, "home"), 0);
	assert_int_equal(st_open_base(path, &real, &fd, &problem), -ELOOP);
}

static void normal_paths(void **state)
{
	static const struct {
		const char *path;
		bool want;
	} rows[] = {
		{ "/", true }, { "/a", true }, { "/a/b.c/..d", true }, { "", false }, { "a", false },
		{ "/a/", false }, { "//a", false }, { "/a//b", false }, { "/.", false },
		{ "/a/..", false }, { "/a/../b", false }, { "/a/./b", false },
	};
	static const struct {
		const char *path, *want;
	} normal[] = {
		{ "/home/alice", "/home/alice" }, { "/home/alice/", "/home/alice" },
		{ "//home///alice//", "/home/alice" }, { "/home/./alice/.", "/home/alice" },
		{ "/home/.alice/..x/...", "/home/.alice/..x/..." }, { "/", "/" }, { "//", "/" },
		{ "/./", "/" }, { "/home/../etc/", "/home/../etc" }, { "", "" }, { "home//a", "home//a" },
	};
	char *long_path = malloc(5001);
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(st_path_is_normal(rows[i].path), rows[i].want);
	memset(long_path, 'a', 5000);
	long_path[0] = '/';
	long_path[5000] = '\0';
	assert_false(st_path_is_normal(long_path));
	free(long_path);
	for (i = 0; i < sizeof(normal) / sizeof(normal[0]); i++) {
		_cleanup_free_ char *path = st_path_normalise(normal[i].path);

		assert_string_equal(path, normal[i].want);
	}
	print_message("# %zu paths made normal\n", i);
	assert_true(st_name_is_component("alice"));
	assert_false(st_name_is_component(""));
	assert_false(st_name_is_component(".."));
	assert_false(st_name_is_component("a/b"));
}

static void expect_content(int dir_fd, const char *name, const char *want)
{
	char text[65536];
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text));

	assert_int_equal(n, strlen(want));
	assert_memory_equal(text, want, strlen(want));
}

static void replaces_with_backup(void **state)
{
	struct st_problem problem;

	assert_int_equal(st_replace_file(root_fd, "doc", "doc.bak", "one", 3, &problem), 0);
	assert_int_equal(faccessat(root_fd, "doc.bak", F_OK, 0), -1);
	assert_int_equal(st_replace_file(root_fd, "doc", "doc.bak", "two", 3, &problem), 0);
	assert_int_equal(st_replace_file(root_fd, "doc", "doc.bak", "three", 5, &problem), 0);
	expect_content(root_fd, "doc", "three");
	expect_content(root_fd, "doc.bak", "two");
	/* What a crash left is no obstacle. */
	put_file("doc.new", "half", 0);
	put_file("doc.bak.new", "half", 0);
	assert_int_equal(st_replace_file(root_fd, "doc", "doc.bak", "four", 4, &problem), 0);
	expect_content(root_fd, "doc", "four");
	expect_content(root_fd, "doc.bak", "three");
	assert_int_equal(faccessat(root_fd, "doc.new", F_OK, 0), -1);
	assert_int_equal(faccessat(root_fd, "doc.bak.new", F_OK, 0), -1);
	/* A symlink in the way is replaced, not followed. */
	assert_int_equal(unlinkat(root_fd, "doc", 0), 0);
	assert_int_equal(symlinkat("victim", root_fd, "doc"), 0);
	assert_int_equal(symlinkat("victim", root_fd, "doc.new"), 0);
	assert_int_equal(st_replace_file(root_fd, "doc", NULL, "five", 4, &problem), 0);
	expect_content(root_fd, "doc", "five");
	assert_int_equal(faccessat(root_fd, "victim", F_OK, 0), -1);
}

/* With every number of free pages from none on: old content or new, and no scrap. */
static void full_disk(void **state)
{
	unsigned int n_free, n_refused = 0, n_done = 0;

	for (n_free = 0; n_free < 8; n_free++) {
		_cleanup_free_ char *dir = NULL, *new_text = malloc(12289);
		_cleanup_close_ int fd = -1, fill = -1;
		struct st_problem problem;
		char page[4096];
		unsigned int i;
		int r;

		memset(new_text, 'n', 12288);
		new_text[12288] = '\0';
		memset(page, 'x', sizeof(page));
		assert_true(asprintf(&dir, "%s/full-%u", root, n_free) > 0);
		assert_int_equal(mkdir(dir, 0700), 0);
		assert_int_equal(mount("tmpfs", dir, "tmpfs", 0, "size=128k,mode=0700"), 0);
		fd = open(dir, O_RDONLY | O_DIRECTORY);
		assert_int_equal(st_replace_file(fd, "doc", "doc.bak", "old", 3, &problem), 0);
		for (i = 0; i < n_free; i++) {
			char name[16];
			_cleanup_close_ int space = -1;

			snprintf(name, sizeof(name), "space-%u", i);
			space = openat(fd, name, O_WRONLY | O_CREAT, 0600);
			assert_int_equal(write(space, page, sizeof(page)), sizeof(page));
		}
		fill = openat(fd, "fill", O_WRONLY | O_CREAT, 0600);
		while (write(fill, page, sizeof(page)) > 0)
			;
		for (i = 0; i < n_free; i++) {
			char name[16];

			snprintf(name, sizeof(name), "space-%u", i);
			assert_int_equal(unlinkat(fd, name, 0), 0);
		}

		r = st_replace_file(fd, "doc", "doc.bak", new_text, 12288, &problem);
		if (r < 0) {
			n_refused++;
			assert_int_equal(r, -ENOSPC);
			expect_content(fd, "doc", "old");
		} else {
			n_done++;
			expect_content(fd, "doc", new_text);
			expect_content(fd, "doc.bak", "old");
		}
		assert_int_equal(faccessat(fd, "doc.new", F_OK, 0), -1);
		assert_int_equal(faccessat(fd, "doc.bak.new", F_OK, 0), -1);
		close(ec_take_fd(&fill));
		close(ec_take_fd(&fd));
		assert_int_equal(umount2(dir, MNT_DETACH), 0);
	}
	print_message("# full disk: %u changes refused, %u done\n", n_refused, n_done);
	assert_true(n_refused >= 2 && n_done >= 2);
}

static void file_size_limit(void **state)
{
	static const char bytes[4096] = { 'n' };
	struct rlimit before, tiny;
	struct st_problem problem;
	int r;

	assert_int_equal(st_replace_file(root_fd, "limited", NULL, "old", 3, &problem), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	tiny = before;
	tiny.rlim_cur = 100;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tiny), 0);
	r = st_replace_file(root_fd, "limited", NULL, bytes, sizeof(bytes), &problem);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(r, -EFBIG);
	expect_content(root_fd, "limited", "old");
}

static void lock_is_bounded(void **state)
{
	_cleanup_close_ int one = openat(root_fd, ".", O_RDONLY), two = openat(root_fd, ".", O_RDONLY);
	struct st_problem problem;
	struct timespec begin, end;

	assert_int_equal(st_lock_dir(one, &problem), 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	assert_int_equal(st_lock_dir(two, &problem), -EBUSY);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_true(end.tv_sec - begin.tv_sec <= 7);
	close(ec_take_fd(&one));
	assert_int_equal(st_lock_dir(two, &problem), 0);
}

static void removes_a_tree(void **state)
{
	assert_int_equal(mkdirat(root_fd, "tree", 0700), 0);
	assert_int_equal(mkdirat(root_fd, "tree/a", 0700), 0);
	assert_int_equal(mkdirat(root_fd, "tree/a/b", 0700), 0);
	put_file("tree/a/b/file", "x", OWNER);
	put_file("keep", "x", OWNER);
	assert_int_equal(symlinkat("../../keep", root_fd, "tree/a/link"), 0);
	assert_int_equal(symlinkat("/", root_fd, "tree/slash"), 0);
	assert_int_equal(st_remove_tree(root_fd, "tree", 0), 0);
	assert_int_equal(faccessat(root_fd, "tree", F_OK, 0), -1);
	assert_int_equal(faccessat(root_fd, "keep", F_OK, 0), 0);
	assert_int_equal(st_remove_tree(root_fd, "nothing", 0), 0);
}

/* As ~/go/pkg/mod keeps them, and worse. */
static void removes_what_its_owner_may_not_write(void **state)
{
	static const char *const names[] = { "shut/mod/sub", "shut/mod", "shut/dark", "shut" };
	static const mode_t modes[] = { 0555, 0555, 0000, 0500 };
	struct stat st;
	size_t i;

	assert_int_equal(mkdirat(root_fd, "shut", 0700), 0);
	assert_int_equal(mkdirat(root_fd, "shut/mod", 0700), 0);
	assert_int_equal(mkdirat(root_fd, "shut/mod/sub", 0700), 0);
	assert_int_equal(mkdirat(root_fd, "shut/dark", 0700), 0);
	put_file("shut/mod/sub/file", "x", OWNER);
	put_file("shut/dark/file", "x", OWNER);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(fchownat(root_fd, names[i], OWNER, OWNER, 0), 0);
		assert_int_equal(fchmodat(root_fd, names[i], modes[i], 0), 0);
	}
	assert_int_equal(fchmod(root_fd, 0777), 0);
	st_become(OWNER, OWNER);
	assert_int_equal(st_remove_tree(root_fd, "shut", 0), 0);
	st_become_root();
	assert_int_equal(faccessat(root_fd, "shut", F_OK, 0), -1);

	/* What is somebody else's is left, and its mode, too. */
	assert_int_equal(mkdirat(root_fd, "theirs", 0755), 0);
	assert_int_equal(fchownat(root_fd, "theirs", OWNER, OWNER, 0), 0);
	assert_int_equal(mkdirat(root_fd, "theirs/roots", 0700), 0);
	assert_int_equal(fchmodat(root_fd, "theirs/roots", 0555, 0), 0);
	put_file("theirs/roots/file", "x", 0);
	st_become(OWNER, OWNER);
	assert_int_equal(st_remove_tree(root_fd, "theirs", 0), -EACCES);
	st_become_root();
	assert_int_equal(fstatat(root_fd, "theirs/roots", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0555);
	assert_int_equal(fchmod(root_fd, 0755), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(normal_paths),
		cmocka_unit_test(reads_only_files_of_the_owner),
		cmocka_unit_test(opens_only_directories_of_the_owner),
		cmocka_unit_test(follows_only_symlinks_of_root),
		cmocka_unit_test(replaces_with_backup),
		cmocka_unit_test(full_disk),
		cmocka_unit_test(file_size_limit),
		cmocka_unit_test(lock_is_bounded),
		cmocka_unit_test(removes_a_tree),
		cmocka_unit_test(removes_what_its_owner_may_not_write),
	};

	if (geteuid() != 0) {
		puts("SKIP: needs root, for files of other owners and a filesystem of its own");
		return 77;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
