/** @file rows.h  Rows of results.csv: made of a record, written, packed, kept in order on disk. */
#ifndef NTKLENS_ROWS_H
#define NTKLENS_ROWS_H

#include "ntklens/record.h"

/** One row without what its cell tells.  Flat: it travels between ranks as bytes. */
typedef struct nl_row {
    int cell; /* index in the grid */
    char tag[40];
    int64_t parameters, step, n, samples_seen;
    double training_flops;
    nl_losses losses;
    nl_regression regression;
    char kernel[32];
    nl_observables observed;
    double class_factor; /* of the effective ranks of full and traced kernel */
    double rate_ratio;   /* learning rate over stability_rate at init */
    double entropy_error;
    char method[16];
    char solver[16];
    char flags[96]; /* words joined by '+' */
} nl_row;

/** All rows of a finished cell, cells[cell].  rows: free(). */
NL_MUST_CHECK nl_status nl_record_rows(const nl_record *record, const nl_measure_plan *plan,
                                       const nl_cell *cells, int cell, nl_row **rows, int *count);

/** results.csv: its first line; rows sorted by cell, step, tag, kernel, n (in place), a line each;
 * both. Appended to `out`. */
void nl_rows_write_header(nl_text *out);
void nl_rows_write_lines(const nl_cell *cells, nl_row *rows, int count, nl_text *out);
void nl_rows_write(const nl_cell *cells, nl_row *rows, int count, nl_text *out);

/** Print the columns of results.csv with their meaning (`ntklens keys --columns`). */
void nl_columns_print(FILE *stream);

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

/**
 * Opaque.  On the root only.  Its thread writes what changed, at most every 10 s and no longer than
 * a tenth of the time.  One other thread at a time, the caller's, adds; neither ever waits for the
 * other, be a table as long and a file system as slow as it may.
 */
typedef struct nl_table_writer nl_table_writer;

/** Nothing is written before nl_table_writer_begin(): tables of an earlier run stay until theirs is
 *  known.  @param[in] cells  of the grid */
NL_MUST_CHECK nl_status nl_table_writer_create(const char *folder, int cells,
                                               nl_table_writer **out);
void nl_table_writer_destroy(nl_table_writer **writer);
void nl_table_writer_begin(nl_table_writer *writer);

/** Begin no other write. */
void nl_table_writer_mute(nl_table_writer *writer);

/** Rows of a cell; `block` is the writer's from now on.  A second block of a cell is dropped. */
void nl_table_writer_add(nl_table_writer *writer, int cell, nl_row_block *block);

/** A line of timings.csv. */
NL_MUST_CHECK nl_status nl_table_writer_add_timing(nl_table_writer *writer, const char *line);

/** The first failure to write. */
nl_status nl_table_writer_status(const nl_table_writer *writer);

/** End the thread and write everything, on the caller's thread; nothing where it was not begun. */
NL_MUST_CHECK nl_status nl_table_writer_finish(nl_table_writer *writer);

#endif
