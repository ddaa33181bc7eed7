/** @file observe.c  Observables beside those of a kernel's own spectrum. */
#include "observe.h"
#include "kernel_cache.h"
#include "part_forms.h"

#include "ntklens/par.h"

#include <math.h>
#include <stdlib.h>

/* Of the check of a state's kernels, which may stay from one kernel to the next. */
static const double most_trust_bytes = 32.0 * 1024 * 1024;

/*---------------------------------------------------------------------------------------------
 * Of the matrix
 *-------------------------------------------------------------------------------------------*/

/* With the kernel of another state: a kept one or, where it is too large for that, one computed
 * again tile by tile. */
static nl_status compare_once(const nl_kernel_task *task, const nl_dmat *a, long step,
                              const float *theta, nl_kernel_pair *pair)
{
    const nl_measurer *m = task->measurer;
    const void *packed = nl_kernel_cache_at(m->cache, task->kernel, step);
    nl_kernel_input other = m->input;
    void *room = NULL;
    nl_status status = NL_OK;

    other.theta = theta;
    other.ready = NULL;
    other.gradients = NULL;
    if (task->out->method == NL_METHOD_PRIMAL) {
        other.interrupt = NULL;
    }
    if (packed == NULL) {
        status = nl_kernel_cache_room(m->cache, task->kernel, step, m->state.previous_step, &room);
        if (status == NL_OK && room != NULL) {
            status = nl_kernel_pack(a, task->spec, &other, room);
            packed = room;
        }
    }
    status = nl_agree(a->grid->comm, status);
    if (status != NL_OK) {
        return status;
    }
    return packed != NULL ? nl_kernel_compare_packed(a, packed, pair)
                          : nl_kernel_compare(a, task->spec, &other, pair);
}

/* The other kernel's squared norm is that which was noted when it was checked, but for the order of
 * summation: n eps.  Nothing is known of one that these ranks have not measured. */
static bool is_as_noted(const nl_kernel_task *task, const nl_dmat *a, long step,
                        const nl_kernel_pair *pair)
{
    const double noted = nl_kernel_cache_noted(task->measurer->cache, task->kernel, step);

    return isnan(noted) ||
           fabs(pair->bb - noted) <= 4.0 * a->n * nl_precision_eps(NL_DOUBLE) * noted;
}

/* A kept kernel that changed in memory, or one that was computed wrongly, is computed again. */
static nl_status compare_with(const nl_kernel_task *task, const nl_dmat *a, long step,
                              const float *theta, nl_kernel_pair *pair)
{
    nl_status status = compare_once(task, a, step, theta, pair);

    if (status == NL_OK && !is_as_noted(task, a, step, pair)) {
        if (nl_grid_root(a->grid)) {
            nl_warn("kernel of step %ld: it is not as it was when it was measured; made again",
                    step);
        }
        task->out->refilled = true;
        nl_kernel_cache_drop(task->measurer->cache, task->kernel, step);
        status = compare_once(task, a, step, theta, pair);
        if (status == NL_OK && !is_as_noted(task, a, step, pair)) {
            status = !nl_grid_root(a->grid) ? NL_ERR_NUMERIC
                                            : NL_FAIL(NL_ERR_NUMERIC,
                                                      "kernel of step %ld: twice not as it was "
                                                      "measured",
                                                      step);
        }
    }
    return status;
}

bool nl_measure_compares(const nl_net *net, nl_method method)
{
    return method == NL_METHOD_PRIMAL || nl_net_is_dense(net);
}

static nl_status compare_states(const nl_kernel_task *task, const nl_dmat *a)
{
    const nl_measure_state *s = &task->measurer->state;
    nl_observables *out = &task->out->observed;
    nl_kernel_pair initial = {0};
    nl_kernel_pair previous = {0};
    nl_status status = NL_OK;

    if (s->step == 0) {
        out->kernel_change = out->kernel_distance = 0.0;
        return NL_OK;
    }
    if (!nl_measure_compares(s->net, task->out->method)) {
        return NL_OK;
    }
    if (s->initial != NULL) {
        status = compare_with(task, a, 0, s->initial, &initial);
        out->kernel_change = nl_kernel_pair_change(&initial);
        out->kernel_distance = nl_kernel_pair_distance(&initial);
    }
    if (status == NL_OK && s->previous != NULL) {
        previous = initial;
        if (s->previous_step > 0) {
            status = compare_with(task, a, s->previous_step, s->previous, &previous);
        }
        out->kernel_velocity =
            nl_kernel_pair_distance(&previous) / (double)(s->step - s->previous_step);
    }
    return status;
}

static nl_status keep(const nl_kernel_task *task, const nl_dmat *a, double frobenius2)
{
    const nl_measure_state *s = &task->measurer->state;
    void *room = NULL;
    nl_status status =
        nl_kernel_cache_room(task->measurer->cache, task->kernel, s->step, s->previous_step, &room);

    if (status == NL_OK && room != NULL) {
        nl_dmat_pack(a, room);
    }
    nl_kernel_cache_note(task->measurer->cache, task->kernel, s->step, s->previous_step,
                         frobenius2);
    return nl_agree(a->grid->comm, status);
}

/* What is told of the matrix alone, and whether it is the kernel of the state. */
static nl_status observe_matrix(const nl_kernel_task *task, const nl_dmat *a, nl_kernel_sums *sums,
                                bool *holds)
{
    nl_measurer *m = task->measurer;
    nl_observables *out = &task->out->observed;
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
        nl_observe_layers(m->probe, task->spec, out);
        nl_trust_vector(m->trust, task->spec, check);
        status = nl_observe_matrix(a, task->spec, m->probe, check, sums, out);
    }
    free(check);
    if (status == NL_OK) {
        status = nl_trust_deviation(m->trust, task->spec, a->precision, sums, m->probe->gradient,
                                    &deviation);
        *holds = deviation <= 1.0;
    }
    if (m->trust != NULL && nl_trust_bytes(m->trust) > most_trust_bytes) {
        nl_trust_destroy(&m->trust); /* the solve needs the memory */
    }
    return status;
}

nl_status nl_observe_before(const nl_kernel_task *task, const nl_dmat *a, bool *holds)
{
    const nl_measurer *m = task->measurer;
    nl_observables *out = &task->out->observed;
    nl_kernel_sums sums = {0};
    double curvature = NAN;
    nl_status status = nl_dmat_moments(a, &sums.trace, &sums.frobenius2);

    *holds = false;
    if (status == NL_OK) {
        status = observe_matrix(task, a, &sums, holds);
    }
    *task->checked = (nl_checked){*holds, sums.trace, sums.frobenius2, {NAN, NAN}};
    if (status != NL_OK || !*holds || !isfinite(sums.trace) || !isfinite(sums.frobenius2)) {
        return status; /* nothing is to be told of a matrix that is not finite */
    }
    if (task->spec.kind == NL_KERNEL_FULL) {
        status = nl_observe_outputs(a, m->plan->classes, sums.frobenius2, out);
    }
    if (status == NL_OK) {
        status = compare_states(task, a);
    }
    if (status == NL_OK && task->out->method == NL_METHOD_PRIMAL &&
        m->state.infinite[task->spec.rate_weighted] != NULL) { /* of the samples of those */
        status = nl_infinite_distance(a, task->spec.kind == NL_KERNEL_FULL ? m->plan->classes : 1,
                                      sums.frobenius2, m->state.infinite[task->spec.rate_weighted],
                                      &out->infinite_distance);
    }
    if (status == NL_OK) {
        status = keep(task, a, sums.frobenius2);
    }
    if (status == NL_OK) {
        status = nl_part_forms_note(task, a);
    }
    if (status == NL_OK && task->spec.kind == NL_KERNEL_FULL && m->state.loss == NL_CROSS_ENTROPY) {
        status = nl_observe_curvature(a, m->probe, &curvature);
        out->stability_rate = nl_stability_rate(m->probe, curvature);
    }
    return status;
}
