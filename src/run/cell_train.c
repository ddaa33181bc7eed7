/** @file cell_train.c  The train phase of one cell, private kernels included. */
#include "cell_train.h"
#include "lending.h"
#include "messages.h"
#include "offload.h"
#include "resume.h"

#include <stdatomic.h>
#include <stdlib.h>

static nl_status checkpoint(nl_cell_work *work)
{
    const nl_continuation c = nl_training_continuation(work->training);

    return nl_cell_work_write(work, nl_training_record(work->training), &c, true);
}

static bool pause_asked(const void *context)
{
    const nl_cell_work *work = context;

    atomic_store_explicit(&work->run->clock.now_step, nl_training_step(work->training),
                          memory_order_relaxed); /* for the progress */
    nl_lending_go_on(work);
    return nl_run_stopping(work->run) || nl_cell_work_checkpoint_due(work, 0.0);
}

/* Hand a state to this rank's measurer.  What other ranks have sent is taken in before and not
 * while it has the state: parameters that were kept for them alone are then given up. */
static nl_status begin_private(nl_cell_work *work, nl_record *record, const float *theta,
                               const nl_state *state, bool *collapsed)
{
    const float *previous = NULL;
    long previous_step = -1;
    nl_status status = nl_offload_collect(work, record);

    if (status == NL_OK) {
        status = nl_cell_work_previous(work, record, state, &previous_step, &previous);
    }
    if (status == NL_OK && nl_cell_work_initial(work) == NULL) {
        status = NL_ERR_NOMEM;
    }
    return status != NL_OK
               ? status
               : nl_cell_work_begin(work, work->run->alone,
                                    &(nl_moment){theta, state->step, previous, previous_step},
                                    collapsed);
}

/* A state that was just reached: what is known of it without its kernels. */
static nl_status enter_state(nl_cell_work *work, nl_record *record, const float *theta,
                             nl_state *state, bool keep)
{
    const nl_run *run = work->run;
    nl_status status = NL_OK;

    for (int k = 0; k < run->in.plan->kernels; k++) {
        if (!state->kernels[k].done) {
            nl_measurement_clear(&state->kernels[k], work->solve[k].n);
        }
    }
    if (!state->finite) {
        return NL_OK;
    }
    status = begin_private(work, record, theta, state, &state->collapsed);
    if (status == NL_OK) {
        status = nl_cell_work_regress(work, theta, state);
    }
    if (status == NL_OK && keep) {
        status = nl_state_keep_theta(work->net, theta, state);
    }
    return status;
}

/* Kernels of a state that one rank measures alone and that are still to be done; the others are
 * left for a team.  Ranks without work take some.  NL_STOPPED: asked to stop in between. */
static nl_status measure_private(nl_cell_work *work, nl_record *record, const float *theta,
                                 nl_state *state)
{
    nl_run *run = work->run;
    bool given = false;
    nl_status status = NL_OK;

    for (int k = 0; status == NL_OK && state->finite && k < run->in.plan->kernels; k++) {
        if (work->solve[k].team > 1 || state->kernels[k].done) {
            continue;
        }
        if (nl_run_stopping(run)) {
            status = NL_STOPPED;
        } else if (work->training != NULL &&
                   nl_cell_work_checkpoint_due(work, run->clock.kernel[k].seconds)) {
            status = checkpoint(work);
        }
        if (status == NL_OK && run->alone->state.net == NULL) {
            status = begin_private(work, record, theta, state, NULL);
        }
        if (status == NL_OK) {
            status = nl_offload_start(work, record, k, theta, state, &given);
        }
        if (status == NL_OK && !given) {
            status = nl_cell_work_measure(work, run->alone, k, &state->kernels[k]);
        }
    }
    nl_measure_end(run->alone);
    return status;
}

static nl_status send_training_seconds(const nl_cell_work *work)
{
    const nl_train_clock clock = nl_training_clock(work->training);
    nl_status status = nl_cell_work_send_seconds(work, "train", clock.training);

    return status == NL_OK ? nl_cell_work_send_seconds(work, "evaluate", clock.evaluation) : status;
}

/* The state that velocities are taken from, which a team will ask for. */
static nl_status keep_previous(nl_cell_work *work, const nl_record *record)
{
    nl_status status = NL_OK;

    for (int s = 0; status == NL_OK && s < record->states; s++) {
        const float *theta = nl_training_previous_theta(work->training, record->state[s].step);

        if (theta != NULL) {
            status = nl_state_keep_theta(work->net, theta, &record->state[s]);
        }
    }
    return status;
}

/* States that an interrupted run reached but did not measure to the end.  It may have left to a
 * team what this rank now measures alone, and the other way round. */
static nl_status measure_left_over(nl_cell_work *work)
{
    nl_record *record = nl_training_record(work->training);
    nl_status status = work->run->schedule.team_size > 1 ? keep_previous(work, record) : NL_OK;

    for (int s = 0; status == NL_OK && s < record->states; s++) {
        nl_state *state = &record->state[s];
        const float *theta =
            state->theta != NULL ? state->theta : nl_training_theta_at(work->training, state->step);

        if (theta != NULL && state->finite && work->run->schedule.team_size > 1) {
            status = nl_state_keep_theta(work->net, theta, state);
        }
        if (status == NL_OK && theta != NULL) {
            status = measure_private(work, record, theta, state);
        }
    }
    return status;
}

/* Train and measure until the cell is over (NL_OK) or all are asked to stop (NL_STOPPED). */
static nl_status train_events(nl_cell_work *work)
{
    nl_run *run = work->run;
    nl_event event = NL_EVENT_PAUSED;
    nl_state *state = NULL;
    nl_status status = measure_left_over(work);

    if (status == NL_OK) {
        status = nl_lending_begin(work);
    }
    while (status == NL_OK && event != NL_EVENT_OVER) {
        status = nl_training_run(work->training, pause_asked, work, &event, &state);
        nl_lending_pause(work->run);
        atomic_store(&run->clock.now_step, nl_training_step(work->training));
        nl_cell_work_set_reserve(work);
        if (status == NL_OK && event == NL_EVENT_STATE) {
            const float *theta = nl_training_theta(work->training);
            nl_record *record = nl_training_record(work->training);
            const bool keep = run->schedule.team_size > 1 ||
                              run->in.study->spec.snapshots == NL_SNAPSHOTS_MEASURED;

            status = enter_state(work, record, theta, state, keep);
            if (status == NL_OK) {
                status = measure_private(work, record, theta, state);
            }
        } else if (status == NL_OK && event == NL_EVENT_PAUSED) {
            status = nl_run_stopping(run) ? NL_STOPPED : checkpoint(work);
        }
    }
    return status;
}

/* `best` moves while training goes: only now is it known which state it is. */
static nl_status keep_best(nl_cell_work *work)
{
    nl_record *record = nl_training_record(work->training);
    nl_state *best = nl_record_find(record, record->best_step);

    if (best == NULL || !nl_record_wants_snapshot(work->run, record, best)) {
        return NL_OK;
    }
    return nl_state_keep_theta(work->net, nl_training_best_theta(work->training), best);
}

/* From wherever the training stands to its end. */
static nl_status train(nl_cell_work *work)
{
    nl_run *run = work->run;
    nl_record *record = NULL;
    nl_continuation c;
    int arrived = 0;
    nl_status status = train_events(work);
    nl_status sent = NL_OK;

    record = nl_training_record(work->training);
    c = nl_training_continuation(work->training);
    if (status == NL_OK) {
        status = nl_offload_await(work, record, false, &arrived);
    }
    if (status == NL_STOPPED) {
        status = nl_offload_leave(work, record, &c);
    } else if (status == NL_OK) {
        status = keep_best(work);
        if (status == NL_OK && run->schedule.team_size > 1) {
            status = nl_cell_work_write(work, record, &c, true);
            run->schedule.phase[work->index] = status == NL_OK ? NL_CELL_TRAINED : NL_CELL_LEFT;
        } else if (status == NL_OK) {
            status = nl_cell_work_finish(work, record, &c);
        }
    }
    sent = send_training_seconds(work);
    if (sent == NL_OK) {
        sent = nl_lending_end(work);
    }
    if (sent == NL_OK) {
        sent = nl_cell_work_send_measuring(work, run->alone);
    }
    return status != NL_OK ? status : sent;
}

/* Measure anew what an earlier run trained, under another plan. */
static nl_status measure_again(nl_cell_work *work, nl_record *record, const nl_continuation *c)
{
    nl_run *run = work->run;
    int arrived = 0;
    nl_status status = NL_OK;

    for (int s = 0; status == NL_OK && s < record->states; s++) {
        nl_state *state = &record->state[s];

        atomic_store(&run->clock.now_step, state->step);
        status = enter_state(work, record, state->theta, state, false);
        if (status == NL_OK) {
            status = measure_private(work, record, state->theta, state);
        }
        if (status == NL_OK && nl_cell_work_checkpoint_due(work, 0.0)) {
            status = nl_cell_work_write(work, record, c, true);
        }
    }
    if (status == NL_OK) {
        status = nl_offload_await(work, record, false, &arrived);
    }
    if (status == NL_STOPPED) {
        status = nl_offload_leave(work, record, c);
    } else if (status == NL_OK && run->schedule.team_size > 1) {
        status = nl_cell_work_write(work, record, c, true);
        run->schedule.phase[work->index] = status == NL_OK ? NL_CELL_TRAINED : NL_CELL_LEFT;
    } else if (status == NL_OK) {
        status = nl_cell_work_finish(work, record, c);
    }
    return status == NL_OK ? nl_cell_work_send_measuring(work, run->alone) : status;
}

/* What an earlier run left of this cell, and what is done with it. */
static nl_status train_or_go_on(nl_cell_work *work)
{
    nl_run *run = work->run;
    nl_restart found = {0};
    nl_status status = nl_training_create(work->cell, work->net, run->in.splits, work->data,
                                          run->in.plan, &work->training);

    if (status == NL_OK) {
        status =
            nl_restart_find(run, work->index, work->net, nl_training_start(work->training), &found);
    }
    if (status == NL_OK && found.kind == NL_RESTART_KERNELS_LEFT) {
        run->schedule.phase[work->index] = NL_CELL_TRAINED;
    } else if (status == NL_OK && found.kind == NL_RESTART_SNAPSHOTS) {
        nl_training_destroy(&work->training);
        status = measure_again(work, found.record, &found.continuation);
    } else if (status == NL_OK) {
        if (found.kind == NL_RESTART_TRAINING) {
            status = nl_training_restore(work->training, &found.record, &found.continuation,
                                         found.max_steps);
            if (status == NL_ERR_DAMAGED) { /* then it begins anew */
                status = nl_send_event(run->schedule.service, work->index, run->in.team->rank,
                                       "checkpoint_dropped", "does not fit the cell");
            }
        }
        if (status == NL_OK) {
            status = train(work);
        }
    }
    nl_record_destroy(&found.record, run->in.plan->kernels);
    nl_continuation_free(&found.continuation);
    return status;
}

nl_status nl_cell_train(nl_run *run, int index)
{
    nl_cell_work work;
    nl_status status = nl_cell_work_open(run, index, &work);

    atomic_store(&run->clock.now_cell, index);
    atomic_store(&run->clock.now_step, 0);
    if (status == NL_OK) {
        status = train_or_go_on(&work);
    }
    atomic_store(&run->clock.now_cell, -1);
    if (status == NL_OK && work.unverified) {
        status = NL_ERR_NUMERIC;
    }
    nl_offload_forget(&work);
    nl_cell_work_close(&work);
    return status;
}
