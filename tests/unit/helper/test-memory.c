/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the operations leave behind in memory, and what they do when there is none: every malloc()
 * of ours and of the JSON library and every mmap() fails once.
 */
#include "helper/operation.h"

#include "tests/unit/helper/operations.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define CHEAP_MS 1
#define NEEDLE_LEN 16	/* bytes of a secret that count as a find */

/* The linker leads the calls of our own code here; libjansson is told to come. */
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_mmap(void *address, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t len, int prot, int flags, int fd, off_t offset);

static long allocations_left = -1;	/* until one fails; negative: none does */
static bool has_failed;

static bool fails_now(void)
{
	if (allocations_left < 0 || allocations_left-- > 0)
		return false;
	has_failed = true;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_mmap(void *address, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (!fails_now())
		return __real_mmap(address, len, prot, flags, fd, offset);
	errno = ENOMEM;
	return MAP_FAILED;
}

static struct ecd_reason reason;

static int run(const struct ec_wire_message *request, struct ec_wire_message *ret_reply)
{
	reason = (struct ecd_reason){ "" };
	return ecd_operation_run(request, CHEAP_MS, ret_reply, &reason);
}

static json_t *create(const char *passphrase, const char *slot, struct ec_secret *ret_recovery)
{
	_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL, request;
	json_t *body = create_body();

	if (slot)
		json_object_set_new(body, "slots", json_pack("[s]", slot));
	request = request_of(body, passphrase, NULL);
	assert_int_equal(run(&request, &reply), 0);
	assert_int_equal(ec_secret_from_memfd(ret_recovery, reply.fds[1]), 0);
	return json_incref(json_object_get(reply.body, "document"));
}

/* Runs the request once for each allocation in it. */
static void fail_each(const char *name, struct ec_wire_message *request)
{
	long n;

	for (n = 0;; n++) {
		_cleanup_message_ struct ec_wire_message reply = EC_WIRE_MESSAGE_NULL;
		int r;

		has_failed = false;
		allocations_left = n;
		r = run(request, &reply);
		allocations_left = -1;
		if (!has_failed) {
			assert_int_equal(r, 0);
			break;
		}
		/* a success in spite of it is one that did not need the memory */
		if (r != -ENOMEM && r != -EIO && r != 0)
			fail_msg("%s: allocation %ld fails: %d, %s", name, n, r, reason.text);
		if (r < 0)
			assert_null(reply.body);
	}
	assert_true(n > 5);
	print_message("# %s: each of %ld allocations failed once\n", name, n);
	ec_wire_message_done(request);
}

static void test_every_allocation_fails(void **state)
{
	_cleanup_secret_ struct ec_secret recovery = EC_SECRET_NULL;
	json_t *document = create("right", NULL, &recovery), *body;
	char text[128] = "";
	struct ec_wire_message request;

	memcpy(text, recovery.data, recovery.len);
	request = request_of(json_pack("{s:s, s:O, s:i}", "op", "open", "document", document,
				       "slot", 1), text, NULL);
	fail_each("open", &request);
	body = create_body();
	json_object_set_new(body, "slots", json_pack("[s]", "recovery"));
	request = request_of(body, "right", NULL);
	fail_each("create", &request);
	request = request_of(json_pack("{s:s, s:o, s:[s]}", "op", "open-legacy", "wrapped",
				       base64_of_hex(FOO_V2_HEX), "sigs", FOO_SIG), "bar", NULL);
	fail_each("open-legacy", &request);
	request = request_of(json_pack("{s:s, s:o}", "op", "change-legacy", "wrapped",
				       base64_of_hex(FOO_V2_HEX)), "bar", "new");
	fail_each("change-legacy", &request);
	json_decref(document);
}

#ifndef __SANITIZE_ADDRESS__
/* How often is the needle in what this process may write to, other than where it is kept? */
static size_t find_in_memory(const struct ec_secret *needle)
{
	_cleanup_fclose_ FILE *maps = fopen("/proc/self/maps", "re");
	const uint8_t *own = needle->data;
	size_t n = 0;
	char line[512];

	assert_non_null(maps);
	assert_true(needle->len >= NEEDLE_LEN);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end;
		const uint8_t *p, *last;
		char flags[5];

		if (sscanf(line, "%lx-%lx %4s", &start, &end, flags) != 3 ||
		    strncmp(flags, "rw", 2) != 0 || end - start > 1UL << 32)
			continue;
		p = (const uint8_t *)start;
		last = (const uint8_t *)end;
		for (; (p = memmem(p, (size_t)(last - p), own, NEEDLE_LEN)); p++)
			if (p < own || p >= own + needle->mapped_len)
				n++;
	}
	return n;
}

/* A passphrase that stands nowhere but where it is kept: not in the program's text either. */
static struct ec_secret new_canary(void)
{
	struct ec_secret canary;
	size_t i;

	assert_int_equal(ec_secret_init(&canary, 32), 0);
	srandom((unsigned int)getpid());
	for (i = 0; i < canary.len; i++)
		canary.data[i] = (uint8_t)('a' + random() % 26);
	return canary;
}

static struct ec_wire_message request_with(json_t *body, const struct ec_secret *secret)
{
	struct ec_wire_message message = EC_WIRE_MESSAGE_NULL;

	message.body = body;
	assert_int_equal(ec_secret_to_memfd(secret, &message.fds[0]), 0);
	message.n_fds = 1;
	return message;
}

static void test_the_search_finds(void **state)
{
	_cleanup_secret_ struct ec_secret canary = new_canary();
	uint8_t *copy = malloc(64);

	assert_int_equal(find_in_memory(&canary), 0);
	memcpy(copy + 7, canary.data, NEEDLE_LEN);
	assert_int_equal(find_in_memory(&canary), 1);
	explicit_bzero(copy, 64);
	free(copy);
	assert_int_equal(find_in_memory(&canary), 0);
}

static void check_gone(const char *what, const struct ec_secret *secret)
{
	size_t n = find_in_memory(secret);

	if (n)
		fail_msg("%s: %zu copies left in memory", what, n);
}

/* Each mount key of a reply, and the whole of a text that it carries. */
static void check_reply_gone(struct ec_wire_message *reply)
{
	_cleanup_secret_ struct ec_secret keys = EC_SECRET_NULL, recovery = EC_SECRET_NULL;
	size_t i;

	assert_int_equal(ec_secret_from_memfd(&keys, reply->fds[0]), 0);
	for (i = 0; i < keys.len / sizeof(struct ecfs_mount_key); i++) {
		const struct ecfs_mount_key *packed = (struct ecfs_mount_key *)keys.data + i;
		_cleanup_secret_ struct ec_secret key = secret_of(packed->key, sizeof(packed->key));
		_cleanup_secret_ struct ec_secret all = EC_SECRET_NULL;

		/* out of sight while looking */
		ec_secret_move(&all, &keys);
		explicit_bzero(all.data, all.mapped_len);
		check_gone("mount key", &key);
		assert_int_equal(ec_secret_from_memfd(&keys, reply->fds[0]), 0);
	}
	if (reply->n_fds < 2)
		return;
	assert_int_equal(ec_secret_from_memfd(&recovery, reply->fds[1]), 0);
	check_gone("recovery key", &recovery);
}

static void test_nothing_remains(void **state)
{
	_cleanup_secret_ struct ec_secret canary = new_canary(), foo = secret_of_text("bar");
	_cleanup_message_ struct ec_wire_message created = EC_WIRE_MESSAGE_NULL;
	_cleanup_message_ struct ec_wire_message opened = EC_WIRE_MESSAGE_NULL;
	_cleanup_message_ struct ec_wire_message legacy = EC_WIRE_MESSAGE_NULL;
	struct ec_wire_message request = request_with(create_body(), &canary);

	assert_int_equal(run(&request, &created), 0);
	ec_wire_message_done(&request);
	check_gone("passphrase after create", &canary);
	check_reply_gone(&created);

	request = request_with(json_pack("{s:s, s:O}", "op", "open", "document",
					 json_object_get(created.body, "document")), &canary);
	assert_int_equal(run(&request, &opened), 0);
	ec_wire_message_done(&request);
	check_gone("passphrase after open", &canary);
	check_reply_gone(&opened);

	request = request_with(json_pack("{s:s, s:o, s:[s]}", "op", "open-legacy", "wrapped",
					 base64_of_hex(FOO_V2_HEX), "sigs", FOO_SIG), &foo);
	assert_int_equal(run(&request, &legacy), 0);
	ec_wire_message_done(&request);
	check_reply_gone(&legacy);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifndef __SANITIZE_ADDRESS__	/* which forbids to look at freed memory */
		cmocka_unit_test(test_the_search_finds),
		cmocka_unit_test(test_nothing_remains),
#endif
		cmocka_unit_test(test_every_allocation_fails),
	};

	json_set_alloc_funcs(__wrap_malloc, free);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
