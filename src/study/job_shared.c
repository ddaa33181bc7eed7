/** @file job_shared.c  Kernels that a team of ranks shares. */
#include "job.h"

#include <stdlib.h>
#include <string.h>

static nl_status measure_shared_state(nl_job *job, const nl_team *team, nl_measurer *measurer,
                                      float *theta, nl_state *state)
{
    nl_measurement scratch = {0};
    nl_status status = nl_team_broadcast(team, theta, job->net->size * sizeof *theta, 0);

    for (int k = 0; status == NL_OK && k < job->run->plan->kernels; k++) {
        nl_measurement *out = state != NULL ? &state->kernels[k] : &scratch;

        if (job->run->solve[k].team > 1 && measurer != NULL) {
            status = nl_job_measure(job, measurer, k, theta, out);
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
static nl_status measure_shared_states(nl_job *job, const nl_team *team, nl_measurer *measurer,
                                       nl_result *result, const nl_continuation *continuation)
{
    float *theta = nl_calloc(job->net->size, sizeof *theta);
    nl_status status = nl_agree(
        team->comm, theta == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for parameters") : NL_OK);
    int next = 0;

    while (status == NL_OK) {
        nl_state *state = NULL;

        if (result != NULL) {
            next = next_state(job->run, result, next);
            state = next >= 0 ? &result->state[next] : NULL;
        }
        status = nl_team_broadcast(team, &next, sizeof next, 0);
        if (status != NL_OK || next < 0) {
            break;
        }
        if (state != NULL) {
            memcpy(theta, state->theta, job->net->size * sizeof *theta);
            atomic_store(&job->run->now_step, state->step);
        }
        status = measure_shared_state(job, team, measurer, theta, state);
        if (status == NL_OK && result != NULL && nl_job_checkpoint_due(job, 0.0)) {
            status = nl_job_write(job, result, continuation, true);
        }
        status = nl_agree(team->comm, status);
        next++;
    }
    free(theta);
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
