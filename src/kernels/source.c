/* What a convolution reads: a map as it lies in memory, or one that is never stored whole.
 *
 *     view  y = relu((x - mean) * sc + beta)          a batch norm and a rectifier, element-wise
 *     taps  y[h,w,c] = sum over (kh,kw) of x[h+kh-1, w+kw-1, c] * W[c,kh,kw]      depthwise, 3x3
 *
 * A thread asks for some rows of one image and gets them in a frame of zeros, made on the way from
 * x; where nothing is to be made and no frame is needed, the rows of x themselves.  A frame fits
 * the second-level cache, so a view costs no memory traffic.
 *
 * Reads: x.
 * Order: that of the plain ops; a depthwise chain runs in a register, lanes are channels.
 * SPDX-License-Identifier: MIT */

enum { TAPS = 9 };

typedef struct source {
    const float *x;
    size_t H, W, C;
    const float *mean, *sc, *beta; /* sc NULL: no view */
    const float *taps;             /* [TAPS][width of C]; NULL: none */
} source;

/* A row of channels, filled up to whole vectors. */
static inline size_t taps_width(size_t C) { return round_up(C, LANES); }

/* Copies `count` squares, through the view. */
static inline void view_squares(float *to, const source *s, const float *from, size_t count)
{
    if (s->sc == NULL) {
        memcpy(to, from, count * s->C * sizeof *to);
        return;
    }
    for (size_t i = 0; i < count; i++, from += s->C, to += s->C)
#pragma omp simd
        for (size_t j = 0; j < s->C; j++) {
            const float y = fma_real(from[j] - s->mean[j], s->sc[j], s->beta[j]);
            to[j] = y <= 0 ? 0.0f : y;
        }
}

/* Line k of image n in its frame of zeros, row k - P of the board, seen through the view. */
static void frame_line(float *to, const source *s, size_t P, size_t n, size_t k)
{
    const size_t side = P * s->C, run = s->W * s->C, h = k - P; /* wraps where outside */
    if (h >= s->H) {
        memset(to, 0, (run + 2 * side) * sizeof *to);
        return;
    }
    memset(to, 0, side * sizeof *to);
    view_squares(to + side, s, s->x + (n * s->H + h) * run, s->W);
    memset(to + side + run, 0, side * sizeof *to);
}

/* What a convolution of padding P sees of rows `first` to end - 1. */
static void frame_rows(float *frame, const source *s, size_t P, size_t n, size_t first, size_t end)
{
    for (size_t k = first; k < end + 2 * P; k++, frame += (s->W + 2 * P) * s->C)
        frame_line(frame, s, P, n, k);
}

static size_t frame_size(const source *s, size_t P)
{
    return round_up((s->H + 2 * P) * (s->W + 2 * P) * s->C, 16);
}

/* The first `cols` lanes, if so many are there; the others are +0, or stay as they are. */
static inline vec get_lanes(const float *from, size_t cols)
{
    float lane[LANES] = {0};
    if (cols >= LANES)
        return vec_load(from);
    for (size_t j = 0; j < cols; j++)
        lane[j] = from[j];
    return vec_load(lane);
}

static inline void put_lanes(float *to, vec value, size_t cols, bool add)
{
    float lane[LANES];
    if (cols >= LANES) {
        if (add)
            value = vec_load(to) + value;
        vec_store(to, value);
        return;
    }
    vec_store(lane, value);
    for (size_t j = 0; j < cols; j++)
        to[j] = accumulate(to[j], lane[j], add);
}

/* One row, channels c to c + LANES - 1, `cols` of which are there; `frame` is one row above. */
static inline void depthwise_lanes(float *y, const float *frame, const source *s, size_t c,
                                   size_t cols, bool add)
{
    const size_t C = s->C, line = (s->W + 2) * C;
    vec weight[TAPS];
#pragma GCC unroll 16
    for (size_t t = 0; t < TAPS; t++)
        weight[t] = vec_load(s->taps + t * taps_width(C) + c);
    for (size_t w = 0; w < s->W; w++) {
        const float *at = frame + w * C + c;
        vec acc = vec_splat(0.0f);
#pragma GCC unroll 16
        for (size_t t = 0; t < TAPS; t++)
            acc = vec_fma(get_lanes(at + t / 3 * line + t % 3 * C, cols), weight[t], acc);
        put_lanes(y + w * C + c, acc, cols, add);
    }
}

/* The depthwise convolution of `rows` framed rows. */
static void depthwise_rows(float *y, const float *frame, const source *s, size_t rows, bool add)
{
    for (size_t h = 0; h < rows; h++, y += s->W * s->C, frame += (s->W + 2) * s->C) {
        size_t c = 0;
        for (; c + LANES <= s->C; c += LANES)
            depthwise_lanes(y, frame, s, c, LANES, add);
        if (c < s->C)
            depthwise_lanes(y, frame, s, c, s->C - c, add);
    }
}

/* Whether a convolution of padding P reads x where it lies. */
static bool source_lies(const source *s, size_t P)
{
    return P == 0 && s->sc == NULL && s->taps == NULL;
}

/* Floats of the buffer that a thread needs. */
static size_t source_size(const source *s, size_t P)
{
    if (s->taps != NULL)
        return frame_size(s, 1) + frame_size(s, 0);
    return source_lies(s, P) ? 0 : frame_size(s, P);
}

/* Rows `first` to end - 1 of image n for a convolution of padding P; with taps, P is 0. */
static const float *source_rows(const source *s, float *buffer, size_t P, size_t n, size_t first,
                                size_t end)
{
    if (source_lies(s, P))
        return s->x + (n * s->H + first) * s->W * s->C;
    frame_rows(buffer, s, s->taps != NULL ? 1 : P, n, first, end);
    if (s->taps == NULL)
        return buffer;
    depthwise_rows(buffer + frame_size(s, 1), buffer, s, end - first, false);
    return buffer + frame_size(s, 1);
}

/* All rows of N images, made by the whole team, each image in a buffer. */
static void source_team(const source *s, float *buffers, size_t P, size_t N)
{
    const size_t F = s->taps != NULL ? 1 : P, lines = s->H + 2 * F, line = (s->W + 2 * F) * s->C;
    const size_t size = source_size(s, P), flat = frame_size(s, 1), run = s->W * s->C;
#pragma omp parallel
    {
#pragma omp for schedule(static)
        for (size_t i = 0; i < N * lines * (size > 0); i++)
            frame_line(buffers + i / lines * size + i % lines * line, s, F, i / lines, i % lines);
#pragma omp for schedule(static)
        for (size_t i = 0; i < N * s->H * (s->taps != NULL); i++) {
            float *frame = buffers + i / s->H * size;
            depthwise_rows(frame + flat + i % s->H * run, frame + i % s->H * line, s, 1, false);
        }
    }
}

/* Where the team put rows from `first` on. */
static const float *source_made(const source *s, const float *buffers, size_t P, size_t n,
                                size_t first)
{
    if (source_lies(s, P))
        return s->x + (n * s->H + first) * s->W * s->C;
    return buffers + n * source_size(s, P) + (s->taps != NULL ? frame_size(s, 1) : 0) +
           first * (s->W + 2 * P) * s->C;
}
