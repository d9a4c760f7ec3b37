/* Binding a tape, and running one record of it.
 *
 * Autograd is three questions, answered once, here: which values depend on a parameter, which of
 * them the loss depends on, and in which order the contributions to a gradient arrive.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "autograd/tape_list.h"
#include "base/align.h"
#include "gomokunet/program.h"

typedef struct bound {
    const gn_row *row;
    bool backward;   /* has a gradient to pass on */
    uint32_t wanted; /* GN_IN(i): the gradient of input i is wanted */
    uint32_t add;    /* bit i: and this contribution is not the first */
    void *kept;      /* what the row made of the parameters; NULL: nothing */
} bound;

struct gn_program {
    const gn_tape *tape;
    gn_tape *fused; /* the tape, where it is our own */
    const gn_table *table;
    size_t batch;
    int threads;
    bool training;
    gn_shape *shape; /* by value */
    bool *has_grad;  /* by value */
    bound *bound;    /* by record */
};

static gn_call describe(const gn_program *p, int record, gn_pass pass)
{
    const gn_record *r = gn_tape_record_at(p->tape, record);
    gn_call call = {.op = r->op, .attr = r->attr, .nin = r->nin, .nout = r->nout,
                    .add = p->bound[record].add, .pass = pass, .training = p->training,
                    .threads = p->threads};
    for (int i = 0; i < r->nin; i++)
        call.in[i].shape = call.din[i].shape = p->shape[r->in[i]];
    for (int j = 0; j < r->nout; j++)
        call.out[j].shape = p->shape[r->out[j]];
    call.dout.shape = call.out[0].shape;
    return call;
}

/* The row and the outputs' shapes of every record. */
static gn_status bind_records(gn_program *p, gn_err *err)
{
    for (int v = 0; v < gn_tape_values(p->tape); v++)
        p->shape[v] = gn_shape_bind(gn_tape_value(p->tape, v)->shape, p->batch);
    for (int k = 0; k < gn_tape_records(p->tape); k++) {
        const gn_record *r = gn_tape_record_at(p->tape, k);
        p->bound[k].row = gn_table_find(p->table, r->op->name);
        if (p->bound[k].row == NULL || p->bound[k].row->forward == NULL)
            return gn_fail(err, GN_E_CONFIG, "%s: table %s has no row for %s", r->name,
                           p->table->name, r->op->name);
        gn_call call = describe(p, k, GN_FORWARD);
        const gn_status status = r->op->shape(&call, err);
        if (status != GN_OK)
            return status;
        for (int j = 0; j < r->nout; j++)
            p->shape[r->out[j]] = call.out[j].shape;
    }
    return GN_OK;
}

static bool is_constant(const gn_record *r, int input)
{
    return (r->op->constant & GN_IN(input)) != 0;
}

/* A value has a gradient if it depends on a parameter and the loss depends on it. */
static void find_gradients(gn_program *p, bool *reached)
{
    gn_tape_trained(p->tape, p->has_grad);
    reached[gn_tape_loss_value(p->tape)] = true;
    for (int k = gn_tape_records(p->tape) - 1; k >= 0; k--) {
        const gn_record *r = gn_tape_record_at(p->tape, k);
        for (int i = 0; i < r->nin; i++)
            if (reached[r->out[0]] && !is_constant(r, i))
                reached[r->in[i]] = true;
    }
    for (int v = 0; v < gn_tape_values(p->tape); v++)
        p->has_grad[v] = p->has_grad[v] && reached[v];
}

/* Walks the tape as backward will: the first contribution to a gradient is stored. */
static gn_status order_contributions(gn_program *p, bool *seen, gn_err *err)
{
    for (int k = gn_tape_records(p->tape) - 1; k >= 0; k--) {
        const gn_record *r = gn_tape_record_at(p->tape, k);
        bound *b = &p->bound[k];
        if (!p->has_grad[r->out[0]])
            continue;
        b->backward = true;
        if (b->row->backward == NULL)
            return gn_fail(err, GN_E_CONFIG, "%s: table %s has no backward for %s", r->name,
                           p->table->name, r->op->name);
        for (int i = 0; i < r->nin; i++) {
            if (is_constant(r, i) || !p->has_grad[r->in[i]])
                continue;
            b->wanted |= GN_IN(i);
            if (seen[r->in[i]])
                b->add |= 1u << i;
            seen[r->in[i]] = true;
        }
    }
    return GN_OK;
}

gn_status gn_program_bind(gn_program **out, const gn_tape *tape, const gn_table *table,
                          size_t batch, int threads, bool training, gn_err *err)
{
    *out = NULL;
    gn_status status = gn_tape_check(tape, err);
    if (status != GN_OK)
        return status;
    if (batch == 0 || threads < 1)
        return gn_fail(err, GN_E_CONFIG, "program: batch %zu, threads %d; expected at least 1",
                       batch, threads);
    gn_program *p = calloc(1, sizeof *p);
    if (p == NULL)
        return gn_fail(err, GN_E_NOMEM, "program: no memory for the handle");
    *p = (gn_program){.tape = tape, .table = table, .batch = batch, .threads = threads,
                      .training = training};
    const size_t values = (size_t)gn_tape_values(tape), records = (size_t)gn_tape_records(tape);
    p->shape = calloc(values + 1, sizeof *p->shape);
    p->has_grad = calloc(values + 1, sizeof *p->has_grad);
    p->bound = calloc(records + 1, sizeof *p->bound);
    bool *marks = calloc(2 * values + 1, sizeof *marks);
    if (p->shape == NULL || p->has_grad == NULL || p->bound == NULL || marks == NULL)
        status = gn_fail(err, GN_E_NOMEM, "program: no memory for %zu records", records);
    if (status == GN_OK) status = bind_records(p, err);
    if (status == GN_OK && training && gn_tape_loss_value(tape) != GN_NONE) {
        find_gradients(p, marks);
        status = order_contributions(p, marks + values, err);
    }
    free(marks);
    if (status != GN_OK) {
        gn_program_destroy(p);
        return status;
    }
    *out = p;
    return GN_OK;
}

gn_status gn_program_fuse(gn_program **out, const gn_tape *tape, const gn_table *table,
                          size_t batch, int threads, bool training, gn_err *err)
{
    gn_tape *fused = NULL;
    *out = NULL;
    gn_status status = gn_tape_fuse(&fused, tape, table, err);
    if (status == GN_OK)
        status = gn_program_bind(out, fused, table, batch, threads, training, err);
    if (status == GN_OK)
        (*out)->fused = fused;
    else
        gn_tape_destroy(fused);
    return status;
}

void gn_program_destroy(gn_program *p)
{
    if (p == NULL)
        return;
    for (int k = 0; p->bound != NULL && k < gn_tape_records(p->tape); k++)
        free(p->bound[k].kept);
    gn_tape_destroy(p->fused);
    free(p->shape);
    free(p->has_grad);
    free(p->bound);
    free(p);
}

gn_status gn_program_keep(gn_program *p, const gn_store *store, gn_err *err)
{
    for (int k = 0; k < gn_tape_records(p->tape); k++) {
        const gn_record *r = gn_tape_record_at(p->tape, k);
        bound *b = &p->bound[k];
        if (b->row->keep == NULL)
            continue;
        gn_call call = describe(p, k, GN_FORWARD);
        for (int i = 0; i < r->nin; i++)
            call.in[i].data = gn_store_data(store, r->in[i]);
        if (b->kept == NULL) b->kept = gn_aligned(b->row->keep(&call, NULL));
        if (b->kept == NULL)
            return gn_fail(err, GN_E_NOMEM, "program: no memory to keep the weights of %s",
                           r->name);
        b->row->keep(&call, b->kept);
    }
    return GN_OK;
}

/* --- Reading ------------------------------------------------------------------------------- */

const gn_tape *gn_program_tape(const gn_program *p) { return p->tape; }
const gn_table *gn_program_table(const gn_program *p) { return p->table; }
size_t gn_program_batch(const gn_program *p) { return p->batch; }
int gn_program_threads(const gn_program *p) { return p->threads; }
bool gn_program_training(const gn_program *p) { return p->training; }
gn_shape gn_program_shape(const gn_program *p, gn_value v) { return p->shape[v]; }
bool gn_program_has_grad(const gn_program *p, gn_value v) { return p->has_grad[v]; }
bool gn_program_has_backward(const gn_program *p, int record) { return p->bound[record].backward; }
const gn_row *gn_program_row(const gn_program *p, int record) { return p->bound[record].row; }

bool gn_program_adds(const gn_program *p, int record, int input)
{
    return (p->bound[record].add >> input & 1) != 0;
}

size_t gn_program_bytes(const gn_program *p, gn_value v)
{
    return gn_shape_count(p->shape[v]) * p->table->elem;
}

size_t gn_program_work(const gn_program *p, int record, gn_pass pass)
{
    const gn_call call = describe(p, record, pass);
    const gn_row *row = p->bound[record].row;
    return row->work == NULL ? 0 : gn_align(row->work(&call));
}

/* --- Running ------------------------------------------------------------------------------- */

void gn_program_run(const gn_program *p, int record, gn_pass pass, gn_places places, void *work)
{
    const gn_record *r = gn_tape_record_at(p->tape, record);
    const bound *b = &p->bound[record];
    gn_call call = describe(p, record, pass);
    call.work = work;
    call.kept = b->kept;
    for (int i = 0; i < r->nin; i++) {
        call.in[i].data = places.data[r->in[i]];
        if (pass == GN_BACKWARD && (b->wanted & GN_IN(i)) != 0)
            call.din[i].data = places.grad[r->in[i]];
    }
    for (int j = 0; j < r->nout; j++)
        call.out[j].data = places.data[r->out[j]];
    if (pass == GN_BACKWARD) {
        call.dout.data = places.grad[r->out[0]];
        b->row->backward(&call);
    } else {
        b->row->forward(&call);
    }
}
