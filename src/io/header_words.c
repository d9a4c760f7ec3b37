/* The words of a safetensors header: marks, numbers, strings.
 *
 * Why it exists: everything that can be wrong inside one word is refused here, with the byte of the
 * file where it stands, and the grammar in header_parse.c stays readable.
 * SPDX-License-Identifier: MIT */
#include "header_words.h"

#include <string.h>

#include "header_parse.h"

gn_status gn_word_refuse_at(const gn_cursor *c, size_t at, const char *problem)
{
    if (c->tensor != NULL)
        return gn_fail(c->err, GN_E_FORMAT, "%s: tensor '%s', byte %zu: %s", c->path, c->tensor,
                       GN_LENGTH_FIELD + at, problem);
    return gn_fail(c->err, GN_E_FORMAT, "%s: byte %zu of the header: %s", c->path,
                   GN_LENGTH_FIELD + at, problem);
}

gn_status gn_word_refuse(const gn_cursor *c, const char *problem)
{
    return gn_word_refuse_at(c, c->at, problem);
}

char gn_word_peek(gn_cursor *c)
{
    while (c->at < c->size && memchr(" \t\n\r", c->text[c->at], 4) != NULL)
        c->at++;
    return c->at < c->size ? c->text[c->at] : '\0';
}

gn_status gn_word_mark(gn_cursor *c, char wanted, const char *problem)
{
    if (gn_word_peek(c) != wanted)
        return gn_word_refuse(c, problem);
    c->at++;
    return GN_OK;
}

gn_status gn_word_next(gn_cursor *c, bool first, char close, bool *more)
{
    *more = gn_word_peek(c) != close;
    if (!*more) {
        c->at++;
        return GN_OK;
    }
    if (first)
        return GN_OK;
    return gn_word_mark(c, ',', close == ']' ? "expected ',' or ']'" : "expected ',' or '}'");
}

gn_status gn_word_number(gn_cursor *c, uint64_t *out)
{
    char next = gn_word_peek(c);
    if (next < '0' || next > '9')
        return gn_word_refuse(c, "expected an unsigned whole number");
    size_t start = c->at;
    uint64_t value = 0;
    for (; c->at < c->size && c->text[c->at] >= '0' && c->text[c->at] <= '9'; c->at++) {
        unsigned digit = (unsigned)(c->text[c->at] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return gn_word_refuse_at(c, start, "expected a number below 2^64");
        value = value * 10 + digit;
    }
    if (c->text[start] == '0' && c->at - start > 1)
        return gn_word_refuse_at(c, start, "expected a number without leading zeros");
    if (c->at < c->size && memchr(".eE", c->text[c->at], 3) != NULL)
        return gn_word_refuse(c, "expected a number of digits only, no fraction or exponent");
    *out = value;
    return GN_OK;
}

static bool take_hex(gn_cursor *c, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++, c->at++) {
        char digit = c->at < c->size ? c->text[c->at] : '\0';
        uint32_t value;
        if (digit >= '0' && digit <= '9')
            value = (uint32_t)(digit - '0');
        else if (digit >= 'a' && digit <= 'f')
            value = (uint32_t)(digit - 'a') + 10;
        else if (digit >= 'A' && digit <= 'F')
            value = (uint32_t)(digit - 'A') + 10;
        else
            return false;
        *code = *code << 4 | value;
    }
    return true;
}

/* \uXXXX, with its second half where it is a surrogate; the cursor stands behind the 'u'. */
static gn_status take_unicode(gn_cursor *c, uint32_t *code)
{
    size_t start = c->at - 2;
    if (!take_hex(c, code))
        return gn_word_refuse_at(c, start, "expected four hexadecimal digits after \\u");
    if (*code == 0)
        return gn_word_refuse_at(c, start, "expected no NUL character");
    if (*code < 0xd800 || *code > 0xdfff)
        return GN_OK;

    uint32_t low = 0;
    bool pair = *code < 0xdc00 && c->size - c->at >= 6 && c->text[c->at] == '\\' &&
                c->text[c->at + 1] == 'u';
    if (pair) {
        c->at += 2;
        pair = take_hex(c, &low) && low >= 0xdc00 && low <= 0xdfff;
    }
    if (!pair)
        return gn_word_refuse_at(c, start, "expected a pair of surrogates, not half of one");
    *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
    return GN_OK;
}

/* One escape; the cursor stands behind the backslash. */
static gn_status take_escape(gn_cursor *c, uint32_t *code)
{
    static const char letters[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    char letter = c->at < c->size ? c->text[c->at] : '\0';
    if (letter == 'u') {
        c->at++;
        return take_unicode(c, code);
    }
    const char *found = letter == '\0' ? NULL : strchr(letters, letter);
    if (found == NULL)
        return gn_word_refuse_at(c, c->at - 1, "expected one of the escapes of JSON");
    c->at++;
    *code = (unsigned char)meaning[found - letters];
    return GN_OK;
}

static size_t put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    static const uint32_t mark[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, code >>= 6)
        to[i] = (char)(unsigned char)(0x80 | (code & 0x3f));
    to[0] = (char)(unsigned char)(mark[size] | code);
    return size;
}

/* Decodes in place: no escape is shorter than what it stands for, and the closing quote makes room
 * for the NUL. */
gn_status gn_word_string(gn_cursor *c, char **out, size_t *length)
{
    gn_status st = gn_word_mark(c, '"', "expected a string");
    if (st != GN_OK)
        return st;
    char *start = c->text + c->at, *end = start;
    for (;;) {
        if (c->at == c->size)
            return gn_word_refuse(c, "expected the closing quote of a string");
        const char *next = c->text + c->at;
        uint32_t code;
        size_t size = gn_utf8_next(next, c->size - c->at, &code);
        if (size == 0)
            return gn_word_refuse(c, "expected valid UTF-8");
        if (code < 0x20)
            return gn_word_refuse(c, "expected no raw control character in a string");
        c->at += size;
        if (code == '"')
            break;
        if (code == '\\' && (st = take_escape(c, &code)) != GN_OK)
            return st;
        end += put_utf8(end, code);
    }
    *end = '\0';
    *out = start;
    *length = (size_t)(end - start);
    return GN_OK;
}
