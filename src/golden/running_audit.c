/* Running statistics after a step, from the candidate's own batch statistics.
 *
 *     mean' = k mean + (1 - k) mean'     var' = k M/(M - 1) var + (1 - k) var'
 *
 * The variance that the candidate normalised by stands in no file; its invstd does, so that
 * var = 1/invstd^2 - eps, whose error is twice invstd's, relative to var + eps.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "golden/audit.h"
#include "golden/gates.h"
#include "train/running.h"

static const double u = 0x1p-24, tiny = 0x1p-149;

enum { MEAN, VAR, KINDS };

/* Of one batch norm; channels of the mean, then of the variance. */
typedef struct running {
    size_t C, M;
    const double *mean, *inv, *old[KINDS]; /* of the truth's lane */
    double eps, *want, *bound, *m2;
    float *same;
} running;

static void bound(const running *n)
{
    const double k = gn_running_momentum, M = (double)n->M, unbiased = M / (M - (n->M > 1));
    for (size_t c = 0; c < n->C; c++) {
        const double var = size_of(n->m2[c]) / M, inv2 = n->inv[c] * n->inv[c];
        n->bound[c] = 4 * u * (k * size_of(n->mean[c]) + size_of(n->old[MEAN][c])) + tiny;
        n->bound[n->C + c] = 4 * u * (k * unbiased * (var + 2 / inv2) + size_of(n->old[VAR][c])) +
                             tiny;
    }
}

static void judge(gn_audit *a, const gn_record *r, const running *n)
{
    for (int i = 0; i < KINDS; i++) {
        const gn_value v = r->in[3 + i];
        const char *name = gn_tape_value(a->replay.net->tape, v)->name;
        const size_t first = (size_t)i * n->C;
        float *got = gn_replay_read(&a->replay, a->replay.candidate, "after", v);
        const gn_evidence e = {.got = got, .same = n->same + first, .want = n->want + first,
                               .bound = n->bound + first, .count = n->C, .channels = 1};
        const gn_shape shape = gn_program_shape(a->replay.program[0], v);
        if (got == NULL)
            gn_audit_missing(a, "after", name, shape);
        else
            gn_audit_judge(a, gn_audit_finding(a, "after", name), &e, shape, false);
        free(got);
    }
}

void gn_audit_running(gn_audit *a, int k)
{
    gn_replay *p = &a->replay;
    const gn_record *r = gn_tape_record_at(p->net->tape, k);
    const gn_shape x = gn_program_shape(p->program[0], r->in[0]);
    if (!gn_replay_load(p, r->in[3], false) || !gn_replay_load(p, r->in[4], false))
        return; /* a golden file without the state before the step: nothing to judge by */
    void **truth = p->data[GN_LANE_TRUTH], **contract = p->data[GN_LANE_FLOAT];
    running n = {.C = x.dim[3], .M = gn_shape_count(x) / x.dim[3], .mean = truth[r->out[1]],
                 .inv = truth[r->out[3]], .old = {truth[r->in[3]], truth[r->in[4]]},
                 .eps = r->attr.eps};
    n.want = malloc(5 * n.C * sizeof *n.want);
    n.same = malloc(2 * n.C * sizeof *n.same);
    if (n.want == NULL || n.same == NULL) {
        p->status = gn_fail(p->err, GN_E_NOMEM, "verify: no memory for %s", r->name);
    } else {
        n.bound = n.want + 2 * n.C;
        n.m2 = n.want + 4 * n.C;
        for (size_t c = 0; c < n.C; c++)
            n.m2[c] = (1 / (n.inv[c] * n.inv[c]) - n.eps) * (double)n.M;
        for (int i = 0; i < KINDS; i++) {
            memcpy(n.want + (size_t)i * n.C, n.old[i], n.C * sizeof *n.want);
            memcpy(n.same + (size_t)i * n.C, contract[r->in[3 + i]], n.C * sizeof *n.same);
        }
        gn_double.update->running(n.want, n.want + n.C, n.mean, n.m2, n.C, n.M,
                                  gn_running_momentum);
        gn_table_update(gn_table_fast())->running(n.same, n.same + n.C, contract[r->out[1]],
                                                  contract[r->out[2]], n.C, n.M,
                                                  gn_running_momentum);
        bound(&n);
        judge(a, r, &n);
    }
    free(n.want);
    free(n.same);
}
