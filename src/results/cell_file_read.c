/** @file cell_file_read.c  A cell's result from an HDF5 image. */
#include "cell_file.h"
#include "cell_file_limits.h"
#include "snapshots.h"

#include "ntklens/cell_files.h"
#include "ntklens/folder.h"
#include "ntklens/io.h"
#include "ntklens/machine.h"
#include "ntklens/quadrature.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/** What is read, and what it may hold at most. */
typedef struct source {
    nl_h5_reader file;
    nl_cell_file_limits limits;
} source;

static double *member_at(void *object, const nl_member *m)
{
    return (double *)(void *)((char *)object + m->offset);
}

/* A step that a training of the cell can have, from `first` on. */
static nl_status check_step(const source *from, const char *what, int64_t step, int64_t first)
{
    return step >= first && step <= from->limits.max_steps
               ? NL_OK
               : NL_FAIL(NL_ERR_DAMAGED, "%s: %s %lld, expected %lld to %ld", from->file.name, what,
                         (long long)step, (long long)first, from->limits.max_steps);
}

/* An ascending list of steps; *steps: free(). */
static nl_status get_steps(const source *from, const char *path, int most, int64_t **steps,
                           int *count)
{
    size_t dims[1] = {0};
    nl_status status = nl_h5_shape(&from->file, path, 1, dims);

    *steps = NULL;
    *count = 0;
    if (status == NL_OK && dims[0] > (size_t)most) {
        status = NL_FAIL(NL_ERR_DAMAGED, "%s: %s has %zu entries, expected %d at most",
                         from->file.name, path, dims[0], most);
    }
    if (status != NL_OK) {
        return status;
    }
    *steps = nl_calloc(dims[0], sizeof **steps);
    if (*steps == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %s", path);
    }
    *count = (int)dims[0];
    status = nl_h5_get(&from->file, path, NL_H5_INT64, dims[0], *steps);
    for (int k = 0; status == NL_OK && k < *count; k++) {
        status = check_step(from, path, (*steps)[k], k > 0 ? (*steps)[k - 1] + 1 : 0);
    }
    return status;
}

/** Objects that have members in common. */
typedef struct objects {
    void *first;
    size_t stride;
    int count;
    double *column; /* [count], scratch */
} objects;

static nl_status get_members(const nl_h5_reader *file, const char *folder, const nl_member *members,
                             size_t member_count, const objects *to)
{
    nl_status status = NL_OK;
    char path[128];

    for (size_t m = 0; m < member_count; m++) {
        snprintf(path, sizeof path, "%s/%s", folder, members[m].name);
        THEN(status, nl_h5_get(file, path, NL_H5_DOUBLE, (size_t)to->count, to->column));
        for (int k = 0; status == NL_OK && k < to->count; k++) {
            *member_at((char *)to->first + (size_t)k * to->stride, &members[m]) = to->column[k];
        }
    }
    return status;
}

/* Observables of one kernel.  A file of an older version has fewer: NaN is what is not known. */
static nl_status get_observed(const nl_h5_reader *file, const char *folder, int count,
                              nl_kernel_columns *columns, bool *lacking)
{
    nl_status status = NL_OK;
    char path[128];

    for (int m = 0; status == NL_OK && m < nl_observed_member_count; m++) {
        const nl_member *member = &nl_observed_members[m];

        snprintf(path, sizeof path, "%s/%s", folder, member->name);
        if (m >= nl_first_late_observable && !nl_h5_exists(file, path)) {
            *lacking = true;
            for (int s = 0; s < count; s++) {
                *member_at(&columns->observed[s], member) = NAN;
            }
        } else {
            status = get_members(
                file, folder, member, 1,
                &(objects){columns->observed, sizeof *columns->observed, count, columns->column});
        }
    }
    return status;
}

static nl_status get_curve(const source *from, nl_record *record)
{
    const nl_losses none = {0};
    int64_t *steps = NULL;
    int count = 0;
    nl_status status = get_steps(from, "/curve/step", from->limits.curve, &steps, &count);
    double *column = nl_calloc((size_t)count, sizeof *column);

    if (status == NL_OK && column == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a curve");
    }
    for (int k = 0; status == NL_OK && k < count; k++) {
        status = nl_curve_append(&record->curve, (long)steps[k], &none);
    }
    THEN(status, get_members(&from->file, "/curve", nl_loss_members, nl_loss_member_count,
                             &(objects){record->curve.losses, sizeof(nl_losses), count, column}));
    free(steps);
    free(column);
    return status;
}

/* A file of an older version has fewer columns: NaN is what is not known. */
static nl_status get_regressions(const nl_h5_reader *file, const nl_measure_plan *plan, int count,
                                 double *column, nl_record *record)
{
    const bool all =
        nl_h5_exists(file, "/states/regression_learnability"); /* the last one of its kind */

    record->lacking = record->lacking || (!all && plan->regression_train > 0);
    return get_members(
        file, "/states", nl_regression_members,
        all ? nl_regression_member_count : nl_first_late_regression,
        &(objects){&record->state[0].regression, sizeof *record->state, count, column});
}

static nl_status get_states(const source *from, const nl_measure_plan *plan, nl_record *record)
{
    const nl_h5_reader *file = &from->file;
    int64_t *whole = NULL;
    int count = 0;
    nl_status status = get_steps(from, "/states/step", from->limits.states, &whole, &count);
    double *column = nl_calloc((size_t)count, sizeof *column);

    if (status == NL_OK && column == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a cell's states");
    }
    for (int s = 0; status == NL_OK && s < count; s++) {
        if (nl_record_state(record, plan, (long)whole[s]) == NULL) {
            status = NL_ERR_NOMEM;
        }
    }
    THEN(status, nl_h5_get(file, "/states/bits", NL_H5_INT64, (size_t)count, whole));
    for (int s = 0; status == NL_OK && s < count; s++) {
        record->state[s].finite = (whole[s] & 1) != 0;
        record->state[s].collapsed = (whole[s] & 2) != 0;
    }
    if (status == NL_OK && count > 0) {
        status =
            get_members(file, "/states", nl_loss_members, nl_loss_member_count,
                        &(objects){&record->state[0].losses, sizeof *record->state, count, column});
        THEN(status, get_regressions(file, plan, count, column, record));
    }
    free(whole);
    free(column);
    return status;
}

/* Of the order that the plan wants, 0 where it was not measured; solved by a word: it goes into the
 * table as it is. */
static nl_status check_measurement(const nl_h5_reader *file, int order, const nl_measurement *m)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";

    if ((m->n != order && (m->n != 0 || m->done)) || (unsigned)m->method >= NL_METHOD_COUNT ||
        m->solver[strspn(m->solver, letters)] != '\0') {
        return NL_FAIL(NL_ERR_DAMAGED, "%s: a kernel of order %d by solver %s, expected order %d",
                       file->name, m->n, m->solver, order);
    }
    return NL_OK;
}

/* Files of before there were other methods have exact entropies, and do not say so. */
static nl_status get_errors(const nl_h5_reader *file, const char *folder, int count,
                            nl_kernel_columns *columns)
{
    char path[128];

    snprintf(path, sizeof path, "%s/entropy_error", folder);
    if (nl_h5_exists(file, path)) {
        return nl_h5_get(file, path, NL_H5_DOUBLE, (size_t)count, columns->error);
    }
    for (int s = 0; s < count; s++) {
        columns->error[s] = isnan(columns->observed[s].entropy) ? NAN : 0.0;
    }
    return NL_OK;
}

static nl_status get_measurements(const nl_h5_reader *file, const nl_measure_plan *plan, int kernel,
                                  nl_record *record)
{
    const size_t count = (size_t)record->states;
    const int order = nl_measure_order(plan, kernel);
    nl_kernel_columns columns = {0};
    nl_status status = nl_kernel_columns_create(&columns, record->states);
    char name[nl_measure_name_size];
    char folder[64];
    char path[128];

    snprintf(folder, sizeof folder, "/measurements/%s", nl_measure_name(plan, kernel, name));
    snprintf(path, sizeof path, "%s/n", folder);
    THEN(status, nl_h5_get(file, path, NL_H5_INT64, count, columns.n));
    snprintf(path, sizeof path, "%s/bits", folder);
    THEN(status, nl_h5_get(file, path, NL_H5_INT64, count, columns.bits));
    snprintf(path, sizeof path, "%s/solver", folder);
    THEN(status, nl_h5_get_texts(file, path, count, nl_file_text_width, columns.solver[0]));
    THEN(status, get_observed(file, folder, record->states, &columns, &record->lacking));
    THEN(status, get_errors(file, folder, record->states, &columns));
    for (int s = 0; status == NL_OK && s < record->states; s++) {
        nl_measurement *m = &record->state[s].kernels[kernel];

        m->n = columns.n[s] >= 0 && columns.n[s] <= INT_MAX ? (int)columns.n[s] : -1;
        m->observed = columns.observed[s];
        m->done = (columns.bits[s] & 1) != 0;
        m->observed.negative = (columns.bits[s] & 2) != 0;
        m->fallback = (columns.bits[s] & 4) != 0;
        m->refilled = (columns.bits[s] & 8) != 0;
        m->method = (nl_method)(columns.bits[s] >> nl_method_bit);
        m->entropy_error = columns.error[s];
        snprintf(m->solver, sizeof m->solver, "%.*s", nl_file_text_width - 1, columns.solver[s]);
        status = check_measurement(file, order, m);
    }
    nl_kernel_columns_free(&columns);
    return status;
}

static nl_status get_snapshot(const nl_h5_reader *file, const nl_net *net, nl_state *state)
{
    char path[64];

    snprintf(path, sizeof path, "/snapshots/%ld", state->step);
    if (!nl_h5_exists(file, path)) {
        return NL_OK;
    }
    state->theta = nl_calloc(net->size, sizeof *state->theta);
    if (state->theta == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a snapshot of %zu parameters", net->size);
    }
    return nl_snapshot_get(file, net, state->step, state->theta);
}

/** An array of one kernel and state. */
typedef struct array {
    const char *folder;
    int rank;
    size_t rows, columns; /* at most; 1 where the rank is 1 */
    bool shorter;         /* it may have fewer rows */
    double **to;
    int *length; /* rows that it has; NULL: as many */
} array;

/* *to stays NULL where the file holds none. */
static nl_status get_array(const nl_h5_reader *file, const char *path, const array *a)
{
    size_t dims[2] = {0, 1};
    nl_status status = NL_OK;

    if (!nl_h5_exists(file, path)) {
        return NL_OK;
    }
    status =
        nl_h5_shape(file, path, a->rank, dims); /* before there is memory for what it may lack */
    if (status == NL_OK &&
        (dims[0] > a->rows || (dims[0] < a->rows && !a->shorter) || dims[1] != a->columns)) {
        status = NL_FAIL(NL_ERR_DAMAGED, "%s: %s is %zu x %zu, not %zu x %zu", file->name, path,
                         dims[0], dims[1], a->rows, a->columns);
    }
    if (status != NL_OK) {
        return status;
    }
    *a->to = nl_calloc(dims[0] * dims[1], sizeof **a->to);
    if (*a->to == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %s", path);
    }
    if (a->length != NULL) {
        *a->length = (int)dims[0];
    }
    return nl_h5_get(file, path, NL_H5_DOUBLE, dims[0] * dims[1], *a->to);
}

/* Spectra, matrices and directions of one state. */
static nl_status get_arrays(const nl_h5_reader *file, const nl_measure_plan *plan, nl_state *state)
{
    nl_status status = NL_OK;
    char name[nl_measure_name_size];
    char path[96];

    for (int k = 0; status == NL_OK && k < plan->kernels; k++) {
        nl_measurement *m = &state->kernels[k];
        const size_t n = (size_t)m->n;
        const bool short_one = m->method == NL_METHOD_QUADRATURE;
        const array arrays[] = {
            {"spectra", 1, n, 1, short_one, &m->lambda, &m->values},
            {"rank_curve", 2, nl_quadrature_curve, 2, true, &m->rank_curve, &m->points},
            {"kernels", 2, n, n, false, &m->kernel, NULL},
            {"target_power", 1, n, 1, false, &m->directions.target_power, NULL},
            {"gradient_power", 1, n, 1, false, &m->directions.gradient_power, NULL}};

        nl_measure_name(plan, k, name);
        for (size_t a = 0; status == NL_OK && a < NL_COUNT(arrays); a++) {
            snprintf(path, sizeof path, "/%s/%s/%ld", arrays[a].folder, name, state->step);
            status = get_array(file, path, &arrays[a]);
        }
    }
    return status;
}

/* A dataset of `count` floats; *out stays NULL where there is none. */
static nl_status get_floats(const nl_h5_reader *file, const char *path, size_t count, float **out)
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
static nl_status get_theta(const nl_h5_reader *file, const char *path, const nl_net *net,
                           const nl_record *record, long step, float **out)
{
    const nl_state *state = nl_record_find(record, step);
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

static nl_status get_continuation(const source *from, const nl_net *net, const nl_record *record,
                                  nl_continuation *c)
{
    const nl_h5_reader *file = &from->file;
    int64_t steps[3] = {0};
    nl_status status = get_floats(file, "/training/theta", net->size, &c->theta);

    if (status != NL_OK || c->theta == NULL) {
        return status; /* a damaged file, or one without a continuation */
    }
    THEN(status, nl_h5_get_int(file, "/training", "step", &steps[0]));
    THEN(status, nl_h5_get_int(file, "/training", "best_step", &steps[1]));
    THEN(status, nl_h5_get_int(file, "/training", "previous_step", &steps[2]));
    THEN(status, check_step(from, "/training is at step", steps[0], 0));
    THEN(status, check_step(from, "/training has its best step at", steps[1], -1));
    THEN(status, check_step(from, "/training has its previous step at", steps[2], -1));
    THEN(status, nl_h5_get_double(file, "/training", "best_loss", &c->best_loss));
    if (status == NL_OK && nl_h5_exists(file, "/training/optimizer")) {
        status = nl_h5_shape(file, "/training/optimizer", 1, &c->optimizer_size);
        THEN(status, get_floats(file, "/training/optimizer", c->optimizer_size, &c->optimizer));
    }
    c->step = (long)steps[0];
    c->best_step = (long)steps[1];
    c->previous_step = (long)steps[2];
    THEN(status, get_theta(file, "/training/best", net, record, c->best_step, &c->best_theta));
    THEN(status,
         get_theta(file, "/training/previous", net, record, c->previous_step, &c->previous_theta));
    if (status == NL_OK && c->best_step >= 0 && c->best_theta == NULL) {
        status = NL_FAIL(NL_ERR_DAMAGED, "%s: the best state of step %ld is missing", file->name,
                         c->best_step);
    }
    return status;
}

/* The fingerprint of the images it was made from, "" where it carries none. */
static nl_status get_fingerprint(const nl_h5_reader *file, char out[nl_fingerprint_width])
{
    char *text = NULL;
    nl_status status = NL_OK;

    out[0] = '\0';
    if (nl_h5_has_attribute(file, "/", NL_FACT_FINGERPRINT)) {
        status = nl_h5_get_text(file, "/", NL_FACT_FINGERPRINT, &text);
    }
    if (text != NULL && !nl_images_is_fingerprint(text)) {
        status = NL_FAIL(NL_ERR_DAMAGED, "%s: its " NL_FACT_FINGERPRINT " is none", file->name);
    } else if (text != NULL) {
        snprintf(out, nl_fingerprint_width, "%s", text);
    }
    free(text);
    return status;
}

/* Was the file written for this cell, by this format, from these images, under this plan of
 * measurements? */
static nl_status check_identity(const nl_h5_reader *file, const nl_study *study,
                                const nl_cell *cell, int what)
{
    int64_t format = 0;
    char *training = NULL;
    char *measurement = NULL;
    char expected[2][32];
    char images[nl_fingerprint_width];
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
    THEN(status, get_fingerprint(file, images));
    THEN(status, nl_images_agree(cell->id, images, cell->fingerprint, ""));
    if (status == NL_OK && (what & NL_READ_MEASUREMENTS) != 0 &&
        strcmp(measurement, expected[1]) != 0) {
        status = NL_ERR_STUDY;
    }
    free(training);
    free(measurement);
    return status;
}

/* What the file was computed with, as far as it tells: older ones know their kernel only. */
static nl_status get_libraries(const nl_h5_reader *file, nl_record *record)
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
        snprintf(record->differs, sizeof record->differs, "%s", text.data);
    }
    nl_text_free(&text);
    return status;
}

/* Attributes of the result itself. */
static nl_status get_attributes(const source *from, nl_record *record)
{
    const nl_h5_reader *file = &from->file;
    int64_t best = 0;
    int64_t final = 0;
    int64_t diverged = 0;
    int64_t mixed = 0;
    nl_status status = nl_h5_get_int(file, "/", "parameters", &record->parameters);

    THEN(status, nl_h5_get_int(file, "/", "weights", &record->weights));
    THEN(status, nl_h5_get_int(file, "/", "best_step", &best));
    THEN(status, nl_h5_get_int(file, "/", "final_step", &final));
    THEN(status, check_step(from, "best_step is", best, -1));
    THEN(status, check_step(from, "final_step is", final, -1));
    THEN(status, nl_h5_get_int(file, "/", "diverged", &diverged));
    THEN(status, nl_h5_get_int(file, "/", "mixed_blas_kernels", &mixed));
    THEN(status, get_libraries(file, record));
    THEN(status, get_fingerprint(file, record->fingerprint));
    record->best_step = (long)best;
    record->final_step = (long) final;
    record->diverged = diverged != 0;
    record->mixed = mixed != 0;
    return status;
}

nl_status nl_cell_file_read(const unsigned char *image, size_t length,
                            const nl_cell_expected *expected, nl_record **out,
                            nl_continuation *continuation)
{
    const nl_study *study = expected->study;
    const nl_cell *cell = expected->cell;
    const nl_net *net = expected->net;
    const nl_measure_plan *plan = expected->plan;
    const int what = expected->what;
    source from = {.limits = nl_cell_file_limits_of(cell, plan, what)};
    const nl_h5_reader *file = &from.file;
    nl_record *record = NULL;
    nl_status status = nl_h5_open_image(image, length, cell->id, &from.file);

    *out = NULL;
    if (continuation != NULL) {
        *continuation = (nl_continuation){.best_step = -1};
    }
    THEN(status, check_identity(file, study, cell, what));
    THEN(status, nl_record_create(&record));
    THEN(status, get_attributes(&from, record));
    THEN(status, get_curve(&from, record));
    THEN(status, get_states(&from, plan, record));
    for (int k = 0; (what & NL_READ_MEASUREMENTS) != 0 && k < plan->kernels; k++) {
        THEN(status, get_measurements(file, plan, k, record));
    }
    for (int s = 0; status == NL_OK && s < record->states; s++) {
        if ((what & NL_READ_THETA) != 0) {
            status = get_snapshot(file, net, &record->state[s]);
        }
        if ((what & NL_READ_ARRAYS) != 0) {
            THEN(status, get_arrays(file, plan, &record->state[s]));
        }
    }
    if (continuation != NULL) {
        THEN(status, get_continuation(&from, net, record, continuation));
    }
    if (status != NL_OK) {
        nl_record_destroy(&record, plan->kernels);
        if (continuation != NULL) {
            nl_continuation_free(continuation);
        }
        return status;
    }
    *out = record;
    return NL_OK;
}

nl_status nl_cell_file_fingerprint(const char *path, size_t limit, char out[nl_fingerprint_width])
{
    unsigned char *image = NULL;
    size_t length = 0;
    nl_h5_reader file;
    nl_status status = nl_file_read_limited(path, NL_SEALED, limit, &image, &length);

    out[0] = '\0';
    THEN(status, nl_h5_open_image(image, length, path, &file));
    THEN(status, get_fingerprint(&file, out));
    free(image);
    return status;
}

nl_status nl_cell_file_read_finished(const char *path, const nl_study *study, const nl_cell *cell,
                                     const nl_measure_plan *plan, nl_record **out, const char **why)
{
    unsigned char *image = NULL;
    size_t length = 0;
    nl_status status =
        nl_file_read_limited(path, NL_SEALED, nl_cell_file_limit(cell, plan), &image, &length);

    *out = NULL;
    *why = NULL;
    THEN(status,
         nl_cell_file_read(image, length,
                           &(nl_cell_expected){study, cell, NULL, plan, NL_READ_MEASUREMENTS}, out,
                           NULL));
    free(image);
    if (status == NL_OK && !nl_record_complete(*out, plan)) {
        nl_record_destroy(out, plan->kernels);
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
