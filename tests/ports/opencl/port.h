/* GomokuNet in OpenCL, the host's side: buffers (device.c), files (files.c), ops (ops.c), the
 * network (net.c), its training step (step.c), single ops (cases.c).  Whatever fails ends the
 * program: exit status 2 for what was given, 3 for what the device or the system refuses.
 * Buffers and names live as long as the program.  SPDX-License-Identifier: MIT */
#ifndef PORT_H
#define PORT_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stdbool.h>
#include <stdint.h>

enum { TEXT = 256 };

void stop(int status, const char *format, ...);
const char *text(const char *format, ...); /* a name, put together */

/* --- device.c: one device, buffers of float --------------------------------------------------- */

/* Opens the first device that keeps the contract, of those whose name has `wanted` in it, and
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
const char *golden_path(void);
double golden_number(const char *key, double least, double most); /* of the metadata */
const char *golden_word(const char *key);
size_t golden_tensors(void);
const char *golden_name(size_t i, const char *prefix); /* tensor i's, behind the prefix, or NULL */
bool golden_has(const char *prefix);
int golden_shape(const char *name, int dim[4]); /* its rank; 0: there is none of this name */
/* A tensor of float, which must be there and have so many elements. */
void golden_load(const char *name, cl_mem buffer, int64_t count);
int64_t golden_counter(const char *name);

/* Tensors of the candidate, where the golden file has them; in the end it must have them all. */
void keep(const char *name, cl_mem buffer, int64_t count);
void keep_counter(const char *name, int64_t value);
void candidate_write(const char *path, const char *device, int steps);

/* --- ops.c: an op forward and backward -------------------------------------------------------- */

typedef struct map { /* an op's output, [N,C,H,W]; vectors have H = W = 1 */
    cl_mem data, grad; /* grad NULL: nobody asks for it */
    int C, H, W;
    int64_t count;
    int given; /* how many of its consumers have added to grad */
} map;

typedef struct param {
    char name[TEXT];
    cl_mem value, grad, first, second; /* the optimiser's moments */
    int64_t count;
    bool used; /* a layer has it */
} param;

typedef struct op op;

typedef struct layer {
    const op *op;
    char name[TEXT];
    map *x, *side, *y;    /* side: the gate, the other summand, a loss's target */
    param *weight, *bias; /* NULL: none */
    int K, groups;
    cl_mem mean, m2, inv, running_mean, running_var; /* of a batch norm */
    int64_t tracked;
    cl_mem probability, total, known; /* of a loss */
} layer;

typedef struct ops { /* what all ops share */
    int N;
    bool training;
    cl_mem leaf[2];      /* partial results: an image's, eight images', a block's */
    cl_mem contribution; /* to a gradient that has one already */
} ops;

struct op {
    void (*forward)(const ops *o, layer *l), (*backward)(const ops *o, layer *l);
    const char *kernel, *kernel_dx; /* where y = kernel(x), dx = kernel_dx(dy, y) is all */
};

extern const op conv2d, linear, batch_norm, relu, add, global_avg_pool, channel_scale, flatten,
    sigmoid, hyperbolic_tangent, policy_loss, value_loss;

map *map_new(int N, int C, int H, int W, bool with_grad);
param *param_new(param *to, const char *name, int64_t count);
void layer_buffers(const ops *o, layer *l); /* of a batch norm or a loss; x is known */
int64_t layer_leaves(const ops *o, const layer *l); /* elements that it needs of ops.leaf */

/* --- step.c: what follows backward ------------------------------------------------------------ */

typedef struct rule { /* of the optimiser; AdamW unless sgd */
    bool sgd, nesterov;
    double lr, decay, momentum, beta1, beta2, eps, max_norm;
    double beta1_power, beta2_power; /* to the number of steps, this one among them */
} rule;

void running_statistics(layer *l, int M);
/* The factor `coef` of all gradients, from their norm; sums: a number for each. */
void clip(const ops *o, const rule *r, const param *params, int count, cl_mem sums, cl_mem norm,
          cl_mem coef);
void optimise(const rule *r, const param *p, cl_mem coef);

/* --- net.c, cases.c --------------------------------------------------------------------------- */

typedef struct net {
    ops ops;
    int size, channels, layer_count, first_loss, param_count;
    bool separable;
    layer *layers; /* in the order in which they run forward */
    param *params; /* in the order of the state dict, which is the golden file's */
    map *planes, *policy, *value, *total;
    cl_mem sums, norm, coef; /* of clipping */
    rule rule;
} net;

void net_build(net *n);
void net_step(net *n, int step); /* from 1; keeps all that a golden file may have of it */
void cases_run(void);            /* of a golden file of cases, all */

#endif
