/** @file row_block.c  The lines of a cell, deflated. */
#include "ntklens/rows.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

nl_status nl_row_block_create(const nl_cell *cells, nl_row *rows, int count, nl_row_block **out)
{
    nl_text text = {0};
    nl_row_block *block = NULL;
    uLong packed = 0;
    nl_status status = NL_OK;

    *out = NULL;
    nl_rows_write_lines(cells, rows, count, &text);
    packed = compressBound((uLong)text.length);
    block = text.failed || packed > UINT_MAX ? NULL : malloc(sizeof *block + packed);
    if (block == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for %d rows", count);
    } else if (compress2(block->bytes, &packed, (const Bytef *)text.data, (uLong)text.length,
                         Z_BEST_SPEED) != Z_OK) {
        status = NL_FAIL(NL_ERR_INTERNAL, "zlib cannot deflate %d rows", count);
    }
    if (status == NL_OK) {
        nl_row_block *less = realloc(block, sizeof *block + packed);

        *out = less != NULL ? less : block;
        (*out)->rows = (uint32_t)count;
        (*out)->length = (uint32_t)text.length;
        (*out)->packed = (uint32_t)packed;
    } else {
        free(block);
    }
    nl_text_free(&text);
    return status;
}

size_t nl_row_block_size(const nl_row_block *block)
{
    return sizeof *block + block->packed;
}

nl_status nl_row_block_unpack(const nl_row_block *block, nl_text *out)
{
    uLongf length = block->length;

    if (!nl_text_reserve(out, length)) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %u rows", block->rows);
    }
    if (uncompress((Bytef *)out->data + out->length, &length, block->bytes, block->packed) !=
            Z_OK ||
        length != block->length) {
        return NL_FAIL(NL_ERR_INTERNAL, "zlib cannot inflate %u rows", block->rows);
    }
    out->length += length;
    out->data[out->length] = '\0';
    return NL_OK;
}
