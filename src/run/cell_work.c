/** @file cell_work.c  What every phase does with a cell: open it, measure a kernel, keep what is
 * known, tell the root. */
#include "cell_work.h"
#include "messages.h"
#include "resume.h"

#include "ntklens/cell_files.h"
#include "ntklens/io.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const double disk_bytes = 500e6; /* a second */

nl_status nl_cell_work_open(nl_run *run, int index, nl_cell_work *work)
{
    const nl_cell *cell = &run->in.cells[index];
    nl_status status = NL_OK;

    *work = (nl_cell_work){.run = run,
                           .index = index,
                           .cell = cell,
                           .solve = nl_solve_table_of(&run->in.solves, index),
                           .last_checkpoint = nl_now()};
    status = nl_cell_net_create(cell, run->in.splits->info, &work->net);
    if (status == NL_OK) {
        status = nl_cell_data_create(&run->in.study->spec.split, run->in.splits, cell->n_train,
                                     cell->seed, &work->data);
    }
    return status;
}

void nl_cell_work_close(nl_cell_work *work)
{
    nl_training_destroy(&work->training);
    free(work->initial);
    nl_regression_set_free(&work->regression);
    nl_cell_data_destroy(&work->data);
    nl_net_destroy(&work->net);
}

/*---------------------------------------------------------------------------------------------
 * What a measurer may ask
 *-------------------------------------------------------------------------------------------*/

static bool is_stopping(const void *context)
{
    return nl_run_stopping(context);
}

static bool may_write(const void *context)
{
    return nl_run_may_write(context);
}

static nl_status tell(const void *context, int cell, const char *event, const char *reason)
{
    const nl_run *run = context;

    return nl_send_event(run->schedule.service, cell, run->in.team->rank, event, reason);
}

nl_status nl_cell_work_measurer(nl_run *run, MPI_Comm comm, nl_measurer **out)
{
    nl_status status = nl_measurer_create(comm, &run->in.study->spec, run->in.plan, out);

    if (*out != NULL) {
        (*out)->interrupt = (nl_interrupt){is_stopping, run};
        (*out)->keeping = (nl_keeping){.folder = run->in.options->folder,
                                       .every = run->clock.checkpoint_every,
                                       .may_write = may_write,
                                       .tell = tell,
                                       .context = run};
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Keeping
 *-------------------------------------------------------------------------------------------*/

static void drop_unwanted_snapshots(const nl_run *run, nl_record *record)
{
    for (int s = 0; s < record->states; s++) {
        if (!nl_record_wants_snapshot(run, record, &record->state[s])) {
            free(record->state[s].theta);
            record->state[s].theta = NULL;
        }
    }
}

nl_status nl_state_keep_theta(const nl_net *net, const float *theta, nl_state *state)
{
    if (state->theta == NULL) {
        state->theta = nl_calloc(net->size, sizeof *state->theta);
        if (state->theta == NULL) {
            return NL_FAIL(NL_ERR_NOMEM, "out of memory for a snapshot of %zu parameters",
                           net->size);
        }
        memcpy(state->theta, theta, net->size * sizeof *theta);
    }
    return NL_OK;
}

static nl_cell_context context_of(const nl_cell_work *work, const nl_continuation *continuation,
                                  bool unfinished)
{
    const nl_run *run = work->run;
    const nl_splits *splits = run->in.splits;
    nl_cell_context context = {
        .study = run->in.study,
        .cell = work->cell,
        .net = work->net,
        .plan = run->in.plan,
        .continuation = continuation,
        .unfinished = unfinished,
        .probe = work->data->probe_inputs,
        .probe_labels = work->data->probe.labels,
        .train = work->data->train.count,
        .test = splits->test.count,
        .validation = splits->validation.count,
        .train_index = work->data->train.index,
        .test_index = splits->test.index,
        .validation_index = splits->validation.index,
        .probe_index = work->data->probe.index,
        .train_labels = work->data->train.labels,
        .channels = splits->scaling.channels,
        .mean = splits->scaling.mean,
        .std = splits->scaling.std,
    };

    return context;
}

/* A quadrature is left within a second, and so is the fill of a dual, once it is written. */
static double unbroken_seconds(const nl_solve_plan *solve, double seconds, double solved)
{
    const double matrix = (double)sizeof(double) * solve->order * solve->order / solve->team;

    switch (solve->method) {
    case NL_METHOD_QUADRATURE:
        return 0.0;
    case NL_METHOD_DUAL:
        return fmin(solved + matrix / disk_bytes, seconds);
    default:
        return seconds;
    }
}

void nl_cell_work_set_reserve(const nl_cell_work *work)
{
    double longest =
        work->training != NULL ? nl_training_clock(work->training).longest_evaluation : 0.0;

    for (int k = 0; k < work->run->in.plan->kernels; k++) {
        longest = fmax(longest, work->run->clock.kernel[k].unbroken);
    }
    longest = fmax(longest, work->run->clock.regression_seconds);
    atomic_store(&work->run->clock.reserve, (long)(1e3 * (longest + 2.0 * work->last_write)));
}

/* A finished cell goes to cells/, an unfinished one to checkpoints/, where the one before is kept.
 */
nl_status nl_cell_work_write(nl_cell_work *work, const nl_record *record,
                             const nl_continuation *continuation, bool unfinished)
{
    const double start = nl_now();
    const nl_cell_context context = context_of(work, continuation, unfinished);
    unsigned char *image = NULL;
    size_t length = 0;
    char *path = nl_cell_path(work->run->in.options->folder, unfinished ? "checkpoints" : "cells",
                              work->cell);
    char *previous =
        nl_cell_path(work->run->in.options->folder, "checkpoints/previous", work->cell);
    nl_status status = nl_cell_file_image(record, &context, &image, &length);

    if (status == NL_OK && !nl_run_may_write(work->run)) {
        status = NL_ERR_BUSY; /* the root tells */
    }
    if (status == NL_OK && (path == NULL || previous == NULL)) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");
    }
    if (status == NL_OK) {
        status = nl_file_write_kept(path, unfinished ? previous : NULL, image, length, NL_SEALED);
    }
    free(image);
    free(path);
    free(previous);
    work->last_write = nl_now() - start;
    work->write_seconds += work->last_write;
    work->last_checkpoint = nl_now();
    nl_cell_work_set_reserve(work);
    return status;
}

/* Is it time for a checkpoint, before something that takes `ahead` seconds?  Where writing is slow
 * it is done less often: it may cost 2 % of the time. */
bool nl_cell_work_checkpoint_due(const nl_cell_work *work, double ahead)
{
    const double interval = work->run->clock.checkpoint_every > 50.0 * work->last_write
                                ? work->run->clock.checkpoint_every
                                : 50.0 * work->last_write;

    return nl_now() - work->last_checkpoint + ahead >= interval;
}

/* The cell is done: into cells/, and its rows to the root. */
nl_status nl_cell_work_finish(nl_cell_work *work, nl_record *record,
                              const nl_continuation *continuation)
{
    nl_run *run = work->run;
    const bool extendable = continuation != NULL && continuation->theta != NULL &&
                            !record->diverged && run->in.study->spec.snapshots != NL_SNAPSHOTS_NONE;
    nl_row *rows = NULL;
    int count = 0;
    nl_status status = NL_OK;

    /* Also where an earlier run, from whose checkpoint this one went on, could not have it. */
    work->unverified = !nl_record_complete(record, run->in.plan);
    drop_unwanted_snapshots(run, record);
    status = nl_cell_work_write(work, record, extendable ? continuation : NULL, false);
    if (status == NL_OK) {
        status = nl_record_rows(record, run->in.plan, run->in.cells, work->index, &rows, &count);
    }
    if (status == NL_OK) {
        status = nl_send_rows(run->schedule.service, run->in.cells, work->index, rows, count);
    }
    free(rows);
    if (status == NL_OK) {
        nl_remove_checkpoints(run, work->cell);
        run->schedule.phase[work->index] = NL_CELL_FINISHED;
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Measuring
 *-------------------------------------------------------------------------------------------*/

const float *nl_cell_work_initial(nl_cell_work *work)
{
    if (work->initial == NULL) {
        work->initial = nl_calloc(work->net->size, sizeof *work->initial);
        if (work->initial == NULL) {
            (void)NL_FAIL(NL_ERR_NOMEM, "out of memory for %zu initial parameters",
                          work->net->size);
            return NULL;
        }
        nl_net_initialize(work->net, work->cell->seed, work->initial);
    }
    return work->initial;
}

nl_status nl_cell_work_previous(nl_cell_work *work, const nl_record *record, const nl_state *state,
                                long *step, const float **theta)
{
    const nl_state *from = NULL;
    nl_status status = nl_record_velocity_step(record, work->run->in.plan, state->step, step);

    *theta = NULL;
    if (status != NL_OK || *step < 0) {
        return status;
    }
    from = nl_record_find(record, *step);
    if (*step == 0) {
        *theta = nl_cell_work_initial(work);
        return *theta != NULL ? NL_OK : NL_ERR_NOMEM;
    }
    *theta = from != NULL && from->theta != NULL ? from->theta
             : work->training != NULL            ? nl_training_previous_theta(work->training, *step)
                                                 : NULL;
    if (*theta == NULL) {
        return NL_FAIL(NL_ERR_INTERNAL, "%s: parameters of step %ld are not kept for step %ld",
                       work->cell->id, *step, state->step);
    }
    return NL_OK;
}

/* Closed forms of this cell's kernels: those of the cell before where they are the same. */
static nl_status find_closed_forms(const nl_cell_work *work)
{
    const nl_run *run = work->run;
    nl_closed_forms *closed = &work->run->closed;
    const uint32_t seed =
        nl_probe_depends_on_seed(&run->in.study->spec.split) ? work->cell->seed : 0;
    nl_status status = NL_OK;

    if (!nl_net_spec_equal(&closed->spec, &work->net->spec) ||
        closed->optimizer != work->net->optimizer || closed->seed != seed) {
        nl_infinite_destroy(&closed->infinite[0]);
        nl_infinite_destroy(&closed->infinite[1]);
        closed->spec = work->net->spec;
        closed->optimizer = work->net->optimizer;
        closed->seed = seed;
    }
    for (int k = 0; status == NL_OK && k < run->in.plan->kernels; k++) {
        const bool weighted = run->in.plan->kernel[k].rate_weighted;

        if (closed->infinite[weighted] == NULL && nl_infinite_is_known(&closed->spec) &&
            work->solve[k].method == NL_METHOD_PRIMAL) {
            status = nl_infinite_create(work->net, NL_INFINITE_AT_WIDTH, weighted,
                                        nl_infinite_samples(run->in.plan, work->solve),
                                        work->data->probe_inputs, &closed->infinite[weighted]);
        }
    }
    return status;
}

nl_status nl_cell_work_begin(nl_cell_work *work, nl_measurer *measurer, const nl_moment *moment,
                             bool *collapsed)
{
    nl_measure_state state = {.cell = work->index,
                              .id = work->cell->id,
                              .net = work->net,
                              .theta = moment->theta,
                              .step = moment->step,
                              .initial = work->initial,
                              .previous = moment->previous,
                              .previous_step = moment->previous_step,
                              .probe = work->data->probe_inputs,
                              .labels = work->data->probe.labels,
                              .loss = nl_cell_train_spec(work->cell).loss};
    nl_status status = nl_agree(measurer->grid->comm, find_closed_forms(work));

    if (status != NL_OK) {
        return status;
    }
    state.infinite[0] = work->run->closed.infinite[0];
    state.infinite[1] = work->run->closed.infinite[1];
    return nl_measure_begin(measurer, &state, collapsed);
}

/* A kernel without a verified spectrum is left undone: the study goes on and ends with that status.
 */
nl_status nl_cell_work_measure(nl_cell_work *work, nl_measurer *measurer, int kernel,
                               nl_measurement *out)
{
    const double start = nl_now();
    const double solved = measurer->solve_seconds;
    nl_status status = nl_measure_kernel(measurer, &work->solve[kernel], kernel, out);
    nl_kernel_clock *clock = &work->run->clock.kernel[kernel];

    clock->seconds = nl_now() - start;
    clock->unbroken =
        unbroken_seconds(&work->solve[kernel], clock->seconds, measurer->solve_seconds - solved);
    nl_cell_work_set_reserve(work);
    if (status == NL_ERR_NUMERIC) {
        work->unverified = true;
        return NL_OK;
    }
    return status;
}

nl_status nl_cell_work_regress(nl_cell_work *work, const float *theta, nl_state *state)
{
    nl_run *run = work->run;
    const double start = nl_now();
    nl_status status = NL_OK;

    if (run->in.plan->regression_train == 0) {
        return NL_OK;
    }
    if (work->regression.x == NULL) {
        status =
            nl_regression_set_create(run->in.plan, run->in.splits, work->data, &work->regression);
    }
    if (status == NL_OK) {
        status = nl_regress_network(run->alone->grid, run->in.plan, &work->regression, work->net,
                                    theta, &state->regression);
    }
    run->clock.regression_seconds = nl_now() - start;
    run->alone->gram_seconds += run->clock.regression_seconds; /* nearly all of it */
    nl_cell_work_set_reserve(work);
    return status;
}

nl_status nl_cell_work_send_seconds(const nl_cell_work *work, const char *phase, double seconds)
{
    return seconds > 0.0 ? nl_send_timing(work->run->schedule.service, work->index,
                                          work->run->in.team->rank, phase, seconds)
                         : NL_OK;
}

nl_status nl_cell_work_send_measuring(const nl_cell_work *work, nl_measurer *measurer)
{
    nl_status status = nl_cell_work_send_seconds(work, "gram", measurer->gram_seconds);

    if (status == NL_OK) {
        status = nl_cell_work_send_seconds(work, "solve", measurer->solve_seconds);
    }
    if (status == NL_OK) {
        status = nl_cell_work_send_seconds(work, "observe", measurer->observe_seconds);
    }
    if (status == NL_OK) {
        status = nl_cell_work_send_seconds(work, "write", work->write_seconds);
    }
    measurer->gram_seconds = 0.0;
    measurer->solve_seconds = 0.0;
    measurer->observe_seconds = 0.0;
    return status;
}
