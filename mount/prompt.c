/* SPDX-License-Identifier: GPL-2.0-only */
/* Questions on the terminal that is standard input. */
#include "mount/prompt.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <termios.h>

bool ec_prompt_possible(void)
{
	return isatty(STDIN_FILENO);
}

static void say(const char *text)
{
	fputs(text, stdout);
	fflush(stdout);
}

/*
 * One line by read(2), so that no stream keeps a copy. A byte at a time: what was typed ahead is
 * the answer to the next question.
 */
static int read_line(char *ret, size_t ret_len)
{
	size_t used = 0;
	bool fits = true;

	for (;;) {
		char c;
		ssize_t n = read(STDIN_FILENO, &c, 1);

		if (n < 0)
			return errno == EINTR ? -ECANCELED : -errno;
		if (n == 0)
			return -ECANCELED;
		if (c == '\n')
			break;
		if (used + 1 < ret_len)
			ret[used++] = c;
		else
			fits = false;
	}
	ret[used] = 0;
	return fits ? 0 : -EMSGSIZE;
}

int ec_prompt_line(const char *question, const char *preset, char *ret, size_t ret_len)
{
	int r;

	do {
		say(question);
		r = read_line(ret, ret_len);
		if (r < 0)
			return r;
	} while (!ret[0] && !preset);
	if (!ret[0])
		snprintf(ret, ret_len, "%s", preset);
	return 0;
}

static void interrupted(int number)
{
}

/* read(2) has to return, so that the echo comes back before the program ends. */
static void catch_signals(struct sigaction saved[static 3])
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = interrupted };
	size_t i;

	for (i = 0; i < 3; i++)
		sigaction(numbers[i], &action, &saved[i]);
}

static void release_signals(const struct sigaction saved[static 3])
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	size_t i;

	for (i = 0; i < 3; i++)
		sigaction(numbers[i], &saved[i], NULL);
}

int ec_prompt_secret(const char *question, size_t max, struct ec_secret *ret)
{
	_cleanup_secret_ struct ec_secret line = EC_SECRET_NULL;
	struct termios saved, silent;
	struct sigaction actions[3];
	int r;

	r = ec_secret_init(&line, max + 1);
	if (r < 0)
		return r;
	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return -errno;
	silent = saved;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	catch_signals(actions);
	/* Echo goes before the question comes: nothing typed at it may show. */
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &silent) < 0) {
		r = -errno;
	} else {
		say(question);
		r = read_line((char *)line.data, line.len);
		tcsetattr(STDIN_FILENO, TCSADRAIN, &saved);
		say("\n");
	}
	release_signals(actions);
	if (r < 0)
		return r;
	ec_secret_truncate(&line, strlen((const char *)line.data));
	if (!line.len)
		return -EINVAL;
	ec_secret_move(ret, &line);
	return 0;
}

int ec_prompt_yes_no(const char *question, const char *preset, bool *ret)
{
	char answer[16];
	int r;

	for (;;) {
		r = ec_prompt_line(question, preset, answer, sizeof(answer));
		if (r < 0 && r != -EMSGSIZE)
			return r;
		if (r == 0 && (!strcasecmp(answer, "y") || !strcasecmp(answer, "yes"))) {
			*ret = true;
			return 0;
		}
		if (r == 0 && (!strcasecmp(answer, "n") || !strcasecmp(answer, "no"))) {
			*ret = false;
			return 0;
		}
	}
}
