/* SPDX-License-Identifier: GPL-2.0-only */
#include "mount/placeholder.h"

#include "tests/unit/mount/support.h"

#include <errno.h>

#define UID 4242
#define GID 4343

struct place {
	struct ec_placeholder ph;
	ino_t home_ino;
};

static struct place fresh(const char *home)
{
	struct place place = { .ph = { .home_name = "dora", .uid = UID, .gid = GID } };
	struct stat st;

	sh("rm -rf homes; mkdir -p homes/.ecryptfs/dora");
	sh(home);
	place.ph.base_fd = open_dir("homes/.ecryptfs/dora");
	place.ph.home_parent_fd = open_dir("homes");
	if (stat("homes/dora", &st) == 0)
		place.home_ino = st.st_ino;
	return place;
}

static void done(struct place *place)
{
	close(place->ph.base_fd);
	close(place->ph.home_parent_fd);
}

#define FULL "mkdir -m 750 homes/dora && echo diary > homes/dora/diary"
#define KEPT "homes/.ecryptfs/dora/home-before-encryption"

static void assert_closed(const char *path)
{
	char command[256];
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0500);
	assert_int_equal(st.st_uid, UID);
	assert_int_equal(st.st_gid, GID);
	snprintf(command, sizeof(command), "test \"$(ls -A %s)\" = README.txt && grep -q encrypted %s/README.txt && test $(stat -c %%u:%%g:%%a %s/README.txt) = %d:%d:444",
		 path, path, path, UID, GID);
	sh(command);
}

static void assert_old_home_in_place(void)
{
	sh("test $(cat homes/dora/diary) = diary && test $(stat -c %a homes/dora) = 750");
}

/* Before and after each step there is one of the two states that the header promises. */
static void test_steps(void **state)
{
	struct place place = fresh(FULL);

	umask(0777);	/* a hostile umask shows in nothing */
	assert_int_equal(ec_placeholder_probe(&place.ph, NULL), 0);
	umask(022);
	assert_old_home_in_place();
	sh("test -z \"$(ls -A homes/.ecryptfs/dora)\" && test \"$(ls homes)\" = dora");

	umask(0777);
	assert_int_equal(ec_placeholder_prepare(&place.ph, NULL), 0);
	umask(022);
	assert_old_home_in_place();
	assert_closed(KEPT);

	assert_int_equal(ec_placeholder_swap(&place.ph, place.home_ino, NULL), 0);
	assert_closed("homes/dora");
	sh("test $(cat " KEPT "/diary) = diary && test $(stat -c %a " KEPT ") = 750");
	assert_int_equal(ec_placeholder_drop_empty(&place.ph), -ENOTEMPTY);
	/* Nothing takes the kept home away, nor does a second attempt. */
	assert_int_equal(ec_placeholder_discard(&place.ph), -EEXIST);
	assert_int_equal(ec_placeholder_prepare(&place.ph, NULL), -EEXIST);
	sh("test $(cat " KEPT "/diary) = diary && test $(stat -c %a " KEPT ") = 750");
	done(&place);
}

/* The way back leaves all as it was; and it is not taken over something else. */
static void test_back(void **state)
{
	struct place place = fresh(FULL);

	assert_int_equal(ec_placeholder_prepare(&place.ph, NULL), 0);
	assert_int_equal(ec_placeholder_swap_back(&place.ph, place.home_ino, NULL), -ESTALE);
	assert_int_equal(ec_placeholder_swap(&place.ph, place.home_ino, NULL), 0);
	assert_int_equal(ec_placeholder_swap_back(&place.ph, place.home_ino, NULL), 0);
	assert_old_home_in_place();
	assert_closed(KEPT);
	assert_int_equal(ec_placeholder_swap(&place.ph, place.home_ino, NULL), 0);
	sh("mv " KEPT " aside; mkdir " KEPT);
	assert_int_equal(ec_placeholder_swap_back(&place.ph, place.home_ino, NULL), -ESTALE);
	assert_closed("homes/dora");
	sh("rmdir " KEPT "; mv aside " KEPT);
	assert_int_equal(ec_placeholder_swap_back(&place.ph, place.home_ino, NULL), 0);
	assert_int_equal(ec_placeholder_discard(&place.ph), 0);
	assert_old_home_in_place();
	done(&place);

	place = fresh("true");
	assert_int_equal(ec_placeholder_prepare(&place.ph, NULL), 0);
	assert_int_equal(ec_placeholder_move(&place.ph, NULL), 0);
	assert_int_equal(ec_placeholder_move_back(&place.ph, NULL), 0);
	assert_closed(KEPT);
	sh("mkdir homes/dora");
	assert_int_equal(ec_placeholder_move_back(&place.ph, NULL), -ESTALE);
	sh("rmdir homes/dora");
	assert_int_equal(ec_placeholder_discard(&place.ph), 0);
	sh("test ! -e homes/dora && test ! -e " KEPT);
	done(&place);
}

static void test_interrupted(void **state)
{
	static const char *const leftovers[] = {
		"mkdir " KEPT,
		"mkdir " KEPT "; touch " KEPT "/README.txt",
		"mkdir " KEPT "; printf 'This home directory' > " KEPT "/README.txt",
		"mkdir -m 500 " KEPT,
	};
	size_t i;

	for (i = 0; i < sizeof(leftovers) / sizeof(leftovers[0]); i++) {
		struct place place = fresh(FULL);

		sh(leftovers[i]);
		assert_int_equal(ec_placeholder_prepare(&place.ph, NULL), 0);
		assert_closed(KEPT);
		assert_int_equal(ec_placeholder_discard(&place.ph), 0);
		sh("test ! -e " KEPT);
		assert_int_equal(ec_placeholder_discard(&place.ph), 0);
		assert_old_home_in_place();
		done(&place);
	}
	print_message("# %zu leftovers of a swap that was cut short, each taken away\n", i);
}

static void test_kept_files(void **state)
{
	static const char *const kept[] = {
		"mkdir " KEPT "; touch " KEPT "/x",
		"mkdir -m 500 " KEPT "; touch " KEPT "/x",
		"mkdir " KEPT "; echo mine > " KEPT "/README.txt",
		"mkdir " KEPT "; touch " KEPT "/README.txt " KEPT "/x",
		"mkdir -p " KEPT "/README.txt",
		"touch " KEPT,
		"ln -s /etc " KEPT,
	};
	size_t i;

	for (i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		struct place place = fresh(FULL);
		struct ec_why why = EC_WHY_NULL;

		sh(kept[i]);
		sh("ls -lAR " KEPT " > before 2>&1");
		if (ec_placeholder_prepare(&place.ph, &why) >= 0 ||
		    ec_placeholder_discard(&place.ph) >= 0)
			fail_msg("%s", kept[i]);
		assert_true(why.text[0]);
		sh("ls -lAR " KEPT " > after 2>&1; cmp before after");
		assert_old_home_in_place();
		done(&place);
	}
	print_message("# %zu files in the way, each left as it was\n", i);
}

static void test_replaced_home(void **state)
{
	struct place place = fresh(FULL);

	assert_int_equal(ec_placeholder_prepare(&place.ph, NULL), 0);
	sh("mv homes/dora homes/aside && mkdir homes/dora");
	assert_int_equal(ec_placeholder_swap(&place.ph, place.home_ino, NULL), -ESTALE);
	sh("rmdir homes/dora && ln -s aside homes/dora");
	assert_int_equal(ec_placeholder_swap(&place.ph, place.home_ino, NULL), -ESTALE);
	sh("rm homes/dora");
	assert_int_equal(ec_placeholder_swap(&place.ph, place.home_ino, NULL), -ESTALE);
	assert_closed(KEPT);
	done(&place);
}

/* The base directory is the user's: what appears there under the name is not put into /home. */
static void test_replaced_placeholder(void **state)
{
	struct place place = fresh(FULL);

	assert_int_equal(ec_placeholder_prepare(&place.ph, NULL), 0);
	sh("mv " KEPT " aside && ln -s /etc " KEPT);
	assert_int_equal(ec_placeholder_swap(&place.ph, place.home_ino, NULL), -ESTALE);
	assert_int_equal(ec_placeholder_discard(&place.ph), -EEXIST);
	sh("rm " KEPT "; mkdir " KEPT);
	assert_int_equal(ec_placeholder_swap(&place.ph, place.home_ino, NULL), -ESTALE);
	assert_old_home_in_place();
	sh("rm -r homes/dora");
	assert_int_equal(ec_placeholder_move(&place.ph, NULL), -ESTALE);
	sh("test ! -e homes/dora && rm -r aside");
	done(&place);
}

static void test_no_home(void **state)
{
	struct place place = fresh("true");

	assert_int_equal(ec_placeholder_prepare(&place.ph, NULL), 0);
	assert_int_equal(ec_placeholder_move(&place.ph, NULL), 0);
	assert_closed("homes/dora");
	sh("test ! -e " KEPT);
	assert_int_equal(ec_placeholder_prepare(&place.ph, NULL), 0);
	assert_int_equal(ec_placeholder_move(&place.ph, NULL), -EEXIST);
	done(&place);
}

static void test_empty_home(void **state)
{
	struct place place = fresh("mkdir homes/dora");

	assert_int_equal(ec_placeholder_prepare(&place.ph, NULL), 0);
	assert_int_equal(ec_placeholder_swap(&place.ph, place.home_ino, NULL), 0);
	assert_int_equal(ec_placeholder_drop_empty(&place.ph), 0);
	assert_closed("homes/dora");
	sh("test ! -e " KEPT);
	done(&place);
}

static void test_two_filesystems(void **state)
{
	struct place place = fresh(FULL);
	struct ec_why why = EC_WHY_NULL;

	close(place.ph.base_fd);
	sh("mkdir -p /dev/shm/ecryptfsd-test-base");
	place.ph.base_fd = open_dir("/dev/shm/ecryptfsd-test-base");
	assert_int_equal(ec_placeholder_probe(&place.ph, &why), -EXDEV);
	assert_true(why.text[0]);
	sh("rmdir /dev/shm/ecryptfsd-test-base");
	assert_old_home_in_place();
	done(&place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_kept_files),
		cmocka_unit_test(test_replaced_home),
		cmocka_unit_test(test_replaced_placeholder),
		cmocka_unit_test(test_no_home),
		cmocka_unit_test(test_empty_home),
		cmocka_unit_test(test_two_filesystems),
	};

	NEED_ROOT();
	return cmocka_run_group_tests(tests, enter_scratch, leave_scratch);
}
