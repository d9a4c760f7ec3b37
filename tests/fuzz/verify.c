/* The verdict on a candidate that is anything but sound.
 *
 * The golden file is a small good one, of a training step or (bit 6 of the first byte) of
 * inference; the candidate is it, edited: the bytes are a list of edits, since no fuzzer gets past
 * the reader often enough with raw files.  An edit is 8 bytes: what is done, to which tensor (2),
 * to which element (1), a value (4). SPDX-License-Identifier: MIT */
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "gomokunet/golden.h"

enum { EDIT = 8, MOST = 4096 };
enum { SET_ONE, SET_ALL, DROP, RESHAPE, RETYPE, RENAME, COPY, ADD_BITS, KINDS };

typedef struct tensor {
    gn_entry entry; /* data: our own copy */
    char name[256];
    bool dropped;
} tensor;

static char golden_path[2][160];
static gn_reader *golden[2];

static void forget(void)
{
    for (int i = 0; i < 2; i++) {
        gn_reader_close(golden[i]);
        unlink(golden_path[i]);
    }
}

static void make_golden(void)
{
    gn_net net;
    gn_games games = {0};
    gn_dataset dataset;
    gn_err err;
    const gn_net_config config = {5, 1, 3, GN_SEPARABLE, false};
    PROMISE(gn_net_create(&net, &config, &err) == GN_OK);
    PROMISE(gn_player_game(&games, 1, 0, 5, &err) == GN_OK);
    PROMISE(gn_dataset_create(&dataset, &games, 5, NULL, 0, &err) == GN_OK);
    gn_golden g = gn_golden_default();
    g.net = &net;
    g.dataset = &dataset;
    g.session.batch = 1;
    g.session.threads = 1;
    for (int i = 0; i < 2; i++) {
        g.steps = i == 0;
        g.inference = i == 1;
        snprintf(golden_path[i], sizeof golden_path[i], "%s%d.safetensors", fuzz_path(".golden"),
                 i);
        PROMISE(gn_golden_write(golden_path[i], &g, &err) == GN_OK);
        PROMISE(gn_reader_open(&golden[i], golden_path[i], &err) == GN_OK);
    }
    gn_dataset_free(&dataset);
    gn_games_free(&games);
    gn_net_destroy(&net);
    atexit(forget);
}

/* The dimensions in another order, as one, with one more, or with none left. */
static void reshape(gn_entry *e, uint32_t value)
{
    size_t all = 1;
    for (int i = 0; i < e->rank; i++)
        all *= e->dim[i];
    if (value % 4 == 0 && e->rank >= 2) {
        const size_t a = value / 4 % (size_t)e->rank, b = value / 64 % (size_t)e->rank;
        const size_t keep = e->dim[a];
        e->dim[a] = e->dim[b];
        e->dim[b] = keep;
    } else if (value % 4 == 1) {
        e->rank = 1;
        e->dim[0] = all;
    } else if (value % 4 == 2 && e->rank < 8) {
        e->dim[e->rank++] = 1;
    } else if (e->rank > 0) {
        e->dim[value / 4 % (size_t)e->rank] = value / 64 % 8; /* of another size, maybe 0 */
    }
}

static void edit(tensor *t, size_t count, const uint8_t *e)
{
    uint32_t value;
    tensor *to = &t[((size_t)e[1] | (size_t)e[2] << 8) % count];
    memcpy(&value, e + 4, 4);
    uint32_t *word = (uint32_t *)to->entry.data;
    const size_t words = to->entry.bytes / 4, element = words > 0 ? e[3] % words : 0;
    const tensor *from = &t[value % count];
    switch (e[0] % KINDS) {
    case SET_ONE:
        if (words > 0)
            word[element] = value;
        break;
    case SET_ALL:
        for (size_t i = 0; i < words; i++)
            word[i] = value;
        break;
    case ADD_BITS:
        for (size_t i = e[3]; i < words; i += 7)
            word[i] += value % 65536;
        break;
    case DROP:
        to->dropped = true;
        break;
    case RESHAPE:
        reshape(&to->entry, value);
        break;
    case RETYPE:
        to->entry.type = (gn_dtype)(value % 6);
        break;
    case RENAME:
        snprintf(to->name, sizeof to->name, "new/%u", value);
        break;
    case COPY:
        for (size_t i = 0; i < words && i < from->entry.bytes / 4; i++)
            word[i] = ((const uint32_t *)from->entry.data)[i];
        break;
    }
}

/* Every tensor that still can be written, with as many of its bytes as its shape asks for. */
static bool write_candidate(const char *path, const tensor *t, size_t count)
{
    static const uint8_t zeros[1 << 16];
    gn_writer *w;
    PROMISE(gn_writer_open(&w, path, NULL) == GN_OK);
    for (size_t i = 0; i < count; i++)
        if (!t[i].dropped)
            gn_writer_declare(w, t[i].name, t[i].entry.type, t[i].entry.rank, t[i].entry.dim, NULL);
    for (size_t i = 0; i < count; i++) {
        size_t bytes = gn_dtype_size(t[i].entry.type), given = t[i].entry.bytes;
        for (int d = 0; d < t[i].entry.rank; d++)
            bytes *= t[i].entry.dim[d];
        if (t[i].dropped)
            continue;
        if (t[i].entry.type == GN_BOOL)
            given = 0;
        gn_writer_put(w, t[i].entry.data, bytes < given ? bytes : given, NULL);
        for (; given < bytes; given += sizeof zeros) {
            const size_t left = bytes - given;
            gn_writer_put(w, zeros, left < sizeof zeros ? left : sizeof zeros, NULL);
        }
    }
    return gn_writer_close(w, NULL) == GN_OK; /* two names may be the same */
}

static void judge(const char *path, int kind, bool edited)
{
    gn_verification v;
    gn_err err = {0};
    const gn_status st = gn_verify(&v, golden_path[kind], path, 1, &err);
    PROMISE(st == GN_OK || (err.status == st && err.text[0] != '\0'));
    if (st != GN_OK)
        return;
    gn_verdict worst = GN_VERDICT_BITS;
    for (size_t i = 0; i < v.count; i++) {
        const gn_finding *f = &v.finding[i];
        PROMISE(f->name[0] != '\0' && f->verdict <= GN_VERDICT_WRONG);
        PROMISE(f->different <= f->elements || f->elements == 0);
        worst = f->verdict > worst ? f->verdict : worst;
    }
    PROMISE(v.verdict >= worst && v.count > 0);
    PROMISE(edited || v.verdict == GN_VERDICT_BITS);
    gn_verification_free(&v);
}

void fuzz_verify(const uint8_t *bytes, size_t count)
{
    static tensor t[MOST];
    if (golden[0] == NULL)
        make_golden();
    const int kind = count > 0 && (bytes[0] & 64) != 0;
    const size_t tensors = gn_reader_count(golden[kind]);
    PROMISE(tensors > 50 && tensors <= MOST);
    for (size_t i = 0; i < tensors; i++) {
        const gn_entry *e = gn_reader_at(golden[kind], i);
        void *copy = malloc(e->bytes + 1);
        PROMISE(copy != NULL);
        memcpy(copy, e->data, e->bytes);
        t[i] = (tensor){.entry = *e};
        t[i].entry.data = copy;
        snprintf(t[i].name, sizeof t[i].name, "%s", e->name);
    }
    for (size_t at = 0; at + EDIT <= count && at < 64 * EDIT; at += EDIT)
        edit(t, tensors, bytes + at);
    const char *path = fuzz_path(".safetensors");
    if (write_candidate(path, t, tensors))
        judge(path, kind, count >= EDIT);
    for (size_t i = 0; i < tensors; i++)
        free((void *)t[i].entry.data);
}
