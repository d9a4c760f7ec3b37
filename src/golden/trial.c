/* Computing one tensor with a mistake; see trial.h.
 *
 * As the audit does it: an output from its record's inputs, a gradient as the sum of what the
 * consumers send back; the records run one by one, with the mistake where it is made.
 * SPDX-License-Identifier: MIT */
#include "golden/trial.h"

#include <stdlib.h>
#include <string.h>

#include "base/align.h"
#include "base/guard.h"

gn_status gn_trial_open(gn_trial *out, const gn_replay *like, gn_err *err)
{
    *out = (gn_trial){0};
    const gn_program *p = like->program[1];
    gn_status st = gn_net_create(&out->net, &like->net->config, err);
    if (st == GN_OK)
        st = gn_replay_open(&out->replay, &out->net, gn_program_batch(p), gn_program_training(p),
                            gn_program_threads(p), err);
    if (st != GN_OK) {
        if (out->net.tape != NULL)
            gn_net_destroy(&out->net);
        return st;
    }
    out->replay.golden = like->golden;
    out->replay.candidate = like->candidate;
    return gn_scope_read(&out->scope, like->golden, like->candidate, "golden file", "candidate",
                         err);
}

static void release(gn_trial *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->kept[i]);
    t->count = 0;
}

void gn_trial_clear(gn_trial *t)
{
    if (t->net.tape != NULL)
        gn_replay_clear(&t->replay);
}

void gn_trial_close(gn_trial *t)
{
    if (t->net.tape == NULL)
        return;
    release(t);
    free(t->kept);
    gn_replay_close(&t->replay);
    gn_net_destroy(&t->net);
    *t = (gn_trial){0};
}

static double *no_memory(gn_trial *t)
{
    if (t->replay.status == GN_OK)
        t->replay.status = gn_fail(t->replay.err, GN_E_NOMEM, "diagnose: no memory for a trial");
    return NULL;
}

double *gn_trial_keep(gn_trial *t, size_t count)
{
    if (t->count == t->room) {
        const size_t room = 2 * t->room + 16;
        void **more = realloc(t->kept, room * sizeof *more);
        if (more == NULL)
            return no_memory(t);
        t->kept = more;
        t->room = room;
    }
    double *p = gn_aligned_zeros((count + 1) * sizeof *p);
    if (p == NULL)
        return no_memory(t);
    t->kept[t->count++] = p;
    return p;
}

/* --- What a record reads ---------------------------------------------------------------------- */

static const gn_record *record_at(const gn_trial *t, int k)
{
    return gn_tape_record_at(t->net.tape, k);
}

static gn_shape shape_of(const gn_trial *t, gn_value v)
{
    return gn_program_shape(t->replay.program[1], v);
}

/* The value in a slot of a record: what the tape says, or what the mistake puts there. */
static gn_value slot_value(const gn_trial *t, int k, int slot)
{
    const gn_record *r = record_at(t, k);
    const gn_value own = slot < GN_MAX_IN ? r->in[slot] : r->out[slot - GN_MAX_IN];
    if (t->mistake->reads == NULL)
        return own;
    const gn_value other = t->mistake->reads(t->net.tape, k, slot, t->variant);
    return other == GN_NONE ? own : other;
}

static bool forward(gn_trial *t, int k, int output, double *want);

/* A value's numbers as recorded; a flattened copy, which is in no file, made here. */
static double *load(gn_trial *t, gn_value v)
{
    const gn_value_info *info = gn_tape_value(t->net.tape, v);
    if (info->producer != GN_NONE && gn_record_is(record_at(t, info->producer), "flatten")) {
        double *copy = gn_trial_keep(t, gn_shape_count(shape_of(t, v)));
        return copy != NULL && forward(t, info->producer, 0, copy) ? copy : NULL;
    }
    if (!gn_replay_load(&t->replay, v, false))
        return NULL;
    return t->replay.data[t->lane][v];
}

/* The value of a slot into the call.  false: not recorded. */
static bool fill(gn_trial *t, int k, int slot, gn_call *call)
{
    const gn_value own = slot < GN_MAX_IN ? record_at(t, k)->in[slot]
                                          : record_at(t, k)->out[slot - GN_MAX_IN];
    const gn_value v = slot_value(t, k, slot);
    t->touched = t->touched || v != own;
    gn_tensor *to = slot < GN_MAX_IN ? &call->in[slot] : &call->out[slot - GN_MAX_IN];
    to->data = load(t, v);
    return to->data != NULL;
}

/* --- Running ---------------------------------------------------------------------------------- */

static size_t work_of(const gn_row *row, const gn_call *like)
{
    static const gn_pass passes[] = {GN_FORWARD, GN_BACKWARD};
    size_t most = 0;
    for (int i = 0; i < 4 && row->work != NULL; i++) {
        gn_call call = *like;
        call.pass = passes[i / 2];
        call.training = i % 2 == 0;
        const size_t bytes = row->work(&call);
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* A border of one square around maps: what the largest variant needs. */
static size_t widen(gn_call *call)
{
    size_t count = 0;
    for (int i = 0; i < call->nin + call->nout; i++) {
        gn_tensor *t = i < call->nin ? &call->in[i] : &call->out[i - call->nin];
        if (t->shape.rank == 4) {
            t->shape.dim[1] += 2;
            t->shape.dim[2] += 2;
        }
        count += gn_shape_count(t->shape);
    }
    return 2 * count;
}

static gn_call describe(const gn_trial *t, int k, gn_pass pass)
{
    const gn_record *r = record_at(t, k);
    gn_call call = {.op = r->op,
                    .attr = r->attr,
                    .nin = r->nin,
                    .nout = r->nout,
                    .pass = pass,
                    .training = gn_program_training(t->replay.program[1]),
                    .threads = gn_program_threads(t->replay.program[1])};
    for (int i = 0; i < r->nin; i++)
        call.in[i].shape = call.din[i].shape = shape_of(t, r->in[i]);
    for (int j = 0; j < r->nout; j++)
        call.out[j].shape = shape_of(t, r->out[j]);
    call.dout.shape = call.out[0].shape;
    return call;
}

static bool sums_products(const gn_record *r)
{
    static const char *const ops[] = {"conv2d", "depthwise_conv2d", "linear", "add", "flatten"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (gn_record_is(r, ops[i]))
            return true;
    return false;
}

static void run(gn_trial *t, int k, gn_call *call, bool hit)
{
    t->products = t->products && sums_products(record_at(t, k));
    const gn_row *row = gn_table_find(&gn_double, record_at(t, k)->op->name);
    gn_call wide = *call;
    const size_t room = widen(&wide), work = work_of(row, call), more = work_of(row, &wide);
    gn_slip slip = {.sound = row, .variant = t->variant, .room = gn_trial_keep(t, hit ? room : 0)};
    call->work = gn_trial_keep(t, (work > more ? work : more) / sizeof(double) + 1);
    if (t->replay.status != GN_OK)
        return;
    slip.call = *call;
    const gn_guard guard = gn_guard_enter(call->threads);
    if (hit)
        gn_mistake_run(t->mistake, &slip);
    else
        gn_slip_sound(&slip, call);
    gn_guard_leave(&guard);
    t->touched = t->touched || hit;
}

/* --- Outputs ---------------------------------------------------------------------------------- */

static bool forward(gn_trial *t, int k, int output, double *want)
{
    const gn_record *r = record_at(t, k);
    gn_call call = describe(t, k, GN_FORWARD);
    const bool hit = gn_mistake_hits(t->mistake, r, GN_FORWARD, 0) &&
                     !(t->mistake->inference && call.training);
    /* The candidate's own statistics, where they are not asked for. */
    const bool given = gn_record_is(r, "batch_norm") && call.training && output == 0;
    for (int i = 0; i < r->nin; i++)
        if (!fill(t, k, i, &call))
            return false;
    for (int j = 0; j < r->nout; j++) {
        const size_t count = gn_shape_count(call.out[j].shape);
        call.out[j].data = gn_trial_keep(t, count);
        if (call.out[j].data == NULL)
            return false;
        if (!given || j == 0 || j == 2)
            continue;
        const double *statistic = load(t, r->out[j]);
        if (statistic == NULL)
            return false;
        memcpy(call.out[j].data, statistic, count * sizeof *want);
    }
    call.pass = given ? GN_RECOMPUTE : GN_FORWARD;
    run(t, k, &call, hit);
    if (t->replay.status != GN_OK)
        return false;
    memcpy(want, call.out[output].data, gn_shape_count(call.out[output].shape) * sizeof *want);
    return true;
}

/* --- Gradients -------------------------------------------------------------------------------- */

static bool gradient(gn_trial *t, gn_value v, double *want);

static double *load_gradient(gn_trial *t, gn_value v)
{
    const gn_value_info *info = gn_tape_value(t->net.tape, v);
    if (gn_record_is(record_at(t, info->producer), "flatten")) {
        double *copy = gn_trial_keep(t, gn_shape_count(shape_of(t, v)));
        return copy != NULL && gradient(t, v, copy) ? copy : NULL;
    }
    return gn_replay_load(&t->replay, v, true) ? t->replay.grad[t->lane][v] : NULL;
}

/* Adds what record k sends back to its input. */
static bool contribute(gn_trial *t, int k, int input, double *want)
{
    const gn_record *r = record_at(t, k);
    const bool hit = gn_mistake_hits(t->mistake, r, GN_BACKWARD, input);
    gn_call call = describe(t, k, GN_BACKWARD);
    const size_t count = gn_shape_count(call.in[input].shape);
    for (int i = 0; i < r->nin; i++)
        if ((hit || (r->op->reads & GN_IN(i)) != 0) && !fill(t, k, i, &call))
            return false;
    for (int j = 0; j < r->nout; j++)
        if ((r->op->reads & GN_OUT(j)) != 0 && !fill(t, k, GN_MAX_IN + j, &call))
            return false;
    call.dout.data = load_gradient(t, r->out[0]);
    double *part = gn_trial_keep(t, count);
    call.din[input].data = part;
    if (call.dout.data == NULL || part == NULL)
        return false;
    run(t, k, &call, hit);
    for (size_t i = 0; i < count && t->replay.status == GN_OK; i++)
        want[i] += part[i];
    return t->replay.status == GN_OK;
}

static bool gradient(gn_trial *t, gn_value v, double *want)
{
    memset(want, 0, gn_shape_count(shape_of(t, v)) * sizeof *want);
    for (int k = gn_tape_records(t->net.tape) - 1; k >= 0; k--) {
        const gn_record *r = record_at(t, k);
        for (int i = 0; i < r->nin; i++) {
            const bool reads = slot_value(t, k, i) == v;
            t->touched = t->touched || reads != (r->in[i] == v);
            if (reads && (r->op->constant & GN_IN(i)) == 0 &&
                gn_program_has_backward(t->replay.program[1], k) && !contribute(t, k, i, want))
                return false;
        }
    }
    return true;
}

/* --- Tensors by name -------------------------------------------------------------------------- */

typedef enum kind { OUTPUT, MEAN, INVSTD, GRADIENT, UPDATE, OTHER } kind;

static bool cut(char *name, const char *tail)
{
    const size_t n = strlen(name), m = strlen(tail);
    if (n <= m || strcmp(name + n - m, tail) != 0)
        return false;
    name[n - m] = '\0';
    return true;
}

static kind parse(const gn_trial *t, const char *name, gn_value *v)
{
    static const struct {
        const char *prefix;
        kind kind;
    } groups[] = {{"forward/", OUTPUT},        {"eval_forward/", OUTPUT}, {"grad/", GRADIENT},
                  {"grad_forward/", GRADIENT}, {"stats/", MEAN},          {"after", UPDATE}};
    char rest[160] = "";
    kind found = strncmp(name, "loss/", 5) == 0 ? OUTPUT : OTHER;
    strncpy(rest, name, sizeof rest - 1);
    if (strncmp(name, "step/", 5) == 0 && strstr(name, "/after") != NULL)
        found = UPDATE;
    for (size_t i = 0; i < sizeof groups / sizeof *groups && found == OTHER; i++) {
        const size_t length = strlen(groups[i].prefix);
        if (strncmp(name, groups[i].prefix, length) == 0) {
            found = groups[i].kind;
            memmove(rest, rest + length, strlen(rest + length) + 1);
        }
    }
    if (found == MEAN && !cut(rest, ".mean"))
        found = cut(rest, ".invstd") ? INVSTD : OTHER;
    *v = gn_tape_find(t->net.tape, rest);
    return *v == GN_NONE && found != UPDATE ? OTHER : found;
}

int gn_trial_record(const gn_trial *t, const char *name)
{
    gn_value v;
    const kind k = parse(t, name, &v);
    if (k == OTHER || k == UPDATE)
        return GN_NONE;
    if (gn_tape_value(t->net.tape, v)->producer != GN_NONE && k != GRADIENT)
        return gn_tape_value(t->net.tape, v)->producer;
    for (int i = gn_tape_records(t->net.tape) - 1; i >= 0; i--)
        for (int j = 0; j < record_at(t, i)->nin; j++)
            if (record_at(t, i)->in[j] == v)
                return i;
    return GN_NONE;
}

static bool compute(gn_trial *t, const char *name, double *want, size_t count)
{
    gn_value v;
    const kind k = parse(t, name, &v);
    const gn_mistake *m = t->mistake;
    bool done = false;
    if (k == UPDATE) {
        t->products = false;
        t->touched = done = m->update != NULL && gn_trial_update(t, m->update, name, want, count);
    } else if (k != OTHER) {
        const int producer = gn_tape_value(t->net.tape, v)->producer;
        if (k == GRADIENT)
            done = gn_shape_count(shape_of(t, v)) == count && gradient(t, v, want);
        else if (producer != GN_NONE)
            done = forward(t, producer, k == MEAN ? 1 : k == INVSTD ? 3 : 0, want);
    }
    release(t);
    return done && t->touched && t->replay.status == GN_OK;
}

bool gn_trial_run(gn_trial *t, const gn_mistake *mistake, int variant, const char *name,
                  double *want, size_t count)
{
    t->mistake = mistake;
    t->variant = variant;
    t->lane = GN_LANE_TRUTH;
    t->touched = false;
    t->products = true;
    return compute(t, name, want, count);
}

bool gn_trial_again(gn_trial *t, gn_lane lane, const char *name, double *sums, size_t count)
{
    t->lane = lane;
    return t->products && compute(t, name, sums, count);
}
