/** @file table.c  Reading comma-separated values. */
#include "table.h"

#include "ntklens/io.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One field from *at on, NUL-terminated in place; *at goes to what follows it: behind the comma, or
 * to the end of the line.  *last: no comma followed. */
static char *take_field(char **at, bool *last)
{
    char *from = *at;
    char *to = from;
    char *field = from;

    if (*from == '"') {
        from++;
        while (*from != '\0' && (*from != '"' || from[1] == '"')) {
            from += *from == '"';
            *to++ = *from++;
        }
        from += *from == '"';
    }
    while (*from != ',' && *from != '\n' && *from != '\0') {
        *to++ = *from++;
    }
    *last = *from != ',';
    *at = from + (*from != '\0');
    if (to > field && to[-1] == '\r') {
        to--;
    }
    *to = '\0';
    return field;
}

/* Fields of a line into the table's next row; returns how many there are. */
static int take_line(char **at, int most, const char **fields)
{
    bool last = false;
    int count = 0;

    while (!last) {
        const char *field = take_field(at, &last);

        if (count < most) {
            fields[count] = field;
        }
        count++;
    }
    return count;
}

static int count_of(const char *text, char what)
{
    int count = 0;

    for (; *text != '\0'; text++) {
        count += *text == what;
    }
    return count;
}

static nl_status parse(nl_table *table, char *at)
{
    const int lines = count_of(at, '\n') + 1;
    const int most = count_of(at, ',') + 1; /* columns, surely */

    table->name = nl_calloc((size_t)most, sizeof *table->name);
    if (table->name == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory", table->path);
    }
    table->columns = take_line(&at, most, table->name);
    table->cell = nl_calloc((size_t)lines * (size_t)table->columns, sizeof *table->cell);
    if (table->cell == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory", table->path);
    }
    for (int line = 2; *at != '\0'; line++) {
        const char **row = table->cell + (size_t)table->rows * (size_t)table->columns;
        const int fields = take_line(&at, table->columns, row);

        if (fields == 1 && row[0][0] == '\0') {
            continue;
        }
        if (fields != table->columns) {
            return NL_FAIL(NL_ERR_DATA, "%s:%d: %d fields, expected %d as in the header",
                           table->path, line, fields, table->columns);
        }
        table->rows++;
    }
    return NL_OK;
}

nl_status nl_table_read(const char *path, nl_table *out)
{
    static const char mark[] = "\xEF\xBB\xBF";
    unsigned char *bytes = NULL;
    size_t length = 0;
    char *at = NULL;
    nl_status status = NL_OK;

    *out = (nl_table){0};
    if (nl_file_read(path, NL_PLAIN, &bytes, &length) != NL_OK) {
        return NL_ERR_DATA;
    }
    out->path = strdup(path);
    out->bytes = nl_calloc(length + 1, 1);
    if (out->path == NULL || out->bytes == NULL) {
        free(bytes);
        nl_table_free(out);
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory", path);
    }
    memcpy(out->bytes, bytes, length); /* what follows a NUL, of a damaged file, is not seen */
    free(bytes);
    at = out->bytes + (strncmp(out->bytes, mark, 3) == 0 ? 3 : 0);
    status = parse(out, at);
    if (status != NL_OK) {
        nl_table_free(out);
    }
    return status;
}

void nl_table_free(nl_table *table)
{
    free(table->path);
    free(table->bytes);
    free(table->name);
    free(table->cell);
    *table = (nl_table){0};
}

int nl_table_column(const nl_table *table, const char *name)
{
    for (int c = 0; c < table->columns; c++) {
        if (strcmp(table->name[c], name) == 0) {
            return c;
        }
    }
    return -1;
}

nl_status nl_table_need(const nl_table *table, const char *name, int *column)
{
    *column = nl_table_column(table, name);
    return *column >= 0
               ? NL_OK
               : NL_FAIL(NL_ERR_DATA, "%s:1: no column %s: expected a table of ntklens run",
                         table->path, name);
}

const char *nl_table_text(const nl_table *table, int row, int column)
{
    return column < 0 ? "" : table->cell[(size_t)row * (size_t)table->columns + (size_t)column];
}

double nl_table_number(const nl_table *table, int row, int column)
{
    const char *text = nl_table_text(table, row, column);
    char *end = NULL;
    const double value = strtod(text, &end);

    return end == text || *end != '\0' ? NAN : value;
}

bool nl_table_same(const char *a, const char *b)
{
    char *end_a = NULL;
    char *end_b = NULL;
    double x = 0.0;
    double y = 0.0;

    if (strcmp(a, b) == 0) {
        return true;
    }
    x = strtod(a, &end_a);
    y = strtod(b, &end_b);
    return end_a != a && end_b != b && *end_a == '\0' && *end_b == '\0' && x == y;
}
