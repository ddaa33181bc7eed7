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
    int cores;         /* nl_sharing_cores() */
} nl_cell_memory;

/** What a cell needs. */
nl_cell_memory nl_cell_memory_model(const nl_memory_terms *terms, const nl_cell *cell,
                                    const nl_net *net, const nl_cost *cost);

#endif
