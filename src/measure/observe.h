/** @file observe.h  Observables beside those of a kernel's own spectrum. */
#ifndef NTKLENS_MEASURE_OBSERVE_H
#define NTKLENS_MEASURE_OBSERVE_H

#include "kernel_task.h"

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
