/** @file work.c  What a rank does with one cell: train, measure, keep, tell. */
#include "run.h"
#include "train.h"

#include "ntklens/io.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool nl_run_stopping(const nl_run *run)
{
    return nl_service_stopping(run->service) != 0;
}

static bool stop_asked(const void *run)
{
    return nl_run_stopping(run);
}

char *nl_cell_path(const nl_run *run, const char *folder, const nl_cell *cell)
{
    nl_text path = {0};

    nl_text_append(&path, "%s/%s/%s.h5", run->options->folder, folder, cell->id);
    return path.failed ? NULL : path.data;
}

/** One cell in work on one rank. */
typedef struct cell_work {
    nl_run *run;
    int index;
    const nl_cell *cell;
    nl_net *net;        /* owned */
    nl_cell_data *data; /* owned */
    double write_seconds;
    bool unverified; /* a spectrum could not be had */
} cell_work;

static nl_status open_work(nl_run *run, int index, cell_work *work)
{
    const nl_cell *cell = &run->cells[index];
    const nl_net_spec spec = nl_cell_net_spec(cell, run->splits->info);
    nl_status status = NL_OK;

    *work = (cell_work){.run = run, .index = index, .cell = cell};
    status = nl_net_create(&spec, nl_cell_train_spec(cell).optimizer, &work->net);
    if (status == NL_OK) {
        status = nl_cell_data_create(run->study, cell, run->splits, &work->data);
    }
    return status;
}

static void close_work(cell_work *work)
{
    nl_cell_data_destroy(&work->data);
    nl_net_destroy(&work->net);
}

/*---------------------------------------------------------------------------------------------
 * Measuring
 *-------------------------------------------------------------------------------------------*/

/* A kernel without a verified spectrum is left undone: the study goes on and ends with that status.
 */
static nl_status measure(cell_work *work, nl_measurer *measurer, int kernel, const float *theta,
                         nl_measurement *out)
{
    nl_status status = nl_measure_kernel(measurer, &work->run->solve[kernel], kernel, work->net,
                                         theta, work->data->probe_inputs, out);

    if (status == NL_ERR_NUMERIC) {
        work->unverified = true;
        return NL_OK;
    }
    return status;
}

/* All kernels of a state that this rank measures alone; the others are left for a team. */
static nl_status measure_private(cell_work *work, const float *theta, nl_state *state)
{
    nl_run *run = work->run;
    nl_status status = NL_OK;

    for (int k = 0; k < run->plan->kernels; k++) {
        nl_measurement_clear(&state->kernels[k], run->solve[k].n);
    }
    if (!state->finite) {
        return NL_OK;
    }
    status = nl_state_collapsed(work->net, theta, work->data->probe_inputs, run->plan->samples,
                                &state->collapsed);
    for (int k = 0; status == NL_OK && k < run->plan->kernels; k++) {
        if (run->solve[k].team == 1) {
            status = measure(work, run->alone, k, theta, &state->kernels[k]);
        }
    }
    return status;
}

static nl_status keep_theta(const nl_net *net, const float *theta, nl_state *state)
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

/* Is the snapshot of this state part of the results? */
static bool snapshot_wanted(const nl_run *run, const nl_result *result, const nl_state *state)
{
    const char *kept = nl_study_word(run->study, NL_KEY_SNAPSHOTS);

    return strcmp(kept, "measured") == 0 ||
           (strcmp(kept, "best") == 0 && state->step == result->best_step);
}

static void drop_unwanted_snapshots(const nl_run *run, nl_result *result)
{
    for (int s = 0; s < result->states; s++) {
        if (!snapshot_wanted(run, result, &result->state[s])) {
            free(result->state[s].theta);
            result->state[s].theta = NULL;
        }
    }
}

/*---------------------------------------------------------------------------------------------
 * Keeping
 *-------------------------------------------------------------------------------------------*/

static nl_status write_result(cell_work *work, const nl_result *result, const char *folder)
{
    const nl_run *run = work->run;
    const nl_splits *splits = run->splits;
    nl_cell_context context = {
        .study = run->study,
        .cell = work->cell,
        .net = work->net,
        .plan = run->plan,
        .blas_kernel = nl_blas_kernel(),
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
        .channels = splits->info->channels,
    };
    const double start = nl_now();
    unsigned char *image = NULL;
    size_t length = 0;
    char *path = nl_cell_path(run, folder, work->cell);
    nl_status status = path == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a path") : NL_OK;

    memcpy(context.mean, splits->scaling.mean, sizeof context.mean);
    memcpy(context.std, splits->scaling.std, sizeof context.std);
    if (status == NL_OK) {
        status = nl_result_image(result, &context, &image, &length);
    }
    if (status == NL_OK) {
        status = nl_file_write_atomic(path, image, length, NL_SEALED);
    }
    free(image);
    free(path);
    work->write_seconds += nl_now() - start;
    return status;
}

static void remove_checkpoint(const cell_work *work)
{
    char *path = nl_cell_path(work->run, "checkpoints", work->cell);

    if (path != NULL) {
        unlink(path); /* most cells have none */
    }
    free(path);
}

/* The cell is done: into cells/, and its rows to the root. */
static nl_status finish(cell_work *work, nl_result *result)
{
    nl_run *run = work->run;
    nl_row *rows = NULL;
    int count = 0;
    nl_status status = NL_OK;

    drop_unwanted_snapshots(run, result);
    status = write_result(work, result, "cells");
    if (status == NL_OK) {
        status = nl_result_rows(result, run->plan, work->index, &rows, &count);
    }
    if (status == NL_OK) {
        status = nl_tell_rows(run->service, work->index, rows, count);
    }
    free(rows);
    if (status == NL_OK) {
        remove_checkpoint(work);
        run->phase[work->index] = NL_CELL_FINISHED;
    }
    return status;
}

static nl_status tell_seconds(const cell_work *work, const char *phase, double seconds)
{
    return seconds > 0.0 ? nl_tell_timing(work->run->service, work->index, work->run->team->rank,
                                          phase, seconds)
                         : NL_OK;
}

static nl_status tell_measuring(const cell_work *work, nl_measurer *measurer)
{
    nl_status status = tell_seconds(work, "gram", measurer->gram_seconds);

    if (status == NL_OK) {
        status = tell_seconds(work, "solve", measurer->solve_seconds);
    }
    if (status == NL_OK) {
        status = tell_seconds(work, "write", work->write_seconds);
    }
    measurer->gram_seconds = 0.0;
    measurer->solve_seconds = 0.0;
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Train phase
 *-------------------------------------------------------------------------------------------*/

static nl_status train_events(cell_work *work, nl_training *training, nl_event *event)
{
    nl_run *run = work->run;
    nl_state *state = NULL;
    nl_status status = NL_OK;

    do {
        status = nl_training_run(training, stop_asked, run, event, &state);
        atomic_store(&run->now_step, nl_training_step(training));
        if (status == NL_OK && *event == NL_EVENT_STATE) {
            const float *theta = nl_training_theta(training);
            const bool wanted = snapshot_wanted(run, nl_training_result(training), state);

            status = measure_private(work, theta, state);
            if (status == NL_OK && state->finite && (wanted || run->team_size > 1)) {
                status = keep_theta(work->net, theta, state);
            }
        }
    } while (status == NL_OK && *event == NL_EVENT_STATE);
    return status;
}

/* `best` moves while training goes: only now is it known which state it is. */
static nl_status keep_best(cell_work *work, nl_training *training)
{
    nl_result *result = nl_training_result(training);
    nl_state *best = nl_result_find(result, result->best_step);

    if (best == NULL || !snapshot_wanted(work->run, result, best)) {
        return NL_OK;
    }
    return keep_theta(work->net, nl_training_best_theta(training), best);
}

static nl_status train(cell_work *work)
{
    nl_run *run = work->run;
    nl_training *training = NULL;
    nl_event event = NL_EVENT_STOPPED;
    nl_train_clock clock;
    nl_status status =
        nl_training_create(work->cell, work->net, run->splits, work->data, run->plan, &training);

    if (status == NL_OK) {
        status = train_events(work, training, &event);
    }
    if (status != NL_OK || event == NL_EVENT_STOPPED) {
        goto done;
    }
    status = keep_best(work, training);
    if (status == NL_OK && run->team_size > 1) {
        status = write_result(work, nl_training_result(training), "checkpoints");
        run->phase[work->index] = status == NL_OK ? NL_CELL_TRAINED : NL_CELL_LEFT;
    } else if (status == NL_OK) {
        status = finish(work, nl_training_result(training));
    }
    clock = nl_training_clock(training);
    if (status == NL_OK) {
        status = tell_seconds(work, "train", clock.training);
    }
    if (status == NL_OK) {
        status = tell_seconds(work, "evaluate", clock.evaluation);
    }
    if (status == NL_OK) {
        status = tell_measuring(work, run->alone);
    }

done:
    nl_training_destroy(&training);
    return status;
}

/* The result that a trained cell left for its shared kernels; silently none, or NULL where damaged.
 */
static nl_status read_trained(const cell_work *work, nl_result **out)
{
    const nl_run *run = work->run;
    char *path = nl_cell_path(run, "checkpoints", work->cell);
    unsigned char *image = NULL;
    size_t length = 0;
    nl_status status = NL_OK;

    *out = NULL;
    if (path == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");
    }
    if (nl_path_exists(path)) {
        status = nl_file_read(path, NL_SEALED, &image, &length);
        if (status == NL_OK) {
            status = nl_result_read(image, length, run->study, work->cell, work->net, run->plan,
                                    true, out);
        }
    }
    free(image);
    free(path);
    return status == NL_ERR_NOMEM ? status : NL_OK;
}

nl_status nl_cell_train(nl_run *run, int index)
{
    cell_work work;
    nl_result *trained = NULL;
    nl_status status = open_work(run, index, &work);

    atomic_store(&run->now_cell, index);
    atomic_store(&run->now_step, 0);
    if (status == NL_OK && run->team_size > 1) {
        status = read_trained(&work, &trained);
    }
    if (status == NL_OK && trained != NULL && trained->final_step >= 0) {
        run->phase[index] = NL_CELL_TRAINED;
    } else if (status == NL_OK) {
        status = train(&work);
    }
    atomic_store(&run->now_cell, -1);
    nl_result_destroy(&trained, run->plan->kernels);
    if (status == NL_OK && work.unverified) {
        status = NL_ERR_NUMERIC;
    }
    close_work(&work);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Shared kernels
 *-------------------------------------------------------------------------------------------*/

static nl_status measure_shared_state(cell_work *work, const nl_team *team, nl_measurer *measurer,
                                      float *theta, nl_state *state)
{
    nl_measurement scratch = {0};
    nl_status status = nl_team_broadcast(team, theta, work->net->size * sizeof *theta, 0);

    for (int k = 0; status == NL_OK && k < work->run->plan->kernels; k++) {
        nl_measurement *out = state != NULL ? &state->kernels[k] : &scratch;

        if (work->run->solve[k].team > 1 && measurer != NULL) {
            status = measure(work, measurer, k, theta, out);
        }
        nl_measurement_clear(&scratch, 0);
    }
    return nl_agree(team->comm, status);
}

/* The next finite state that lacks a shared kernel; -1: none, or asked to stop. */
static int next_state(const nl_run *run, const nl_result *result, int from)
{
    for (int s = from; s < result->states && !nl_run_stopping(run); s++) {
        for (int k = 0; k < run->plan->kernels; k++) {
            if (result->state[s].finite && !result->state[s].kernels[k].done &&
                run->solve[k].team > 1) {
                return s;
            }
        }
    }
    return -1;
}

/* The leader walks through the states and tells the others, who follow. */
static nl_status measure_shared_states(cell_work *work, const nl_team *team, nl_measurer *measurer,
                                       nl_result *result)
{
    float *theta = nl_calloc(work->net->size, sizeof *theta);
    nl_status status = nl_agree(
        team->comm, theta == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for parameters") : NL_OK);
    int next = 0;

    while (status == NL_OK) {
        nl_state *state = NULL;

        if (team->rank == 0) {
            next = next_state(work->run, result, next);
            state = next >= 0 ? &result->state[next] : NULL;
        }
        status = nl_team_broadcast(team, &next, sizeof next, 0);
        if (status != NL_OK || next < 0) {
            break;
        }
        if (state != NULL) {
            memcpy(theta, state->theta, work->net->size * sizeof *theta);
            atomic_store(&work->run->now_step, state->step);
        }
        status = measure_shared_state(work, team, measurer, theta, state);
        next++;
    }
    free(theta);
    return status;
}

nl_status nl_cell_measure_shared(nl_run *run, const nl_team *team, nl_measurer *measurer, int index)
{
    cell_work work;
    nl_result *result = NULL;
    nl_status status = open_work(run, index, &work);

    atomic_store(&run->now_cell, index);
    if (status == NL_OK && team->rank == 0) {
        status = read_trained(&work, &result);
        if (status == NL_OK && result == NULL) {
            status = NL_FAIL(NL_ERR_IO, "%s: its checkpoint cannot be read back", work.cell->id);
        }
    }
    status = nl_agree(team->comm, status);
    if (status == NL_OK) {
        status = measure_shared_states(&work, team, measurer, result);
    }
    if (status == NL_OK && team->rank == 0 &&
        (work.unverified || nl_result_complete(result, run->plan))) {
        status = finish(&work, result);
        if (status == NL_OK && measurer != NULL) {
            status = tell_measuring(&work, measurer);
        }
    }
    atomic_store(&run->now_cell, -1);
    nl_result_destroy(&result, run->plan->kernels);
    if (status == NL_OK && work.unverified) {
        status = NL_ERR_NUMERIC;
    }
    close_work(&work);
    return nl_agree(team->comm, status);
}
