/* SPDX-License-Identifier: GPL-2.0-only */
/* Argon2id through libargon2: calibration, ceilings, derivation. */
#include "helper/argon2id.h"

#include "helper/json-bytes.h"
#include "helper/wrap.h"

#include <argon2.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define LANES_MADE_MAX	4u	/* RFC 9106, 4 */
#define RAM_SHARE	8u	/* a derivation takes at most this part of the memory */

/*
 * The blocks hold what the secret expands to. libargon2 wipes them before it gives them back.
 * Locking is tried, not demanded: a login must work where RLIMIT_MEMLOCK is small.
 */
static int allocate_blocks(uint8_t **ret_memory, size_t len)
{
	void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		*ret_memory = NULL;
		return -1;
	}
	(void)madvise(memory, len, MADV_DONTDUMP);
	(void)madvise(memory, len, MADV_WIPEONFORK);
	(void)mlock(memory, len);
	*ret_memory = memory;
	return 0;
}

static void free_blocks(uint8_t *memory, size_t len)
{
	munmap(memory, len);
}

static int to_errno(int argon2_result)
{
	switch (argon2_result) {
	case ARGON2_OK:
		return 0;
	case ARGON2_MEMORY_ALLOCATION_ERROR:
		return -ENOMEM;
	default:
		return -EIO;
	}
}

int ecd_argon2id_derive(const struct ecd_argon2id *params, const struct ec_secret *secret,
			struct ec_secret *ret_root, size_t ret_len)
{
	_cleanup_secret_ struct ec_secret root = EC_SECRET_NULL;
	argon2_context ctx = {
		.pwd = secret->data,
		.pwdlen = (uint32_t)secret->len,
		.salt = (uint8_t *)params->salt,	/* only read */
		.saltlen = sizeof(params->salt),
		.t_cost = params->passes,
		.m_cost = params->memory_kib,
		.lanes = params->lanes,
		.threads = params->lanes,
		.version = ARGON2_VERSION_13,
		.allocate_cbk = allocate_blocks,
		.free_cbk = free_blocks,
		.flags = ARGON2_DEFAULT_FLAGS,		/* does not wipe the caller's pwd */
	};
	int r;

	r = ec_secret_init(&root, ret_len);
	if (r < 0)
		return r;
	ctx.out = root.data;
	ctx.outlen = (uint32_t)root.len;

	r = argon2id_ctx(&ctx);
	if (r == ARGON2_THREAD_FAIL) {	/* a limit on tasks; the result is the same */
		ctx.threads = 1;
		r = argon2id_ctx(&ctx);
	}
	r = to_errno(r);
	if (r < 0)
		return r;
	ec_secret_move(ret_root, &root);
	return 0;
}

static uint32_t clamp(uint64_t value, uint32_t min, uint32_t max)
{
	return value < min ? min : value > max ? max : (uint32_t)value;
}

static uint32_t count_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return clamp((uint64_t)CPU_COUNT(&set), 1, LANES_MADE_MAX);
}

static uint32_t memory_target_kib(void)
{
	uint64_t pages = (uint64_t)sysconf(_SC_PHYS_PAGES);
	uint64_t page_kib = (uint64_t)sysconf(_SC_PAGESIZE) / 1024;

	return clamp(pages * page_kib / RAM_SHARE, ECD_ARGON2ID_MEMORY_KIB_MIN,
		     ECD_ARGON2ID_MEMORY_KIB_TARGET);
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* KiB that the machine fills in us microseconds, by a measurement with the floor's memory. */
static int measure(const struct ecd_argon2id *params, uint64_t us, uint64_t *ret_kib)
{
	_cleanup_secret_ struct ec_secret sample = EC_SECRET_NULL, root = EC_SECRET_NULL;
	struct ecd_argon2id probe = *params;
	uint64_t start, took;
	int r;

	probe.memory_kib = ECD_ARGON2ID_MEMORY_KIB_MIN;
	probe.passes = 1;
	r = ec_secret_init(&sample, 16);
	if (r < 0)
		return r;
	start = now_us();
	r = ecd_argon2id_derive(&probe, &sample, &root, ECD_ROOT_LEN);
	if (r < 0)
		return r;
	took = now_us() - start;
	*ret_kib = us * probe.memory_kib / (took ? took : 1);
	return 0;
}

int ecd_argon2id_calibrate(unsigned int target_ms, struct ecd_argon2id *ret)
{
	struct ecd_argon2id params = { .lanes = count_cpus() };
	uint64_t work_kib;
	int r;

	r = ecd_random(params.salt, sizeof(params.salt));
	if (r < 0)
		return r;
	r = measure(&params, (uint64_t)target_ms * 1000, &work_kib);
	if (r < 0)
		return r;
	if (work_kib > ECD_ARGON2ID_WORK_KIB_MAX)
		work_kib = ECD_ARGON2ID_WORK_KIB_MAX;

	/* Memory is what costs an attacker most: all that the time allows, then more passes. */
	params.memory_kib = clamp(work_kib / ECD_ARGON2ID_PASSES_MIN, ECD_ARGON2ID_MEMORY_KIB_MIN,
				  memory_target_kib());
	params.passes = clamp(work_kib / params.memory_kib, ECD_ARGON2ID_PASSES_MIN,
			      ECD_ARGON2ID_PASSES_MAX);
	*ret = params;
	return 0;
}

static bool get_cost(const json_t *kdf, const char *name, json_int_t min, json_int_t *ret)
{
	const json_t *value = json_object_get(kdf, name);

	*ret = json_integer_value(value);
	return json_is_integer(value) && *ret >= min;
}

int ecd_argon2id_load(const json_t *kdf, struct ecd_argon2id *ret, struct ecd_reason *reason)
{
	const char *name = json_string_value(json_object_get(kdf, "name"));
	json_int_t memory_kib, passes, lanes;
	struct ecd_argon2id params;
	int r;

	if (!name || strcmp(name, "argon2id") != 0 || json_object_size(kdf) != 5 ||
	    !get_cost(kdf, "lanes", 1, &lanes) || !get_cost(kdf, "passes", 1, &passes) ||
	    !get_cost(kdf, "memory_kib", 8, &memory_kib))
		return ecd_fail(reason, -EBADMSG,
				"the key derivation of a passphrase slot is malformed");
	if (memory_kib > ECD_ARGON2ID_MEMORY_KIB_MAX || passes > ECD_ARGON2ID_PASSES_MAX ||
	    lanes > ECD_ARGON2ID_LANES_MAX ||
	    (uint64_t)memory_kib * (uint64_t)passes > ECD_ARGON2ID_WORK_KIB_MAX)
		return ecd_fail(reason, -EOPNOTSUPP,
				"the key derivation of a passphrase slot asks for more memory or "
				"time than is allowed");
	if (memory_kib < 8 * lanes)	/* RFC 9106, 3.1 */
		return ecd_fail(reason, -EBADMSG,
				"the key derivation of a passphrase slot is malformed");
	r = ecd_json_get_bytes(kdf, "salt", params.salt, sizeof(params.salt));
	if (r < 0)
		return ecd_fail(reason, r, "the salt of a passphrase slot is malformed");

	params.memory_kib = (uint32_t)memory_kib;
	params.passes = (uint32_t)passes;
	params.lanes = (uint32_t)lanes;
	*ret = params;
	return 0;
}

json_t *ecd_argon2id_format(const struct ecd_argon2id *params)
{
	_cleanup_json_ json_t *kdf = json_pack("{s:s, s:I, s:I, s:I}", "name", "argon2id",
					       "memory_kib", (json_int_t)params->memory_kib,
					       "passes", (json_int_t)params->passes,
					       "lanes", (json_int_t)params->lanes);

	if (!kdf || ecd_json_set_bytes(kdf, "salt", params->salt, sizeof(params->salt)) < 0)
		return NULL;
	return json_incref(kdf);
}
