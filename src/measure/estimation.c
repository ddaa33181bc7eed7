/** @file estimation.c  Quadrature of a kernel of the measurer's state, whatever makes its products.
 */
#include "estimation.h"
#include "kept_products.h"

#include "ntklens/par.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of target_power, by what is not known of the leading eigenvectors: beyond, it is not told. */
static const double power_error = 0.01;

/*---------------------------------------------------------------------------------------------
 * Products
 *-------------------------------------------------------------------------------------------*/

/** Products, and what is kept of them. */
typedef struct estimation_work {
    const nl_estimation *e;
    nl_kept_products kept; /* owned */
} estimation_work;

/* Is it one that an interrupted run made?  The same bits on every rank. */
static nl_status find_product(estimation_work *w, int columns, const double *x, double *y,
                              bool *found)
{
    const nl_grid *grid = w->e->m->grid;
    const int n = w->e->order;
    int known = 0;
    nl_status status = NL_OK;

    if (nl_grid_root(grid)) {
        status = nl_kept_products_find(&w->kept, columns, x, y, found);
        known = *found;
    }
    status = nl_agree(grid->comm, status);
    MPI_Bcast(&known, 1, MPI_INT, 0, grid->comm);
    for (int c = 0; known != 0 && c < columns; c++) {
        MPI_Bcast(y + (size_t)c * (size_t)n, n, MPI_DOUBLE, 0, grid->comm);
    }
    *found = known != 0;
    return status;
}

static nl_status apply(int columns, const double *x, double *y, void *context)
{
    estimation_work *w = context;
    const nl_grid *grid = w->e->m->grid;
    bool found = false;
    nl_status status = find_product(w, columns, x, y, &found);

    if (status == NL_OK && !found) {
        status = w->e->apply(columns, x, y, w->e->context);
        if (status == NL_OK && nl_grid_root(grid)) {
            status = nl_kept_products_add(&w->kept, columns, x, y);
        }
        status = nl_agree(grid->comm, status);
    }
    return status;
}

static nl_status renew(void *context)
{
    const estimation_work *w = context;

    return w->e->renew(w->e->context);
}

/*---------------------------------------------------------------------------------------------
 * The estimate
 *-------------------------------------------------------------------------------------------*/

static nl_status compute(estimation_work *w, nl_quadrature *out)
{
    const nl_estimation *e = w->e;
    const nl_quadrature_request request = {.comm = e->m->grid->comm,
                                           .n = e->order,
                                           .trace = e->trace,
                                           .frobenius2 = e->frobenius2,
                                           .wanted = log1p(e->relative_error),
                                           .seed = e->m->plan->seed,
                                           .targets = e->targets,
                                           .target = e->target,
                                           .apply = apply,
                                           .renew = renew,
                                           .context = w};
    char name[nl_measure_name_size];
    nl_status status = nl_quadrature_compute(&request, out);

    if (status == NL_ERR_NUMERIC && nl_grid_root(e->m->grid)) {
        status = NL_FAIL(NL_ERR_NUMERIC, "kernel %s of step %ld: twice a product with it was wrong",
                         nl_measure_name(e->m->plan, e->kernel, name), e->m->state.step);
    }
    return status;
}

nl_status nl_estimation_run(const nl_estimation *e, nl_quadrature *out)
{
    estimation_work w = {.e = e};
    MPI_Comm comm = e->m->grid->comm;
    const bool root = nl_grid_root(e->m->grid);
    nl_status closed = NL_OK;
    nl_status status =
        nl_agree(comm, root ? nl_kept_products_open(e->m, e->kernel, e->order, &w.kept) : NL_OK);

    if (status == NL_OK) {
        status = compute(&w, out);
    }
    if (root && status == NL_STOPPED) {
        closed = nl_kept_products_leave(&w.kept);
    }
    if (root && closed == NL_OK) {
        closed = nl_kept_products_close(&w.kept, status == NL_OK || status == NL_ERR_NUMERIC);
    }
    closed = nl_agree(comm, closed);
    return closed > status ? closed : status;
}

/*---------------------------------------------------------------------------------------------
 * What it says
 *-------------------------------------------------------------------------------------------*/

/* C(rho) at rho = C: with u_i of J^T J, v_i = J u_i / sqrt(lambda_i). */
static double target_power(const nl_estimation *e, const nl_quadrature *q, int leading)
{
    double power = 0.0;

    if (q->top_count < leading || 2.0 * q->tilt[leading - 1] > power_error) {
        return NAN;
    }
    for (int i = 0; i < leading; i++) {
        power += q->power[i] / (e->of_parameters ? q->top[i] : 1.0);
    }
    return power / e->targets2;
}

static void take_top(const nl_estimation *e, const nl_quadrature *q, double n, nl_observables *o)
{
    const int classes = e->m->plan->classes;
    const nl_kernel_spec spec = e->m->plan->kernel[e->kernel];
    double sum = 0.0;

    o->target_power = target_power(e, q, nl_smaller(classes, e->m->input.samples));
    o->lambda_max = q->lambda_max;
    o->lambda_max_over_n = q->lambda_max / n;
    o->stable_rank = e->trace / q->lambda_max;
    o->trace_ratio_1 = q->lambda_max / e->trace;
    for (int k = 0; k < classes && k < q->top_count; k++) {
        sum += q->top[k];
    }
    if (q->top_count >= classes) {
        o->trace_ratio = sum / e->trace;
    }
    if (spec.kind == NL_KERNEL_FULL && e->m->state.loss == NL_MSE) {
        o->stability_rate = nl_stability_rate(e->m->probe, q->lambda_max);
    }
}

/* The eigenvalues that are right, and the counting function of all. */
static nl_status keep_spectrum(const nl_quadrature *q, nl_measurement *out)
{
    out->lambda = nl_calloc((size_t)q->top_count, sizeof *out->lambda);
    out->rank_curve = nl_calloc(2 * (size_t)q->points, sizeof *out->rank_curve);
    if (out->lambda == NULL || out->rank_curve == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %d eigenvalues", q->points);
    }
    memcpy(out->lambda, q->top, (size_t)q->top_count * sizeof *out->lambda);
    for (int k = 0; k < q->points; k++) {
        double *point = out->rank_curve + 2 * (size_t)k;

        point[0] = q->rank[k];
        point[1] = q->value[k];
    }
    out->values = q->top_count;
    out->points = q->points;
    return NL_OK;
}

nl_status nl_estimation_take(const nl_estimation *e, const nl_quadrature *q, nl_measurement *out)
{
    nl_observables *o = &out->observed;

    out->entropy_error = q->entropy_error;
    out->refilled = out->refilled || q->repeated;
    o->entropy = q->entropy;
    o->effective_rank = exp(q->entropy);
    o->entropy_density = q->entropy / log(out->n);
    take_top(e, q, out->n, o);
    nl_observe_rank_curve(out->n, q->points, q->rank, q->value, o);
    return e->m->keep_spectra ? nl_agree(e->m->grid->comm, keep_spectrum(q, out)) : NL_OK;
}
