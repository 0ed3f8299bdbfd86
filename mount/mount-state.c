/* SPDX-License-Identifier: GPL-2.0-only */
/* One JSON file for each mount. */
#include "mount/mount-state.h"

#include "lib/cleanup.h"
#include "mount/engine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

static int make_one(const char *path)
{
	return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

/* And its parent, which is in /run. */
static int make_directory(const char *path)
{
	char parent[4096];
	char *slash;
	int r;

	r = make_one(path);
	if (r != -ENOENT)
		return r;
	if (strlen(path) >= sizeof(parent))
		return -ENAMETOOLONG;
	strcpy(parent, path);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return r;
	*slash = 0;
	r = make_one(parent);
	return r < 0 ? r : make_one(path);
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* "DIRECTORY/ID.json", and what it is before it is committed. */
#define COMMITTED "%s/%s.json"
#define PREPARED "%s/.%s.json.new"

static int path_of(char ret[4096], const char *form, const char *directory, const char *id)
{
	return snprintf(ret, 4096, form, directory, id) >= 4096 ? -ENAMETOOLONG : 0;
}

static int write_file(const char *path, const char *text)
{
	int fd, r;

	if (unlink(path) < 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, strlen(text));
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	close(fd);
	if (r < 0)
		unlink(path);
	return r;
}

static json_t *options_to_json(const struct ec_mount_options *options)
{
	json_t *object = json_object();
	size_t i;

	for (i = 0; object && i < options->n_rows; i++) {
		const struct ec_mount_option *row = &options->rows[i];

		json_object_set_new(object, row->name,
				    row->value ? json_string(row->value) : json_true());
	}
	return object;
}

int ec_mount_state_prepare(const char *directory, const struct ec_mount_state *state,
			   const struct ec_mount_options *options)
{
	_cleanup_free_ char *text = NULL;
	char path[4096], device[32];
	json_t *object;
	int r;

	r = make_directory(directory);
	if (r == 0)
		r = path_of(path, PREPARED, directory, state->id);
	if (r < 0)
		return r;
	snprintf(device, sizeof(device), "%u:%u", state->dev_major, state->dev_minor);
	object = json_pack("{s:s, s:s, s:s, s:s, s:I, s:o, s:I, s:s}", "id", state->id,
			   "source", state->source, "target", state->target,
			   "engine", state->engine, "owner", (json_int_t)state->owner,
			   "options", options_to_json(options),
			   "mount_id", (json_int_t)state->mount_id, "device", device);
	if (!object)	/* a path that is no UTF-8, or no memory */
		return -EINVAL;
	text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(object);
	return text ? write_file(path, text) : -ENOMEM;
}

int ec_mount_state_commit(const char *directory, const char *id)
{
	char prepared[4096], committed[4096];
	int r;

	r = path_of(prepared, PREPARED, directory, id);
	if (r == 0)
		r = path_of(committed, COMMITTED, directory, id);
	if (r < 0)
		return r;
	return rename(prepared, committed) < 0 ? -errno : 0;
}

int ec_mount_state_write(const char *directory, const struct ec_mount_state *state,
			 const struct ec_mount_options *options)
{
	int r;

	r = ec_mount_state_prepare(directory, state, options);
	if (r == 0)
		r = ec_mount_state_commit(directory, state->id);
	if (r < 0)
		ec_mount_state_remove_prepared(directory, state->id);
	return r;
}

static int read_state(const char *path, const char *id, struct ec_mount_state *ret)
{
	_cleanup_mount_state_ struct ec_mount_state state = EC_MOUNT_STATE_NULL;
	const char *json_id, *source, *target, *engine, *device;
	json_int_t owner, mount_id;
	json_t *object;
	int fd, r = 0;

	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	object = json_loadfd(fd, JSON_REJECT_DUPLICATES, NULL);
	close(fd);
	if (json_unpack(object, "{s:s, s:s, s:s, s:s, s:I, s:I, s:s}", "id", &json_id,
			"source", &source, "target", &target, "engine", &engine,
			"owner", &owner, "mount_id", &mount_id, "device", &device) < 0 ||
	    strcmp(id, json_id) ||
	    sscanf(device, "%u:%u", &state.dev_major, &state.dev_minor) != 2)
		r = -EBADMSG;
	if (r == 0) {
		state.id = strdup(json_id);
		state.source = strdup(source);
		state.target = strdup(target);
		state.engine = strdup(engine);
		state.owner = (uid_t)owner;
		state.mount_id = (uint64_t)mount_id;
		if (!state.id || !state.source || !state.target || !state.engine)
			r = -ENOMEM;
	}
	json_decref(object);
	if (r < 0)
		return r;

	*ret = state;
	state = EC_MOUNT_STATE_NULL;
	return 0;
}

int ec_mount_state_read(const char *directory, const char *id, struct ec_mount_state *ret)
{
	char path[4096];
	int r = path_of(path, COMMITTED, directory, id);

	return r < 0 ? r : read_state(path, id, ret);
}

int ec_mount_state_read_prepared(const char *directory, const char *id, struct ec_mount_state *ret)
{
	char path[4096];
	int r = path_of(path, PREPARED, directory, id);

	return r < 0 ? r : read_state(path, id, ret);
}

/* "home-1" of "home-1.json" in ret; false for other names. */
static bool id_of_file(const char *name, char *ret, size_t ret_len)
{
	size_t len = strlen(name);

	if (name[0] == '.' || len <= 5 || strcmp(name + len - 5, ".json") || len - 5 >= ret_len)
		return false;
	memcpy(ret, name, len - 5);
	ret[len - 5] = 0;
	return true;
}

int ec_mount_state_find_source(const char *directory, const char *source, const char *id,
			       bool (*stands)(const struct ec_mount_state *state),
			       struct ec_mount_state *ret)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	int r = -ENOENT;

	while (dir && r == -ENOENT && (entry = readdir(dir))) {
		struct ec_mount_state state = EC_MOUNT_STATE_NULL;
		char other[256];

		if (!id_of_file(entry->d_name, other, sizeof(other)) || !strcmp(other, id) ||
		    ec_mount_state_read(directory, other, &state) < 0)
			continue;
		if (strcmp(state.source, source) || !stands(&state)) {
			ec_mount_state_done(&state);
			continue;
		}
		*ret = state;
		r = 0;
	}
	if (dir)
		closedir(dir);
	return r;
}

static int remove_file(const char *form, const char *directory, const char *id)
{
	char path[4096];
	int r = path_of(path, form, directory, id);

	if (r < 0)
		return r;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int ec_mount_state_remove(const char *directory, const char *id)
{
	return remove_file(COMMITTED, directory, id);
}

int ec_mount_state_remove_prepared(const char *directory, const char *id)
{
	return remove_file(PREPARED, directory, id);
}

void ec_mount_state_done(struct ec_mount_state *state)
{
	free(state->id);
	free(state->source);
	free(state->target);
	free(state->engine);
	*state = EC_MOUNT_STATE_NULL;
}
