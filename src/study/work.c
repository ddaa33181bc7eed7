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
    nl_net *net;            /* owned */
    nl_cell_data *data;     /* owned */
    nl_training *training;  /* owned; NULL where nothing is trained */
    double last_checkpoint; /* nl_now() */
    double last_write;      /* seconds that it took */
    double write_seconds;   /* in all */
    bool unverified;        /* a spectrum could not be had */
} cell_work;

static nl_status open_work(nl_run *run, int index, cell_work *work)
{
    const nl_cell *cell = &run->cells[index];
    const nl_net_spec spec = nl_cell_net_spec(cell, run->splits->info);
    nl_status status = NL_OK;

    *work = (cell_work){.run = run, .index = index, .cell = cell, .last_checkpoint = nl_now()};
    status = nl_net_create(&spec, nl_cell_train_spec(cell).optimizer, &work->net);
    if (status == NL_OK) {
        status = nl_cell_data_create(run->study, cell, run->splits, &work->data);
    }
    return status;
}

static void close_work(cell_work *work)
{
    nl_training_destroy(&work->training);
    nl_cell_data_destroy(&work->data);
    nl_net_destroy(&work->net);
}

/*---------------------------------------------------------------------------------------------
 * Keeping
 *-------------------------------------------------------------------------------------------*/

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

static nl_cell_context context_of(const cell_work *work, const nl_continuation *continuation,
                                  bool unfinished)
{
    const nl_run *run = work->run;
    const nl_splits *splits = run->splits;
    nl_cell_context context = {
        .study = run->study,
        .cell = work->cell,
        .net = work->net,
        .plan = run->plan,
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
        .channels = splits->info->channels,
    };

    memcpy(context.mean, splits->scaling.mean, sizeof context.mean);
    memcpy(context.std, splits->scaling.std, sizeof context.std);
    return context;
}

/* A finished cell goes to cells/, an unfinished one to checkpoints/, where the one before is kept.
 */
static nl_status write_result(cell_work *work, const nl_result *result,
                              const nl_continuation *continuation, bool unfinished)
{
    const double start = nl_now();
    const nl_cell_context context = context_of(work, continuation, unfinished);
    unsigned char *image = NULL;
    size_t length = 0;
    char *path = nl_cell_path(work->run, unfinished ? "checkpoints" : "cells", work->cell);
    char *previous = nl_cell_path(work->run, "checkpoints/previous", work->cell);
    nl_status status = nl_result_image(result, &context, &image, &length);

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
    return status;
}

static void remove_checkpoints(const cell_work *work)
{
    static const char *const folders[] = {"checkpoints", "checkpoints/previous"};

    for (size_t k = 0; k < NL_COUNT(folders); k++) {
        char *path = nl_cell_path(work->run, folders[k], work->cell);

        if (path != NULL) {
            unlink(path); /* most cells have none */
        }
        free(path);
    }
}

static nl_status checkpoint(cell_work *work)
{
    const nl_continuation c = nl_training_continuation(work->training);

    return write_result(work, nl_training_result(work->training), &c, true);
}

/* Is it time for a checkpoint, before something that takes `ahead` seconds?  Where writing is slow
 * it is done less often: it may cost 2 % of the time. */
static bool checkpoint_due(const cell_work *work, double ahead)
{
    const double interval = work->run->checkpoint_every > 50.0 * work->last_write
                                ? work->run->checkpoint_every
                                : 50.0 * work->last_write;

    return nl_now() - work->last_checkpoint + ahead >= interval;
}

static bool pause_asked(const void *context)
{
    const cell_work *work = context;

    return nl_run_stopping(work->run) || checkpoint_due(work, 0.0);
}

/* The cell is done: into cells/, and its rows to the root. */
static nl_status finish(cell_work *work, nl_result *result, const nl_continuation *continuation)
{
    nl_run *run = work->run;
    const bool extendable = continuation != NULL && continuation->theta != NULL &&
                            !result->diverged && !nl_study_is(run->study, NL_KEY_SNAPSHOTS, "none");
    nl_row *rows = NULL;
    int count = 0;
    nl_status status = NL_OK;

    /* Also where an earlier run, from whose checkpoint this one went on, could not have it. */
    work->unverified = !nl_result_complete(result, run->plan);
    drop_unwanted_snapshots(run, result);
    status = write_result(work, result, extendable ? continuation : NULL, false);
    if (status == NL_OK) {
        status = nl_result_rows(result, run->plan, work->index, &rows, &count);
    }
    if (status == NL_OK) {
        status = nl_tell_rows(run->service, work->index, rows, count);
    }
    free(rows);
    if (status == NL_OK) {
        remove_checkpoints(work);
        run->phase[work->index] = NL_CELL_FINISHED;
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Measuring
 *-------------------------------------------------------------------------------------------*/

/* A kernel without a verified spectrum is left undone: the study goes on and ends with that status.
 */
static nl_status measure(cell_work *work, nl_measurer *measurer, int kernel, const float *theta,
                         nl_measurement *out)
{
    const double start = nl_now();
    nl_status status = nl_measure_kernel(measurer, &work->run->solve[kernel], kernel, work->net,
                                         theta, work->data->probe_inputs, out);

    work->run->solve_seconds[kernel] = nl_now() - start;
    if (status == NL_ERR_NUMERIC) {
        work->unverified = true;
        return NL_OK;
    }
    return status;
}

/* A state that was just reached: what is known of it without its kernels. */
static nl_status enter_state(cell_work *work, const float *theta, nl_state *state, bool keep)
{
    const nl_run *run = work->run;
    nl_status status = NL_OK;

    for (int k = 0; k < run->plan->kernels; k++) {
        nl_measurement_clear(&state->kernels[k], run->solve[k].n);
    }
    if (!state->finite) {
        return NL_OK;
    }
    status = nl_state_collapsed(work->net, theta, work->data->probe_inputs, run->plan->samples,
                                &state->collapsed);
    if (status == NL_OK && keep) {
        status = keep_theta(work->net, theta, state);
    }
    return status;
}

/* Kernels of a state that this rank measures alone and that are still to be done; the others are
 * left for a team.  NL_STOPPED: asked to stop in between. */
static nl_status measure_private(cell_work *work, const float *theta, nl_state *state)
{
    nl_run *run = work->run;
    nl_status status = NL_OK;

    for (int k = 0; status == NL_OK && state->finite && k < run->plan->kernels; k++) {
        if (run->solve[k].team > 1 || state->kernels[k].done) {
            continue;
        }
        if (nl_run_stopping(run)) {
            return NL_STOPPED;
        }
        if (work->training != NULL && checkpoint_due(work, run->solve_seconds[k])) {
            status = checkpoint(work);
        }
        if (status == NL_OK) {
            status = measure(work, run->alone, k, theta, &state->kernels[k]);
        }
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

static nl_status tell_training(const cell_work *work)
{
    const nl_train_clock clock = nl_training_clock(work->training);
    nl_status status = tell_seconds(work, "train", clock.training);

    return status == NL_OK ? tell_seconds(work, "evaluate", clock.evaluation) : status;
}

/*---------------------------------------------------------------------------------------------
 * Train phase
 *-------------------------------------------------------------------------------------------*/

/* States that an interrupted run reached but did not measure to the end. */
static nl_status measure_left_over(cell_work *work)
{
    nl_result *result = nl_training_result(work->training);
    nl_status status = NL_OK;

    for (int s = 0; status == NL_OK && s < result->states; s++) {
        nl_state *state = &result->state[s];
        const float *theta = nl_training_theta_at(work->training, state->step);

        if (theta == NULL || !state->finite) {
            continue;
        }
        if (work->run->team_size > 1) { /* this run may have more ranks than that one */
            status = keep_theta(work->net, theta, state);
        }
        if (status == NL_OK) {
            status = measure_private(work, theta, state);
        }
    }
    return status;
}

/* Train and measure until the cell is over (NL_OK) or all are asked to stop (NL_STOPPED). */
static nl_status train_events(cell_work *work)
{
    nl_run *run = work->run;
    nl_event event = NL_EVENT_PAUSED;
    nl_state *state = NULL;
    nl_status status = measure_left_over(work);

    while (status == NL_OK && event != NL_EVENT_OVER) {
        status = nl_training_run(work->training, pause_asked, work, &event, &state);
        atomic_store(&run->now_step, nl_training_step(work->training));
        if (status == NL_OK && event == NL_EVENT_STATE) {
            const float *theta = nl_training_theta(work->training);
            const bool keep = run->team_size > 1 ||
                              snapshot_wanted(run, nl_training_result(work->training), state);

            status = enter_state(work, theta, state, keep);
            if (status == NL_OK) {
                status = measure_private(work, theta, state);
            }
        } else if (status == NL_OK && event == NL_EVENT_PAUSED) {
            status = nl_run_stopping(run) ? NL_STOPPED : checkpoint(work);
        }
    }
    return status;
}

/* `best` moves while training goes: only now is it known which state it is. */
static nl_status keep_best(cell_work *work)
{
    nl_result *result = nl_training_result(work->training);
    nl_state *best = nl_result_find(result, result->best_step);

    if (best == NULL || !snapshot_wanted(work->run, result, best)) {
        return NL_OK;
    }
    return keep_theta(work->net, nl_training_best_theta(work->training), best);
}

/* From wherever the training stands to its end. */
static nl_status train(cell_work *work)
{
    nl_run *run = work->run;
    nl_result *result = NULL;
    nl_continuation c;
    nl_status status = train_events(work);
    nl_status told = NL_OK;

    if (status == NL_STOPPED) {
        status = checkpoint(work);
    } else if (status == NL_OK) {
        result = nl_training_result(work->training);
        c = nl_training_continuation(work->training);
        status = keep_best(work);
        if (status == NL_OK && run->team_size > 1) {
            status = write_result(work, result, &c, true);
            run->phase[work->index] = status == NL_OK ? NL_CELL_TRAINED : NL_CELL_LEFT;
        } else if (status == NL_OK) {
            status = finish(work, result, &c);
        }
    }
    told = tell_training(work);
    if (told == NL_OK) {
        told = tell_measuring(work, run->alone);
    }
    return status != NL_OK ? status : told;
}

/* Measure anew what an earlier run trained, under another plan. */
static nl_status measure_again(cell_work *work, nl_result *result, const nl_continuation *c)
{
    nl_run *run = work->run;
    nl_status status = NL_OK;

    for (int s = 0; status == NL_OK && s < result->states; s++) {
        nl_state *state = &result->state[s];

        atomic_store(&run->now_step, state->step);
        status = enter_state(work, state->theta, state, false);
        if (status == NL_OK) {
            status = measure_private(work, state->theta, state);
        }
    }
    if (status == NL_STOPPED) {
        return NL_OK; /* the old file still stands: nothing is lost but this cell's new kernels */
    }
    if (status == NL_OK && run->team_size > 1) {
        status = write_result(work, result, c, true);
        run->phase[work->index] = status == NL_OK ? NL_CELL_TRAINED : NL_CELL_LEFT;
    } else if (status == NL_OK) {
        status = finish(work, result, c);
    }
    return status == NL_OK ? tell_measuring(work, run->alone) : status;
}

/* What an earlier run left of this cell, and what is done with it. */
static nl_status train_or_go_on(cell_work *work)
{
    nl_run *run = work->run;
    nl_found found = {0};
    nl_status status = nl_training_create(work->cell, work->net, run->splits, work->data, run->plan,
                                          &work->training);

    if (status == NL_OK) {
        status =
            nl_find_earlier(run, work->index, work->net, nl_training_start(work->training), &found);
    }
    if (status == NL_OK && found.kind == NL_FOUND_KERNELS_LEFT) {
        run->phase[work->index] = NL_CELL_TRAINED;
    } else if (status == NL_OK && found.kind == NL_FOUND_SNAPSHOTS) {
        nl_training_destroy(&work->training);
        status = measure_again(work, found.result, &found.continuation);
    } else if (status == NL_OK) {
        if (found.kind == NL_FOUND_TRAINING) {
            status = nl_training_restore(work->training, &found.result, &found.continuation);
            status = status == NL_ERR_DAMAGED ? NL_OK : status; /* then it begins anew */
        }
        if (status == NL_OK) {
            status = train(work);
        }
    }
    nl_result_destroy(&found.result, run->plan->kernels);
    nl_continuation_free(&found.continuation);
    return status;
}

nl_status nl_cell_train(nl_run *run, int index)
{
    cell_work work;
    nl_status status = open_work(run, index, &work);

    atomic_store(&run->now_cell, index);
    atomic_store(&run->now_step, 0);
    if (status == NL_OK) {
        status = train_or_go_on(&work);
    }
    atomic_store(&run->now_cell, -1);
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

/* The next state that lacks a shared kernel and can be measured; -1: none, or asked to stop. */
static int next_state(const nl_run *run, const nl_result *result, int from)
{
    for (int s = from; s < result->states && !nl_run_stopping(run); s++) {
        for (int k = 0; k < run->plan->kernels; k++) {
            if (result->state[s].theta != NULL && !result->state[s].kernels[k].done &&
                run->solve[k].team > 1) {
                return s;
            }
        }
    }
    return -1;
}

/* The leader, who alone has the result, walks through its states and tells the others. */
static nl_status measure_shared_states(cell_work *work, const nl_team *team, nl_measurer *measurer,
                                       nl_result *result, const nl_continuation *continuation)
{
    float *theta = nl_calloc(work->net->size, sizeof *theta);
    nl_status status = nl_agree(
        team->comm, theta == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for parameters") : NL_OK);
    int next = 0;

    while (status == NL_OK) {
        nl_state *state = NULL;

        if (result != NULL) {
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
        if (status == NL_OK && result != NULL && checkpoint_due(work, 0.0)) {
            status = write_result(work, result, continuation, true);
        }
        status = nl_agree(team->comm, status);
        next++;
    }
    free(theta);
    return status;
}

nl_status nl_cell_measure_shared(nl_run *run, const nl_team *team, nl_measurer *measurer, int index)
{
    cell_work work;
    nl_found found = {0};
    nl_status status = open_work(run, index, &work);

    atomic_store(&run->now_cell, index);
    if (status == NL_OK && team->rank == 0) {
        status = nl_find_earlier(run, index, work.net, NULL, &found);
        if (status == NL_OK && (found.result == NULL || found.result->final_step < 0)) {
            status = NL_FAIL(NL_ERR_IO, "%s: its checkpoint cannot be read back", work.cell->id);
        }
    }
    status = nl_agree(team->comm, status);
    if (status == NL_OK) {
        status = measure_shared_states(&work, team, measurer, found.result, &found.continuation);
    }
    if (status == NL_OK && found.result != NULL) {
        if (nl_result_complete(found.result, run->plan) || !nl_run_stopping(run)) {
            status = finish(&work, found.result, &found.continuation);
        } else {
            status = write_result(&work, found.result, &found.continuation, true);
        }
        if (status == NL_OK) {
            status = tell_measuring(&work, measurer);
        }
    }
    atomic_store(&run->now_cell, -1);
    nl_result_destroy(&found.result, run->plan->kernels);
    nl_continuation_free(&found.continuation);
    if (status == NL_OK && work.unverified) {
        status = NL_ERR_NUMERIC;
    }
    close_work(&work);
    return nl_agree(team->comm, status);
}
