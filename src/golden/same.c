/* Two files of one implementation beside each other: the same bits or not, and no excuse.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "golden/audit.h"

static bool same_shape(const gn_entry *a, const gn_entry *b)
{
    return a->type == b->type && a->rank == b->rank &&
           memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim) == 0;
}

/* Counters and other types have no units in the last place. */
static void compare_bytes(gn_finding *f, const gn_entry *a, const gn_entry *b)
{
    const size_t size = gn_dtype_size(a->type);
    f->elements = a->bytes / size;
    for (size_t i = 0; i < f->elements; i++)
        f->different += memcmp((const char *)a->data + i * size, (const char *)b->data + i * size,
                               size) != 0;
    if (f->different > 0)
        snprintf(f->note, sizeof f->note, "%zu of %zu elements of type %s differ", f->different,
                 f->elements, gn_dtype_name(a->type));
}

static void compare(gn_audit *audit, const gn_entry *a, const gn_reader *other, const char *where)
{
    const gn_entry *b = gn_reader_find(other, a->name);
    gn_finding *f = gn_audit_finding(audit, "", a->name);
    if (f == NULL)
        return;
    f->verdict = GN_VERDICT_WRONG;
    if (b == NULL) {
        snprintf(f->note, sizeof f->note, "missing in %s", where);
    } else if (!same_shape(a, b)) {
        snprintf(f->note, sizeof f->note, "of another type or shape in %s", where);
    } else {
        if (a->type == GN_F32)
            gn_distance(f, b->data, a->data, a->bytes / sizeof(float));
        else
            compare_bytes(f, a, b);
        f->verdict = f->different == 0 ? GN_VERDICT_BITS : GN_VERDICT_WRONG;
        gn_audit_index(f, (gn_shape){.rank = a->rank, .dim = {a->dim[0], a->dim[1], a->dim[2],
                                                              a->dim[3]}}, false);
    }
}

static gn_status compare_files(gn_verification *out, const gn_reader *a, const gn_reader *b,
                               gn_err *err)
{
    gn_audit audit = {.out = out, .replay = {.err = err}};
    for (size_t i = 0; i < gn_reader_count(a) && audit.replay.status == GN_OK; i++)
        compare(&audit, gn_reader_at(a, i), b, "B");
    for (size_t i = 0; i < gn_reader_count(b) && audit.replay.status == GN_OK; i++)
        if (gn_reader_find(a, gn_reader_at(b, i)->name) == NULL)
            compare(&audit, gn_reader_at(b, i), a, "A");
    for (size_t i = 0; i < out->count; i++)
        if (out->finding[i].verdict > out->verdict)
            out->verdict = out->finding[i].verdict;
    return audit.replay.status;
}

gn_status gn_verify_same(gn_verification *out, const char *a, const char *b, gn_err *err)
{
    gn_reader *x = NULL, *y = NULL;
    *out = (gn_verification){.level = GN_LEVEL_TRACE};
    gn_status st = gn_tensors_open(&x, a, err);
    if (st == GN_OK) st = gn_tensors_open(&y, b, err);
    if (st == GN_OK) st = compare_files(out, x, y, err);
    if (st == GN_OK && out->count == 0)
        st = gn_fail(err, GN_E_CONFIG, "%s and %s hold no tensor to compare", a, b);
    gn_reader_close(x);
    gn_reader_close(y);
    if (st != GN_OK)
        gn_verification_free(out);
    return st;
}
