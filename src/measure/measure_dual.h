/** @file measure_dual.h  A kernel by its dual. */
#ifndef NTKLENS_MEASURE_MEASURE_DUAL_H
#define NTKLENS_MEASURE_MEASURE_DUAL_H

#include "ntklens/measure.h"

/** As nl_measure_kernel(), of a plan whose method is dual; out: cleared.  What its eigenvalues do
 * not say, and is not to be had from gradients of a few vectors, is NaN.  Collective over the
 * measurer's grid. */
NL_MUST_CHECK nl_status nl_measure_dual(nl_measurer *m, const nl_solve_plan *solve, int kernel,
                                        nl_measurement *out);

#endif
