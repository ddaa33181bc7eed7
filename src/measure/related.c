/** @file related.c  What needs another solve: eigenvectors, spectra of related kernels. */
#include "related.h"
#include "checked_fill.h"
#include "kernel_cache.h"
#include "part_forms.h"

#include <math.h>
#include <stdlib.h>

/* Is what was kept of the kernel, or of its first samples, what was held against the Jacobian? */
static nl_status is_as_checked(const nl_kernel_task *task, int samples, const nl_dmat *a,
                               bool *holds)
{
    const nl_checked *checked = task->checked;
    double trace = 0.0;
    double frobenius2 = 0.0;
    nl_status status = NL_OK;

    if (samples != task->measurer->input.samples) {
        return nl_part_form_holds(task, a, samples, holds);
    }
    status = nl_dmat_moments(a, &trace, &frobenius2);
    *holds = nl_same_moments(trace, frobenius2, checked->trace, checked->frobenius2);
    return status;
}

/* The kernel once more, or that of the first samples only: the solve has destroyed it. */
static nl_status fill_again(const nl_kernel_task *task, int samples, nl_dmat *a)
{
    const nl_measurer *m = task->measurer;
    const void *packed = nl_kernel_cache_at(m->cache, task->kernel, m->state.step);
    bool holds = false;
    nl_status status = NL_OK;

    if (packed != NULL) {
        nl_dmat_unpack(a, nl_measure_order(m->plan, task->kernel), packed);
        status = is_as_checked(task, samples, a, &holds);
        if (status != NL_OK || holds) {
            return status;
        }
        nl_warn("kernel of step %ld: it is not as it was when it was measured; made again",
                m->state.step);
        task->out->refilled = true;
        nl_kernel_cache_drop(m->cache, task->kernel, m->state.step);
    }
    return nl_fill_checked(task, samples, a);
}

typedef enum relation { CENTRED, COSINE, PART } relation;

/** How a related kernel is filled. */
typedef struct related {
    const nl_kernel_task *task;
    relation relation;
    int samples;
} related;

static nl_status fill_related(nl_dmat *a, void *context)
{
    const related *r = context;
    nl_status status = fill_again(r->task, r->samples, a);

    if (status == NL_OK && r->relation == CENTRED) {
        status = nl_kernel_centre(a, r->task->spec, r->task->measurer->plan->classes);
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
        r->task->out->fallback = r->task->out->fallback || spectrum->fallback;
    }
    nl_spectrum_destroy(&spectrum);
    return status;
}

/* The first samples of the probe: its classes are as balanced as the probe's. */
static nl_status rank_of_part(const nl_solve_plan *solve, related r, double *effective_rank)
{
    const nl_measurer *m = r.task->measurer;
    nl_dmat *a = NULL;
    nl_status status = NL_OK;

    if (r.samples < 1) {
        return NL_OK;
    }
    status = nl_dmat_create(m->grid, nl_kernel_order(r.task->spec, r.samples, m->plan->classes),
                            solve->block, m->plan->precision, &a);
    if (status == NL_OK) {
        status = rank_of(a, solve->solver, &r, effective_rank);
    }
    nl_dmat_destroy(&a);
    return status;
}

static nl_status observe_relations(const nl_kernel_task *task, const nl_solve_plan *solve,
                                   nl_dmat **a)
{
    const int samples = task->measurer->input.samples;
    nl_observables *o = &task->out->observed;
    related r = {.task = task, .relation = CENTRED, .samples = samples};
    nl_status status = rank_of(*a, solve->solver, &r, &o->effective_rank_centred);

    if (status == NL_OK) {
        r.relation = COSINE;
        status = rank_of(*a, solve->solver, &r, &o->effective_rank_cosine);
    }
    nl_dmat_destroy(a);
    r.relation = PART;
    r.samples = nl_part_samples(samples, 0);
    if (status == NL_OK) {
        status = rank_of_part(solve, r, &o->effective_rank_half);
    }
    r.samples = nl_part_samples(samples, 1);
    if (status == NL_OK) {
        status = rank_of_part(solve, r, &o->effective_rank_quarter);
    }
    return status;
}

static nl_status observe_vectors(const nl_kernel_task *task, nl_dmat *a)
{
    const nl_measurer *m = task->measurer;
    nl_measurement *out = task->out;
    nl_status status = fill_again(task, m->input.samples, a);

    if (status == NL_OK) {
        status = nl_observe_eigenvectors(a, task->spec, m->probe, &out->observed, &out->directions);
    }
    if (!m->keep_spectra) {
        free(out->directions.target_power);
        free(out->directions.gradient_power);
        out->directions = (nl_directions){0};
    }
    return status;
}

nl_status nl_observe_related(const nl_kernel_task *task, const nl_solve_plan *solve, nl_dmat **a)
{
    const nl_measure_plan *plan = task->measurer->plan;
    const bool wanted = nl_parts_wanted(plan, task->spec);
    nl_status status = NL_OK;

    if (!isfinite(task->out->observed.trace)) {
        return NL_OK;
    }
    if (plan->eigenvectors) {
        status = observe_vectors(task, *a);
    }
    return status == NL_OK && wanted ? observe_relations(task, solve, a) : status;
}
