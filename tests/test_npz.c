/* npz files made by hand; positions out of arrays.  Damaged ones: test_npz_malformed.c.
 *
 * SPDX-License-Identifier: MIT */
#include <math.h>

#include "gomokunet/io.h"
#include "support/records.h"
#include "support/zip.h"

static gn_status open_bytes(fixture *f, gn_reader **r, const void *bytes, size_t count)
{
    put(f, "a.npz", bytes, count);
    const gn_status st = gn_npz_open(r, f->path, &f->err);
    drop(f, "a.npz");
    cr_assert_eq(st == GN_OK, *r != NULL);
    return st;
}

static bool without_libzip(fixture *f)
{
    gn_reader *r;
    const bool missing = open_bytes(f, &r, "PK", 2) == GN_E_FORMAT &&
                         strstr(f->err.text, "this build reads no npz, expected one with libzip");
    if (missing)
        end(f);
    return missing;
}

Test(npz, arrays_come_with_name_type_and_shape)
{
    static zip z;
    fixture f;
    gn_reader *r;
    begin(&f);
    if (without_libzip(&f))
        return;
    zip_add(&z, "input/value.npy", F4("(2,)"), (float[]){1.5f, -2}, 8);
    zip_add(&z, "n.npy", "{'shape': (), 'descr':'<i8','fortran_order': False}", (int64_t[]){-7}, 8);
    zip_add(&z, "b.npy", "{'descr': '|b1', 'fortran_order': False, 'shape': (1, 3), }", "\0\1\1",
            3);
    zip_finish(&z);
    cr_assert_eq(open_bytes(&f, &r, z.bytes, z.count), GN_OK, "%s", f.err.text);
    cr_assert_eq(gn_reader_count(r), 3);
    const gn_entry *value = gn_reader_find(r, "input/value"), *n = gn_reader_find(r, "n");
    const gn_entry *b = gn_reader_find(r, "b");
    cr_assert(value != NULL && n != NULL && b != NULL);
    cr_expect(value->type == GN_F32 && value->rank == 1 && value->dim[0] == 2);
    cr_expect(((const float *)value->data)[1] == -2 && (uintptr_t)value->data % 64 == 0);
    cr_expect(n->type == GN_I64 && n->rank == 0 && *(const int64_t *)n->data == -7);
    cr_expect(b->type == GN_BOOL && b->rank == 2 && b->dim[1] == 3);
    gn_reader_close(r);
    end(&f);
}

/* --- Positions out of arrays, here from safetensors, which every build reads ------------------ */

enum { S = 5, CELLS = S * S, N = 2 };

static float planes[N][GN_PLANES][CELLS], policy[N][CELLS], value[N];

/* The first: own stone on 1, opponent's on 7, the last move; the second: an empty board. */
static void fill(void)
{
    memset(planes, 0, sizeof planes);
    memset(policy, 0, sizeof policy);
    for (int i = 0; i < N * CELLS; i++)
        planes[i / CELLS][3][i % CELLS] = 1;
    planes[0][0][1] = planes[0][1][7] = planes[0][2][7] = 1;
    policy[0][3] = 0.75f;
    policy[0][11] = 0.25f;
    value[0] = -0.5f;
    value[1] = NAN;
}

static gn_status read_arrays(fixture *f)
{
    gn_writer *w;
    gn_games_free(&f->games);
    f->import.positions = f->import.malformed = 0;
    snprintf(f->path, sizeof f->path, "%s/a.safetensors", f->folder);
    gn_writer_open(&w, f->path, &f->err);
    gn_writer_declare(w, "input/planes", GN_F32, 4, (size_t[]){N, GN_PLANES, S, S}, &f->err);
    gn_writer_declare(w, "policy", GN_F32, 2, (size_t[]){N, CELLS}, &f->err);
    gn_writer_declare(w, "value", GN_F32, 1, (size_t[]){N}, &f->err);
    gn_writer_put(w, planes, sizeof planes, &f->err);
    gn_writer_put(w, policy, sizeof policy, &f->err);
    gn_writer_put(w, value, sizeof value, &f->err);
    cr_assert_eq(gn_writer_close(w, &f->err), GN_OK, "%s", f->err.text);
    const gn_status st = gn_games_read(&f->games, f->path, &f->import, &f->err);
    drop(f, "a.safetensors");
    return st;
}

Test(samples, batches_hold_them_beside_games_under_every_symmetry)
{
    fixture f;
    begin(&f);
    fill();
    cr_assert_eq(read_arrays(&f), GN_OK, "%s", f.err.text);
    cr_assert(f.import.positions == N && gn_games_samples(&f.games) == N);
    const uint16_t moves[] = {7, 1, 20};
    cr_assert_eq(gn_games_add(&f.games, "g", S, GN_FREESTYLE, 1, moves, 3, &f.err), GN_OK);
    gn_dataset set;
    cr_assert_eq(gn_dataset_create(&set, &f.games, S, NULL, 0, &f.err), GN_OK);
    cr_assert(set.count == 4 && set.position[2].game == 1 && set.position[3].ply == 1);
    for (int s = 0; s < 8; s++) {
        float x[CELLS * GN_PLANES], p[CELLS], v;
        gn_position_write(&f.games, 1, 0, s, x, p, &v);
        for (int cell = 0; cell < CELLS; cell++) {
            const int to = gn_symmetry_cell(s, cell, S);
            cr_expect_eq(p[to], policy[0][cell]);
            for (int k = 0; k < GN_PLANES; k++)
                cr_expect_eq(x[to * GN_PLANES + k], planes[0][k][cell]);
        }
        cr_expect_eq(v, -0.5f);
    }
    float x[2][CELLS * GN_PLANES], p[2][CELLS], v[2];
    gn_dataset_batch(&set, 2, 2, x[0], p[0], v);
    cr_expect(p[0][3] == 0.75f && v[0] == -0.5f && isnan(v[1]));
    uint8_t use[3];
    gn_split(&f.games, 1, 1.0, use);
    cr_expect(use[0] == 1 && use[1] == 1 && use[2] == 1);
    gn_dataset_free(&set);
    end(&f);
}

Test(samples, a_position_of_a_game_is_known_again)
{
    fixture f;
    gn_games other = {0};
    gn_dataset set, game;
    uint8_t marks[N];
    size_t count;
    begin(&f);
    fill();
    cr_assert_eq(read_arrays(&f), GN_OK);
    uint16_t moves[3] = {1, 7, 20};
    for (int i = 0; i < 3; i++)
        moves[i] = (uint16_t)gn_symmetry_cell(5, moves[i], S);
    cr_assert_eq(gn_games_add(&other, "g", S, GN_FREESTYLE, 2, moves, 3, &f.err), GN_OK);
    cr_assert_eq(gn_dataset_create(&set, &f.games, S, NULL, 0, &f.err), GN_OK);
    cr_assert_eq(gn_dataset_create(&game, &other, S, NULL, 0, &f.err), GN_OK);
    cr_assert_eq(gn_dataset_mark_seen(&set, &game, marks, &count, &f.err), GN_OK);
    cr_expect(count == 1 && marks[0] == 1 && marks[1] == 0);
    gn_dataset_free(&set);
    gn_dataset_free(&game);
    gn_games_free(&other);
    end(&f);
}

Test(samples, wrong_numbers_are_named)
{
    fixture f;
    begin(&f);
    for (int i = 0; i < 5; i++) {
        static const char *const complaints[] = {
            "planes: position 1 holds nan, expected finite numbers",
            "policy: position 0 adds up to 1.25, expected a distribution or zeros",
            "policy: position 0 adds up to 1 with a negative, expected",
            "value: position 1 has 1.5, expected -1 to 1 or NaN",
            "policy: position 0 adds up to nan"};
        fill();
        if (i == 0)
            planes[1][4][24] = NAN;
        if (i == 1)
            policy[0][3] = 1;
        if (i == 2)
            policy[0][0] = -1, policy[0][1] = 1;
        if (i == 3)
            value[1] = 1.5f;
        if (i == 4)
            policy[0][3] = NAN;
        cr_expect_eq(read_arrays(&f), GN_E_DATA, "case %d", i);
        cr_expect(strstr(f.complaint, complaints[i]) != NULL, "case %d: %s", i, f.complaint);
        cr_expect(f.import.malformed == 1 && gn_games_samples(&f.games) == 0);
    }
    end(&f);
}
