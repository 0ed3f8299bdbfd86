// SPDX-License-Identifier: GPL-2.0-only
/* What a mount worker reads: the plan of the broker; the keys beside it, which begin with a 1; or
 * else the table of mounts, in which every user with a FUSE filesystem can write. */
#include "fuzz/fuzz.h"
#include "lib/cleanup.h"
#include "mount/mount-table.h"
#include "mount/plan.h"

#include <errno.h>
#include <string.h>

static void check_path(const char *path)
{
	size_t len = strlen(path);

	fuzz_assert(path[0] == '/' && path[len - 1] != '/');
	fuzz_assert(!strstr(path, "//") && !strstr(path, "/./") && !strstr(path, "/../"));
	fuzz_assert(len < 3 || strcmp(path + len - 3, "/.."));
	fuzz_assert(len < 2 || strcmp(path + len - 2, "/."));
}

static void check_plan(const json_t *body)
{
	static const struct ec_key_set no_keys = { .n_keys = 0 };
	struct ec_why why = EC_WHY_NULL;
	struct ec_plan plan = EC_PLAN_NULL;
	int r = ec_plan_parse(body, &plan, &why);

	if (r) {
		fuzz_assert((r == -EPROTO || r == -EOPNOTSUPP) && why.text[0] && !plan.source);
		return;
	}
	check_path(plan.source);
	check_path(plan.target);
	fuzz_assert(!plan.import || !strcmp(plan.import, plan.target));
	fuzz_assert(ec_mount_options_get(&plan.options, "ecryptfs_sig"));
	fuzz_assert(!ec_mount_options_get(&plan.options, "source") &&
		    !ec_mount_options_get(&plan.options, "key"));
	for (size_t i = 0; i < plan.options.n_rows; i++)
		fuzz_assert(plan.options.rows[i].name[0] &&
			    !strpbrk(plan.options.rows[i].name, ",="));
	r = ec_plan_check_keys(&plan, &no_keys, &why);
	fuzz_assert(r == -ENOKEY || r == -EPROTO);
	(void)ec_plan_is_own_home("home-1000", &plan);
	ec_plan_done(&plan);
}

static void check_keys(const uint8_t *data, size_t len)
{
	_cleanup_secret_ struct ec_secret secret = EC_SECRET_NULL;
	_cleanup_key_set_ struct ec_key_set keys = EC_KEY_SET_NULL;
	_cleanup_close_ int fd = -1;
	int r;

	fuzz_assert(!ec_secret_init_copy(&secret, data, len));
	fuzz_assert(!ec_secret_to_memfd(&secret, &fd));
	r = ec_key_set_from_memfd(&keys, fd);
	if (r) {
		fuzz_assert(r == -EPROTO && !keys.n_keys);
		return;
	}
	fuzz_assert(keys.n_keys && keys.n_keys * sizeof(struct ecfs_mount_key) == len);
	for (size_t i = 0; i < keys.n_keys; i++) {
		const struct ecfs_mount_key *key = ec_key_set_get(&keys, i);

		fuzz_assert(!memcmp(key, data + i * sizeof(*key), sizeof(*key)));
		fuzz_assert(key->version == ECFS_MOUNT_KEY_VERSION && !key->reserved);
		fuzz_assert(ec_key_set_find(&keys, key->sig) <= key);
	}
	fuzz_assert(!ec_key_set_get(&keys, keys.n_keys));
}

static void check_line(const char *line)
{
	struct ec_mount_entry entry;
	char *copy = strdup(line);
	const char *end = copy + strlen(copy);
	int r = ec_mount_entry_parse(copy, &entry);

	fuzz_assert(r == 0 || r == -EBADMSG);
	if (r == 0) {
		const char *const parts[] = { entry.target, entry.mount_options, entry.type,
					      entry.source, entry.super_options };

		for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
			fuzz_assert(parts[i] >= copy && parts[i] + strlen(parts[i]) <= end);
		(void)ec_mount_options_has(entry.mount_options, "nosuid");
	}
	free(copy);
}

static void check_table(const uint8_t *data, size_t len)
{
	struct ec_mount_table table = EC_MOUNT_TABLE_NULL;
	const char *path;

	fuzz_file(data, len, &path);
	fuzz_assert(!ec_mount_table_read(path, &table));
	for (size_t i = 0; i < table.n_entries; i++) {
		const struct ec_mount_entry *entry = &table.entries[i];

		fuzz_assert(ec_mount_table_by_id(&table, entry->id)->id == entry->id);
		fuzz_assert(ec_mount_table_by_target(&table, entry->target) >= entry);
		(void)ec_mount_table_may_hang(&table, entry->target);
		(void)ec_mount_table_below(&table, entry->target);
	}
	ec_mount_table_done(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	_cleanup_free_ char *text = strndup((const char *)data, len);
	json_t *body = len && data[0] == '{' ? json_loadb((const char *)data, len, 0, NULL) : NULL;

	if (body) {
		check_plan(body);
		json_decref(body);
	} else if (len && data[0] == ECFS_MOUNT_KEY_VERSION) {
		check_keys(data, len);
	} else {
		check_line(text);
		check_table(data, len);
	}
	(void)ec_plan_id_valid(text);
	return 0;
}
