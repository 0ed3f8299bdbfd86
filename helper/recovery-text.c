/* SPDX-License-Identifier: GPL-2.0-only */
/* Recovery keys as text. */
#include "helper/recovery-text.h"

#include <errno.h>
#include <string.h>

#define DATA_LEN	8u	/* letters of a group that carry bits */
#define LETTERS		(ECD_RECOVERY_GROUPS * ECD_RECOVERY_GROUP_LEN)
#define SLACK		4u	/* letters too many or too few in what still looks like one */
#define STRANGERS_MAX	8u	/* letters outside the alphabet in what still looks like one */

static const char alphabet[] = "cbdefghijklnrtuv";

/* The letters without what separates them; lives in locked memory. */
struct letters {
	struct ec_secret text;	/* lower case */
	size_t n_strangers;	/* that are not of the alphabet */
};

static void letters_done(struct letters *letters)
{
	ec_secret_done(&letters->text);
}

/* Product with a = 2 in GF(16). */
static uint8_t times_a(uint8_t value)
{
	value = (uint8_t)(value << 1);
	return value & 16 ? value ^ 0x13 : value;
}

static void checksum(const uint8_t values[static DATA_LEN], size_t group, uint8_t ret[static 2])
{
	size_t i;

	ret[0] = (uint8_t)group;
	ret[1] = 0;
	/* Horner's scheme, from the highest power down. */
	for (i = DATA_LEN; i-- > 0;) {
		ret[0] ^= values[i];
		ret[1] = times_a(ret[1]) ^ values[i];
	}
}

static char *put_group(char *p, const uint8_t bytes[static DATA_LEN / 2], size_t group)
{
	uint8_t values[ECD_RECOVERY_GROUP_LEN];
	size_t i;

	for (i = 0; i < DATA_LEN / 2; i++) {
		values[2 * i] = bytes[i] >> 4;
		values[2 * i + 1] = bytes[i] & 15;
	}
	checksum(values, group, values + DATA_LEN);
	for (i = 0; i < ECD_RECOVERY_GROUP_LEN; i++)
		*p++ = alphabet[values[i]];
	explicit_bzero(values, sizeof(values));
	return p;
}

int ecd_recovery_encode(const struct ec_secret *key, struct ec_secret *ret_text)
{
	_cleanup_secret_ struct ec_secret text = EC_SECRET_NULL;
	size_t group;
	char *p;
	int r;

	if (key->len != ECD_RECOVERY_KEY_LEN)
		return -EINVAL;
	r = ec_secret_init(&text, ECD_RECOVERY_TEXT_LEN);
	if (r < 0)
		return r;
	p = (char *)text.data;
	for (group = 0; group < ECD_RECOVERY_GROUPS; group++) {
		if (group)
			*p++ = '-';
		p = put_group(p, key->data + group * DATA_LEN / 2, group);
	}
	ec_secret_move(ret_text, &text);
	return 0;
}

static bool is_separator(uint8_t c)
{
	return c == '-' || c == ' ' || (c >= '\t' && c <= '\r');
}

/* -EINVAL for what nobody could have meant as a recovery key. */
static int collect_letters(const struct ec_secret *text, struct letters *ret)
{
	_cleanup_(letters_done) struct letters letters = { .text = EC_SECRET_NULL };
	size_t i, n = 0;
	int r;

	r = ec_secret_init(&letters.text, LETTERS + SLACK);
	if (r < 0)
		return r;
	for (i = 0; i < text->len; i++) {
		uint8_t c = text->data[i];

		if (is_separator(c))
			continue;
		if (n == letters.text.len)
			return -EINVAL;
		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		if (!c || !strchr(alphabet, c))
			letters.n_strangers++;
		letters.text.data[n++] = c;
	}
	if (n + SLACK < LETTERS || letters.n_strangers > STRANGERS_MAX)
		return -EINVAL;
	ec_secret_truncate(&letters.text, n);

	*ret = letters;
	letters.text = EC_SECRET_NULL;
	return 0;
}

bool ecd_recovery_looks_like(const struct ec_secret *text)
{
	_cleanup_(letters_done) struct letters letters = { .text = EC_SECRET_NULL };

	return collect_letters(text, &letters) == 0;
}

/* Number 1.. of the first group that has not its length; 0 if the text is not in eight groups. */
static unsigned int uneven_group(const struct ec_secret *text)
{
	unsigned int n_groups = 0, uneven = 0;
	size_t i = 0;

	while (i < text->len) {
		size_t start;

		while (i < text->len && is_separator(text->data[i]))
			i++;
		for (start = i; i < text->len && !is_separator(text->data[i]); i++)
			;
		if (i == start)
			break;
		n_groups++;
		if (!uneven && i - start != ECD_RECOVERY_GROUP_LEN)
			uneven = n_groups;
	}
	return n_groups == ECD_RECOVERY_GROUPS ? uneven : 0;
}

/* False if a letter is none of the alphabet or the checksum does not fit. */
static bool get_group(const uint8_t *letters, size_t group, uint8_t ret[static DATA_LEN / 2])
{
	uint8_t values[ECD_RECOVERY_GROUP_LEN], want[2];
	bool ok = true;
	size_t i;

	for (i = 0; i < ECD_RECOVERY_GROUP_LEN; i++) {
		const char *at = letters[i] ? strchr(alphabet, letters[i]) : NULL;

		ok = ok && at;
		values[i] = at ? (uint8_t)(at - alphabet) : 0;
	}
	checksum(values, group, want);
	ok = ok && want[0] == values[DATA_LEN] && want[1] == values[DATA_LEN + 1];
	for (i = 0; i < DATA_LEN / 2; i++)
		ret[i] = (uint8_t)(values[2 * i] << 4 | values[2 * i + 1]);

	explicit_bzero(values, sizeof(values));
	explicit_bzero(want, sizeof(want));
	return ok;
}

int ecd_recovery_decode(const struct ec_secret *text, struct ec_secret *ret_key,
			unsigned int *ret_group)
{
	_cleanup_(letters_done) struct letters letters = { .text = EC_SECRET_NULL };
	_cleanup_secret_ struct ec_secret key = EC_SECRET_NULL;
	size_t group, n_groups;
	int r;

	r = collect_letters(text, &letters);
	if (r < 0)
		return r;
	r = ec_secret_init(&key, ECD_RECOVERY_KEY_LEN);
	if (r < 0)
		return r;
	n_groups = letters.text.len / ECD_RECOVERY_GROUP_LEN;
	if (n_groups > ECD_RECOVERY_GROUPS)
		n_groups = ECD_RECOVERY_GROUPS;

	for (group = 0; group < n_groups; group++)
		if (!get_group(letters.text.data + group * ECD_RECOVERY_GROUP_LEN, group,
			       key.data + group * DATA_LEN / 2))
			break;
	if (letters.text.len == LETTERS && group == ECD_RECOVERY_GROUPS) {
		ec_secret_move(ret_key, &key);
		return 0;
	}

	/* With a letter lost, the dashes tell better than the checksums where. */
	*ret_group = letters.text.len != LETTERS ? uneven_group(text) : 0;
	if (!*ret_group || *ret_group > group + 1)
		*ret_group = (unsigned int)(group < ECD_RECOVERY_GROUPS ? group + 1 : group);
	return -EKEYREJECTED;
}
