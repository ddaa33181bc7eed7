/** @file observe.c  Observables beside those of a kernel's own spectrum. */
#include "observe.h"

#include "ntklens/par.h"

#include <math.h>
#include <stdlib.h>

/*---------------------------------------------------------------------------------------------
 * Of the matrix
 *-------------------------------------------------------------------------------------------*/

/* Theta_0 and the previous kernel are computed again, tile by tile: a second matrix would double
 * what a rank needs. */
static nl_status compare_states(const nl_measurer *m, nl_kernel_spec spec,
                                const nl_kernel_input *input, const nl_dmat *a, nl_observables *out)
{
    const nl_subject *s = &m->subject;
    nl_kernel_input other = *input;
    nl_kernel_pair initial = {0};
    nl_kernel_pair previous = {0};
    nl_status status = NL_OK;

    if (s->step == 0) {
        out->kernel_change = out->kernel_distance = 0.0;
        return NL_OK;
    }
    if (s->initial != NULL) {
        other.theta = s->initial;
        status = nl_kernel_compare(a, spec, &other, &initial);
        out->kernel_change = nl_kernel_pair_change(&initial);
        out->kernel_distance = nl_kernel_pair_distance(&initial);
    }
    if (status == NL_OK && s->previous != NULL) {
        previous = initial;
        if (s->previous_step > 0) {
            other.theta = s->previous;
            status = nl_kernel_compare(a, spec, &other, &previous);
        }
        out->kernel_velocity =
            nl_kernel_pair_distance(&previous) / (double)(s->step - s->previous_step);
    }
    return status;
}

nl_status nl_observe_before(const nl_measurer *m, nl_kernel_spec spec, const nl_kernel_input *input,
                            const nl_dmat *a, nl_observables *out, double *curvature)
{
    double trace = 0.0;
    double frobenius2 = 0.0;
    nl_status status = nl_dmat_moments(a, &trace, &frobenius2);

    *curvature = NAN;
    if (status != NL_OK || !isfinite(trace) || !isfinite(frobenius2)) {
        return status; /* nothing is to be told of a matrix that is not finite */
    }
    out->trace = trace / a->n;
    out->participation_ratio = trace * trace / frobenius2;
    nl_observe_layers(m->probe, m->subject.net, spec, out);
    status = nl_observe_matrix(a, spec, m->probe, trace, frobenius2, out);
    if (status == NL_OK) {
        status = compare_states(m, spec, input, a, out);
    }
    if (status == NL_OK && spec.kind == NL_KERNEL_FULL && m->subject.loss == NL_CROSS_ENTROPY) {
        status = nl_observe_curvature(a, m->probe, curvature);
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Spectra of related kernels
 *-------------------------------------------------------------------------------------------*/

typedef enum relation { CENTRED, COSINE, PART } relation;

/** How a related kernel is filled. */
typedef struct related {
    relation relation;
    nl_kernel_spec spec;
    nl_kernel_input input;
} related;

static nl_status fill_related(nl_dmat *a, void *context)
{
    const related *r = context;
    nl_status status = nl_agree(a->grid->comm, nl_kernel_fill(a, r->spec, &r->input));

    if (status == NL_OK && r->relation == CENTRED) {
        status = nl_kernel_centre(a, r->spec, r->input.net->spec.outputs);
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
    }
    nl_spectrum_destroy(&spectrum);
    return status;
}

/* The first samples of the probe: its classes are as balanced as the probe's. */
static nl_status rank_of_part(const nl_measurer *m, const nl_solve_plan *solve, related *r,
                              int samples, double *effective_rank)
{
    nl_dmat *a = NULL;
    nl_status status = NL_OK;

    if (samples < 1) {
        return NL_OK;
    }
    r->input.samples = samples;
    status = nl_dmat_create(m->grid, nl_kernel_order(r->spec, samples, m->plan->classes),
                            solve->block, m->plan->precision, &a);
    if (status == NL_OK) {
        status = rank_of(a, solve->solver, r, effective_rank);
    }
    nl_dmat_destroy(&a);
    return status;
}

static bool wanted(const nl_measure_plan *plan, nl_kernel_spec spec)
{
    return spec.kind == NL_KERNEL_TRACED ? plan->auxiliary_traced : plan->auxiliary_full;
}

/* The kernel is filled once more: the first solve has destroyed it. */
static nl_status observe_vectors(const nl_measurer *m, nl_kernel_spec spec,
                                 const nl_kernel_input *input, nl_dmat *a, nl_measurement *out)
{
    nl_status status = nl_agree(a->grid->comm, nl_kernel_fill(a, spec, input));

    if (status == NL_OK) {
        status = nl_observe_eigenvectors(a, spec, m->probe, &out->observed, &out->directions);
    }
    if (!m->keep_spectra) {
        free(out->directions.target_power);
        free(out->directions.gradient_power);
        out->directions = (nl_directions){0};
    }
    return status;
}

nl_status nl_observe_related(const nl_measurer *m, const nl_solve_plan *solve, nl_kernel_spec spec,
                             const nl_kernel_input *input, nl_dmat **a, nl_measurement *out)
{
    related r = {.relation = CENTRED, .spec = spec, .input = *input};
    nl_observables *o = &out->observed;
    nl_status status = NL_OK;

    if (isfinite(o->trace) && m->plan->eigenvectors) {
        status = observe_vectors(m, spec, input, *a, out);
    }
    if (status != NL_OK || !isfinite(o->trace) || !wanted(m->plan, spec)) {
        return status;
    }
    status = rank_of(*a, solve->solver, &r, &o->effective_rank_centred);
    if (status == NL_OK) {
        r.relation = COSINE;
        status = rank_of(*a, solve->solver, &r, &o->effective_rank_cosine);
    }
    nl_dmat_destroy(a);
    r.relation = PART;
    if (status == NL_OK) {
        status = rank_of_part(m, solve, &r, input->samples / 2, &o->effective_rank_half);
    }
    if (status == NL_OK) {
        status = rank_of_part(m, solve, &r, input->samples / 4, &o->effective_rank_quarter);
    }
    return status;
}
