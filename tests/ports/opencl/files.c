/* The golden file, by the reader that lies beside this folder, and the candidate: the same tensors
 * under the same names.  SPDX-License-Identifier: MIT */
#define READ_GOLDEN_IN_A_PORT
#include "../reader/read_golden.c"

#include <limits.h>
#include <stdarg.h>

#include "port.h"

static tensor *golden;
static size_t tensors;
static unsigned char *made; /* the candidate's bytes, where the golden file has its own */
static bool *done;

void stop(int status, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fprintf(stderr, "opencl port: ");
    vfprintf(stderr, format, list);
    fprintf(stderr, "\n");
    va_end(list);
    exit(status);
}

const char *text(const char *format, ...)
{
    char room[4 * TEXT];
    va_list list;
    va_start(list, format);
    const int length = vsnprintf(room, sizeof room, format, list);
    va_end(list);
    if (length < 0 || length >= (int)sizeof room)
        stop(2, "%.40s...: a name is too long", room);
    char *kept = malloc((size_t)length + 1);
    if (kept == NULL)
        stop(3, "no memory");
    return strcpy(kept, room);
}

/* --- What is read ----------------------------------------------------------------------------- */

void golden_open(const char *file)
{
    golden = read_golden(file, &tensors);
    made = calloc(tensors == 0 ? 1 : (size_t)golden[tensors - 1].end + 1, 1);
    done = calloc(tensors + 1, sizeof *done);
    if (made == NULL || done == NULL)
        stop(3, "%s: no memory for another file of this size", file);
}

const char *golden_path(void)
{
    return path;
}

static tensor *find(const char *wanted)
{
    for (size_t i = 0; i < tensors; i++)
        if (strcmp(golden[i].name, wanted) == 0)
            return &golden[i];
    return NULL;
}

static uint64_t elements(const tensor *t)
{
    return (t->end - t->begin) / (t->type[0] == 'F' ? 4 : 8);
}

static const tensor *need(const char *wanted, const char *type)
{
    const tensor *t = find(wanted);
    if (t == NULL || strcmp(t->type, type) != 0)
        stop(2, "%s: tensor %s is %s, expected %s; nothing can be computed without it", path,
             wanted, t == NULL ? "missing" : t->type, type);
    return t;
}

const char *golden_name(size_t i, const char *prefix)
{
    const size_t length = strlen(prefix);
    if (i >= tensors || strncmp(golden[i].name, prefix, length) != 0)
        return NULL;
    return golden[i].name + length;
}

size_t golden_tensors(void)
{
    return tensors;
}

bool golden_has(const char *prefix)
{
    for (size_t i = 0; i < tensors; i++)
        if (golden_name(i, prefix) != NULL)
            return true;
    return false;
}

int golden_shape(const char *wanted, int dim[4])
{
    const tensor *t = find(wanted);
    if (t == NULL)
        return 0;
    if (t->rank < 1 || t->rank > 4)
        stop(2, "%s: tensor %s has %d dimensions, expected 1 to 4", path, wanted, t->rank);
    for (int i = 0; i < t->rank; i++) {
        if (t->dim[i] < 1 || t->dim[i] > INT_MAX)
            stop(2, "%s: tensor %s has %llu in a dimension, expected 1 to %d", path, wanted,
                 (unsigned long long)t->dim[i], INT_MAX);
        dim[i] = (int)t->dim[i];
    }
    return t->rank;
}

void golden_load(const char *wanted, cl_mem buffer, int64_t count)
{
    const tensor *t = need(wanted, "F32");
    if (elements(t) != (uint64_t)count)
        stop(2, "%s: tensor %s has %llu elements, expected %lld", path, wanted,
             (unsigned long long)elements(t), (long long)count);
    float *values = malloc((size_t)count * sizeof *values + 1);
    if (values == NULL)
        stop(3, "%s: no memory for tensor %s", path, wanted);
    for (int64_t i = 0; i < count; i++)
        values[i] = element(t, (uint64_t)i);
    buffer_write(buffer, values, count);
    free(values);
}

int64_t golden_counter(const char *wanted)
{
    return (int64_t)little(need(wanted, "I64")->data, 8);
}

const char *golden_word(const char *key)
{
    for (size_t i = 0; i < note_count; i++)
        if (strcmp(notes[i].key, key) == 0)
            return notes[i].value;
    stop(2, "%s: no golden file: metadata %s is missing", path, key);
    return NULL;
}

double golden_number(const char *key, double least, double most)
{
    const char *word = golden_word(key);
    char *end;
    const double value = strtod(word, &end);
    if (end == word || *end != '\0' || !(value >= least && value <= most))
        stop(2, "%s: metadata %s is \"%s\", expected a number from %g to %g", path, key, word,
             least, most);
    return value;
}

/* --- What is written -------------------------------------------------------------------------- */

static void put(unsigned char *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (unsigned char)(value >> 8 * i);
}

/* Where a tensor's bytes go; NULL: the golden file does not have it. */
static unsigned char *place(const char *wanted, const char *type, uint64_t count)
{
    const tensor *t = find(wanted);
    if (t == NULL)
        return NULL;
    if (strcmp(t->type, type) != 0 || elements(t) != count)
        stop(2, "%s: tensor %s is %s with %llu elements, expected %s with %llu", path, wanted,
             t->type, (unsigned long long)elements(t), type, (unsigned long long)count);
    done[t - golden] = true;
    return made + t->begin;
}

void keep(const char *wanted, cl_mem buffer, int64_t count)
{
    unsigned char *to = place(wanted, "F32", (uint64_t)count);
    if (to == NULL)
        return;
    float *values = malloc((size_t)count * sizeof *values + 1);
    if (values == NULL)
        stop(3, "%s: no memory for tensor %s", path, wanted);
    buffer_read(buffer, values, count);
    for (int64_t i = 0; i < count; i++, to += 4) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        put(to, (bits & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : bits, 4);
    }
    free(values);
}

void keep_counter(const char *wanted, int64_t value)
{
    unsigned char *to = place(wanted, "I64", 1);
    if (to != NULL)
        put(to, (uint64_t)value, 8);
}

/* The header's length; its text, where there is room for all of it. */
static size_t header(char *to, size_t room, const char *device, int steps)
{
    size_t n = 0;
#define MORE(...) \
    n += (size_t)snprintf(room == 0 ? NULL : to + n, room == 0 ? 0 : room - n, __VA_ARGS__)
    MORE("{\"__metadata__\":{\"gomokunet\":\"order v1\",\"level\":\"trace\"");
    MORE(",\"producer\":\"OpenCL, %s\"", device);
    if (steps > 0)
        MORE(",\"steps\":\"%d\",\"state\":\"own\"", steps);
    MORE("}");
    for (const tensor *t = golden; t < golden + tensors; t++) {
        MORE(",\"%s\":{\"dtype\":\"%s\",\"shape\":[", t->name, t->type);
        for (int i = 0; i < t->rank; i++)
            MORE("%s%llu", i == 0 ? "" : ",", (unsigned long long)t->dim[i]);
        MORE("],\"data_offsets\":[%llu,%llu]}", (unsigned long long)t->begin,
             (unsigned long long)t->end);
    }
    MORE("}");
#undef MORE
    return n;
}

void candidate_write(const char *file, const char *device, int steps)
{
    char part[4 * TEXT];
    for (size_t i = 0; i < tensors; i++)
        if (!done[i] || strpbrk(golden[i].name, "\"\\") != NULL)
            stop(2, "%s: tensor %s is of no name that this port computes", path, golden[i].name);
    const size_t length = header(NULL, 0, device, steps);
    const size_t bytes = tensors == 0 ? 0 : (size_t)golden[tensors - 1].end;
    char *head = malloc(length + 1);
    unsigned char size[8];
    if (head == NULL || snprintf(part, sizeof part, "%s.part", file) >= (int)sizeof part)
        stop(3, "%s: no memory, or too long a name", file);
    header(head, length + 1, device, steps);
    put(size, length, 8);
    FILE *out = fopen(part, "wb");
    const bool good = out != NULL && fwrite(size, 1, 8, out) == 8 &&
                      fwrite(head, 1, length, out) == length &&
                      fwrite(made, 1, bytes, out) == bytes;
    if ((out != NULL && fclose(out) != 0) || !good || rename(part, file) != 0) {
        remove(part);
        stop(3, "%s: cannot be written", file);
    }
    free(head);
}
