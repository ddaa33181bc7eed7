/** @file cost.c  Expected work of a cell, in floating-point operations. */
#include "cost.h"

#include "ntklens/dual.h"
#include "ntklens/measure.h"
#include "ntklens/plan.h"

#include <math.h>
#include <stdlib.h>

/* The way to tridiagonal form runs at a fraction of GEMM's rate. */
static const double weights[NL_EFFORT_KINDS] = {1.0, 1.0, 1.0, 4.0};

/* Log-spaced steps up to max_steps; `last` is counted though it be off that grid. */
static int count_steps(int per_decade, long max_steps, bool last)
{
    long *steps = NULL;
    int count = 0;

    if (per_decade >= 1 && nl_log_steps(per_decade, max_steps, &steps, &count) != NL_OK) {
        return 0;
    }
    if (last && (count == 0 || steps[count - 1] != max_steps)) {
        count++;
    }
    free(steps);
    return count;
}

static bool by_quadrature(const nl_solve_plan *solve, int k)
{
    return solve != NULL && solve[k].method == NL_METHOD_QUADRATURE;
}

static bool by_dual(const nl_solve_plan *solve, int k)
{
    return solve != NULL && solve[k].method == NL_METHOD_DUAL;
}

nl_fill_work nl_fills_work(const nl_net *net, const nl_measure_plan *plan, int k)
{
    const nl_fill_terms terms = {.spec = plan->kernel[k],
                                 .precision = plan->precision,
                                 .samples = nl_measure_samples(plan, k),
                                 .panel_bytes = nl_fill_memory(net)};
    const double fills = nl_kernel_cache_bytes(plan, k) > 0.0 ? 1.0 : 3.0;
    nl_fill_work work = nl_kernel_fill_work(net, &terms);

    work.passes *= fills;
    work.products *= fills;
    return work;
}

double nl_sample_passes(const nl_net *net, nl_kernel_spec spec)
{
    const nl_fill_terms terms = {
        .spec = spec, .precision = NL_DOUBLE, .samples = 1, .panel_bytes = INFINITY};

    return nl_kernel_fill_work(net, &terms).passes;
}

static double primal_fills_flops(const nl_net *net, const nl_measure_plan *plan, int k)
{
    const nl_fill_work work = nl_fills_work(net, plan, k);

    return work.passes + work.products -
           (nl_net_is_dense(net) && k > 0 &&
                    nl_measure_samples(plan, k) == nl_measure_samples(plan, k - 1) &&
                    nl_kernel_cache_bytes(plan, k) > 0.0
                ? nl_measure_samples(plan, k) * nl_factors_flops(net)
                : 0.0);
}

double nl_fills_flops(const nl_net *net, const nl_measure_plan *plan, int k,
                      const nl_solve_plan *solve)
{
    if (by_quadrature(solve, k)) {
        return solve[k].operations + solve[k].compared;
    }
    if (by_dual(solve, k)) {
        return nl_dual_flops(net, plan->kernel[k], nl_measure_samples(plan, k)) + solve[k].compared;
    }
    return primal_fills_flops(net, plan, k);
}

int nl_solve_orders(const nl_measure_plan *plan, int k, const nl_solve_plan *solve,
                    int orders[nl_most_orders])
{
    const nl_kernel_spec spec = plan->kernel[k];
    const int n = nl_measure_order(plan, k);
    const bool related =
        spec.kind == NL_KERNEL_TRACED ? plan->auxiliary_traced : plan->auxiliary_full;
    int count = 0;

    if (by_quadrature(solve, k)) {
        return 0;
    }
    if (by_dual(solve, k)) {
        orders[0] = solve[k].order;
        return 1;
    }
    orders[count++] = n;
    if (related) { /* centred, cosine-normalised, on parts of the probe */
        orders[count++] = n;
        orders[count++] = n;
        orders[count++] = n / 2;
        orders[count++] = n / 4;
    }
    for (int times = 0; plan->eigenvectors && times < 3; times++) {
        orders[count++] = n;
    }
    return count;
}

double nl_solve_flops(int n)
{
    return 4.0 / 3.0 * (double)n * n * n; /* to tridiagonal form */
}

/* The kernel, its Cholesky factor and the factor's inverse, two products with the targets, and the
 * Cholesky factor of the kernel of all images; its eigenvalues are counted as solves. */
double nl_regression_flops(const nl_net *net, const nl_measure_plan *plan, int n_train)
{
    const nl_kernel_spec traced = {.kind = NL_KERNEL_TRACED};
    const double train = nl_regression_train(plan, n_train);
    const double samples = train + plan->regression_test;

    return train == 0.0
               ? 0.0
               : nl_kernel_flops(net, traced, (int)samples) + 2.0 / 3.0 * train * train * train +
                     samples * samples * samples / 3.0 + 2.0 * net->spec.outputs * train * samples;
}

double nl_regression_solve_flops(const nl_measure_plan *plan, int n_train)
{
    const int train = nl_regression_train(plan, n_train);

    return train == 0 ? 0.0 : nl_solve_flops(train + plan->regression_test);
}

nl_cost nl_cell_cost(const nl_study *study, const nl_cell *cell, const nl_net *net,
                     const nl_measure_plan *plan, const nl_solve_plan *solve_plan)
{
    const long steps = nl_cell_train_spec(cell).max_steps;
    const double forward = nl_net_forward_flops(net);
    const double looked_at =
        (double)cell->n_train + study->spec.split.test + study->spec.split.validation;
    const int per_decade = nl_cell_evaluation_spec(cell).per_decade;
    const int measured = 1 + count_steps(plan->per_decade, steps, true); /* with init */
    nl_cost cost = {.evaluations = 1 + count_steps(per_decade, steps, true),
                    .states = measured + plan->at_losses};
    double gram = 0.0;
    double solve = 0.0;

    cost.states += cost.evaluations > measured; /* best: it may be on no other schedule */
    for (int k = 0; k < plan->at_steps; k++) {
        cost.states += plan->at_step[k] <= steps;
    }
    for (int k = 0; k < plan->kernels; k++) {
        int orders[nl_most_orders];
        const int solves = nl_solve_orders(plan, k, solve_plan, orders);

        gram += nl_fills_flops(net, plan, k, solve_plan);
        for (int j = 0; j < solves; j++) {
            solve += nl_solve_flops(orders[j]);
        }
    }
    gram += nl_regression_flops(net, plan, cell->n_train);
    if (study->spec.solve.none) {
        solve = 0.0;
    }
    solve += nl_regression_solve_flops(plan, cell->n_train);
    cost.effort[NL_EFFORT_TRAIN] = (nl_effort){3.0 * forward * nl_cell_batch(cell), (double)steps};
    cost.effort[NL_EFFORT_EVALUATE] = (nl_effort){forward, looked_at * cost.evaluations};
    cost.effort[NL_EFFORT_GRAM] = (nl_effort){gram, cost.states};
    cost.effort[NL_EFFORT_SOLVE] = (nl_effort){solve, cost.states};
    return cost;
}

double nl_cost_total(const nl_cost *cost)
{
    double total = 0.0;

    for (int k = 0; k < NL_EFFORT_KINDS; k++) {
        total += weights[k] * cost->effort[k].unit * cost->effort[k].units;
    }
    return total;
}
