/** @file cell_team.c  Kernels that a team of ranks shares. */
#include "cell_team.h"
#include "lending.h"
#include "offload.h"
#include "resume.h"
#include "team_state.h"

#include "ntklens/machine.h"

#include <stdatomic.h>
#include <string.h>

/*---------------------------------------------------------------------------------------------
 * All of a cell
 *-------------------------------------------------------------------------------------------*/

/** A shared kernel of a state. */
typedef struct piece {
    int state, kernel; /* state -1: none is left, or asked to stop */
} piece;

/* The first piece that is left to be measured, from one on. */
static piece next_piece(const nl_cell_work *work, const nl_record *record, piece from)
{
    const nl_run *run = work->run;

    for (; from.state < record->states && !nl_run_stopping(run); from.state++, from.kernel = 0) {
        const nl_state *state = &record->state[from.state];

        for (; state->theta != NULL && from.kernel < run->in.plan->kernels; from.kernel++) {
            if (work->solve[from.kernel].team > 1 && !state->kernels[from.kernel].done) {
                return from;
            }
        }
    }
    return (piece){-1, -1};
}

/* The leader: the next piece is this team's, those before it are for free teams, as many as there
 * are.  The last one is kept: this team would only wait for it. */
static nl_status choose_piece(nl_cell_work *work, nl_record *record, piece *next)
{
    bool given = true;
    nl_status status = nl_offload_collect(work, record);

    *next = next_piece(work, record, *next);
    while (status == NL_OK && given && next->state >= 0) {
        const piece after = next_piece(work, record, (piece){next->state, next->kernel + 1});
        nl_state *state = &record->state[next->state];

        given = false;
        if (after.state >= 0) {
            status = nl_offload_start(work, record, next->kernel, state->theta, state, &given);
        }
        *next = given ? after : *next;
    }
    return status;
}

/* The leader's next piece, its parameters copied for the others. */
static nl_status take_piece(nl_cell_work *work, nl_record *record, piece *next,
                            nl_team_state *shared)
{
    const size_t size = work->net->size * sizeof *shared->theta;
    const float *previous = NULL;
    nl_status status = choose_piece(work, record, next);

    shared->step = -1;
    if (status == NL_OK && next->state >= 0) {
        const nl_state *state = &record->state[next->state];

        status = nl_cell_work_previous(work, record, state, &shared->previous_step, &previous);
        shared->step = state->step;
        shared->kernel = next->kernel;
        memcpy(shared->theta, state->theta, size);
        if (status == NL_OK && shared->previous_step > 0) {
            memcpy(shared->previous, previous, size);
        }
        atomic_store(&work->run->clock.now_step, state->step);
    }
    return status;
}

/* The leader, who alone has the result, walks through its states and tells the others.  NL_STOPPED:
 * a kernel was left. */
static nl_status measure_shared_states(nl_cell_work *work, const nl_team *team,
                                       nl_measurer *measurer, nl_record *record,
                                       const nl_continuation *continuation)
{
    nl_team_state shared;
    nl_measurement scratch = {0};
    piece now = {0, 0};
    nl_status status = nl_team_state_create(work, team, &shared);

    while (status == NL_OK) {
        nl_measurement *out = &scratch;

        if (record != NULL) {
            status = take_piece(work, record, &now, &shared);
            out = now.state >= 0 ? &record->state[now.state].kernels[now.kernel] : &scratch;
        }
        status = nl_agree(team->comm, status);
        if (status == NL_OK) {
            nl_team_state_broadcast(work, team, &shared);
        }
        if (status != NL_OK || shared.step < 0) {
            break;
        }
        status = nl_team_state_measure(work, team, measurer, &shared, out);
        nl_measurement_clear(&scratch, 0);
        if (status == NL_OK && record != NULL && nl_cell_work_checkpoint_due(work, 0.0)) {
            status = nl_cell_work_write(work, record, continuation, true);
        }
        status = nl_agree(team->comm, status);
        now.kernel++;
    }
    nl_team_state_free(&shared);
    return status;
}

/* Ranks of a team that compute with other kernels than its leader mix them.  Collective over the
 * team.  result: NULL but on the leader. */
static void note_mix(const nl_run *run, const nl_team *team, nl_record *record)
{
    const bool same = run->in.same_blas || nl_libraries_same(team);

    if (record != NULL) {
        record->mixed = record->mixed || !same;
    }
}

/* The leader, once its team has nothing left to measure. */
static nl_status finish_shared(nl_cell_work *work, nl_measurer *measurer, nl_restart *found,
                               bool left)
{
    int arrived = 0;
    nl_status status = nl_offload_await(work, found->record, false, &arrived);

    if (status == NL_OK && !left &&
        (nl_record_complete(found->record, work->run->in.plan) || !nl_run_stopping(work->run))) {
        status = nl_cell_work_finish(work, found->record, &found->continuation);
    } else if (status == NL_OK || status == NL_STOPPED) {
        status = nl_offload_leave(work, found->record, &found->continuation);
    }
    return status == NL_OK ? nl_cell_work_send_measuring(work, measurer) : status;
}

/* The others, until the leader has all results and has written them. */
static void wait_for_leader(nl_run *run, const nl_team *team)
{
    const double start = nl_run_rest(run);

    nl_team_wait(team);
    nl_run_wake(run, start);
}

nl_status nl_cell_measure_shared(nl_run *run, const nl_team *team, nl_measurer *measurer, int index)
{
    nl_cell_work work;
    nl_restart found = {0};
    nl_status status = nl_cell_work_open(run, index, &work);

    atomic_store(&run->clock.now_cell, index);
    if (status == NL_OK && team->rank == 0) {
        status = nl_restart_find(run, index, work.net, NULL, &found);
        if (status == NL_OK && (found.kind != NL_RESTART_KERNELS_LEFT || found.record == NULL)) {
            status = NL_FAIL(NL_ERR_IO, "%s: its checkpoint cannot be read back", work.cell->id);
        }
    }
    status = nl_agree(team->comm, status);
    if (status == NL_OK) {
        note_mix(run, team, found.record);
        status = measure_shared_states(&work, team, measurer, found.record, &found.continuation);
    }
    if ((status == NL_OK || status == NL_STOPPED) && found.record != NULL) {
        const nl_status finished = finish_shared(&work, measurer, &found, status == NL_STOPPED);

        status = finished > status ? finished : status;
    }
    atomic_store(&run->clock.now_cell, -1);
    nl_record_destroy(&found.record, run->in.plan->kernels);
    nl_continuation_free(&found.continuation);
    if (status == NL_OK && work.unverified) {
        status = NL_ERR_NUMERIC;
    }
    nl_offload_forget(&work);
    nl_cell_work_close(&work);
    wait_for_leader(run, team);
    return nl_agree(team->comm, status);
}
