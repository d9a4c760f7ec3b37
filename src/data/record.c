/* Lines and words of game records.
 *
 * Nothing here depends on the locale (no strtol, isdigit, strcasecmp), and no line of any length or
 * content can do more harm than a message.
 * SPDX-License-Identifier: MIT */
#include "data/record.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

gn_status gn_lines_open(gn_lines *lines, const char *path, gn_err *err)
{
    lines->path = path;
    lines->number = 0;
    lines->fault = NULL;
    lines->first = true;
    lines->at = lines->end = 0;
    lines->text[0] = '\0';
    errno = 0;
    lines->file = gzopen(path, "rb");
    if (lines->file == NULL && errno == 0)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory to open it", path);
    if (lines->file == NULL)
        return gn_fail(err, GN_E_IO, "%s: %s", path, strerror(errno));
    return GN_OK;
}

void gn_lines_close(gn_lines *lines)
{
    if (lines->file != NULL)
        gzclose(lines->file);
    lines->file = NULL;
}

bool gn_is_blank(int c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Refills the buffer; end = 0 at the end of the file. */
static gn_status refill(gn_lines *lines, gn_err *err)
{
    errno = 0;
    lines->at = 0;
    lines->end = gzread(lines->file, lines->buffer, sizeof lines->buffer);
    int code = Z_OK;
    const char *text = gzerror(lines->file, &code);
    /* A truncated stream gives its last bytes first and the error with them, or at the end. */
    if (code == Z_ERRNO)
        return gn_fail(err, GN_E_IO, "%s: %s", lines->path, strerror(errno));
    if (code == Z_MEM_ERROR)
        return gn_fail(err, GN_E_NOMEM, "%s: no memory to decompress it", lines->path);
    const size_t prefix = strlen(lines->path); /* zlib writes "path: what is wrong" */
    if (strncmp(text, lines->path, prefix) == 0 && text[prefix] == ':')
        text += prefix + 2;
    if (lines->end < 0 || (lines->end == 0 && code != Z_OK && code != Z_STREAM_END))
        return gn_fail(err, GN_E_FORMAT, "%s: broken gzip data (%s), its games are left out",
                       lines->path, code == Z_BUF_ERROR ? "it is cut off" : text);
    /* zlib passes what is not gzip through; under the name .gz that is a damaged file. */
    if (lines->first && gn_text_ends(lines->path, ".gz") && gzdirect(lines->file))
        return gn_fail(err, GN_E_FORMAT, "%s: not gzip data, expected them under this name",
                       lines->path);
    lines->first = false;
    return GN_OK;
}

gn_status gn_lines_block(gn_lines *lines, const char **bytes, int *count, gn_err *err)
{
    const gn_status st = lines->at == lines->end ? refill(lines, err) : GN_OK;
    *bytes = (const char *)lines->buffer + lines->at;
    *count = st == GN_OK ? lines->end - lines->at : 0;
    lines->at = lines->end;
    return st;
}

gn_status gn_lines_byte(gn_lines *lines, int *byte, gn_err *err)
{
    if (lines->at == lines->end) {
        const gn_status st = refill(lines, err);
        if (st != GN_OK)
            return st;
    }
    *byte = lines->at < lines->end ? lines->buffer[lines->at++] : -1;
    lines->number += *byte == '\n' || lines->number == 0; /* the line of the next byte */
    return GN_OK;
}

gn_status gn_lines_next(gn_lines *lines, bool *more, gn_err *err)
{
    size_t length = 0;
    bool any = false;
    lines->fault = NULL;
    for (;;) {
        if (lines->at == lines->end) {
            gn_status st = refill(lines, err);
            if (st != GN_OK)
                return st;
            if (lines->end == 0)
                break;
        }
        any = true;
        const unsigned char c = lines->buffer[lines->at++];
        if (c == '\n')
            break;
        if (length == GN_LINE_MAX) {
            lines->fault = "a line of more than 8191 characters, expected a game record";
            continue;
        }
        if (c < 32 && c != '\t' && c != '\r' && lines->fault == NULL)
            lines->fault = "a control character, expected a text file";
        lines->text[length++] = (char)c;
    }
    if (length > 0 && lines->text[length - 1] == '\r')
        length--;
    lines->text[length] = '\0';
    lines->number += any;
    *more = any;
    return GN_OK;
}

gn_status gn_lines_fail(const gn_lines *lines, gn_err *err, const char *format, ...)
{
    char text[sizeof err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return gn_fail(err, GN_E_FORMAT, "%s:%zu: %s", lines->path,
                   lines->number > 0 ? lines->number : (size_t)1, text);
}

bool gn_take_int(const char **at, int *value)
{
    enum { LARGEST = 999999999 };
    const char *p = *at;
    const bool negative = *p == '-';
    p += negative;
    if (!is_digit(*p))
        return false;
    int number = 0;
    for (; is_digit(*p); p++)
        number = number > LARGEST / 10 ? LARGEST : number * 10 + (*p - '0');
    *value = negative ? -number : number;
    *at = p;
    return true;
}

gn_quote gn_quoted(const char *text)
{
    gn_quote quote;
    size_t i = 0;
    for (; text[i] != '\0' && i < sizeof quote.text - 1; i++)
        quote.text[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    quote.text[i] = '\0';
    if (text[i] != '\0')
        memcpy(quote.text + i - 3, "...", 3);
    return quote;
}

bool gn_rule_find(const char *name, size_t length, gn_rule *rule)
{
    for (int r = GN_FREESTYLE; r <= GN_RENJU; r++) {
        const char *word = gn_rule_name((gn_rule)r);
        size_t i = 0;
        while (i < length && word[i] != '\0' && lower(name[i]) == word[i])
            i++;
        if (word[i] != '\0')
            continue;
        while (i < length && (is_digit(name[i]) || name[i] == '_'))
            i++;
        if (i == length) {
            *rule = (gn_rule)r;
            return true;
        }
    }
    return false;
}

bool gn_text_ends(const char *text, const char *ending)
{
    const size_t n = strlen(text), m = strlen(ending);
    if (n < m)
        return false;
    for (size_t i = 0; i < m; i++)
        if (lower(text[n - m + i]) != lower(ending[i]))
            return false;
    return true;
}
