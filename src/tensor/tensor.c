/* Shapes.  SPDX-License-Identifier: MIT */
#include "gomokunet/tensor.h"

#include <stdio.h>

gn_shape gn_shape_of(int rank, size_t d0, size_t d1, size_t d2, size_t d3)
{
    const size_t dim[GN_MAX_RANK] = {d0, d1, d2, d3};
    gn_shape shape = {.rank = rank};
    for (int i = 0; i < rank; i++)
        shape.dim[i] = dim[i];
    return shape;
}

size_t gn_shape_count(gn_shape shape)
{
    size_t count = 1;
    for (int i = 0; i < shape.rank; i++)
        count *= shape.dim[i];
    return count;
}

bool gn_shape_equal(gn_shape a, gn_shape b)
{
    if (a.rank != b.rank)
        return false;
    for (int i = 0; i < a.rank; i++)
        if (a.dim[i] != b.dim[i])
            return false;
    return true;
}

gn_shape gn_shape_bind(gn_shape shape, size_t batch)
{
    if (shape.rank > 0 && shape.dim[0] == GN_BATCH)
        shape.dim[0] = batch;
    return shape;
}

const char *gn_shape_text(gn_shape shape, char *text, size_t room)
{
    size_t used = (size_t)snprintf(text, room, "[");
    for (int i = 0; i < shape.rank && used < room; i++) {
        const char *comma = i > 0 ? "," : "";
        if (i == 0 && shape.dim[i] == GN_BATCH)
            used += (size_t)snprintf(text + used, room - used, "%sN", comma);
        else
            used += (size_t)snprintf(text + used, room - used, "%s%zu", comma, shape.dim[i]);
    }
    if (used < room)
        snprintf(text + used, room - used, "]");
    return text;
}
