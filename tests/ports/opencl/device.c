/* One OpenCL device, its kernels, buffers of float.  SPDX-License-Identifier: MIT */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port.h"

#define FLAGS "-cl-fp32-correctly-rounded-divide-sqrt"

enum { DEVICES = 64, KERNELS = 64, GROUP = 64 }; /* GROUP: any size has the same bits */

static cl_device_id device;
static cl_context context;
static cl_command_queue queue;
static cl_program program;
static struct {
    char name[TEXT];
    cl_kernel kernel;
} kernels[KERNELS];

static void check(cl_int code, const char *what)
{
    if (code != CL_SUCCESS)
        stop(3, "%s: OpenCL error %d", what, (int)code);
}

/* --- A device that keeps the contract --------------------------------------------------------- */

/* What it lacks; NULL: nothing. */
static const char *lacks(cl_device_id id)
{
    static const struct {
        cl_device_fp_config bit;
        const char *what;
    } needs[] = {
        {CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT, "correctly rounded division and square root"},
        {CL_FP_DENORM, "denormal numbers (it flushes them to zero)"},
        {CL_FP_ROUND_TO_NEAREST, "rounding to nearest"},
        {CL_FP_INF_NAN, "infinities and NaN"},
    };
    cl_device_fp_config has = 0;
    check(clGetDeviceInfo(id, CL_DEVICE_SINGLE_FP_CONFIG, sizeof has, &has, NULL), "device");
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        if ((has & needs[i].bit) == 0)
            return needs[i].what;
    return NULL;
}

static cl_uint all_devices(cl_device_id *ids)
{
    cl_platform_id platform[DEVICES];
    cl_uint platforms = 0, count = 0;
    if (clGetPlatformIDs(DEVICES, platform, &platforms) != CL_SUCCESS)
        return 0;
    for (cl_uint i = 0; i < platforms && i < DEVICES && count < DEVICES; i++) {
        cl_uint more = 0;
        if (clGetDeviceIDs(platform[i], CL_DEVICE_TYPE_ALL, DEVICES - count, ids + count, &more) ==
            CL_SUCCESS)
            count += more < DEVICES - count ? more : DEVICES - count;
    }
    return count;
}

static const char *choose(const char *wanted)
{
    static char name[TEXT], version[TEXT], said[3 * TEXT];
    cl_device_id ids[DEVICES];
    const cl_uint count = all_devices(ids);
    for (cl_uint i = 0; i < count; i++) {
        check(clGetDeviceInfo(ids[i], CL_DEVICE_NAME, TEXT, name, NULL), "device's name");
        check(clGetDeviceInfo(ids[i], CL_DEVICE_VERSION, TEXT, version, NULL), "its version");
        if (strstr(name, wanted) == NULL)
            continue;
        if (lacks(ids[i]) != NULL) {
            fprintf(stderr, "opencl port: device %s lacks %s\n", name, lacks(ids[i]));
            continue;
        }
        device = ids[i];
        snprintf(said, sizeof said, "%s, %s", name, version);
        for (char *c = said; *c != '\0'; c++) /* it goes into JSON */
            *c = *c < ' ' || *c == '"' || *c == '\\' ? '_' : *c;
        return said;
    }
    stop(2, "of %u OpenCL devices none keeps the contract%s%s", count,
         *wanted == '\0' ? "" : " and has in its name ", wanted);
    return NULL;
}

/* --- Kernels ---------------------------------------------------------------------------------- */

static char *source(const char *folder, const char *name)
{
    char path[2 * TEXT];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    char *code = calloc(1, 1 << 16);
    if (file == NULL)
        stop(2, "%s: cannot be opened; --kernels names the folder of the .cl files", path);
    if (code == NULL || fread(code, 1, (1 << 16) - 1, file) == 0 || !feof(file))
        stop(2, "%s: cannot be read, or is larger than 64 KiB", path);
    fclose(file);
    return code;
}

static void build(const char *folder)
{
    static char log[1 << 14];
    cl_int code;
    char *part[] = {source(folder, "exact.cl"), source(folder, "gomokunet.cl"),
                    source(folder, "training.cl")};
    program = clCreateProgramWithSource(context, 3, (const char **)part, NULL, &code);
    check(code, "program");
    code = clBuildProgram(program, 1, &device, FLAGS, NULL, NULL);
    if (code != CL_SUCCESS)
        clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL);
    if (code != CL_SUCCESS)
        stop(3, "%s: OpenCL error %d in building the kernels\n%s", folder, (int)code, log);
    for (int i = 0; i < 3; i++)
        free(part[i]);
}

const char *device_open(const char *wanted, const char *folder)
{
    cl_int code;
    const char *name = choose(wanted);
    context = clCreateContext(NULL, 1, &device, NULL, NULL, &code);
    check(code, "context");
    queue = clCreateCommandQueue(context, device, 0, &code); /* in order */
    check(code, "queue");
    build(folder);
    return name;
}

static cl_kernel find(const char *name)
{
    int i = 0;
    while (i < KERNELS && kernels[i].kernel != NULL && strcmp(kernels[i].name, name) != 0)
        i++;
    if (i == KERNELS)
        stop(3, "%s: more than %d kernels", name, KERNELS);
    if (kernels[i].kernel == NULL) {
        cl_int code;
        snprintf(kernels[i].name, TEXT, "%s", name);
        kernels[i].kernel = clCreateKernel(program, name, &code);
        check(code, name);
    }
    return kernels[i].kernel;
}

void run(const char *name, int64_t count, const char *types, ...)
{
    const cl_kernel kernel = find(name);
    const cl_int items = (cl_int)count;
    const size_t group = GROUP, global = ((size_t)count + GROUP - 1) / GROUP * GROUP;
    if (count > INT_MAX - GROUP)
        stop(2, "%s: %lld outputs are too many for this port", name, (long long)count);
    check(clSetKernelArg(kernel, 0, sizeof items, &items), name);
    va_list list;
    va_start(list, types);
    for (cl_uint i = 0; types[i] != '\0'; i++) {
        const cl_mem b = types[i] == 'b' ? va_arg(list, cl_mem) : NULL;
        const cl_int n = types[i] == 'i' ? va_arg(list, int) : 0;
        const cl_float f = types[i] == 'f' ? (cl_float)va_arg(list, double) : 0;
        if (types[i] == 'b')
            check(clSetKernelArg(kernel, i + 1, sizeof b, &b), name);
        else if (types[i] == 'i')
            check(clSetKernelArg(kernel, i + 1, sizeof n, &n), name);
        else
            check(clSetKernelArg(kernel, i + 1, sizeof f, &f), name);
    }
    va_end(list);
    check(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &global, &group, 0, NULL, NULL), name);
}

/* --- Buffers ---------------------------------------------------------------------------------- */

cl_mem buffer_new(int64_t count)
{
    const cl_float zero = 0;
    const size_t bytes = (size_t)count * sizeof zero;
    cl_int code;
    if (count > INT_MAX - GROUP)
        stop(2, "%lld elements are too many for this port", (long long)count);
    cl_mem buffer = clCreateBuffer(context, CL_MEM_READ_WRITE, bytes, NULL, &code);
    check(code, "new buffer");
    check(clEnqueueFillBuffer(queue, buffer, &zero, sizeof zero, 0, bytes, 0, NULL, NULL),
          "new buffer");
    return buffer;
}

void buffer_write(cl_mem buffer, const float *data, int64_t count)
{
    check(clEnqueueWriteBuffer(queue, buffer, CL_TRUE, 0, (size_t)count * sizeof *data, data, 0,
                               NULL, NULL), "writing a buffer");
}

void buffer_read(cl_mem buffer, float *data, int64_t count)
{
    check(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, (size_t)count * sizeof *data, data, 0,
                              NULL, NULL), "reading a buffer");
}
