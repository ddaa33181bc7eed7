/** @file measure_quadrature.h  A kernel by quadrature. */
#ifndef NTKLENS_MEASURE_MEASURE_QUADRATURE_H
#define NTKLENS_MEASURE_MEASURE_QUADRATURE_H

#include "ntklens/measure.h"

/** As nl_measure_kernel(), of a plan whose method is quadrature; out: cleared.  What the estimate
 *  does not say is NaN.  Collective over the measurer's grid. */
NL_MUST_CHECK nl_status nl_measure_quadrature(nl_measurer *m, const nl_solve_plan *solve,
                                              int kernel, nl_measurement *out);

#endif
