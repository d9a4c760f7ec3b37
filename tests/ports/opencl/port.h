/* GomokuNet in OpenCL, the host's side: buffers (device.c), files (files.c), ops (ops.c), the
 * network and its step (net.c).  Whatever fails ends the program: exit status 2 for what was
 * given, 3 for what the device said.  SPDX-License-Identifier: MIT */
#ifndef PORT_H
#define PORT_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stdbool.h>
#include <stdint.h>

enum { TEXT = 256 };

void stop(int status, const char *format, ...);
const char *text(const char *format, ...); /* good until the eighth call after it */

/* --- device.c: one device, buffers of float -------------------------------------------------- */

/* Opens the first device that keeps the contract (of those whose name has `wanted` in it) and
 * builds the kernels that lie in `folder`.  Returns the device's name. */
const char *device_open(const char *wanted, const char *folder);
cl_mem buffer_new(int64_t count); /* of +0 */
void buffer_write(cl_mem buffer, const float *data, int64_t count);
void buffer_read(cl_mem buffer, float *data, int64_t count);

/* Queues `count` work-items of a kernel.  `types` has a letter for each argument behind the count:
 * b buffer, i int, f float. */
void run(const char *kernel, int64_t count, const char *types, ...);

/* --- files.c: the golden file, and the candidate that will have the same tensors -------------- */

void golden_open(const char *path);
bool golden_has(const char *prefix);
double golden_number(const char *key, double least, double most);
const char *golden_word(const char *key);
const char *golden_name(size_t i, const char *prefix); /* of tensor i behind the prefix, or NULL */
size_t golden_tensors(void);
int64_t golden_count(const char *name); /* elements of a tensor of float that must be there */
void golden_load(const char *name, cl_mem buffer, int64_t count); /* and must have so many */
int64_t golden_counter(const char *name);

/* A tensor of the candidate, where the golden file has it. */
void keep(const char *name, cl_mem buffer, int64_t count);
void keep_counter(const char *name, int64_t value);
void candidate_write(const char *path, const char *device, int steps);

/* --- ops.c: an op forward and backward -------------------------------------------------------- */

typedef struct map { /* an op's output: [N,C,S,S], vectors with S = 1 */
    cl_mem data, grad; /* grad NULL: nobody asks for it */
    int C, S;
    int64_t count;
    int given; /* how many of its consumers have added to grad */
} map;

typedef struct param {
    char name[TEXT];
    cl_mem value, grad, first, second; /* the optimiser's moments */
    int64_t count;
} param;

typedef struct op op;

typedef struct layer {
    const op *op;
    char name[TEXT];
    map *x, *side, *y;    /* side: the gate, the skipped map, a loss's target */
    param *weight, *bias; /* NULL: none */
    int K, groups;
    cl_mem mean, m2, inv, running_mean, running_var; /* of a batch norm */
    int64_t tracked;
    cl_mem probability, total, known; /* of a loss */
} layer;

typedef struct ops { /* what all ops share */
    int N;
    bool training;
    cl_mem leaf[2]; /* partial results, one an image */
    cl_mem contribution;            /* to a gradient that has one already */
} ops;

struct op {
    void (*forward)(const ops *o, layer *l), (*backward)(const ops *o, layer *l);
};

extern const op conv2d, linear, batch_norm, relu, add, global_avg_pool, channel_scale, sigmoid,
    hyperbolic_tangent, policy_loss, value_loss;

/* --- net.c, step.c ---------------------------------------------------------------------------- */

typedef struct net {
    ops ops;
    int S, channels, layer_count, first_loss, param_count;
    bool separable;
    layer *layers;
    param *params; /* in the order of the state dict, which is the golden file's */
    map *planes, *policy, *value, *total;
    cl_mem sums, norm, coef;          /* of clipping: squares by parameter, the norm, the factor */
    double beta1_power, beta2_power;  /* AdamW's, to the number of steps */
} net;

void net_build(net *n);
void net_step(net *n, int step); /* from 1; keeps all that a golden file may have of it */

#endif
