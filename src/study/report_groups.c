/** @file report_groups.c  Networks along one direction, all else held. */
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *nl_direction_name(nl_direction direction)
{
    static const char *const names[] = {"width", "data", "parameters"};

    return names[direction];
}

double nl_group_scale(const nl_report_cell *cell, nl_direction direction)
{
    return direction == NL_WIDTH  ? cell->width
           : direction == NL_DATA ? cell->n_train
                                  : cell->parameters;
}

static double held_of(const nl_report_cell *cell, nl_direction direction)
{
    return direction == NL_DATA ? cell->width : cell->n_train;
}

/* Along parameters, depth varies with width. */
static const char *setting_of(const nl_report_cell *cell, nl_direction direction)
{
    return direction == NL_PARAMETERS ? cell->setting_without_depth : cell->setting;
}

bool nl_group_holds(const nl_group *group, const nl_report_cell *cell)
{
    return held_of(cell, group->direction) == group->held_value &&
           setting_of(cell, group->direction) == group->setting &&
           nl_group_scale(cell, group->direction) > 0.0;
}

bool nl_report_counts(const nl_report_data *data, int cell)
{
    const int best = nl_report_tag(data, "best");
    bool found = false;

    for (int k = 0; k < data->kernels; k++) {
        const int r = nl_report_find(data, cell, best, k);

        if (r >= 0) {
            const nl_report_row *row = &data->row[r];

            found = true;
            if (row->censored || row->diverged || row->untrained || row->collapsed) {
                return false;
            }
        }
    }
    return found;
}

/* Do more than half of a group's networks at this scale count? */
static bool is_usable(const nl_report_data *data, const nl_group *group, double scale)
{
    int all = 0;
    int counted = 0;

    for (int c = 0; c < data->cells; c++) {
        if (nl_group_holds(group, &data->cell[c]) &&
            nl_group_scale(&data->cell[c], group->direction) == scale) {
            all++;
            counted += nl_report_counts(data, c) ? 1 : 0;
        }
    }
    return 2 * counted > all;
}

/* Scales and seeds of a group: counted at their first network. */
static void measure_group(const nl_report_data *data, nl_group *group)
{
    group->first = INFINITY;
    group->last = -INFINITY;
    for (int c = 0; c < data->cells; c++) {
        const double scale = nl_group_scale(&data->cell[c], group->direction);
        bool new_scale = true;
        bool new_seed = true;

        if (!nl_group_holds(group, &data->cell[c])) {
            continue;
        }
        group->first = fmin(group->first, scale);
        group->last = fmax(group->last, scale);
        for (int k = 0; k < c; k++) {
            if (nl_group_holds(group, &data->cell[k])) {
                new_scale = new_scale && nl_group_scale(&data->cell[k], group->direction) != scale;
                new_seed = new_seed && data->cell[k].seed != data->cell[c].seed;
            }
        }
        group->scales += new_scale ? 1 : 0;
        group->usable += new_scale && is_usable(data, group, scale) ? 1 : 0;
        group->seeds += new_seed ? 1 : 0;
    }
}

static char *held_text(const nl_group *group)
{
    nl_text text = {0};
    char number[32];

    nl_text_append(&text, "%s=%s", group->direction == NL_DATA ? "width" : "n_train",
                   nl_format_double(group->held_value, number));
    if (group->setting[0] != '\0') {
        nl_text_append(&text, ";%s", group->setting);
    }
    return text.data; /* NULL when out of memory */
}

static bool is_listed(const nl_report_fits *fits, int from, const nl_report_cell *cell)
{
    for (int g = from; g < fits->groups; g++) {
        if (nl_group_holds(&fits->group[g], cell)) {
            return true;
        }
    }
    return false;
}

static int compare_groups(const void *a, const void *b)
{
    const nl_group *x = a;
    const nl_group *y = b;
    int order = (x->direction > y->direction) - (x->direction < y->direction);

    if (order == 0) {
        order = strcmp(x->setting, y->setting);
    }
    return order != 0 ? order : (x->held_value > y->held_value) - (x->held_value < y->held_value);
}

/* All groups of a direction with `least` scales. */
static nl_status add_groups(const nl_report_data *data, nl_direction direction, int least,
                            nl_report_fits *fits)
{
    int kept = fits->groups;
    const int from = fits->groups;

    for (int c = 0; c < data->cells; c++) {
        const nl_report_cell *cell = &data->cell[c];

        if (nl_group_scale(cell, direction) > 0.0 && !is_listed(fits, from, cell)) {
            fits->group[fits->groups] = (nl_group){.direction = direction,
                                                   .held_value = held_of(cell, direction),
                                                   .setting = setting_of(cell, direction)};
            measure_group(data, &fits->group[fits->groups++]);
        }
    }
    for (int g = from; g < fits->groups; g++) {
        if (fits->group[g].scales >= least) {
            fits->group[kept] = fits->group[g];
            fits->group[kept].held = held_text(&fits->group[kept]);
            if (fits->group[kept++].held == NULL) {
                fits->groups = kept;
                return NL_FAIL(NL_ERR_NOMEM, "out of memory for a report");
            }
        }
    }
    fits->groups = kept;
    return NL_OK;
}

nl_status nl_report_find_groups(const nl_report_data *data, nl_report_fits *fits)
{
    nl_status status = NL_OK;

    fits->group = nl_calloc(NL_DIRECTIONS * (size_t)data->cells, sizeof *fits->group);
    if (fits->group == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a report");
    }
    for (int d = 0; status == NL_OK && d < NL_DIRECTIONS; d++) {
        status = add_groups(data, (nl_direction)d, 2, fits);
    }
    if (status == NL_OK && fits->groups == 0) { /* nothing varies: the fits say so */
        status = add_groups(data, NL_WIDTH, 1, fits);
    }
    if (fits->groups > 0) {
        qsort(fits->group, (size_t)fits->groups, sizeof *fits->group, compare_groups);
    }
    return status;
}
