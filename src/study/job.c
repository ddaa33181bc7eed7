/** @file job.c  What every phase does with a cell: open it, measure a kernel, keep what is known,
 * tell the root. */
#include "job.h"

#include "ntklens/io.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool nl_run_stopping(const nl_run *run)
{
    return nl_service_stopping(run->service) != 0;
}

nl_status nl_job_open(nl_run *run, int index, nl_job *job)
{
    const nl_cell *cell = &run->cells[index];
    nl_status status = NL_OK;

    *job = (nl_job){.run = run, .index = index, .cell = cell, .last_checkpoint = nl_now()};
    status = nl_cell_net_create(cell, run->splits->info, &job->net);
    if (status == NL_OK) {
        status = nl_cell_data_create(run->study, cell, run->splits, &job->data);
    }
    return status;
}

void nl_job_close(nl_job *job)
{
    nl_job_forget_errands(job);
    nl_training_destroy(&job->training);
    free(job->initial);
    nl_regression_set_free(&job->regression);
    nl_cell_data_destroy(&job->data);
    nl_net_destroy(&job->net);
}

/*---------------------------------------------------------------------------------------------
 * Keeping
 *-------------------------------------------------------------------------------------------*/

/* Is the snapshot of this state part of the results? */
bool nl_job_wants_snapshot(const nl_run *run, const nl_result *result, const nl_state *state)
{
    const char *kept = nl_study_word(run->study, NL_KEY_SNAPSHOTS);

    return strcmp(kept, "measured") == 0 ||
           (strcmp(kept, "best") == 0 && state->step == result->best_step);
}

static void drop_unwanted_snapshots(const nl_run *run, nl_result *result)
{
    for (int s = 0; s < result->states; s++) {
        if (!nl_job_wants_snapshot(run, result, &result->state[s])) {
            free(result->state[s].theta);
            result->state[s].theta = NULL;
        }
    }
}

nl_status nl_job_keep_theta(const nl_net *net, const float *theta, nl_state *state)
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

static nl_cell_context context_of(const nl_job *job, const nl_continuation *continuation,
                                  bool unfinished)
{
    const nl_run *run = job->run;
    const nl_splits *splits = run->splits;
    nl_cell_context context = {
        .study = run->study,
        .cell = job->cell,
        .net = job->net,
        .plan = run->plan,
        .continuation = continuation,
        .unfinished = unfinished,
        .probe = job->data->probe_inputs,
        .probe_labels = job->data->probe.labels,
        .train = job->data->train.count,
        .test = splits->test.count,
        .validation = splits->validation.count,
        .train_index = job->data->train.index,
        .test_index = splits->test.index,
        .validation_index = splits->validation.index,
        .probe_index = job->data->probe.index,
        .train_labels = job->data->train.labels,
        .channels = splits->info->channels,
    };

    memcpy(context.mean, splits->scaling.mean, sizeof context.mean);
    memcpy(context.std, splits->scaling.std, sizeof context.std);
    return context;
}

void nl_job_set_reserve(const nl_job *job)
{
    double longest =
        job->training != NULL ? nl_training_clock(job->training).longest_evaluation : 0.0;

    for (int k = 0; k < job->run->plan->kernels; k++) {
        longest = fmax(longest, job->run->solve_seconds[k]);
    }
    longest = fmax(longest, job->run->regression_seconds);
    atomic_store(&job->run->reserve, (long)(1e3 * (longest + 2.0 * job->last_write)));
}

/* A finished cell goes to cells/, an unfinished one to checkpoints/, where the one before is kept.
 */
nl_status nl_job_write(nl_job *job, const nl_result *result, const nl_continuation *continuation,
                       bool unfinished)
{
    const double start = nl_now();
    const nl_cell_context context = context_of(job, continuation, unfinished);
    unsigned char *image = NULL;
    size_t length = 0;
    char *path =
        nl_cell_path(job->run->options->folder, unfinished ? "checkpoints" : "cells", job->cell);
    char *previous = nl_cell_path(job->run->options->folder, "checkpoints/previous", job->cell);
    nl_status status = nl_result_image(result, &context, &image, &length);

    if (status == NL_OK && !nl_run_may_write(job->run)) {
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
    job->last_write = nl_now() - start;
    job->write_seconds += job->last_write;
    job->last_checkpoint = nl_now();
    nl_job_set_reserve(job);
    return status;
}

void nl_remove_checkpoints(const nl_run *run, const nl_cell *cell)
{
    static const char *const folders[] = {"checkpoints", "checkpoints/previous"};

    for (size_t k = 0; k < NL_COUNT(folders); k++) {
        char *path = nl_cell_path(run->options->folder, folders[k], cell);

        if (path != NULL) {
            unlink(path); /* most cells have none */
        }
        free(path);
    }
}

/* Is it time for a checkpoint, before something that takes `ahead` seconds?  Where writing is slow
 * it is done less often: it may cost 2 % of the time. */
bool nl_job_checkpoint_due(const nl_job *job, double ahead)
{
    const double interval = job->run->checkpoint_every > 50.0 * job->last_write
                                ? job->run->checkpoint_every
                                : 50.0 * job->last_write;

    return nl_now() - job->last_checkpoint + ahead >= interval;
}

/* The cell is done: into cells/, and its rows to the root. */
nl_status nl_job_finish(nl_job *job, nl_result *result, const nl_continuation *continuation)
{
    nl_run *run = job->run;
    const bool extendable = continuation != NULL && continuation->theta != NULL &&
                            !result->diverged && !nl_study_is(run->study, NL_KEY_SNAPSHOTS, "none");
    nl_row *rows = NULL;
    int count = 0;
    nl_status status = NL_OK;

    /* Also where an earlier run, from whose checkpoint this one went on, could not have it. */
    job->unverified = !nl_result_complete(result, run->plan);
    drop_unwanted_snapshots(run, result);
    status = nl_job_write(job, result, extendable ? continuation : NULL, false);
    if (status == NL_OK) {
        status = nl_result_rows(result, run->plan, run->cells, job->index, &rows, &count);
    }
    if (status == NL_OK) {
        status = nl_tell_rows(run->service, run->cells, job->index, rows, count);
    }
    free(rows);
    if (status == NL_OK) {
        nl_remove_checkpoints(run, job->cell);
        run->phase[job->index] = NL_CELL_FINISHED;
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Measuring
 *-------------------------------------------------------------------------------------------*/

const float *nl_job_initial(nl_job *job)
{
    if (job->initial == NULL) {
        job->initial = nl_calloc(job->net->size, sizeof *job->initial);
        if (job->initial == NULL) {
            (void)NL_FAIL(NL_ERR_NOMEM, "out of memory for %zu initial parameters", job->net->size);
            return NULL;
        }
        nl_net_initialize(job->net, job->cell->seed, job->initial);
    }
    return job->initial;
}

nl_status nl_job_previous(nl_job *job, const nl_result *result, const nl_state *state, long *step,
                          const float **theta)
{
    const nl_state *from = NULL;
    nl_status status = nl_result_velocity_step(result, job->run->plan, state->step, step);

    *theta = NULL;
    if (status != NL_OK || *step < 0) {
        return status;
    }
    from = nl_result_find(result, *step);
    if (*step == 0) {
        *theta = nl_job_initial(job);
        return *theta != NULL ? NL_OK : NL_ERR_NOMEM;
    }
    *theta = from != NULL && from->theta != NULL ? from->theta
             : job->training != NULL             ? nl_training_previous_theta(job->training, *step)
                                                 : NULL;
    if (*theta == NULL) {
        return NL_FAIL(NL_ERR_INTERNAL, "%s: parameters of step %ld are not kept for step %ld",
                       job->cell->id, *step, state->step);
    }
    return NL_OK;
}

/* Closed forms of this cell's kernels: those of the cell before where they are the same. */
static nl_status find_closed_forms(const nl_job *job)
{
    const nl_run *run = job->run;
    nl_closed_forms *closed = &job->run->closed;
    const uint32_t seed = nl_probe_depends_on_seed(run->study) ? job->cell->seed : 0;
    nl_status status = NL_OK;

    if (!nl_net_spec_equal(&closed->spec, &job->net->spec) ||
        closed->optimizer != job->net->optimizer || closed->seed != seed) {
        nl_infinite_destroy(&closed->infinite[0]);
        nl_infinite_destroy(&closed->infinite[1]);
        closed->spec = job->net->spec;
        closed->optimizer = job->net->optimizer;
        closed->seed = seed;
    }
    for (int k = 0; status == NL_OK && k < run->plan->kernels; k++) {
        const bool weighted = run->plan->kernel[k].rate_weighted;

        if (closed->infinite[weighted] == NULL && nl_infinite_is_known(&closed->spec)) {
            status =
                nl_infinite_create(job->net, NL_INFINITE_AT_WIDTH, weighted, run->plan->samples,
                                   job->data->probe_inputs, &closed->infinite[weighted]);
        }
    }
    return status;
}

nl_status nl_job_begin(nl_job *job, nl_measurer *measurer, const float *theta, long step,
                       const float *previous, long previous_step, bool *collapsed)
{
    nl_subject subject = {.cell = job->index,
                          .net = job->net,
                          .theta = theta,
                          .step = step,
                          .initial = job->initial,
                          .previous = previous,
                          .previous_step = previous_step,
                          .probe = job->data->probe_inputs,
                          .labels = job->data->probe.labels,
                          .loss = nl_cell_train_spec(job->cell).loss};
    nl_status status = nl_agree(measurer->grid->comm, find_closed_forms(job));

    if (status != NL_OK) {
        return status;
    }
    subject.infinite[0] = job->run->closed.infinite[0];
    subject.infinite[1] = job->run->closed.infinite[1];
    return nl_measure_begin(measurer, &subject, collapsed);
}

/* A kernel without a verified spectrum is left undone: the study goes on and ends with that status.
 */
nl_status nl_job_measure(nl_job *job, nl_measurer *measurer, int kernel, nl_measurement *out)
{
    const double start = nl_now();
    nl_status status = nl_measure_kernel(measurer, &job->run->solve[kernel], kernel, out);

    job->run->solve_seconds[kernel] = nl_now() - start;
    nl_job_set_reserve(job);
    if (status == NL_ERR_NUMERIC) {
        job->unverified = true;
        return NL_OK;
    }
    return status;
}

nl_status nl_job_regress(nl_job *job, const float *theta, nl_state *state)
{
    nl_run *run = job->run;
    const double start = nl_now();
    nl_status status = NL_OK;

    if (run->plan->regression_train == 0) {
        return NL_OK;
    }
    if (job->regression.x == NULL) {
        status = nl_regression_set_create(run->plan, run->splits, job->data, &job->regression);
    }
    if (status == NL_OK) {
        status = nl_regress_network(run->alone->grid, run->plan, &job->regression, job->net, theta,
                                    &state->regression);
    }
    run->regression_seconds = nl_now() - start;
    run->alone->gram_seconds += run->regression_seconds; /* nearly all of it */
    nl_job_set_reserve(job);
    return status;
}

nl_status nl_job_tell_seconds(const nl_job *job, const char *phase, double seconds)
{
    return seconds > 0.0
               ? nl_tell_timing(job->run->service, job->index, job->run->team->rank, phase, seconds)
               : NL_OK;
}

nl_status nl_job_tell_measuring(const nl_job *job, nl_measurer *measurer)
{
    nl_status status = nl_job_tell_seconds(job, "gram", measurer->gram_seconds);

    if (status == NL_OK) {
        status = nl_job_tell_seconds(job, "solve", measurer->solve_seconds);
    }
    if (status == NL_OK) {
        status = nl_job_tell_seconds(job, "observe", measurer->observe_seconds);
    }
    if (status == NL_OK) {
        status = nl_job_tell_seconds(job, "write", job->write_seconds);
    }
    measurer->gram_seconds = 0.0;
    measurer->solve_seconds = 0.0;
    measurer->observe_seconds = 0.0;
    return status;
}
