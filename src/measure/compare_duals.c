/** @file compare_duals.c  How the kernel of a dual lies to those of earlier states:
 * <Theta_t, Theta_s> = |J_t^T J_s|_F^2. */
#include "compare_duals.h"
#include "kernel_cache.h"

#include "ntklens/par.h"

#include <math.h>

/* Of |A|^2 + |B|^2, in eps: what rounding may make of |A - B|^2, and a thousand times that. */
static const double lost = 4e3;

/** An earlier state. */
typedef struct earlier {
    const float *theta;
    long step;
} earlier;

/* With the kernel of an earlier state.  Its norm stays for the next states, which are compared with
 * the same one: the bits are those that whoever makes it anew would have. */
static nl_status compare_with(nl_measurer *m, int kernel, const nl_dual *dual, earlier state,
                              nl_dual_compared *out)
{
    nl_kernel_input input = m->input;
    nl_dual *other = NULL;
    nl_status status = NL_OK;

    input.theta = state.theta;
    input.ready = NULL;
    input.gradients = NULL;
    out->bb = nl_kernel_cache_noted(m->cache, kernel, state.step);
    status = nl_agree(m->grid->comm,
                      nl_dual_create(&input, m->plan->kernel[kernel], m->plan->precision, &other));
    if (status == NL_OK) {
        status = nl_dual_inner(m->grid, dual, other, input.interrupt, &out->ab);
    }
    if (status == NL_OK && isnan(out->bb)) {
        status = nl_dual_inner(m->grid, other, other, input.interrupt, &out->bb);
        if (status == NL_OK) {
            nl_kernel_cache_note(m->cache, kernel, state.step, m->state.previous_step, out->bb);
        }
    }
    out->known = status == NL_OK;
    nl_dual_destroy(&other);
    return status;
}

nl_status nl_compare_duals(nl_measurer *m, int kernel, const nl_dual *dual, nl_dual_compared *out)
{
    const nl_measure_state *s = &m->state;
    nl_status status = NL_OK;

    if (s->step == 0) {
        return NL_OK;
    }
    if (s->initial != NULL) {
        status = compare_with(m, kernel, dual, (earlier){s->initial, 0}, &out[0]);
    }
    if (status == NL_OK && s->previous != NULL) {
        out[1] = out[0];
        if (s->previous_step > 0) {
            status =
                compare_with(m, kernel, dual, (earlier){s->previous, s->previous_step}, &out[1]);
        }
    }
    return status;
}

static nl_kernel_pair pair_of(const nl_measurer *m, double aa, const nl_dual_compared *c)
{
    const double difference2 = aa + c->bb - 2.0 * c->ab;
    const bool told =
        c->known && difference2 > lost * nl_precision_eps(m->plan->precision) * (aa + c->bb);

    return told ? (nl_kernel_pair){aa, c->bb, difference2, aa - c->bb}
                : (nl_kernel_pair){NAN, NAN, NAN, NAN};
}

void nl_observe_compared(const nl_measurer *m, double aa, const nl_dual_compared *compared,
                         nl_observables *out)
{
    const nl_measure_state *s = &m->state;
    const nl_kernel_pair initial = pair_of(m, aa, &compared[0]);
    const nl_kernel_pair previous = pair_of(m, aa, &compared[1]);

    if (s->step == 0) {
        out->kernel_change = out->kernel_distance = 0.0;
        return;
    }
    out->kernel_change = nl_kernel_pair_change(&initial);
    out->kernel_distance = nl_kernel_pair_distance(&initial);
    out->kernel_velocity =
        nl_kernel_pair_distance(&previous) / (double)(s->step - s->previous_step);
}
