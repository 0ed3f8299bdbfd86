/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Scope-bound release of descriptors, heap blocks and library objects.
 * A variable that carries one of these attributes is initialised where it is declared.
 */
#ifndef EC_CLEANUP_H
#define EC_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

static inline void ec_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static inline void ec_freep(void *p)
{
	free(*(void **)p);
	*(void **)p = NULL;
}

static inline void ec_fclosep(FILE **file)
{
	if (*file)
		fclose(*file);
	*file = NULL;
}

#define _cleanup_close_ _cleanup_(ec_closep)
#define _cleanup_free_ _cleanup_(ec_freep)
#define _cleanup_fclose_ _cleanup_(ec_fclosep)

/* Hands a descriptor over: the variable forgets it. */
static inline int ec_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Hands a pointer over: the variable forgets it. */
#define ec_take_ptr(p)			\
	({				\
		__typeof__(p) _taken = (p); \
		(p) = NULL;		\
		_taken;			\
	})

#endif
