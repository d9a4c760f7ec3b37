/* Learning curves of one or several runs as an SVG picture, and gomokunet curve.
 *
 * Four panels over the steps: policy loss, value loss, held-out top-1 and top-5, learning rate.  A
 * single run shows each step's loss behind the smoothed one; several runs differ by colour and show
 * only the smoothed.  SPDX-License-Identifier: MIT */
#include "cli/curve.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/svg.h"

enum { WIDTH = 1080, HEAD = 62, PANEL_W = 440, PANEL_H = 240, GAP_X = 80, GAP_Y = 88, LEFT = 70 };
enum { HEIGHT = HEAD + 40 + 2 * PANEL_H + GAP_Y + 60 };

static const char ink[] = "#222222", faint[] = "#e6e6e6", grey[] = "#666666";

/* One set a run: held-out, training smoothed, training as it is. */
static const struct {
    const char *dark, *main, *pale;
} palette[CURVE_RUNS] = {
    {"#08519c", "#4292c6", "#c6dbef"}, {"#a63603", "#f16913", "#fdd0a2"},
    {"#006d2c", "#41ab5d", "#c7e9c0"}, {"#54278f", "#807dba", "#dadaeb"},
    {"#a50f15", "#ef3b2c", "#fcbba1"}, {"#252525", "#737373", "#d9d9d9"},
};

/* A frame, and the part of the plane that it shows. */
typedef struct panel {
    svg *picture;
    double left, top, steps, low, high;
    double legend; /* where the next entry of the legend begins */
} panel;

static double at_x(const panel *p, double step) { return p->left + step / p->steps * PANEL_W; }

static double at_y(const panel *p, double value)
{
    const double share = (value - p->low) / (p->high - p->low);
    return p->top + PANEL_H * (1 - lesser(greater(share, 0), 1));
}

/* --- Axes ------------------------------------------------------------------------------------ */

/* 1, 2 or 5 times a power of ten: about `wanted` of them fill the span. */
static double tick_step(double span, int wanted)
{
    const double rough = span / wanted;
    double power = 1;
    while (power > rough)
        power /= 10;
    while (power * 10 <= rough)
        power *= 10;
    const double lead = rough / power;
    return (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10) * power;
}

/* The largest whole number that is not above x. */
static double below(double x)
{
    const double near = (double)(long long)x;
    return near > x ? near - 1 : near;
}

static void tick_text(char text[32], double value, double step)
{
    snprintf(text, 32, "%.6g", fabs(value) < step / 1000 ? 0 : value);
}

static panel begin_panel(svg *s, int number, const char *title, double steps, double low,
                         double high)
{
    panel p = {s, LEFT + (number % 2) * (PANEL_W + GAP_X),
               HEAD + 40 + (number / 2) * (PANEL_H + GAP_Y), steps, low, high, 0};
    const double up = tick_step(high - low, 5), across = greater(1, tick_step(steps, 6));
    char text[32];
    p.low = below(low / up + 1e-9) * up;
    p.high = -below(-high / up + 1e-9) * up;
    for (int i = 0; p.low + i * up <= p.high + up / 2; i++) {
        const double value = p.low + i * up, y = at_y(&p, value);
        svg_line(s, p.left, y, p.left + PANEL_W, y, faint, 1);
        tick_text(text, value, up);
        svg_text(s, p.left - 8, y + 4, 12, "end", ink, text);
    }
    for (int i = 0; i * across <= steps; i++) {
        const double x = at_x(&p, i * across), foot = p.top + PANEL_H;
        svg_line(s, x, p.top, x, foot, faint, 1);
        svg_line(s, x, foot, x, foot + 5, ink, 1);
        tick_text(text, i * across, across);
        svg_text(s, x, foot + 19, 12, "middle", ink, text);
    }
    svg_line(s, p.left, p.top, p.left, p.top + PANEL_H, ink, 1);
    svg_line(s, p.left, p.top + PANEL_H, p.left + PANEL_W, p.top + PANEL_H, ink, 1);
    svg_text(s, p.left + PANEL_W / 2.0, p.top + PANEL_H + 37, 12, "middle", grey, "step");
    svg_text(s, p.left, p.top - 26, 15, "start", ink, title);
    p.legend = p.left;
    return p;
}

typedef enum mark { THIN, LINE, DOTS } mark;

static void square(const panel *p, double x, double y, const char *colour)
{
    svg_rect(p->picture, x - 2.5, y - 2.5, 5, 5, colour);
}

/* An entry of the legend, above the frame. */
static void entry(panel *p, mark m, const char *colour, const char *text)
{
    const double y = p->top - 12, x = p->legend;
    svg_line(p->picture, x, y, x + 22, y, colour, 2);
    if (m == DOTS)
        square(p, x + 11, y, colour);
    svg_text(p->picture, x + 27, y + 4, 12, "start", ink, text);
    for (p->legend += 45; *text != '\0'; text++)
        p->legend += 6.3;
}

/* --- Lines ----------------------------------------------------------------------------------- */

static void line(const panel *p, const double *step, const double *value, size_t n, mark m,
                 const char *colour)
{
    static double x[2 * CURVE_BUCKETS], y[2 * CURVE_BUCKETS];
    for (size_t i = 0; i < n; i++) {
        x[i] = at_x(p, step[i]);
        y[i] = at_y(p, value[i]);
    }
    svg_path(p->picture, x, y, n, colour, m == THIN ? 1 : 2);
    /* Where points lie close, squares would only be a thicker line; a single one needs its own. */
    const size_t apart = n / 60 + 1;
    for (size_t i = 0; i < n && m == DOTS; i += apart)
        square(p, x[i], y[i], colour);
    if (n == 1 && m != DOTS)
        square(p, x[0], y[0], colour);
}

/* Each step's values: where a point stands for several, from the lowest to the highest. */
static void raw_line(const panel *p, const curve_series *s, const char *colour)
{
    static double step[2 * CURVE_BUCKETS], value[2 * CURVE_BUCKETS];
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++) {
        step[n] = s->step[i];
        value[n++] = s->low[i];
        if (s->high[i] > s->low[i]) {
            step[n] = s->step[i];
            value[n++] = s->high[i];
        }
    }
    line(p, step, value, n, THIN, colour);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The mean of the middle half of a twentieth of the run around each point: a step whose loss jumps
 * does not move it. */
static void smooth(double *out, const curve_series *s)
{
    double near[CURVE_BUCKETS / 20 + 1];
    const size_t reach = s->count / 40;
    for (size_t i = 0; i < s->count; i++) {
        const size_t first = i > reach ? i - reach : 0;
        const size_t last = i + reach < s->count ? i + reach : s->count - 1;
        const size_t n = last - first + 1, cut = n / 4;
        double sum = 0;
        memcpy(near, s->mean + first, n * sizeof *near);
        qsort(near, n, sizeof *near, ascending);
        for (size_t k = cut; k < n - cut; k++)
            sum += near[k];
        out[i] = sum / (double)(n - 2 * cut);
    }
}

/* --- Panels ---------------------------------------------------------------------------------- */

typedef struct range {
    double low, high;
} range;

static range widen(range r, const double *value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        r.low = lesser(r.low, value[i]);
        r.high = greater(r.high, value[i]);
    }
    return r;
}

/* Never empty: a constant gets room above and below. */
static range some_span(range r)
{
    if (!(r.low <= r.high))
        return (range){0, 1};
    const double least = greater(fabs(r.high) * 1e-3, 1e-12);
    return r.high - r.low > least ? r : (range){r.low - least, r.high + least};
}

/* The value that `share` of n values lie below. */
static double quantile(const double *value, size_t n, double share)
{
    double sorted[CURVE_BUCKETS];
    memcpy(sorted, value, n * sizeof *value);
    qsort(sorted, n, sizeof *sorted, ascending);
    return sorted[(size_t)(share * (double)(n - 1))];
}

/* Room for single steps too, but for the wildest, which end at the frame. */
static range with_raw(range r, const curve_series *s)
{
    if (s->count == 0)
        return r;
    return (range){lesser(r.low, quantile(s->low, s->count, 0.02)),
                   greater(r.high, quantile(s->high, s->count, 0.98))};
}

static void loss_panel(svg *s, int number, const char *title, const curve_run *run, int count,
                       double steps, curve_key training, curve_key held_out)
{
    static double smoothed[CURVE_RUNS][CURVE_BUCKETS];
    range r = {INFINITY, -INFINITY};
    for (int i = 0; i < count; i++) {
        const curve_series *held = &run[i].series[held_out];
        smooth(smoothed[i], &run[i].series[training]);
        r = widen(r, smoothed[i], run[i].series[training].count);
        r = widen(r, held->mean, held->count);
    }
    r = some_span(r);
    if (count == 1)
        r = with_raw(r, &run[0].series[training]);
    panel p = begin_panel(s, number, title, steps, r.low, r.high);
    if (count == 1)
        raw_line(&p, &run[0].series[training], palette[0].pale);
    for (int i = 0; i < count; i++)
        line(&p, run[i].series[training].step, smoothed[i], run[i].series[training].count, LINE,
             palette[i].main);
    for (int i = 0; i < count; i++)
        line(&p, run[i].series[held_out].step, run[i].series[held_out].mean,
             run[i].series[held_out].count, DOTS, palette[count == 1 ? 1 : i].dark);
    if (count == 1)
        entry(&p, THIN, palette[0].pale, "each step");
    entry(&p, LINE, count == 1 ? palette[0].main : grey, "training, smoothed");
    entry(&p, DOTS, count == 1 ? palette[1].dark : grey, "held-out");
}

static void score_panel(svg *s, int number, const curve_run *run, int count, double steps)
{
    range r = {0, 0};
    for (int i = 0; i < count; i++)
        for (int k = CURVE_TOP1; k <= CURVE_TOP5; k++)
            r = widen(r, run[i].series[k].mean, run[i].series[k].count);
    panel p = begin_panel(s, number, "held-out accuracy of the policy", steps, 0,
                          r.high > 0 ? r.high : 1);
    for (int i = 0; i < count; i++) {
        const curve_series *top1 = &run[i].series[CURVE_TOP1], *top5 = &run[i].series[CURVE_TOP5];
        line(&p, top5->step, top5->mean, top5->count, LINE, palette[i].main);
        line(&p, top1->step, top1->mean, top1->count, DOTS, palette[count == 1 ? 1 : i].dark);
    }
    entry(&p, DOTS, count == 1 ? palette[1].dark : grey, "top-1");
    entry(&p, LINE, count == 1 ? palette[0].main : grey, "top-5");
}

static void rate_panel(svg *s, int number, const curve_run *run, int count, double steps)
{
    range r = {0, 0};
    for (int i = 0; i < count; i++)
        r = widen(r, run[i].series[CURVE_RATE].high, run[i].series[CURVE_RATE].count);
    panel p = begin_panel(s, number, "learning rate", steps, 0, r.high > 0 ? r.high : 1);
    for (int i = 0; i < count; i++) {
        const curve_series *rate = &run[i].series[CURVE_RATE];
        line(&p, rate->step, rate->mean, rate->count, LINE, palette[i].main);
    }
}

/* --- The picture ----------------------------------------------------------------------------- */

/* The end of a path tells runs apart, not its beginning. */
static void run_name(char text[64], const char *folder)
{
    const size_t length = strlen(folder);
    size_t first = length > 42 ? length - 42 : 0;
    while (((unsigned char)folder[first] & 0xC0) == 0x80) /* not inside a letter of UTF-8 */
        first++;
    snprintf(text, 64, "%s%s", first > 0 ? "..." : "", folder + first);
}

static gn_status draw(const curve_run *run, const char *const *folder, int count, const char *path,
                      gn_err *err)
{
    double steps = 1;
    for (int i = 0; i < count; i++)
        steps = greater(steps, run[i].last);
    svg s = svg_begin(WIDTH, HEIGHT, "GomokuNet: learning curves");
    svg_text(&s, LEFT, 23, 18, "start", ink, "Learning curves");
    for (int i = 0; i < count; i++) {
        const double x = LEFT + i % 3 * 330.0, y = i < 3 ? 40 : 54;
        char text[64];
        run_name(text, folder[i]);
        if (count > 1)
            svg_rect(&s, x, y - 5, 14, 6, palette[i].main);
        svg_text(&s, count > 1 ? x + 20 : x, y, 12, "start", grey, text);
    }
    loss_panel(&s, 0, "policy loss (cross-entropy)", run, count, steps, CURVE_POLICY,
               CURVE_EVAL_POLICY);
    loss_panel(&s, 1, "value loss (mean squared error)", run, count, steps, CURVE_VALUE,
               CURVE_EVAL_VALUE);
    score_panel(&s, 2, run, count, steps);
    rate_panel(&s, 3, run, count, steps);
    return svg_save(&s, path, err);
}

gn_status curve_draw(const char *const *folder, int count, const char *path, gn_err *err)
{
    curve_run *run = calloc((size_t)count, sizeof *run);
    if (run == NULL)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory for the curves", path);
    gn_status st = GN_OK;
    for (int i = 0; i < count && st == GN_OK; i++)
        st = curve_read(&run[i], folder[i], err);
    if (st == GN_OK)
        st = draw(run, folder, count, path, err);
    free(run);
    return st;
}

int command_curve(int argc, char **argv)
{
    const char *out = "curves.svg";
    text_list runs = {.count = 0};
    const option list[] = {{"out", OPT_TEXT, &out, 0, 0, "FILE", "the picture, an SVG file"}};
    const command c = {"curve", "draw the learning curves of runs", "RUN...", list, 1, NULL};
    const parsed p = options_parse(&c, argc, argv, &runs);
    if (p != PARSED_RUN)
        return p == PARSED_HELP ? EXIT_GOOD : EXIT_USAGE;
    if (runs.count < 1 || runs.count > CURVE_RUNS) {
        fprintf(stderr, "gomokunet curve: %d run folders given: expected 1 to %d\n", runs.count,
                CURVE_RUNS);
        return EXIT_USAGE;
    }
    gn_err err;
    if (curve_draw(runs.item, runs.count, out, &err) != GN_OK)
        return tell("curve", &err);
    printf("written: %s\n", out);
    return EXIT_GOOD;
}
