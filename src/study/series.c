/** @file series.c  From rows of results to points of a fit. */
#include "series.h"

#include "ntklens/io.h"
#include "ntklens/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *nl_direction_name(nl_direction direction)
{
    static const char *const names[NL_DIRECTIONS] = {"width", "data", "parameters"};

    return names[direction];
}

/*---------------------------------------------------------------------------------------------
 * Tables
 *-------------------------------------------------------------------------------------------*/

/* Numbers that a row cannot do without. */
static nl_status check_numbers(const nl_source_table *s)
{
    const int needed[] = {s->width, s->depth, s->n_train, s->parameters, s->seed};

    for (int row = 0; row < s->table.rows; row++) {
        for (size_t k = 0; k < NL_COUNT(needed); k++) {
            if (!(nl_table_number(&s->table, row, needed[k]) >= 0.0)) {
                return NL_FAIL(NL_ERR_DATA, "%s: row %d: column %s: '%s', expected a number",
                               s->table.path, row + 1, s->table.name[needed[k]],
                               nl_table_text(&s->table, row, needed[k]));
            }
        }
    }
    return NL_OK;
}

nl_status nl_source_table_read(const char *folder, nl_source_table *s)
{
    char *path = nl_path_join(folder, "results.csv");
    const struct {
        const char *name;
        int *column;
    } needed[] = {{"cell", &s->cell},       {"width", &s->width},  {"depth", &s->depth},
                  {"n_train", &s->n_train}, {"seed", &s->seed},    {"parameters", &s->parameters},
                  {"tag", &s->tag},         {"kernel", &s->kernel}};
    nl_status status = NL_OK;

    *s = (nl_source_table){0};
    if (path == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");
    }
    status = nl_table_read(path, &s->table);
    free(path);
    for (size_t k = 0; status == NL_OK && k < NL_COUNT(needed); k++) {
        status = nl_table_need(&s->table, needed[k].name, needed[k].column);
    }
    if (status == NL_OK) {
        s->flags = nl_table_column(&s->table, "flags");
        status = check_numbers(s);
    }
    if (status != NL_OK) {
        nl_source_table_free(s);
    }
    return status;
}

void nl_source_table_free(nl_source_table *source)
{
    nl_table_free(&source->table);
}

int nl_distinct(const nl_table *table, int column, int most, const char **out)
{
    int count = 0;

    for (int row = 0; row < table->rows; row++) {
        const char *text = nl_table_text(table, row, column);
        bool seen = false;

        for (int k = 0; k < count && !seen; k++) {
            seen = nl_table_same(out[k], text);
        }
        if (!seen && count < most) {
            out[count++] = text;
        }
    }
    return count;
}

static bool varies(const nl_table *table, int column)
{
    const char *texts[2];

    return column >= 0 && nl_distinct(table, column, 2, texts) > 1;
}

/*---------------------------------------------------------------------------------------------
 * Groups
 *-------------------------------------------------------------------------------------------*/

static int scale_column(const nl_source_table *s, nl_direction direction)
{
    return direction == NL_ALONG_WIDTH  ? s->width
           : direction == NL_ALONG_DATA ? s->n_train
                                        : s->parameters;
}

/* What is held: the other scale always, what else makes cells differ where it does. */
static int held_columns(const nl_source_table *s, nl_direction direction,
                        int held[NL_KEY_COUNT + 3])
{
    int count = 0;

    held[count++] = direction == NL_ALONG_DATA ? s->width : s->n_train;
    if (direction != NL_ALONG_PARAMETERS && varies(&s->table, s->depth)) {
        held[count++] = s->depth;
    }
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        const char *name = nl_key_describe((nl_key)key)->column;
        const int column = name != NULL ? nl_table_column(&s->table, name) : -1;

        if (column != s->width && column != s->depth && column != s->n_train && column != s->seed &&
            varies(&s->table, column)) {
            held[count++] = column;
        }
    }
    return count;
}

static void describe_held(const nl_source_table *s, int row, int count, const int *held, char *out,
                          size_t size)
{
    size_t length = 0;

    out[0] = '\0';
    for (int k = 0; k < count && length < size; k++) {
        length += (size_t)snprintf(out + length, size - length, "%s%s=%s", k > 0 ? ";" : "",
                                   s->table.name[held[k]], nl_table_text(&s->table, row, held[k]));
    }
}

static bool alike(const nl_source_table *s, int a, int b, int count, const int *held)
{
    for (int k = 0; k < count; k++) {
        if (!nl_table_same(nl_table_text(&s->table, a, held[k]),
                           nl_table_text(&s->table, b, held[k]))) {
            return false;
        }
    }
    return true;
}

static int count_scales(const nl_group *group)
{
    const nl_table *table = &group->source->table;
    const int column = scale_column(group->source, group->direction);
    int scales = 0;

    for (int k = 0; k < group->rows; k++) {
        bool seen = false;

        for (int j = 0; j < k && !seen; j++) {
            seen = nl_table_number(table, group->row[j], column) ==
                   nl_table_number(table, group->row[k], column);
        }
        scales += !seen;
    }
    return scales;
}

/* Rows like the first one, marked in `taken`. */
static void fill_group(nl_group *group, int first, int count, const int *held, bool *taken)
{
    const nl_source_table *s = group->source;

    for (int row = first; row < s->table.rows; row++) {
        if (!taken[row] && alike(s, first, row, count, held)) {
            taken[row] = true;
            group->row[group->rows++] = row;
        }
    }
    describe_held(s, first, count, held, group->held, sizeof group->held);
    group->scales = count_scales(group);
}

static nl_status append(nl_groups *groups, nl_group *group)
{
    nl_group *more = realloc(groups->item, ((size_t)groups->count + 1) * sizeof *more);

    if (more == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a report");
    }
    groups->item = more;
    groups->item[groups->count++] = *group;
    *group = (nl_group){0};
    return NL_OK;
}

static nl_status add_direction(const nl_source_table *s, nl_direction direction, bool *taken,
                               nl_groups *groups)
{
    int held[NL_KEY_COUNT + 3];
    const int count = held_columns(s, direction, held);
    nl_status status = NL_OK;

    memset(taken, 0, (size_t)s->table.rows * sizeof *taken);
    for (int row = 0; status == NL_OK && row < s->table.rows; row++) {
        nl_group group = {.source = s, .direction = direction};

        if (taken[row]) {
            continue;
        }
        group.row = nl_calloc((size_t)s->table.rows, sizeof *group.row);
        if (group.row == NULL) {
            return NL_FAIL(NL_ERR_NOMEM, "out of memory for a report");
        }
        fill_group(&group, row, count, held, taken);
        if (group.scales > 1) {
            status = append(groups, &group);
        }
        free(group.row);
    }
    return status;
}

nl_status nl_groups_add(const nl_source_table *source, nl_groups *groups)
{
    bool *taken = nl_calloc((size_t)source->table.rows + 1, sizeof *taken);
    nl_status status = taken != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "out of memory for a report");

    for (int d = 0; status == NL_OK && d < NL_DIRECTIONS; d++) {
        status = add_direction(source, (nl_direction)d, taken, groups);
    }
    free(taken);
    return status;
}

void nl_groups_free(nl_groups *groups)
{
    for (int k = 0; k < groups->count; k++) {
        free(groups->item[k].row);
    }
    free(groups->item);
    *groups = (nl_groups){0};
}

/*---------------------------------------------------------------------------------------------
 * Series
 *-------------------------------------------------------------------------------------------*/

const char *nl_quantity_name(const nl_quantity *q, char out[160])
{
    snprintf(out, 160, "%s%s%s%s@%s%s", q->column, q->kernel != NULL ? "[" : "",
             q->kernel != NULL ? q->kernel : "", q->kernel != NULL ? "]" : "", q->tag,
             q->over_init ? "/init" : "");
    return out;
}

/* Is this row the one of its cell and tag?  Without a kernel the first row of the state counts. */
static bool is_wanted(const nl_group *group, int k, const nl_quantity *q)
{
    const nl_source_table *s = group->source;
    const nl_table *table = &s->table;
    const int row = group->row[k];
    const char *kernel = nl_table_text(table, row, s->kernel);

    if (strcmp(nl_table_text(table, row, s->tag), q->tag) != 0) {
        return false;
    }
    return q->kernel != NULL ? strcmp(kernel, q->kernel) == 0
                             : strcmp(kernel, nl_table_text(table, group->row[0], s->kernel)) == 0;
}

/* The same quantity of this cell's initial state. */
static double initial_value(const nl_group *group, int row, const nl_quantity *q, int column)
{
    const nl_source_table *s = group->source;
    const nl_quantity initial = {.column = q->column, .kernel = q->kernel, .tag = "init"};

    for (int k = 0; k < group->rows; k++) {
        if (is_wanted(group, k, &initial) &&
            strcmp(nl_table_text(&s->table, group->row[k], s->cell),
                   nl_table_text(&s->table, row, s->cell)) == 0) {
            return nl_table_number(&s->table, group->row[k], column);
        }
    }
    return NAN;
}

static bool flagged(const nl_source_table *s, int row, nl_series *out)
{
    const char *flags = nl_table_text(&s->table, row, s->flags);
    const bool diverged = strstr(flags, "diverged") != NULL;
    const bool collapsed = strstr(flags, "collapsed") != NULL;
    const bool censored = strstr(flags, "censored") != NULL;

    out->diverged += diverged;
    out->collapsed += collapsed && !diverged;
    out->censored += censored && !diverged && !collapsed;
    return diverged || collapsed || censored;
}

static void add_point(const nl_group *group, int row, double y, nl_series *out)
{
    const nl_source_table *s = group->source;

    out->width[out->count] = nl_table_number(&s->table, row, s->width);
    out->data[out->count] = nl_table_number(&s->table, row, s->n_train);
    out->point[out->count++] =
        (nl_point){.x = nl_table_number(&s->table, row, scale_column(s, group->direction)),
                   .y = y,
                   .seed = (uint32_t)nl_table_number(&s->table, row, s->seed)};
}

nl_status nl_series_collect(const nl_group *group, const nl_quantity *q, nl_series *out)
{
    const nl_table *table = &group->source->table;
    const int column = nl_table_column(table, q->column);
    const size_t room = (size_t)group->rows + 1;

    *out = (nl_series){.point = nl_calloc(room, sizeof *out->point),
                       .width = nl_calloc(room, sizeof *out->width),
                       .data = nl_calloc(room, sizeof *out->data)};
    if (out->point == NULL || out->width == NULL || out->data == NULL) {
        nl_series_free(out);
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a report");
    }
    for (int k = 0; column >= 0 && k < group->rows; k++) {
        const int row = group->row[k];
        double y = nl_table_number(table, row, column);

        if (!is_wanted(group, k, q) || flagged(group->source, row, out)) {
            continue;
        }
        if (q->over_init) {
            y /= initial_value(group, row, q, column);
        }
        if (isfinite(y)) {
            add_point(group, row, y, out);
        }
    }
    return NL_OK;
}

void nl_series_free(nl_series *series)
{
    free(series->point);
    free(series->width);
    free(series->data);
    *series = (nl_series){0};
}
