/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Locked, undumpable, self-wiping memory for secrets, and the sealed memfds in which secrets
 * travel between processes.
 */
#include "lib/secret.h"

#include "lib/read-full.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U		/* Linux 6.3 */
#endif

/*
 * A mapping of a memfd that was made of a secret. Where a message waits, in a socket or in the
 * hands of who is asked, its memfd is memory of nobody that the kernel may swap.
 */
struct ec_secret_copy {
	struct ec_secret_copy *next;
	void *memory;
	size_t mapped_len;
	pid_t owner;		/* in a child that it forked, the mapping is not there */
};

#define SEALS (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK)

static size_t round_to_pages(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return len ? (len + page - 1) / page * page : page;
}

/**
 * ec_secret_init() - room for a secret
 * @secret:	initialised here; what it held before is not looked at
 * @len:	bytes, 0..EC_SECRET_LEN_MAX
 *
 * The mapping is locked or refused: a secret that could reach a swap device is no secret.
 *
 * Return: 0, -EMSGSIZE, -ENOMEM.
 */
int ec_secret_init(struct ec_secret *secret, size_t len)
{
	size_t mapped_len = round_to_pages(len);
	_cleanup_free_ struct ec_secret_copy **copies = NULL;
	void *data;

	if (len > EC_SECRET_LEN_MAX)
		return -EMSGSIZE;
	copies = calloc(1, sizeof(*copies));
	if (!copies)
		return -ENOMEM;

	data = mmap(NULL, mapped_len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED)
		return -ENOMEM;
	if (mlock(data, mapped_len) < 0 ||
	    madvise(data, mapped_len, MADV_DONTDUMP) < 0 ||
	    madvise(data, mapped_len, MADV_WIPEONFORK) < 0) {
		munmap(data, mapped_len);
		return -ENOMEM;
	}

	*secret = (struct ec_secret){
		.data = data, .len = len, .mapped_len = mapped_len, .copies = ec_take_ptr(copies),
	};
	return 0;
}

int ec_secret_init_copy(struct ec_secret *secret, const void *bytes, size_t len)
{
	struct ec_secret copy;
	int r;

	r = ec_secret_init(&copy, len);
	if (r < 0)
		return r;
	if (len)
		memcpy(copy.data, bytes, len);

	*secret = copy;
	return 0;
}

static void forget_copies(struct ec_secret_copy **copies)
{
	struct ec_secret_copy *copy, *next;

	for (copy = *copies; copy; copy = next) {
		next = copy->next;
		if (copy->owner == getpid())
			munmap(copy->memory, copy->mapped_len);
		free(copy);
	}
	free(copies);
}

/*
 * Keeps the pages of a sealed memfd in memory. As far as it can: the secret itself found room to be
 * locked, and what is refused here is refused where a limit is about to be reached.
 */
static void lock_copy(const struct ec_secret *secret, int fd)
{
	struct ec_secret_copy *copy = secret->len ? malloc(sizeof(*copy)) : NULL;

	if (!copy)
		return;
	copy->mapped_len = round_to_pages(secret->len);
	/* Never written to, so these are the pages of the memfd and no copies of them. */
	copy->memory = mmap(NULL, copy->mapped_len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (copy->memory == MAP_FAILED) {
		free(copy);
		return;
	}
	copy->owner = getpid();
	(void)mlock(copy->memory, copy->mapped_len);
	(void)madvise(copy->memory, copy->mapped_len, MADV_DONTDUMP);
	(void)madvise(copy->memory, copy->mapped_len, MADV_DONTFORK);
	copy->next = *secret->copies;
	*secret->copies = copy;
}

void ec_secret_done(struct ec_secret *secret)
{
	if (!secret || !secret->data)
		return;
	forget_copies(secret->copies);
	explicit_bzero(secret->data, secret->mapped_len);
	munmap(secret->data, secret->mapped_len);
	*secret = EC_SECRET_NULL;
}

void ec_secret_move(struct ec_secret *to, struct ec_secret *from)
{
	if (to == from)
		return;
	ec_secret_done(to);
	*to = *from;
	*from = EC_SECRET_NULL;
}

void ec_secret_truncate(struct ec_secret *secret, size_t len)
{
	if (len >= secret->len)
		return;
	explicit_bzero(secret->data + len, secret->len - len);
	secret->len = len;
}

bool ec_secret_equal(const struct ec_secret *a, const struct ec_secret *b)
{
	uint8_t diff = 0;
	size_t i;

	if (a->len != b->len)
		return false;
	for (i = 0; i < a->len; i++)
		diff |= a->data[i] ^ b->data[i];
	/* The optimiser must not turn the loop into one that stops at the first difference. */
	__asm__ volatile("" : "+r"(diff));
	return diff == 0;
}

static int new_memfd(void)
{
	int fd;

	fd = memfd_create("ecryptfs-secret", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("ecryptfs-secret", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -errno : fd;
}

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/**
 * ec_secret_to_memfd() - a secret as a descriptor to send
 * @secret:	stays the caller's
 * @ret_fd:	new, close-on-exec, sealed against writing, growing, shrinking and unsealing;
 *		its offset is at the end, readers use pread()
 *
 * Return: 0 or a negative errno of memfd_create(2), write(2), fcntl(2).
 */
int ec_secret_to_memfd(const struct ec_secret *secret, int *ret_fd)
{
	_cleanup_close_ int fd = new_memfd();
	int r;

	if (fd < 0)
		return fd;
	r = write_all(fd, secret->data, secret->len);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) < 0)
		return -errno;
	lock_copy(secret, fd);

	*ret_fd = ec_take_fd(&fd);
	return 0;
}

/**
 * ec_secret_from_memfd() - a secret that another process sent
 * @secret:	initialised here on success
 * @fd:		stays open; its file offset is neither used nor moved
 *
 * The seals prove that it is a memfd (no pipe that never answers, no file of somebody) and that
 * the sender cannot change it any more between our check and our use.
 *
 * Return: 0, -EBADF for anything but a sealed memfd of at most EC_SECRET_LEN_MAX bytes, -ENOMEM.
 */
int ec_secret_from_memfd(struct ec_secret *secret, int fd)
{
	_cleanup_secret_ struct ec_secret read_in = EC_SECRET_NULL;
	struct stat st;
	int seals, r;

	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS) != SEALS)
		return -EBADF;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 0 ||
	    st.st_size > EC_SECRET_LEN_MAX)
		return -EBADF;

	r = ec_secret_init(&read_in, (size_t)st.st_size);
	if (r < 0)
		return r;
	if (ec_pread_full(fd, read_in.data, read_in.len, 0) != (ssize_t)read_in.len)
		return -EBADF;

	*secret = read_in;
	read_in = EC_SECRET_NULL;
	return 0;
}

/**
 * ec_secret_from_fd() - a secret from a pipe, a terminal or a key file
 * @secret:		initialised here on success
 * @fd:			read from its present offset to its end
 * @strip_newline:	drop one final '\n'
 *
 * Return: 0, -EMSGSIZE if there is more than EC_SECRET_LEN_MAX bytes, -ENOMEM, errno of read(2).
 */
int ec_secret_from_fd(struct ec_secret *secret, int fd, bool strip_newline)
{
	_cleanup_secret_ struct ec_secret read_in = EC_SECRET_NULL;
	uint8_t more = 0;
	ssize_t n;
	int r;

	r = ec_secret_init(&read_in, EC_SECRET_LEN_MAX);
	if (r < 0)
		return r;
	n = ec_read_full(fd, read_in.data, read_in.len);
	if (n < 0)
		return (int)n;
	if ((size_t)n == read_in.len) {
		ssize_t rest = ec_read_full(fd, &more, 1);

		explicit_bzero(&more, sizeof(more));
		if (rest != 0)
			return rest < 0 ? (int)rest : -EMSGSIZE;
	}
	if (strip_newline && n > 0 && read_in.data[n - 1] == '\n')
		n--;
	ec_secret_truncate(&read_in, (size_t)n);

	*secret = read_in;
	read_in = EC_SECRET_NULL;
	return 0;
}

/**
 * ec_secret_harden_process() - what main() of a program that meets secrets calls first
 *
 * Everything here is a second line behind struct ec_secret, so failures are not reported.
 * mlockall(MCL_FUTURE) under a finite RLIMIT_MEMLOCK would make a later malloc() fail, so it is
 * asked for only where there is no limit.
 */
void ec_secret_harden_process(void)
{
	const struct rlimit none = { 0, 0 };
	struct rlimit memlock;

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (getrlimit(RLIMIT_MEMLOCK, &memlock) == 0 && memlock.rlim_cur == RLIM_INFINITY)
		(void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}
