/* State files: a training run, to be gone on with to the same bits.
 *
 * Batches, symmetries and initial weights are functions of (seed, step), so there is no generator
 * to save: the number of steps done is the data cursor too.  A file is safetensors; its last tensor
 * is the SHA-256 of all the others' bytes, so a torn or damaged file is known.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "train/optimiser.h"
#include "train/session.h"

static const char *const groups[] = {"value", "first", "second"};
enum { GROUPS = 3, COUNTERS = 3, DIGEST = 32 };
static const char digest_name[] = "sha256";

/* A tensor of the file: group 0 holds parameters and buffers, 1 and 2 the moments. */
static void *tensor_data(const gn_session *s, int group, gn_value v)
{
    return group == 0 ? gn_store_data(s->store, v)
                      : gn_optimizer_moment(s->optimizer, group - 1, v);
}

static void tensor_name(const gn_session *s, int group, gn_value v, char *out, size_t room)
{
    snprintf(out, room, "%s/%s", groups[group], gn_tape_value(s->net->tape, v)->name);
}

static gn_status declare_all(gn_writer *w, const gn_session *s, gn_err *err)
{
    static const size_t two = 2, counters = COUNTERS, digest = DIGEST;
    gn_status st = GN_OK;
    for (int group = 0; group < GROUPS; group++)
        for (int v = 0; v < gn_tape_values(s->net->tape) && st == GN_OK; v++) {
            char name[160];
            const gn_shape shape = gn_tape_value(s->net->tape, v)->shape;
            if (tensor_data(s, group, v) == NULL)
                continue;
            tensor_name(s, group, v, name, sizeof name);
            st = gn_writer_declare(w, name, GN_F32, shape.rank, shape.dim, err);
        }
    if (st == GN_OK) st = gn_writer_declare(w, "powers", GN_F64, 1, &two, err);
    if (st == GN_OK) st = gn_writer_declare(w, "counters", GN_I64, 1, &counters, err);
    if (st == GN_OK) st = gn_writer_declare(w, digest_name, GN_U8, 1, &digest, err);
    return st;
}

static gn_status put(gn_writer *w, gn_sha256 *hash, const void *data, size_t bytes,
                     size_t element, gn_err *err)
{
    gn_sha256_add_elements(hash, data, bytes, element);
    return gn_writer_put(w, data, bytes, err);
}

static void digest_of(gn_sha256 *hash, unsigned char digest[DIGEST])
{
    char hex[65];
    gn_sha256_hex(hash, hex);
    for (int i = 0; i < DIGEST; i++) {
        unsigned byte = 0;
        sscanf(hex + 2 * i, "%2x", &byte);
        digest[i] = (unsigned char)byte;
    }
}

static gn_status put_all(gn_writer *w, const gn_session *s, uint64_t step, gn_err *err)
{
    gn_sha256 hash;
    gn_sha256_begin(&hash);
    gn_status st = GN_OK;
    for (int group = 0; group < GROUPS; group++)
        for (int v = 0; v < gn_tape_values(s->net->tape) && st == GN_OK; v++)
            if (tensor_data(s, group, v) != NULL)
                st = put(w, &hash, tensor_data(s, group, v),
                         gn_shape_count(gn_tape_value(s->net->tape, v)->shape) * sizeof(float),
                         sizeof(float), err);
    const uint64_t counters[COUNTERS] = {step, s->tracked.blocks, s->tracked.others};
    if (st == GN_OK)
        st = put(w, &hash, gn_optimizer_powers(s->optimizer), sizeof(gn_powers), sizeof(double),
                 err);
    if (st == GN_OK) st = put(w, &hash, counters, sizeof counters, sizeof *counters, err);
    unsigned char digest[DIGEST];
    digest_of(&hash, digest);
    return st == GN_OK ? gn_writer_put(w, digest, sizeof digest, err) : st;
}

gn_status gn_session_save_state(const gn_session *s, const char *path, uint64_t step,
                                const gn_note *notes, size_t count, gn_err *err)
{
    gn_writer *w;
    if (gn_store_elem(s->store) != sizeof(float))
        return gn_fail(err, GN_E_CONFIG, "%s: a state file holds float32, this store does not",
                       path);
    gn_status st = gn_writer_open(&w, path, err);
    if (st != GN_OK)
        return st;
    for (size_t i = 0; i < count && st == GN_OK; i++)
        st = gn_writer_metadata(w, notes[i].key, notes[i].value, err);
    if (st == GN_OK) st = declare_all(w, s, err);
    if (st == GN_OK) st = put_all(w, s, step, err);
    if (st == GN_OK)
        return gn_writer_close(w, err);
    gn_writer_abandon(w);
    return st;
}

/* --- Reading ------------------------------------------------------------------------------- */

static void hash_entry(gn_sha256 *hash, const gn_entry *e)
{
    gn_sha256_add_elements(hash, e->data, e->bytes, gn_dtype_size(e->type));
}

gn_status gn_state_check(const gn_reader *r, const char *path, gn_err *err)
{
    const size_t count = gn_reader_count(r);
    const gn_entry *last = count == 0 ? NULL : gn_reader_at(r, count - 1);
    if (last == NULL || strcmp(last->name, digest_name) != 0 || last->bytes != DIGEST)
        return gn_fail(err, GN_E_FORMAT, "%s: not a training state: the last tensor is %s, "
                       "expected %s", path, last == NULL ? "missing" : last->name, digest_name);
    gn_sha256 hash;
    gn_sha256_begin(&hash);
    for (size_t i = 0; i + 1 < count; i++)
        hash_entry(&hash, gn_reader_at(r, i));
    unsigned char digest[DIGEST];
    digest_of(&hash, digest);
    if (memcmp(digest, last->data, DIGEST) != 0)
        return gn_fail(err, GN_E_FORMAT, "%s: damaged: the SHA-256 of its tensors is not the one "
                       "that it holds", path);
    return GN_OK;
}

static gn_status mismatch(const char *path, const char *name, const char *wanted, gn_err *err)
{
    return gn_fail(err, GN_E_SHAPE, "%s: tensor %s: expected %s", path, name, wanted);
}

static gn_status load_tensors(gn_session *s, const gn_reader *r, const char *path, size_t *known,
                              gn_err *err)
{
    for (int group = 0; group < GROUPS; group++)
        for (int v = 0; v < gn_tape_values(s->net->tape); v++) {
            void *to = tensor_data(s, group, v);
            if (to == NULL)
                continue;
            char name[160], wanted[64];
            const gn_shape shape = gn_tape_value(s->net->tape, v)->shape;
            tensor_name(s, group, v, name, sizeof name);
            const gn_entry *e = gn_reader_find(r, name);
            bool same = e != NULL && e->type == GN_F32 && e->rank == shape.rank;
            for (int i = 0; i < shape.rank && same; i++)
                same = e->dim[i] == shape.dim[i];
            if (!same)
                return mismatch(path, name, gn_shape_text(shape, wanted, sizeof wanted), err);
            memcpy(to, e->data, e->bytes);
            (*known)++;
        }
    return GN_OK;
}

gn_status gn_session_load_state(gn_session *s, const gn_reader *r, const char *path,
                                uint64_t *step, gn_err *err)
{
    size_t known = 0;
    const gn_status st = load_tensors(s, r, path, &known, err);
    if (st != GN_OK)
        return st;
    const gn_entry *powers = gn_reader_find(r, "powers"), *counters = gn_reader_find(r, "counters");
    if (powers == NULL || powers->type != GN_F64 || powers->bytes != 2 * sizeof(double))
        return mismatch(path, "powers", "F64 [2]", err);
    if (counters == NULL || counters->type != GN_I64 ||
        counters->bytes != COUNTERS * sizeof(int64_t))
        return mismatch(path, "counters", "I64 [3]", err);
    if (known + 3 != gn_reader_count(r))
        return gn_fail(err, GN_E_SHAPE, "%s: %zu tensors, expected %zu", path, gn_reader_count(r),
                       known + 3);
    memcpy(gn_optimizer_powers(s->optimizer), powers->data, 2 * sizeof(double));
    uint64_t numbers[COUNTERS];
    memcpy(numbers, counters->data, sizeof numbers);
    *step = numbers[0];
    s->tracked = (gn_tracked){.blocks = numbers[1], .others = numbers[2]};
    return GN_OK;
}
