/** @file job_train.c  The train phase of one cell, private kernels included. */
#include "job.h"

#include <stdlib.h>

static nl_status checkpoint(nl_job *job)
{
    const nl_continuation c = nl_training_continuation(job->training);

    return nl_job_write(job, nl_training_result(job->training), &c, true);
}

static bool pause_asked(const void *context)
{
    const nl_job *job = context;

    atomic_store_explicit(&job->run->now_step, nl_training_step(job->training),
                          memory_order_relaxed); /* for the progress */
    return nl_run_stopping(job->run) || nl_job_checkpoint_due(job, 0.0);
}

/* Hand a state to this rank's measurer.  What helpers have sent is taken in before and not while it
 * has the state: parameters that were kept for them alone are then given up. */
static nl_status begin_private(nl_job *job, nl_result *result, const float *theta,
                               const nl_state *state, bool *collapsed)
{
    const float *previous = NULL;
    long previous_step = -1;
    nl_status status = nl_job_collect(job, result);

    if (status == NL_OK) {
        status = nl_job_previous(job, result, state, &previous_step, &previous);
    }
    if (status == NL_OK && nl_job_initial(job) == NULL) {
        status = NL_ERR_NOMEM;
    }
    return status != NL_OK ? status
                           : nl_job_begin(job, job->run->alone, theta, state->step, previous,
                                          previous_step, collapsed);
}

/* A state that was just reached: what is known of it without its kernels. */
static nl_status enter_state(nl_job *job, nl_result *result, const float *theta, nl_state *state,
                             bool keep)
{
    const nl_run *run = job->run;
    nl_status status = NL_OK;

    for (int k = 0; k < run->plan->kernels; k++) {
        if (!state->kernels[k].done) {
            nl_measurement_clear(&state->kernels[k], run->solve[k].n);
        }
    }
    if (!state->finite) {
        return NL_OK;
    }
    status = begin_private(job, result, theta, state, &state->collapsed);
    if (status == NL_OK) {
        status = nl_job_regress(job, theta, state);
    }
    if (status == NL_OK && keep) {
        status = nl_job_keep_theta(job->net, theta, state);
    }
    return status;
}

/* Kernels of a state that one rank measures alone and that are still to be done; the others are
 * left for a team.  Ranks without work take some.  NL_STOPPED: asked to stop in between. */
static nl_status measure_private(nl_job *job, nl_result *result, const float *theta,
                                 nl_state *state)
{
    nl_run *run = job->run;
    bool given = false;
    nl_status status = NL_OK;

    for (int k = 0; status == NL_OK && state->finite && k < run->plan->kernels; k++) {
        if (run->solve[k].team > 1 || state->kernels[k].done) {
            continue;
        }
        if (nl_run_stopping(run)) {
            status = NL_STOPPED;
        } else if (job->training != NULL && nl_job_checkpoint_due(job, run->solve_seconds[k])) {
            status = checkpoint(job);
        }
        if (status == NL_OK && run->alone->probe == NULL) {
            status = begin_private(job, result, theta, state, NULL);
        }
        if (status == NL_OK) {
            status = nl_job_give_away(job, result, k, theta, state, &given);
        }
        if (status == NL_OK && !given) {
            status = nl_job_measure(job, run->alone, k, &state->kernels[k]);
        }
    }
    nl_measure_end(run->alone);
    return status;
}

static nl_status tell_training(const nl_job *job)
{
    const nl_train_clock clock = nl_training_clock(job->training);
    nl_status status = nl_job_tell_seconds(job, "train", clock.training);

    return status == NL_OK ? nl_job_tell_seconds(job, "evaluate", clock.evaluation) : status;
}

/* The state that velocities are taken from, which a team will ask for. */
static nl_status keep_previous(nl_job *job, const nl_result *result)
{
    nl_status status = NL_OK;

    for (int s = 0; status == NL_OK && s < result->states; s++) {
        const float *theta = nl_training_previous_theta(job->training, result->state[s].step);

        if (theta != NULL) {
            status = nl_job_keep_theta(job->net, theta, &result->state[s]);
        }
    }
    return status;
}

/* States that an interrupted run reached but did not measure to the end.  It may have left to a
 * team what this rank now measures alone, and the other way round. */
static nl_status measure_left_over(nl_job *job)
{
    nl_result *result = nl_training_result(job->training);
    nl_status status = job->run->team_size > 1 ? keep_previous(job, result) : NL_OK;

    for (int s = 0; status == NL_OK && s < result->states; s++) {
        nl_state *state = &result->state[s];
        const float *theta =
            state->theta != NULL ? state->theta : nl_training_theta_at(job->training, state->step);

        if (theta != NULL && state->finite && job->run->team_size > 1) {
            status = nl_job_keep_theta(job->net, theta, state);
        }
        if (status == NL_OK && theta != NULL) {
            status = measure_private(job, result, theta, state);
        }
    }
    return status;
}

/* Train and measure until the cell is over (NL_OK) or all are asked to stop (NL_STOPPED). */
static nl_status train_events(nl_job *job)
{
    nl_run *run = job->run;
    nl_event event = NL_EVENT_PAUSED;
    nl_state *state = NULL;
    nl_status status = measure_left_over(job);

    while (status == NL_OK && event != NL_EVENT_OVER) {
        status = nl_training_run(job->training, pause_asked, job, &event, &state);
        atomic_store(&run->now_step, nl_training_step(job->training));
        nl_job_set_reserve(job);
        if (status == NL_OK && event == NL_EVENT_STATE) {
            const float *theta = nl_training_theta(job->training);
            nl_result *result = nl_training_result(job->training);
            const bool keep =
                run->team_size > 1 || nl_study_is(run->study, NL_KEY_SNAPSHOTS, "measured");

            status = enter_state(job, result, theta, state, keep);
            if (status == NL_OK) {
                status = measure_private(job, result, theta, state);
            }
        } else if (status == NL_OK && event == NL_EVENT_PAUSED) {
            status = nl_run_stopping(run) ? NL_STOPPED : checkpoint(job);
        }
    }
    return status;
}

/* `best` moves while training goes: only now is it known which state it is. */
static nl_status keep_best(nl_job *job)
{
    nl_result *result = nl_training_result(job->training);
    nl_state *best = nl_result_find(result, result->best_step);

    if (best == NULL || !nl_job_wants_snapshot(job->run, result, best)) {
        return NL_OK;
    }
    return nl_job_keep_theta(job->net, nl_training_best_theta(job->training), best);
}

/* From wherever the training stands to its end. */
static nl_status train(nl_job *job)
{
    nl_run *run = job->run;
    nl_result *result = NULL;
    nl_continuation c;
    int arrived = 0;
    nl_status status = train_events(job);
    nl_status told = NL_OK;

    result = nl_training_result(job->training);
    c = nl_training_continuation(job->training);
    if (status == NL_OK) {
        status = nl_job_await(job, result, false, &arrived);
    }
    if (status == NL_STOPPED) {
        status = nl_job_leave(job, result, &c);
    } else if (status == NL_OK) {
        status = keep_best(job);
        if (status == NL_OK && run->team_size > 1) {
            status = nl_job_write(job, result, &c, true);
            run->phase[job->index] = status == NL_OK ? NL_CELL_TRAINED : NL_CELL_LEFT;
        } else if (status == NL_OK) {
            status = nl_job_finish(job, result, &c);
        }
    }
    told = tell_training(job);
    if (told == NL_OK) {
        told = nl_job_tell_measuring(job, run->alone);
    }
    return status != NL_OK ? status : told;
}

/* Measure anew what an earlier run trained, under another plan. */
static nl_status measure_again(nl_job *job, nl_result *result, const nl_continuation *c)
{
    nl_run *run = job->run;
    int arrived = 0;
    nl_status status = NL_OK;

    for (int s = 0; status == NL_OK && s < result->states; s++) {
        nl_state *state = &result->state[s];

        atomic_store(&run->now_step, state->step);
        status = enter_state(job, result, state->theta, state, false);
        if (status == NL_OK) {
            status = measure_private(job, result, state->theta, state);
        }
        if (status == NL_OK && nl_job_checkpoint_due(job, 0.0)) {
            status = nl_job_write(job, result, c, true);
        }
    }
    if (status == NL_OK) {
        status = nl_job_await(job, result, false, &arrived);
    }
    if (status == NL_STOPPED) {
        status = nl_job_leave(job, result, c);
    } else if (status == NL_OK && run->team_size > 1) {
        status = nl_job_write(job, result, c, true);
        run->phase[job->index] = status == NL_OK ? NL_CELL_TRAINED : NL_CELL_LEFT;
    } else if (status == NL_OK) {
        status = nl_job_finish(job, result, c);
    }
    return status == NL_OK ? nl_job_tell_measuring(job, run->alone) : status;
}

/* What an earlier run left of this cell, and what is done with it. */
static nl_status train_or_go_on(nl_job *job)
{
    nl_run *run = job->run;
    nl_found found = {0};
    nl_status status =
        nl_training_create(job->cell, job->net, run->splits, job->data, run->plan, &job->training);

    if (status == NL_OK) {
        status =
            nl_find_earlier(run, job->index, job->net, nl_training_start(job->training), &found);
    }
    if (status == NL_OK && found.kind == NL_FOUND_KERNELS_LEFT) {
        run->phase[job->index] = NL_CELL_TRAINED;
    } else if (status == NL_OK && found.kind == NL_FOUND_SNAPSHOTS) {
        nl_training_destroy(&job->training);
        status = measure_again(job, found.result, &found.continuation);
    } else if (status == NL_OK) {
        if (found.kind == NL_FOUND_TRAINING) {
            status = nl_training_restore(job->training, &found.result, &found.continuation,
                                         found.max_steps);
            if (status == NL_ERR_DAMAGED) { /* then it begins anew */
                status = nl_tell_event(run->service, job->index, run->team->rank,
                                       "checkpoint_dropped", "does not fit the cell");
            }
        }
        if (status == NL_OK) {
            status = train(job);
        }
    }
    nl_result_destroy(&found.result, run->plan->kernels);
    nl_continuation_free(&found.continuation);
    return status;
}

nl_status nl_cell_train(nl_run *run, int index)
{
    nl_job job;
    nl_status status = nl_job_open(run, index, &job);

    atomic_store(&run->now_cell, index);
    atomic_store(&run->now_step, 0);
    if (status == NL_OK) {
        status = train_or_go_on(&job);
    }
    atomic_store(&run->now_cell, -1);
    if (status == NL_OK && job.unverified) {
        status = NL_ERR_NUMERIC;
    }
    nl_job_close(&job);
    return status;
}
