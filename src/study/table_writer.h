/** @file table_writer.h  results.csv and timings.csv of a run, written by a thread of their own. */
#ifndef NTKLENS_STUDY_TABLE_WRITER_H
#define NTKLENS_STUDY_TABLE_WRITER_H

#include "row_block.h"

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
