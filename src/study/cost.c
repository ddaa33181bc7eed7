/** @file cost.c  Expected work of a cell, in floating-point operations. */
#include "cost.h"

#include "train.h"

#include <stdlib.h>

/* 4/3 n^3 to tridiagonal form, at a fraction of GEMM's rate: weighted so that the sum is a time. */
static const double solve_weight = 4.0 * 4.0 / 3.0;

static int log_count(int per_decade, long max_steps)
{
    long *steps = NULL;
    int count = 0;

    if (per_decade < 1 || nl_log_steps(per_decade, max_steps, &steps, &count) != NL_OK) {
        return 0;
    }
    free(steps);
    return count;
}

/* Multiply-adds of one sample's forward pass, twice. */
static double forward_flops(const nl_cell *cell, const nl_dataset_info *info)
{
    const double width = cell->width;

    return 2.0 * width * (info->inputs + (cell->depth - 1) * width + info->classes);
}

static double kernel_flops(const nl_cell *cell, const nl_dataset_info *info, nl_kernel_spec spec,
                           int samples)
{
    const double n = nl_kernel_order(spec, samples, info->classes);
    const double units = (double)cell->width * cell->depth;
    const double joined = spec.kind == NL_KERNEL_TRACED ? info->classes : 1.0;

    return n * n * units * joined; /* lower half, two operations each */
}

nl_cost nl_cell_cost(const nl_study *study, const nl_cell *cell, const nl_dataset_info *info,
                     const nl_measure_plan *plan)
{
    const long steps = (long)cell->value[NL_KEY_MAX_STEPS].number;
    const double forward = forward_flops(cell, info);
    const double looked_at = cell->n_train + nl_study_number(study, NL_KEY_TEST_SIZE) +
                             nl_study_number(study, NL_KEY_VALIDATION_SIZE);
    const int looks = 2 + log_count((int)cell->value[NL_KEY_EVALUATIONS_PER_DECADE].number, steps);
    nl_cost cost = {.states =
                        3 + log_count(plan->per_decade, steps) + plan->at_steps + plan->at_losses};

    cost.training = 3.0 * forward * nl_cell_batch(cell) * (double)steps;
    cost.evaluation = forward * looked_at * looks;
    for (int k = 0; k < plan->kernels; k++) {
        const double n = nl_kernel_order(plan->kernel[k], plan->samples, info->classes);

        cost.gram += cost.states * kernel_flops(cell, info, plan->kernel[k], plan->samples);
        cost.solve += cost.states * solve_weight * n * n * n;
    }
    return cost;
}

double nl_cost_total(const nl_cost *cost)
{
    return cost->training + cost->evaluation + cost->gram + cost->solve;
}
