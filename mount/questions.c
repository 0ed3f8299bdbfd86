/* SPDX-License-Identifier: GPL-2.0-only */
/* What mount.ecryptfs asks besides the passphrase: tables of choices and a loop. */
#include "mount/questions.h"

#include "mount/prompt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SIZES_MAX 3

/* The order is the numbering of the menus. */
static const struct {
	const char *cipher;
	unsigned int sizes[SIZES_MAX + 1];	/* bytes, 0 ends them */
} offers[] = {
	{ "aes", { 16, 32, 24 } },
	{ "blowfish", { 16, 32, 56 } },
	{ "des3_ede", { 24 } },
	{ "twofish", { 16, 32 } },
	{ "cast6", { 16, 32 } },
	{ "cast5", { 16 } },
};

#define N_OFFERS (sizeof(offers) / sizeof(offers[0]))

static int canceled(int r, struct ec_why *why)
{
	return r == -ECANCELED ? ec_why_set(why, r, "the questions were not answered") : r;
}

static int missing(const char *name, struct ec_why *why)
{
	return ec_why_set(why, -EINVAL, "option %s= is missing, and there is no terminal to ask at",
			  name);
}

/* Index of the row that the answer means by number or by name, or -1. */
static int choice(const char *answer, const char *const *names, int n_names)
{
	int i;

	for (i = 0; i < n_names; i++) {
		char number[16];

		snprintf(number, sizeof(number), "%d", i + 1);
		if (!strcmp(answer, names[i]) || !strcmp(answer, number))
			return i;
	}
	return -1;
}

static int ask_choice(const char *const *names, int n_names, const char *preset, int *ret)
{
	char question[64], answer[64];
	int r;

	snprintf(question, sizeof(question), "Selection [%s]: ", preset);
	do {
		r = ec_prompt_line(question, preset, answer, sizeof(answer));
		if (r < 0 && r != -EMSGSIZE)
			return r;
		*ret = r == 0 ? choice(answer, names, n_names) : -1;
	} while (*ret < 0);
	return 0;
}

static int ask_cipher(struct ec_helper_options *options)
{
	const char *names[N_OFFERS];
	size_t i;
	int at, r;

	printf("Select cipher: \n");
	for (i = 0; i < N_OFFERS; i++) {
		const struct ecfmt_cipher *row = ecfmt_cipher_by_name(offers[i].cipher,
								       offers[i].sizes[0]);
		unsigned int least = offers[i].sizes[0], most = least, n;

		names[i] = offers[i].cipher;
		for (n = 0; offers[i].sizes[n]; n++)
			most = offers[i].sizes[n] > most ? offers[i].sizes[n] : most;
		printf(" %zu) %s: blocksize = %u; min keysize = %u; max keysize = %u\n", i + 1,
		       names[i], row ? row->block_len : 0u, least, most);
	}
	r = ask_choice(names, N_OFFERS, names[0], &at);
	if (r == 0)
		strcpy(options->cipher, names[at]);
	return r;
}

static int ask_key_bytes(struct ec_helper_options *options)
{
	char texts[SIZES_MAX][16];
	const char *names[SIZES_MAX];
	int n = 0, at, r;
	size_t i;

	for (i = 0; i < N_OFFERS && strcmp(offers[i].cipher, options->cipher); i++)
		;
	if (i == N_OFFERS)
		return -EINVAL;
	printf("Select key bytes: \n");
	for (; n < SIZES_MAX && offers[i].sizes[n]; n++) {
		snprintf(texts[n], sizeof(texts[n]), "%u", offers[i].sizes[n]);
		names[n] = texts[n];
		printf(" %d) %s\n", n + 1, names[n]);
	}
	r = ask_choice(names, n, names[0], &at);
	if (r == 0)
		options->key_bytes = offers[i].sizes[at];
	return r;
}

int ec_questions_cipher(struct ec_helper_options *options, bool may_ask, struct ec_why *why)
{
	int r = 0;

	if (!options->cipher[0])
		r = may_ask ? canceled(ask_cipher(options), why) : missing("ecryptfs_cipher", why);
	if (r == 0 && !options->key_bytes)
		r = may_ask ? canceled(ask_key_bytes(options), why) :
			      missing("ecryptfs_key_bytes", why);
	return r;
}

int ec_questions_passthrough(struct ec_helper_options *options, bool may_ask, struct ec_why *why)
{
	bool yes;
	int r;

	if (options->passthrough != EC_ANSWER_UNSET || !may_ask)
		return 0;
	r = ec_prompt_yes_no("Enable plaintext passthrough (y/n) [n]: ", "n", &yes);
	if (r == 0)
		options->passthrough = yes ? EC_ANSWER_YES : EC_ANSWER_NO;
	return canceled(r, why);
}

static int ask_fnek_sig(struct ec_helper_options *options, const char *preset_sig)
{
	char question[96], answer[64];
	uint8_t sig[ECFMT_SIG_LEN];
	int r;

	snprintf(question, sizeof(question), "Filename Encryption Key (FNEK) Signature [%s]: ",
		 preset_sig);
	do {
		r = ec_prompt_line(question, preset_sig, answer, sizeof(answer));
		if (r < 0 && r != -EMSGSIZE)
			return r;
		if (r == 0)
			r = ecfmt_sig_from_hex(sig, answer, strlen(answer));
	} while (r < 0);
	ecfmt_sig_to_hex(options->fnek_sig, sig);
	return 0;
}

int ec_questions_names(struct ec_helper_options *options, bool may_ask, const char *preset_sig,
		       struct ec_why *why)
{
	bool yes;
	int r;

	/* A key for names was named: that is the answer, unless the other option says no. */
	if (options->fnek_sig[0] || options->names == EC_ANSWER_NO)
		return 0;
	if (options->names == EC_ANSWER_UNSET) {
		if (!may_ask)
			return 0;
		r = ec_prompt_yes_no("Enable filename encryption (y/n) [n]: ", "n", &yes);
		if (r < 0)
			return canceled(r, why);
		options->names = yes ? EC_ANSWER_YES : EC_ANSWER_NO;
		if (!yes)
			return 0;
	}
	if (may_ask)
		return canceled(ask_fnek_sig(options, preset_sig), why);
	strcpy(options->fnek_sig, preset_sig);
	return 0;
}

int ec_questions_unknown_sig(const char *sig, const char *cache_path, bool *ret_remember,
			     struct ec_why *why)
{
	char question[4300];
	bool yes;
	int r;

	printf("WARNING: the key with the signature [%s] was never used here:\n"
	       "it is not in [%s].\n"
	       "This could mean that the passphrase was mistyped.\n\n", sig, cache_path);
	r = ec_prompt_yes_no("Would you like to proceed with the mount (yes/no)? : ", NULL, &yes);
	if (r < 0)
		return canceled(r, why);
	if (!yes)
		return ec_why_set(why, -ECANCELED, "not mounted, as you wished");
	snprintf(question, sizeof(question), "Would you like to append sig [%s] to\n[%s]\n"
		 "in order to avoid this warning in the future (yes/no)? : ", sig, cache_path);
	r = ec_prompt_yes_no(question, NULL, ret_remember);
	return canceled(r, why);
}
