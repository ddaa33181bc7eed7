/** @file plan.h  What a run would need, and how far one is: Local, on one process. */
#ifndef NTKLENS_PLAN_H
#define NTKLENS_PLAN_H

#include "ntklens/folder.h"
#include "ntklens/measure.h"
#include "ntklens/nn.h"

typedef struct nl_plan_options {
    int ranks;              /* 0: one, or as few as memory_per_rank allows */
    int ranks_per_node;     /* 0: as many as this machine has cores */
    double memory_per_rank; /* bytes; 0: what this machine would give */
    const char *timings;    /* timings.csv of an earlier run; NULL: rates are measured here */
    bool json;
} nl_plan_options;

/**
 * Say what a run of the study would need, without running it: cells, kernels, memory, time, files.
 * Writes nothing but to `stream`.  Needs MPI, on one process.
 */
NL_MUST_CHECK nl_status nl_study_plan(const nl_study *study, const nl_plan_options *options,
                                      FILE *stream);

/**
 * Say where the study in a results folder stands.  Reads only; loads no images.
 *
 * @return NL_ERR_USAGE where the folder holds no study
 */
NL_MUST_CHECK nl_status nl_study_status_show(const char *folder, bool json, FILE *stream);

/** Work of one kind: `units` times `unit` floating-point operations. */
typedef struct nl_effort {
    double unit;  /* of one step, one sample looked at, all kernels of one state */
    double units; /* steps, samples looked at, states */
} nl_effort;

typedef struct nl_cost {
    nl_effort effort[NL_EFFORT_KINDS];
    int evaluations; /* evaluations of both losses */
    int states;      /* measured; `best` counts as one of its own */
} nl_cost;

/** @param[in] net    the cell's
 *  @param[in] solve  [kernels] how its kernels are solved; NULL: not known, by themselves */
nl_cost nl_cell_cost(const nl_study *study, const nl_cell *cell, const nl_net *net,
                     const nl_measure_plan *plan, const nl_solve_plan *solve);

/** A number that grows with the time a cell takes; operations, weighted by what they usually cost.
 */
double nl_cost_total(const nl_cost *cost);

#endif
