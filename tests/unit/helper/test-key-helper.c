/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The real ecryptfs-key-helper over a socketpair, as the broker meets it. The first argument is
 * the program.
 */
#include "lib/error.h"
#include "lib/kdf.h"
#include "lib/vault-document.h"
#include "tests/unit/helper/operations.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define RECOVERY_LEN 87

static const char *program;

struct helper {
	pid_t pid;
	int socket;
};

/* as_unit: the way systemd hands a connection over; else by --socket-fd=. */
static struct helper start(bool as_unit)
{
	struct helper helper;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	helper.pid = fork();
	assert_true(helper.pid >= 0);
	if (helper.pid == 0) {
		char pid[16];

		dup2(pair[1], 3);
		fcntl(3, F_SETFD, 0);	/* where it was 3 already */
		if (as_unit) {
			snprintf(pid, sizeof(pid), "%d", getpid());
			setenv("LISTEN_FDS", "1", 1);
			setenv("LISTEN_PID", pid, 1);
			execl(program, program, "--kdf-target-ms=1", NULL);
		} else {
			execl(program, program, "--socket-fd=3", "--kdf-target-ms=1", NULL);
		}
		_exit(126);
	}
	close(pair[1]);
	helper.socket = pair[0];
	return helper;
}

/* The exit status, or minus the signal. */
static int finish(struct helper *helper)
{
	int status;

	close(helper->socket);
	assert_int_equal(waitpid(helper->pid, &status, 0), helper->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Is a secret among the bytes of a reply? */
static void assert_not_in(const json_t *body, const char *secret)
{
	char *text = json_dumps(body, 0);

	if (secret && strlen(secret) > 3 && strstr(text, secret))
		fail_msg("a secret in the reply: %s", text);
	free(text);
}

/* One request to a helper of its own. Takes body. The errno of the reply, 0 if it has none. */
static int ask(json_t *body, const char *first, const char *second,
	       struct ec_wire_message *ret_reply)
{
	_cleanup_message_ struct ec_wire_message request = request_of(body, first, second);
	struct helper helper = start(false);

	assert_int_equal(ec_wire_send(helper.socket, request.body, request.fds, request.n_fds), 0);
	assert_int_equal(ec_wire_recv(helper.socket, ret_reply), 0);
	assert_int_equal(finish(&helper), 0);
	assert_not_in(ret_reply->body, first);
	assert_not_in(ret_reply->body, second);
	return ec_wire_reply_error(ret_reply->body);
}

static const char *text_of(const struct ec_wire_message *reply)
{
	return json_string_value(json_object_get(reply->body, "text")) ?: "";
}

/* The mount keys of a reply are what its "keys" say; returns their number. */
static size_t check_keys(const struct ec_wire_message *reply, struct ecfs_mount_key ret[2])
{
	const json_t *keys = json_object_get(reply->body, "keys"), *key;
	_cleanup_secret_ struct ec_secret packed = EC_SECRET_NULL;
	size_t i, n;

	assert_true(reply->n_fds >= 1);
	assert_int_equal(ec_secret_from_memfd(&packed, reply->fds[0]), 0);
	assert_int_equal(packed.len % sizeof(ret[0]), 0);
	n = packed.len / sizeof(ret[0]);
	assert_in_range(n, 1, 2);
	memcpy(ret, packed.data, packed.len);
	for (i = 0; i < n; i++) {
		_cleanup_secret_ struct ec_secret bytes = secret_of(ret[i].key, sizeof(ret[i].key));
		uint8_t sig[EC_SIG_LEN];

		assert_int_equal(ret[i].version, 1);
		assert_int_equal(ret[i].reserved, 0);
		assert_int_equal(ec_key_sig(sig, &bytes), 0);
		assert_memory_equal(sig, ret[i].sig, EC_SIG_LEN);
	}
	json_array_foreach(keys, i, key) {
		char sig_hex[17];

		ec_hex_encode(sig_hex, ret[i < n ? i : 0].sig, EC_SIG_LEN);
		assert_string_equal(json_string_value(json_object_get(key, "sig")), sig_hex);
		assert_string_equal(json_string_value(json_object_get(key, "role")),
				    i ? "names" : "content");
	}
	return n;
}

static json_t *open_body(json_t *document, int slot)
{
	json_t *body = json_pack("{s:s, s:O}", "op", "open", "document", document);

	if (slot >= 0)
		json_object_set_new(body, "slot", json_integer(slot));
	return body;
}

/* Opens and expects slot; the keys are those of the first call. */
static void opens(json_t *document, int ask_slot, const char *secret, int slot)
{
	static struct ecfs_mount_key first[2];
	_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
	struct ecfs_mount_key keys[2];
	int r;

	r = ask(open_body(document, ask_slot), secret, NULL, &reply);
	if (r < 0)
		fail_msg("%d: %s", r, text_of(&reply));
	assert_int_equal(json_integer_value(json_object_get(reply.body, "slot")), slot);
	assert_int_equal(reply.n_fds, 1);
	assert_int_equal(check_keys(&reply, keys), 2);
	assert_int_equal(json_array_size(json_object_get(reply.body, "keys")), 2);
	if (!first[0].version)
		memcpy(first, keys, sizeof(first));
	assert_memory_equal(first, keys, sizeof(first));
}

static void refused(json_t *document, int ask_slot, const char *secret, int want,
		    const char *want_text)
{
	_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;

	assert_int_equal(ask(open_body(document, ask_slot), secret, NULL, &reply), want);
	if (want_text)
		assert_string_equal(text_of(&reply), want_text);
	assert_int_equal(reply.n_fds, 0);
}

static json_t *change(json_t *document, int slot, const char *old, const char *new, int want)
{
	_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
	json_t *body = json_pack("{s:s, s:O}", "op", "change", "document", document), *changed;
	int r;

	if (slot >= 0)
		json_object_set_new(body, "slot", json_integer(slot));
	r = ask(body, old, new, &reply);
	if (r != want)
		fail_msg("%d, not %d: %s", r, want, text_of(&reply));
	assert_int_equal(reply.n_fds, 0);
	if (r < 0)
		return NULL;
	changed = json_object_get(reply.body, "document");
	assert_int_equal(ec_vault_document_check(changed, NULL), 0);
	assert_int_equal(ec_vault_document_serial(changed), ec_vault_document_serial(document) + 1);
	assert_int_equal(json_integer_value(json_object_get(reply.body, "slot")), 0);
	/* the other slot, and all the rest but serial and MAC, are what they were */
	assert_true(json_equal(ec_vault_document_slot(changed, 1),
			       ec_vault_document_slot(document, 1)));
	assert_true(json_equal(json_object_get(changed, "keys"), json_object_get(document, "keys")));
	assert_false(json_equal(json_object_get(ec_vault_document_slot(changed, 0), "kdf"),
				json_object_get(ec_vault_document_slot(document, 0), "kdf")));
	return json_incref(changed);
}

/* What stands on disk until somebody has the recovery key. */
static void check_without_recovery(json_t *document, const char *recovery_text)
{
	assert_int_equal(ec_vault_document_check(document, NULL), 0);
	assert_int_equal(json_array_size(json_object_get(document, "slots")), 1);
	assert_int_equal(ec_vault_document_serial(document), 1);
	opens(document, -1, "first password", 0);
	refused(document, -1, recovery_text, -EKEYREJECTED, NULL);
}

/* The life of a vault, with one helper process for each step. */
static void test_vault(void **state)
{
	_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
	_cleanup_secret_ struct ec_secret recovery = EC_SECRET_NULL;
	char recovery_text[RECOVERY_LEN + 1] = "", typed[RECOVERY_LEN + 1];
	struct ecfs_mount_key keys[2];
	json_t *document, *second, *third;
	int i;

	assert_int_equal(ask(create_body(), "first password", NULL, &reply), 0);
	document = json_incref(json_object_get(reply.body, "document"));
	assert_int_equal(ec_vault_document_check(document, NULL), 0);
	assert_int_equal(ec_vault_document_serial(document), 1);
	assert_true(json_is_true(json_object_get(reply.body, "recovery")));
	assert_int_equal(reply.n_fds, 2);
	assert_int_equal(check_keys(&reply, keys), 2);
	assert_memory_not_equal(keys[0].key, keys[1].key, sizeof(keys[0].key));
	assert_int_equal(ec_secret_from_memfd(&recovery, reply.fds[1]), 0);
	assert_int_equal(recovery.len, RECOVERY_LEN);
	memcpy(recovery_text, recovery.data, RECOVERY_LEN);
	assert_not_in(reply.body, recovery_text);

	opens(document, -1, "first password", 0);
	opens(document, 0, "first password", 0);
	opens(document, -1, recovery_text, 1);
	opens(document, 1, recovery_text, 1);
	check_without_recovery(json_object_get(reply.body, "without_recovery"), recovery_text);
	for (i = 0; i < RECOVERY_LEN; i++)
		typed[i] = recovery_text[i] >= 'a' ? recovery_text[i] - 'a' + 'A' : ' ';
	typed[RECOVERY_LEN] = '\0';
	opens(document, -1, typed, 1);

	refused(document, -1, "second password", -EKEYREJECTED, "the secret is wrong");
	refused(document, -1, "", -EKEYREJECTED, NULL);
	refused(document, 0, recovery_text, -EKEYREJECTED, NULL);
	refused(document, 1, "first password", -EKEYREJECTED,
		"this is not a recovery key: it has 8 groups of 10 letters");
	typed[2 * 11 + 4] = 'q';
	refused(document, -1, typed, -EKEYREJECTED, "group 3 is mistyped");
	refused(document, 7, "first password", -EINVAL, "the vault has no slot 7");

	/* a password change, then one by somebody who forgot the password */
	assert_null(change(document, -1, "nonsense", "second password", -EKEYREJECTED));
	assert_null(change(document, -1, "first password", "", -EINVAL));
	assert_null(change(document, 1, recovery_text, "second password", -EOPNOTSUPP));
	second = change(document, -1, "first password", "second password", 0);
	opens(second, -1, "second password", 0);
	refused(second, -1, "first password", -EKEYREJECTED, NULL);
	opens(second, -1, recovery_text, 1);
	opens(document, -1, "first password", 0);	/* what is on disk until it is replaced */
	third = change(second, 0, recovery_text, "third password", 0);
	opens(third, -1, "third password", 0);
	refused(third, -1, "second password", -EKEYREJECTED, NULL);
	json_decref(third);
	third = change(second, -1, recovery_text, "fourth password", 0);
	opens(third, 0, "fourth password", 0);

	json_object_set_new(third, "name", json_string("mallory"));
	refused(third, -1, "fourth password", -EBADMSG, "the secret is right, but the vault "
		"document was altered since it was written");
	assert_null(change(third, -1, "fourth password", "fifth", -EBADMSG));
	json_decref(document);
	json_decref(second);
	json_decref(third);
}

static void test_no_recovery_no_names(void **state)
{
	_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
	_cleanup_secret_ struct ec_secret recovery = EC_SECRET_NULL;
	json_t *body = create_body(), *document;
	struct ecfs_mount_key keys[2];

	json_object_set_new(body, "slots", json_pack("[s]", "passphrase"));
	json_object_set_new(body, "options", json_pack("{s:b}", "names", 0));
	assert_int_equal(ask(body, "pa55-w0rd", NULL, &reply), 0);
	document = json_object_get(reply.body, "document");
	assert_true(json_is_false(json_object_get(reply.body, "recovery")));
	assert_null(json_object_get(reply.body, "without_recovery"));
	assert_true(json_is_null(json_object_get(json_object_get(document, "keys"), "fnek_sig")));
	assert_int_equal(reply.n_fds, 2);
	assert_int_equal(check_keys(&reply, keys), 1);
	assert_int_equal(ec_secret_from_memfd(&recovery, reply.fds[1]), 0);
	assert_int_equal(recovery.len, 0);
}

static json_t *legacy_body(const char *op, json_t *wrapped, const char *sig, const char *fnek_sig)
{
	json_t *body = json_pack("{s:s, s:o}", "op", op, "wrapped", wrapped);

	if (sig)
		json_object_set_new(body, "sigs", json_pack("[s, s*]", sig, fnek_sig));
	return body;
}

/* What ecryptfs-utils wrote opens, to the keys that it would have had. */
static void test_open_legacy(void **state)
{
	static const struct {
		const char *name, *wrapped, *login, *mount, *sig, *fnek_sig;
		int version;
	} cases[] = {
		{ "home-alice", ALICE_WRAPPED_HEX, ALICE_LOGIN, ALICE_MOUNT, ALICE_SIG,
		  ALICE_FNEK_SIG, 2 },
		{ "foo, version 2", FOO_V2_HEX, "bar", "foo", FOO_SIG, FOO_FNEK_SIG, 2 },
		{ "foo, version 1", FOO_V1_HEX, "bar", "foo", FOO_SIG, FOO_FNEK_SIG, 1 },
		{ "without names", FOO_V1_HEX, "bar", "foo", FOO_SIG, NULL, 1 },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
		_cleanup_secret_ struct ec_secret mount = secret_of_text(cases[i].mount);
		_cleanup_secret_ struct ec_secret content = EC_SECRET_NULL, names = EC_SECRET_NULL;
		struct ecfs_mount_key keys[2];
		uint8_t sig[EC_SIG_LEN];
		int r;

		r = ask(legacy_body("open-legacy", base64_of_hex(cases[i].wrapped), cases[i].sig,
				    cases[i].fnek_sig), cases[i].login, NULL, &reply);
		if (r < 0)
			fail_msg("%s: %d, %s", cases[i].name, r, text_of(&reply));
		assert_int_equal(json_integer_value(json_object_get(reply.body, "version")),
				 cases[i].version);
		assert_not_in(reply.body, cases[i].mount);
		assert_int_equal(check_keys(&reply, keys), cases[i].fnek_sig ? 2 : 1);
		assert_int_equal(ec_s2k(&content, sig, &mount, ec_s2k_salt_content), 0);
		assert_memory_equal(keys[0].key, content.data, EC_S2K_KEY_LEN);
		assert_memory_equal(keys[0].salt, ec_s2k_salt_content, EC_S2K_SALT_LEN);
		if (!cases[i].fnek_sig)
			continue;
		assert_int_equal(ec_s2k(&names, sig, &mount, ec_s2k_salt_names), 0);
		assert_memory_equal(keys[1].key, names.data, EC_S2K_KEY_LEN);
	}
}

/* The single file has no Private.sig: its content signature follows from its mount passphrase. */
static void test_open_legacy_single(void **state)
{
	_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
	_cleanup_secret_ struct ec_secret mount = secret_of_text(SINGLE_MOUNT), key = EC_SECRET_NULL;
	struct ecfs_mount_key keys[2];
	uint8_t sig[EC_SIG_LEN];
	char sig_hex[17];

	assert_int_equal(ec_s2k(&key, sig, &mount, ec_s2k_salt_content), 0);
	ec_hex_encode(sig_hex, sig, EC_SIG_LEN);
	/* both roles with the same key: packed once */
	assert_int_equal(ask(legacy_body("open-legacy", base64_of_hex(SINGLE_WRAPPED_HEX), sig_hex,
					 sig_hex), SINGLE_LOGIN, NULL, &reply), 0);
	assert_int_equal(check_keys(&reply, keys), 1);
	assert_int_equal(json_array_size(json_object_get(reply.body, "keys")), 2);
	assert_memory_equal(keys[0].key, key.data, EC_S2K_KEY_LEN);
}

static void test_change_legacy(void **state)
{
	static const char *const old_files[] = { ALICE_WRAPPED_HEX, FOO_V1_HEX };
	static const char *const old_logins[] = { ALICE_LOGIN, "bar" };
	static const char *const sigs[][2] = {
		{ ALICE_SIG, ALICE_FNEK_SIG }, { FOO_SIG, FOO_FNEK_SIG },
	};
	size_t i;

	for (i = 0; i < 2; i++) {
		_cleanup_message_ struct ec_wire_message changed = EC_WIRE_MESSAGE_NULL;
		_cleanup_message_ struct ec_wire_message after = EC_WIRE_MESSAGE_NULL;
		_cleanup_message_ struct ec_wire_message wrong = EC_WIRE_MESSAGE_NULL;
		struct ecfs_mount_key keys[2];
		json_t *wrapped;

		assert_int_equal(ask(legacy_body("change-legacy", base64_of_hex(old_files[i]),
						 sigs[i][0], sigs[i][1]),
				     old_logins[i], "new login", &changed), 0);
		wrapped = json_object_get(changed.body, "wrapped");
		assert_non_null(wrapped);
		assert_int_equal(changed.n_fds, 0);
		assert_int_equal(ask(legacy_body("open-legacy", json_incref(wrapped), sigs[i][0],
						 sigs[i][1]), "new login", NULL, &after), 0);
		assert_int_equal(json_integer_value(json_object_get(after.body, "version")), 2);
		assert_int_equal(check_keys(&after, keys), 2);
		assert_int_equal(ask(legacy_body("open-legacy", json_incref(wrapped), sigs[i][0],
						 NULL), old_logins[i], NULL, &wrong),
				 -EKEYREJECTED);
	}
}

static void test_change_legacy_refused(void **state)
{
	char long_secret[66];
	struct {
		const char *old, *new, *sig;
		int want;
	} cases[] = {
		{ "not alice", "new", NULL, -EKEYREJECTED },
		{ ALICE_LOGIN, "", NULL, -EINVAL },
		{ ALICE_LOGIN, long_secret, NULL, -EINVAL },
		{ ALICE_LOGIN, "new", FOO_SIG, -EBADMSG },	/* a file of somebody else */
		{ ALICE_LOGIN, long_secret + 1, NULL, 0 },
	};
	size_t i;

	memset(long_secret, 'x', 65);
	long_secret[65] = '\0';
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;

		assert_int_equal(ask(legacy_body("change-legacy", base64_of_hex(ALICE_WRAPPED_HEX),
						 cases[i].sig, NULL),
				     cases[i].old, cases[i].new, &reply), cases[i].want);
	}
}

/* Version 2 as ecryptfs-utils lays it out: mark, salt, signature, two blocks for 32 letters. */
static void test_change_legacy_layout(void **state)
{
	_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
	char sig_hex[17] = "";
	uint8_t file[58];

	assert_int_equal(ask(legacy_body("change-legacy", base64_of_hex(ALICE_WRAPPED_HEX), NULL,
					 NULL), ALICE_LOGIN, "new", &reply), 0);
	assert_int_equal(ecd_json_get_bytes(reply.body, "wrapped", file, sizeof(file)), 0);
	assert_memory_equal(file, "\x3a\x02", 2);
	memcpy(sig_hex, file + 10, 16);
	assert_int_equal(strspn(sig_hex, "0123456789abcdef"), 16);
}

static int send_fds(const int *fds, size_t n_fds, struct ec_wire_message *ret_reply)
{
	struct helper helper = start(false);
	json_t *body = create_body();

	assert_int_equal(ec_wire_send(helper.socket, body, fds, n_fds), 0);
	assert_int_equal(ec_wire_recv(helper.socket, ret_reply), 0);
	assert_int_equal(finish(&helper), 0);
	json_decref(body);
	return ec_wire_reply_error(ret_reply->body);
}

static void test_descriptors(void **state)
{
	_cleanup_secret_ struct ec_secret secret = secret_of_text("x");
	int good = -1, unsealed = memfd_create("x", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	int file = open(program, O_RDONLY | O_CLOEXEC), pair[2];
	size_t i;

	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	assert_int_equal(ec_secret_to_memfd(&secret, &good), 0);
	assert_int_equal(write(unsealed, "secret", 6), 6);
	{
		const int bad[] = { unsealed, file, pair[0], pair[1], STDERR_FILENO };
		const int two[] = { good, good };

		for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;

			assert_int_equal(send_fds(&bad[i], 1, &reply), -EPROTO);
			assert_string_equal(text_of(&reply),
					    "a secret is not a sealed memfd of at most 65536 bytes");
		}
		for (i = 0; i <= 2; i += 2) {
			_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;

			assert_int_equal(send_fds(two, i, &reply), -EPROTO);
		}
	}
	close(good);
	close(unsealed);
	close(file);
	close(pair[0]);
	close(pair[1]);
}

static void test_garbage(void **state)
{
	static const char *const bad[] = { "{", "hello", "[]", "{\"op\":\"open\",\"op\":\"open\"}" };
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
		struct helper helper = start(false);

		assert_int_equal(send(helper.socket, bad[i], strlen(bad[i]), 0), strlen(bad[i]));
		assert_int_equal(ec_wire_recv(helper.socket, &reply), 0);
		assert_int_equal(ec_wire_reply_error(reply.body), -EPROTO);
		assert_int_equal(finish(&helper), 0);
	}
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* A document that asks for 4 TiB: refused by name, the whole process included in the time. */
static void test_hostile_document(void **state)
{
	_cleanup_message_ struct ec_wire_message created = EC_WIRE_MESSAGE_NULL;
	_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
	json_t *document;
	uint64_t start_us, took;

	assert_int_equal(ask(create_body(), "pa55-w0rd", NULL, &created), 0);
	document = json_object_get(created.body, "document");
	json_object_set_new(json_object_get(ec_vault_document_slot(document, 0), "kdf"),
			    "memory_kib", json_integer(4LL << 30));
	start_us = now_us();
	assert_int_equal(ask(open_body(document, -1), "pa55-w0rd", NULL, &reply), -EOPNOTSUPP);
	took = now_us() - start_us;
	print_message("# 4 TiB refused in %llu us, start of the process included\n",
		      (unsigned long long)took);
}

static void test_one_operation_only(void **state)
{
	_cleanup_message_ struct ec_wire_message request = request_of(
		legacy_body("open-legacy", base64_of_hex(FOO_V2_HEX), FOO_SIG, NULL), "bar", NULL);
	_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
	struct helper helper = start(true);	/* and started as systemd does it */

	assert_int_equal(ec_wire_send(helper.socket, request.body, request.fds, 1), 0);
	assert_int_equal(ec_wire_recv(helper.socket, &reply), 0);
	assert_int_equal(ec_wire_reply_error(reply.body), 0);
	ec_wire_message_done(&reply);
	assert_int_equal(ec_wire_recv(helper.socket, &reply), -ECONNRESET);
	assert_int_equal(finish(&helper), 0);
}

static void test_broker_goes_away(void **state)
{
	struct helper helper = start(false);

	assert_int_equal(finish(&helper), 0);
}

/* Core files are off before the first secret can come: seen from outside, while it waits. */
static void test_hardened(void **state)
{
	struct helper helper = start(false);
	char path[64], line[256];
	bool core_off = false;
	FILE *limits;
	int i;

	/* until it has started: its soft limit of core files shows it */
	for (i = 0; i < 200 && !core_off; i++) {
		usleep(10000);
		snprintf(path, sizeof(path), "/proc/%d/limits", helper.pid);
		limits = fopen(path, "re");
		assert_non_null(limits);
		while (fgets(line, sizeof(line), limits))
			if (!strncmp(line, "Max core file size", 18))
				core_off = strstr(line, " 0                    0 ");
		fclose(limits);
	}
	assert_true(core_off);
	assert_int_equal(finish(&helper), 0);
}

static void test_usage(void **state)
{
	static const char *const bad[][2] = {
		{ "--nonsense", NULL }, { "--socket-fd=-1", NULL }, { "--socket-fd=x", NULL },
		{ "--kdf-target-ms=", NULL }, { "extra", NULL },
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
			execl(program, program, bad[i][0], NULL);
			_exit(126);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 2);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vault),
		cmocka_unit_test(test_no_recovery_no_names),
		cmocka_unit_test(test_open_legacy),
		cmocka_unit_test(test_open_legacy_single),
		cmocka_unit_test(test_change_legacy),
		cmocka_unit_test(test_change_legacy_refused),
		cmocka_unit_test(test_change_legacy_layout),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_hostile_document),
		cmocka_unit_test(test_one_operation_only),
		cmocka_unit_test(test_broker_goes_away),
		cmocka_unit_test(test_hardened),
		cmocka_unit_test(test_usage),
	};

	if (argc != 2) {
		fprintf(stderr, "usage: %s PROGRAM\n", argv[0]);
		return 2;
	}
	program = argv[1];
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
