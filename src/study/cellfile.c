/**
 * @file cellfile.c  cells/<id>.h5: a cell's result as an HDF5 image, and back.
 *
 * /                    attributes: the cell's keys, hashes, format, best_step, final_step, diverged
 * /curve/<column>      evaluated states
 * /states/<column>     measured states; /measurements/<kernel>/<column>: one entry a state
 * /spectra, /kernels   <kernel>/<step>, where the study asks for them
 * /snapshots/<step>    weight<k>, bias<k>
 * /probe, /indices     what the network was shown
 */
#include "result.h"

#include "ntklens/io.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { format_version = 1, text_width = 16 };

/** The first failure of a series of calls; later ones are skipped. */
#define THEN(status, call)                                                                         \
    do {                                                                                           \
        if ((status) == NL_OK) {                                                                   \
            (status) = (call);                                                                     \
        }                                                                                          \
    } while (0)

/** A member of a struct as a column: one table serves writing and reading. */
typedef struct member {
    const char *name;
    size_t offset;
} member;

static const member loss_members[] = {
    {"train_loss", offsetof(nl_losses, train_loss)},
    {"test_loss", offsetof(nl_losses, test_loss)},
    {"validation_loss", offsetof(nl_losses, validation_loss)},
    {"train_accuracy", offsetof(nl_losses, train_accuracy)},
    {"test_accuracy", offsetof(nl_losses, test_accuracy)},
    {"validation_accuracy", offsetof(nl_losses, validation_accuracy)},
};

static const member observed_members[] = {
    {"trace", offsetof(nl_observables, trace)},
    {"entropy", offsetof(nl_observables, entropy)},
    {"effective_rank", offsetof(nl_observables, effective_rank)},
    {"participation_ratio", offsetof(nl_observables, participation_ratio)},
    {"lambda_max", offsetof(nl_observables, lambda_max)},
    {"lambda_min", offsetof(nl_observables, lambda_min)},
};

static double *member_at(void *object, const member *m)
{
    return (double *)(void *)((char *)object + m->offset);
}

/*---------------------------------------------------------------------------------------------
 * Writing
 *-------------------------------------------------------------------------------------------*/

static nl_status put_key_attributes(nl_h5 *file, const nl_cell *cell)
{
    nl_status status = NL_OK;

    for (int key = 0; key < NL_KEY_COUNT; key++) {
        const nl_key_info *info = nl_key_describe((nl_key)key);
        const nl_scalar *value = &cell->value[key];
        const bool whole = info->type == NL_TYPE_INT || info->type == NL_TYPE_BOOL;

        if (info->column == NULL) {
            continue;
        }
        if (value->word != NULL) {
            THEN(status, nl_h5_put_text(file, "/", info->column, value->word));
        } else if (whole) {
            THEN(status, nl_h5_put_int(file, "/", info->column, (int64_t)value->number));
        } else {
            THEN(status, nl_h5_put_double(file, "/", info->column, value->number));
        }
    }
    return status;
}

static nl_status put_attributes(nl_h5 *file, const nl_result *result, const nl_cell_context *c)
{
    const size_t channels = (size_t)c->channels;
    nl_status status = put_key_attributes(file, c->cell);
    char hash[32];

    THEN(status, nl_h5_put_text(file, "/", "cell", c->cell->id));
    THEN(status, nl_h5_put_int(file, "/", "format", format_version));
    snprintf(hash, sizeof hash, "%016llx",
             (unsigned long long)nl_cell_hash(c->study, c->cell, NL_AFFECTS_TRAINING));
    THEN(status, nl_h5_put_text(file, "/", "training_hash", hash));
    snprintf(hash, sizeof hash, "%016llx",
             (unsigned long long)nl_cell_hash(c->study, c->cell, NL_AFFECTS_MEASUREMENT));
    THEN(status, nl_h5_put_text(file, "/", "measurement_hash", hash));
    THEN(status, nl_h5_put_text(file, "/", "program", "ntklens " NTKLENS_VERSION));
    THEN(status, nl_h5_put_text(file, "/", "blas_kernel", c->blas_kernel));
    THEN(status, nl_h5_put_int(file, "/", "parameters", result->parameters));
    THEN(status, nl_h5_put_int(file, "/", "best_step", result->best_step));
    THEN(status, nl_h5_put_int(file, "/", "final_step", result->final_step));
    THEN(status, nl_h5_put_int(file, "/", "diverged", result->diverged));
    THEN(status, nl_h5_put(file, "/scaling/mean", NL_H5_DOUBLE, 1, &channels, c->mean));
    THEN(status, nl_h5_put(file, "/scaling/std", NL_H5_DOUBLE, 1, &channels, c->std));
    return status;
}

static nl_status put_int32(nl_h5 *file, const char *path, int count, const int *values)
{
    const size_t dims[1] = {(size_t)count};

    return count > 0 ? nl_h5_put_deflated(file, path, NL_H5_INT32, 1, dims, values) : NL_OK;
}

static nl_status put_inputs(nl_h5 *file, const nl_cell_context *c)
{
    const size_t probe[2] = {(size_t)c->plan->samples, (size_t)c->net->spec.inputs};
    nl_status status = nl_h5_put_deflated(file, "/probe/inputs", NL_H5_FLOAT, 2, probe, c->probe);

    THEN(status, put_int32(file, "/probe/labels", c->plan->samples, c->probe_labels));
    THEN(status, put_int32(file, "/indices/probe", c->plan->samples, c->probe_index));
    THEN(status, put_int32(file, "/indices/train", c->train, c->train_index));
    THEN(status, put_int32(file, "/indices/train_labels", c->train, c->train_labels));
    THEN(status, put_int32(file, "/indices/test", c->test, c->test_index));
    THEN(status, put_int32(file, "/indices/validation", c->validation, c->validation_index));
    return status;
}

/* One double of each of `count` objects of `stride` bytes as a dataset folder/name. */
static nl_status put_member(nl_h5 *file, const char *folder, const member *m, const void *objects,
                            size_t stride, int count, double *column)
{
    const size_t dims[1] = {(size_t)count};
    char path[128];

    for (int k = 0; k < count; k++) {
        memcpy(&column[k], (const char *)objects + (size_t)k * stride + m->offset,
               sizeof column[k]);
    }
    snprintf(path, sizeof path, "%s/%s", folder, m->name);
    return nl_h5_put(file, path, NL_H5_DOUBLE, 1, dims, column);
}

static nl_status put_losses(nl_h5 *file, const char *folder, const void *losses, size_t stride,
                            int count, double *column)
{
    nl_status status = NL_OK;

    for (size_t m = 0; m < NL_COUNT(loss_members); m++) {
        THEN(status, put_member(file, folder, &loss_members[m], losses, stride, count, column));
    }
    return status;
}

static nl_status put_curve(nl_h5 *file, const nl_curve *curve)
{
    const size_t dims[1] = {(size_t)curve->count};
    double *column = nl_calloc((size_t)curve->count, sizeof *column);
    int64_t *steps = nl_calloc((size_t)curve->count, sizeof *steps);
    nl_status status = column == NULL || steps == NULL
                           ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a curve's file")
                           : NL_OK;

    for (int k = 0; status == NL_OK && k < curve->count; k++) {
        steps[k] = curve->step[k];
    }
    THEN(status, nl_h5_put(file, "/curve/step", NL_H5_INT64, 1, dims, steps));
    THEN(status,
         put_losses(file, "/curve", curve->losses, sizeof *curve->losses, curve->count, column));
    free(column);
    free(steps);
    return status;
}

/** Columns of one kernel's measurements over the states. */
typedef struct kernel_columns {
    int64_t *n, *bits; /* bits: 1 done, 2 negative, 4 resolved */
    char (*solver)[text_width];
    nl_observables *observed;
    double *column;
} kernel_columns;

static bool columns_create(kernel_columns *k, int states)
{
    const size_t count = (size_t)states;

    k->n = nl_calloc(count, sizeof *k->n);
    k->bits = nl_calloc(count, sizeof *k->bits);
    k->solver = nl_calloc(count, sizeof *k->solver);
    k->observed = nl_calloc(count, sizeof *k->observed);
    k->column = nl_calloc(count, sizeof *k->column);
    return k->n && k->bits && k->solver && k->observed && k->column;
}

static void columns_destroy(kernel_columns *k)
{
    free(k->n);
    free(k->bits);
    free(k->solver);
    free(k->observed);
    free(k->column);
}

static nl_status put_measurements(nl_h5 *file, const nl_result *result, nl_kernel_spec spec,
                                  int kernel)
{
    const size_t dims[1] = {(size_t)result->states};
    kernel_columns columns = {0};
    nl_status status = NL_OK;
    char name[32];
    char folder[64];
    char path[128];

    if (!columns_create(&columns, result->states)) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a kernel's columns");
    }
    for (int s = 0; status == NL_OK && s < result->states; s++) {
        const nl_measurement *m = &result->state[s].kernels[kernel];

        columns.n[s] = m->n;
        columns.bits[s] = m->done | m->observed.negative << 1 | m->resolved << 2;
        snprintf(columns.solver[s], text_width, "%s", m->solver);
        columns.observed[s] = m->observed;
    }
    snprintf(folder, sizeof folder, "/measurements/%s", nl_kernel_name(spec, name));
    snprintf(path, sizeof path, "%s/n", folder);
    THEN(status, nl_h5_put(file, path, NL_H5_INT64, 1, dims, columns.n));
    snprintf(path, sizeof path, "%s/bits", folder);
    THEN(status, nl_h5_put(file, path, NL_H5_INT64, 1, dims, columns.bits));
    snprintf(path, sizeof path, "%s/solver", folder);
    THEN(status, nl_h5_put_texts(file, path, dims[0], text_width, columns.solver[0]));
    for (size_t m = 0; m < NL_COUNT(observed_members); m++) {
        THEN(status, put_member(file, folder, &observed_members[m], columns.observed,
                                sizeof *columns.observed, result->states, columns.column));
    }
    columns_destroy(&columns);
    return status;
}

static nl_status put_states(nl_h5 *file, const nl_result *result)
{
    const size_t dims[1] = {(size_t)result->states};
    double *column = nl_calloc(dims[0], sizeof *column);
    int64_t *whole = nl_calloc(dims[0], sizeof *whole);
    nl_status status = column == NULL || whole == NULL
                           ? NL_FAIL(NL_ERR_NOMEM, "out of memory for the states' columns")
                           : NL_OK;

    for (int s = 0; status == NL_OK && s < result->states; s++) {
        whole[s] = result->state[s].step;
    }
    THEN(status, nl_h5_put(file, "/states/step", NL_H5_INT64, 1, dims, whole));
    for (int s = 0; status == NL_OK && s < result->states; s++) {
        whole[s] = result->state[s].finite | result->state[s].collapsed << 1;
    }
    THEN(status, nl_h5_put(file, "/states/bits", NL_H5_INT64, 1, dims, whole));
    THEN(status,
         put_losses(file, "/states", (const char *)result->state + offsetof(nl_state, losses),
                    sizeof *result->state, result->states, column));
    free(column);
    free(whole);
    return status;
}

static nl_status put_snapshot(nl_h5 *file, const nl_net *net, const nl_state *state)
{
    nl_status status = NL_OK;
    char path[64];

    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];
        const size_t shape[2] = {(size_t)layer->fan_out, (size_t)layer->fan_in};

        snprintf(path, sizeof path, "/snapshots/%ld/weight%d", state->step, l);
        THEN(status, nl_h5_put(file, path, NL_H5_FLOAT, 2, shape, state->theta + layer->weights));
        snprintf(path, sizeof path, "/snapshots/%ld/bias%d", state->step, l);
        THEN(status, nl_h5_put(file, path, NL_H5_FLOAT, 1, shape, state->theta + layer->biases));
    }
    return status;
}

static nl_status put_arrays(nl_h5 *file, const nl_state *state, const nl_measure_plan *plan)
{
    nl_status status = NL_OK;
    char name[32];
    char path[96];

    for (int k = 0; k < plan->kernels; k++) {
        const nl_measurement *m = &state->kernels[k];
        const size_t shape[2] = {(size_t)m->n, (size_t)m->n};

        nl_kernel_name(plan->kernel[k], name);
        if (m->lambda != NULL) {
            snprintf(path, sizeof path, "/spectra/%s/%ld", name, state->step);
            THEN(status, nl_h5_put(file, path, NL_H5_DOUBLE, 1, shape, m->lambda));
        }
        if (m->kernel != NULL) {
            snprintf(path, sizeof path, "/kernels/%s/%ld", name, state->step);
            THEN(status, nl_h5_put(file, path, NL_H5_DOUBLE, 2, shape, m->kernel));
        }
    }
    return status;
}

nl_status nl_result_image(const nl_result *result, const nl_cell_context *context,
                          unsigned char **image, size_t *length)
{
    nl_h5 *file = NULL;
    nl_status status = nl_h5_create(&file);

    *image = NULL;
    *length = 0;
    THEN(status, put_attributes(file, result, context));
    THEN(status, put_inputs(file, context));
    THEN(status, put_curve(file, &result->curve));
    THEN(status, put_states(file, result));
    for (int k = 0; k < context->plan->kernels; k++) {
        THEN(status, put_measurements(file, result, context->plan->kernel[k], k));
    }
    for (int s = 0; s < result->states; s++) {
        if (result->state[s].theta != NULL) {
            THEN(status, put_snapshot(file, context->net, &result->state[s]));
        }
        THEN(status, put_arrays(file, &result->state[s], context->plan));
    }
    THEN(status, nl_h5_image(file, image, length));
    nl_h5_close(&file);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Reading
 *-------------------------------------------------------------------------------------------*/

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

static nl_status get_members(nl_h5 *file, const char *folder, const member *members,
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
    THEN(status, get_members(file, "/curve", loss_members, NL_COUNT(loss_members),
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
        status = get_members(file, "/states", loss_members, NL_COUNT(loss_members),
                             &result->state[0].losses, sizeof *result->state, count, column);
    }
    free(whole);
    free(column);
    return status;
}

static nl_status get_measurements(nl_h5 *file, const nl_measure_plan *plan, int kernel,
                                  nl_result *result)
{
    const size_t count = (size_t)result->states;
    kernel_columns columns = {0};
    nl_status status = NL_OK;
    char name[32];
    char folder[64];
    char path[128];

    if (!columns_create(&columns, result->states)) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a kernel's columns");
    }
    snprintf(folder, sizeof folder, "/measurements/%s", nl_kernel_name(plan->kernel[kernel], name));
    snprintf(path, sizeof path, "%s/n", folder);
    THEN(status, nl_h5_get(file, path, NL_H5_INT64, count, columns.n));
    snprintf(path, sizeof path, "%s/bits", folder);
    THEN(status, nl_h5_get(file, path, NL_H5_INT64, count, columns.bits));
    snprintf(path, sizeof path, "%s/solver", folder);
    THEN(status, nl_h5_get_texts(file, path, count, text_width, columns.solver[0]));
    THEN(status,
         get_members(file, folder, observed_members, NL_COUNT(observed_members), columns.observed,
                     sizeof *columns.observed, result->states, columns.column));
    for (int s = 0; status == NL_OK && s < result->states; s++) {
        nl_measurement *m = &result->state[s].kernels[kernel];

        m->n = (int)columns.n[s];
        m->observed = columns.observed[s];
        m->done = (columns.bits[s] & 1) != 0;
        m->observed.negative = (columns.bits[s] & 2) != 0;
        m->resolved = (columns.bits[s] & 4) != 0;
        snprintf(m->solver, sizeof m->solver, "%.*s", text_width - 1, columns.solver[s]);
    }
    columns_destroy(&columns);
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

/* Was the file written for this cell, by this format, under this plan of measurements? */
static nl_status check_identity(nl_h5 *file, const nl_study *study, const nl_cell *cell)
{
    int64_t format = 0;
    char *training = NULL;
    char *measurement = NULL;
    char expected[2][32];
    nl_status status = nl_h5_get_int(file, "/", "format", &format);

    if (status == NL_OK && format != format_version) {
        status = NL_FAIL(NL_ERR_DAMAGED, "%s: format %lld, expected %d", cell->id,
                         (long long)format, format_version);
    }
    THEN(status, nl_h5_get_text(file, "/", "training_hash", &training));
    THEN(status, nl_h5_get_text(file, "/", "measurement_hash", &measurement));
    snprintf(expected[0], sizeof expected[0], "%016llx",
             (unsigned long long)nl_cell_hash(study, cell, NL_AFFECTS_TRAINING));
    snprintf(expected[1], sizeof expected[1], "%016llx",
             (unsigned long long)nl_cell_hash(study, cell, NL_AFFECTS_MEASUREMENT));
    if (status == NL_OK && strcmp(training, expected[0]) != 0) {
        status = NL_FAIL(NL_ERR_DAMAGED, "%s: was trained with other keys", cell->id);
    }
    if (status == NL_OK && strcmp(measurement, expected[1]) != 0) {
        status = NL_ERR_STUDY;
    }
    free(training);
    free(measurement);
    return status;
}

nl_status nl_result_read(const unsigned char *image, size_t length, const nl_study *study,
                         const nl_cell *cell, const nl_net *net, const nl_measure_plan *plan,
                         bool with_theta, nl_result **out)
{
    nl_h5 *file = NULL;
    nl_result *result = NULL;
    int64_t steps[2] = {0};
    int64_t diverged = 0;
    nl_status status = nl_h5_open_image(image, length, &file);

    *out = NULL;
    THEN(status, check_identity(file, study, cell));
    THEN(status, nl_result_create(&result));
    THEN(status, nl_h5_get_int(file, "/", "parameters", &result->parameters));
    THEN(status, nl_h5_get_int(file, "/", "best_step", &steps[0]));
    THEN(status, nl_h5_get_int(file, "/", "final_step", &steps[1]));
    THEN(status, nl_h5_get_int(file, "/", "diverged", &diverged));
    THEN(status, get_curve(file, result));
    THEN(status, get_states(file, plan, result));
    for (int k = 0; k < plan->kernels; k++) {
        THEN(status, get_measurements(file, plan, k, result));
    }
    for (int s = 0; status == NL_OK && with_theta && s < result->states; s++) {
        status = get_snapshot(file, net, &result->state[s]);
    }
    nl_h5_close(&file);
    if (status != NL_OK) {
        nl_result_destroy(&result, plan->kernels);
        return status;
    }
    result->best_step = (long)steps[0];
    result->final_step = (long)steps[1];
    result->diverged = diverged != 0;
    *out = result;
    return NL_OK;
}
