/** @file job_shared.c  Kernels that a team of ranks shares. */
#include "job.h"
#include "libraries.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* Parameters for everybody: room for those of states, and the initial ones as the leader has them.
 */
nl_status nl_shared_state_create(nl_job *job, const nl_team *team, nl_shared_state *shared)
{
    nl_status status = NL_OK;

    *shared = (nl_shared_state){.step = -1, .previous_step = -1};
    shared->theta = nl_calloc(job->net->size, sizeof *shared->theta);
    shared->previous = nl_calloc(job->net->size, sizeof *shared->previous);
    if (shared->theta == NULL || shared->previous == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for parameters");
    } else if (nl_job_initial(job) == NULL) {
        status = NL_ERR_NOMEM;
    }
    status = nl_agree(team->comm, status);
    if (status == NL_OK) {
        nl_team_broadcast(team, job->initial, job->net->size * sizeof *job->initial, 0);
    }
    return status;
}

void nl_shared_state_free(nl_shared_state *shared)
{
    free(shared->theta);
    free(shared->previous);
    *shared = (nl_shared_state){.step = -1, .previous_step = -1};
}

void nl_shared_state_tell(const nl_job *job, const nl_team *team, nl_shared_state *shared)
{
    const size_t size = job->net->size * sizeof *shared->theta;
    long head[] = {shared->step, shared->previous_step, shared->kernel};

    nl_team_broadcast(team, head, sizeof head, 0);
    shared->step = head[0];
    shared->previous_step = head[1];
    shared->kernel = (int)head[2];
    if (shared->step >= 0) {
        nl_team_broadcast(team, shared->theta, size, 0);
    }
    if (shared->step >= 0 && shared->previous_step > 0) {
        nl_team_broadcast(team, shared->previous, size, 0);
    }
}

/* Do all ranks of the team hold the same parameters?  Each has a check sum of its own, so a bit
 * that changed on one of them is seen before the kernel is filled with it.  Collective. */
static nl_status agree_on_parameters(const nl_job *job, const nl_team *team,
                                     const nl_shared_state *shared)
{
    const size_t size = job->net->size * sizeof *shared->theta;
    unsigned long sum[2] = {0};
    unsigned long most[2] = {0};

    sum[0] = crc32_z(0, (const unsigned char *)shared->theta, size);
    sum[0] = crc32_z(sum[0], (const unsigned char *)job->initial, size);
    if (shared->previous_step > 0) {
        sum[0] = crc32_z(sum[0], (const unsigned char *)shared->previous, size);
    }
    sum[1] = ~sum[0];
    MPI_Allreduce(sum, most, 2, MPI_UNSIGNED_LONG, MPI_MAX, team->comm);
    if (most[0] == ~most[1]) { /* the largest is the smallest */
        return NL_OK;
    }
    return team->rank != 0
               ? NL_ERR_INTERNAL
               : NL_FAIL(
                     NL_ERR_INTERNAL,
                     "%s, step %ld: the ranks of a team hold different parameters, expected the "
                     "same check sums: memory or network of a rank is at fault",
                     job->cell->id, shared->step);
}

nl_status nl_job_measure_shared(nl_job *job, const nl_team *team, nl_measurer *measurer,
                                const nl_shared_state *shared, nl_measurement *out)
{
    const float *previous = shared->previous_step > 0    ? shared->previous
                            : shared->previous_step == 0 ? job->initial
                                                         : NULL;
    nl_status status = agree_on_parameters(job, team, shared);

    if (status == NL_OK && measurer != NULL) {
        status = nl_job_begin(job, measurer, shared->theta, shared->step, previous,
                              shared->previous_step, NULL);
        if (status == NL_OK) {
            status = nl_job_measure(job, measurer, shared->kernel, out);
        }
        nl_measure_end(measurer);
    }
    return nl_agree(team->comm, status);
}

/*---------------------------------------------------------------------------------------------
 * All of a cell
 *-------------------------------------------------------------------------------------------*/

/** A shared kernel of a state. */
typedef struct piece {
    int state, kernel; /* state -1: none is left, or asked to stop */
} piece;

/* The first piece that is left to be measured, from one on. */
static piece next_piece(const nl_run *run, const nl_result *result, piece from)
{
    for (; from.state < result->states && !nl_run_stopping(run); from.state++, from.kernel = 0) {
        const nl_state *state = &result->state[from.state];

        for (; state->theta != NULL && from.kernel < run->plan->kernels; from.kernel++) {
            if (run->solve[from.kernel].team > 1 && !state->kernels[from.kernel].done) {
                return from;
            }
        }
    }
    return (piece){-1, -1};
}

/* The leader: the next piece is this team's, those before it are for free teams, as many as there
 * are.  The last one is kept: this team would only wait for it. */
static nl_status choose_piece(nl_job *job, nl_result *result, piece *next)
{
    bool given = true;
    nl_status status = nl_job_collect(job, result);

    *next = next_piece(job->run, result, *next);
    while (status == NL_OK && given && next->state >= 0) {
        const piece after = next_piece(job->run, result, (piece){next->state, next->kernel + 1});
        nl_state *state = &result->state[next->state];

        given = false;
        if (after.state >= 0) {
            status = nl_job_give_away(job, result, next->kernel, state->theta, state, &given);
        }
        *next = given ? after : *next;
    }
    return status;
}

/* The leader's next piece, its parameters copied for the others. */
static nl_status take_piece(nl_job *job, nl_result *result, piece *next, nl_shared_state *shared)
{
    const size_t size = job->net->size * sizeof *shared->theta;
    const float *previous = NULL;
    nl_status status = choose_piece(job, result, next);

    shared->step = -1;
    if (status == NL_OK && next->state >= 0) {
        const nl_state *state = &result->state[next->state];

        status = nl_job_previous(job, result, state, &shared->previous_step, &previous);
        shared->step = state->step;
        shared->kernel = next->kernel;
        memcpy(shared->theta, state->theta, size);
        if (status == NL_OK && shared->previous_step > 0) {
            memcpy(shared->previous, previous, size);
        }
        atomic_store(&job->run->now_step, state->step);
    }
    return status;
}

/* The leader, who alone has the result, walks through its states and tells the others. */
static nl_status measure_shared_states(nl_job *job, const nl_team *team, nl_measurer *measurer,
                                       nl_result *result, const nl_continuation *continuation)
{
    nl_shared_state shared;
    nl_measurement scratch = {0};
    piece now = {0, 0};
    nl_status status = nl_shared_state_create(job, team, &shared);

    while (status == NL_OK) {
        nl_measurement *out = &scratch;

        if (result != NULL) {
            status = take_piece(job, result, &now, &shared);
            out = now.state >= 0 ? &result->state[now.state].kernels[now.kernel] : &scratch;
        }
        status = nl_agree(team->comm, status);
        if (status == NL_OK) {
            nl_shared_state_tell(job, team, &shared);
        }
        if (status != NL_OK || shared.step < 0) {
            break;
        }
        status = nl_job_measure_shared(job, team, measurer, &shared, out);
        nl_measurement_clear(&scratch, 0);
        if (status == NL_OK && result != NULL && nl_job_checkpoint_due(job, 0.0)) {
            status = nl_job_write(job, result, continuation, true);
        }
        status = nl_agree(team->comm, status);
        now.kernel++;
    }
    nl_shared_state_free(&shared);
    return status;
}

/* Ranks of a team that compute with other kernels than its leader mix them.  Collective over the
 * team.  result: NULL but on the leader. */
static void note_mix(const nl_run *run, const nl_team *team, nl_result *result)
{
    const bool same = run->same_blas || nl_libraries_same(team);

    if (result != NULL) {
        result->mixed = result->mixed || !same;
    }
}

/* The leader, once its team has nothing left to measure. */
static nl_status finish_shared(nl_job *job, nl_measurer *measurer, nl_found *found)
{
    int arrived = 0;
    nl_status status = nl_job_await(job, found->result, false, &arrived);

    if (status == NL_OK &&
        (nl_result_complete(found->result, job->run->plan) || !nl_run_stopping(job->run))) {
        status = nl_job_finish(job, found->result, &found->continuation);
    } else if (status == NL_OK || status == NL_STOPPED) {
        status = nl_job_leave(job, found->result, &found->continuation);
    }
    return status == NL_OK ? nl_job_tell_measuring(job, measurer) : status;
}

/* The others, until the leader has all results and has written them. */
static void wait_for_leader(nl_run *run, const nl_team *team)
{
    const double start = nl_now();

    nl_team_wait(team);
    run->idle_seconds += team->rank != 0 ? nl_now() - start : 0.0;
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
        note_mix(run, team, found.result);
        status = measure_shared_states(&job, team, measurer, found.result, &found.continuation);
    }
    if (status == NL_OK && found.result != NULL) {
        status = finish_shared(&job, measurer, &found);
    }
    atomic_store(&run->now_cell, -1);
    nl_result_destroy(&found.result, run->plan->kernels);
    nl_continuation_free(&found.continuation);
    if (status == NL_OK && job.unverified) {
        status = NL_ERR_NUMERIC;
    }
    nl_job_close(&job);
    wait_for_leader(run, team);
    return nl_agree(team->comm, status);
}
