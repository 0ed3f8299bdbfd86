/* SPDX-License-Identifier: GPL-2.0-only */
#include "mount/tree.h"

#include "tests/unit/mount/support.h"

#include <errno.h>
#include <stdbool.h>

#define FILL \
	"mkdir -p a/d/e/f a/empty && echo one > a/one && ln a/one a/d/hard && ln -s ../one a/d/soft " \
	"&& mkfifo a/fifo && printf 'x\\0y' > a/bin && truncate -s 200000 a/sparse && touch a/zero " \
	"&& head -c 300000 /dev/urandom > a/big && chmod 4711 a/big && chown 4242:4343 a/d " \
	"&& touch \"a/new\nline\" a/-dash 'a/sp ace' && mknod a/null c 1 3 " \
	"&& touch -h -d @1000000000 a/one a/d/soft a/big"

static void set_xattr(const char *path, const char *name, const char *value)
{
	char command[256];

	snprintf(command, sizeof(command), "python3 -c 'import os; os.setxattr(\"%s\", \"%s\", b\"%s\")'",
		 path, name, value);
	sh(command);
}

/* What compare says of a and of b, which is a copy of it, after prepare. */
static int compare_after(const char *prepare, struct ec_why *why, struct ec_tree_counts *counts)
{
	int a, b, r;

	sh("rm -rf b; cp -a a b");
	sh(prepare);
	a = open_dir("a");
	b = open_dir("b");
	r = ec_tree_compare(a, b, NULL, counts, why);
	close(a);
	close(b);
	return r;
}

static void test_equal(void **state)
{
	struct ec_why why = EC_WHY_NULL;
	struct ec_tree_counts counts = { 0 };

	sh(FILL);
	set_xattr("a/one", "user.note", "kept");
	if (compare_after("true", &why, &counts) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(counts.files, 16);
	assert_int_equal(counts.bytes, 4 + 4 + 3 + 200000 + 300000);
}

static void test_differences(void **state)
{
	static const struct {
		const char *prepare;
		const char *words;
	} rows[] = {
		{ "echo two > b/one; touch -d @1000000000 b/one", "content of /d/hard" },
		{ "printf '\\1' | dd of=b/big bs=1 seek=299999 conv=notrunc status=none; touch -d @1000000000 b/big",
		  "content of /big" },
		{ "printf '\\1' | dd of=b/big bs=1 seek=65536 conv=notrunc status=none; touch -d @1000000000 b/big",
		  "content of /big" },
		{ "touch -r b/sparse ref; truncate -s 200001 b/sparse; touch -r ref b/sparse", "size of /sparse" },
		{ "chmod 4710 b/big", "mode of /big" },
		{ "chmod 0711 b/big", "mode of /big" },
		{ "chmod 700 b/empty", "mode of /empty" },
		{ "chown 4242 b/one; touch -d @1000000000 b/one", "owner of /d/hard" },
		{ "chgrp 4242 b/d", "owner of /d" },
		{ "chown -h 1:1 b/d/soft", "owner of /d/soft" },
		{ "chown 4242 b", "owner of the directory itself" },
		{ "rm b/zero", "only one of the two has /zero" },
		{ "touch b/extra", "only one of the two has /extra" },
		{ "touch b/d/e/f/extra; touch -r a/d/e/f b/d/e/f", "only one of the two has /d/e/f/extra" },
		{ "mv b/zero b/zerp", "only one of the two has /zero" },
		{ "touch -r b/d ref; rm b/d/soft; ln -s ../two b/d/soft; touch -h -d @1000000000 b/d/soft; touch -r ref b/d",
		  "target of /d/soft" },
		{ "rm b/fifo; touch b/fifo", "type of /fifo" },
		{ "rm b/zero; ln -s x b/zero", "type of /zero" },
		{ "rmdir b/empty; touch b/empty", "type of /empty" },
		{ "rm b/null; mknod b/null c 1 5; touch -r a/null b/null", "device number of /null" },
		{ "touch -d @1000000001 b/big", "modification time of /big" },
		{ "touch -d @1000000000.000000001 b/big", "modification time of /big" },
		{ "chmod 701 b", "mode of the directory itself" },
		/* one file became two */
		{ "cp -a b/one b/x && mv b/x b/one", "hard links of /one" },
		/* two files became one */
		{ "cp -a a/zero b/zero && rm b/-dash && ln b/zero b/-dash && touch -r a/-dash b/-dash",
		  "/zero" },
		/* as many links, but to each other */
		{ "rm -rf a2; cp -a a a2; ln a/bin a/bin2; cp -a a/zero a/zero2; rm -rf b; cp -a a b; rm b/bin2; cp -a b/bin b/bin2",
		  "hard links of /bin2" },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ec_why why = EC_WHY_NULL;
		struct ec_tree_counts counts;
		int r = compare_after(rows[i].prepare, &why, &counts);

		if (r != -EUCLEAN || !strstr(why.text, rows[i].words))
			fail_msg("%s: %d %s", rows[i].prepare, r, why.text);
	}
	sh("rm -rf a; mv a2 a");
	print_message("# %zu differences, each seen and named\n", i);
}

static int compare_xattr(const char *path, const char *name, const char *value)
{
	struct ec_tree_counts counts;
	int a = open_dir("a"), b = open_dir("b"), r;

	set_xattr(path, name, value);
	r = ec_tree_compare(a, b, NULL, &counts, NULL);
	close(a);
	close(b);
	return r;
}

/* Whole seconds, which is all that one engine keeps, pass; but they are counted. */
static void test_coarse_times(void **state)
{
	struct ec_tree_counts counts;
	struct ec_why why = EC_WHY_NULL;

	assert_int_equal(compare_after("touch -d @1000000000.25 a/big; touch -d @1000000000 b/big", &why,
				       &counts), 0);
	assert_int_equal(counts.coarse_times, 1);
	assert_int_equal(compare_after("touch -d @1000000001 b/big", &why, &counts), -EUCLEAN);
	sh("touch -d @1000000000 a/big");
}

static void test_xattrs(void **state)
{
	sh("rm -rf b; cp -a a b");
	assert_int_equal(compare_xattr("b/one", "user.note", "kept"), 0);
	assert_int_equal(compare_xattr("b/one", "user.note", "kepu"), -EUCLEAN);
	assert_int_equal(compare_xattr("b/one", "user.note", "kep"), -EUCLEAN);
	assert_int_equal(compare_xattr("b/one", "user.note", "kept"), 0);
	assert_int_equal(compare_xattr("b/zero", "user.more", ""), -EUCLEAN);
	sh("rm -rf b; cp -a a b");
	assert_int_equal(compare_xattr("b", "user.top", "x"), -EUCLEAN);
	sh("rm -rf b; cp -a a b");
	assert_int_equal(compare_xattr("b/empty", "trusted.x", "x"), -EUCLEAN);
}

static void test_copy(void **state)
{
	struct ec_why why = EC_WHY_NULL;
	struct ec_tree_counts counts;
	int a = open_dir("a"), b;

	sh("rm -rf b; mkdir b");
	b = open_dir("b");
	if (ec_tree_copy(a, b, NULL, &why) < 0)
		fail_msg("%s", why.text);
	if (ec_tree_compare(a, b, NULL, &counts, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(ec_tree_remove_contents(b, NULL, NULL), 0);
	assert_int_equal(ec_tree_count(b, NULL, &counts, NULL), 0);
	assert_int_equal(counts.files, 0);
	assert_int_equal(ec_tree_count(a, NULL, &counts, NULL), 0);
	assert_int_equal(counts.files, 16);
	close(b);
	close(a);
}

/* cp fails: its words, without the paths that only it knew. */
static void test_copy_fails(void **state)
{
	struct ec_why why = EC_WHY_NULL;
	int a = open_dir("a"), b;

	sh("rm -rf b; mkdir -p b/one");	/* a directory where a file should go */
	b = open_dir("b");
	assert_int_equal(ec_tree_copy(a, b, NULL, &why), -EIO);
	assert_non_null(strstr(why.text, "cannot overwrite directory"));
	assert_null(strstr(why.text, "/proc/self/fd"));
	close(b);
	close(a);
}

static int say_no(void *userdata)
{
	(*(int *)userdata)++;
	return -ECANCELED;
}

/* Every kind of work ends when its watch says so. */
static void test_cancelled(void **state)
{
	int a = open_dir("a"), b, calls = 0;
	struct ec_tree_counts counts;
	struct ec_tree_watch watch = { .tick = say_no, .userdata = &calls };

	sh("rm -rf b; cp -a a b");
	b = open_dir("b");
	assert_int_equal(ec_tree_compare(a, b, &watch, &counts, NULL), -ECANCELED);
	watch.next_ms = 0;
	assert_int_equal(ec_tree_count(a, &watch, &counts, NULL), -ECANCELED);
	watch.next_ms = 0;
	assert_int_equal(ec_tree_remove_contents(b, &watch, NULL), -ECANCELED);
	assert_int_equal(calls, 3);
	close(b);
	sh("rm -rf held b; mkdir held b; head -c 100M /dev/zero > held/large");
	b = open_dir("b");
	close(a);
	a = open_dir("held");
	watch.next_ms = 0;
	assert_int_equal(ec_tree_copy(a, b, &watch, NULL), -ECANCELED);
	assert_int_equal(calls, 4);
	close(b);
	close(a);
	sh("rm -rf held b");
}

static void test_copy_full(void **state)
{
	struct ec_why why = EC_WHY_NULL;
	int a = open_dir("a"), b;

	sh("mkdir -p full && mount -t tmpfs -o size=128k tmpfs full");
	b = open_dir("full");
	assert_int_equal(ec_tree_copy(a, b, NULL, &why), -ENOSPC);
	close(b);
	sh("umount full");
	close(a);
}

/* Whatever happens in a tree, its note is another one; and what is no change leaves it as it is. */
static void test_note(void **state)
{
	static const struct {
		const char *act;
		bool changes;
		const char *newest;
	} rows[] = {
		{ "true", false, NULL },
		{ "cat t/d/file t/one > /dev/null; ls -R t > /dev/null", false, NULL },
		{ "mv t u; mv u t", false, NULL },
		{ "echo x >> t/d/file", true, "/d/file" },
		{ "cp -p t/d/file ref; printf y | dd of=t/d/file bs=1 conv=notrunc status=none; touch -r ref t/d/file",
		  true, "/d/file" },
		{ "chmod 600 t/d/file", true, "/d/file" },
		{ "chown 4242 t/d/file", true, "/d/file" },
		{ "touch t/d/new", true, NULL },
		{ "rm t/d/new", true, "/d" },
		{ "ln t/one t/d/link", true, NULL },
		{ "mv t/d/link t/d/link2", true, NULL },
		{ "touch t/top", true, NULL },
		{ "rm t/top", true, "/" },
		{ "python3 -c 'import os; os.setxattr(\"t/one\", \"user.x\", b\"1\")'", true, "/one" },
		{ "chmod 711 t", true, NULL },
		{ "ln -s a t/d/soft", true, NULL },
		{ "ln -sfn b t/d/soft", true, NULL },
		{ "python3 -c 'import mmap, os; f = open(\"t/one\", \"r+b\"); mmap.mmap(f.fileno(), 0)[0] = 65'",
		  true, "/one" },
	};
	struct ec_tree_note before, after;
	size_t i;
	int t;

	sh("rm -rf t u ref; mkdir -p t/d/e && echo one > t/one && echo file > t/d/file");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		t = open_dir("t");
		assert_int_equal(syncfs(t), 0);
		assert_int_equal(ec_tree_take_note(t, NULL, &before, NULL), 0);
		sh("sleep 0.02");	/* the clock of ctime has ticks */
		sh(rows[i].act);
		assert_int_equal(ec_tree_take_note(t, NULL, &after, NULL), 0);
		if (ec_tree_note_equal(&before, &after) == rows[i].changes)
			fail_msg("%s: %s", rows[i].act, rows[i].changes ? "not seen" : "seen");
		if (rows[i].newest && strcmp(after.newest_path, rows[i].newest))
			fail_msg("%s: blamed %s", rows[i].act, after.newest_path);
		close(t);
	}
	sh("rm -rf t ref");
}

struct lost {
	char text[1000];
};

static void lost(void *userdata, const char *path, const char *what)
{
	struct lost *lost = userdata;
	size_t len = strlen(lost->text);

	snprintf(lost->text + len, sizeof(lost->text) - len, "%s: %s\n", path, what);
}

/* Does the directory of these tests stand on a filesystem with flags? */
static bool has_flags(void)
{
	return system("touch flagged && chattr +i flagged 2> /dev/null && chattr -i flagged") == 0;
}

static void test_flags(void **state)
{
	struct lost losses_text = { "" };
	const struct ec_tree_losses losses = { .lost = lost, .userdata = &losses_text };
	struct ec_tree_counts counts;
	struct ec_why why = EC_WHY_NULL;
	int a, b;

	if (!has_flags()) {
		puts("skipped: flags of chattr: this filesystem, or this root, has none");
		skip();
	}
	sh("rm -rf fa fb; mkdir -p fa/d/e fa/append fa/sub && echo 1 > fa/d/e/fixed && echo 2 > fa/log "
	   "&& echo 3 > fa/nodump && echo 4 > fa/plain && truncate -s 1M fa/holes && mkfifo fa/fifo "
	   "&& cp -a --sparse=never fa fb && cp --sparse=never -p fa/holes fb/holes && sync fb/holes "
	   "&& chattr +i fa/d/e/fixed fa/d/e fa/d && chattr +a fa/log fa/append "
	   "&& chattr +dA fa/nodump && chattr +d fa");
	a = open_dir("fa");
	b = open_dir("fb");
	if (ec_tree_copy_flags(a, b, NULL, &losses, &why) < 0)
		fail_msg("%s", why.text);
	sh("for f in . d d/e d/e/fixed log append nodump plain sub; do "
	   "lsattr -d fa/$f | cut -d' ' -f1 | tr -d eI- >> want; "
	   "lsattr -d fb/$f | cut -d' ' -f1 | tr -d eI- >> got; done; cmp want got && grep -q i got");
	assert_string_equal(losses_text.text, "/holes: holes, which are filled with zeros now\n");
	assert_true(ec_tree_flags_pin(b) == false);
	/* And none of them keeps a copy from being removed again. */
	if (ec_tree_remove_contents(b, NULL, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(ec_tree_count(b, NULL, &counts, NULL), 0);
	assert_int_equal(counts.files, 0);
	sh("lsattr -d fa/d/e/fixed | cut -d' ' -f1 | grep -q i && chattr +i fb");
	assert_true(ec_tree_flags_pin(b));
	ec_tree_unlock_flags(b);
	assert_false(ec_tree_flags_pin(b));
	/* What the other filesystem does not know is told. */
	losses_text.text[0] = 0;
	sh("mount -t ramfs ramfs fb && cp -a --sparse=never fa/. fb");
	close(b);
	b = open_dir("fb");
	if (ec_tree_copy_flags(a, b, NULL, &losses, &why) < 0)
		fail_msg("%s", why.text);
	if (!strstr(losses_text.text, "/d/e/fixed: chattr +i\n") ||
	    !strstr(losses_text.text, "/nodump: chattr +dA\n") ||
	    !strstr(losses_text.text, "/: chattr +d\n"))
		fail_msg("%s", losses_text.text);
	close(a);
	close(b);
	sh("umount fb; chattr -R -f -ia fa fb; rm -rf fa fb want got");
}

/* Another filesystem inside is never emptied, and never taken for a part of the copy. */
static void test_mounted_inside(void **state)
{
	struct ec_tree_counts counts;
	struct ec_why why = EC_WHY_NULL;
	int b;

	sh("rm -rf b; cp -a a b; mount -t tmpfs tmpfs b/empty; echo mine > b/empty/mine");
	b = open_dir("b");
	assert_int_equal(ec_tree_remove_contents(b, NULL, &why), -EBUSY);
	sh("test $(cat b/empty/mine) = mine");
	close(b);
	sh("umount b/empty; rm -rf b; cp -a a b; mount -t tmpfs -o mode=755 tmpfs b/empty");
	{
		int a = open_dir("a");

		b = open_dir("b");
		assert_int_equal(ec_tree_compare(a, b, NULL, &counts, &why), -EXDEV);
		close(a);
		close(b);
	}
	sh("umount b/empty");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_differences),
		cmocka_unit_test(test_coarse_times),
		cmocka_unit_test(test_xattrs),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_copy_fails),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_copy_full),
		cmocka_unit_test(test_mounted_inside),
		cmocka_unit_test(test_note),
		cmocka_unit_test(test_flags),
	};

	NEED_ROOT();
	return cmocka_run_group_tests(tests, enter_scratch, leave_scratch);
}
