/** @file step_grid.h  The steps at which a training is looked at: a function of cell and study. */
#ifndef NTKLENS_TRAIN_STEP_GRID_H
#define NTKLENS_TRAIN_STEP_GRID_H

#include "ntklens/study.h"

typedef struct nl_grid_step {
    long step;
    bool evaluated; /* on the evaluation grid: part of the curve, may be best */
    bool measured;  /* kernels are measured */
    bool logged;    /* on the log grid of measurements: velocities are taken from here */
} nl_grid_step;

typedef struct nl_step_grid {
    nl_grid_step *at; /* owned; ascending steps, from 0 to max_steps */
    int count;
} nl_step_grid;

NL_MUST_CHECK nl_status nl_step_grid_create(const nl_cell *cell, const nl_measure_plan *plan,
                                            nl_step_grid *out);
void nl_step_grid_free(nl_step_grid *grid);

/** Is a step on the evaluation grid? */
bool nl_step_grid_evaluated(const nl_step_grid *grid, long step);

/** The last step of the log grid before this one, -1: none. */
long nl_step_grid_logged_before(const nl_step_grid *grid, long step);

#endif
