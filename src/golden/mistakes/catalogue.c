/* The catalogue of mistakes, and how one is run.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "golden/mistakes/mistake.h"

/* In the order in which a network is written. */
static const gn_mistakes *const areas[] = {
    &gn_mistakes_conv,  &gn_mistakes_batch_norm, &gn_mistakes_squeeze, &gn_mistakes_residual,
    &gn_mistakes_heads, &gn_mistakes_loss,       &gn_mistakes_update,  &gn_mistakes_precision};
enum { AREAS = sizeof areas / sizeof *areas };

const gn_mistake *gn_mistake_at(size_t index)
{
    for (int i = 0; i < AREAS; i++) {
        if (index < areas[i]->count)
            return &areas[i]->at[index];
        index -= areas[i]->count;
    }
    return NULL;
}

size_t gn_mistake_count(void)
{
    size_t count = 0;
    for (int i = 0; i < AREAS; i++)
        count += areas[i]->count;
    return count;
}

/* --- Records ---------------------------------------------------------------------------------- */

bool gn_record_is(const gn_record *r, const char *op)
{
    return strcmp(r->op->name, op) == 0;
}

bool gn_record_ends(const gn_record *r, const char *tail)
{
    const size_t n = strlen(r->name), m = strlen(tail);
    return n >= m && strcmp(r->name + n - m, tail) == 0;
}

bool gn_record_is_block(const gn_record *r)
{
    return strncmp(r->name, "blocks.", 7) == 0 && strchr(r->name + 7, '.') == NULL;
}

bool gn_mistake_hits(const gn_mistake *m, const gn_record *r, gn_pass pass, int input)
{
    const unsigned asked = pass != GN_BACKWARD ? GN_SLIP_FORWARD
                           : input == 0        ? GN_SLIP_INPUT
                                               : GN_SLIP_WEIGHT;
    if (m->place == NULL && (pass == GN_BACKWARD ? m->backward : m->forward) == NULL)
        return false;
    return (m->passes == 0 || (m->passes & asked) != 0) &&
           (m->op == NULL || gn_record_is(r, m->op)) && (m->where == NULL || m->where(r));
}

/* --- Calls ------------------------------------------------------------------------------------ */

const double *gn_slip_in(const gn_slip *s, int input)
{
    return s->call.in[input].data;
}

double *gn_slip_out(const gn_slip *s, int output)
{
    return s->call.out[output].data;
}

const double *gn_slip_dout(const gn_slip *s)
{
    return s->call.dout.data;
}

double *gn_slip_din(const gn_slip *s, int input)
{
    return s->call.din[input].data;
}

void gn_slip_sound(const gn_slip *s, const gn_call *call)
{
    if (call->pass == GN_BACKWARD)
        s->sound->backward(call);
    else
        s->sound->forward(call);
}

void gn_slip_left_out(const gn_slip *s)
{
    const size_t bytes = gn_shape_count(s->call.in[0].shape) * sizeof(double);
    if (s->call.pass != GN_BACKWARD)
        memcpy(s->call.out[0].data, s->call.in[0].data, bytes);
    for (int i = 0; i < s->call.nin && s->call.pass == GN_BACKWARD; i++) {
        if (s->call.din[i].data == NULL)
            continue;
        if (i == 0)
            memcpy(s->call.din[0].data, s->call.dout.data, bytes);
        else
            memset(s->call.din[i].data, 0, gn_shape_count(s->call.in[i].shape) * sizeof(double));
    }
}

/* --- Elements taken from elsewhere ------------------------------------------------------------ */

static void gather(const gn_mistake *m, const gn_slip *s, gn_shape shape, double *to,
                   const double *from)
{
    for (size_t e = 0; e < gn_shape_count(shape); e++) {
        const size_t at = m->place(s, shape, e);
        to[e] = at == GN_NOWHERE ? 0 : from[at];
    }
}

/* The transposed map, for gradients. */
static void scatter(const gn_mistake *m, const gn_slip *s, gn_shape shape, double *to,
                    const double *from)
{
    memset(to, 0, gn_shape_count(shape) * sizeof *to);
    for (size_t e = 0; e < gn_shape_count(shape); e++) {
        const size_t at = m->place(s, shape, e);
        if (at != GN_NOWHERE)
            to[at] += from[e];
    }
}

static void misplaced_input(const gn_mistake *m, const gn_slip *s, int input)
{
    gn_call call = s->call;
    const gn_shape shape = call.in[input].shape;
    double *din = call.din[input].data, *copy = s->room + gn_shape_count(shape);
    gather(m, s, shape, s->room, call.in[input].data);
    call.in[input].data = s->room;
    gn_slip_sound(s, &call);
    if (call.pass != GN_BACKWARD || din == NULL)
        return;
    memcpy(copy, din, gn_shape_count(shape) * sizeof *copy);
    scatter(m, s, shape, din, copy);
}

static void misplaced_output(const gn_mistake *m, const gn_slip *s)
{
    gn_call call = s->call;
    const gn_shape shape = call.out[0].shape;
    if (call.pass == GN_BACKWARD) {
        scatter(m, s, shape, s->room, call.dout.data);
        call.dout.data = s->room;
        gn_slip_sound(s, &call);
        return;
    }
    gn_slip_sound(s, &call);
    memcpy(s->room, call.out[0].data, gn_shape_count(shape) * sizeof(double));
    gather(m, s, shape, call.out[0].data, s->room);
}

void gn_mistake_run(const gn_mistake *m, const gn_slip *s)
{
    const int side = m->side_of != NULL ? m->side_of(s->variant) : m->side;
    if (m->place == NULL && s->call.pass == GN_BACKWARD)
        m->backward(s);
    else if (m->place == NULL)
        m->forward(s);
    else if (side == GN_SLIP_OUTPUT)
        misplaced_output(m, s);
    else
        misplaced_input(m, s, side);
}
