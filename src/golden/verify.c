/* Verifying a candidate: every op judged by itself, on what the candidate itself recorded as its
 * inputs, so that errors do not pile up and the first wrong op is known.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/align.h"
#include "golden/audit.h"
#include "golden/cases_judge.h"
#include "golden/fields.h"
#include "golden/gates.h"

const char *gn_verdict_name(gn_verdict verdict)
{
    static const char *const names[] = {"bits", "bound", "transform", "ftz",      "tf32",
                                        "fp16", "bf16",  "unjudged",  "wrong"};
    return names[verdict];
}

void gn_verification_free(gn_verification *v)
{
    free(v->finding);
    *v = (gn_verification){0};
}

/* --- Findings ------------------------------------------------------------------------------- */

gn_finding *gn_audit_finding(gn_audit *a, const char *group, const char *name)
{
    gn_verification *v = a->out;
    if (v->count == v->room) {
        const size_t room = 2 * v->room + 64;
        gn_finding *more = realloc(v->finding, room * sizeof *more);
        if (more == NULL) {
            a->replay.status = gn_fail(a->replay.err, GN_E_NOMEM, "verify: no memory for findings");
            return NULL;
        }
        v->finding = more;
        v->room = room;
    }
    gn_finding *f = &v->finding[v->count++];
    *f = (gn_finding){.verdict = GN_VERDICT_UNJUDGED};
    snprintf(f->name, sizeof f->name, "%s%s%s", group, *group == '\0' ? "" : "/", name);
    return f;
}

/* A tensor that is not there, or not of its shape: said, not guessed over. */
static void blame(gn_audit *a, gn_finding *f, gn_shape want)
{
    const gn_entry *e = gn_reader_find(a->replay.candidate, f->name);
    char text[64];
    f->verdict = GN_VERDICT_WRONG;
    gn_shape_text(want, text, sizeof text);
    if (e == NULL) {
        snprintf(f->note, sizeof f->note, "missing; expected F32 %s", text);
        return;
    }
    size_t count = 1;
    for (int i = 0; i < e->rank; i++)
        count *= e->dim[i];
    const bool last = want.rank == 4 && e->rank == 4 && e->dim[0] == want.dim[0] &&
                      e->dim[1] == want.dim[2] && e->dim[2] == want.dim[3] &&
                      e->dim[3] == want.dim[1];
    const bool turned = want.rank == 2 && e->rank == 2 && e->dim[0] == want.dim[1] &&
                        e->dim[1] == want.dim[0];
    snprintf(f->note, sizeof f->note, "another %s; expected F32 %s%s",
             e->type != GN_F32 ? "type" : "shape", text,
             e->type != GN_F32 ? "" : last ? ": this is [N,H,W,C]" : turned ? ": this is transposed"
             : count == gn_shape_count(want) ? ": this is flattened otherwise" : "");
}

/* Where an element of our layout stands in the file. */
void gn_audit_index(gn_finding *f, gn_shape ours, bool map)
{
    size_t at[4] = {0}, rest = f->element;
    for (int i = ours.rank - 1; i >= 0; i--) {
        at[i] = rest % ours.dim[i];
        rest /= ours.dim[i];
    }
    if (map)
        snprintf(f->index, sizeof f->index, "[%zu,%zu,%zu,%zu]", at[0], at[3], at[1], at[2]);
    else if (ours.rank == 4)
        snprintf(f->index, sizeof f->index, "[%zu,%zu,%zu,%zu]", at[0], at[1], at[2], at[3]);
    else if (ours.rank == 2)
        snprintf(f->index, sizeof f->index, "[%zu,%zu]", at[0], at[1]);
    else
        snprintf(f->index, sizeof f->index, "[%zu]", at[0]);
}

void gn_audit_judge(gn_audit *a, gn_finding *f, const gn_evidence *e, gn_shape ours, bool map)
{
    if (f == NULL || a->replay.status != GN_OK)
        return;
    a->replay.status = gn_judge(f, e, a->replay.err);
    gn_audit_index(f, ours, map);
    f->expected = e->same[f->element];
    f->got = e->got[f->element];
    f->truth = e->want[f->element];
    f->bound = e->bound[f->element];
    if (a->watch != NULL && a->replay.status == GN_OK)
        a->watch->see(a->watch->user, a, f, e);
}

void gn_audit_missing(gn_audit *a, const char *group, const char *name, gn_shape file_shape)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s%s", group, *group == '\0' ? "" : "/", name);
    if (gn_reader_find(a->scope->candidate, full) == NULL && !gn_scope_requires(a->scope, full)) {
        a->out->unseen += gn_reader_find(a->scope->golden, full) != NULL;
        return;
    }
    gn_finding *f = gn_audit_finding(a, group, name);
    if (f != NULL)
        blame(a, f, file_shape);
}

void gn_audit_unjudged(gn_audit *a, const char *group, const char *name, gn_shape file_shape,
                       const char *input)
{
    char full[256];
    snprintf(full, sizeof full, "%s%s%s", group, *group == '\0' ? "" : "/", name);
    const gn_entry *golden = gn_reader_find(a->scope->golden, full);
    const gn_entry *own = gn_reader_find(a->scope->candidate, full);
    if (own == NULL || golden == NULL || own->type != GN_F32 || own->bytes != golden->bytes) {
        gn_audit_missing(a, group, name, file_shape);
        return;
    }
    gn_finding *f = gn_audit_finding(a, group, name);
    if (f == NULL)
        return;
    gn_distance(f, own->data, golden->data, own->bytes / sizeof(float));
    f->verdict = f->different == 0 ? GN_VERDICT_BITS : GN_VERDICT_UNJUDGED;
    if (f->different > 0)
        snprintf(f->note, sizeof f->note, "not judged: %.90s was not recorded", input);
}

/* --- The whole ------------------------------------------------------------------------------- */

static gn_status config_of(gn_net_config *c, size_t *batch, const gn_reader *golden,
                           const char *path, gn_err *err)
{
    static const char *const keys[] = {"board_size", "num_blocks", "channels", "batch_size"};
    double value[4];
    *c = gn_net_default();
    for (int i = 0; i < 4; i++) {
        const gn_field_range range = {keys[i], 1, 1 << 20, true};
        if (gn_reader_metadata(golden, keys[i]) == NULL)
            return gn_fail(err, GN_E_FORMAT, "%s: no golden file: metadata %s is missing, expected "
                           "a number", path, keys[i]);
        if (gn_field_number(&value[i], golden, path, &range, err) != GN_OK)
            return GN_E_FORMAT;
    }
    const char *conv = gn_reader_metadata(golden, "conv");
    if (conv == NULL || (strcmp(conv, "dense") != 0 && strcmp(conv, "separable") != 0))
        return gn_fail(err, GN_E_FORMAT, "%s: no golden file: metadata conv is %s, expected dense "
                       "or separable", path, conv == NULL ? "missing" : conv);
    c->board_size = (int)value[0];
    c->num_blocks = (int)value[1];
    c->channels = (int)value[2];
    c->conv = strcmp(conv, "separable") == 0 ? GN_SEPARABLE : GN_DENSE;
    *batch = (size_t)value[3];
    return gn_net_validate(c, err);
}

static bool has_group(const gn_reader *r, const char *prefix)
{
    for (size_t i = 0; i < gn_reader_count(r); i++)
        if (strncmp(gn_reader_at(r, i)->name, prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

static void count_extra(gn_verification *out, const gn_reader *golden, const gn_reader *candidate)
{
    for (size_t i = 0; i < gn_reader_count(candidate); i++) {
        const char *name = gn_reader_at(candidate, i)->name;
        if (gn_reader_find(golden, name) != NULL)
            continue;
        if (out->extra++ == 0)
            snprintf(out->first_extra, sizeof out->first_extra, "%.150s", name);
    }
}

static gn_status judge_mode(gn_verification *out, const gn_net *net, size_t batch, bool training,
                            int threads, const gn_scope *scope, const gn_watch *watch,
                            gn_err *err)
{
    gn_audit a = {.out = out, .scope = scope, .watch = watch};
    gn_status st = gn_replay_open(&a.replay, net, batch, training, threads, err);
    if (st != GN_OK)
        return st;
    a.replay.golden = scope->golden;
    a.replay.candidate = scope->candidate;
    const size_t first = out->count;
    gn_audit_forward(&a);
    if (training) {
        gn_audit_backward(&a);
        gn_audit_updates(&a);
    }
    gn_audit_distances(&a, first);
    gn_audit_feeds(&a, first);
    st = a.replay.status;
    gn_replay_close(&a.replay);
    return st;
}

static gn_status judge_network(gn_verification *out, gn_scope *scope, const gn_reader *golden,
                               const gn_reader *candidate, const char *path,
                               const char *candidate_path, int threads,
                               const gn_watch *watch, gn_err *err)
{
    gn_net_config config;
    gn_net net = {0};
    size_t batch = 0;
    gn_status st = config_of(&config, &batch, golden, path, err);
    if (st == GN_OK) st = gn_scope_read(scope, golden, candidate, path, candidate_path, err);
    if (st == GN_OK) st = gn_net_create(&net, &config, err);
    if (st == GN_OK && has_group(golden, "eval_forward/"))
        st = judge_mode(out, &net, batch, false, threads, scope, watch, err);
    if (st == GN_OK && has_group(golden, "forward/"))
        st = judge_mode(out, &net, batch, true, threads, scope, watch, err);
    if (net.tape != NULL)
        gn_net_destroy(&net);
    return st;
}

static bool is_format(gn_verdict v) { return v >= GN_VERDICT_TF32 && v <= GN_VERDICT_BF16; }

/* "bf16, fp16" */
static void format_list(char *text, size_t room, unsigned formats)
{
    size_t used = 0;
    *text = '\0';
    for (int v = GN_VERDICT_TF32; v <= GN_VERDICT_BF16; v++)
        if ((formats >> v & 1) != 0 && used < room)
            used += (size_t)snprintf(text + used, room - used, "%s%s", used > 0 ? ", " : "",
                                     gn_verdict_name((gn_verdict)v));
}

/* A few numbers do not tell one format from another: they have the one that larger tensors have, if
 * it explains them and there is one such, or say what they may be. */
static void settle_few(gn_verification *out)
{
    unsigned larger = 0;
    for (size_t i = 0; i < out->count; i++)
        if (is_format(out->finding[i].verdict) && out->finding[i].elements >= NUMBERS)
            larger |= 1u << out->finding[i].verdict;
    for (size_t i = 0; i < out->count; i++) {
        gn_finding *f = &out->finding[i];
        const unsigned both = f->formats & larger;
        char text[40];
        if (!is_format(f->verdict) || f->elements >= NUMBERS)
            continue;
        if (both != 0 && (both & (both - 1)) == 0) {
            while (both != 1u << f->verdict)
                f->verdict = f->verdict == GN_VERDICT_BF16 ? GN_VERDICT_TF32 : f->verdict + 1;
            continue;
        }
        format_list(text, sizeof text, f->formats);
        snprintf(f->note, sizeof f->note, "%zu number%s alone, which may be of %s%s", f->elements,
                 f->elements == 1 ? "" : "s", text,
                 (f->formats & (f->formats - 1)) == 0 ? ", or so by chance" : "");
    }
}

static gn_status judge_files(gn_verification *out, const gn_reader *golden,
                             const gn_reader *candidate, const char *path,
                             const char *candidate_path, int threads,
                             const gn_watch *watch, gn_err *err)
{
    gn_scope scope = {.level = GN_LEVEL_TRACE};
    const gn_status st = gn_is_cases(golden)
                             ? gn_cases_judge(out, golden, candidate, path, err)
                             : judge_network(out, &scope, golden, candidate, path, candidate_path,
                                             threads, watch, err);
    if (st != GN_OK)
        return st;
    out->level = scope.level;
    count_extra(out, golden, candidate);
    settle_few(out);
    for (size_t i = 0; i < out->count; i++) {
        /* One who restarts each step shows what the optimiser makes of it, and no more. */
        const gn_finding *f = &out->finding[i];
        const bool by_the_way = f->compared && f->verdict == GN_VERDICT_UNJUDGED && scope.restarts;
        if (f->verdict > out->verdict && !by_the_way)
            out->verdict = f->verdict;
    }
    if (out->extra > 0)
        out->verdict = GN_VERDICT_WRONG;
    return out->count > 0 ? GN_OK : gn_fail(err, GN_E_CONFIG, "%s: there is nothing in it to judge "
                                            "by: no forward/ and no eval_forward/", path);
}

gn_status gn_audit_files(gn_verification *out, const char *golden, const char *candidate,
                         int threads, const gn_watch *watch, gn_err *err)
{
    gn_reader *a = NULL, *b = NULL;
    *out = (gn_verification){0};
    gn_status st = gn_tensors_open(&a, golden, err);
    if (st == GN_OK) st = gn_tensors_open(&b, candidate, err);
    if (st == GN_OK) st = judge_files(out, a, b, golden, candidate, threads, watch, err);
    gn_reader_close(a);
    gn_reader_close(b);
    if (st != GN_OK)
        gn_verification_free(out);
    return st;
}

gn_status gn_verify(gn_verification *out, const char *golden, const char *candidate, int threads,
                    gn_err *err)
{
    return gn_audit_files(out, golden, candidate, threads, NULL, err);
}
