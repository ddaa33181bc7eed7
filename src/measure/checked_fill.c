/** @file checked_fill.c  A matrix filled with a kernel, and held against the Jacobian. */
#include "checked_fill.h"

#include <math.h>

nl_status nl_measurer_take_input(nl_measurer *m)
{
    const double start = nl_now();
    nl_status status = NL_OK;

    m->input = (nl_kernel_input){.net = m->state.net,
                                 .theta = m->state.theta,
                                 .probe = m->state.probe,
                                 .samples = m->plan->samples,
                                 .panel_bytes = nl_fill_memory(m->state.net)};
    if (m->grid->rows * m->grid->cols == 1 && nl_kernel_one_panel(&m->input, m->plan->precision)) {
        status = nl_kernel_factors(&m->input, m->plan->precision, &m->factors);
        m->input.ready = m->factors;
    }
    m->gram_seconds += nl_now() - start;
    return nl_agree(m->grid->comm, status);
}

/* A matrix is looked at before the solve, which destroys it; the second time its moments are
 * enough. */
static nl_status look_at(const nl_kernel_task *task, const nl_dmat *a, bool *holds)
{
    nl_measurer *m = task->measurer;
    const double start = nl_now();
    double trace = 0.0;
    double frobenius2 = 0.0;
    nl_status status = NL_OK;

    if (!task->checked->known) {
        status = nl_observe_before(task, a, holds);
    } else {
        status = nl_dmat_moments(a, &trace, &frobenius2);
        *holds = trace == task->checked->trace && frobenius2 == task->checked->frobenius2;
        *holds = *holds || !isfinite(task->checked->frobenius2);
    }
    m->observe_seconds += nl_now() - start;
    return status;
}

/* What a fill is made of is made again. */
static nl_status renew(nl_measurer *m)
{
    nl_trust_destroy(&m->trust);
    return nl_measurer_take_input(m);
}

nl_status nl_fill_checked(const nl_kernel_task *task, int samples, nl_dmat *a)
{
    nl_measurer *m = task->measurer;
    const bool whole = samples == m->plan->samples;
    char name[32];
    bool holds = false;
    nl_status status = NL_OK;

    for (int turn = 0; status == NL_OK && !holds && turn < 2; turn++) {
        nl_kernel_input input;
        double start = 0.0;

        if (turn > 0) {
            if (m->grid->row == 0 && m->grid->col == 0) {
                nl_warn(
                    "kernel %s of step %ld: it does not match its network's Jacobian; made again",
                    nl_kernel_name(task->spec, name), m->state.step);
            }
            task->out->refilled = true;
            status = renew(m);
        }
        input = m->input;
        input.samples = samples;
        start = nl_now();
        if (status == NL_OK) {
            status = nl_agree(a->grid->comm, nl_kernel_fill(a, task->spec, &input));
        }
        m->gram_seconds += nl_now() - start;
        holds = true;
        if (status == NL_OK && whole) {
            status = look_at(task, a, &holds);
        }
    }
    if (status == NL_OK && !holds) {
        status =
            m->grid->row != 0 || m->grid->col != 0
                ? NL_ERR_NUMERIC
                : NL_FAIL(NL_ERR_NUMERIC,
                          "kernel %s of step %ld: twice it did not match its network's Jacobian",
                          nl_kernel_name(task->spec, name), m->state.step);
    }
    return status;
}
