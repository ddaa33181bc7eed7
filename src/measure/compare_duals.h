/** @file compare_duals.h  How the kernel of a dual lies to those of earlier states. */
#ifndef NTKLENS_MEASURE_COMPARE_DUALS_H
#define NTKLENS_MEASURE_COMPARE_DUALS_H

#include "ntklens/dual.h"
#include "ntklens/measure.h"

/** Inner products with one earlier kernel. */
typedef struct nl_dual_compared {
    bool known;
    double ab, bb; /* with this state's kernel; of it with itself */
} nl_dual_compared;

/** Those with the initial and the previous state.  Collective over the measurer's grid.
 *
 *  @param[in]  kernel  index in the plan
 *  @param[in]  dual    of the measurer's state
 *  @param[out] out     [2] initial, previous */
NL_MUST_CHECK nl_status nl_compare_duals(nl_measurer *m, int kernel, const nl_dual *dual,
                                         nl_dual_compared *out);

/** Their columns, as far as rounding leaves them.  Local.
 *
 *  @param[in] aa  |Theta|_F^2 of the state */
void nl_observe_compared(const nl_measurer *m, double aa, const nl_dual_compared *compared,
                         nl_observables *out);

#endif
