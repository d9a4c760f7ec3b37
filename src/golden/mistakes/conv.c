/* Mistakes in convolutions, dense and depthwise.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "golden/mistakes/mistake.h"

static bool is_conv(const gn_record *r)
{
    return gn_record_is(r, "conv2d") || gn_record_is(r, "depthwise_conv2d");
}

/* --- Weights [O,I,K,K] read otherwise --------------------------------------------------------- */

typedef struct tap {
    size_t o, i, h, w;
} tap;

static tap tap_of(gn_shape s, size_t e)
{
    const size_t K = s.dim[3];
    return (tap){e / (K * K * s.dim[1]), e / (K * K) % s.dim[1], e / K % K, e % K};
}

static size_t weight(gn_shape s, tap t)
{
    return ((t.o * s.dim[1] + t.i) * s.dim[2] + t.h) * s.dim[3] + t.w;
}

static size_t flipped(const gn_slip *slip, gn_shape s, size_t e)
{
    (void)slip;
    const tap t = tap_of(s, e);
    return weight(s, (tap){t.o, t.i, s.dim[2] - 1 - t.h, s.dim[3] - 1 - t.w});
}

static size_t board_transposed(const gn_slip *slip, gn_shape s, size_t e)
{
    (void)slip;
    const tap t = tap_of(s, e);
    return weight(s, (tap){t.o, t.i, t.w, t.h});
}

/* The memory taken for [I,O,K,K]. */
static size_t channels_transposed(const gn_slip *slip, gn_shape s, size_t e)
{
    (void)slip;
    const tap t = tap_of(s, e);
    return ((t.i * s.dim[0] + t.o) * s.dim[2] + t.h) * s.dim[3] + t.w;
}

/* The memory taken for [O,K,K,I] or [K,K,I,O]. */
static size_t channels_last(const gn_slip *slip, gn_shape s, size_t e)
{
    const tap t = tap_of(s, e);
    if (slip->variant == 0)
        return ((t.o * s.dim[2] + t.h) * s.dim[3] + t.w) * s.dim[1] + t.i;
    return ((t.h * s.dim[3] + t.w) * s.dim[1] + t.i) * s.dim[0] + t.o;
}

static size_t without_tap(const gn_slip *slip, gn_shape s, size_t e)
{
    const tap t = tap_of(s, e);
    return s.dim[2] == 3 && (int)(t.h * 3 + t.w) == slip->variant ? GN_NOWHERE : e;
}

/* --- Maps [N,H,W,C] read or written otherwise ------------------------------------------------- */

/* Variants 0 and 2: our memory taken for [N,C,H,W]; 1 and 3: [N,C,H,W] taken for [N,H,W,C]. */
static size_t other_layout(const gn_slip *slip, gn_shape s, size_t e)
{
    const size_t HW = s.dim[1] * s.dim[2], C = s.dim[3], image = e / (HW * C) * HW * C;
    const size_t at = e % (HW * C);
    if (slip->variant % 2 == 0)
        return image + at % C * HW + at / C;
    return image + at % HW * C + at / HW;
}

static int input_then_output(int variant)
{
    return variant < 2 ? 0 : GN_SLIP_OUTPUT;
}

/* What a loop over tiles leaves out at its end: input channels (1 to 8 of them, or 16); output
 * channels, as many; the last row, column, square or image of the output. */
enum {
    CHANNEL_FORMS = 9,
    LAST_ROW = 2 * CHANNEL_FORMS,
    LAST_COLUMN,
    LAST_SQUARE,
    LAST_IMAGE,
    TILE_FORMS
};

static size_t without_tile(const gn_slip *slip, gn_shape s, size_t e)
{
    const size_t c = e % s.dim[3], w = e / s.dim[3] % s.dim[2];
    const size_t h = e / (s.dim[3] * s.dim[2]) % s.dim[1];
    const size_t n = e / (s.dim[3] * s.dim[2] * s.dim[1]);
    const bool row = h + 1 == s.dim[1], column = w + 1 == s.dim[2];
    bool left_out = false;
    switch (slip->variant) {
    case LAST_ROW:
        left_out = row;
        break;
    case LAST_COLUMN:
        left_out = column;
        break;
    case LAST_SQUARE:
        left_out = row && column;
        break;
    case LAST_IMAGE:
        left_out = n + 1 == s.dim[0];
        break;
    default: {
        const size_t form = (size_t)slip->variant % CHANNEL_FORMS, width = form < 8 ? form + 1 : 16;
        left_out = width < s.dim[3] && c + width >= s.dim[3];
    }
    }
    return left_out ? GN_NOWHERE : e;
}

static int tile_side(int variant)
{
    return variant < CHANNEL_FORMS ? 0 : GN_SLIP_OUTPUT;
}

/* Variant 0: the second image; 1: all but the first; 2: the last. */
static size_t without_image(const gn_slip *slip, gn_shape s, size_t e)
{
    const size_t n = e / (s.dim[3] * s.dim[2] * s.dim[1]);
    const bool left_out = slip->variant == 0   ? n == 1
                          : slip->variant == 1 ? n > 0
                                               : n + 1 == s.dim[0];
    return left_out ? GN_NOWHERE : e;
}

/* --- Padding ---------------------------------------------------------------------------------- */

/* Copies between a map and one with a border of a square, shifted by (dh, dw). */
static void bordered(double *border, double *map, gn_shape s, size_t dh, size_t dw, bool out)
{
    const size_t W = s.dim[2] + 2, C = s.dim[3];
    for (size_t n = 0; n < s.dim[0]; n++)
        for (size_t h = 0; h < s.dim[1]; h++)
            for (size_t w = 0; w < s.dim[2]; w++) {
                double *a = border + ((n * (s.dim[1] + 2) + h + dh) * W + w + dw) * C;
                double *b = map + ((n * s.dim[1] + h) * s.dim[2] + w) * C;
                memcpy(out ? b : a, out ? a : b, C * sizeof *a);
            }
}

static gn_shape with_border(gn_shape s)
{
    return gn_shape_of(4, s.dim[0], s.dim[1] + 2, s.dim[2] + 2, s.dim[3]);
}

/* The windows lie a square too far: down, right, both, up, left, both.  Computed on maps with a
 * border, which is then cut off elsewhere. */
static void shifted(const gn_slip *s)
{
    static const size_t down[] = {2, 1, 2, 0, 1, 0}, right[] = {1, 2, 2, 1, 0, 0};
    const size_t dh = down[s->variant], dw = right[s->variant];
    gn_call c = s->call;
    const gn_shape x = c.in[0].shape, y = c.out[0].shape;
    const gn_shape wide_x = with_border(x), wide_y = with_border(y);
    double *in = s->room, *out = in + gn_shape_count(wide_x), *din = out + gn_shape_count(wide_y);
    memset(in, 0, gn_shape_count(wide_x) * sizeof *in);
    memset(out, 0, gn_shape_count(wide_y) * sizeof *out);
    bordered(in, c.in[0].data, x, 1, 1, false);
    c.in[0] = (gn_tensor){in, wide_x};
    c.out[0] = (gn_tensor){out, wide_y};
    if (c.pass != GN_BACKWARD) {
        gn_slip_sound(s, &c);
        bordered(out, s->call.out[0].data, y, dh, dw, true);
        return;
    }
    bordered(out, s->call.dout.data, y, dh, dw, false);
    c.dout = c.out[0];
    c.din[0] = (gn_tensor){c.din[0].data == NULL ? NULL : din, wide_x};
    gn_slip_sound(s, &c);
    if (c.din[0].data != NULL)
        bordered(din, s->call.din[0].data, x, 1, 1, true);
}

static bool has_border(const gn_record *r)
{
    return is_conv(r) && !gn_record_ends(r, ".pointwise") &&
           strncmp(r->name, "policy_conv", 11) != 0 && strncmp(r->name, "value_conv", 10) != 0;
}

static const gn_mistake mistakes[] = {
    {.name = "conv-flipped",
     .says = "the kernels are turned by 180 degrees",
     .where = has_border,
     .place = flipped,
     .side = 1},
    {.name = "conv-height-width-swapped",
     .says = "the kernels' rows are taken for columns",
     .where = has_border,
     .place = board_transposed,
     .side = 1},
    {.name = "conv-transposed-weight",
     .says = "the weight's memory is taken for [I,O,K,K]",
     .where = is_conv,
     .place = channels_transposed,
     .side = 1},
    {.name = "conv-weight-channels-last",
     .says = "the weight's memory is taken for [O,K,K,I] or [K,K,I,O]",
     .variants = 2,
     .where = is_conv,
     .place = channels_last,
     .side = 1},
    {.name = "conv-tap-dropped",
     .says = "one of the nine taps is left out",
     .variants = 9,
     .where = has_border,
     .place = without_tap,
     .side = 1},
    {.name = "conv-padding-off-by-one",
     .says = "the windows lie a square off: padding on one side",
     .variants = 6,
     .where = has_border,
     .forward = shifted,
     .backward = shifted},
    {.name = "conv-nhwc-read-as-nchw",
     .says = "a map's memory in one layout is taken for the other",
     .variants = 4,
     .where = is_conv,
     .place = other_layout,
     .side_of = input_then_output},
    {.name = "conv-last-tile-dropped",
     .says = "the last channels, squares or images are left out: a loop over tiles ends early",
     .variants = TILE_FORMS,
     .where = is_conv,
     .place = without_tile,
     .side_of = tile_side},
    {.name = "conv-weight-gradient-second-image-dropped",
     .says = "images of the batch are missing in the weight's gradient",
     .variants = 3,
     .where = is_conv,
     .passes = GN_SLIP_WEIGHT,
     .place = without_image},
};
const gn_mistakes gn_mistakes_conv = {mistakes, sizeof mistakes / sizeof *mistakes};
