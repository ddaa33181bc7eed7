/** @file cell_file_write.c  A cell's result as an HDF5 image. */
#include "cell_file.h"
#include "snapshots.h"

#include "ntklens/cell_files.h"
#include "ntklens/io.h"
#include "ntklens/machine.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static nl_status put_key_attributes(nl_h5 *file, const nl_cell *cell)
{
    nl_status status = NL_OK;

    for (int k = 0; k < nl_cell_value_count(); k++) {
        const nl_cell_value value = nl_cell_value_at(cell, k);

        if (value.word != NULL && value.word[0] == '\0') {
            continue; /* its kind has no such key */
        }
        if (value.word != NULL) {
            THEN(status, nl_h5_put_text(file, "/", value.column, value.word));
        } else if (value.whole) {
            THEN(status, nl_h5_put_int(file, "/", value.column, (int64_t)value.number));
        } else {
            THEN(status, nl_h5_put_double(file, "/", value.column, value.number));
        }
    }
    return status;
}

static nl_status put_attributes(nl_h5 *file, const nl_record *record, const nl_cell_context *c)
{
    const size_t channels = (size_t)c->channels;
    const nl_libraries here = nl_libraries_here();
    nl_status status = put_key_attributes(file, c->cell);
    char hash[32];

    THEN(status, nl_h5_put_text(file, "/", "cell", c->cell->id));
    THEN(status, nl_h5_put_int(file, "/", "format", nl_file_format));
    nl_cell_hash_text(c->study, c->cell, NL_AFFECTS_TRAINING, hash);
    THEN(status, nl_h5_put_text(file, "/", "training_hash", hash));
    nl_cell_hash_text(c->study, c->cell, NL_AFFECTS_MEASUREMENT, hash);
    THEN(status, nl_h5_put_text(file, "/", "measurement_hash", hash));
    if (c->cell->fingerprint != NULL) {
        THEN(status, nl_h5_put_text(file, "/", NL_FACT_FINGERPRINT, c->cell->fingerprint));
    }
    THEN(status, nl_h5_put_text(file, "/", "program", "ntklens " NTKLENS_VERSION));
    for (int k = 0; k < nl_library_facts; k++) {
        THEN(status, nl_h5_put_text(file, "/", nl_library_names[k], here.fact[k]));
    }
    THEN(status, nl_h5_put_int(file, "/", "mixed_blas_kernels", record->mixed));
    THEN(status, nl_h5_put_int(file, "/", "parameters", record->parameters));
    THEN(status, nl_h5_put_int(file, "/", "weights", record->weights));
    THEN(status, nl_h5_put_int(file, "/", "best_step", record->best_step));
    THEN(status, nl_h5_put_int(file, "/", "final_step", record->final_step));
    THEN(status, nl_h5_put_int(file, "/", "diverged", record->diverged));
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

/** Objects that have members in common. */
typedef struct objects {
    const void *first;
    size_t stride;
    int count;
    double *column; /* [count], scratch */
} objects;

/* One double of each object as a dataset folder/name. */
static nl_status put_member(nl_h5 *file, const char *folder, const nl_member *m,
                            const objects *from)
{
    const size_t dims[1] = {(size_t)from->count};
    char path[128];

    for (int k = 0; k < from->count; k++) {
        memcpy(&from->column[k], (const char *)from->first + (size_t)k * from->stride + m->offset,
               sizeof from->column[k]);
    }
    snprintf(path, sizeof path, "%s/%s", folder, m->name);
    return nl_h5_put(file, path, NL_H5_DOUBLE, 1, dims, from->column);
}

static nl_status put_members(nl_h5 *file, const char *folder, const nl_member *members,
                             size_t member_count, const objects *from)
{
    nl_status status = NL_OK;

    for (size_t m = 0; m < member_count; m++) {
        THEN(status, put_member(file, folder, &members[m], from));
    }
    return status;
}

static nl_status put_curve(nl_h5 *file, const nl_curve *curve)
{
    const size_t dims[1] = {(size_t)curve->count};
    objects losses;
    double *column = nl_calloc((size_t)curve->count, sizeof *column);
    int64_t *steps = nl_calloc((size_t)curve->count, sizeof *steps);
    nl_status status = column == NULL || steps == NULL
                           ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a curve's file")
                           : NL_OK;

    losses = (objects){curve->losses, sizeof *curve->losses, curve->count, column};
    for (int k = 0; status == NL_OK && k < curve->count; k++) {
        steps[k] = curve->step[k];
    }
    THEN(status, nl_h5_put(file, "/curve/step", NL_H5_INT64, 1, dims, steps));
    THEN(status, put_members(file, "/curve", nl_loss_members, nl_loss_member_count, &losses));
    free(column);
    free(steps);
    return status;
}

static nl_status put_measurements(nl_h5 *file, const nl_record *record, const nl_measure_plan *plan,
                                  int kernel)
{
    const size_t dims[1] = {(size_t)record->states};
    nl_kernel_columns columns = {0};
    nl_status status = nl_kernel_columns_create(&columns, record->states);
    char name[nl_measure_name_size];
    char folder[64];
    char path[128];

    for (int s = 0; status == NL_OK && s < record->states; s++) {
        const nl_measurement *m = &record->state[s].kernels[kernel];

        columns.n[s] = m->n;
        columns.bits[s] = m->done | m->observed.negative << 1 | m->fallback << 2 |
                          m->refilled << 3 | (int)m->method << nl_method_bit;
        columns.error[s] = m->entropy_error;
        snprintf(columns.solver[s], nl_file_text_width, "%s", m->solver);
        columns.observed[s] = m->observed;
    }
    snprintf(folder, sizeof folder, "/measurements/%s", nl_measure_name(plan, kernel, name));
    snprintf(path, sizeof path, "%s/n", folder);
    THEN(status, nl_h5_put(file, path, NL_H5_INT64, 1, dims, columns.n));
    snprintf(path, sizeof path, "%s/bits", folder);
    THEN(status, nl_h5_put(file, path, NL_H5_INT64, 1, dims, columns.bits));
    snprintf(path, sizeof path, "%s/solver", folder);
    THEN(status, nl_h5_put_texts(file, path, dims[0], nl_file_text_width, columns.solver[0]));
    snprintf(path, sizeof path, "%s/entropy_error", folder);
    THEN(status, nl_h5_put(file, path, NL_H5_DOUBLE, 1, dims, columns.error));
    THEN(status, put_members(file, folder, nl_observed_members, nl_observed_member_count,
                             &(objects){columns.observed, sizeof *columns.observed, record->states,
                                        columns.column}));
    nl_kernel_columns_free(&columns);
    return status;
}

static nl_status put_states(nl_h5 *file, const nl_record *record)
{
    const size_t dims[1] = {(size_t)record->states};
    double *column = nl_calloc(dims[0], sizeof *column);
    int64_t *whole = nl_calloc(dims[0], sizeof *whole);
    nl_status status = column == NULL || whole == NULL
                           ? NL_FAIL(NL_ERR_NOMEM, "out of memory for the states' columns")
                           : NL_OK;

    for (int s = 0; status == NL_OK && s < record->states; s++) {
        whole[s] = record->state[s].step;
    }
    THEN(status, nl_h5_put(file, "/states/step", NL_H5_INT64, 1, dims, whole));
    for (int s = 0; status == NL_OK && s < record->states; s++) {
        whole[s] = record->state[s].finite | record->state[s].collapsed << 1;
    }
    THEN(status, nl_h5_put(file, "/states/bits", NL_H5_INT64, 1, dims, whole));
    THEN(status, put_members(file, "/states", nl_loss_members, nl_loss_member_count,
                             &(objects){(const char *)record->state + offsetof(nl_state, losses),
                                        sizeof *record->state, record->states, column}));
    THEN(status,
         put_members(file, "/states", nl_regression_members, nl_regression_member_count,
                     &(objects){(const char *)record->state + offsetof(nl_state, regression),
                                sizeof *record->state, record->states, column}));
    free(column);
    free(whole);
    return status;
}

static nl_status put_arrays(nl_h5 *file, const nl_state *state, const nl_measure_plan *plan)
{
    nl_status status = NL_OK;
    char name[nl_measure_name_size];
    char path[96];

    for (int k = 0; k < plan->kernels; k++) {
        const nl_measurement *m = &state->kernels[k];
        const size_t shape[2] = {(size_t)m->n, (size_t)m->n};
        const size_t values[1] = {(size_t)m->values};
        const size_t points[2] = {(size_t)m->points, 2};

        nl_measure_name(plan, k, name);
        if (m->values > 0) {
            snprintf(path, sizeof path, "/spectra/%s/%ld", name, state->step);
            THEN(status, nl_h5_put(file, path, NL_H5_DOUBLE, 1, values, m->lambda));
        }
        if (m->points > 0) {
            snprintf(path, sizeof path, "/rank_curve/%s/%ld", name, state->step);
            THEN(status, nl_h5_put(file, path, NL_H5_DOUBLE, 2, points, m->rank_curve));
        }
        if (m->kernel != NULL) {
            snprintf(path, sizeof path, "/kernels/%s/%ld", name, state->step);
            THEN(status, nl_h5_put(file, path, NL_H5_DOUBLE, 2, shape, m->kernel));
        }
        if (m->directions.target_power != NULL) {
            snprintf(path, sizeof path, "/target_power/%s/%ld", name, state->step);
            THEN(status, nl_h5_put(file, path, NL_H5_DOUBLE, 1, shape, m->directions.target_power));
            snprintf(path, sizeof path, "/gradient_power/%s/%ld", name, state->step);
            THEN(status,
                 nl_h5_put(file, path, NL_H5_DOUBLE, 1, shape, m->directions.gradient_power));
        }
    }
    return status;
}

/* A finished cell keeps it too, so that a longer max_steps need not train anew; states whose
 * snapshots are written are not written twice. */
static nl_status put_continuation(nl_h5 *file, const nl_net *net, const nl_continuation *c,
                                  const nl_record *record, bool unfinished)
{
    const nl_state *best = nl_record_find(record, c->best_step);
    const nl_state *previous = nl_record_find(record, c->previous_step);
    const bool stored = !unfinished && best != NULL && best->theta != NULL;
    nl_status status = nl_h5_put(file, "/training/theta", NL_H5_FLOAT, 1, &net->size, c->theta);

    if (c->optimizer_size > 0) {
        THEN(status, nl_h5_put(file, "/training/optimizer", NL_H5_FLOAT, 1, &c->optimizer_size,
                               c->optimizer));
    }
    if (c->best_theta != NULL && !stored) {
        THEN(status, nl_h5_put(file, "/training/best", NL_H5_FLOAT, 1, &net->size, c->best_theta));
    }
    if (c->previous_theta != NULL && (previous == NULL || previous->theta == NULL)) {
        THEN(status,
             nl_h5_put(file, "/training/previous", NL_H5_FLOAT, 1, &net->size, c->previous_theta));
    }
    THEN(status, nl_h5_put_int(file, "/training", "step", c->step));
    THEN(status, nl_h5_put_int(file, "/training", "best_step", c->best_step));
    THEN(status, nl_h5_put_int(file, "/training", "previous_step",
                               c->previous_theta != NULL ? c->previous_step : -1));
    THEN(status, nl_h5_put_double(file, "/training", "best_loss", c->best_loss));
    return status;
}

nl_status nl_cell_file_image(const nl_record *record, const nl_cell_context *context,
                             unsigned char **image, size_t *length)
{
    nl_h5 *file = NULL;
    nl_status status = nl_h5_create(&file);
    int snapshots = 0;

    *image = NULL;
    *length = 0;
    THEN(status, put_attributes(file, record, context));
    THEN(status, put_inputs(file, context));
    THEN(status, put_curve(file, &record->curve));
    THEN(status, put_states(file, record));
    for (int k = 0; k < context->plan->kernels; k++) {
        THEN(status, put_measurements(file, record, context->plan, k));
    }
    for (int s = 0; s < record->states; s++) {
        if (record->state[s].theta != NULL) {
            THEN(status, nl_snapshot_put(file, context->net, record->state[s].step,
                                         record->state[s].theta));
            snapshots++;
        }
        THEN(status, put_arrays(file, &record->state[s], context->plan));
    }
    if (snapshots > 0) {
        THEN(status, nl_snapshots_describe(file, context->net));
    }
    if (context->continuation != NULL) {
        THEN(status, put_continuation(file, context->net, context->continuation, record,
                                      context->unfinished));
    }
    THEN(status, nl_h5_image(file, image, length));
    nl_h5_close(&file);
    return status;
}
