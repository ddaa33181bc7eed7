/** @file team_state.h  What the ranks of a team know of a state in work. */
#ifndef NTKLENS_RUN_TEAM_STATE_H
#define NTKLENS_RUN_TEAM_STATE_H

#include "cell_work.h"

/** What the ranks of a team know of a state in work; the leader tells them. */
typedef struct nl_team_state {
    long step, previous_step; /* step -1: there is nothing to do */
    int kernel;
    float *theta, *previous; /* owned; [net->size] */
} nl_team_state;

/** Room for parameters, and the initial ones for everybody.  Collective over the team. */
NL_MUST_CHECK nl_status nl_team_state_create(nl_cell_work *work, const nl_team *team,
                                             nl_team_state *shared);
void nl_team_state_free(nl_team_state *shared);

/** From the leader to all.  Collective over the team. */
void nl_team_state_broadcast(const nl_cell_work *work, const nl_team *team, nl_team_state *shared);

/** Measure its kernel.  Collective over the team.  measurer: NULL on ranks off the grid. */
NL_MUST_CHECK nl_status nl_team_state_measure(nl_cell_work *work, const nl_team *team,
                                              nl_measurer *measurer, const nl_team_state *shared,
                                              nl_measurement *out);

#endif
