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

static int open_directory(const char *path)
{
	char parent[4096];
	char *slash;
	int fd;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? -errno : fd;
	if (strlen(path) >= sizeof(parent))
		return -ENAMETOOLONG;
	strcpy(parent, path);
	slash = strrchr(parent, '/');
	if (slash && slash != parent) {
		*slash = 0;
		if (mkdir(parent, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
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

static int replace_file(int dir, const char *name, const char *text)
{
	char temp[300];
	int fd, r;

	snprintf(temp, sizeof(temp), ".%s.new", name);
	if (unlinkat(dir, temp, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, strlen(text));
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	close(fd);
	if (r == 0 && renameat(dir, temp, dir, name) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dir, temp, 0);
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

int ec_mount_state_write(const char *directory, const struct ec_mount_state *state,
			 const struct ec_mount_options *options)
{
	_cleanup_close_ int dir = open_directory(directory);
	_cleanup_free_ char *text = NULL;
	char name[280], device[32];
	json_t *object;

	if (dir < 0)
		return dir;
	snprintf(name, sizeof(name), "%s.json", state->id);
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
	return text ? replace_file(dir, name, text) : -ENOMEM;
}

int ec_mount_state_read(const char *directory, const char *id, struct ec_mount_state *ret)
{
	_cleanup_mount_state_ struct ec_mount_state state = EC_MOUNT_STATE_NULL;
	const char *json_id, *source, *target, *engine, *device;
	json_int_t owner, mount_id;
	json_t *object;
	char path[4096];
	int fd, r = 0;

	if (snprintf(path, sizeof(path), "%s/%s.json", directory, id) >= (int)sizeof(path))
		return -ENAMETOOLONG;
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

int ec_mount_state_remove(const char *directory, const char *id)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/%s.json", directory, id) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

void ec_mount_state_done(struct ec_mount_state *state)
{
	free(state->id);
	free(state->source);
	free(state->target);
	free(state->engine);
	*state = EC_MOUNT_STATE_NULL;
}
