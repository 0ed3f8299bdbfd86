/* SPDX-License-Identifier: GPL-2.0-only */
#include "mount/enclosure.h"
#include "mount/pin.h"

#include "tests/unit/mount/support.h"

#include <errno.h>

#define UID 4242
#define USER "homes/.ecryptfs/dora"
#define WORKSHOP "homes/.ecryptfs/.import-home-4242"

/* As the store leaves it, then prepare. */
static int make(struct ec_enclosure *enclosure, int *base, const char *prepare, struct ec_why *why)
{
	sh("chattr -R -f -ia homes; rm -rf homes; mkdir -p " USER "/vault && chmod 700 " USER " " USER
	   "/vault && echo '{}' > " USER "/vault/ecryptfs-vault.json && echo '{}' > " USER
	   "/vault/ecryptfs-vault.json.bak && chown -R 4242:4242 " USER);
	sh(prepare);
	*base = open_dir(USER);
	return ec_enclosure_make(enclosure, open_dir("homes/.ecryptfs"), *base, "home-4242", UID,
				 NULL, why);
}

static void done(struct ec_enclosure *enclosure, int base)
{
	ec_enclosure_done(enclosure);
	close(base);
}

/* What cp does there, below a root of the owner's. */
#define FILL "echo cipher > " WORKSHOP "/vault/ECRYPTFS && chown -R 4242:4242 " WORKSHOP "/vault"
#define AS_DORA "setpriv --reuid 4242 --regid 4242 --clear-groups "

static void test_steps(void **state)
{
	struct ec_enclosure enclosure;
	struct ec_why why = EC_WHY_NULL;
	int base;

	if (make(&enclosure, &base, "true", &why) < 0)
		fail_msg("%s", why.text);
	sh("test $(stat -c %u:%a " WORKSHOP ") = 0:700");
	sh(FILL);
	/* It is the owner's, and still out of reach. */
	sh("chmod 755 . homes homes/.ecryptfs; ! " AS_DORA "ls " WORKSHOP "/vault 2> /dev/null && "
	   AS_DORA "ls " USER "/vault > /dev/null");
	if (ec_enclosure_publish(&enclosure, &why) < 0)
		fail_msg("%s", why.text);
	sh("test $(cat " USER "/vault/ECRYPTFS) = cipher && cd " USER "/vault && test $(ls | wc -l) = 3 "
	   "&& test -f ecryptfs-vault.json && test -f ecryptfs-vault.json.bak");
	if (ec_enclosure_withdraw(&enclosure, &why) < 0)
		fail_msg("%s", why.text);
	sh("cd " USER "/vault && test $(ls | wc -l) = 2 && test -f ecryptfs-vault.json");
	if (ec_enclosure_publish(&enclosure, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(ec_enclosure_discard(&enclosure, NULL, NULL), 0);
	sh("test ! -e " WORKSHOP " && test -f " USER "/vault/ECRYPTFS && test \"$(cat " USER
	   "/vault/ecryptfs-vault.json)\" = '{}' && test $(stat -c %h " USER "/vault/ecryptfs-vault.json) = 1");
	done(&enclosure, base);
}

/* What stands there before, and what becomes of it. */
static void test_refused(void **state)
{
	static const struct {
		const char *prepare;
		int want;
		const char *words;
	} rows[] = {
		{ "touch " USER "/vault/ECRYPTFS_1 " USER "/vault/x", -EEXIST, "has 2 files already" },
		{ "chown 0 " USER "/vault", -ELOOP, "belongs to uid 0" },
		{ "mv " USER "/vault " USER "/v && ln -s v " USER "/vault", -ENOTDIR, "cannot be opened" },
		{ "rm -r " USER "/vault", -ENOENT, "cannot be opened" },
		{ "mkdir -m 755 " WORKSHOP, -ELOOP, ".import-home-4242" },
		{ "mkdir -m 700 " WORKSHOP " && chown 4242 " WORKSHOP, -ELOOP, ".import-home-4242" },
		{ "ln -s /etc " WORKSHOP, -ENOTDIR, ".import-home-4242" },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ec_enclosure enclosure;
		struct ec_why why = EC_WHY_NULL;
		int base, r = make(&enclosure, &base, rows[i].prepare, &why);

		if (r != rows[i].want || !strstr(why.text, rows[i].words))
			fail_msg("%s: %d %s", rows[i].prepare, r, why.text);
		done(&enclosure, base);
	}
}

/* Whatever an attempt left that was cut off, root's and immutable files among it. */
static void test_leftovers(void **state)
{
	struct ec_enclosure enclosure;
	struct ec_why why = EC_WHY_NULL;
	int base;

	if (make(&enclosure, &base, "mkdir -p " WORKSHOP "/vault/d/e " USER "/unfinished-vault/mod/roots && "
		 "chmod 700 " WORKSHOP " && touch " WORKSHOP "/vault/d/e/f " USER "/unfinished-vault/mod/roots/f && "
		 "ln -s / " USER "/unfinished-vault/slash && "
		 "chown -R 4242 " USER "/unfinished-vault && chown 0 " USER "/unfinished-vault/mod/roots && "
		 "chmod 0 " USER "/unfinished-vault/mod/roots " USER "/unfinished-vault/mod; "
		 "chattr -f +i " USER "/unfinished-vault/mod/roots/f; true", &why) < 0)
		fail_msg("%s", why.text);
	ec_enclosure_forget(enclosure.parent, "home-4243");
	sh("test ! -e " USER "/unfinished-vault && test \"$(ls -A " WORKSHOP ")\" = vault && "
	   "test -z \"$(ls -A " WORKSHOP "/vault)\"");
	ec_enclosure_forget(enclosure.parent, "home-4242");
	sh("test ! -e " WORKSHOP " && test -d " USER "/vault && mkdir " WORKSHOP " && touch " WORKSHOP "/x");
	/* Not root's alone: not ours. */
	ec_enclosure_forget(enclosure.parent, "home-4242");
	sh("test -e " WORKSHOP "/x");
	done(&enclosure, base);
}

/* What the owner does while the vault is filled. */
static void test_hostile(void **state)
{
	static const struct {
		const char *act;
		int want;
	} rows[] = {
		{ "touch " USER "/vault/mine", -EEXIST },
		{ "mv " USER "/vault " USER "/v && ln -s /etc " USER "/vault", -ENOTDIR },
		{ "rm " USER "/vault/ecryptfs-vault.json && ln -s /etc/passwd " USER "/vault/ecryptfs-vault.json",
		  -ESTALE },
		{ "rm " USER "/vault/ecryptfs-vault.json && mkfifo " USER "/vault/ecryptfs-vault.json", -ESTALE },
		{ "rm " USER "/vault/ecryptfs-vault.json && echo secret > homes/roots && ln homes/roots "
		  USER "/vault/ecryptfs-vault.json", -ESTALE },
		{ "rm -r " USER "/vault && mkdir " USER "/vault", -ELOOP },	/* root's, for some reason */
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ec_enclosure enclosure;
		struct ec_why why = EC_WHY_NULL;
		int base, r;

		if (make(&enclosure, &base, "true", &why) < 0)
			fail_msg("%s", why.text);
		sh(FILL);
		sh(rows[i].act);
		r = ec_enclosure_publish(&enclosure, &why);
		if (r != rows[i].want || !why.text[0])
			fail_msg("%s: %d %s", rows[i].act, r, why.text);
		sh("test -f " WORKSHOP "/vault/ECRYPTFS && test ! -e " USER "/vault/ECRYPTFS");
		assert_int_equal(ec_enclosure_withdraw(&enclosure, NULL), 0);
		assert_int_equal(ec_enclosure_discard(&enclosure, NULL, NULL), 0);
		sh("test ! -e " WORKSHOP);
		done(&enclosure, base);
	}
	/* Once it stands in its place, it is his to move; root does not take anything else back. */
	{
		struct ec_enclosure enclosure;
		struct ec_why why = EC_WHY_NULL;
		int base;

		assert_int_equal(make(&enclosure, &base, "true", &why), 0);
		sh(FILL);
		assert_int_equal(ec_enclosure_publish(&enclosure, &why), 0);
		sh("mv " USER "/vault " USER "/v && mkdir " USER "/vault && touch " USER "/vault/his");
		assert_int_equal(ec_enclosure_withdraw(&enclosure, &why), -ESTALE);
		sh("test -f " USER "/v/ECRYPTFS && test -f " USER "/vault/his");
		done(&enclosure, base);
	}
}

/* A filesystem of its own cannot be exchanged with: said before anything is copied. */
static void test_two_filesystems(void **state)
{
	struct ec_enclosure enclosure;
	struct ec_why why = EC_WHY_NULL;
	int base;

	assert_int_equal(make(&enclosure, &base, "mount -t tmpfs -o mode=700 tmpfs " USER " && mkdir -m 700 "
			      USER "/vault && chown -R 4242 " USER, &why), -EXDEV);
	done(&enclosure, base);
	sh("umount " USER);
}

#define FILES "400"
#define HOME "homes/dora"

/* A process of the owner's, in a group that ends with the caller's. */
static pid_t become_owner(void)
{
	if (setpgid(0, 0) < 0 || setresgid(UID, UID, UID) < 0 || setresuid(UID, UID, UID) < 0)
		_exit(1);
	return fork();
}

/* Exchanges a directory of the home with a link that leads to root's, again and again. */
static void flip(void)
{
	if (become_owner() == 0)
		for (;;)
			renameat2(AT_FDCWD, HOME "/directory", AT_FDCWD, HOME "/link", RENAME_EXCHANGE);
}

/* Puts a link in the place of a directory of the vault as soon as there is one. */
static void strike(void)
{
	if (become_owner() == 0)
		for (;;)
			if (faccessat(AT_FDCWD, USER "/vault/link", F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
			    rmdir(USER "/vault/directory") < 0 && errno == ENOTEMPTY)
				if (rename(USER "/vault/directory", USER "/vault/.away") == 0)
					rename(USER "/vault/link", USER "/vault/directory");
}

/*
 * The owner of the home is quicker than root's cp, in the home and in the vault. Nothing is read
 * that he could not read, and nothing is written where he could not.
 */
static void test_races(void **state)
{
	static void (*const attacks[])(void) = { flip, strike };
	char command[PATH_MAX + 400];
	size_t i;

	for (i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		struct ec_enclosure enclosure;
		struct ec_why why = EC_WHY_NULL;
		int base, home, view, view_mount;
		pid_t pid;

		/* The link first, as cp takes them. */
		snprintf(command, sizeof(command), "rm -rf outside; mkdir -m 700 outside; mkdir -p " HOME
			 "; ln -s %s/outside " HOME "/link; mkdir " HOME "/directory; for i in $(seq " FILES
			 "); do echo mine > " HOME "/directory/f$i; done; chown -hR 4242:4242 " HOME
			 "; chmod 755 . homes", (const char *)*state);
		assert_int_equal(make(&enclosure, &base, command, &why), 0);
		if (attacks[i] == flip)
			sh("for i in $(seq " FILES "); do echo root > outside/f$i; done");
		home = open_dir(HOME);
		assert_int_equal(ec_pin_view(home, &view_mount, &view, &why), 0);
		pid = child_that(attacks[i]);
		ec_tree_copy(view, enclosure.vault, NULL, NULL);
		kill(-pid, SIGKILL);
		end_child(pid);
		sh("! grep -rlx root " WORKSHOP);
		if (attacks[i] == strike)
			sh("test -z \"$(ls outside)\"");
		close(view);
		close(view_mount);
		close(home);
		done(&enclosure, base);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_leftovers),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_two_filesystems),
		cmocka_unit_test(test_races),
	};

	NEED_ROOT();
	return cmocka_run_group_tests(tests, enter_scratch, leave_scratch);
}
