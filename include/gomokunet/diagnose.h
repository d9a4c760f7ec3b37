/* Diagnosis: which mistake explains a candidate whose tensors are wrong.
 *
 * A catalogue of mistakes that authors of ports make, each computed in float64 on the candidate's
 * own tensors.  A mistake explains a wrong tensor when the judge, given the mistaken result as the
 * truth, no longer finds it wrong.
 * SPDX-License-Identifier: MIT */
#ifndef GOMOKUNET_DIAGNOSE_H
#define GOMOKUNET_DIAGNOSE_H

#include "gomokunet/golden.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The catalogue: names, and what each says; NULL beyond the last. */
const char *gn_mistake_name(size_t index);
const char *gn_mistake_says(size_t index);

/* A tensor that is outside its bound. */
typedef struct gn_suspect {
    char name[160];
    gn_verdict verdict;
    double off; /* the error in units of what is allowed: above 1; 0: not measured (missing, ...) */
    int cause;  /* index into the causes; -1: none explains it */
    double left; /* `off` with that mistake: at most 1; 0 where the verdict itself is the cause */
} gn_suspect;

enum { GN_TIES = 8 };

/* A mistake that explains some of them. */
typedef struct gn_cause {
    size_t mistake; /* in the catalogue */
    size_t explained, forward, backward,
        update;                 /* tensors: all, outputs, gradients, after the step */
    double worst;               /* the largest `left` of them */
    size_t ties, tied[GN_TIES]; /* mistakes that explain the same tensors as well */
} gn_cause;

typedef struct gn_diagnosis {
    size_t judged;     /* tensors */
    size_t unjudged;   /* of them: an input was not recorded, so a mistake may be hidden there */
    size_t extra;      /* tensors that the golden file does not have */
    size_t zero_signs; /* tensors that differ only in +0 for -0: a tail padded with +0? */
    size_t suspects, unexplained;
    gn_suspect *suspect;
    size_t causes; /* the first explains most; the next most of the rest; and so on */
    gn_cause *cause;
} gn_diagnosis;

/* Judges as gn_verify does, and tries the catalogue on every tensor that is outside its bound.
 * GN_OK also where things are wrong.  Release with gn_diagnosis_free.  Errors as gn_verify. */
gn_status gn_diagnose(gn_diagnosis *out, const char *golden, const char *candidate, int threads,
                      gn_err *err);
void gn_diagnosis_free(gn_diagnosis *diagnosis);

#ifdef __cplusplus
}
#endif
#endif
