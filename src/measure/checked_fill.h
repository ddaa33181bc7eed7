/** @file checked_fill.h  A matrix filled with a kernel, and held against the Jacobian. */
#ifndef NTKLENS_MEASURE_CHECKED_FILL_H
#define NTKLENS_MEASURE_CHECKED_FILL_H

#include "observe.h"

#include "ntklens/measure.h"

/** Is this a fill of what had those moments?  What was not finite has none. */
bool nl_same_moments(double trace, double frobenius2, double known_trace, double known_frobenius2);

/** What is filled into a matrix and held against the Jacobian. */
typedef struct nl_held_fill {
    nl_measurer *measurer;
    int kernel;                        /* index in the plan */
    nl_measurement *out;               /* refilled: set where it is filled once more */
    const char *what;                  /* "it", "its dual" */
    nl_status (*renew)(void *context); /* collective: make what it is filled from again */
    nl_status (*fill)(nl_dmat *a, void *context);                       /* local */
    nl_status (*look_at)(const nl_dmat *a, bool *holds, void *context); /* collective */
    void *context;
} nl_held_fill;

/** Fill; what does not hold is filled once more from the beginning, and told; a second time is
 *  NL_ERR_NUMERIC.  Collective. */
NL_MUST_CHECK nl_status nl_fill_held(const nl_held_fill *held, nl_dmat *a);

/** Fill a matrix with the kernel of the state's first `samples` samples; one that fails its check
 * is filled once more from the beginning, and the row flagged.  Of all samples, the kernel is held
 * against the Jacobian by nl_observe_before() and then against its own moments; of a part, against
 * the whole (part_forms.h).  Collective. */
NL_MUST_CHECK nl_status nl_fill_checked(const nl_kernel_task *task, int samples, nl_dmat *a);

/** Look at the first samples of the probe from now on: what the state's kernels are filled from,
 * and what the network does on them.  One set of factors, or of gradients, serves all of that where
 * this rank measures alone and has room for them; the next state of the network finds it there.
 * Collective. */
NL_MUST_CHECK nl_status nl_measurer_take_samples(nl_measurer *m, int samples);

/** Let go of factors and gradients, of no use to what fills no kernel in double, and of the check,
 * which looks at them. */
void nl_measurer_drop_factors(nl_measurer *m);

#endif
