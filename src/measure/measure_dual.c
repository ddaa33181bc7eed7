/** @file measure_dual.c  A kernel by its dual: G = J^T J filled, held against the Jacobian, solved.
 *
 * With u_x = J^T x in the basis of G, x^T Theta x = |u_x|^2 and |Theta x|^2 = u_x^T G u_x. */
#include "measure_dual.h"
#include "checked_fill.h"
#include "compare_duals.h"
#include "kept.h"
#include "probe_vectors.h"

#include "ntklens/dual.h"
#include "ntklens/gradients.h"
#include "ntklens/par.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/** Gradients of a few vectors: those of nl_probe_vectors, then one of signs, drawn among the
 *  parameters. */
typedef struct dual_vectors {
    nl_probe_vectors of;
    int columns;      /* one more than those */
    double *w;        /* owned; [net->size x columns] J^T x */
    double *u, *y;    /* owned; [order x columns] in the basis of G; G u */
    double *gram;     /* owned; [of.columns x of.columns] */
    double square[2]; /* |J w|^2 of the last two: gradient, signs */
} dual_vectors;

/** What the fill needs. */
typedef struct dual_task {
    nl_measurer *m;
    nl_gradients gradients;
    int kernel; /* index in the plan */
    nl_measurement *out;
    nl_dual *dual; /* owned */
    dual_vectors vectors;
    bool known; /* it was held against the Jacobian */
    double trace, frobenius2;
    nl_dual_compared compared[2]; /* with the initial and the previous state */
    nl_kept kept;                 /* owned */
    bool begun;                   /* a fill was: further ones are from the beginning */
    nl_fill_watch watch;          /* of the fill in work */
} dual_task;

/*---------------------------------------------------------------------------------------------
 * Vectors
 *-------------------------------------------------------------------------------------------*/

/* Signs among the parameters: the same ones for all states of networks of one size. */
static void draw_signs(const nl_net *net, double *w)
{
    nl_rng rng = nl_rng_open(0, NL_PURPOSE_CHECK, (uint32_t)net->size, 2, 0);

    for (size_t k = 0; k < net->size; k++) {
        w[k] = nl_rng_sign(&rng);
    }
}

static nl_status create_vectors(dual_task *t)
{
    dual_vectors *v = &t->vectors;
    const nl_net *net = t->m->state.net;
    nl_status status = NL_OK;

    v->of = nl_probe_vectors_of(t->m->probe, t->gradients.spec);
    v->columns = v->of.columns + 1;
    v->gram = nl_calloc((size_t)v->of.columns * (size_t)v->of.columns, sizeof *v->gram);
    status = nl_agree(
        t->m->grid->comm,
        v->gram != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "out of memory for gradients of a probe"));
    if (status == NL_OK) {
        status = nl_probe_vectors_gradients(&v->of, &t->gradients, 1, &v->w);
    }
    if (status == NL_OK) {
        draw_signs(net, v->w + (size_t)(v->columns - 1) * net->size);
        status = nl_gradients_squares(&t->gradients, 2, v->w + (size_t)(v->columns - 2) * net->size,
                                      v->square);
    }
    return status;
}

/* In the basis of G, which is known once the dual is. */
static nl_status place_vectors(dual_task *t)
{
    dual_vectors *v = &t->vectors;
    const size_t order = (size_t)nl_dual_order(t->dual);

    free(v->u);
    free(v->y);
    v->u = nl_calloc(order * (size_t)v->columns, sizeof *v->u);
    v->y = nl_calloc(order * (size_t)v->columns, sizeof *v->y);
    if (v->u == NULL || v->y == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for gradients of a probe");
    }
    for (int c = 0; c < v->columns; c++) {
        nl_dual_coordinates(t->dual, v->w + (size_t)c * t->m->state.net->size,
                            v->u + (size_t)c * order);
    }
    return NL_OK;
}

static void free_vectors(dual_vectors *v)
{
    free(v->w);
    free(v->u);
    free(v->y);
    free(v->gram);
}

/*---------------------------------------------------------------------------------------------
 * Is it the dual of the state?
 *-------------------------------------------------------------------------------------------*/

/* Of u^T G u. */
static double allowed(const dual_task *t, double square, double form)
{
    const nl_rounding of =
        nl_rounding_of(t->m->state.net, t->gradients.spec, fmax(nl_dual_order(t->dual), t->out->n));

    return nl_precision_eps(t->m->plan->precision) *
           (of.trace * t->trace * square + of.form * form);
}

/* u^T G u of the last two vectors against |J w|^2. */
static bool matches(const dual_task *t)
{
    const dual_vectors *v = &t->vectors;
    const size_t order = (size_t)nl_dual_order(t->dual);
    bool good = true;

    for (int k = 0; k < 2; k++) {
        const size_t at = (size_t)(v->columns - 2 + k) * order;
        const double form = nl_inner(order, v->u + at, v->y + at);
        /* signs count as an entry's length, one, as those of a kernel's check do */
        const double square = k == 1 ? 1.0 : nl_inner(order, v->u + at, v->u + at);

        if (!isfinite(t->frobenius2) && !isfinite(v->square[k])) {
            continue; /* neither is finite */
        }
        good = good && fabs(form - v->square[k]) <= allowed(t, square, v->square[k]);
    }
    return good;
}

/*---------------------------------------------------------------------------------------------
 * What it says
 *-------------------------------------------------------------------------------------------*/

static void observe(const dual_task *t)
{
    const dual_vectors *v = &t->vectors;
    nl_observables *o = &t->out->observed;
    const size_t order = (size_t)nl_dual_order(t->dual);
    nl_kernel_norms norms = {.trace = t->trace, .frobenius2 = t->frobenius2};

    o->trace = t->trace / t->out->n;
    o->participation_ratio = t->trace * t->trace / t->frobenius2;
    o->frobenius_norm = sqrt(t->frobenius2);
    for (int a = 0; a < v->of.constants; a++) {
        norms.constants2 += nl_inner(order, v->u + (size_t)a * order, v->y + (size_t)a * order);
    }
    nl_probe_vectors_gram(&v->of, order, v->u, v->gram);
    nl_probe_vectors_observe(&v->of, v->gram, &norms, o);
    nl_observe_layers(t->m->probe, t->gradients.spec, o);
    nl_observe_compared(t->m, t->frobenius2, t->compared, o);
}

/* The filled matrix, before the solve destroys it. */
static nl_status look_at(const nl_dmat *a, bool *holds, void *context)
{
    dual_task *t = context;
    double trace = 0.0;
    double frobenius2 = 0.0;
    nl_status status = nl_dmat_moments(a, &trace, &frobenius2);

    if (status != NL_OK || t->known) {
        *holds = nl_same_moments(trace, frobenius2, t->trace, t->frobenius2);
        return status;
    }
    t->trace = trace;
    t->frobenius2 = frobenius2;
    status = nl_dmat_multiply(a, t->vectors.columns, t->vectors.u, t->vectors.y);
    if (status == NL_OK) {
        *holds = t->known = matches(t);
    }
    if (*holds && isfinite(trace) && isfinite(frobenius2)) {
        observe(t);
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Fill and solve
 *-------------------------------------------------------------------------------------------*/

static nl_status make_dual(void *context)
{
    dual_task *t = context;
    nl_measurer *m = t->m;
    const double start = nl_now();
    nl_status status = NL_OK;

    nl_dual_destroy(&t->dual);
    status = nl_dual_create(&m->input, t->gradients.spec, m->plan->precision, &t->dual);
    m->gram_seconds += nl_now() - start;
    if (status == NL_OK) {
        status = place_vectors(t);
    }
    return nl_agree(m->grid->comm, status);
}

static size_t bytes_of(const nl_dmat *a)
{
    return (size_t)a->ld * (size_t)a->local_cols * nl_precision_bytes(a->precision);
}

static nl_status write_fill(dual_task *t, const nl_dmat *a)
{
    const nl_kept_content content = {
        .done = t->watch.done, .bytes = {a->local}, .length = {bytes_of(a)}};

    return nl_kept_write(&t->kept, 0, &content);
}

static nl_status keep_fill(const nl_dmat *a, long done, void *context)
{
    dual_task *t = context;

    (void)done;
    return nl_kept_due(&t->kept) ? write_fill(t, a) : NL_OK;
}

/* As far as an interrupted run came.  What cannot be read whole is filled from the beginning. */
static nl_status read_fill(dual_task *t, nl_dmat *a)
{
    nl_sealed *sealed = NULL;
    nl_kept_content head;
    nl_status status = nl_kept_read(&t->kept, 0, &sealed, &head);

    if (sealed != NULL && head.length[0] == bytes_of(a) && head.done <= LONG_MAX &&
        nl_sealed_read(sealed, a->local, head.length[0]) == NL_OK) {
        t->watch.done = (long)head.done;
        status = nl_kept_tell(&t->kept, "kernel_resumed", "its fill goes on behind unit %ld",
                              t->watch.done);
    }
    nl_sealed_close(&sealed);
    return status;
}

static nl_status fill_dual(nl_dmat *a, void *context)
{
    dual_task *t = context;
    nl_status status = NL_OK;

    t->watch = (nl_fill_watch){
        .keep = keep_fill, .context = t, .interrupt = t->gradients.input->interrupt};
    if (!t->begun) {
        t->begun = true;
        status = read_fill(t, a);
    }
    return status == NL_OK ? nl_dual_fill(a, t->dual, &t->watch) : status;
}

/* The measurement is to be left: what would take longer to make again is written. */
static nl_status leave(dual_task *t, const nl_dmat *a)
{
    nl_status status = NL_OK;

    if (t->begun && t->watch.done > 0 && nl_kept_worth(&t->kept, (double)bytes_of(a))) {
        status = write_fill(t, a);
    }
    return nl_agree(t->m->grid->comm, status == NL_OK ? NL_STOPPED : status);
}

static nl_status fill(nl_dmat *a, void *context)
{
    dual_task *t = context;
    const nl_held_fill held = {.measurer = t->m,
                               .kernel = t->kernel,
                               .out = t->out,
                               .what = "its dual",
                               .renew = make_dual,
                               .fill = fill_dual,
                               .look_at = look_at,
                               .context = t};

    return nl_fill_held(&held, a);
}

/* The kernel's n eigenvalues: those of the dual and zeros, or the first of them; descending. */
static nl_status pad(const nl_spectrum *spectrum, int n, double **out)
{
    int zeros = nl_larger(n - spectrum->n, 0);
    int from = 0;

    *out = nl_calloc((size_t)n, sizeof **out);
    if (*out == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a spectrum of %d", n);
    }
    for (int k = 0; k < n; k++) {
        const bool zero = zeros > 0 && (from == spectrum->n || spectrum->lambda[from] < 0.0);

        (*out)[k] = zero ? 0.0 : spectrum->lambda[from];
        zeros -= zero;
        from += !zero;
    }
    return NL_OK;
}

static nl_status take_spectrum(const dual_task *t, const nl_spectrum *spectrum)
{
    nl_measurer *m = t->m;
    nl_measurement *out = t->out;
    double *lambda = NULL;
    nl_status status = nl_agree(m->grid->comm, pad(spectrum, out->n, &lambda));

    if (status != NL_OK) {
        free(lambda);
        return status;
    }
    nl_observe_spectrum(out->n, lambda, m->plan->classes, nl_precision_eps(m->plan->precision),
                        &out->observed);
    if (t->gradients.spec.kind == NL_KERNEL_FULL && m->state.loss == NL_MSE) {
        out->observed.stability_rate = nl_stability_rate(m->probe, lambda[0]);
    }
    out->entropy_error = isnan(out->observed.entropy) ? NAN : 0.0;
    out->fallback = spectrum->fallback;
    snprintf(out->solver, sizeof out->solver, "%s", spectrum->solver->name);
    if (m->keep_spectra) {
        out->values = out->n;
        out->lambda = lambda;
    } else {
        free(lambda);
    }
    return NL_OK;
}

/*---------------------------------------------------------------------------------------------
 * Eigenvectors: of the kernel v_i = J u_i / sqrt(lambda_i), so v_i^T x = u_i^T (J^T x) / sqrt(...)
 *-------------------------------------------------------------------------------------------*/

/* Directions whose eigenvalue is none but rounding have no power. */
static void sum_powers(const dual_task *t, const double *lambda, const double *y)
{
    const nl_probe_vectors *v = &t->vectors.of;
    const nl_directions *d = &t->out->directions;
    const int order = nl_dual_order(t->dual);
    const double floor = order * nl_precision_eps(t->m->plan->precision) * lambda[0];
    double so_far = 0.0;

    for (int i = 0; i < t->out->n; i++) {
        for (int k = 0; i < order && lambda[i] > floor && k <= v->targets; k++) {
            const double along = y[(size_t)k * (size_t)order + (size_t)i];
            const double power = along * along / lambda[i];

            if (k < v->targets) {
                so_far += power;
            } else {
                d->gradient_power[i] = power;
            }
        }
        d->target_power[i] = so_far / v->targets2;
    }
}

/* Among eigenvalues of zero no direction comes before another. */
static void observe_directions(const dual_task *t, const double *lambda)
{
    const nl_directions *d = &t->out->directions;
    nl_observables *o = &t->out->observed;
    const int n = t->out->n;
    const int tenth = (n + 9) / 10;
    const int classes = nl_smaller(t->m->plan->classes, n);

    o->target_power = classes <= o->numerical_rank ? d->target_power[classes - 1] : NAN;
    o->target_power_tenth = tenth <= o->numerical_rank ? d->target_power[tenth - 1] : NAN;
    o->used_rank = nl_used_rank(nl_smaller(n, nl_dual_order(t->dual)), lambda,
                                nl_precision_eps(t->m->plan->precision), d->gradient_power);
}

static nl_status observe_eigenvectors(dual_task *t, nl_dmat *a)
{
    const nl_probe_vectors *v = &t->vectors.of;
    nl_directions *d = &t->out->directions;
    const size_t order = (size_t)nl_dual_order(t->dual);
    double *lambda = nl_calloc(order, sizeof *lambda);
    double *y = nl_calloc(order * (size_t)(v->targets + 1), sizeof *y);
    nl_status status = NL_OK;

    d->target_power = nl_calloc((size_t)t->out->n, sizeof *d->target_power);
    d->gradient_power = nl_calloc((size_t)t->out->n, sizeof *d->gradient_power);
    if (lambda == NULL || y == NULL || d->target_power == NULL || d->gradient_power == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for directions of order %d", t->out->n);
    }
    status = nl_agree(t->m->grid->comm, status);
    if (status == NL_OK) {
        status = fill(a, t);
    }
    if (status == NL_OK) {
        status = nl_dmat_projections(a, v->targets + 1, t->vectors.u + (size_t)v->constants * order,
                                     lambda, y);
    }
    if (status == NL_OK) {
        sum_powers(t, lambda, y);
        observe_directions(t, lambda);
    }
    free(lambda);
    free(y);
    if (status != NL_OK || !t->m->keep_spectra) {
        free(d->target_power);
        free(d->gradient_power);
        *d = (nl_directions){0};
    }
    return status;
}

static nl_status solve_dual(dual_task *t, const nl_solve_plan *solve)
{
    nl_measurer *m = t->m;
    const double before = m->gram_seconds + m->observe_seconds;
    const double start = nl_now();
    nl_dmat *a = NULL;
    nl_spectrum *spectrum = NULL;
    nl_status status =
        nl_dmat_create(m->grid, nl_dual_order(t->dual), solve->block, m->plan->precision, &a);

    if (status == NL_OK) {
        status = nl_spectrum_compute(a, solve->solver, fill, t, &spectrum);
    }
    if (status == NL_STOPPED) {
        status = leave(t, a);
    }
    if (status == NL_OK && spectrum != NULL) {
        status = take_spectrum(t, spectrum);
    }
    nl_spectrum_destroy(&spectrum);
    if (status == NL_OK && solve->vectors && isfinite(t->frobenius2)) {
        status = observe_eigenvectors(t, a);
    }
    nl_dmat_destroy(&a);
    m->solve_seconds += nl_now() - start - (m->gram_seconds + m->observe_seconds - before);
    return status;
}

nl_status nl_measure_dual(nl_measurer *m, const nl_solve_plan *solve, int kernel,
                          nl_measurement *out)
{
    dual_task t = {.m = m,
                   .gradients = {m->grid, &m->input, m->plan->kernel[kernel]},
                   .kernel = kernel,
                   .out = out};
    double start = nl_now();
    nl_status status = NL_OK;

    out->method = NL_METHOD_DUAL;
    nl_measurer_drop_factors(m);
    status = nl_agree(m->grid->comm, nl_kept_open(m, kernel, NL_METHOD_DUAL, &t.kept));
    if (status == NL_OK) {
        status = create_vectors(&t);
    }
    m->observe_seconds += nl_now() - start;
    if (status == NL_OK) {
        status = make_dual(&t);
    }
    start = nl_now();
    if (status == NL_OK && solve->compared > 0.0) {
        status = nl_compare_duals(m, kernel, t.dual, t.compared);
    }
    m->observe_seconds += nl_now() - start;
    if (status == NL_OK) {
        status = solve_dual(&t, solve);
    }
    if (status == NL_OK || status == NL_ERR_NUMERIC) {
        nl_kept_remove(&t.kept);
    }
    nl_kept_close(&t.kept);
    nl_dual_destroy(&t.dual);
    free_vectors(&t.vectors);
    out->done = status == NL_OK;
    return status;
}
