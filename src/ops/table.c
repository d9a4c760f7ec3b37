/* Looking rows up by name, and the text of a refusal.  SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "ops/real.h"

const gn_row *gn_table_find(const gn_table *table, const char *name)
{
    for (; table != NULL; table = table->under)
        for (size_t i = 0; i < table->count; i++)
            if (strcmp(table->row[i]->op->name, name) == 0)
                return table->row[i];
    return NULL;
}

const gn_update *gn_table_update(const gn_table *table)
{
    for (; table != NULL; table = table->under)
        if (table->update != NULL)
            return table->update;
    return NULL;
}

gn_status gn_refuse_shapes(const gn_call *c, const char *const *name, const char *expected,
                           gn_err *err)
{
    char all[GN_MAX_IN * 96] = "", shape[64];
    size_t used = 0;
    for (int i = 0; i < c->nin && used < sizeof all; i++)
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s %s", i > 0 ? " and " : "",
                                 name[i], gn_shape_text(c->in[i].shape, shape, sizeof shape));
    return gn_fail(err, GN_E_SHAPE, "%s: %s; expected %s", c->op->name, all, expected);
}
