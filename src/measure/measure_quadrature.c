/** @file measure_quadrature.c  A kernel by quadrature: its entropy estimated from products with
 * vectors, which are held against the Jacobian. */
#include "measure_quadrature.h"
#include "kept_products.h"
#include "probe_vectors.h"

#include "ntklens/gradients.h"
#include "ntklens/kernel_operator.h"
#include "ntklens/par.h"
#include "ntklens/quadrature.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of a product in single precision, over |x| |A x|. */
static const double product_error = 1e-5;

/* Of label_alignment, by what is not known of |Theta|_F^2; of target_power, by what is not known of
 * the leading eigenvectors: beyond, neither is told. */
static const double alignment_error = 0.01;
static const double power_error = 0.01;

/** What products are made with, and what is known without them. */
typedef struct quadrature_task {
    nl_measurer *m;
    nl_gradients gradients;
    int kernel;             /* index in the plan */
    nl_kernel_operator *op; /* owned */
    nl_kept_products kept;  /* owned */
    bool checked;           /* the first product was held against the Jacobian */
    nl_probe_vectors vectors;
    nl_kernel_norms norms;
    double *w;    /* owned; [net->size x columns] J^T of the vectors, or only [order x targets] */
    double *gram; /* owned */
} quadrature_task;

static bool of_parameters(const quadrature_task *t)
{
    return (size_t)nl_kernel_operator_order(t->op) == t->m->state.net->size;
}

/* |J^T x|^2 or |J x|^2, in double and by passes of its own. */
static nl_status jacobian_form(const quadrature_task *t, const double *x, double *form)
{
    const nl_net *net = t->m->state.net;
    double *w = NULL;
    nl_status status = NL_OK;

    if (of_parameters(t)) {
        return nl_gradients_squares(&t->gradients, 1, x, form);
    }
    w = nl_calloc(net->size, sizeof *w);
    status = nl_agree(t->m->grid->comm,
                      w != NULL ? NL_OK
                                : NL_FAIL(NL_ERR_NOMEM, "out of memory for gradients of a probe"));
    if (status == NL_OK) {
        status = nl_gradients_transposed(&t->gradients, 1, x, w);
        *form = nl_inner(net->size, w, w);
    }
    free(w);
    return status;
}

/* What products are made of is made again, after one was wrong. */
static nl_status renew(void *context)
{
    quadrature_task *t = context;

    nl_kernel_operator_destroy(&t->op);
    return nl_kernel_operator_create(&t->gradients, nl_operator_factors, &t->op);
}

/* The first block: its first vector's form against the Jacobian.  A product that does not match is
 * left to be found by what it is made here, not finite. */
static nl_status make_product(quadrature_task *t, int columns, const double *x, double *y)
{
    const size_t n = (size_t)nl_kernel_operator_order(t->op);
    double form = 0.0;
    nl_status status = nl_kernel_operator_apply(columns, x, y, t->op);

    if (status != NL_OK || t->checked) {
        return status;
    }
    status = jacobian_form(t, x, &form);
    if (status == NL_OK && !(fabs(nl_inner(n, x, y) - form) <=
                             product_error * sqrt(nl_inner(n, x, x) * nl_inner(n, y, y)))) {
        y[0] = NAN;
    }
    return status;
}

/* Is it one that an interrupted run made?  The same bits on every rank. */
static nl_status find_product(quadrature_task *t, int columns, const double *x, double *y,
                              bool *found)
{
    const nl_grid *grid = t->m->grid;
    const int n = nl_kernel_operator_order(t->op);
    int known = 0;
    nl_status status = NL_OK;

    if (nl_grid_root(grid)) {
        status = nl_kept_products_find(&t->kept, columns, x, y, found);
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
    quadrature_task *t = context;
    MPI_Comm comm = t->m->grid->comm;
    bool found = false;
    nl_status status = find_product(t, columns, x, y, &found);

    if (status == NL_OK && !found) {
        status = make_product(t, columns, x, y);
        if (status == NL_OK && nl_grid_root(t->m->grid)) {
            status = nl_kept_products_add(&t->kept, columns, x, y);
        }
        status = nl_agree(comm, status);
    }
    t->checked = t->checked || (status == NL_OK && isfinite(y[0]));
    return status;
}

/* What gradients of a few vectors and factors say exactly. */
static nl_status observe_exactly(quadrature_task *t, nl_observables *o)
{
    nl_probe_vectors *v = &t->vectors;
    double *constants = nl_calloc((size_t)v->constants, sizeof *constants); /* |Theta e_a|^2 */
    nl_status status = NL_OK;

    t->gram = nl_calloc((size_t)v->columns * (size_t)v->columns, sizeof *t->gram);
    status = nl_agree(t->m->grid->comm,
                      constants != NULL && t->gram != NULL
                          ? NL_OK
                          : NL_FAIL(NL_ERR_NOMEM, "out of memory for %d vectors", v->columns));
    nl_observe_layers(t->m->probe, t->gradients.spec, o);
    o->trace = o->trace_first + o->trace_hidden + o->trace_output;
    t->norms = (nl_kernel_norms){.trace = (double)v->n * o->trace, .frobenius2 = NAN};
    if (status == NL_OK) {
        status = nl_probe_vectors_gradients(v, &t->gradients, 0, &t->w);
    }
    if (status == NL_OK) {
        nl_probe_vectors_gram(v, t->m->state.net->size, t->w, t->gram);
        status = nl_gradients_squares(&t->gradients, v->constants, t->w, constants);
    }
    for (int a = 0; status == NL_OK && a < v->constants; a++) {
        t->norms.constants2 += constants[a];
    }
    free(constants);
    if (status == NL_OK) {
        nl_probe_vectors_observe(v, t->gram, &t->norms, o);
    }
    if (t->m->state.step == 0) {
        o->kernel_change = o->kernel_distance = 0.0;
    }
    return status;
}

/* Of all vectors the targets stay, as the operator has them. */
static nl_status keep_targets(quadrature_task *t)
{
    nl_probe_vectors *v = &t->vectors;
    const size_t order = (size_t)nl_kernel_operator_order(t->op);
    const size_t from = (size_t)v->constants * order;
    const size_t count = (size_t)v->targets * order;
    double *all = t->w;
    nl_status status = NL_OK;

    if (!of_parameters(t)) {
        free(t->w);
        t->w = all = nl_calloc(v->n * (size_t)v->columns, sizeof *all);
        status = all == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for %d vectors", v->columns)
                             : nl_probe_vectors_fill(v, all);
    }
    if (status == NL_OK && all != NULL) {
        memmove(all, all + from, count * sizeof *all);
        all = realloc(all, count * sizeof *all); /* less of it */
        t->w = all != NULL ? all : t->w;
    }
    return nl_agree(t->m->grid->comm, status);
}

/* C(rho) at rho = C: with u_i of J^T J, v_i = J u_i / sqrt(lambda_i). */
static double target_power(const quadrature_task *t, const nl_quadrature *q)
{
    const int leading = nl_smaller(t->m->plan->classes, t->gradients.input->samples);
    double power = 0.0;

    if (q->top_count < leading || 2.0 * q->tilt[leading - 1] > power_error) {
        return NAN;
    }
    for (int i = 0; i < leading; i++) {
        power += q->power[i] / (of_parameters(t) ? q->top[i] : 1.0);
    }
    return power / t->vectors.targets2;
}

/* Norm of the kernel, with what hangs on it. */
static void take_norm(quadrature_task *t, const nl_quadrature *q, nl_observables *o)
{
    const nl_probe_vectors *v = &t->vectors;
    double centred2 = 0.0;

    t->norms.frobenius2 = t->norms.trace * t->norms.trace / q->participation_ratio;
    o->participation_ratio = q->participation_ratio;
    o->frobenius_norm = sqrt(t->norms.frobenius2);
    centred2 = nl_probe_vectors_centred2(v, t->gram, &t->norms);
    if (0.5 * q->squares_error * t->norms.frobenius2 <= alignment_error * centred2) {
        nl_probe_vectors_observe(v, t->gram, &t->norms, o);
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

static void take(quadrature_task *t, const nl_quadrature *q, nl_measurement *out)
{
    nl_observables *o = &out->observed;
    const double n = out->n;
    const int leading = t->m->plan->classes;
    double sum = 0.0;

    out->entropy_error = q->entropy_error;
    o->entropy = q->entropy;
    o->effective_rank = exp(q->entropy);
    take_norm(t, q, o);
    o->target_power = target_power(t, q);
    nl_observe_rank_curve(out->n, q->points, q->rank, q->value, o);
    o->entropy_density = q->entropy / log(n);
    o->lambda_max = q->lambda_max;
    o->lambda_max_over_n = q->lambda_max / n;
    o->stable_rank = n * o->trace / q->lambda_max;
    o->trace_ratio_1 = q->lambda_max / (n * o->trace);
    for (int k = 0; k < leading && k < q->top_count; k++) {
        sum += q->top[k];
    }
    if (q->top_count >= leading) {
        o->trace_ratio = sum / (n * o->trace);
    }
    if (t->gradients.spec.kind == NL_KERNEL_FULL && t->m->state.loss == NL_MSE) {
        o->stability_rate = nl_stability_rate(t->m->probe, q->lambda_max);
    }
    out->refilled = q->repeated;
}

static nl_status estimate(quadrature_task *t, const nl_solve_plan *solve, uint32_t seed,
                          nl_measurement *out)
{
    const nl_quadrature_request request = {.comm = t->m->grid->comm,
                                           .n = nl_kernel_operator_order(t->op),
                                           .trace = out->n * out->observed.trace,
                                           .frobenius2 = NAN,
                                           .wanted = log1p(solve->relative_error),
                                           .seed = seed,
                                           .targets = t->vectors.targets,
                                           .target = t->w,
                                           .apply = apply,
                                           .renew = renew,
                                           .context = t};
    nl_quadrature q;
    char name[nl_measure_name_size];
    nl_status status = nl_quadrature_compute(&request, &q);

    if (status == NL_OK) {
        take(t, &q, out);
        if (t->m->keep_spectra) {
            status = nl_agree(t->m->grid->comm, keep_spectrum(&q, out));
        }
    } else if (status == NL_ERR_NUMERIC && nl_grid_root(t->m->grid)) {
        status = NL_FAIL(NL_ERR_NUMERIC, "kernel %s of step %ld: twice a product with it was wrong",
                         nl_measure_name(t->m->plan, t->kernel, name), t->m->state.step);
    }
    return status;
}

/* With what is kept of it. */
static nl_status estimate_kept(quadrature_task *t, const nl_solve_plan *solve, nl_measurement *out)
{
    MPI_Comm comm = t->m->grid->comm;
    const bool root = nl_grid_root(t->m->grid);
    nl_status closed = NL_OK;
    nl_status status =
        nl_agree(comm, root ? nl_kept_products_open(t->m, t->kernel,
                                                    nl_kernel_operator_order(t->op), &t->kept)
                            : NL_OK);

    if (status == NL_OK) {
        status = estimate(t, solve, t->m->plan->seed, out);
    }
    if (root && status == NL_STOPPED) {
        closed = nl_kept_products_leave(&t->kept);
    }
    if (root && closed == NL_OK) {
        closed = nl_kept_products_close(&t->kept, status == NL_OK || status == NL_ERR_NUMERIC);
    }
    closed = nl_agree(comm, closed);
    return closed > status ? closed : status;
}

nl_status nl_measure_quadrature(nl_measurer *m, const nl_solve_plan *solve, int kernel,
                                nl_measurement *out)
{
    quadrature_task t = {
        .m = m, .gradients = {m->grid, &m->input, m->plan->kernel[kernel]}, .kernel = kernel};
    double start = nl_now();
    nl_status status = NL_OK;

    t.vectors = nl_probe_vectors_of(m->probe, t.gradients.spec);
    out->method = NL_METHOD_QUADRATURE;
    snprintf(out->solver, sizeof out->solver, "quadrature");
    nl_factors_destroy(&m->factors);
    nl_kept_memory_free(&m->kept);
    m->input.ready = NULL;
    status = observe_exactly(&t, &out->observed);
    m->observe_seconds += nl_now() - start;
    start = nl_now();
    if (status == NL_OK && isfinite(out->observed.trace) && out->observed.trace > 0.0) {
        status = nl_kernel_operator_create(&t.gradients, nl_operator_factors, &t.op);
        if (status == NL_OK) {
            status = keep_targets(&t);
        }
        if (status == NL_OK) {
            status = estimate_kept(&t, solve, out);
        }
    }
    nl_kernel_operator_destroy(&t.op);
    free(t.w);
    free(t.gram);
    m->gram_seconds += nl_now() - start;
    out->done = status == NL_OK;
    return status;
}
