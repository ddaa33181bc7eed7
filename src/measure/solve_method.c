/** @file solve_method.c  What the methods by which eigenvalues are found differ in for a plan. */
#include "solve_method.h"

#include "ntklens/dual.h"
#include "ntklens/gradients.h"
#include "ntklens/kernel_operator.h"
#include "ntklens/quadrature.h"

#include <limits.h>
#include <math.h>

bool nl_solve_method_known(nl_method method, const nl_solve_request *request,
                           const nl_measure_plan *measure, int kernel, const nl_solve_room *room)
{
    const nl_kernel_spec spec = measure->kernel[kernel];

    if (method == NL_METHOD_PRIMAL || room->net == NULL) {
        return method == NL_METHOD_PRIMAL;
    }
    if (request->none) {
        return false;
    }
    if (spec.kind == NL_KERNEL_TRACED) {
        return method == NL_METHOD_QUADRATURE;
    }
    if (method == NL_METHOD_QUADRATURE) {
        return nl_kernel_operator_size(room->net, spec, nl_measure_samples(measure, kernel)) <=
               INT_MAX;
    }
    return nl_dual_is_known(room->net, spec) && nl_dual_most(room->net, spec) <= INT_MAX;
}

/* Beside the matrix of a dual: back-signals, images as gradients of a few vectors see them, and
 * vectors of the kernel's order. */
static double dual_held(const nl_measure_plan *measure, int kernel, const nl_solve_room *room,
                        int n)
{
    const double vectors =
        5.0; /* the loss's gradient, probabilities, targets, a spectrum, one more */
    const double weights = 2.0 * (room->outputs + 4.0) * (double)room->net->size;

    return nl_dual_bytes(room->net, measure->kernel[kernel], measure->precision,
                         nl_measure_samples(measure, kernel)) +
           (vectors * n + weights) * (double)sizeof(double);
}

/* With the initial state, and the previous one where there are such. */
static void size_comparing(nl_solve_plan *plan, const nl_measure_plan *measure, int kernel,
                           const nl_solve_room *room)
{
    const nl_kernel_spec spec = measure->kernel[kernel];
    const int samples = nl_measure_samples(measure, kernel);
    const double others = measure->per_decade > 0 ? 2.0 : 1.0;

    plan->compared = others * (nl_dual_inner_flops(room->net, spec, samples, false) +
                               nl_dual_inner_flops(room->net, spec, samples, true));
    plan->comparing =
        nl_dual_inner_bytes(room->net, spec, measure->precision, samples, nl_larger(plan->team, 1));
}

/* Of a kernel that is stored: its fill, and those of the states it is compared with. */
static void size_stored(nl_solve_plan *plan, const nl_measure_plan *measure, int kernel,
                        const nl_solve_room *room, double products)
{
    const nl_kernel_spec spec = measure->kernel[kernel];
    const int samples = nl_measure_samples(measure, kernel);
    const double fills = nl_measure_compares(room->net, plan->method) ? 3.0 : 1.0;

    plan->stored = true;
    plan->operations =
        fills * nl_kernel_flops(room->net, spec, samples) + products * 2.0 * plan->n * plan->n;
    /* targets; of products beside the matrix: parts of vectors, and sums over ranks */
    plan->held = 6.0 * plan->columns * plan->n * (double)sizeof(double);
}

/* Vectors that say how a full or class kernel lies to labels, and what J^T makes of them. */
static double vectors_held(const nl_measure_plan *measure, int kernel, const nl_solve_room *room,
                           double n)
{
    if (measure->kernel[kernel].kind == NL_KERNEL_TRACED) {
        return 0.0;
    }
    return (room->outputs + 2.0) * (n + (double)room->net->size) * (double)sizeof(double) +
           nl_gradients_bytes(room->net, nl_measure_samples(measure, kernel));
}

/* Vectors of a Krylov space and of probes, shared by the team; products of it, and what they take.
 */
static void size_quadrature(nl_solve_plan *plan, const nl_measure_plan *measure, int kernel,
                            const nl_solve_room *room)
{
    const nl_kernel_spec spec = measure->kernel[kernel];
    const int samples = nl_measure_samples(measure, kernel);
    const double wanted = log1p(plan->relative_error);
    const double products = nl_quadrature_products(plan->n, wanted);
    const int ranks = nl_larger(plan->team, 1);

    plan->vectors = false;
    if (spec.kind == NL_KERNEL_TRACED) {
        size_stored(plan, measure, kernel, room, products);
    } else {
        plan->order = (int)nl_kernel_operator_size(room->net, spec, samples);
        plan->operations = products * nl_kernel_operator_flops(room->net, spec, samples);
        plan->held = nl_kernel_operator_bytes(room->net, samples, ranks, nl_operator_factors) +
                     nl_gradients_bytes(room->net, samples); /* of the first product's check */
    }
    plan->operations += 6.0 * plan->order * 128.0 * 128.0;
    plan->held += nl_quadrature_vectors(ranks) * plan->order * (double)sizeof(double) +
                  fmin(nl_kept_bytes, products * plan->order * (double)sizeof(double));
    plan->held = 3.0 * plan->n * (double)sizeof(double) +
                 fmax(plan->held, vectors_held(measure, kernel, room, plan->n));
}

double nl_solve_operations(int order)
{
    return 4.0 / 3.0 * pow(order, 3.0);
}

void nl_solve_method_size(nl_solve_plan *plan, const nl_measure_plan *measure, int kernel,
                          const nl_solve_room *room)
{
    const nl_kernel_spec spec = measure->kernel[kernel];
    const int samples = nl_measure_samples(measure, kernel);

    plan->n = plan->order = nl_measure_order(measure, kernel);
    plan->columns = spec.kind == NL_KERNEL_FULL ? room->outputs + 2 : 2 * room->outputs + 1;
    plan->vectors = measure->eigenvectors && plan->method != NL_METHOD_QUADRATURE;
    plan->cached = spec.kind == NL_KERNEL_TRACED || plan->method == NL_METHOD_PRIMAL
                       ? nl_kernel_cache_bytes(measure, kernel)
                       : 0.0;
    if (plan->method == NL_METHOD_PRIMAL) {
        plan->operations = room->net == NULL ? 0.0 : nl_kernel_flops(room->net, spec, samples);
    } else if (plan->method == NL_METHOD_QUADRATURE) {
        size_quadrature(plan, measure, kernel, room);
        return;
    } else {
        plan->order = (int)nl_dual_most(room->net, spec);
        plan->held = dual_held(measure, kernel, room, plan->n);
        plan->operations = nl_dual_flops(room->net, spec, samples);
        size_comparing(plan, measure, kernel, room);
    }
    plan->operations += nl_solve_operations(plan->order);
}

int nl_solve_method_block(const nl_solve_plan *plan, const nl_measure_plan *measure, int kernel,
                          const nl_solve_room *room, int wanted)
{
    return plan->method == NL_METHOD_DUAL
               ? nl_dual_block(room->net, wanted)
               : nl_kernel_block(measure->kernel[kernel], room->outputs,
                                 plan->stored ? nl_stored_block : wanted);
}
