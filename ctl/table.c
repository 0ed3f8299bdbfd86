/* SPDX-License-Identifier: GPL-2.0-only */
/* Aligned columns, in colour where somebody sees it. */
#include "ctl/ctl.h"

#include <errno.h>
#include <string.h>
#include <wchar.h>

struct cell {
	char *text;
	enum ctl_colour colour;
};

struct ctl_table {
	size_t n_columns;
	size_t n_cells;
	struct cell *cells;
	bool incomplete;	/* there was no memory for a cell */
};

struct ctl_table *ctl_table_new(size_t n_columns)
{
	struct ctl_table *table = calloc(1, sizeof(*table));

	if (table)
		table->n_columns = n_columns;
	return table;
}

void ctl_table_free(struct ctl_table *table)
{
	size_t i;

	if (!table)
		return;
	for (i = 0; i < table->n_cells; i++)
		free(table->cells[i].text);
	free(table->cells);
	free(table);
}

void ctl_table_add(struct ctl_table *table, enum ctl_colour colour, const char *text)
{
	struct cell *cells;
	char *copy;

	cells = reallocarray(table->cells, table->n_cells + 1, sizeof(*cells));
	if (cells)
		table->cells = cells;
	copy = cells ? ctl_printable(text) : NULL;
	if (!copy) {
		table->incomplete = true;
		return;
	}
	cells[table->n_cells++] = (struct cell){ copy, colour };
}

/* Columns on the screen; bytes where the text is not of this locale. */
static size_t text_width(const char *text)
{
	wchar_t wide[512];
	size_t n = mbstowcs(wide, text, 512);
	int width;

	if (n == (size_t)-1 || n == 512)
		return strlen(text);
	width = wcswidth(wide, n);
	return width < 0 ? strlen(text) : (size_t)width;
}

static size_t column_width(const struct ctl_table *table, size_t column)
{
	size_t width = 0, i;

	for (i = column; i < table->n_cells; i += table->n_columns)
		if (text_width(table->cells[i].text) > width)
			width = text_width(table->cells[i].text);
	return width;
}

static void print_cell(const struct ctl_table *table, size_t i)
{
	const struct cell *cell = &table->cells[i];
	bool last = i % table->n_columns == table->n_columns - 1;
	size_t pad;

	printf("%s%s%s", ctl_colour_begin(cell->colour), cell->text, ctl_colour_end(cell->colour));
	if (last) {
		putchar('\n');
		return;
	}
	pad = column_width(table, i % table->n_columns) - text_width(cell->text) + 2;
	printf("%*s", (int)pad, "");
}

int ctl_table_print(const struct ctl_table *table)
{
	size_t i;

	if (table->incomplete)
		return -ENOMEM;
	for (i = 0; i < table->n_cells; i++)
		print_cell(table, i);
	return fflush(stdout) == EOF ? -errno : 0;
}

static bool shows_colours(void)
{
	static int shows = -1;
	const char *term;

	if (shows < 0) {
		term = getenv("TERM");
		shows = isatty(STDOUT_FILENO) && !getenv("NO_COLOR") && term &&
			strcmp(term, "dumb") != 0;
	}
	return shows;
}

const char *ctl_colour_begin(enum ctl_colour colour)
{
	static const char *const sequences[] = {
		[CTL_COLOUR_NONE] = "",
		[CTL_COLOUR_GOOD] = "\033[32m",
		[CTL_COLOUR_WARN] = "\033[33m",
		[CTL_COLOUR_BAD] = "\033[31m",
		[CTL_COLOUR_HEAD] = "\033[1m",
	};

	return shows_colours() ? sequences[colour] : "";
}

const char *ctl_colour_end(enum ctl_colour colour)
{
	return shows_colours() && colour != CTL_COLOUR_NONE ? "\033[0m" : "";
}
