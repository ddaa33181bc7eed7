/** @file observe.c  Observables beside those of a kernel's own spectrum. */
#include "observe.h"

#include "ntklens/par.h"

#include <math.h>
#include <stdlib.h>

/* Of the check of a state's kernels, which may stay from one kernel to the next. */
static const double kept_trust_bytes = 32.0 * 1024 * 1024;

/*---------------------------------------------------------------------------------------------
 * Of the matrix
 *-------------------------------------------------------------------------------------------*/

/* With the kernel of another state: a kept one or, where it is too large for that, one computed
 * again tile by tile. */
static nl_status compare_once(const nl_view *view, const nl_dmat *a, long step, const float *theta,
                              nl_kernel_pair *pair)
{
    const nl_measurer *m = view->measurer;
    const void *packed = nl_kept_at(m->kept, view->kernel, step);
    nl_kernel_input other = m->input;
    void *room = NULL;
    nl_status status = NL_OK;

    other.theta = theta;
    other.ready = NULL;
    if (packed == NULL) {
        status = nl_kept_room(m->kept, view->kernel, step, m->subject.previous_step, &room);
        if (status == NL_OK && room != NULL) {
            status = nl_kernel_pack(a, view->spec, &other, room);
            packed = room;
        }
    }
    status = nl_agree(a->grid->comm, status);
    if (status != NL_OK) {
        return status;
    }
    return packed != NULL ? nl_kernel_compare_packed(a, packed, pair)
                          : nl_kernel_compare(a, view->spec, &other, pair);
}

/* The other kernel's squared norm is that which was noted when it was checked, but for the order of
 * summation: n eps.  Nothing is known of one that this rank has not measured. */
static bool is_as_noted(const nl_view *view, const nl_dmat *a, long step,
                        const nl_kernel_pair *pair)
{
    const double noted = nl_kept_noted(view->measurer->kept, view->kernel, step);

    return isnan(noted) ||
           fabs(pair->bb - noted) <= 4.0 * a->n * nl_precision_eps(NL_DOUBLE) * noted;
}

/* A kept kernel that changed in memory, or one that was computed wrongly, is computed again. */
static nl_status compare_with(const nl_view *view, const nl_dmat *a, long step, const float *theta,
                              nl_kernel_pair *pair)
{
    nl_status status = compare_once(view, a, step, theta, pair);

    if (status == NL_OK && !is_as_noted(view, a, step, pair)) {
        nl_warn("kernel of step %ld: it is not as it was when it was measured; made again", step);
        view->out->refilled = true;
        nl_kept_drop(view->measurer->kept, view->kernel, step);
        status = compare_once(view, a, step, theta, pair);
        if (status == NL_OK && !is_as_noted(view, a, step, pair)) {
            status =
                NL_FAIL(NL_ERR_NUMERIC, "kernel of step %ld: twice not as it was measured", step);
        }
    }
    return status;
}

static nl_status compare_states(const nl_view *view, const nl_dmat *a)
{
    const nl_subject *s = &view->measurer->subject;
    nl_observables *out = &view->out->observed;
    nl_kernel_pair initial = {0};
    nl_kernel_pair previous = {0};
    nl_status status = NL_OK;

    if (s->step == 0) {
        out->kernel_change = out->kernel_distance = 0.0;
        return NL_OK;
    }
    if (s->initial != NULL) {
        status = compare_with(view, a, 0, s->initial, &initial);
        out->kernel_change = nl_kernel_pair_change(&initial);
        out->kernel_distance = nl_kernel_pair_distance(&initial);
    }
    if (status == NL_OK && s->previous != NULL) {
        previous = initial;
        if (s->previous_step > 0) {
            status = compare_with(view, a, s->previous_step, s->previous, &previous);
        }
        out->kernel_velocity =
            nl_kernel_pair_distance(&previous) / (double)(s->step - s->previous_step);
    }
    return status;
}

static nl_status keep(const nl_view *view, const nl_dmat *a, double frobenius2)
{
    const nl_subject *s = &view->measurer->subject;
    void *room = NULL;
    nl_status status =
        nl_kept_room(view->measurer->kept, view->kernel, s->step, s->previous_step, &room);

    if (status == NL_OK && room != NULL) {
        nl_dmat_pack(a, room);
    }
    nl_kept_note(view->measurer->kept, view->kernel, s->step, s->previous_step, frobenius2);
    return nl_agree(a->grid->comm, status);
}

/* What is told of the matrix alone, and whether it is the kernel of the state. */
static nl_status observe_matrix(const nl_view *view, const nl_dmat *a, nl_kernel_sums *sums,
                                bool *holds)
{
    nl_measurer *m = view->measurer;
    nl_observables *out = &view->out->observed;
    double *check = nl_calloc((size_t)a->n, sizeof *check);
    double deviation = HUGE_VAL;
    nl_status status = nl_agree(
        a->grid->comm, check != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "out of memory for a vector"));

    if (status == NL_OK && m->trust == NULL) {
        status = nl_trust_create(m->grid, &m->input, &m->trust);
    }
    if (status == NL_OK && isfinite(sums->trace) && isfinite(sums->frobenius2)) {
        out->trace = sums->trace / a->n;
        out->participation_ratio = sums->trace * sums->trace / sums->frobenius2;
        nl_observe_layers(m->probe, view->spec, out);
        nl_trust_vector(m->trust, view->spec, check);
        status = nl_observe_matrix(a, view->spec, m->probe, check, sums, out);
    }
    free(check);
    if (status == NL_OK) {
        status = nl_trust_deviation(m->trust, view->spec, a->precision, sums, m->probe->gradient,
                                    &deviation);
        *holds = deviation <= 1.0;
    }
    if (m->trust != NULL && nl_trust_bytes(m->trust) > kept_trust_bytes) {
        nl_trust_destroy(&m->trust); /* the solve needs the memory */
    }
    return status;
}

nl_status nl_observe_before(const nl_view *view, const nl_dmat *a, bool *holds)
{
    const nl_measurer *m = view->measurer;
    nl_observables *out = &view->out->observed;
    nl_kernel_sums sums = {0};
    double curvature = NAN;
    nl_status status = nl_dmat_moments(a, &sums.trace, &sums.frobenius2);

    *holds = false;
    if (status == NL_OK) {
        status = observe_matrix(view, a, &sums, holds);
    }
    *view->checked = (nl_checked){*holds, sums.trace, sums.frobenius2};
    if (status != NL_OK || !*holds || !isfinite(sums.trace) || !isfinite(sums.frobenius2)) {
        return status; /* nothing is to be told of a matrix that is not finite */
    }
    if (view->spec.kind == NL_KERNEL_FULL) {
        status = nl_observe_outputs(a, m->plan->classes, sums.frobenius2, out);
    }
    if (status == NL_OK) {
        status = compare_states(view, a);
    }
    if (status == NL_OK && m->subject.infinite[view->spec.rate_weighted] != NULL) {
        status = nl_infinite_distance(
            a, view->spec.kind == NL_KERNEL_FULL ? m->plan->classes : 1, sums.frobenius2,
            m->subject.infinite[view->spec.rate_weighted], &out->infinite_distance);
    }
    if (status == NL_OK) {
        status = keep(view, a, sums.frobenius2);
    }
    if (status == NL_OK && view->spec.kind == NL_KERNEL_FULL &&
        m->subject.loss == NL_CROSS_ENTROPY) {
        status = nl_observe_curvature(a, m->probe, &curvature);
        out->stability_rate = nl_stability_rate(m->probe, curvature);
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Spectra of related kernels
 *-------------------------------------------------------------------------------------------*/

/* The kernel once more, or that of the first samples only: the solve has destroyed it. */
static nl_status fill_again(const nl_view *view, int samples, nl_dmat *a)
{
    const nl_measurer *m = view->measurer;
    const void *packed = nl_kept_at(m->kept, view->kernel, m->subject.step);

    if (packed != NULL) {
        nl_dmat_unpack(a, nl_kernel_order(view->spec, m->plan->samples, m->plan->classes), packed);
        return NL_OK;
    }
    return nl_fill_checked(view, samples, a);
}

typedef enum relation { CENTRED, COSINE, PART } relation;

/** How a related kernel is filled. */
typedef struct related {
    const nl_view *view;
    relation relation;
    int samples;
} related;

static nl_status fill_related(nl_dmat *a, void *context)
{
    const related *r = context;
    nl_status status = fill_again(r->view, r->samples, a);

    if (status == NL_OK && r->relation == CENTRED) {
        status = nl_kernel_centre(a, r->view->spec, r->view->measurer->plan->classes);
    } else if (status == NL_OK && r->relation == COSINE) {
        status = nl_kernel_normalize(a);
    }
    return status;
}

static nl_status rank_of(nl_dmat *a, const nl_solver *solver, related *r, double *effective_rank)
{
    nl_spectrum *spectrum = NULL;
    nl_status status = nl_spectrum_compute(a, solver, fill_related, r, &spectrum);

    if (status == NL_OK) {
        *effective_rank = nl_observe(spectrum->n, spectrum->lambda, nl_precision_eps(a->precision))
                              .effective_rank;
        r->view->out->resolved = r->view->out->resolved || spectrum->resolved;
    }
    nl_spectrum_destroy(&spectrum);
    return status;
}

/* The first samples of the probe: its classes are as balanced as the probe's. */
static nl_status rank_of_part(const nl_solve_plan *solve, related r, double *effective_rank)
{
    const nl_measurer *m = r.view->measurer;
    nl_dmat *a = NULL;
    nl_status status = NL_OK;

    if (r.samples < 1) {
        return NL_OK;
    }
    status = nl_dmat_create(m->grid, nl_kernel_order(r.view->spec, r.samples, m->plan->classes),
                            solve->block, m->plan->precision, &a);
    if (status == NL_OK) {
        status = rank_of(a, solve->solver, &r, effective_rank);
    }
    nl_dmat_destroy(&a);
    return status;
}

static nl_status observe_relations(const nl_view *view, const nl_solve_plan *solve, nl_dmat **a)
{
    const int samples = view->measurer->plan->samples;
    nl_observables *o = &view->out->observed;
    related r = {.view = view, .relation = CENTRED, .samples = samples};
    nl_status status = rank_of(*a, solve->solver, &r, &o->effective_rank_centred);

    if (status == NL_OK) {
        r.relation = COSINE;
        status = rank_of(*a, solve->solver, &r, &o->effective_rank_cosine);
    }
    nl_dmat_destroy(a);
    r.relation = PART;
    r.samples = samples / 2;
    if (status == NL_OK) {
        status = rank_of_part(solve, r, &o->effective_rank_half);
    }
    r.samples = samples / 4;
    if (status == NL_OK) {
        status = rank_of_part(solve, r, &o->effective_rank_quarter);
    }
    return status;
}

static nl_status observe_vectors(const nl_view *view, nl_dmat *a)
{
    const nl_measurer *m = view->measurer;
    nl_measurement *out = view->out;
    nl_status status = fill_again(view, m->plan->samples, a);

    if (status == NL_OK) {
        status = nl_observe_eigenvectors(a, view->spec, m->probe, &out->observed, &out->directions);
    }
    if (!m->keep_spectra) {
        free(out->directions.target_power);
        free(out->directions.gradient_power);
        out->directions = (nl_directions){0};
    }
    return status;
}

nl_status nl_observe_related(const nl_view *view, const nl_solve_plan *solve, nl_dmat **a)
{
    const nl_measure_plan *plan = view->measurer->plan;
    const bool wanted =
        view->spec.kind == NL_KERNEL_TRACED ? plan->auxiliary_traced : plan->auxiliary_full;
    nl_status status = NL_OK;

    if (!isfinite(view->out->observed.trace)) {
        return NL_OK;
    }
    if (plan->eigenvectors) {
        status = observe_vectors(view, *a);
    }
    return status == NL_OK && wanted ? observe_relations(view, solve, a) : status;
}
