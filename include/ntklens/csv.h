/** @file csv.h  A table of texts with named columns, as people and programs leave them. */
#ifndef NTKLENS_CSV_H
#define NTKLENS_CSV_H

#include "ntklens/base.h"

/** Owns everything but the name of its file. */
typedef struct nl_csv {
    const char *file; /* borrowed: for messages */
    char *bytes;      /* owned: what all texts lie in */
    char separator;   /* ',', ';' or a tab */
    int columns, rows;
    char **name; /* owned, [columns] */
    char **text; /* owned, [rows x columns] */
    int *line;   /* owned, [rows]: where a row stands in the file, from 1 */
} nl_csv;

/**
 * Read separated values (commas; semicolons or tabs where the first line has no comma): a line of
 * names, then rows; lines end with LF or CRLF; quotes and a
 * byte order mark as spreadsheets write them; empty lines are passed over.
 *
 * @return NL_ERR_DATA, with file:line, where a row has too many or too few values or a name stands
 * twice
 */
NL_MUST_CHECK nl_status nl_csv_read(const char *file, nl_csv *out);
void nl_csv_free(nl_csv *table);

/** Index of a column, -1 where there is none. */
int nl_csv_column(const nl_csv *table, const char *name);

/** A text; "" where column is -1. */
const char *nl_csv_text(const nl_csv *table, int row, int column);

/** A number; NaN where the column is -1 or the text is empty or a word for no value
 *  (NA); with other separators than commas also with a decimal comma.  NL_ERR_DATA, with file:line,
 * where it is not a number. */
NL_MUST_CHECK nl_status nl_csv_number(const nl_csv *table, int row, int column, double *out);

/** A number of a table, behind a comma: 17 digits, a NaN without its sign. */
void nl_csv_append(nl_text *out, double value);

#endif
