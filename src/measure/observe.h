/** @file observe.h  Observables beside those of a kernel's own spectrum. */
#ifndef NTKLENS_MEASURE_OBSERVE_H
#define NTKLENS_MEASURE_OBSERVE_H

#include "ntklens/measure.h"

/** Moments of a kernel that was checked: whoever fills it again, gets the same bits. */
typedef struct nl_checked {
    bool known;
    double trace, frobenius2;
} nl_checked;

/** A kernel in work.  All borrowed. */
typedef struct nl_kernel_task {
    nl_measurer *measurer;
    int kernel; /* index in the plan */
    nl_kernel_spec spec;
    nl_measurement *out;
    nl_checked *checked;
} nl_kernel_task;

/**
 * What a filled kernel says before the solve destroys it: moments, layers, labels, gradient of the
 * loss, and how far it is from the kernels of the initial and the previous state.  Collective over
 * the measurer's grid.
 *
 * @param[out] holds  false: the kernel is not that of the state, nothing more was observed
 */
NL_MUST_CHECK nl_status nl_observe_before(const nl_kernel_task *task, const nl_dmat *a,
                                          bool *holds);

#endif
