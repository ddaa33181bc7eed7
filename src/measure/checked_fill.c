/** @file checked_fill.c  A matrix filled with a kernel, and held against the Jacobian. */
#include "checked_fill.h"
#include "part_forms.h"

#include <math.h>

/* Factors have room for the samples that they were first made of: the whole probe, as a rule. */
static nl_status take_factors(nl_measurer *m)
{
    nl_status status = NL_OK;

    if (m->factors != NULL && m->factors->capacity < m->input.samples) {
        nl_factors_destroy(&m->factors);
    }
    if (nl_kernel_one_panel(&m->input, m->plan->precision)) {
        status = nl_kernel_factors(&m->input, m->plan->precision, &m->factors);
        m->input.ready = m->factors;
    }
    return status;
}

static nl_status take_gradients(nl_measurer *m)
{
    nl_status status = NL_OK;

    if (nl_kernel_gradients_fit(&m->input, m->plan->precision)) {
        status = nl_kernel_gradients(&m->input, m->plan->precision, &m->gradients);
        m->input.gradients = m->gradients;
    }
    return status;
}

static nl_status take_input(nl_measurer *m, int samples)
{
    const double start = nl_now();
    nl_status status = NL_OK;

    m->input = (nl_kernel_input){.net = m->state.net,
                                 .theta = m->state.theta,
                                 .probe = m->state.probe,
                                 .samples = samples,
                                 .panel_bytes = nl_fill_memory(m->state.net),
                                 .kept = &m->kept,
                                 .interrupt = &m->interrupt};
    if (m->grid->rows * m->grid->cols == 1) {
        status = nl_net_is_dense(m->state.net) ? take_factors(m) : take_gradients(m);
    }
    m->gram_seconds += nl_now() - start;
    return nl_agree(m->grid->comm, status);
}

/* From factors or gradients that are made now. */
static nl_status look_at_samples(nl_measurer *m, int samples)
{
    double start = 0.0;
    nl_status status = NL_OK;

    nl_probe_state_destroy(&m->probe);
    nl_trust_destroy(&m->trust);
    status = take_input(m, samples);
    start = nl_now();
    if (status == NL_OK) {
        status = nl_probe_state_create(m->grid->comm, &m->input, m->state.loss, m->state.labels,
                                       &m->probe);
    }
    m->observe_seconds += nl_now() - start;
    return status;
}

nl_status nl_measurer_take_samples(nl_measurer *m, int samples)
{
    return m->probe != NULL && m->input.samples == samples ? NL_OK : look_at_samples(m, samples);
}

void nl_measurer_drop_factors(nl_measurer *m)
{
    nl_trust_destroy(&m->trust);
    nl_factors_destroy(&m->factors);
    nl_chunk_gradients_destroy(&m->gradients);
    nl_kept_memory_free(&m->kept);
    m->input.ready = NULL;
    m->input.gradients = NULL;
}

nl_status nl_fill_held(const nl_held_fill *held, nl_dmat *a)
{
    nl_measurer *m = held->measurer;
    char name[nl_measure_name_size];
    bool holds = false;
    nl_status status = NL_OK;

    nl_measure_name(m->plan, held->kernel, name);
    for (int turn = 0; status == NL_OK && !holds && turn < 2; turn++) {
        double start = 0.0;

        if (turn > 0) {
            if (nl_grid_root(m->grid)) {
                nl_warn("kernel %s of step %ld: %s does not match its network's Jacobian; made "
                        "again",
                        name, m->state.step, held->what);
            }
            held->out->refilled = true;
            status = held->renew(held->context);
        }
        start = nl_now();
        if (status == NL_OK) {
            status = nl_agree(a->grid->comm, held->fill(a, held->context));
        }
        m->gram_seconds += nl_now() - start;
        start = nl_now();
        if (status == NL_OK) {
            status = held->look_at(a, &holds, held->context);
        }
        m->observe_seconds += nl_now() - start;
    }
    if (status == NL_OK && !holds) {
        status = !nl_grid_root(m->grid)
                     ? NL_ERR_NUMERIC
                     : NL_FAIL(NL_ERR_NUMERIC,
                               "kernel %s of step %ld: twice %s did not match its network's "
                               "Jacobian",
                               name, m->state.step, held->what);
    }
    return status;
}

bool nl_same_moments(double trace, double frobenius2, double known_trace, double known_frobenius2)
{
    return (trace == known_trace && frobenius2 == known_frobenius2) || !isfinite(known_frobenius2);
}

/*---------------------------------------------------------------------------------------------
 * Kernels
 *-------------------------------------------------------------------------------------------*/

/** A kernel of the first `samples` samples. */
typedef struct kernel_fill {
    const nl_kernel_task *task;
    int samples;
} kernel_fill;

/* A matrix is looked at before the solve, which destroys it; the second time its moments are
 * enough, and a part of it is held against what the whole told. */
static nl_status look_at_kernel(const nl_dmat *a, bool *holds, void *context)
{
    const kernel_fill *f = context;
    const nl_checked *checked = f->task->checked;
    double trace = 0.0;
    double frobenius2 = 0.0;
    nl_status status = NL_OK;

    if (f->samples != f->task->measurer->input.samples) {
        return nl_part_form_holds(f->task, a, f->samples, holds);
    }
    if (!checked->known) {
        return nl_observe_before(f->task, a, holds);
    }
    status = nl_dmat_moments(a, &trace, &frobenius2);
    *holds = nl_same_moments(trace, frobenius2, checked->trace, checked->frobenius2);
    return status;
}

/* What a fill is made of is made again, and what else that said. */
static nl_status renew_input(void *context)
{
    const kernel_fill *f = context;
    nl_measurer *m = f->task->measurer;
    const bool ready = m->input.ready != NULL || m->input.gradients != NULL;
    const nl_status status = look_at_samples(m, m->input.samples);

    if (!ready) { /* they were dropped: the matrix may be of another precision */
        m->input.ready = NULL;
        m->input.gradients = NULL;
    }
    return status;
}

static nl_status fill_kernel(nl_dmat *a, void *context)
{
    const kernel_fill *f = context;
    nl_kernel_input input = f->task->measurer->input;

    input.samples = f->samples;
    if (f->task->out->method == NL_METHOD_PRIMAL) {
        input.interrupt = NULL; /* what comes behind it is not left, either */
    }
    return nl_kernel_fill(a, f->task->spec, &input);
}

nl_status nl_fill_checked(const nl_kernel_task *task, int samples, nl_dmat *a)
{
    kernel_fill f = {.task = task, .samples = samples};
    const nl_held_fill held = {.measurer = task->measurer,
                               .kernel = task->kernel,
                               .out = task->out,
                               .what = "it",
                               .renew = renew_input,
                               .fill = fill_kernel,
                               .look_at = look_at_kernel,
                               .context = &f};

    return nl_fill_held(&held, a);
}
