/* RenjuNet's .rif: XML, many renju games a file, read with expat where the build has it.
 *
 *     <game id="1" rule="1" black="7" white="9" bresult="0.5" ...>
 *       <move>h8 i9 j10 ...</move>
 *     </game>
 *
 * Format notes:
 * - A letter is the column, a to o; a number the row, 1 to 15, from below; the board is 15x15.
 * - People resign, so most games end without a five: bresult (1, 0.5 or 0, for black) is then the
 *   result, and without it the game's value is unknown.
 * - The first three stones are the opening that one player proposes, not a move to learn.
 * - A game without moves is a mere result and is passed over.
 * - No entity may be declared: they are a way to make a small file large.
 * - All that counts here is ASCII, so the bytes of names may be in whatever encoding.
 * SPDX-License-Identifier: MIT */
#include "data/record.h"

#ifdef GN_HAVE_EXPAT

#include <expat.h>
#include <string.h>

enum { SIZE = 15, OPENING = 3, TEXT_MAX = 4095 };

typedef struct rif {
    XML_Parser parser;
    gn_games *games;
    gn_lines *lines;
    gn_import *import;
    gn_err *err;
    gn_status status; /* not GN_OK: parsing was stopped */
    bool in_game, in_move, refused;
    gn_record game;
    size_t length;
    bool too_long;
    char text[TEXT_MAX + 1]; /* of <move> */
} rif;

static void stop(rif *r, gn_status status)
{
    r->status = status;
    XML_StopParser(r->parser, XML_FALSE);
}

static void XMLCALL on_entity(void *user, const XML_Char *name, int is_parameter,
                              const XML_Char *value, int length, const XML_Char *base,
                              const XML_Char *system, const XML_Char *public,
                              const XML_Char *notation)
{
    (void)name, (void)is_parameter, (void)value, (void)length;
    (void)base, (void)system, (void)public, (void)notation;
    rif *r = user;
    r->lines->number = XML_GetCurrentLineNumber(r->parser);
    gn_lines_fail(r->lines, r->err, "an entity is declared, expected none");
    stop(r, gn_import_reject(r->import, r->err));
    r->refused = true;
}

static void XMLCALL on_start(void *user, const XML_Char *name, const XML_Char **attribute)
{
    rif *r = user;
    if (strcmp(name, "game") == 0) {
        r->in_game = true;
        r->length = 0;
        r->too_long = false;
        r->game = (gn_record){.size = SIZE, .rule = GN_RENJU, .claims = true,
                              .result = GN_UNKNOWN};
        for (; *attribute != NULL; attribute += 2) {
            if (strcmp(attribute[0], "bresult") != 0)
                continue;
            if (strcmp(attribute[1], "1") == 0)
                r->game.result = GN_WIN;
            else if (strcmp(attribute[1], "0.5") == 0)
                r->game.result = GN_DRAW;
            else if (strcmp(attribute[1], "0") == 0)
                r->game.result = GN_LOSS;
        }
    }
    r->in_move = r->in_game && strcmp(name, "move") == 0;
}

static void XMLCALL on_text(void *user, const XML_Char *text, int length)
{
    rif *r = user;
    if (!r->in_move)
        return;
    const size_t room = TEXT_MAX - r->length, count = (size_t)length < room ? (size_t)length : room;
    memcpy(r->text + r->length, text, count);
    r->length += count;
    r->too_long = r->too_long || (size_t)length > room;
}

/* The moves of the text, "h8 i9 ...". */
static gn_status take_moves(rif *r)
{
    const char *at = r->text;
    gn_record *g = &r->game;
    for (;;) {
        while (gn_is_blank(*at))
            at++;
        if (*at == '\0')
            return GN_OK;
        const char *start = at;
        const int column = *at++ - 'a';
        int row = 0;
        if (column < 0 || column >= SIZE || !gn_take_int(&at, &row) || row < 1 || row > SIZE ||
            !(gn_is_blank(*at) || *at == '\0') || g->count == SIZE * SIZE)
            return gn_lines_fail(r->lines, r->err, "ply %d: move '%s', expected a1 to o15",
                                 g->count + 1, gn_quoted(start).text);
        g->moves[g->count++] = (uint16_t)((SIZE - row) * SIZE + column);
    }
}

static void XMLCALL on_end(void *user, const XML_Char *name)
{
    rif *r = user;
    r->in_move = false;
    if (!r->in_game || strcmp(name, "game") != 0)
        return;
    r->in_game = false;
    r->lines->number = XML_GetCurrentLineNumber(r->parser);
    gn_status st = GN_OK;
    if (r->too_long)
        st = gn_lines_fail(r->lines, r->err, "moves of more than %d characters", (int)TEXT_MAX);
    else {
        r->text[r->length] = '\0';
        st = take_moves(r);
    }
    r->game.opening = r->game.count < OPENING ? r->game.count : OPENING;
    if (st == GN_OK && r->game.count > 0)
        st = gn_import_record(r->games, r->lines, r->import, &r->game, r->err);
    if (st == GN_E_FORMAT)
        st = gn_import_reject(r->import, r->err);
    if (st != GN_OK)
        stop(r, st);
}

static gn_status parse(rif *r)
{
    for (bool first = true;; first = false) {
        const char *bytes;
        int count;
        gn_status st = gn_lines_block(r->lines, &bytes, &count, r->err);
        if (st != GN_OK)
            return st == GN_E_FORMAT ? gn_import_reject(r->import, r->err) : st;
        if (first && count >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) { /* UTF-8's mark */
            bytes += 3;
            count -= 3;
        }
        if (XML_Parse(r->parser, bytes, count, count == 0) == XML_STATUS_OK) {
            if (count == 0)
                return GN_OK;
            continue;
        }
        const enum XML_Error code = XML_GetErrorCode(r->parser);
        if (r->status != GN_OK || r->refused)
            return r->status;
        if (code == XML_ERROR_NO_MEMORY)
            return gn_fail(r->err, GN_E_NOMEM, "%s: no memory to read it", r->lines->path);
        r->lines->number = XML_GetCurrentLineNumber(r->parser);
        gn_lines_fail(r->lines, r->err, "broken XML (%s), the rest of the file is left out",
                      XML_ErrorString(code));
        return gn_import_reject(r->import, r->err);
    }
}

gn_status gn_rif_read(gn_games *games, gn_lines *lines, gn_import *import, gn_err *err)
{
    rif r = {.games = games, .lines = lines, .import = import, .err = err};
    r.parser = XML_ParserCreate("ISO-8859-1");
    if (r.parser == NULL)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory to read it", lines->path);
    XML_SetUserData(r.parser, &r);
    XML_SetEntityDeclHandler(r.parser, on_entity);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    const gn_status st = parse(&r);
    XML_ParserFree(r.parser);
    return st;
}

#else

gn_status gn_rif_read(gn_games *games, gn_lines *lines, gn_import *import, gn_err *err)
{
    (void)games;
    gn_fail(err, GN_E_FORMAT, "%s: this build reads no .rif, expected one with expat "
            "(libexpat1-dev)", lines->path);
    return gn_import_reject(import, err);
}

#endif
