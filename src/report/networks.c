/** @file networks.c  From rows of tables to networks, states and values. */
#include "networks.h"
#include "quantities.h"

#include "ntklens/keys.h"
#include "ntklens/nn.h"
#include "ntklens/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*---------------------------------------------------------------------------------------------
 * Axes: columns that name what was trained
 *-------------------------------------------------------------------------------------------*/

enum { most_axes = nl_most_cell_values + 2 };

/** What is told apart beside width, n_train and seed. */
typedef struct axes {
    int count;
    const char *name[most_axes];
    bool varies[most_axes];
} axes;

typedef struct building {
    int tables;
    const nl_report_source *source;
    axes axes;
    nl_report_networks *data;
} building;

/* Value of an axis in a row; the study itself is one where the tables' studies differ. */
static const char *axis_value(const building *b, int axis, int table, int row)
{
    const char *name = b->axes.name[axis];

    if (strcmp(name, "study") == 0) {
        return b->source[table].name;
    }
    return nl_csv_text(&b->source[table].table, row, nl_csv_column(&b->source[table].table, name));
}

/* The same value, also where a spreadsheet wrote 0.10 for 0.1. */
static bool same_value(const char *a, const char *b)
{
    char *end_a = NULL;
    char *end_b = NULL;
    const double x = strtod(a, &end_a);
    const double y = strtod(b, &end_b);

    if (end_a != a && end_b != b && *end_a == '\0' && *end_b == '\0') {
        return x == y;
    }
    return strcmp(a, b) == 0;
}

/* What a row's values are compared within: a key that a kind of networks does not have is empty
 * there, and its being empty tells no more than the kind itself. */
static int kind_of(const building *b, int axis, int table, int row)
{
    const nl_csv *t = &b->source[table].table;
    const char *kind = nl_csv_text(t, row, nl_csv_column(t, "kind"));
    int k = 0;

    if (strcmp(b->axes.name[axis], "kind") == 0) {
        return NL_NET_KIND_COUNT;
    }
    while (k < NL_NET_KIND_COUNT && strcmp(kind, nl_net_kind_name((nl_net_kind)k)) != 0) {
        k++;
    }
    return k;
}

/* Differ two values within a kind, or two that are not empty of any? */
static bool varies(const building *b, int axis)
{
    const char *first[NL_NET_KIND_COUNT + 1] = {NULL};
    const char *told = NULL;

    for (int t = 0; t < b->tables; t++) {
        for (int r = 0; r < b->source[t].table.rows; r++) {
            const char *value = axis_value(b, axis, t, r);
            const int kind = kind_of(b, axis, t, r);

            first[kind] = first[kind] == NULL ? value : first[kind];
            told = told == NULL && value[0] != '\0' ? value : told;
            if (!same_value(value, first[kind]) || (value[0] != '\0' && !same_value(value, told))) {
                return true;
            }
        }
    }
    return false;
}

/* The first value that is not empty. */
static const char *first_value(const building *b, int axis)
{
    for (int t = 0; t < b->tables; t++) {
        for (int r = 0; r < b->source[t].table.rows; r++) {
            const char *value = axis_value(b, axis, t, r);

            if (value[0] != '\0') {
                return value;
            }
        }
    }
    return "";
}

static void list_constants(building *b)
{
    nl_text *out = &b->data->constants;

    for (int a = 0; a < b->axes.count; a++) {
        const char *value = b->axes.varies[a] ? "" : first_value(b, a);

        if (value[0] != '\0') {
            nl_text_append(out, "%s%s=%s", out->length > 0 ? ", " : "", b->axes.name[a], value);
        }
    }
}

static void list_parametrizations(building *b)
{
    nl_text *out = &b->data->parametrization;

    for (int t = 0; t < b->tables; t++) {
        const int column = nl_csv_column(&b->source[t].table, "parametrization");

        for (int r = 0; column >= 0 && r < b->source[t].table.rows; r++) {
            const char *value = nl_csv_text(&b->source[t].table, r, column);

            if (out->length == 0 || strstr(out->data, value) == NULL) {
                nl_text_append(out, "%s%s", out->length > 0 ? " and " : "", value);
            }
        }
    }
    if (out->length == 0) {
        nl_text_append(out, "not named in the table");
    }
}

static void find_axes(building *b, bool distinct)
{
    if (distinct) {
        b->axes.name[b->axes.count++] = "study";
    }
    b->axes.name[b->axes.count++] = "depth";
    for (int k = 0; k < nl_cell_value_count(); k++) {
        const nl_cell_value value = nl_cell_value_at(NULL, k);

        if (!value.member) {
            b->axes.name[b->axes.count++] = value.column;
        }
    }
    for (int a = 0; a < b->axes.count; a++) {
        b->axes.varies[a] = varies(b, a);
    }
    list_constants(b);
    list_parametrizations(b);
}

static bool is_convolutional(const nl_csv *table, int row)
{
    const char *kind = nl_csv_text(table, row, nl_csv_column(table, "kind"));

    return strcmp(kind, "cnn") == 0 || strcmp(kind, "resnet") == 0;
}

/* One copy of each setting. */
static const char *intern(nl_report_networks *data, const char *text)
{
    char **more = NULL;

    for (int k = 0; k < data->settings; k++) {
        if (strcmp(data->setting[k], text) == 0) {
            return data->setting[k];
        }
    }
    more = realloc(data->setting, (size_t)(data->settings + 1) * sizeof *more);
    if (more == NULL) {
        return NULL;
    }
    data->setting = more;
    data->setting[data->settings] = strdup(text);
    return data->setting[data->settings] != NULL ? data->setting[data->settings++] : NULL;
}

static const char *setting_of(const building *b, int table, int row, bool with_depth)
{
    nl_text text = {0};
    const char *kept = NULL;
    char number[32];

    nl_text_append(&text, "%s", "");
    for (int a = 0; a < b->axes.count; a++) {
        if (b->axes.varies[a] && (with_depth || strcmp(b->axes.name[a], "depth") != 0)) {
            const char *value = axis_value(b, a, table, row);
            char *end = NULL;
            const double x = strtod(value, &end);

            if (value[0] == '\0') {
                continue; /* its kind has no such key */
            }
            if (end != value && *end == '\0') {
                value = nl_format_double(x, number);
            }
            nl_text_append(&text, "%s%s=%s", text.length > 0 ? ";" : "", b->axes.name[a], value);
        }
    }
    kept = text.failed ? NULL : intern(b->data, text.data);
    nl_text_free(&text);
    return kept;
}

/*---------------------------------------------------------------------------------------------
 * Names of tags and kernels
 *-------------------------------------------------------------------------------------------*/

static int find_name(int count, char *const names[], const char *name)
{
    for (int k = 0; k < count; k++) {
        if (strcmp(names[k], name) == 0) {
            return k;
        }
    }
    return -1;
}

int nl_report_tag(const nl_report_networks *data, const char *name)
{
    return find_name(data->tags, data->tag, name);
}

int nl_report_kernel(const nl_report_networks *data, const char *name)
{
    return find_name(data->kernels, data->kernel, name);
}

static nl_status add_name(int *count, char *names[], int most, const char *name, const char *what)
{
    if (find_name(*count, names, name) >= 0) {
        return NL_OK;
    }
    if (*count == most) {
        return NL_FAIL(NL_ERR_DATA, "results.csv: more than %d %s", most, what);
    }
    names[*count] = strdup(name);
    if (names[*count] == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the %s", what);
    }
    ++*count;
    return NL_OK;
}

/* Tags in the order init, best, final, then as they come. */
static nl_status collect_names(building *b)
{
    static const char *const first[] = {"init", "best", "final"};
    nl_report_networks *data = b->data;
    nl_status status = NL_OK;

    for (size_t k = 0; status == NL_OK && k < NL_COUNT(first); k++) {
        status = add_name(&data->tags, data->tag, nl_most_tags, first[k], "tags");
    }
    for (int t = 0; t < b->tables; t++) {
        const nl_csv *table = &b->source[t].table;
        const int tag = nl_csv_column(table, "tag");
        const int kernel = nl_csv_column(table, "kernel");

        for (int r = 0; status == NL_OK && r < table->rows; r++) {
            if (strcmp(nl_csv_text(table, r, tag), "log") != 0) {
                status = add_name(&data->tags, data->tag, nl_most_tags, nl_csv_text(table, r, tag),
                                  "tags");
            }
            if (status == NL_OK) {
                status = add_name(&data->kernels, data->kernel, nl_most_kernels,
                                  nl_csv_text(table, r, kernel), "kernels");
            }
        }
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Rows
 *-------------------------------------------------------------------------------------------*/

static bool has_flag(const char *flags, const char *word)
{
    const size_t length = strlen(word);

    for (const char *at = strstr(flags, word); at != NULL; at = strstr(at + 1, word)) {
        if ((at == flags || at[-1] == '+') && (at[length] == '\0' || at[length] == '+')) {
            return true;
        }
    }
    return false;
}

static nl_status find_cell(building *b, int table, int row, int *index)
{
    static const char *const names[] = {"width", "depth", "n_train", "parameters", "seed"};
    const nl_csv *t = &b->source[table].table;
    nl_report_networks *data = b->data;
    double value[NL_COUNT(names)];
    nl_report_network cell = {0};
    nl_status status = NL_OK;

    for (size_t k = 0; status == NL_OK && k < NL_COUNT(names); k++) {
        status = nl_csv_number(t, row, nl_csv_column(t, names[k]), &value[k]);
    }
    if (status != NL_OK) {
        return status;
    }
    if (!(value[0] > 0.0 && value[2] > 0.0 && isfinite(value[0]) && isfinite(value[2])) ||
        !(fabs(value[4]) < 1e15)) {
        return NL_FAIL(NL_ERR_DATA,
                       "%s:%d: width \"%s\", n_train \"%s\", seed \"%s\": expected whole numbers",
                       t->file, t->line[row], nl_csv_text(t, row, nl_csv_column(t, "width")),
                       nl_csv_text(t, row, nl_csv_column(t, "n_train")),
                       nl_csv_text(t, row, nl_csv_column(t, "seed")));
    }
    cell = (nl_report_network){.width = value[0],
                               .depth = value[1],
                               .n_train = value[2],
                               .parameters = value[3],
                               .seed = (long)value[4],
                               .probe = b->source[table].probe,
                               .channels = is_convolutional(t, row),
                               .setting = setting_of(b, table, row, true),
                               .setting_without_depth = setting_of(b, table, row, false)};
    if (cell.setting == NULL || cell.setting_without_depth == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "%s: out of memory", t->file);
    }
    /* From the end: rows of a network stand together. */
    for (*index = data->cells - 1; *index >= 0; (*index)--) {
        const nl_report_network *c = &data->cell[*index];

        if (c->width == cell.width && c->n_train == cell.n_train && c->seed == cell.seed &&
            c->setting == cell.setting) {
            return NL_OK;
        }
    }
    *index = data->cells++;
    data->cell[*index] = cell;
    return NL_OK;
}

static nl_status read_row(building *b, int table, int row)
{
    const nl_csv *t = &b->source[table].table;
    nl_report_networks *data = b->data;
    nl_report_row *r = &data->row[data->rows];
    const char *flags = nl_csv_text(t, row, nl_csv_column(t, "flags"));
    nl_status status = find_cell(b, table, row, &r->cell);

    r->tag = nl_report_tag(data, nl_csv_text(t, row, nl_csv_column(t, "tag")));
    r->kernel = nl_report_kernel(data, nl_csv_text(t, row, nl_csv_column(t, "kernel")));
    r->censored = has_flag(flags, "censored");
    r->diverged = has_flag(flags, "diverged");
    r->untrained = has_flag(flags, "untrained");
    r->collapsed = has_flag(flags, "collapsed");
    r->overdetermined = has_flag(flags, "overdetermined");
    if (status == NL_OK) {
        status = nl_csv_number(t, row, nl_csv_column(t, "entropy_error"), &r->entropy_error);
        r->entropy_error = r->entropy_error > 0.0 ? r->entropy_error : 0.0;
    }
    r->value = data->values + (size_t)data->rows * (size_t)nl_quantity_count;
    if (status == NL_OK) {
        status = nl_csv_number(t, row, nl_csv_column(t, "n"), &r->order);
    }
    for (int q = 0; status == NL_OK && q < nl_quantity_count; q++) {
        status = nl_csv_number(t, row, nl_csv_column(t, nl_quantities[q].column), &r->value[q]);
        data->has[q] = data->has[q] || isfinite(r->value[q]);
    }
    data->rows += status == NL_OK ? 1 : 0;
    return status;
}

static bool same_numbers(const double *a, const double *b)
{
    for (int q = 0; q < nl_quantity_count; q++) {
        if (a[q] != b[q] && !(isnan(a[q]) && isnan(b[q]))) {
            return false;
        }
    }
    return true;
}

int nl_report_find(const nl_report_networks *data, int cell, int tag, int kernel)
{
    return data->index[((size_t)cell * (size_t)data->tags + (size_t)tag) * (size_t)data->kernels +
                       (size_t)kernel];
}

/* Ranks grow with the images that they are measured on: of each kernel and setting rows of the most
 * images count, the others are told of by themselves. */
static nl_status mark_parts(nl_report_networks *data)
{
    double *most = nl_calloc((size_t)data->settings * (size_t)data->kernels, sizeof *most);
    bool *whole = nl_calloc((size_t)data->cells, sizeof *whole);
    nl_status status = NL_OK;

    if (most == NULL || whole == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for %d networks", data->cells);
    }
    for (int turn = 0; status == NL_OK && turn < 2; turn++) {
        for (int r = 0; r < data->rows; r++) {
            nl_report_row *row = &data->row[r];
            const char *setting = data->cell[row->cell].setting_without_depth;
            double *order = NULL;
            int s = 0;

            while (data->setting[s] != setting) {
                s++;
            }
            order = &most[s * data->kernels + row->kernel];
            *order = fmax(*order, row->order);
            row->part = turn > 0 && row->order < *order;
            whole[row->cell] = whole[row->cell] || (turn > 0 && !row->part);
        }
    }
    for (int c = 0; status == NL_OK && c < data->cells; c++) {
        data->partial += whole[c] ? 0 : 1;
    }
    free(most);
    free(whole);
    return status;
}

static nl_status build_index(nl_report_networks *data)
{
    const size_t size = (size_t)data->cells * (size_t)data->tags * (size_t)data->kernels;

    data->index = nl_calloc(size, sizeof *data->index);
    if (data->index == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %d networks", data->cells);
    }
    memset(data->index, 0xff, size * sizeof *data->index); /* -1 */
    for (int r = 0; r < data->rows; r++) {
        const nl_report_row *row = &data->row[r];
        const size_t at =
            ((size_t)row->cell * (size_t)data->tags + (size_t)row->tag) * (size_t)data->kernels +
            (size_t)row->kernel;

        if (row->tag < 0 || row->part) {
            continue;
        }
        if (data->index[at] < 0) {
            data->index[at] = r;
        } else if (!same_numbers(data->row[data->index[at]].value, row->value)) {
            data->doubles++;
        }
    }
    return NL_OK;
}

static nl_status check_columns(const nl_csv *table)
{
    static const char *const needed[] = {"width", "n_train", "seed", "tag"};

    for (size_t k = 0; k < NL_COUNT(needed); k++) {
        if (nl_csv_column(table, needed[k]) < 0) {
            return NL_FAIL(NL_ERR_DATA, "%s:1: no column %s, expected width, n_train, seed and tag",
                           table->file, needed[k]);
        }
    }
    return NL_OK;
}

nl_status nl_report_networks_create(int count, const nl_report_source *sources, bool distinct,
                                    nl_report_networks *out)
{
    nl_report_networks data = {0};
    building b = {.tables = count, .source = sources, .data = &data};
    size_t rows = 0;
    nl_status status = NL_OK;

    *out = data;
    for (int t = 0; status == NL_OK && t < count; t++) {
        status = check_columns(&sources[t].table);
        rows += (size_t)sources[t].table.rows;
    }
    if (status != NL_OK) {
        return status;
    }
    data.cell = nl_calloc(rows, sizeof *data.cell);
    data.row = nl_calloc(rows, sizeof *data.row);
    data.values = nl_calloc(rows * (size_t)nl_quantity_count, sizeof *data.values);
    data.has = nl_calloc((size_t)nl_quantity_count, sizeof *data.has);
    if (data.cell == NULL || data.row == NULL || data.values == NULL || data.has == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for %zu rows", rows);
    } else {
        status = collect_names(&b);
    }
    if (status == NL_OK) {
        find_axes(&b, distinct);
    }
    for (int t = 0; t < count; t++) {
        for (int r = 0; status == NL_OK && r < sources[t].table.rows; r++) {
            status = read_row(&b, t, r);
        }
    }
    if (status == NL_OK) {
        status = mark_parts(&data);
    }
    if (status == NL_OK) {
        status = build_index(&data);
    }
    if (status != NL_OK) {
        nl_report_networks_free(&data);
        return status;
    }
    *out = data;
    return NL_OK;
}

void nl_report_networks_free(nl_report_networks *data)
{
    for (int k = 0; k < data->settings; k++) {
        free(data->setting[k]);
    }
    for (int k = 0; k < data->tags; k++) {
        free(data->tag[k]);
    }
    for (int k = 0; k < data->kernels; k++) {
        free(data->kernel[k]);
    }
    free(data->setting);
    free(data->cell);
    free(data->row);
    free(data->values);
    free(data->has);
    free(data->index);
    nl_text_free(&data->constants);
    nl_text_free(&data->parametrization);
    *data = (nl_report_networks){0};
}

int nl_report_main_kernel(const nl_report_networks *data)
{
    const int full = nl_report_kernel(data, "full");
    const int traced = nl_report_kernel(data, "traced");

    return full >= 0 ? full : traced >= 0 ? traced : data->kernels - 1 >= 0 ? 0 : -1;
}

bool nl_report_row_counts(const nl_report_row *row)
{
    return !row->censored && !row->diverged && !row->untrained && !row->collapsed;
}
