/** @file fits.c  Networks along one direction, and the fits of every quantity there. */
#include "fits.h"
#include "quantities.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*---------------------------------------------------------------------------------------------
 * Samples
 *-------------------------------------------------------------------------------------------*/

/* Row of a state: of its kernel, or of any for what is no kernel's. */
static const nl_report_row *state_row(const nl_report_networks *data, int cell, int tag, int kernel)
{
    for (int k = kernel < 0 ? 0 : kernel; k < (kernel < 0 ? data->kernels : kernel + 1); k++) {
        const int row = nl_report_find(data, cell, tag, k);

        if (row >= 0) {
            return &data->row[row];
        }
    }
    return NULL;
}

/* Least value of a network over its states, the logged ones included; NaN where it has none. */
static double least_value(const nl_report_networks *data, int cell, int kernel, int quantity)
{
    double least = NAN;

    for (int r = 0; r < data->rows; r++) {
        const nl_report_row *row = &data->row[r];

        if (row->cell == cell && row->kernel == kernel && !row->diverged && !row->part) {
            least = fmin(least, row->value[quantity]);
        }
    }
    return least;
}

/* Value of a quantity in a network, NaN where it is left out, which is counted; *error: of its
 * logarithm. */
static double value_of(const nl_report_networks *data, int cell, nl_series_fit *f, double *error)
{
    const bool ratio = f->tag == nl_ratio || f->tag == nl_base;
    const int best = nl_report_tag(data, "best");
    const nl_report_row *row = state_row(data, cell, f->tag < 0 ? best : f->tag, f->kernel);
    const nl_report_row *base =
        ratio ? state_row(data, cell, nl_report_tag(data, "init"), f->kernel) : row;
    double value = NAN;

    *error = 0.0;
    if (row == NULL || base == NULL) {
        f->empty++;
        return NAN;
    }
    if (row->diverged || base->diverged) {
        f->diverged++;
        return NAN;
    }
    if (row->untrained) {
        f->untrained++;
        return NAN;
    }
    if (row->collapsed || base->collapsed) {
        f->collapsed++;
        return NAN;
    }
    if (row->censored) {
        f->censored++;
        return NAN;
    }
    f->order = fmax(f->order, row->order); /* NaN gives way */
    value = f->tag == nl_least ? least_value(data, cell, f->kernel, f->quantity)
                               : row->value[f->quantity] / (ratio ? base->value[f->quantity] : 1.0);
    if (!(isfinite(value) && value > 0.0)) {
        f->empty++;
        return NAN;
    }
    *error = nl_quantity_error(f->quantity, f->tag == nl_base ? base->entropy_error
                                            : ratio ? hypot(row->entropy_error, base->entropy_error)
                                                    : row->entropy_error);
    f->overdetermined += nl_quantities[f->quantity].definition != NULL && row->overdetermined;
    return f->tag == nl_base ? base->value[f->quantity] : value;
}

/* Samples of a fit, [cells] of them at most; counts who is left out. */
static int collect(const nl_report_networks *data, const nl_series *series, nl_series_fit *f,
                   nl_sample *samples)
{
    int count = 0;

    for (int c = 0; c < data->cells; c++) {
        if (nl_series_holds(series, &data->cell[c])) {
            double error = 0.0;
            const double y = value_of(data, c, f, &error);

            if (!isnan(y)) {
                samples[count++] =
                    (nl_sample){.x = nl_series_scale(&data->cell[c], series->direction),
                                .y = y,
                                .seed = data->cell[c].seed,
                                .error = error};
            }
        }
    }
    return count;
}

/*---------------------------------------------------------------------------------------------
 * Fits
 *-------------------------------------------------------------------------------------------*/

/* A ratio has no other bound than 0. */
static nl_offset_range range_of(const nl_series_fit *f)
{
    const nl_offset_range positive = {.least = 0.0, .most = INFINITY};

    return f->tag == nl_ratio ? positive : nl_quantity_range(f->quantity, f->order);
}

/* Local exponents are told of what every report tells, at init and best. */
static nl_status add_locals(const nl_report_networks *data, int count, const nl_sample *samples,
                            nl_report_fits *fits)
{
    const int last = fits->fits - 1;
    const int tag = fits->fit[last].tag;
    nl_local *found = NULL;
    nl_report_local *more = NULL;
    int locals = 0;
    nl_status status = NL_OK;

    if (!nl_quantity_is_core(fits->fit[last].quantity) || count == 0 || tag < 0 ||
        (tag != nl_report_tag(data, "best") && tag != nl_report_tag(data, "init"))) {
        return NL_OK;
    }
    found = nl_calloc((size_t)count, sizeof *found);
    more = realloc(fits->local, (size_t)(fits->locals + count) * sizeof *more);
    fits->local = more != NULL ? more : fits->local;
    if (found == NULL || more == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for local exponents");
    } else {
        status = nl_fit_local(count, samples, found, &locals);
    }
    for (int k = 0; status == NL_OK && k < locals; k++) {
        fits->local[fits->locals++] = (nl_report_local){.fit = last, .at = found[k]};
    }
    free(found);
    return status;
}

/* Is a quantity told at this tag, or at what stands for one? */
static bool has_tag(int quantity, int tag)
{
    return tag == nl_least  ? strcmp(nl_quantities[quantity].column, "spectral_position") == 0
           : tag == nl_base ? nl_quantities[quantity].splits
                            : true;
}

static nl_status fit_one(const nl_report_networks *data, nl_report_fits *fits, nl_series_fit wanted,
                         nl_sample *samples)
{
    const int count = collect(data, &fits->series[wanted.series], &wanted, samples);
    nl_status status = NL_OK;

    if (count == 0 && !nl_quantity_is_core(wanted.quantity)) {
        return NL_OK;
    }
    status = nl_fit_power_law(count, samples, range_of(&wanted), &wanted.fit);
    if (status != NL_OK) {
        return status;
    }
    fits->fit[fits->fits++] = wanted;
    return add_locals(data, count, samples, fits);
}

static nl_status fit_all(const nl_report_networks *data, nl_report_fits *fits, nl_sample *samples)
{
    const size_t most = (size_t)fits->series_count * (size_t)nl_quantity_count *
                        (size_t)(data->kernels + 1) * (size_t)(data->tags - nl_least);
    nl_status status = NL_OK;

    fits->fit = nl_calloc(most, sizeof *fits->fit);
    if (fits->fit == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %zu fits", most);
    }
    for (int g = 0; g < fits->series_count; g++) {
        for (int q = 0; q < nl_quantity_count; q++) {
            const bool of_kernel = nl_quantities[q].per_kernel;

            if (!data->has[q] && !nl_quantity_is_core(q)) {
                continue;
            }
            for (int k = of_kernel ? 0 : -1; k < (of_kernel ? data->kernels : 0); k++) {
                for (int t = nl_least; status == NL_OK && t < data->tags; t++) {
                    const nl_series_fit wanted = {
                        .series = g, .quantity = q, .kernel = k, .tag = t, .order = NAN};

                    if (has_tag(q, t)) {
                        status = fit_one(data, fits, wanted, samples);
                    }
                }
            }
        }
    }
    return status;
}

/* The joint laws of a setting. */
static nl_status fit_joint(const nl_report_networks *data, const char *setting, int quantity,
                           nl_report_fits *fits)
{
    nl_grid_sample *samples = nl_calloc((size_t)data->cells, sizeof *samples);
    nl_report_joint joint = {
        .setting = setting,
        .quantity = quantity,
        .kernel = nl_quantities[quantity].per_kernel ? nl_report_main_kernel(data) : -1,
        .tag = nl_report_tag(data, "best")};
    nl_series_fit counted = {
        .quantity = quantity, .kernel = joint.kernel, .tag = joint.tag, .order = NAN};
    int count = 0;
    nl_status status = NL_OK;

    if (samples == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a joint fit");
    }
    for (int c = 0; c < data->cells; c++) {
        const nl_report_network *cell = &data->cell[c];

        if (cell->setting == setting) {
            nl_grid_sample *sample = &samples[count++];

            *sample =
                (nl_grid_sample){.width = cell->width, .data = cell->n_train, .seed = cell->seed};
            sample->y = value_of(data, c, &counted, &sample->error);
        }
    }
    status = nl_fit_joint_law(count, samples, range_of(&counted), &joint.fit);
    free(samples);
    if (status == NL_OK) {
        fits->joint[fits->joints++] = joint;
    }
    return status;
}

/* A grid holds both directions, each at two places at least: a cross cannot tell whether the
 * effects of width and data add up. */
static bool is_grid(const nl_report_fits *fits, const char *setting)
{
    int found[NL_DIRECTIONS] = {0};

    for (int g = 0; g < fits->series_count; g++) {
        const nl_series *series = &fits->series[g];

        found[series->direction] += series->setting == setting && series->scales >= 3 ? 1 : 0;
    }
    return found[NL_WIDTH] > 1 && found[NL_DATA] > 1;
}

static nl_status fit_joints(const nl_report_networks *data, nl_report_fits *fits)
{
    static const char *const columns[] = {"test_loss", "trace", "effective_rank"};
    nl_status status = NL_OK;

    fits->joint = nl_calloc((size_t)data->settings * NL_COUNT(columns), sizeof *fits->joint);
    if (fits->joint == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for joint fits");
    }
    for (int s = 0; s < data->settings; s++) {
        for (size_t q = 0; is_grid(fits, data->setting[s]) && q < NL_COUNT(columns); q++) {
            if (status == NL_OK) {
                status = fit_joint(data, data->setting[s], nl_quantity_find(columns[q]), fits);
            }
        }
    }
    return status;
}

static nl_status find_crossings(const nl_report_networks *data, nl_report_fits *fits,
                                nl_sample *samples)
{
    const int quantity = nl_quantity_find("kernel_distance");
    nl_status status = NL_OK;

    fits->crossing =
        nl_calloc((size_t)fits->series_count * (size_t)data->kernels, sizeof *fits->crossing);
    if (fits->crossing == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for transitions");
    }
    for (int g = 0; g < fits->series_count; g++) {
        for (int k = 0; k < data->kernels; k++) {
            nl_series_fit wanted = {
                .series = g, .quantity = quantity, .kernel = k, .tag = nl_report_tag(data, "best")};
            nl_report_crossing crossing = {.series = g, .kernel = k};
            const int count = collect(data, &fits->series[g], &wanted, samples);

            if (fits->series[g].direction != NL_WIDTH || fits->series[g].scales < 2 || count == 0 ||
                status != NL_OK) {
                continue;
            }
            status = nl_fit_crossing(count, samples, fits->threshold, &crossing.at);
            fits->crossing[fits->crossings++] = crossing;
        }
    }
    return status;
}

nl_status nl_report_fits_create(const nl_report_networks *data, double threshold,
                                nl_report_fits *out)
{
    nl_report_fits fits = {.threshold = threshold};
    nl_sample *samples = nl_calloc((size_t)data->cells, sizeof *samples);
    nl_series_list list = {0};
    nl_status status = samples == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for fits")
                                       : nl_series_find(data, &list);

    fits.series = list.series;
    fits.series_count = list.series_count;
    if (status == NL_OK) {
        status = fit_all(data, &fits, samples);
    }
    if (status == NL_OK) {
        status = fit_joints(data, &fits);
    }
    if (status == NL_OK) {
        status = find_crossings(data, &fits, samples);
    }
    free(samples);
    if (status != NL_OK) {
        nl_report_fits_free(&fits);
    }
    *out = fits;
    return status;
}

void nl_report_fits_free(nl_report_fits *fits)
{
    for (int g = 0; g < fits->series_count; g++) {
        free(fits->series[g].held);
    }
    free(fits->series);
    free(fits->fit);
    free(fits->joint);
    free(fits->crossing);
    free(fits->local);
    *fits = (nl_report_fits){0};
}

const nl_series_fit *nl_report_fit(const nl_report_fits *fits, int series, const char *column,
                                   int kernel, int tag)
{
    const int quantity = nl_quantity_find(column);

    for (int f = 0; f < fits->fits; f++) {
        const nl_series_fit *fit = &fits->fit[f];

        if (fit->series == series && fit->quantity == quantity && fit->kernel == kernel &&
            fit->tag == tag) {
            return fit;
        }
    }
    return NULL;
}
