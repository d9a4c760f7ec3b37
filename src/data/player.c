/* The built-in player: makes games to train on where there are no records.
 *
 * It looks one ply ahead: every empty cell is scored by the shapes that a stone there would make,
 * for the side to move and, a little lower, for the opponent (a shape denied).  So it completes and
 * blocks fives, makes and blocks open fours, and prefers what does both.  Scores are integers and
 * the choice is a fixed function of the position and the last move: what a network can learn.  Only
 * the opening is random, which keeps the games apart.
 *
 * It does not search, and it is no measure of strength.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/streams.h"
#include "data/game.h"
#include "gomokunet/numeric.h"

/* What a stone makes of its line in one direction, best first. */
typedef enum shape {
    NOTHING,
    TWO,        /* two in a window of five free of the opponent */
    OPEN_TWO,   /* two, and both ends of the four around them are empty */
    THREE,      /* three in such a window: the next stone makes a four */
    OPEN_THREE, /* the next stone makes an open four */
    FOUR,       /* one cell completes five */
    OPEN_FOUR,  /* two cells complete five: no single move stops it */
    FIVE,
    SHAPES
} shape;

/* What the shapes of a stone add up to: the tiers stand far apart, so that the sum of own and
 * denied shapes keeps their order. */
enum {
    OWN_FIVE = 1 << 28,
    THEIR_FIVE = 1 << 26,
    OWN_OPEN_FOUR = 1 << 24, /* or two fours at once */
    OWN_FOUR_THREE = 1 << 22,
    THEIR_OPEN_FOUR = 1 << 20,
    THEIR_FOUR_THREE = 1 << 19,
    OWN_TWO_THREES = 1 << 18,
    THEIR_TWO_THREES = 1 << 17
};

typedef struct board {
    int size;
    uint8_t cell[GN_MAX_CELLS];        /* 0 empty, 1 first, 2 second */
    uint8_t shape[2][GN_MAX_CELLS][4]; /* side, empty cell, direction */
} board;

static const int direction[4][2] = {{1, 0}, {0, 1}, {1, 1}, {1, -1}};

/* The best shape in a line of nine cells whose middle is the new stone.  line: 0 empty, 1 own,
 * 2 the opponent's or off the board. */
static shape line_shape(const uint8_t line[9])
{
    int most = 0, completing = 0;
    unsigned seen = 0; /* the cells that complete five, a bit each */
    for (int start = 0; start < 5; start++) {
        int own = 0, blocked = 0, gap = 0;
        for (int i = start; i < start + 5; i++) {
            own += line[i] == 1;
            blocked += line[i] == 2;
            gap = line[i] == 0 ? i : gap;
        }
        if (blocked > 0)
            continue;
        if (own == 4 && !(seen >> gap & 1)) {
            seen |= 1u << gap;
            completing++;
        }
        most = own > most ? own : most;
    }
    if (most >= 4)
        return most == 5 ? FIVE : completing >= 2 ? OPEN_FOUR : FOUR;

    int open = 0; /* most stones in a four with both neighbours empty */
    for (int start = 0; start < 4; start++) {
        int own = 0, blocked = line[start] != 0 || line[start + 5] != 0;
        for (int i = start + 1; i < start + 5; i++) {
            own += line[i] == 1;
            blocked += line[i] == 2;
        }
        open = blocked == 0 && own > open ? own : open;
    }
    if (most == 3)
        return open == 3 ? OPEN_THREE : THREE;
    if (most == 2)
        return open == 2 ? OPEN_TWO : TWO;
    return NOTHING;
}

static void score_line(board *b, int x, int y, int d)
{
    const int cell = y * b->size + x, dx = direction[d][0], dy = direction[d][1];
    for (int side = 0; side < 2; side++) {
        uint8_t line[9];
        for (int i = -4; i <= 4; i++) {
            const int lx = x + i * dx, ly = y + i * dy;
            const bool off = lx < 0 || ly < 0 || lx >= b->size || ly >= b->size;
            const uint8_t owner = off ? 3 : b->cell[ly * b->size + lx];
            line[i + 4] = owner == 0 ? 0 : owner == side + 1 ? 1 : 2;
        }
        line[4] = 1;
        b->shape[side][cell][d] = (uint8_t)line_shape(line);
    }
}

/* Puts a stone and renews the shapes of the empty cells it can matter to: at most four away. */
static void place(board *b, int cell, int side)
{
    const int x = cell % b->size, y = cell / b->size;
    b->cell[cell] = (uint8_t)(side + 1);
    for (int d = 0; d < 4; d++)
        for (int i = -4; i <= 4; i++) {
            const int lx = x + i * direction[d][0], ly = y + i * direction[d][1];
            if (lx >= 0 && ly >= 0 && lx < b->size && ly < b->size &&
                b->cell[ly * b->size + lx] == 0)
                score_line(b, lx, ly, d);
        }
}

static void board_begin(board *b, int size)
{
    memset(b, 0, sizeof *b);
    b->size = size;
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++)
            for (int d = 0; d < 4; d++)
                score_line(b, x, y, d);
}

/* The worth of a cell for one side: a tier, and the sum of its shapes. */
static int32_t worth(const uint8_t shapes[4], bool own)
{
    static const int32_t weight[SHAPES] = {[TWO] = 12,         [OPEN_TWO] = 100,
                                           [THREE] = 120,      [OPEN_THREE] = 800,
                                           [FOUR] = 120,       [OPEN_FOUR] = 2000,
                                           [FIVE] = 4000};
    int count[SHAPES] = {0};
    int32_t sum = 0;
    for (int d = 0; d < 4; d++) {
        count[shapes[d]]++;
        sum += weight[shapes[d]];
    }
    if (!own)
        sum /= 3; /* attack: at 3/4, 6 % of the games on 15x15 are draws, at 1/3 1 % */
    const int fours = count[FOUR] + count[OPEN_FOUR];
    if (count[FIVE] > 0)
        return sum + (own ? OWN_FIVE : THEIR_FIVE);
    if (count[OPEN_FOUR] > 0 || fours >= 2)
        return sum + (own ? OWN_OPEN_FOUR : THEIR_OPEN_FOUR);
    if (fours > 0 && count[OPEN_THREE] > 0)
        return sum + (own ? OWN_FOUR_THREE : THEIR_FOUR_THREE);
    if (count[OPEN_THREE] >= 2)
        return sum + (own ? OWN_TWO_THREES : THEIR_TWO_THREES);
    return sum;
}

static int square_distance(int ax, int ay, int bx, int by)
{
    return (ax - bx) * (ax - bx) + (ay - by) * (ay - by);
}

/* The best empty cell for `side`.  Between equal shapes the distances to the last move and to the
 * centre decide (together at most 2,304 < UNIT), then the lower cell: a tie that is left happens in
 * one move of 300, between mirror images, and would be noise to a network. */
static int choose(const board *b, int side, int last)
{
    enum { UNIT = 4096 };
    const int size = b->size;
    int best = -1;
    int64_t best_score = 0;
    for (int cell = 0; cell < size * size; cell++) {
        if (b->cell[cell] != 0)
            continue;
        const int x = cell % size, y = cell / size;
        const int32_t sum = worth(b->shape[side][cell], true) +
                            worth(b->shape[1 - side][cell], false);
        const int64_t score = (int64_t)sum * UNIT -
                              square_distance(x, y, last % size, last / size) -
                              square_distance(2 * x, 2 * y, size - 1, size - 1);
        if (best < 0 || score > best_score) {
            best = cell;
            best_score = score;
        }
    }
    return best;
}

/* Three to six random stones in the middle: too few for a five, and close enough to fight. */
static int open_game(board *b, uint64_t seed, uint64_t index, uint16_t *moves)
{
    enum { MIDDLE = 7 };
    const uint64_t stream = gn_stream(GN_STREAM_PLAYER, index);
    const int side = b->size < MIDDLE ? b->size : MIDDLE, first = (b->size - side) / 2;
    uint64_t draw = 0;
    const int stones = 3 + (int)gn_random_below(seed, stream, draw++, 4);
    for (int count = 0; count < stones;) {
        const int at = (int)gn_random_below(seed, stream, draw++, (uint32_t)(side * side));
        const int cell = (first + at / side) * b->size + first + at % side;
        if (b->cell[cell] != 0)
            continue;
        moves[count] = (uint16_t)cell;
        place(b, cell, count % 2);
        count++;
    }
    return stones;
}

gn_status gn_player_game(gn_games *games, uint64_t seed, uint64_t index, int size, gn_err *err)
{
    if (size < GN_MIN_BOARD || size > GN_MAX_BOARD)
        return gn_fail(err, GN_E_CONFIG, "board size %d, expected %d to %d", size,
                       (int)GN_MIN_BOARD, (int)GN_MAX_BOARD);
    board b;
    uint16_t moves[GN_MAX_CELLS];
    board_begin(&b, size);
    const int opening = open_game(&b, seed, index, moves);
    int count = opening;
    bool over = false;
    while (!over && count < size * size) {
        const int cell = choose(&b, count % 2, moves[count - 1]);
        place(&b, cell, count % 2);
        moves[count++] = (uint16_t)cell;
        over = gn_board_wins(b.cell, size, cell, GN_FREESTYLE) || count == GN_DRAW_PLIES;
    }
    return gn_games_add(games, "built-in player", size, GN_FREESTYLE, opening, moves, count, err);
}
