/* Reading the worked examples; see page.h.  SPDX-License-Identifier: MIT */
#include "support/page.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char path[] = "docs/numerics.md";

static void add_numbers(page_field *f, const char *text, int line)
{
    char *end;
    for (; *(text += strspn(text, " \n")) != '\0'; text = end) {
        cr_assert_lt(f->count, PAGE_NUMBERS, "%s:%d: too many numbers", path, line);
        f->number[f->count] = strtod(text, &end);
        f->real[f->count] = (float)f->number[f->count];
        f->count++;
        cr_assert(end != text, "%s:%d: %s: no number: %s", path, line, f->name, text);
    }
}

/* "name = 1 2", "name[1,2] = 1 2". */
static void add_field(page_example *e, const char *text, int line)
{
    char dims[40] = "", equals = 0;
    int used = 0;
    cr_assert_lt(e->fields, PAGE_FIELDS, "%s:%d: too many fields", path, line);
    page_field *f = &e->field[e->fields++];
    if (sscanf(text, " %23[a-z_0-9A-Z][%39[0-9,]] %c%n", f->name, dims, &equals, &used) != 3)
        sscanf(text, " %23[a-z_0-9A-Z] %c%n", f->name, &equals, &used);
    cr_assert(equals == '=', "%s:%d: expected name = numbers, not: %s", path, line, text);
    for (char *d = dims; *d != '\0'; d += *d == ',')
        f->shape.dim[f->shape.rank++] = strtoul(d, &d, 10);
    add_numbers(f, text + used, line);
}

static void finish(page_example *e)
{
    for (int i = 0; i < e->fields; i++) {
        page_field *f = &e->field[i];
        if (f->shape.rank == 0)
            f->shape = gn_shape_of(1, f->count, 0, 0, 0);
        cr_assert_eq(gn_shape_count(f->shape), f->count, "%s:%d: %s: %zu numbers for its shape",
                     path, e->line, f->name, f->count);
    }
}

/* One line of the page; `open`: the one before it was in an example. */
static bool read_line(page *p, const char *text, int line, bool open)
{
    page_example *e = &p->example[p->examples - (p->examples > 0)];
    if (strncmp(text, "    ", 4) != 0) {
        if (open)
            finish(e);
        return false;
    }
    if (strncmp(text, "    op ", 7) == 0) {
        cr_assert_lt(p->examples, PAGE_EXAMPLES, "%s:%d: too many examples", path, line);
        e = &p->example[p->examples++];
        e->line = line;
        cr_assert_eq(sscanf(text, " op %31[a-z_0-9]", e->op), 1, "%s:%d", path, line);
        return true;
    }
    if (open && text[4] == ' ')
        add_numbers(&e->field[e->fields - 1], text, line);
    else if (open)
        add_field(e, text, line);
    return open;
}

page *page_open(void)
{
    char text[256];
    int line = 0;
    bool open = false;
    page *p = calloc(1, sizeof *p);
    FILE *file = fopen(path, "r");
    cr_assert(p != NULL && file != NULL, "%s", path);
    while (fgets(text, sizeof text, file) != NULL)
        open = read_line(p, text, ++line, open);
    fclose(file);
    read_line(p, "", line, open);
    return p;
}

page_field *page_find(page_example *e, const char *name)
{
    for (int i = 0; i < e->fields; i++)
        if (strcmp(e->field[i].name, name) == 0) {
            e->field[i].used = true;
            return &e->field[i];
        }
    return NULL;
}

page_field *page_get(page_example *e, const char *name, size_t count)
{
    page_field *f = page_find(e, name);
    cr_assert_not_null(f, "%s:%d: %s has no %s", path, e->line, e->op, name);
    cr_assert(count == 0 || f->count == count, "%s:%d: %s has %zu numbers, expected %zu", path,
              e->line, name, f->count, count);
    return f;
}

double page_number(page_example *e, const char *name)
{
    return page_get(e, name, 1)->number[0];
}

void page_all_used(const page_example *e)
{
    for (int i = 0; i < e->fields; i++)
        cr_assert(e->field[i].used, "%s:%d: %s: nothing compares %s", path, e->line, e->op,
                  e->field[i].name);
}
