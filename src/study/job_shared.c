/** @file job_shared.c  Kernels that a team of ranks shares. */
#include "job.h"

#include <stdlib.h>
#include <string.h>

/** What the team's ranks know of a state; the leader tells them. */
typedef struct shared_state {
    long step, previous_step; /* step -1: there is none left */
    float *theta, *previous;  /* owned; [net->size] */
} shared_state;

static nl_status tell_state(nl_job *job, const nl_team *team, shared_state *shared)
{
    const size_t size = job->net->size * sizeof *shared->theta;
    nl_status status = nl_team_broadcast(team, shared->theta, size, 0);

    if (status == NL_OK) {
        status = nl_team_broadcast(team, &shared->previous_step, sizeof shared->previous_step, 0);
    }
    if (status == NL_OK && shared->previous_step > 0) {
        status = nl_team_broadcast(team, shared->previous, size, 0);
    }
    return status;
}

static nl_status measure_shared_state(nl_job *job, const nl_team *team, nl_measurer *measurer,
                                      shared_state *shared, nl_state *state)
{
    nl_measurement scratch = {0};
    nl_status status = tell_state(job, team, shared);

    if (status == NL_OK && measurer != NULL) {
        const float *previous = shared->previous_step > 0    ? shared->previous
                                : shared->previous_step == 0 ? job->initial
                                                             : NULL;

        status = nl_job_begin(job, measurer, shared->theta, shared->step, previous,
                              shared->previous_step, NULL);
    }
    for (int k = 0; status == NL_OK && k < job->run->plan->kernels; k++) {
        nl_measurement *out = state != NULL ? &state->kernels[k] : &scratch;

        if (job->run->solve[k].team > 1 && measurer != NULL) {
            status = nl_job_measure(job, measurer, k, out);
        }
        nl_measurement_clear(&scratch, 0);
    }
    if (measurer != NULL) {
        nl_measure_end(measurer);
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

/* The leader's next state, copied for the others. */
static nl_status take_state(nl_job *job, const nl_result *result, const nl_state *state,
                            shared_state *shared)
{
    const size_t size = job->net->size * sizeof *shared->theta;
    const float *previous = NULL;
    nl_status status = nl_job_previous(job, result, state, &shared->previous_step, &previous);

    shared->step = state->step;
    memcpy(shared->theta, state->theta, size);
    if (status == NL_OK && shared->previous_step > 0) {
        memcpy(shared->previous, previous, size);
    }
    atomic_store(&job->run->now_step, state->step);
    return status;
}

/* Parameters for everybody: room for those of states, and the initial ones as the leader has them.
 */
static nl_status prepare(nl_job *job, const nl_team *team, shared_state *shared)
{
    nl_status status = NL_OK;

    *shared = (shared_state){.step = -1, .previous_step = -1};
    shared->theta = nl_calloc(job->net->size, sizeof *shared->theta);
    shared->previous = nl_calloc(job->net->size, sizeof *shared->previous);
    if (shared->theta == NULL || shared->previous == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for parameters");
    } else if (nl_job_initial(job) == NULL) {
        status = NL_ERR_NOMEM;
    }
    status = nl_agree(team->comm, status);
    return status != NL_OK
               ? status
               : nl_team_broadcast(team, job->initial, job->net->size * sizeof *job->initial, 0);
}

/* The leader, who alone has the result, walks through its states and tells the others. */
static nl_status measure_shared_states(nl_job *job, const nl_team *team, nl_measurer *measurer,
                                       nl_result *result, const nl_continuation *continuation)
{
    shared_state shared;
    nl_status status = prepare(job, team, &shared);
    int next = 0;

    while (status == NL_OK) {
        nl_state *state = NULL;

        if (result != NULL) {
            next = next_state(job->run, result, next);
            state = next >= 0 ? &result->state[next] : NULL;
            status = state != NULL ? take_state(job, result, state, &shared) : NL_OK;
            shared.step = state != NULL ? state->step : -1;
        }
        status = nl_agree(team->comm, status);
        if (status == NL_OK) {
            status = nl_team_broadcast(team, &shared.step, sizeof shared.step, 0);
        }
        if (status != NL_OK || shared.step < 0) {
            break;
        }
        status = measure_shared_state(job, team, measurer, &shared, state);
        if (status == NL_OK && result != NULL && nl_job_checkpoint_due(job, 0.0)) {
            status = nl_job_write(job, result, continuation, true);
        }
        status = nl_agree(team->comm, status);
        next++;
    }
    free(shared.theta);
    free(shared.previous);
    return status;
}

nl_status nl_cell_measure_shared(nl_run *run, const nl_team *team, nl_measurer *measurer, int index)
{
    nl_job job;
    nl_found found = {0};
    nl_status status = nl_job_open(run, index, &job);

    atomic_store(&run->now_cell, index);
    if (status == NL_OK && team->rank == 0) {
        status = nl_find_earlier(run, index, job.net, NULL, &found);
        if (status == NL_OK && (found.kind != NL_FOUND_KERNELS_LEFT || found.result == NULL)) {
            status = NL_FAIL(NL_ERR_IO, "%s: its checkpoint cannot be read back", job.cell->id);
        }
    }
    status = nl_agree(team->comm, status);
    if (status == NL_OK) {
        status = measure_shared_states(&job, team, measurer, found.result, &found.continuation);
    }
    if (status == NL_OK && found.result != NULL) {
        if (nl_result_complete(found.result, run->plan) || !nl_run_stopping(run)) {
            status = nl_job_finish(&job, found.result, &found.continuation);
        } else {
            status = nl_job_write(&job, found.result, &found.continuation, true);
        }
        if (status == NL_OK) {
            status = nl_job_tell_measuring(&job, measurer);
        }
    }
    atomic_store(&run->now_cell, -1);
    nl_result_destroy(&found.result, run->plan->kernels);
    nl_continuation_free(&found.continuation);
    if (status == NL_OK && job.unverified) {
        status = NL_ERR_NUMERIC;
    }
    nl_job_close(&job);
    return nl_agree(team->comm, status);
}
