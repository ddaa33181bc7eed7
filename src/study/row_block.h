/** @file row_block.h  The lines of results.csv that one cell has, deflated. */
#ifndef NTKLENS_STUDY_ROW_BLOCK_H
#define NTKLENS_STUDY_ROW_BLOCK_H

#include "result.h"

/**
 * Cells are contiguous in the table, in the order of the grid: the table is its first line and the
 * blocks of its cells, one behind the other.  A block is formatted once, by the rank that has the
 * rows, and travels as bytes; deflated, a row of 800 bytes takes about a third.
 */
typedef struct nl_row_block {
    uint32_t rows;
    uint32_t length; /* of the text, bytes */
    uint32_t packed; /* of what follows, bytes */
    unsigned char bytes[];
} nl_row_block;

/** Sort rows of one cell (in place), format, deflate.  out: free(). */
NL_MUST_CHECK nl_status nl_row_block_create(const nl_cell *cells, nl_row *rows, int count,
                                            nl_row_block **out);

/** Size of the whole block, bytes. */
size_t nl_row_block_size(const nl_row_block *block);

/** Append its lines to `out`: NL_ERR_NOMEM, or NL_ERR_INTERNAL where the bytes are no block. */
NL_MUST_CHECK nl_status nl_row_block_unpack(const nl_row_block *block, nl_text *out);

#endif
