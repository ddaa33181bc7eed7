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

/** What the memory of a cell depends on beside the cell.  All borrowed. */
typedef struct nl_memory_terms {
    const nl_study_spec *asked;
    const nl_dataset_info *info;
    const nl_measure_plan *measure;
    const nl_solve_plan *solve; /* [measure->kernels] */
    int ranks, team_size;
    int cores;    /* that a rank could have at most, its own among them */
    double bytes; /* of a rank, for all that is counted here */
} nl_memory_terms;

/**
 * Cores that a cell's steps are shared by, at most, itself among them: as many as they make use of,
 * but no more than there are, and than `bytes` leave room for the scratch of.  At least 1.
 *
 * @param[in] net   the cell's
 * @param[in] cost  nl_cell_cost()
 */
int nl_sharing_cores(const nl_memory_terms *terms, const nl_cell *cell, const nl_net *net,
                     const nl_cost *cost);

/** A number that grows with the time a cell takes; operations, weighted by what they usually cost.
 */
double nl_cost_total(const nl_cost *cost);

#endif
