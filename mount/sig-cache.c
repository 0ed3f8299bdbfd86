/* SPDX-License-Identifier: GPL-2.0-only */
/* The cache of signatures. */
#include "mount/sig-cache.h"

#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

/* The whole file as a string; *ret is NULL if there is none. */
static int read_text(const char *path, char **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > (off_t)EC_SIG_CACHE_LEN_MAX)
		return -E2BIG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	n = read(fd, text, (size_t)st.st_size);
	if (n < 0)
		return -errno;
	text[n] = 0;
	*ret = ec_take_ptr(text);
	*ret_len = (size_t)n;
	return 0;
}

/* The next good line at or behind *pos, or NULL. Others are passed over: records stay readable
 * behind one that was cut. */
static const char *next_record(const char *text, size_t len, size_t *pos)
{
	while (*pos < len) {
		const char *line = text + *pos;
		const char *end = memchr(line, '\n', len - *pos);
		uint8_t sig[ECFMT_SIG_LEN];

		*pos += (size_t)((end ? end : text + len) - line) + 1;
		if (end && end - line == ECFMT_SIG_HEX_LEN &&
		    ecfmt_sig_from_hex(sig, line, ECFMT_SIG_HEX_LEN) == 0)
			return line;
	}
	return NULL;
}

static bool has(const char *text, size_t len, const char *sig)
{
	const char *record;
	size_t pos = 0;

	while (text && (record = next_record(text, len, &pos)))
		if (!strncmp(record, sig, ECFMT_SIG_HEX_LEN))
			return true;
	return false;
}

int ec_sig_cache_has(const char *path, const char sig[static ECFMT_SIG_HEX_LEN + 1], bool *ret)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r = read_text(path, &text, &len);

	if (r < 0)
		return r;
	*ret = has(text, len, sig);
	return 0;
}

static int make_directory(const char *path)
{
	char directory[PATH_MAX];
	char *slash;

	if (snprintf(directory, sizeof(directory), "%s", path) >= (int)sizeof(directory))
		return -ENAMETOOLONG;
	slash = strrchr(directory, '/');
	if (!slash || slash == directory)
		return 0;
	*slash = 0;
	return mkdir(directory, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int write_records(FILE *file, const char *text, size_t len, const char *sig)
{
	const char *record;
	size_t pos = 0;

	while (text && (record = next_record(text, len, &pos)))
		fwrite(record, EC_SIG_CACHE_RECORD_LEN, 1, file);
	fprintf(file, "%s\n", sig);
	if (fflush(file) == EOF || fsync(fileno(file)) < 0)
		return -errno;
	return ferror(file) ? -EIO : 0;
}

static int replace(const char *path, const char *text, size_t len, const char *sig)
{
	char temp[PATH_MAX];
	FILE *file;
	int fd, r;

	if (snprintf(temp, sizeof(temp), "%s.XXXXXX", path) >= (int)sizeof(temp))
		return -ENAMETOOLONG;
	fd = mkostemp(temp, O_CLOEXEC);	/* 0600 */
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "w");
	if (!file) {
		r = -errno;
		close(fd);
	} else {
		r = write_records(file, text, len, sig);
		if (fclose(file) == EOF && r == 0)
			r = -errno;
	}
	if (r == 0 && rename(temp, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(temp);
	return r;
}

int ec_sig_cache_add(const char *path, const char sig[static ECFMT_SIG_HEX_LEN + 1])
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r;

	r = make_directory(path);
	if (r == 0)
		r = read_text(path, &text, &len);
	if (r < 0)
		return r;
	return has(text, len, sig) ? 0 : replace(path, text, len, sig);
}
