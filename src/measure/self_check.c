/** @file self_check.c  Quadrature held against exact eigenvalues, once a study. */
#include "self_check.h"

#include "ntklens/par.h"

#include <math.h>

enum { most_rows = 3000 };
static const double far_off = 2.0; /* stated half widths, each nearly two standard deviations */

bool nl_self_check_wanted(const nl_measurer *m, const nl_solve_plan *solve, int kernel)
{
    return solve->method == NL_METHOD_QUADRATURE && m->state.cell == 0 && m->state.step == 0 &&
           nl_measure_samples(m->plan, kernel) == m->plan->samples;
}

/* By itself. */
static nl_solve_plan exact_plan(const nl_measurer *m, const nl_solve_plan *solve, int kernel, int n)
{
    const nl_grid *grid = m->grid;
    const bool alone = grid->rows * grid->cols == 1;
    const int wanted = alone ? nl_private_block : nl_shared_block;
    nl_solve_plan plan = {.method = NL_METHOD_PRIMAL, .n = n, .order = n, .team = solve->team};

    plan.block = nl_kernel_block(m->plan->kernel[kernel], m->state.net->spec.outputs, wanted);
    plan.solver = nl_solver_find(alone ? "lapack" : "scalapack");
    return plan;
}

static nl_status tell(const nl_measurer *m, int kernel, int samples, const nl_measurement *exact,
                      const nl_measurement *estimated)
{
    const double off = estimated->observed.entropy - exact->observed.entropy;
    const double share = off / estimated->entropy_error;
    const bool good = fabs(share) <= 1.0;
    char name[nl_measure_name_size];
    char reason[256];

    snprintf(reason, sizeof reason,
             "kernel %s of %d images: entropy %.6f by quadrature, %.6f exactly, which is %+.2f of "
             "the half width it states",
             nl_measure_name(m->plan, kernel, name), samples, estimated->observed.entropy,
             exact->observed.entropy, share);
    if (!good) {
        nl_warn("%s", reason);
    }
    return m->keeping.tell == NULL
               ? NL_OK
               : m->keeping.tell(m->keeping.context, m->state.cell,
                                 good ? "quadrature_checked" : "quadrature_off", reason);
}

static nl_status compare(const nl_measurer *m, int kernel, int samples, const nl_measurement *exact,
                         const nl_measurement *estimated)
{
    const double off = fabs(estimated->observed.entropy - exact->observed.entropy);
    nl_status status = NL_OK;

    if (!isfinite(exact->observed.entropy)) {
        return NL_OK;
    }
    if (nl_grid_root(m->grid)) {
        status = tell(m, kernel, samples, exact, estimated);
    }
    status = nl_agree(m->grid->comm, status);
    return status == NL_OK && !(off <= far_off * estimated->entropy_error) ? NL_ERR_NUMERIC
                                                                           : status;
}

nl_status nl_self_check(nl_measurer *m, const nl_solve_plan *solve, int kernel,
                        nl_measure_first_fn *measure)
{
    const int unit = nl_kernel_order(m->plan->kernel[kernel], 1, m->state.net->spec.outputs);
    const int samples = nl_smaller(nl_larger(most_rows / unit, 1), m->plan->samples);
    const nl_measurer before = *m;
    nl_measure_plan alone = *m->plan; /* no other spectra */
    nl_solve_plan plan = exact_plan(m, solve, kernel, samples * unit);
    nl_measurement exact = {0};
    nl_measurement estimated = {0};
    nl_status status = NL_OK;

    alone.eigenvectors = alone.auxiliary_traced = alone.auxiliary_full = false;
    m->plan = &alone;
    m->keep_spectra = m->keep_kernels = false;
    m->keeping.folder = NULL;
    m->cache = NULL;
    m->state.infinite[0] = m->state.infinite[1] = NULL;
    status = measure(m, &plan, kernel, samples, &exact);
    if (status == NL_OK) {
        plan = *solve;
        plan.n = samples * unit;
        status = measure(m, &plan, kernel, samples, &estimated);
    }
    m->plan = before.plan;
    m->keep_spectra = before.keep_spectra;
    m->keep_kernels = before.keep_kernels;
    m->keeping = before.keeping;
    m->cache = before.cache;
    m->state = before.state;
    if (status == NL_OK) {
        status = compare(m, kernel, samples, &exact, &estimated);
    }
    nl_measurement_free(&exact);
    nl_measurement_free(&estimated);
    return status;
}
