/** @file table.h  results.csv as it is read back: by names of columns, whoever wrote or joined it.
 */
#ifndef NTKLENS_STUDY_TABLE_H
#define NTKLENS_STUDY_TABLE_H

#include "ntklens/base.h"

/** A table of texts. */
typedef struct nl_table {
    char *path;  /* owned; for messages */
    char *bytes; /* owned; the file, its fields NUL-terminated */
    int columns, rows;
    const char **name; /* owned; [columns], into bytes */
    const char **cell; /* owned; [rows x columns], into bytes */
} nl_table;

/**
 * Read comma-separated values with a header: LF or CRLF, fields in quotes or not, a byte-order mark
 * or none; lines without a field are passed over.
 *
 * @return NL_ERR_DATA, told with file and line, where it is no such table
 */
NL_MUST_CHECK nl_status nl_table_read(const char *path, nl_table *out);
void nl_table_free(nl_table *table);

/** Column of that name, -1: there is none. */
int nl_table_column(const nl_table *table, const char *name);

/** The same, a missing one being told: NL_ERR_DATA. */
NL_MUST_CHECK nl_status nl_table_need(const nl_table *table, const char *name, int *column);

/** Field as it stands; "" where column is -1. */
const char *nl_table_text(const nl_table *table, int row, int column);

/** Field as a number; NaN where it is none. */
double nl_table_number(const nl_table *table, int row, int column);

/** Are two fields the same, as texts or as numbers (0.1 and 0.10)? */
bool nl_table_same(const char *a, const char *b);

#endif
