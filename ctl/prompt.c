/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Questions on the terminal.
 *
 * While an answer is not shown, signals that end or stop the program only note themselves; the
 * terminal is put back first, then the signal is sent again. They are blocked but for the wait,
 * so that none can slip in between.
 */
#include "ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>

#define LINE_LEN_MAX 4096	/* bytes: what a terminal gives in one line */

static const int caught[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP };
#define N_CAUGHT (sizeof(caught) / sizeof(caught[0]))

static volatile sig_atomic_t pending;

static void note_signal(int signal_number)
{
	pending = signal_number;
}

struct guard {
	int tty;
	struct termios shown;
	sigset_t mask;
	struct sigaction actions[N_CAUGHT];
};

static int open_terminal(void)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	return fd < 0 ? -ENOTTY : fd;
}

bool ctl_has_terminal(void)
{
	_cleanup_close_ int tty = open_terminal();

	return tty >= 0;
}

static int guard_begin(struct guard *guard, int tty)
{
	struct sigaction action = { .sa_handler = note_signal };
	sigset_t block;
	struct termios hidden;
	size_t i;

	guard->tty = tty;
	if (tcgetattr(tty, &guard->shown) < 0)
		return -ENOTTY;
	pending = 0;
	sigemptyset(&block);
	for (i = 0; i < N_CAUGHT; i++)
		sigaddset(&block, caught[i]);
	sigprocmask(SIG_BLOCK, &block, &guard->mask);
	for (i = 0; i < N_CAUGHT; i++)
		sigaction(caught[i], &action, &guard->actions[i]);
	hidden = guard->shown;
	hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	hidden.c_lflag |= ICANON | ISIG;
	tcsetattr(tty, TCSAFLUSH, &hidden);
	return 0;
}

/* Afterwards a noted signal does what it would have done. */
static void guard_end(struct guard *guard)
{
	size_t i;

	tcsetattr(guard->tty, TCSAFLUSH, &guard->shown);
	for (i = 0; i < N_CAUGHT; i++)
		sigaction(caught[i], &guard->actions[i], NULL);
	if (pending)
		raise(pending);
	sigprocmask(SIG_SETMASK, &guard->mask, NULL);
}

static void tell(int tty, const char *text)
{
	(void)!write(tty, text, strlen(text));
}

/* Bytes of a line without its newline; -EINTR after a signal. */
static ssize_t read_line(const struct guard *guard, uint8_t *buf, size_t len)
{
	struct pollfd pollfd = { .fd = guard->tty, .events = POLLIN };
	ssize_t n;

	if (ppoll(&pollfd, 1, NULL, &guard->mask) < 0)
		return pending ? -EINTR : -errno;
	n = read(guard->tty, buf, len);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -ECANCELED;
	if (buf[n - 1] != '\n')
		return (size_t)n == len ? -EMSGSIZE : n;
	return n - 1;
}

/* One attempt; -EINTR where a signal came that did not end the program (stop, continue). */
static int ask_once(int tty, const char *question, struct ec_secret *ret)
{
	_cleanup_secret_ struct ec_secret line = EC_SECRET_NULL;
	struct guard guard;
	ssize_t n;
	int r;

	r = ec_secret_init(&line, LINE_LEN_MAX);
	if (r < 0)
		return r;
	r = guard_begin(&guard, tty);
	if (r < 0)
		return r;
	tell(tty, question);
	do
		n = read_line(&guard, line.data, line.len);
	while (n == -EINTR && !pending);
	tell(tty, "\n");
	guard_end(&guard);
	if (n < 0)
		return (int)n;
	ec_secret_truncate(&line, (size_t)n);
	ec_secret_move(ret, &line);
	return 0;
}

int ctl_prompt_secret(const char *question, struct ec_secret *ret)
{
	_cleanup_secret_ struct ec_secret answer = EC_SECRET_NULL;
	_cleanup_close_ int tty = open_terminal();
	int r;

	if (tty < 0)
		return tty;
	do
		r = ask_once(tty, question, &answer);
	while (r == -EINTR);
	if (r < 0)
		return r;
	*ret = answer;
	answer = EC_SECRET_NULL;
	return 0;
}

int ctl_prompt_word(const char *question, const char *word)
{
	_cleanup_fclose_ FILE *tty = fopen("/dev/tty", "r+e");
	char line[256];

	if (!tty)
		return -ENOTTY;
	for (;;) {
		fprintf(tty, "%s", question);
		fflush(tty);
		if (!fgets(line, sizeof(line), tty))
			return -ECANCELED;
		line[strcspn(line, "\n")] = '\0';
		if (!strcasecmp(line, word))
			return 0;
	}
}
