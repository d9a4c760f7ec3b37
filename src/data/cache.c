/* A file that keeps the games of many files, so that a folder of 100,000 is not opened twice.
 *
 * A cache is believed where its key is that of the files as they are now (a stat of each, no byte
 * read) and its own SHA-256 is right.  The key holds, for each file in order, path, size, mtime and
 * ctime; the ctime because a file put back with an old mtime still gets a new one.  The content of
 * the files is not hashed: that would be the reading again that the cache saves.  Even so every
 * game goes through the check that a game from a file goes through.
 *
 *     "GNGAMES1", key[64], six u64 (files, malformed, other_size, fitted, games, bytes of names),
 *     names each with a NUL; a game: u32 source, u16 plies, u16 opening, u8 size, u8 rule,
 *     u8 result + 1, u16 moves;
 *     SHA-256 of all before, 64 digits.  All numbers little-endian.
 * SPDX-License-Identifier: MIT */
#include "data/cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "data/game.h"
#include "data/record.h"
#include "gomokunet/io.h"

/* Changed whenever a reader comes to take other games out of the same bytes. */
static const char magic[] = "GNGAMES1";

enum { MAGIC = 8, KEY = 64, COUNTS = 6, HEAD = MAGIC + KEY + 8 * COUNTS, TAIL = 64, GAME = 11 };

static void add_number(gn_sha256 *hash, uint64_t number)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(number >> 8 * i);
    gn_sha256_add(hash, bytes, sizeof bytes);
}

void gn_cache_key(char key[65], const gn_files *files, const gn_import *import)
{
    gn_sha256 hash;
    gn_sha256_begin(&hash);
    gn_sha256_add(&hash, magic, MAGIC);
    add_number(&hash, (uint64_t)import->board_size);
    add_number(&hash, import->fit_board);
    add_number(&hash, GN_READS_RIF); /* files that another build could not read */
    for (size_t i = 0; i < files->count; i++) {
        const gn_listed *f = &files->file[i];
        gn_sha256_add(&hash, f->path, strlen(f->path) + 1);
        add_number(&hash, f->size);
        add_number(&hash, (uint64_t)f->modified);
        add_number(&hash, (uint64_t)f->changed);
    }
    gn_sha256_hex(&hash, key);
}

/* --- Saving -------------------------------------------------------------------------------- */

typedef struct pen {
    uint8_t *at;
} pen;

static void put(pen *p, uint64_t number, int bytes)
{
    for (int i = 0; i < bytes; i++)
        *p->at++ = (uint8_t)(number >> 8 * i);
}

static void put_bytes(pen *p, const void *bytes, size_t count)
{
    memcpy(p->at, bytes, count);
    p->at += count;
}

static void digest(const uint8_t *bytes, size_t count, char hex[65])
{
    gn_sha256 hash;
    gn_sha256_begin(&hash);
    gn_sha256_add(&hash, bytes, count);
    gn_sha256_hex(&hash, hex);
}

gn_status gn_cache_save(const gn_games *games, size_t first, const char *path, const char key[65],
                        const gn_import *import, gn_err *err)
{
    const uint32_t source = first < games->count ? games->game[first].source : 0;
    size_t names = 0, moves = 0;
    for (size_t i = source; i < games->source_count && first < games->count; i++)
        names += strlen(games->sources[i]) + 1;
    for (size_t i = first; i < games->count; i++)
        moves += games->game[i].count;
    const size_t count = games->count - first;
    const size_t room = HEAD + names + count * GAME + moves * 2 + TAIL + 1;
    uint8_t *bytes = malloc(room);
    if (bytes == NULL)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory to write it", path);
    pen p = {bytes};
    put_bytes(&p, magic, MAGIC);
    put_bytes(&p, key, KEY);
    const uint64_t counts[COUNTS] = {import->files, import->malformed, import->other_size,
                                     import->fitted, count, names};
    for (int i = 0; i < COUNTS; i++)
        put(&p, counts[i], 8);
    for (size_t i = source; names > 0 && i < games->source_count; i++)
        put_bytes(&p, games->sources[i], strlen(games->sources[i]) + 1);
    for (size_t i = first; i < games->count; i++) {
        const gn_game *g = &games->game[i];
        put(&p, g->source - source, 4);
        put(&p, g->count, 2);
        put(&p, g->opening, 2);
        put(&p, g->size, 1);
        put(&p, g->rule, 1);
        put(&p, (uint64_t)(g->result + 1), 1);
        for (int ply = 0; ply < g->count; ply++)
            put(&p, games->moves[g->first + (size_t)ply], 2);
    }
    const size_t written = (size_t)(p.at - bytes);
    digest(bytes, written, (char *)p.at);
    const gn_status st = gn_file_write(path, bytes, written + TAIL, err);
    free(bytes);
    return st;
}

/* --- Loading ------------------------------------------------------------------------------- */

typedef struct eye {
    const uint8_t *at, *end;
} eye;

static uint64_t take(eye *e, int bytes)
{
    uint64_t number = 0;
    for (int i = 0; i < bytes; i++)
        number |= (uint64_t)*e->at++ << 8 * i;
    return number;
}

/* The file's bytes, NULL where it is not there or empty. */
static gn_status read_whole(uint8_t **bytes, size_t *count, const char *path, gn_err *err)
{
    struct stat about;
    *bytes = NULL;
    *count = 0;
    if (stat(path, &about) != 0 && errno == ENOENT)
        return GN_OK;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return gn_fail(err, GN_E_IO, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(fileno(file), &about) != 0 || !S_ISREG(about.st_mode)) {
        fclose(file);
        return gn_fail(err, GN_E_IO, "%s: expected a regular file", path);
    }
    gn_status st = GN_OK;
    *count = (size_t)about.st_size;
    *bytes = malloc(*count + 1);
    if (*bytes == NULL)
        st = gn_fail(err, GN_E_NOMEM, "%s: no memory to read it", path);
    else if (fread(*bytes, 1, *count, file) != *count)
        st = gn_fail(err, GN_E_IO, "%s: cannot read it", path);
    fclose(file);
    return st;
}

/* The starts of the names, which fill `bytes` bytes.  GN_E_FORMAT, GN_E_NOMEM. */
static gn_status take_names(const char ***name, size_t *count, eye *e, size_t bytes, gn_err *err)
{
    const char *at = (const char *)e->at, *end = at + bytes;
    *count = 0;
    for (const char *p = at; p < end; p++)
        *count += *p == '\0';
    if (bytes > 0 && end[-1] != '\0')
        return gn_fail(err, GN_E_FORMAT, "its names are wrong");
    *name = malloc((*count + 1) * sizeof **name);
    if (*name == NULL)
        return gn_fail(err, GN_E_NOMEM, "no memory for %zu names", *count);
    for (size_t i = 0; at < end; at += strlen(at) + 1)
        (*name)[i++] = at;
    e->at += bytes;
    return GN_OK;
}

static gn_status take_games(gn_games *games, eye *e, const uint64_t *counts, gn_err *err)
{
    const uint64_t left = (uint64_t)(e->end - e->at), count = counts[4], bytes = counts[5];
    if (bytes > left || count > (left - bytes) / GAME)
        return gn_fail(err, GN_E_FORMAT, "its counts are wrong");
    size_t names = 0;
    const char **name = NULL;
    gn_status st = take_names(&name, &names, e, (size_t)bytes, err);
    for (uint64_t i = 0; i < count && st == GN_OK; i++) {
        uint16_t moves[GN_MAX_CELLS];
        if (e->end - e->at < GAME)
            st = gn_fail(err, GN_E_FORMAT, "it is too short");
        if (st != GN_OK)
            break;
        const size_t source = (size_t)take(e, 4);
        const int plies = (int)take(e, 2), opening = (int)take(e, 2), size = (int)take(e, 1);
        const gn_rule rule = (gn_rule)take(e, 1);
        const gn_result result = (gn_result)((int)take(e, 1) - 1);
        if (source >= names || result > GN_UNKNOWN || plies > GN_MAX_CELLS ||
            e->end - e->at < 2 * plies)
            st = gn_fail(err, GN_E_FORMAT, "game %zu is wrong", (size_t)i);
        for (int ply = 0; ply < plies && st == GN_OK; ply++)
            moves[ply] = (uint16_t)take(e, 2);
        if (st == GN_OK)
            st = gn_games_add(games, name[source], size, rule, opening, moves, plies, err);
        if (st == GN_OK)
            gn_games_claim(games, result);
    }
    free(name);
    return st == GN_OK && e->at != e->end ? gn_fail(err, GN_E_FORMAT, "it is too long") : st;
}

static bool sound(const uint8_t *bytes, size_t count, const char *key)
{
    char hex[65];
    if (count < HEAD + TAIL || memcmp(bytes + MAGIC, key, KEY) != 0)
        return false;
    digest(bytes, count - TAIL, hex);
    return memcmp(bytes + count - TAIL, hex, TAIL) == 0;
}

gn_status gn_cache_load(gn_games *games, const char *path, const char key[65], gn_import *import,
                        bool *hit, gn_err *err)
{
    uint8_t *bytes;
    size_t count;
    const size_t old_count = games->count, old_moves = games->move_count;
    uint64_t counts[COUNTS];
    *hit = false;
    gn_status st = read_whole(&bytes, &count, path, err);
    if (st == GN_OK && count > 0 && (count < MAGIC || memcmp(bytes, magic, MAGIC - 1) != 0))
        st = gn_fail(err, GN_E_FORMAT, "%s: no cache of games, expected one or no file", path);
    if (st == GN_OK && count > 0 && sound(bytes, count, key)) {
        eye e = {bytes + MAGIC + KEY, bytes + count - TAIL};
        for (int i = 0; i < COUNTS; i++)
            counts[i] = take(&e, 8);
        gn_err cause;
        if (import->strict && counts[1] > 0) /* reading again will name the first malformed game */
            st = gn_fail(&cause, GN_E_FORMAT, "malformed games");
        else
            st = take_games(games, &e, counts, &cause);
        *hit = st == GN_OK;
        if (st == GN_E_FORMAT) { /* the readers do better */
            games->count = old_count;
            games->move_count = old_moves;
            st = GN_OK;
        } else if (st != GN_OK)
            gn_fail(err, st, "%s: %s", path, cause.text);
    }
    if (*hit) {
        import->files += (size_t)counts[0];
        import->malformed += (size_t)counts[1];
        import->other_size += (size_t)counts[2];
        import->fitted += (size_t)counts[3];
        import->games += (size_t)counts[4];
    }
    free(bytes);
    return st;
}
