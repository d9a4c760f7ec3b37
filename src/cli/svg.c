/* Building a small SVG picture in memory and writing it whole.  SPDX-License-Identifier: MIT */
#include "cli/svg.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gomokunet/io.h"

static void append(svg *s, const char *bytes, size_t count)
{
    if (s->broken)
        return;
    if (s->length + count > s->room) {
        const size_t room = 2 * (s->length + count) + 4096;
        char *more = realloc(s->text, room);
        if (more == NULL) {
            s->broken = true;
            return;
        }
        s->text = more;
        s->room = room;
    }
    memcpy(s->text + s->length, bytes, count);
    s->length += count;
}

/* Shapes only: every caller stays far below the line's length. */
__attribute__((format(printf, 2, 3))) static void add(svg *s, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof line)
        s->broken = true;
    else
        append(s, line, (size_t)n);
}

static void add_escaped(svg *s, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '<')
            add(s, "&lt;");
        else if (*text == '&')
            add(s, "&amp;");
        else
            append(s, text, 1);
    }
}

svg svg_begin(int width, int height, const char *title)
{
    svg s = {0};
    add(&s, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
        "viewBox=\"0 0 %d %d\" font-family=\"sans-serif\">\n<title>", width, height, width, height);
    add_escaped(&s, title);
    add(&s, "</title>\n");
    svg_rect(&s, 0, 0, width, height, "white");
    return s;
}

void svg_rect(svg *s, double x, double y, double width, double height, const char *fill)
{
    add(s, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%.40s\"/>\n", x, y,
        width, height, fill);
}

void svg_line(svg *s, double x1, double y1, double x2, double y2, const char *stroke, double width)
{
    add(s, "<line x1=\"%.2f\" y1=\"%.2f\" x2=\"%.2f\" y2=\"%.2f\" stroke=\"%.40s\" "
        "stroke-width=\"%.2f\"/>\n", x1, y1, x2, y2, stroke, width);
}

void svg_path(svg *s, const double *x, const double *y, size_t n, const char *stroke, double width)
{
    add(s, "<path fill=\"none\" stroke=\"%.40s\" stroke-width=\"%.2f\" d=\"", stroke, width);
    bool drawing = false;
    for (size_t i = 0; i < n; i++) {
        const bool finite = x[i] - x[i] == 0 && y[i] - y[i] == 0;
        if (finite)
            add(s, "%c%.2f %.2f ", drawing ? 'L' : 'M', x[i], y[i]);
        drawing = finite;
    }
    add(s, "\"/>\n");
}

void svg_text(svg *s, double x, double y, int size, const char *anchor, const char *fill,
              const char *text)
{
    add(s, "<text x=\"%.2f\" y=\"%.2f\" font-size=\"%d\" text-anchor=\"%.8s\" fill=\"%.40s\">", x, y,
        size, anchor, fill);
    add_escaped(s, text);
    add(s, "</text>\n");
}

gn_status svg_save(svg *s, const char *path, gn_err *err)
{
    add(s, "</svg>\n");
    const gn_status st = s->broken
        ? gn_fail(err, GN_E_NOMEM, "%s: no memory for the picture", path)
        : gn_file_write(path, s->text, s->length, err);
    free(s->text);
    *s = (svg){0};
    return st;
}
