/* A file of options: one JSON object whose members are the options' names, as config.json of a run
 * folder.
 *
 * Values are numbers, strings, true, false, lists of strings; null is an option not given.  The
 * member "about" is for people and passed over.  SPDX-License-Identifier: MIT */
#include "cli/config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_CAP = 1 << 20, ITEMS = 256 };

typedef enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING } json_kind;

/* A member, or one string of a member that is a list. */
typedef struct item {
    const char *name, *text;
    json_kind kind;
    bool in_list;
    int line;
} item;

typedef struct file {
    const command *command;
    const char *path;
    char *at; /* strings are decoded where they stand */
    int line;
    item item[ITEMS];
    size_t items;
} file;

__attribute__((format(printf, 2, 3))) static bool wrong(const file *f, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fprintf(stderr, "gomokunet %s: %s:%d: ", f->command->name, f->path, f->line);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    return false;
}

/* --- JSON ---------------------------------------------------------------------------------- */

/* The next character that is no space. */
static char peek(file *f)
{
    for (; *f->at == ' ' || *f->at == '\t' || *f->at == '\r' || *f->at == '\n'; f->at++)
        f->line += *f->at == '\n';
    return *f->at;
}

static bool take(file *f, char wanted)
{
    if (peek(f) != wanted)
        return false;
    f->at++;
    return true;
}

static bool expect(file *f, char wanted)
{
    return take(f, wanted) || wrong(f, "expected %c", wanted);
}

/* \uXXXX as UTF-8; f->at is behind the u.  Surrogates and 0 are refused. */
static bool read_code(file *f, char **to)
{
    char digits[5] = {0};
    if (strspn(f->at, "0123456789abcdefABCDEF") < 4)
        return wrong(f, "expected four hex digits behind \\u");
    memcpy(digits, f->at, 4);
    f->at += 4;
    const unsigned long code = strtoul(digits, NULL, 16);
    if (code == 0 || (code >= 0xd800 && code < 0xe000))
        return wrong(f, "\\u%s: expected a character", digits);
    if (code >= 0x800)
        *(*to)++ = (char)(0xe0 | code >> 12);
    if (code >= 0x80)
        *(*to)++ = (char)(code >= 0x800 ? 0x80 | (code >> 6 & 0x3f) : 0xc0 | code >> 6);
    *(*to)++ = (char)(code >= 0x80 ? 0x80 | (code & 0x3f) : code);
    return true;
}

static bool read_string(file *f, const char **out)
{
    static const char from[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (!expect(f, '"'))
        return false;
    char *to = f->at;
    *out = to;
    while (*f->at != '"') {
        if ((unsigned char)*f->at < 0x20)
            return wrong(f, "a string without end");
        if (*f->at != '\\') {
            *to++ = *f->at++;
            continue;
        }
        const char escape = f->at[1];
        const char *known = escape != '\0' ? strchr(from, escape) : NULL;
        f->at += escape != '\0' ? 2 : 1;
        if (known != NULL)
            *to++ = meant[known - from];
        else if (escape != 'u' || !read_code(f, &to))
            return escape == 'u' ? false : wrong(f, "unknown escape \\%c", escape);
    }
    f->at++;
    *to = '\0';
    return true;
}

/* A number's text moves one to the left, over what stood before it, to make room for its end. */
static bool read_number(file *f, item *out)
{
    const size_t length = strspn(f->at, "+-.0123456789eE");
    char *text = f->at - 1;
    if (length == 0)
        return wrong(f, "%s: expected a value", out->name);
    memmove(text, f->at, length);
    text[length] = '\0';
    out->text = text;
    out->kind = JSON_NUMBER;
    f->at += length;
    return true;
}

static bool read_scalar(file *f, item *out)
{
    static const struct {
        const char *word, *text;
        json_kind kind;
    } words[] = {{"null", "", JSON_NULL}, {"true", "true", JSON_BOOL}, {"false", "", JSON_BOOL}};
    if (peek(f) == '"') {
        out->kind = JSON_STRING;
        return read_string(f, &out->text);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strncmp(f->at, words[i].word, strlen(words[i].word)) == 0) {
            f->at += strlen(words[i].word);
            out->kind = words[i].kind;
            out->text = words[i].text;
            return true;
        }
    return read_number(f, out);
}

static bool add_item(file *f, item one)
{
    if (f->items == ITEMS)
        return wrong(f, "more than %d values", ITEMS);
    one.line = f->line;
    f->item[f->items++] = one;
    return true;
}

static bool read_value(file *f, item one)
{
    if (!take(f, '['))
        return read_scalar(f, &one) && add_item(f, one);
    one.in_list = true;
    if (take(f, ']')) /* an empty list is an option not given */
        return true;
    do
        if (!read_scalar(f, &one) || !add_item(f, one))
            return false;
    while (take(f, ','));
    return expect(f, ']');
}

static bool read_object(file *f, bool about);

static bool read_member(file *f, bool about)
{
    item one = {0};
    if (!read_string(f, &one.name))
        return false;
    for (size_t i = 0; i < f->items; i++)
        if (strcmp(f->item[i].name, one.name) == 0)
            return wrong(f, "%s stands twice, first in line %d", one.name, f->item[i].line);
    if (!expect(f, ':'))
        return false;
    if (!about && strcmp(one.name, "about") == 0) {
        const size_t before = f->items;
        const bool good = read_object(f, true);
        f->items = before;
        return good;
    }
    return read_value(f, one);
}

static bool read_object(file *f, bool about)
{
    if (!expect(f, '{'))
        return false;
    if (take(f, '}'))
        return true;
    do
        if (!read_member(f, about))
            return false;
    while (take(f, ','));
    return expect(f, '}');
}

/* --- Options ------------------------------------------------------------------------------- */

static bool set_item(file *f, const item *one)
{
    static const struct {
        json_kind kind;
        const char *name;
    } wanted[] = {[OPT_FLAG] = {JSON_BOOL, "true or false"},
                  [OPT_INT] = {JSON_NUMBER, "a whole number"},
                  [OPT_SEED] = {JSON_NUMBER, "a whole number"},
                  [OPT_REAL] = {JSON_NUMBER, "a number"},
                  [OPT_TEXT] = {JSON_STRING, "a string"},
                  [OPT_LIST] = {JSON_STRING, "a list of strings"}};
    f->line = one->line;
    const option *o = option_find(f->command, one->name);
    if (o == NULL) {
        const char *nearest = option_nearest(f->command, one->name);
        return wrong(f, "unknown option \"%s\"%s%s%s", one->name,
                     nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                     nearest != NULL ? "\"?" : "");
    }
    if (o->kind == OPT_CALL)
        return wrong(f, "%s: expected on the command line alone", one->name);
    if (one->kind == JSON_NULL)
        return true;
    if (one->kind != wanted[o->kind].kind || (one->in_list && o->kind != OPT_LIST))
        return wrong(f, "%s: expected %s", one->name, wanted[o->kind].name);
    if (o->kind == OPT_FLAG) {
        *(bool *)o->target = *one->text != '\0';
        return true;
    }
    char where[700];
    snprintf(where, sizeof where, "gomokunet %s: %s:%d: %s", f->command->name, f->path, one->line,
             one->name);
    return option_store(o, where, one->text);
}

/* The whole file with a 0 behind it.  Options point into it, so it lives as long as the program. */
static char *read_file(const command *c, const char *path)
{
    static char text[FILE_CAP + 1];
    FILE *f = fopen(path, "rb");
    const size_t count = f != NULL ? fread(text, 1, FILE_CAP, f) : 0;
    if (f == NULL || ferror(f))
        fprintf(stderr, "gomokunet %s: --config %s: cannot read: %s\n", c->name, path,
                strerror(errno));
    else if (count == FILE_CAP || memchr(text, '\0', count) != NULL)
        fprintf(stderr, "gomokunet %s: --config %s: expected a text of less than 1 MiB\n", c->name,
                path);
    else
        text[count] = '\0';
    const bool good = f != NULL && !ferror(f) && count < FILE_CAP && strlen(text) == count;
    if (f != NULL)
        fclose(f);
    return good ? text : NULL;
}

bool config_apply(const command *c, const char *preset, const char *path)
{
    static file f;
    f = (file){.command = c, .path = path, .line = 1};
    if (path != NULL) {
        f.at = read_file(c, path);
        if (f.at == NULL || !read_object(&f, false))
            return false;
        if (peek(&f) != '\0')
            return wrong(&f, "expected the end of the file");
    }
    for (size_t i = 0; i < f.items && preset == NULL; i++)
        if (strcmp(f.item[i].name, "preset") == 0 && f.item[i].kind == JSON_STRING)
            preset = f.item[i].text;
    if (preset != NULL && !preset_apply(c, preset))
        return false;
    for (size_t i = 0; i < f.items; i++)
        if (!set_item(&f, &f.item[i]))
            return false;
    return true;
}
