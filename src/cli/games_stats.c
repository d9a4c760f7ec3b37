/* games --stats: results, lengths, and where games open.  SPDX-License-Identifier: MIT */
#include "cli/games_stats.h"

#include <stdio.h>
#include <string.h>

#include "cli/svg.h"

/* --- Counting ------------------------------------------------------------------------------ */

static void count_lengths(games_stats *s)
{
    size_t below = 0, plies = 0;
    s->shortest = s->median = -1;
    for (int n = 0; n <= GN_MAX_BOARD * GN_MAX_BOARD; n++) {
        const size_t here = s->lengths[n];
        if (here == 0)
            continue;
        if (s->shortest < 0)
            s->shortest = n;
        s->longest = n;
        if (s->median < 0 && 2 * (below + here) >= s->games)
            s->median = n;
        below += here;
        plies += here * (size_t)n;
    }
    s->mean = (double)plies / (double)s->games;
}

void stats_count(games_stats *s, const gn_games *games)
{
    size_t of_size[GN_MAX_BOARD + 1] = {0};
    *s = (games_stats){.games = games->count};
    for (size_t i = 0; i < games->count; i++) {
        const gn_game *g = &games->game[i];
        s->results[g->result + 1]++;
        s->lengths[g->count]++;
        of_size[g->size]++;
        if (of_size[g->size] > s->size_games) {
            s->size = g->size;
            s->size_games = of_size[g->size];
        }
    }
    if (games->count > 0)
        count_lengths(s);
    for (size_t i = 0; i < games->count; i++) {
        const gn_game *g = &games->game[i];
        for (int ply = 0; ply < g->count && ply < STATS_OPENING && g->size == s->size; ply++)
            s->heat[games->moves[g->first + (size_t)ply]]++;
    }
}

/* --- Drawing ------------------------------------------------------------------------------- */

enum { WIDTH = 940, HEIGHT = 560, BOARD = 450, TOP = 60, LEFT = 40, RIGHT = 560, SPAN = 340 };

static const char ink[] = "#222222", faint[] = "#666666", bar[] = "#3b6ea5";

/* From nearly white to dark blue; a cell without a stone is white. */
static void shade(char color[8], size_t count, size_t most)
{
    static const int light[] = {222, 235, 247}, dark[] = {8, 48, 107};
    const double part = (double)count / (double)(most > 0 ? most : 1);
    int mixed[3];
    for (int i = 0; i < 3; i++)
        mixed[i] = count == 0 ? 255 : (int)(light[i] + part * (dark[i] - light[i]) + 0.5);
    snprintf(color, 8, "#%02x%02x%02x", (unsigned)mixed[0] & 255, (unsigned)mixed[1] & 255,
             (unsigned)mixed[2] & 255);
}

static void draw_heat(svg *s, const games_stats *stats)
{
    const double side = (double)BOARD / stats->size;
    size_t most = 0;
    char text[120], color[8];
    for (int cell = 0; cell < stats->size * stats->size; cell++)
        most = stats->heat[cell] > most ? stats->heat[cell] : most;
    snprintf(text, sizeof text, "First %d plies on %dx%d (%zu games)", (int)STATS_OPENING,
             stats->size, stats->size, stats->size_games);
    svg_text(s, LEFT, TOP - 24, 16, "start", ink, text);
    for (int cell = 0; cell < stats->size * stats->size; cell++) {
        const int x = cell % stats->size, y = cell / stats->size;
        shade(color, stats->heat[cell], most);
        svg_rect(s, LEFT + x * side, TOP + y * side, side, side, "#d0d0d0");
        svg_rect(s, LEFT + x * side, TOP + y * side, side - 1, side - 1, color);
    }
    for (int i = 0; i < stats->size; i++) {
        snprintf(text, sizeof text, "%d", i);
        svg_text(s, LEFT + (i + 0.5) * side, TOP - 6, 10, "middle", faint, text);
        svg_text(s, LEFT - 6, TOP + (i + 0.5) * side + 4, 10, "end", faint, text);
    }
    for (int i = 0; i < 100; i++) {
        shade(color, (size_t)i + 1, 100);
        svg_rect(s, LEFT + i * 2, TOP + BOARD + 14, 2, 12, color);
    }
    snprintf(text, sizeof text, "1 to %zu stones a cell", most);
    svg_text(s, LEFT + 210, TOP + BOARD + 25, 12, "start", ink, text);
}

static void draw_results(svg *s, const games_stats *stats)
{
    static const char *const names[] = {"first mover wins", "second mover wins", "draw", "unknown"};
    static const int order[] = {2, 0, 1, 3};
    svg_text(s, RIGHT, TOP - 24, 16, "start", ink, "Results");
    for (int i = 0; i < 4; i++) {
        char text[64];
        const size_t count = stats->results[order[i]];
        const double part = (double)count / (double)stats->games, y = TOP - 6 + i * 30;
        svg_text(s, RIGHT + 120, y + 15, 12, "end", ink, names[i]);
        svg_rect(s, RIGHT + 128, y, part * (SPAN - 210), 20, bar);
        snprintf(text, sizeof text, "%zu (%.1f %%)", count, 100 * part);
        svg_text(s, RIGHT + 134 + part * (SPAN - 210), y + 15, 12, "start", ink, text);
    }
}

static void draw_lengths(svg *s, const games_stats *stats)
{
    enum { BOTTOM = TOP + BOARD, HIGH = 240, BINS = GN_MAX_BOARD * GN_MAX_BOARD / STATS_BIN + 1 };
    size_t bins[BINS] = {0}, most = 0;
    const int used = stats->longest / STATS_BIN + 1;
    const double step = (double)SPAN / used;
    char text[120];
    for (int n = 0; n <= stats->longest; n++) {
        size_t *b = &bins[n / STATS_BIN];
        *b += stats->lengths[n];
        most = *b > most ? *b : most;
    }
    svg_text(s, RIGHT, BOTTOM - HIGH - 52, 16, "start", ink, "Lengths");
    snprintf(text, sizeof text, "%d to %d plies, median %d, mean %.1f", stats->shortest,
             stats->longest, stats->median, stats->mean);
    svg_text(s, RIGHT, BOTTOM - HIGH - 32, 12, "start", ink, text);
    snprintf(text, sizeof text, "%zu games", most);
    svg_text(s, RIGHT, BOTTOM - HIGH - 8, 10, "start", faint, text);
    svg_line(s, RIGHT, BOTTOM - HIGH, RIGHT + SPAN, BOTTOM - HIGH, "#d0d0d0", 1);
    for (int i = 0; i < used; i++) {
        const double height = HIGH * (double)bins[i] / (double)most;
        svg_rect(s, RIGHT + i * step, BOTTOM - height, step > 2 ? step - 1 : step, height, bar);
        if (i % (1 + used / 10) == 0) {
            snprintf(text, sizeof text, "%d", i * STATS_BIN);
            svg_text(s, RIGHT + i * step, BOTTOM + 14, 10, "middle", faint, text);
        }
    }
    svg_line(s, RIGHT, BOTTOM, RIGHT + SPAN, BOTTOM, ink, 1);
}

gn_status stats_draw(const games_stats *s, const char *path, gn_err *err)
{
    char title[64];
    snprintf(title, sizeof title, "%zu games", s->games);
    svg picture = svg_begin(WIDTH, HEIGHT, title);
    draw_heat(&picture, s);
    draw_results(&picture, s);
    draw_lengths(&picture, s);
    return svg_save(&picture, path, err);
}
