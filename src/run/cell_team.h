/** @file cell_team.h  Shared kernels of a cell, by a team of ranks. */
#ifndef NTKLENS_RUN_CELL_TEAM_H
#define NTKLENS_RUN_CELL_TEAM_H

#include "run_state.h"

#include "ntklens/measure.h"

/** Measure the shared kernels of a trained cell and finish it.  Collective over the team. */
NL_MUST_CHECK nl_status nl_cell_measure_shared(nl_run *run, const nl_team *team,
                                               nl_measurer *measurer, int index);

#endif
