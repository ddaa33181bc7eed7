/** @file team_state.c  What the ranks of a team know of a state in work. */
#include "team_state.h"

#include <stdlib.h>
#include <zlib.h>

/* Parameters for everybody: room for those of states, and the initial ones as the leader has them.
 */
nl_status nl_team_state_create(nl_cell_work *work, const nl_team *team, nl_team_state *shared)
{
    nl_status status = NL_OK;

    *shared = (nl_team_state){.step = -1, .previous_step = -1};
    shared->theta = nl_calloc(work->net->size, sizeof *shared->theta);
    shared->previous = nl_calloc(work->net->size, sizeof *shared->previous);
    if (shared->theta == NULL || shared->previous == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for parameters");
    } else if (nl_cell_work_initial(work) == NULL) {
        status = NL_ERR_NOMEM;
    }
    status = nl_agree(team->comm, status);
    if (status == NL_OK) {
        nl_team_broadcast(team, work->initial, work->net->size * sizeof *work->initial, 0);
    }
    return status;
}

void nl_team_state_free(nl_team_state *shared)
{
    free(shared->theta);
    free(shared->previous);
    *shared = (nl_team_state){.step = -1, .previous_step = -1};
}

void nl_team_state_broadcast(const nl_cell_work *work, const nl_team *team, nl_team_state *shared)
{
    const size_t size = work->net->size * sizeof *shared->theta;
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
static nl_status agree_on_parameters(const nl_cell_work *work, const nl_team *team,
                                     const nl_team_state *shared)
{
    const size_t size = work->net->size * sizeof *shared->theta;
    unsigned long sum[2] = {0};
    unsigned long most[2] = {0};

    sum[0] = crc32_z(0, (const unsigned char *)shared->theta, size);
    sum[0] = crc32_z(sum[0], (const unsigned char *)work->initial, size);
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
                     work->cell->id, shared->step);
}

nl_status nl_team_state_measure(nl_cell_work *work, const nl_team *team, nl_measurer *measurer,
                                const nl_team_state *shared, nl_measurement *out)
{
    const float *previous = shared->previous_step > 0    ? shared->previous
                            : shared->previous_step == 0 ? work->initial
                                                         : NULL;
    nl_status status = agree_on_parameters(work, team, shared);

    if (status == NL_OK && measurer != NULL) {
        status = nl_cell_work_begin(
            work, measurer,
            &(nl_moment){shared->theta, shared->step, previous, shared->previous_step}, NULL);
        if (status == NL_OK) {
            status = nl_cell_work_measure(work, measurer, shared->kernel, out);
        }
        nl_measure_end(measurer);
    }
    return nl_agree(team->comm, status);
}
