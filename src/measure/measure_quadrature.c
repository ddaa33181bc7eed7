/** @file measure_quadrature.c  A kernel by quadrature: its entropy estimated from products with
 * vectors, which are held against the Jacobian. */
#include "measure_quadrature.h"
#include "checked_fill.h"
#include "estimation.h"
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

/* Of label_alignment, by what is not known of |Theta|_F^2: beyond, it is not told. */
static const double alignment_error = 0.01;

/** What products are made with, and what is known without them. */
typedef struct quadrature_task {
    nl_measurer *m;
    nl_gradients gradients;
    int kernel;             /* index in the plan */
    nl_kernel_operator *op; /* owned */
    bool checked;           /* a product was held against the Jacobian */
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
static nl_status make_product(int columns, const double *x, double *y, void *context)
{
    quadrature_task *t = context;
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
    t->checked = status == NL_OK && isfinite(y[0]);
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

static nl_status estimate(quadrature_task *t, const nl_solve_plan *solve, nl_measurement *out)
{
    const nl_estimation e = {.m = t->m,
                             .kernel = t->kernel,
                             .order = nl_kernel_operator_order(t->op),
                             .trace = t->norms.trace,
                             .frobenius2 = NAN,
                             .relative_error = solve->relative_error,
                             .targets = t->vectors.targets,
                             .target = t->w,
                             .targets2 = t->vectors.targets2,
                             .of_parameters = of_parameters(t),
                             .apply = make_product,
                             .renew = renew,
                             .context = t};
    nl_quadrature q;
    nl_status status = nl_estimation_run(&e, &q);

    if (status == NL_OK) {
        take_norm(t, &q, &out->observed);
        status = nl_estimation_take(&e, &q, out);
    }
    return status;
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
    nl_measurer_drop_factors(m);
    status = observe_exactly(&t, &out->observed);
    m->observe_seconds += nl_now() - start;
    start = nl_now();
    if (status == NL_OK && isfinite(out->observed.trace) && out->observed.trace > 0.0) {
        status = nl_kernel_operator_create(&t.gradients, nl_operator_factors, &t.op);
        if (status == NL_OK) {
            status = keep_targets(&t);
        }
        if (status == NL_OK) {
            status = estimate(&t, solve, out);
        }
    }
    nl_kernel_operator_destroy(&t.op);
    free(t.w);
    free(t.gram);
    m->gram_seconds += nl_now() - start;
    out->done = status == NL_OK;
    return status;
}
