/* Reads a golden file (safetensors): one file of C, nothing but the standard library, to be copied
 * into a port, or included by it after a `#define READ_GOLDEN_IN_A_PORT`, without its main.
 *
 *     read_golden FILE           name, type, shape and first numbers of every tensor
 *     read_golden FILE NAME      the bytes of one tensor
 *
 * A file is a little-endian u64, the length of the header; the header, JSON; then the bytes of the
 * tensors, in the order of the header, little-endian, without gaps.  Anything else is refused, with
 * a message and exit status 2.
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANK = 8, NAME = 256 };

typedef struct tensor {
    char name[NAME], type[8];
    int rank;
    uint64_t dim[RANK], begin, end; /* bytes, counted from the end of the header */
    const unsigned char *data;
} tensor;

typedef struct note { /* of the metadata; what is longer is cut */
    char key[NAME], value[NAME];
} note;

static const char *path;
static note *notes;
static size_t note_count;

static void fail(const char *what, const char *tensor_name)
{
    fprintf(stderr, "read_golden: %s: %s%s%s\n", path, tensor_name,
            *tensor_name == '\0' ? "" : ": ", what);
    exit(2);
}

/* --- The header: as much of JSON as it needs --- */

static const char *at; /* ends with a 0 byte, which nothing below steps over */

static int peek(void)
{
    while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')
        at++;
    return *at;
}

static void expect(char c)
{
    if (peek() != c) {
        char text[] = "the header is no JSON of safetensors: expected '?'";
        text[sizeof text - 3] = c;
        fail(text, "");
    }
    at++;
}

static int another(char end) /* 1: a comma, and one more; 0: the end */
{
    if (peek() == end) {
        at++;
        return 0;
    }
    expect(',');
    return 1;
}

/* The length of the string, of which `to` gets what there is room for. */
static size_t string(char *to, size_t room)
{
    size_t n = 0;
    expect('"');
    while (*at != '"') {
        if (*at == '\\')
            at++;
        if ((unsigned char)*at < ' ')
            fail("a string in the header does not end", "");
        if (n + 1 < room)
            to[n] = *at;
        n++;
        at++;
    }
    at++;
    to[n < room ? n : room - 1] = '\0';
    return n;
}

static void name(char *to, size_t room)
{
    if (string(to, room) >= room)
        fail("a name is too long", "");
}

static uint64_t number(void)
{
    uint64_t n = 0;
    peek();
    const char *first = at;
    while (*at >= '0' && *at <= '9' && at - first < 18)
        n = 10 * n + (uint64_t)(*at++ - '0');
    if (at == first || (*at >= '0' && *at <= '9'))
        fail("expected a number of at most 18 digits", "");
    return n;
}

static void metadata(void)
{
    expect('{');
    if (peek() == '}') {
        at++;
        return;
    }
    do {
        note *more = realloc(notes, (note_count + 1) * sizeof *notes);
        if (more == NULL)
            fail("no memory", "");
        notes = more;
        string(notes[note_count].key, NAME);
        expect(':');
        string(notes[note_count].value, NAME);
        note_count++;
    } while (another('}'));
}

static void entry(tensor *t)
{
    int seen = 0;
    expect('{');
    do {
        char key[16];
        name(key, sizeof key);
        expect(':');
        if (strcmp(key, "dtype") == 0) {
            name(t->type, sizeof t->type);
            seen += 1;
        } else if (strcmp(key, "shape") == 0) {
            expect('[');
            t->rank = 0;
            if (peek() == ']')
                at++;
            else
                do {
                    if (t->rank == RANK)
                        fail("too many dimensions", t->name);
                    t->dim[t->rank++] = number();
                } while (another(']'));
            seen += 10;
        } else if (strcmp(key, "data_offsets") == 0) {
            expect('[');
            t->begin = number();
            expect(',');
            t->end = number();
            expect(']');
            seen += 100;
        } else {
            fail("expected dtype, shape and data_offsets", t->name);
        }
    } while (another('}'));
    if (seen != 111)
        fail("expected dtype, shape and data_offsets, once each", t->name);
}

/* The bytes that type and shape ask for. */
static uint64_t bytes_of(const tensor *t)
{
    uint64_t count = strcmp(t->type, "F32") == 0 ? 4 : strcmp(t->type, "I64") == 0 ? 8 : 0;
    if (count == 0)
        fail("expected F32 or I64", t->name);
    for (int i = 0; i < t->rank; i++) {
        if (t->dim[i] != 0 && count > UINT64_MAX / t->dim[i])
            fail("the shape is too large", t->name);
        count *= t->dim[i];
    }
    return count;
}

/* The tensors, `*count` of them, in the order of their bytes; these begin at `data`. */
static tensor *parse(const char *header, const unsigned char *data, uint64_t bytes, size_t *count)
{
    tensor *list = NULL;
    size_t n = 0, room = 0;
    uint64_t end = 0;
    at = header;
    expect('{');
    if (peek() == '}')
        at++;
    else
        do {
            if (n == room) {
                room = 2 * room + 64;
                list = realloc(list, room * sizeof *list);
                if (list == NULL)
                    fail("no memory", "");
            }
            tensor *t = &list[n];
            name(t->name, sizeof t->name);
            expect(':');
            if (strcmp(t->name, "__metadata__") == 0) {
                metadata();
                continue;
            }
            entry(t);
            for (size_t i = 0; i < n; i++)
                if (strcmp(list[i].name, t->name) == 0)
                    fail("this name comes twice", t->name);
            if (t->begin != end || t->end < t->begin || t->end - t->begin != bytes_of(t))
                fail("its bytes do not begin where those before end, or do not fit its shape",
                     t->name);
            if (t->end > bytes)
                fail("the file ends inside this tensor", t->name);
            t->data = data + t->begin;
            end = t->end;
            n++;
        } while (another('}'));
    if (peek() != '\0')
        fail("there is more behind the header's last brace", "");
    if (end != bytes)
        fail("there are more bytes behind the last tensor", "");
    *count = n;
    return list;
}

/* --- The file --- */

static uint64_t little(const unsigned char *b, int bytes)
{
    uint64_t n = 0;
    for (int i = bytes - 1; i >= 0; i--)
        n = n << 8 | b[i];
    return n;
}

static unsigned char *whole_file(size_t *size)
{
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = NULL;
    size_t room = 0;
    *size = 0;
    if (file == NULL)
        fail("cannot be opened", "");
    for (size_t got = 1; got > 0; *size += got) {
        if (*size == room) {
            room = 2 * room + (1 << 16);
            bytes = realloc(bytes, room);
            if (bytes == NULL)
                fail("no memory", "");
        }
        got = fread(bytes + *size, 1, room - *size, file);
    }
    if (ferror(file))
        fail("cannot be read", "");
    fclose(file);
    return bytes;
}

/* Everything of a file; the bytes stay where the tensors point. */
static tensor *read_golden(const char *file, size_t *count)
{
    size_t size;
    path = file;
    unsigned char *bytes = whole_file(&size);
    if (size < 8)
        fail("8 bytes with the header's length are missing", "");
    const uint64_t length = little(bytes, 8);
    if (length > size - 8)
        fail("the file ends inside the header", "");
    char *header = malloc((size_t)length + 1);
    if (header == NULL)
        fail("no memory", "");
    memcpy(header, bytes + 8, (size_t)length);
    header[length] = '\0';
    tensor *list = parse(header, bytes + 8 + length, size - 8 - length, count);
    free(header);
    return list;
}

/* Element i of an F32 tensor, on any machine. */
static float element(const tensor *t, uint64_t i)
{
    const uint32_t bits = (uint32_t)little(t->data + 4 * i, 4);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

#ifndef READ_GOLDEN_IN_A_PORT
static void print(const tensor *t)
{
    const uint64_t each = t->type[0] == 'F' ? 4 : 8, count = (t->end - t->begin) / each;
    printf("%s %s [", t->name, t->type);
    for (int i = 0; i < t->rank; i++)
        printf("%s%llu", i == 0 ? "" : ",", (unsigned long long)t->dim[i]);
    printf("]");
    for (uint64_t i = 0; i < count && i < 4; i++)
        if (each == 4)
            printf(" %.9g", (double)element(t, i));
        else
            printf(" %lld", (long long)little(t->data + 8 * i, 8));
    printf("\n");
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: read_golden FILE [NAME]\n");
        return 2;
    }
    size_t count, found = 0;
    const tensor *list = read_golden(argv[1], &count);
    for (size_t i = 0; i < count; i++)
        if (argc == 2) {
            print(&list[i]);
        } else if (strcmp(list[i].name, argv[2]) == 0) {
            fwrite(list[i].data, 1, (size_t)(list[i].end - list[i].begin), stdout);
            found = 1;
        }
    if (argc == 3 && !found)
        fail("there is no tensor of this name", argv[2]);
    if (fflush(stdout) != 0 || ferror(stdout))
        fail("the output cannot be written", "");
    return 0;
}
#endif
