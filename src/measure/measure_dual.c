/** @file measure_dual.c  A kernel by its dual: G = J^T J filled, held against the Jacobian, solved.
 *
 * With u_x = J^T x in the basis of G, x^T Theta x = |u_x|^2 and |Theta x|^2 = u_x^T G u_x. */
#include "measure_dual.h"
#include "checked_fill.h"
#include "kept.h"

#include "ntklens/dual.h"
#include "ntklens/gradients.h"
#include "ntklens/par.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/** Vectors of the kernel's order, and what gradients make of them: `constants` that are the same
 *  for all samples, one an output; centred one-hot `targets`; the loss's gradient; the last one is
 *  of signs, drawn among the parameters. */
typedef struct dual_vectors {
    int constants, targets, columns;
    double gradient2, target2; /* |g|^2; |T|_F^2 of the sum of targets' outer products */
    double *w;                 /* owned; [net->size x columns] J^T x */
    double *u, *y;             /* owned; [order x columns] in the basis of G; G u */
    double square[2];          /* |J w|^2 of the last two: gradient, signs */
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
    nl_kept kept;        /* owned */
    bool begun;          /* a fill was: further ones are from the beginning */
    nl_fill_watch watch; /* of the fill in work */
} dual_task;

/*---------------------------------------------------------------------------------------------
 * Vectors
 *-------------------------------------------------------------------------------------------*/

/* Columns of x [n x columns - 1]; class: targets of each class, gradient of its own output. */
static void fill_vectors(const dual_task *t, const double *shares, double *x)
{
    const nl_probe_state *state = t->m->probe;
    const int C = state->outputs;
    const bool full = t->gradients.spec.kind == NL_KERNEL_FULL;
    const size_t n = (size_t)state->samples * (size_t)(full ? C : 1);
    double *targets = x + (size_t)t->vectors.constants * n;
    double *gradient = targets + (size_t)t->vectors.targets * n;

    for (size_t i = 0; i < (size_t)state->samples; i++) {
        for (int a = 0; a < C; a++) {
            const size_t row = full ? i * (size_t)C + (size_t)a : i;
            const double target = (a == state->labels[i] ? 1.0 : 0.0) - shares[a];

            x[(full ? (size_t)a * n : 0) + row] = 1.0;
            targets[(full ? 0 : (size_t)a * n) + row] = target;
            if (full || a == t->gradients.spec.output) {
                gradient[row] = state->gradient[i * (size_t)C + (size_t)a];
            }
        }
    }
}

static nl_status make_gradients(dual_task *t)
{
    dual_vectors *v = &t->vectors;
    const nl_probe_state *state = t->m->probe;
    const int C = state->outputs;
    const size_t n = (size_t)nl_kernel_order(t->gradients.spec, state->samples, C);
    double *shares = nl_calloc((size_t)C, sizeof *shares); /* of the classes in the probe */
    double *x = nl_calloc(n * (size_t)(v->columns - 1), sizeof *x);
    const double *targets = x + (size_t)v->constants * n;
    const double *gradient = targets + (size_t)v->targets * n;
    nl_status status = NL_OK;

    if (shares == NULL || x == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for targets of a kernel of order %zu", n);
    } else {
        for (int i = 0; i < state->samples; i++) {
            shares[state->labels[i]] += 1.0 / state->samples;
        }
        fill_vectors(t, shares, x);
        v->gradient2 = nl_inner(n, gradient, gradient);
        for (int a = 0; a < v->targets; a++) {
            for (int b = 0; b < v->targets; b++) {
                const double both = nl_inner(n, targets + (size_t)a * n, targets + (size_t)b * n);

                v->target2 += both * both;
            }
        }
    }
    status = nl_agree(t->m->grid->comm, status);
    if (status == NL_OK) {
        status = nl_gradients_transposed(&t->gradients, v->columns - 1, x, v->w);
    }
    free(shares);
    free(x);
    return status;
}

/* Signs among the parameters: the same ones for all states of networks of one size. */
static void draw_signs(const nl_net *net, double *w)
{
    nl_rng rng = nl_rng_open(0, NL_PURPOSE_CHECK, (uint32_t)net->size, 2, 0);

    for (size_t k = 0; k < net->size; k++) {
        w[k] = (nl_rng_u32(&rng) & 1U) != 0 ? 1.0 : -1.0;
    }
}

static nl_status create_vectors(dual_task *t)
{
    dual_vectors *v = &t->vectors;
    const nl_net *net = t->m->state.net;
    const bool full = t->gradients.spec.kind == NL_KERNEL_FULL;
    nl_status status = NL_OK;

    v->constants = full ? net->spec.outputs : 1;
    v->targets = full ? 1 : net->spec.outputs;
    v->columns = v->constants + v->targets + 2;
    v->w = nl_calloc((size_t)v->columns * net->size, sizeof *v->w);
    if (v->w == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for gradients of a probe");
    }
    status = nl_agree(t->m->grid->comm, status);
    if (status == NL_OK) {
        status = make_gradients(t);
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

/* |H Theta H|_F^2 = |Theta|^2 - 2/N sum_a |Theta e_a|^2 + 1/N^2 sum_ab (e_a^T Theta e_b)^2 with the
 * constants e_a */
static double centred_norm2(const dual_task *t)
{
    const dual_vectors *v = &t->vectors;
    const size_t order = (size_t)nl_dual_order(t->dual);
    const double samples = t->m->input.samples;
    double once = 0.0;
    double twice = 0.0;

    for (int a = 0; a < v->constants; a++) {
        once += nl_inner(order, v->u + (size_t)a * order, v->y + (size_t)a * order);
        for (int b = 0; b < v->constants; b++) {
            const double both = nl_inner(order, v->u + (size_t)a * order, v->u + (size_t)b * order);

            twice += both * both;
        }
    }
    return t->frobenius2 - 2.0 / samples * once + twice / (samples * samples);
}

static void observe(const dual_task *t)
{
    const dual_vectors *v = &t->vectors;
    nl_observables *o = &t->out->observed;
    const size_t order = (size_t)nl_dual_order(t->dual);
    const double n = t->out->n;
    const double *targets = v->u + (size_t)v->constants * order;
    const double *gradient = targets + (size_t)v->targets * order;
    double power = 0.0;

    for (int k = 0; k < v->targets; k++) {
        power += nl_inner(order, targets + (size_t)k * order, targets + (size_t)k * order);
    }
    o->trace = t->trace / n;
    o->participation_ratio = t->trace * t->trace / t->frobenius2;
    o->frobenius_norm = sqrt(t->frobenius2);
    o->label_alignment = power / sqrt(centred_norm2(t) * v->target2);
    o->chi_net = o->trace;
    o->chi_loss = n * v->gradient2;
    o->chi_coup = nl_inner(order, gradient, gradient) / (t->trace * v->gradient2);
    o->spectral_position = n * o->chi_coup;
    nl_observe_layers(t->m->probe, t->gradients.spec, o);
    if (t->m->state.step == 0) {
        o->kernel_change = o->kernel_distance = 0.0;
    }
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
        out->lambda = lambda;
    } else {
        free(lambda);
    }
    return NL_OK;
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
    nl_dmat_destroy(&a);
    m->solve_seconds += nl_now() - start - (m->gram_seconds + m->observe_seconds - before);
    if (status == NL_OK && spectrum != NULL) {
        status = take_spectrum(t, spectrum);
    }
    nl_spectrum_destroy(&spectrum);
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
    nl_factors_destroy(&m->factors); /* of a small probe: of no use here */
    nl_kept_memory_free(&m->kept);
    m->input.ready = NULL;
    status = nl_agree(m->grid->comm, nl_kept_open(m, kernel, NL_METHOD_DUAL, &t.kept));
    if (status == NL_OK) {
        status = create_vectors(&t);
    }
    m->observe_seconds += nl_now() - start;
    if (status == NL_OK) {
        status = make_dual(&t);
    }
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
