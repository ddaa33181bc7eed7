/** @file measure_stored.h  A traced kernel by quadrature. */
#ifndef NTKLENS_MEASURE_MEASURE_STORED_H
#define NTKLENS_MEASURE_MEASURE_STORED_H

#include "ntklens/measure.h"

/** As nl_measure_kernel(), of a traced kernel whose method is quadrature; out: cleared.  Its matrix
 *  is filled in single precision, its lower half stored: what is told of the matrix is exact.
 *  Collective over the measurer's grid. */
NL_MUST_CHECK nl_status nl_measure_stored(nl_measurer *m, const nl_solve_plan *solve, int kernel,
                                          nl_measurement *out);

#endif
