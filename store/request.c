/* SPDX-License-Identifier: GPL-2.0-only */
/* Members of a request, checked. */
#include "store/store.h"

#include "lib/vault-document.h"

#include <errno.h>
#include <stdint.h>

int st_get_string(const json_t *request, const char *name, const char **ret,
		  struct st_problem *problem)
{
	const json_t *value = json_object_get(request, name);

	if (!json_is_string(value))
		return st_fail(problem, -EINVAL, "the request has no text \"%s\"", name);
	*ret = json_string_value(value);
	return 0;
}

int st_get_path(const json_t *request, const char *name, const char **ret,
		struct st_problem *problem)
{
	const char *path = NULL;
	int r;

	r = st_get_string(request, name, &path, problem);
	if (r < 0)
		return r;
	if (!st_path_is_normal(path))
		return st_fail(problem, -EINVAL, "\"%s\" of the request is not an absolute path "
			       "without \".\" and \"..\"", name);
	*ret = path;
	return 0;
}

int st_get_uid(const json_t *request, const char *name, uid_t *ret, struct st_problem *problem)
{
	const json_t *value = json_object_get(request, name);
	json_int_t uid = json_integer_value(value);

	/* The highest two mean "none" to the kernel and to 16-bit programs. */
	if (!json_is_integer(value) || uid < 0 || uid >= UINT32_MAX || uid == UINT16_MAX)
		return st_fail(problem, -EINVAL, "\"%s\" of the request is not a user id", name);
	*ret = (uid_t)uid;
	return 0;
}

int st_get_document(const json_t *request, const json_t **ret, struct st_problem *problem)
{
	const json_t *document = json_object_get(request, "document");
	const char *reason = NULL;
	int r;

	r = ec_vault_document_check(document, &reason);
	if (r < 0)
		return st_fail(problem, r, "the vault document of the request is not valid: %s",
			       reason);
	*ret = document;
	return 0;
}
