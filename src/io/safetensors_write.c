/* safetensors, writing: a length and a header with every offset in front of the data.
 *
 * What it does not do: sort.  Python's library puts wide types first so that a map is aligned; ours
 * keep the order declared, and every reader (ours, theirs) takes any.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "writer.h"

/* Quoted for JSON, with the escapes that serde_json writes, so that files compare with those of
 * the reference implementation. */
static void put_string(FILE *to, const char *string)
{
    static const char special[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    fputc('"', to);
    for (const char *c = string; *c != '\0'; c++) {
        const char *found = strchr(special, *c);
        if (found != NULL)
            fprintf(to, "\\%c", letter[found - special]);
        else if ((unsigned char)*c < 0x20)
            fprintf(to, "\\u%04x", (unsigned)*c);
        else
            fputc(*c, to);
    }
    fputc('"', to);
}

void gn_writer_put_pairs(FILE *to, const gn_header *header)
{
    fputc('{', to);
    for (size_t i = 0; i < header->pairs; i++) {
        fputs(i > 0 ? "," : "", to);
        put_string(to, header->pair[i].key);
        fputc(':', to);
        put_string(to, header->pair[i].value);
    }
    fputc('}', to);
}

static void put_header(FILE *to, const gn_header *header)
{
    fputc('{', to);
    if (header->pairs > 0) {
        fputs("\"" GN_METADATA_KEY "\":", to);
        gn_writer_put_pairs(to, header);
        fputs(header->items > 0 ? "," : "", to);
    }
    for (size_t i = 0; i < header->items; i++) {
        const gn_header_item *item = &header->item[i];
        fputs(i > 0 ? "," : "", to);
        put_string(to, item->entry.name);
        fprintf(to, ":{\"dtype\":\"%s\",\"shape\":[", gn_dtype_name(item->entry.type));
        for (int d = 0; d < item->entry.rank; d++)
            fprintf(to, "%s%zu", d > 0 ? "," : "", item->entry.dim[d]);
        fprintf(to, "],\"data_offsets\":[%zu,%zu]}", item->begin, item->end);
    }
    fputc('}', to);
}

/* Length, header and spaces, so that the data begins at a multiple of 8. */
static gn_status begin(gn_writer *w)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    bool complete = memory != NULL;
    if (complete) {
        fwrite((uint8_t[GN_LENGTH_FIELD]){0}, 1, GN_LENGTH_FIELD, memory);
        put_header(memory, &w->header);
        while (ftell(memory) % 8 != 0 && fputc(' ', memory) != EOF)
            ;
        complete = ferror(memory) == 0;
        complete = fclose(memory) == 0 && complete;
        complete = complete && text != NULL && size > GN_LENGTH_FIELD; /* no memory on closing */
    }
    if (!complete) {
        gn_writer_no_memory(w);
    } else if (size - GN_LENGTH_FIELD > GN_HEADER_CAP) {
        gn_fail(&w->fault, GN_E_FORMAT, "%s: expected a header of at most %d bytes, found %zu",
                w->file.path, GN_HEADER_CAP, size - GN_LENGTH_FIELD);
    } else {
        gn_store_le64((uint8_t *)text, size - GN_LENGTH_FIELD);
        gn_temp_write(&w->file, text, size, &w->fault);
    }
    free(text);
    return w->fault.status;
}

static gn_status put(gn_writer *w, const void *bytes, size_t count)
{
    return gn_temp_write(&w->file, bytes, count, &w->fault);
}

const gn_writer_format gn_safetensors_format = {.begin = begin, .put = put};
