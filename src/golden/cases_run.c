/* Running a case and naming its tensors; see cases.h.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/align.h"
#include "base/guard.h"
#include "golden/cases_update.h"

/* --- Memory ----------------------------------------------------------------------------------- */

static void *room(const gn_case_run *r, gn_shape s)
{
    return gn_aligned_zeros(gn_shape_count(s) * r->table->elem + 1);
}

static bool differentiated(const gn_case_run *r, int input)
{
    return !r->c->inference && (r->call.op->constant & GN_IN(input)) == 0;
}

/* Whether it is in the file, too. */
static bool has_gradient(const gn_case_run *r, int input)
{
    return differentiated(r, input) && (r->c->parts == 0 || (r->c->parts & GN_IN(input)) != 0);
}

/* False: no memory. */
static bool fill(const gn_case_run *r, gn_tensor t, int index)
{
    const size_t count = gn_shape_count(t.shape);
    float *values = malloc((count + 1) * sizeof *values);
    if (values == NULL)
        return false;
    r->c->fill(values, r->c, index, t.shape);
    for (size_t e = 0; e < count; e++) {
        if (r->table->elem == sizeof(float))
            ((float *)t.data)[e] = values[e];
        else
            ((double *)t.data)[e] = (double)values[e];
    }
    free(values);
    return true;
}

static bool allocate(gn_case_run *r)
{
    gn_call *c = &r->call;
    bool good = true;
    for (int i = 0; i < c->nin; i++) {
        c->in[i].data = room(r, c->in[i].shape);
        c->din[i].shape = c->in[i].shape;
        if (differentiated(r, i))
            good = (c->din[i].data = room(r, c->in[i].shape)) != NULL && good;
        good = c->in[i].data != NULL && good;
    }
    for (int j = 0; j < c->nout; j++)
        good = (c->out[j].data = room(r, c->out[j].shape)) != NULL && good;
    c->dout = (gn_tensor){room(r, c->out[0].shape), c->out[0].shape};
    good = c->dout.data != NULL && good;
    for (int i = 0; i < c->nin && good; i++)
        good = fill(r, c->in[i], i);
    return good && fill(r, c->dout, GN_CASE_DOUT);
}

gn_status gn_case_open(gn_case_run *out, const gn_case *c, const gn_table *table, gn_err *err)
{
    *out = (gn_case_run){.c = c, .table = table, .row = gn_table_find(table, c->op)};
    const gn_op *op = out->row != NULL ? out->row->op : gn_case_update_op(c->op);
    if (op == NULL)
        return gn_fail(err, GN_E_CONFIG, "case %s: table %s has no %s", c->name, table->name,
                       c->op);
    out->call = (gn_call){.op = op,
                          .attr = {1e-5},
                          .nin = c->nin,
                          .nout = op->nout,
                          .training = !c->inference,
                          .threads = 1};
    for (int i = 0; i < c->nin; i++)
        out->call.in[i].shape = c->in[i];
    const gn_status st = op->shape(&out->call, err);
    if (st != GN_OK)
        return st;
    return allocate(out) ? GN_OK : gn_fail(err, GN_E_NOMEM, "case %s: no memory for it", c->name);
}

void gn_case_close(gn_case_run *r)
{
    for (int i = 0; i < GN_MAX_IN; i++) {
        free(r->call.in[i].data);
        free(r->call.din[i].data);
    }
    for (int j = 0; j < GN_MAX_OUT; j++)
        free(r->call.out[j].data);
    free(r->call.dout.data);
    *r = (gn_case_run){0};
}

gn_status gn_case_pass(gn_case_run *r, gn_pass pass, gn_err *err)
{
    r->call.pass = pass;
    const bool works = r->row != NULL && r->row->work != NULL;
    void *work = gn_aligned((works ? r->row->work(&r->call) : 0) + 1);
    if (work == NULL)
        return gn_fail(err, GN_E_NOMEM, "case %s: no memory for workspace", r->c->name);
    r->call.work = work;
    const gn_guard guard = gn_guard_enter(1);
    if (r->row == NULL)
        gn_case_update(gn_table_update(r->table), &r->call, r->table->elem);
    else if (pass == GN_BACKWARD)
        r->row->backward(&r->call);
    else
        r->row->forward(&r->call);
    gn_guard_leave(&guard);
    free(work);
    r->call.work = NULL;
    return GN_OK;
}

/* --- Names ------------------------------------------------------------------------------------ */

typedef struct op_names {
    const char *op, *in[GN_MAX_IN], *out[GN_MAX_OUT]; /* no name: not in a file */
} op_names;

static const op_names *names_of(const char *op)
{
    static const op_names names[] = {
        {"batch_norm",
         {"x", "weight", "bias", "running_mean", "running_var"},
         {"y", "mean", NULL, "invstd"}},
        {"add", {"a", "b"}, {"y"}},
        {"adamw",
         {"param", "exp_avg", "exp_avg_sq", "grad", "coef"},
         {"after", "after_exp_avg", "after_exp_avg_sq"}},
        {"sgd", {"param", "velocity", "grad", "coef"}, {"after", "after_velocity"}},
        {"nesterov", {"param", "velocity", "grad", "coef"}, {"after", "after_velocity"}},
        {"clip", {"grad"}, {"norm", "coef"}},
        {"running", {"running_mean", "running_var", "mean", "m2"}, {"after_mean", "after_var"}},
        {"channel_scale", {"x", "gate"}, {"y"}},
        {"softmax_cross_entropy", {"logits", "target"}, {"loss"}},
        {"mean_squared_error", {"x", "target"}, {"loss"}},
        {NULL, {"x", "weight", "bias"}, {"y"}}, /* all others */
    };
    const op_names *n = names;
    while (n->op != NULL && strcmp(n->op, op) != 0)
        n++;
    return n;
}

static void name_it(gn_case_tensor *t, const gn_case *c, const char *prefix, const char *name)
{
    snprintf(t->name, sizeof t->name, "case/%s/%s%s", c->name, prefix, name);
}

int gn_case_tensors(const gn_case_run *r, gn_case_tensor list[GN_CASE_TENSORS])
{
    const op_names *n = names_of(r->c->op);
    const gn_call *c = &r->call;
    const uint32_t parts = r->c->parts;
    bool backward = false;
    int count = 0;
    for (int i = 0; i < c->nin; i++)
        backward = backward || has_gradient(r, i);
    for (int i = 0; i < c->nin; i++) { /* a convolution's weight [O,C,K,K] is no map */
        list[count] = (gn_case_tensor){.role = GN_ROLE_GIVEN, .index = i, .at = c->in[i]};
        list[count].map = c->in[i].shape.rank == 4 && strcmp(n->in[i], "weight") != 0;
        name_it(&list[count++], r->c, "", n->in[i]);
    }
    if (backward) {
        list[count] = (gn_case_tensor){.index = GN_CASE_DOUT, .at = c->dout};
        list[count].map = c->dout.shape.rank == 4;
        name_it(&list[count++], r->c, "d", n->out[0]);
    }
    for (int j = 0; j < c->nout; j++) {
        const bool statistic = j > 0 && r->row != NULL;
        if (n->out[j] == NULL || (statistic && r->c->inference) ||
            (parts != 0 && (parts & GN_OUT(j)) == 0))
            continue;
        list[count] = (gn_case_tensor){.role = GN_ROLE_OUTPUT, .index = j, .at = c->out[j]};
        list[count].map = c->out[j].shape.rank == 4;
        name_it(&list[count++], r->c, "", n->out[j]);
    }
    for (int i = 0; i < c->nin; i++) {
        if (!has_gradient(r, i))
            continue;
        list[count] = (gn_case_tensor){.role = GN_ROLE_GRADIENT, .index = i, .at = c->din[i]};
        list[count].map = c->in[i].shape.rank == 4 && strcmp(n->in[i], "weight") != 0;
        name_it(&list[count++], r->c, "d", n->in[i]);
    }
    return count;
}

size_t gn_case_place(const gn_case_tensor *t, size_t e)
{
    if (!t->map)
        return e;
    const size_t *d = t->at.shape.dim, HW = d[1] * d[2], C = d[3];
    return (e / (HW * C) * C + e % C) * HW + e / C % HW;
}

gn_shape gn_case_file_shape(const gn_case_tensor *t)
{
    const size_t *d = t->at.shape.dim;
    return t->map ? gn_shape_of(4, d[0], d[3], d[1], d[2]) : t->at.shape;
}
