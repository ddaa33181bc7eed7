/** @file cost.h  Expected work of a cell: decides who goes first and how far the study is. */
#ifndef NTKLENS_STUDY_COST_H
#define NTKLENS_STUDY_COST_H

#include "result.h"

#include "ntklens/data.h"

/** Floating-point operations by phase. */
typedef struct nl_cost {
    double training, evaluation, gram, solve;
    int states; /* measured, without `best` where it is not among them */
} nl_cost;

nl_cost nl_cell_cost(const nl_study *study, const nl_cell *cell, const nl_dataset_info *info,
                     const nl_measure_plan *plan);

double nl_cost_total(const nl_cost *cost);

#endif
