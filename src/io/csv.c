/** @file csv.c  Comma-separated values, as people and programs leave them. */
#include "ntklens/csv.h"
#include "ntklens/io.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/** Where the reading is. */
typedef struct reader {
    nl_csv *table;
    char *at;
    int line;
    char **field; /* owned: the fields of the row that is read */
    int fields, capacity;
} reader;

/* A field is shown on terminals and pages: no control characters, tabs are blanks. */
static nl_status add_field(reader *r, char *text)
{
    for (char *tab = strchr(text, '\t'); tab != NULL; tab = strchr(tab, '\t')) {
        *tab = ' ';
    }
    nl_mask_controls(text);
    if (r->fields == r->capacity) {
        const int capacity = r->capacity > 0 ? 2 * r->capacity : 64;
        char **field = realloc(r->field, (size_t)capacity * sizeof *field);

        if (field == NULL) {
            return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory", r->table->file);
        }
        r->field = field;
        r->capacity = capacity;
    }
    r->field[r->fields++] = text;
    return NL_OK;
}

/* Take a field out of its quotes, in place; `at` ends behind the closing one. */
static nl_status unquote(reader *r, char **text)
{
    const int line = r->line;
    char *to = ++r->at;

    *text = to;
    for (;;) {
        if (*r->at == '\0') {
            return NL_FAIL(NL_ERR_DATA, "%s:%d: a quote that does not end", r->table->file, line);
        }
        if (r->at[0] == '"' && r->at[1] != '"') {
            break;
        }
        r->at += *r->at == '"' ? 1 : 0;
        r->line += *r->at == '\n' ? 1 : 0;
        *to++ = *r->at++;
    }
    r->at++;
    /* `to` is at the closing quote at the latest, so the separator stays. */
    *to = '\0';
    return NL_OK;
}

/* One field and its separator; *end: it was the last of its line. */
static nl_status read_field(reader *r, bool *end)
{
    char *text = r->at;
    nl_status status = NL_OK;
    char separator = '\0';

    if (*r->at == '"') {
        status = unquote(r, &text);
    } else {
        const char stops[] = {r->table->separator, '\r', '\n', '\0'};

        r->at += strcspn(r->at, stops);
    }
    if (status != NL_OK) {
        return status;
    }
    separator = *r->at;
    if (separator != r->table->separator && separator != '\r' && separator != '\n' &&
        separator != '\0') {
        return NL_FAIL(NL_ERR_DATA, "%s:%d: text behind a closing quote, expected '%c'",
                       r->table->file, r->line, r->table->separator);
    }
    *end = separator != r->table->separator;
    if (separator != '\0') {
        *r->at++ = '\0';
    }
    if (separator == '\r' && *r->at == '\n') {
        r->at++;
    }
    r->line += separator == '\n' || separator == '\r' ? 1 : 0;
    return add_field(r, text);
}

static nl_status read_line(reader *r)
{
    nl_status status = NL_OK;
    bool end = false;

    r->fields = 0;
    while (status == NL_OK && !end) {
        status = read_field(r, &end);
    }
    return status;
}

static bool is_empty(const reader *r)
{
    return r->fields == 1 && r->field[0][0] == '\0';
}

static nl_status take_names(reader *r)
{
    nl_csv *t = r->table;

    t->name = nl_calloc((size_t)r->fields, sizeof *t->name);
    if (t->name == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory", t->file);
    }
    for (int c = 0; c < r->fields; c++) {
        char *name = r->field[c];

        name += strspn(name, " \t");
        for (size_t n = strlen(name); n > 0 && (name[n - 1] == ' ' || name[n - 1] == '\t'); n--) {
            name[n - 1] = '\0';
        }
        if (name[0] != '\0' && nl_csv_column(t, name) >= 0) {
            return NL_FAIL(NL_ERR_DATA, "%s:1: column %s stands twice, expected once", t->file,
                           name);
        }
        t->name[t->columns++] = name;
    }
    return NL_OK;
}

static nl_status take_row(reader *r, int line, int *capacity)
{
    nl_csv *t = r->table;
    const size_t width = (size_t)t->columns;

    if (r->fields != t->columns) {
        return NL_FAIL(NL_ERR_DATA, "%s:%d: %d values, expected %d as in the first line", t->file,
                       line, r->fields, t->columns);
    }
    if (t->rows == *capacity) {
        const int more = *capacity > 0 ? 2 * *capacity : 256;
        char **text = realloc(t->text, (size_t)more * width * sizeof *text);
        int *lines = text != NULL ? realloc(t->line, (size_t)more * sizeof *lines) : NULL;

        t->text = text != NULL ? text : t->text;
        t->line = lines != NULL ? lines : t->line;
        if (lines == NULL) {
            return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory after %d rows", t->file, t->rows);
        }
        *capacity = more;
    }
    memcpy(t->text + (size_t)t->rows * width, r->field, width * sizeof *r->field);
    t->line[t->rows++] = line;
    return NL_OK;
}

/* What stands between the names: spreadsheets that write 0,1 for 0.1 put semicolons there, others
 * tabs. */
static char find_separator(const char *text)
{
    const size_t length = strcspn(text, "\r\n");
    char found = ',';

    for (size_t k = 0; k < length; k++) {
        if (text[k] == ',') {
            return ',';
        }
        if ((text[k] == ';' || text[k] == '\t') && found == ',') {
            found = text[k];
        }
    }
    return found;
}

nl_status nl_csv_read(const char *file, nl_csv *out)
{
    static const char mark[] = "\xef\xbb\xbf";
    nl_csv table = {.file = file};
    reader r = {.table = &table, .line = 1};
    unsigned char *bytes = NULL;
    size_t length = 0;
    int capacity = 0;
    nl_status status = nl_file_read(file, NL_PLAIN, &bytes, &length);

    *out = (nl_csv){0};
    if (status != NL_OK) {
        return status;
    }
    table.bytes = (char *)bytes;
    r.at = table.bytes + (strncmp(table.bytes, mark, 3) == 0 ? 3 : 0);
    table.separator = find_separator(r.at);
    if (strlen(table.bytes) != length) {
        status = NL_FAIL(NL_ERR_DATA, "%s: a zero byte, expected text", file);
    }
    while (status == NL_OK && *r.at != '\0') {
        const int line = r.line;

        status = read_line(&r);
        if (status == NL_OK && !is_empty(&r)) {
            status = table.name == NULL ? take_names(&r) : take_row(&r, line, &capacity);
        }
    }
    if (status == NL_OK && table.name == NULL) {
        status = NL_FAIL(NL_ERR_DATA, "%s:1: empty, expected a line of column names", file);
    }
    free(r.field);
    if (status != NL_OK) {
        nl_csv_free(&table);
        return status;
    }
    *out = table;
    return NL_OK;
}

void nl_csv_free(nl_csv *table)
{
    free(table->bytes);
    free(table->name);
    free(table->text);
    free(table->line);
    *table = (nl_csv){0};
}

int nl_csv_column(const nl_csv *table, const char *name)
{
    for (int c = 0; c < table->columns; c++) {
        if (strcmp(table->name[c], name) == 0) {
            return c;
        }
    }
    return -1;
}

const char *nl_csv_text(const nl_csv *table, int row, int column)
{
    return column < 0 ? "" : table->text[(size_t)row * (size_t)table->columns + (size_t)column];
}

/* What people and programs write for no value: R and pandas NA, spreadsheets #N/A. */
static bool is_no_value(const char *text)
{
    static const char *const words[] = {"", "NA", "N/A", "#N/A", "<NA>", "null", "None", "-"};
    const size_t length = strcspn(text, " \t");

    for (size_t k = 0; k < NL_COUNT(words); k++) {
        if (strlen(words[k]) == length && strncasecmp(text, words[k], length) == 0 &&
            text[length + strspn(text + length, " \t")] == '\0') {
            return true;
        }
    }
    return false;
}

nl_status nl_csv_number(const nl_csv *table, int row, int column, double *out)
{
    const char *text = nl_csv_text(table, row, column);
    char number[64];
    char *comma = NULL;
    char *end = NULL;

    *out = NAN;
    text += strspn(text, " \t");
    if (is_no_value(text)) {
        return NL_OK;
    }
    snprintf(number, sizeof number, "%s", text);
    comma = strchr(number, ',');
    if (comma != NULL && table->separator != ',') {
        *comma = '.'; /* 0,1 */
    }
    *out = strtod(number, &end);
    end += strspn(end, " \t");
    if (*end != '\0' || strlen(text) >= sizeof number) {
        return NL_FAIL(NL_ERR_DATA, "%s:%d: %s is \"%.40s\", expected a number", table->file,
                       table->line[row], table->name[column], text);
    }
    return NL_OK;
}

void nl_csv_append(nl_text *out, double value)
{
    if (isnan(value)) {
        nl_text_append(out, ",nan"); /* whatever its sign bit */
    } else {
        nl_text_append(out, ",%.17g", value);
    }
}
