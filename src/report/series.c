/** @file series.c  Networks along one direction, all else held. */
#include "series.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *nl_direction_name(nl_direction direction)
{
    static const char *const names[] = {"width", "data", "parameters"};

    return names[direction];
}

double nl_series_scale(const nl_report_network *cell, nl_direction direction)
{
    return direction == NL_WIDTH  ? cell->width
           : direction == NL_DATA ? cell->n_train
                                  : cell->parameters;
}

static double held_of(const nl_report_network *cell, nl_direction direction)
{
    return direction == NL_DATA ? cell->width : cell->n_train;
}

/* Along parameters, depth varies with width. */
static const char *setting_of(const nl_report_network *cell, nl_direction direction)
{
    return direction == NL_PARAMETERS ? cell->setting_without_depth : cell->setting;
}

bool nl_series_holds(const nl_series *series, const nl_report_network *cell)
{
    return held_of(cell, series->direction) == series->held_value &&
           setting_of(cell, series->direction) == series->setting &&
           nl_series_scale(cell, series->direction) > 0.0;
}

bool nl_report_counts(const nl_report_networks *data, int cell)
{
    const int best = nl_report_tag(data, "best");
    bool found = false;

    for (int k = 0; k < data->kernels; k++) {
        const int r = nl_report_find(data, cell, best, k);

        if (r >= 0) {
            const nl_report_row *row = &data->row[r];

            found = true;
            if (!nl_report_row_counts(row)) {
                return false;
            }
        }
    }
    return found;
}

/* Do more than half of a group's networks at this scale count? */
static bool is_usable(const nl_report_networks *data, const nl_series *series, double scale)
{
    int all = 0;
    int counted = 0;

    for (int c = 0; c < data->cells; c++) {
        if (nl_series_holds(series, &data->cell[c]) &&
            nl_series_scale(&data->cell[c], series->direction) == scale) {
            all++;
            counted += nl_report_counts(data, c) ? 1 : 0;
        }
    }
    return 2 * counted > all;
}

/* Scales and seeds of a group: counted at their first network. */
static void measure_series(const nl_report_networks *data, nl_series *series)
{
    series->first = INFINITY;
    series->last = -INFINITY;
    for (int c = 0; c < data->cells; c++) {
        const double scale = nl_series_scale(&data->cell[c], series->direction);
        bool new_scale = true;
        bool new_seed = true;

        if (!nl_series_holds(series, &data->cell[c])) {
            continue;
        }
        series->channels = series->channels || data->cell[c].channels;
        series->first = fmin(series->first, scale);
        series->last = fmax(series->last, scale);
        for (int k = 0; k < c; k++) {
            if (nl_series_holds(series, &data->cell[k])) {
                new_scale =
                    new_scale && nl_series_scale(&data->cell[k], series->direction) != scale;
                new_seed = new_seed && data->cell[k].seed != data->cell[c].seed;
            }
        }
        series->scales += new_scale ? 1 : 0;
        series->usable += new_scale && is_usable(data, series, scale) ? 1 : 0;
        series->seeds += new_seed ? 1 : 0;
    }
}

static char *held_text(const nl_series *series)
{
    nl_text text = {0};
    char number[32];

    nl_text_append(&text, "%s=%s", series->direction == NL_DATA ? "width" : "n_train",
                   nl_format_double(series->held_value, number));
    if (series->setting[0] != '\0') {
        nl_text_append(&text, ";%s", series->setting);
    }
    return text.data; /* NULL when out of memory */
}

static bool is_listed(const nl_series_list *list, int from, const nl_report_network *cell)
{
    for (int g = from; g < list->series_count; g++) {
        if (nl_series_holds(&list->series[g], cell)) {
            return true;
        }
    }
    return false;
}

static int compare_series(const void *a, const void *b)
{
    const nl_series *x = a;
    const nl_series *y = b;
    int order = (x->direction > y->direction) - (x->direction < y->direction);

    if (order == 0) {
        order = strcmp(x->setting, y->setting);
    }
    return order != 0 ? order : (x->held_value > y->held_value) - (x->held_value < y->held_value);
}

/* All groups of a direction with `least` scales. */
static nl_status add_series(const nl_report_networks *data, nl_direction direction, int least,
                            nl_series_list *list)
{
    int kept = list->series_count;
    const int from = list->series_count;

    for (int c = 0; c < data->cells; c++) {
        const nl_report_network *cell = &data->cell[c];

        if (nl_series_scale(cell, direction) > 0.0 && !is_listed(list, from, cell)) {
            list->series[list->series_count] = (nl_series){.direction = direction,
                                                           .held_value = held_of(cell, direction),
                                                           .setting = setting_of(cell, direction)};
            measure_series(data, &list->series[list->series_count++]);
        }
    }
    for (int g = from; g < list->series_count; g++) {
        if (list->series[g].scales >= least) {
            list->series[kept] = list->series[g];
            list->series[kept].held = held_text(&list->series[kept]);
            if (list->series[kept++].held == NULL) {
                list->series_count = kept;
                return NL_FAIL(NL_ERR_NOMEM, "out of memory for a report");
            }
        }
    }
    list->series_count = kept;
    return NL_OK;
}

nl_status nl_series_find(const nl_report_networks *data, nl_series_list *list)
{
    nl_status status = NL_OK;

    list->series = nl_calloc(NL_DIRECTIONS * (size_t)data->cells, sizeof *list->series);
    if (list->series == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a report");
    }
    for (int d = 0; status == NL_OK && d < NL_DIRECTIONS; d++) {
        status = add_series(data, (nl_direction)d, 2, list);
    }
    if (status == NL_OK && list->series_count == 0) { /* nothing varies: the fits say so */
        status = add_series(data, NL_WIDTH, 1, list);
    }
    if (list->series_count > 0) {
        qsort(list->series, (size_t)list->series_count, sizeof *list->series, compare_series);
    }
    return status;
}
