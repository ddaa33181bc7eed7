/** @file infinite_plan.c  The solve of spectra of infinite width. */
#include "ntklens/measure.h"

int nl_infinite_samples(const nl_measure_plan *plan, const nl_solve_plan *solve)
{
    int samples = 0;

    for (int k = 0; k < plan->kernels; k++) {
        if (solve[k].method == NL_METHOD_PRIMAL) {
            samples = nl_larger(samples, nl_measure_samples(plan, k));
        }
    }
    return samples;
}

nl_measure_plan nl_infinite_measure_plan(int samples, nl_kernel_spec kernel[1])
{
    kernel[0] = (nl_kernel_spec){.kind = NL_KERNEL_TRACED};
    return (nl_measure_plan){
        .kernels = 1, .whole = 1, .kernel = kernel, .samples = samples, .precision = NL_DOUBLE};
}

nl_status nl_infinite_plan(const nl_study_spec *spec, const nl_measure_plan *plan,
                           const nl_solve_room *room, nl_solve_plan *out)
{
    nl_kernel_spec kernel[1];
    const nl_measure_plan traced = nl_infinite_measure_plan(plan->samples, kernel);

    *out = (nl_solve_plan){0};
    return !spec->infinite ? NL_OK : nl_solve_plan_make(&spec->solve, &traced, 0, room, out);
}
