/* Building a small SVG picture in memory and writing it whole.  SPDX-License-Identifier: MIT */
#ifndef GN_CLI_SVG_H
#define GN_CLI_SVG_H

#include <stdbool.h>
#include <stddef.h>

#include "gomokunet/status.h"

/* All coordinates are pixels from the top left corner.  A picture that ran out of memory stays
 * broken, and svg_save says so. */
typedef struct svg {
    char *text;
    size_t length, room;
    bool broken;
} svg;

/* White ground, sans-serif; release with svg_save, which always frees. */
svg svg_begin(int width, int height, const char *title);
void svg_rect(svg *s, double x, double y, double width, double height, const char *fill);
void svg_line(svg *s, double x1, double y1, double x2, double y2, const char *stroke, double width);
/* A polyline through n points; points that are not finite break it in two. */
void svg_path(svg *s, const double *x, const double *y, size_t n, const char *stroke, double width);
/* anchor: "start", "middle" or "end".  The text is escaped. */
void svg_text(svg *s, double x, double y, int size, const char *anchor, const char *fill,
              const char *text);
/* Ends the picture, writes it under a temporary name, syncs, renames; frees in every case. */
gn_status svg_save(svg *s, const char *path, gn_err *err);

#endif
