/** @file team.c  Communicators and what their ranks agree on. */
#include "ntklens/par.h"

#include <stdlib.h>

enum { broadcast_chunk = 1 << 30 };
static const double wait_poll_seconds = 1e-3;

nl_status nl_worst_status(MPI_Comm comm, nl_status status)
{
    int mine = (int)status;
    int worst = 0;

    MPI_Allreduce(&mine, &worst, 1, MPI_INT, MPI_MAX, comm);
    return (nl_status)worst;
}

nl_status nl_team_create(MPI_Comm comm, nl_team **out)
{
    nl_team *team = calloc(1, sizeof *team);
    nl_status status = NL_OK;

    *out = NULL;
    if (team == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a team");
    }
    status = nl_agree(comm, status);
    if (status != NL_OK) {
        free(team);
        return status;
    }
    MPI_Comm_dup(comm, &team->comm);
    MPI_Comm_rank(team->comm, &team->rank);
    MPI_Comm_size(team->comm, &team->size);
    MPI_Comm_split_type(team->comm, MPI_COMM_TYPE_SHARED, team->rank, MPI_INFO_NULL, &team->node);
    MPI_Comm_rank(team->node, &team->node_rank);
    MPI_Comm_size(team->node, &team->node_size);
    *out = team;
    return NL_OK;
}

nl_status nl_team_split(const nl_team *parent, int color, nl_team **out)
{
    MPI_Comm part = MPI_COMM_NULL;
    nl_status status = NL_OK;

    *out = NULL;
    MPI_Comm_split(parent->comm, color < 0 ? MPI_UNDEFINED : color, parent->rank, &part);
    if (part != MPI_COMM_NULL) {
        status = nl_team_create(part, out);
        MPI_Comm_free(&part);
    }
    status = nl_agree(parent->comm, status);
    if (status != NL_OK) {
        nl_team_destroy(out);
    }
    return status;
}

nl_status nl_team_form(const nl_team *parent, int count, const int *ranks, nl_team **out)
{
    MPI_Group all = MPI_GROUP_NULL;
    MPI_Group few = MPI_GROUP_NULL;
    MPI_Comm part = MPI_COMM_NULL;
    nl_status status = NL_OK;

    *out = NULL;
    MPI_Comm_group(parent->comm, &all);
    MPI_Group_incl(all, count, ranks, &few);
    MPI_Comm_create_group(parent->comm, few, 0, &part);
    MPI_Group_free(&few);
    MPI_Group_free(&all);
    status = nl_team_create(part, out);
    MPI_Comm_free(&part);
    return status;
}

void nl_team_destroy(nl_team **team)
{
    if (*team != NULL) {
        MPI_Comm_free(&(*team)->node);
        MPI_Comm_free(&(*team)->comm);
        free(*team);
        *team = NULL;
    }
}

void nl_team_broadcast(const nl_team *team, void *bytes, size_t length, int root)
{
    for (size_t done = 0; done < length; done += broadcast_chunk) {
        size_t left = length - done;
        int part = left < broadcast_chunk ? (int)left : broadcast_chunk;

        MPI_Bcast((char *)bytes + done, part, MPI_BYTE, root, team->comm);
    }
}

void nl_team_wait(const nl_team *team)
{
    MPI_Request barrier = MPI_REQUEST_NULL;
    int done = 0;

    MPI_Ibarrier(team->comm, &barrier);
    for (MPI_Test(&barrier, &done, MPI_STATUS_IGNORE); !done;
         MPI_Test(&barrier, &done, MPI_STATUS_IGNORE)) {
        nl_sleep(wait_poll_seconds);
    }
}
