/* Looking rows up by name.  SPDX-License-Identifier: MIT */
#include <string.h>

#include "gomokunet/op.h"

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
