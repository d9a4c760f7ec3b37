/* The worked examples of docs/numerics.md, read from the page itself.
 *
 * An example is an indented block: "op NAME", then fields "name[dims] = numbers", numbers in the
 * way of strtod; a deeper line goes on with them.  Whatever else an indented line holds fails the
 * running test, and so does a field that nobody asked for.  SPDX-License-Identifier: MIT */
#ifndef GN_TESTS_PAGE_H
#define GN_TESTS_PAGE_H

#include <stdbool.h>

#include "gomokunet/tensor.h"

enum { PAGE_FIELDS = 20, PAGE_NUMBERS = 64, PAGE_EXAMPLES = 80 };

typedef struct page_field {
    char name[24];
    gn_shape shape; /* as written; without dimensions, one row of all the numbers */
    size_t count;
    double number[PAGE_NUMBERS];
    float real[PAGE_NUMBERS]; /* the same numbers */
    bool used;
} page_field;

typedef struct page_example {
    char op[32];
    int line; /* where it begins */
    int fields;
    page_field field[PAGE_FIELDS];
} page_example;

typedef struct page {
    int examples;
    page_example example[PAGE_EXAMPLES];
} page;

/* The page; release with free(). */
page *page_open(void);

/* A field by name, and NULL where there is none; it counts as used. */
page_field *page_find(page_example *e, const char *name);
/* The same, but it must be there; with `count` numbers where that is not 0. */
page_field *page_get(page_example *e, const char *name, size_t count);
/* The single number of a field. */
double page_number(page_example *e, const char *name);
/* Every field was asked for. */
void page_all_used(const page_example *e);

#endif
