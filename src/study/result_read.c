/** @file result_read.c  A cell's result from an HDF5 image. */
#include "libraries.h"
#include "result_file.h"

#include "ntklens/io.h"

#include <stdlib.h>
#include <string.h>

static double *member_at(void *object, const nl_member *m)
{
    return (double *)(void *)((char *)object + m->offset);
}

/* Length of a list; int because counts in memory are. */
static nl_status get_count(nl_h5 *file, const char *path, int *count)
{
    size_t dims[1] = {0};
    nl_status status = nl_h5_shape(file, path, 1, dims);

    *count = 0;
    if (status == NL_OK && dims[0] > 1000000) {
        return NL_FAIL(NL_ERR_DAMAGED, "%s has %zu entries, which cannot be", path, dims[0]);
    }
    *count = (int)dims[0];
    return status;
}

static nl_status get_members(nl_h5 *file, const char *folder, const nl_member *members,
                             size_t member_count, void *objects, size_t stride, int count,
                             double *column)
{
    nl_status status = NL_OK;
    char path[128];

    for (size_t m = 0; m < member_count; m++) {
        snprintf(path, sizeof path, "%s/%s", folder, members[m].name);
        THEN(status, nl_h5_get(file, path, NL_H5_DOUBLE, (size_t)count, column));
        for (int k = 0; status == NL_OK && k < count; k++) {
            *member_at((char *)objects + (size_t)k * stride, &members[m]) = column[k];
        }
    }
    return status;
}

static nl_status get_curve(nl_h5 *file, nl_result *result)
{
    const nl_losses none = {0};
    int count = 0;
    nl_status status = get_count(file, "/curve/step", &count);
    int64_t *steps = nl_calloc((size_t)count, sizeof *steps);
    double *column = nl_calloc((size_t)count, sizeof *column);

    if (status == NL_OK && (steps == NULL || column == NULL)) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a curve");
    }
    THEN(status, nl_h5_get(file, "/curve/step", NL_H5_INT64, (size_t)count, steps));
    for (int k = 0; status == NL_OK && k < count; k++) {
        status = nl_curve_append(&result->curve, (long)steps[k], &none);
    }
    THEN(status, get_members(file, "/curve", nl_loss_members, nl_loss_member_count,
                             result->curve.losses, sizeof(nl_losses), count, column));
    free(steps);
    free(column);
    return status;
}

static nl_status get_states(nl_h5 *file, const nl_measure_plan *plan, nl_result *result)
{
    int count = 0;
    nl_status status = get_count(file, "/states/step", &count);
    int64_t *whole = nl_calloc((size_t)count, sizeof *whole);
    double *column = nl_calloc((size_t)count, sizeof *column);

    if (status == NL_OK && (whole == NULL || column == NULL)) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a cell's states");
    }
    THEN(status, nl_h5_get(file, "/states/step", NL_H5_INT64, (size_t)count, whole));
    for (int s = 0; status == NL_OK && s < count; s++) {
        if (nl_result_state(result, plan, (long)whole[s]) == NULL) {
            status = NL_ERR_NOMEM;
        }
    }
    if (status == NL_OK && result->states != count) {
        status = NL_FAIL(NL_ERR_DAMAGED, "/states/step has a step twice");
    }
    THEN(status, nl_h5_get(file, "/states/bits", NL_H5_INT64, (size_t)count, whole));
    for (int s = 0; status == NL_OK && s < count; s++) {
        result->state[s].finite = (whole[s] & 1) != 0;
        result->state[s].collapsed = (whole[s] & 2) != 0;
    }
    if (status == NL_OK && count > 0) {
        status = get_members(file, "/states", nl_loss_members, nl_loss_member_count,
                             &result->state[0].losses, sizeof *result->state, count, column);
        THEN(status,
             get_members(file, "/states", nl_regression_members, nl_regression_member_count,
                         &result->state[0].regression, sizeof *result->state, count, column));
    }
    free(whole);
    free(column);
    return status;
}

static nl_status get_measurements(nl_h5 *file, const nl_measure_plan *plan, int kernel,
                                  nl_result *result)
{
    const size_t count = (size_t)result->states;
    nl_kernel_columns columns = {0};
    nl_status status = nl_kernel_columns_create(&columns, result->states);
    char name[32];
    char folder[64];
    char path[128];

    snprintf(folder, sizeof folder, "/measurements/%s", nl_kernel_name(plan->kernel[kernel], name));
    snprintf(path, sizeof path, "%s/n", folder);
    THEN(status, nl_h5_get(file, path, NL_H5_INT64, count, columns.n));
    snprintf(path, sizeof path, "%s/bits", folder);
    THEN(status, nl_h5_get(file, path, NL_H5_INT64, count, columns.bits));
    snprintf(path, sizeof path, "%s/solver", folder);
    THEN(status, nl_h5_get_texts(file, path, count, nl_file_text_width, columns.solver[0]));
    THEN(status,
         get_members(file, folder, nl_observed_members, nl_observed_member_count, columns.observed,
                     sizeof *columns.observed, result->states, columns.column));
    for (int s = 0; status == NL_OK && s < result->states; s++) {
        nl_measurement *m = &result->state[s].kernels[kernel];

        m->n = (int)columns.n[s];
        m->observed = columns.observed[s];
        m->done = (columns.bits[s] & 1) != 0;
        m->observed.negative = (columns.bits[s] & 2) != 0;
        m->resolved = (columns.bits[s] & 4) != 0;
        snprintf(m->solver, sizeof m->solver, "%.*s", nl_file_text_width - 1, columns.solver[s]);
    }
    nl_kernel_columns_free(&columns);
    return status;
}

static nl_status get_snapshot(nl_h5 *file, const nl_net *net, nl_state *state)
{
    nl_status status = NL_OK;
    char path[64];

    snprintf(path, sizeof path, "/snapshots/%ld", state->step);
    if (!nl_h5_exists(file, path)) {
        return NL_OK;
    }
    state->theta = nl_calloc(net->size, sizeof *state->theta);
    if (state->theta == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a snapshot of %zu parameters", net->size);
    }
    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];
        const size_t weights = (size_t)layer->fan_in * (size_t)layer->fan_out;

        snprintf(path, sizeof path, "/snapshots/%ld/weight%d", state->step, l);
        THEN(status, nl_h5_get(file, path, NL_H5_FLOAT, weights, state->theta + layer->weights));
        snprintf(path, sizeof path, "/snapshots/%ld/bias%d", state->step, l);
        THEN(status, nl_h5_get(file, path, NL_H5_FLOAT, (size_t)layer->fan_out,
                               state->theta + layer->biases));
    }
    return status;
}

/* An array of one kernel and state; *out stays NULL where the file holds none. */
static nl_status get_array(nl_h5 *file, const char *folder, const char *kernel, long step,
                           size_t count, double **out)
{
    char path[96];

    snprintf(path, sizeof path, "/%s/%s/%ld", folder, kernel, step);
    if (!nl_h5_exists(file, path)) {
        return NL_OK;
    }
    *out = nl_calloc(count, sizeof **out);
    if (*out == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %s", path);
    }
    return nl_h5_get(file, path, NL_H5_DOUBLE, count, *out);
}

/* Spectra, matrices and directions of one state. */
static nl_status get_arrays(nl_h5 *file, const nl_measure_plan *plan, nl_state *state)
{
    nl_status status = NL_OK;
    char name[32];

    for (int k = 0; status == NL_OK && k < plan->kernels; k++) {
        nl_measurement *m = &state->kernels[k];
        const size_t n = (size_t)m->n;

        nl_kernel_name(plan->kernel[k], name);
        THEN(status, get_array(file, "spectra", name, state->step, n, &m->lambda));
        THEN(status, get_array(file, "kernels", name, state->step, n * n, &m->kernel));
        THEN(status,
             get_array(file, "target_power", name, state->step, n, &m->directions.target_power));
        THEN(status, get_array(file, "gradient_power", name, state->step, n,
                               &m->directions.gradient_power));
    }
    return status;
}

/* A dataset of `count` floats; *out stays NULL where there is none. */
static nl_status get_floats(nl_h5 *file, const char *path, size_t count, float **out)
{
    if (!nl_h5_exists(file, path)) {
        return NL_OK;
    }
    *out = nl_calloc(count, sizeof **out);
    if (*out == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %zu parameters", count);
    }
    return nl_h5_get(file, path, NL_H5_FLOAT, count, *out);
}

/* Parameters that were written on their own or, to save space, as a state's snapshot. */
static nl_status get_theta(nl_h5 *file, const char *path, const nl_net *net,
                           const nl_result *result, long step, float **out)
{
    const nl_state *state = nl_result_find(result, step);
    nl_status status = get_floats(file, path, net->size, out);

    if (status == NL_OK && *out == NULL && state != NULL && state->theta != NULL) {
        *out = nl_calloc(net->size, sizeof **out);
        if (*out == NULL) {
            return NL_FAIL(NL_ERR_NOMEM, "out of memory for %zu parameters", net->size);
        }
        memcpy(*out, state->theta, net->size * sizeof *state->theta);
    }
    return status;
}

static nl_status get_continuation(nl_h5 *file, const nl_net *net, const nl_result *result,
                                  nl_continuation *c)
{
    int64_t steps[3] = {0};
    nl_status status = get_floats(file, "/training/theta", net->size, &c->theta);

    if (status != NL_OK || c->theta == NULL) {
        return status; /* a damaged file, or one without a continuation */
    }
    THEN(status, nl_h5_get_int(file, "/training", "step", &steps[0]));
    THEN(status, nl_h5_get_int(file, "/training", "best_step", &steps[1]));
    THEN(status, nl_h5_get_int(file, "/training", "previous_step", &steps[2]));
    THEN(status, nl_h5_get_double(file, "/training", "best_loss", &c->best_loss));
    if (status == NL_OK && nl_h5_exists(file, "/training/optimizer")) {
        status = nl_h5_shape(file, "/training/optimizer", 1, &c->optimizer_size);
        THEN(status, get_floats(file, "/training/optimizer", c->optimizer_size, &c->optimizer));
    }
    c->step = (long)steps[0];
    c->best_step = (long)steps[1];
    c->previous_step = (long)steps[2];
    THEN(status, get_theta(file, "/training/best", net, result, c->best_step, &c->best_theta));
    THEN(status,
         get_theta(file, "/training/previous", net, result, c->previous_step, &c->previous_theta));
    if (status == NL_OK && c->best_step >= 0 && c->best_theta == NULL) {
        status = NL_FAIL(NL_ERR_DAMAGED, "the best state of step %ld is missing", c->best_step);
    }
    return status;
}

/* Was the file written for this cell, by this format, under this plan of measurements? */
static nl_status check_identity(nl_h5 *file, const nl_study *study, const nl_cell *cell, int what)
{
    int64_t format = 0;
    char *training = NULL;
    char *measurement = NULL;
    char expected[2][32];
    nl_status status = nl_h5_get_int(file, "/", "format", &format);

    if (status == NL_OK && format != nl_file_format) {
        status = NL_FAIL(NL_ERR_OUTDATED,
                         "%s: its file is of %s format (%lld; this is %d): computed anew", cell->id,
                         format < nl_file_format ? "an older" : "a newer", (long long)format,
                         nl_file_format);
    }
    THEN(status, nl_h5_get_text(file, "/", "training_hash", &training));
    THEN(status, nl_h5_get_text(file, "/", "measurement_hash", &measurement));
    nl_cell_hash_text(study, cell, NL_AFFECTS_TRAINING, expected[0]);
    nl_cell_hash_text(study, cell, NL_AFFECTS_MEASUREMENT, expected[1]);
    if (status == NL_OK && strcmp(training, expected[0]) != 0) {
        status = NL_FAIL(NL_ERR_DAMAGED, "%s: was trained with other keys", cell->id);
    }
    if (status == NL_OK && (what & NL_READ_MEASUREMENTS) != 0 &&
        strcmp(measurement, expected[1]) != 0) {
        status = NL_ERR_STUDY;
    }
    free(training);
    free(measurement);
    return status;
}

/* What the file was computed with, as far as it tells: older ones know their kernel only. */
static nl_status get_libraries(nl_h5 *file, nl_result *result)
{
    nl_libraries theirs = {0};
    nl_text text = {0};
    nl_status status = NL_OK;

    for (int k = 0; status == NL_OK && k < nl_library_facts; k++) {
        char *fact = NULL;

        if (nl_h5_has_attribute(file, "/", nl_library_names[k])) {
            status = nl_h5_get_text(file, "/", nl_library_names[k], &fact);
        }
        snprintf(theirs.fact[k], nl_library_width, "%s", fact != NULL ? fact : "");
        free(fact);
    }
    if (status == NL_OK) {
        nl_libraries_compare(&theirs, &text);
        status =
            text.failed ? NL_FAIL(NL_ERR_NOMEM, "out of memory for names of libraries") : NL_OK;
    }
    if (status == NL_OK && text.length > 0) {
        snprintf(result->differs, sizeof result->differs, "%s", text.data);
    }
    nl_text_free(&text);
    return status;
}

/* Attributes of the result itself. */
static nl_status get_attributes(nl_h5 *file, nl_result *result)
{
    int64_t best = 0;
    int64_t final = 0;
    int64_t diverged = 0;
    int64_t mixed = 0;
    nl_status status = nl_h5_get_int(file, "/", "parameters", &result->parameters);

    THEN(status, nl_h5_get_int(file, "/", "weights", &result->weights));
    THEN(status, nl_h5_get_int(file, "/", "best_step", &best));
    THEN(status, nl_h5_get_int(file, "/", "final_step", &final));
    THEN(status, nl_h5_get_int(file, "/", "diverged", &diverged));
    THEN(status, nl_h5_get_int(file, "/", "mixed_blas_kernels", &mixed));
    THEN(status, get_libraries(file, result));
    result->best_step = (long)best;
    result->final_step = (long) final;
    result->diverged = diverged != 0;
    result->mixed = mixed != 0;
    return status;
}

nl_status nl_result_read(const unsigned char *image, size_t length, const nl_study *study,
                         const nl_cell *cell, const nl_net *net, const nl_measure_plan *plan,
                         int what, nl_result **out, nl_continuation *continuation)
{
    nl_h5 *file = NULL;
    nl_result *result = NULL;
    nl_status status = nl_h5_open_image(image, length, &file);

    *out = NULL;
    if (continuation != NULL) {
        *continuation = (nl_continuation){.best_step = -1};
    }
    THEN(status, check_identity(file, study, cell, what));
    THEN(status, nl_result_create(&result));
    THEN(status, get_attributes(file, result));
    THEN(status, get_curve(file, result));
    THEN(status, get_states(file, plan, result));
    for (int k = 0; (what & NL_READ_MEASUREMENTS) != 0 && k < plan->kernels; k++) {
        THEN(status, get_measurements(file, plan, k, result));
    }
    for (int s = 0; status == NL_OK && s < result->states; s++) {
        if ((what & NL_READ_THETA) != 0) {
            status = get_snapshot(file, net, &result->state[s]);
        }
        if ((what & NL_READ_ARRAYS) != 0) {
            THEN(status, get_arrays(file, plan, &result->state[s]));
        }
    }
    if (continuation != NULL) {
        THEN(status, get_continuation(file, net, result, continuation));
    }
    nl_h5_close(&file);
    if (status != NL_OK) {
        nl_result_destroy(&result, plan->kernels);
        if (continuation != NULL) {
            nl_continuation_free(continuation);
        }
        return status;
    }
    *out = result;
    return NL_OK;
}

char *nl_cell_path(const char *results, const char *below, const nl_cell *cell)
{
    nl_text path = {0};

    nl_text_append(&path, "%s/%s/%s.h5", results, below, cell->id);
    return path.failed ? NULL : path.data;
}

nl_status nl_finished_read(const char *path, const nl_study *study, const nl_cell *cell,
                           const nl_measure_plan *plan, nl_result **out, const char **why)
{
    unsigned char *image = NULL;
    size_t length = 0;
    nl_status status = nl_file_read(path, NL_SEALED, &image, &length);

    *out = NULL;
    *why = NULL;
    THEN(status,
         nl_result_read(image, length, study, cell, NULL, plan, NL_READ_MEASUREMENTS, out, NULL));
    free(image);
    if (status == NL_OK && !nl_result_complete(*out, plan)) {
        nl_result_destroy(out, plan->kernels);
        status = NL_ERR_NUMERIC;
    }
    if (status != NL_OK) {
        *why = status == NL_ERR_NUMERIC ? "a spectrum is missing"
               : status == NL_ERR_STUDY
                   ? "another probe, other kernels or observables are asked for"
                   : nl_status_text(status);
    }
    return status;
}
