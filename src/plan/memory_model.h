/** @file memory_model.h  Bytes of one cell, on the rank that needs most. */
#ifndef NTKLENS_PLAN_MEMORY_MODEL_H
#define NTKLENS_PLAN_MEMORY_MODEL_H

#include "ntklens/measure.h"

#include "ntklens/plan.h"

/** Bytes of one cell, on the rank that needs most. */
typedef struct nl_cell_memory {
    double training;   /* parameters, optimiser, activations, batch, kept snapshots */
    double kernel;     /* the largest kernel with its factors and work space */
    double image;      /* the cell's file while it is built and written */
    double file;       /* the finished file */
    double checkpoint; /* an unfinished one */
} nl_cell_memory;

/** What the memory of a cell depends on beside the cell.  All borrowed. */
typedef struct nl_memory_terms {
    const nl_study_spec *asked;
    const nl_dataset_info *info;
    const nl_measure_plan *measure;
    const nl_solve_plan *solve; /* [measure->kernels] */
    int ranks, team_size;
} nl_memory_terms;

/** What a cell needs. */
nl_cell_memory nl_cell_memory_model(const nl_memory_terms *terms, const nl_cell *cell,
                                    const nl_net *net, const nl_cost *cost);

#endif
