/** @file checked_fill.h  A matrix filled with a kernel, and held against the Jacobian. */
#ifndef NTKLENS_MEASURE_CHECKED_FILL_H
#define NTKLENS_MEASURE_CHECKED_FILL_H

#include "observe.h"

#include "ntklens/measure.h"

/** Fill a matrix with the kernel of the state's first `samples` samples; one that fails its check
 * is filled once more from the beginning, and the row flagged.  Of all samples, the kernel is held
 * against the Jacobian by nl_observe_before() and then against its own moments.  Collective. */
NL_MUST_CHECK nl_status nl_fill_checked(const nl_kernel_task *task, int samples, nl_dmat *a);

/** What the kernels of the measurer's state are filled from.  One set of factors serves all of them
 *  where this rank measures alone and has room for them; the next state of the network finds it
 *  there.  Collective. */
NL_MUST_CHECK nl_status nl_measurer_take_input(nl_measurer *m);

#endif
