/** @file measure_stored.c  A traced kernel by quadrature.
 *
 * A product by factors would take C times those of the full kernel, for a vector a C-th as long; of
 * the stored matrix it takes 2 N^2 operations, and |Theta|_F^2 is known. */
#include "measure_stored.h"
#include "checked_fill.h"
#include "estimation.h"
#include "probe_vectors.h"

#include "ntklens/par.h"

#include <math.h>
#include <stdlib.h>

typedef struct stored_task {
    nl_kernel_task of;
    nl_checked checked; /* what the first fill was */
    nl_dmat *a;         /* owned; single precision, its lower half */
    double *target;     /* owned; [n x C] */
    double targets2;
} stored_task;

static nl_status fill(void *context)
{
    stored_task *t = context;

    return nl_fill_checked(&t->of, t->of.measurer->input.samples, t->a);
}

static nl_status multiply(int columns, const double *x, double *y, void *context)
{
    const stored_task *t = context;

    return nl_dmat_multiply_pieces(t->a, columns, x, y, t->of.measurer->input.interrupt);
}

/* Of all vectors the targets stay. */
static nl_status make_targets(stored_task *t)
{
    nl_probe_vectors v = nl_probe_vectors_of(t->of.measurer->probe, t->of.spec);
    nl_status status = NL_OK;

    t->target = nl_calloc(v.n * (size_t)v.targets, sizeof *t->target);
    if (t->target == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for %d vectors", v.targets);
    } else {
        status = nl_probe_vectors_targets(&v, t->target);
    }
    t->targets2 = v.targets2;
    return nl_agree(t->of.measurer->grid->comm, status);
}

static nl_status estimate(stored_task *t, const nl_solve_plan *solve)
{
    nl_measurement *out = t->of.out;
    const nl_estimation e = {.m = t->of.measurer,
                             .kernel = t->of.kernel,
                             .order = t->a->n,
                             .trace = t->checked.trace,
                             .frobenius2 = t->checked.frobenius2,
                             .relative_error = solve->relative_error,
                             .targets = t->of.measurer->probe->outputs,
                             .target = t->target,
                             .targets2 = t->targets2,
                             .apply = multiply,
                             .renew = fill,
                             .context = t};
    nl_quadrature q;
    nl_status status = nl_estimation_run(&e, &q);

    return status == NL_OK ? nl_estimation_take(&e, &q, out) : status;
}

nl_status nl_measure_stored(nl_measurer *m, const nl_solve_plan *solve, int kernel,
                            nl_measurement *out)
{
    stored_task t = {
        .of = {.measurer = m, .kernel = kernel, .spec = m->plan->kernel[kernel], .out = out}};
    const double before = m->gram_seconds + m->observe_seconds;
    const double start = nl_now();
    nl_status status = NL_OK;

    t.of.checked = &t.checked;
    out->method = NL_METHOD_QUADRATURE;
    snprintf(out->solver, sizeof out->solver, "quadrature");
    nl_measurer_drop_factors(m);
    status = nl_dmat_create_lower(m->grid, solve->n, solve->block, NL_SINGLE, &t.a);
    if (status == NL_OK) {
        status = fill(&t);
    }
    if (status == NL_OK) {
        status = make_targets(&t);
    }
    if (status == NL_OK && isfinite(t.checked.frobenius2) && t.checked.trace > 0.0) {
        status = estimate(&t, solve);
    }
    free(t.target);
    nl_dmat_destroy(&t.a);
    m->solve_seconds += nl_now() - start - (m->gram_seconds + m->observe_seconds - before);
    out->done = status == NL_OK;
    return status;
}
