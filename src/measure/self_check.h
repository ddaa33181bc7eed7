/** @file self_check.h  Quadrature held against exact eigenvalues, once a study. */
#ifndef NTKLENS_MEASURE_SELF_CHECK_H
#define NTKLENS_MEASURE_SELF_CHECK_H

#include "ntklens/measure.h"

/** Measure a kernel of the first `samples` samples, as a plan says.  Collective. */
typedef nl_status nl_measure_first_fn(nl_measurer *m, const nl_solve_plan *solve, int kernel,
                                      int samples, nl_measurement *out);

/** Is it to be checked before it is measured?  Each quadrature of the whole probe in the initial
 *  state of a study's first cell.  Pure. */
bool nl_self_check_wanted(const nl_measurer *m, const nl_solve_plan *solve, int kernel);

/**
 * The kernel of as many samples as have at most 3000 rows, by quadrature and by itself: told in the
 * log, an entropy further off than stated as an event of its own.  Nothing is said of a kernel that
 * has no entropy.  Collective over the measurer's grid.
 *
 * @return NL_ERR_NUMERIC where it is off by more than twice what is stated, which happens by chance
 *         once in 10^4
 */
NL_MUST_CHECK nl_status nl_self_check(nl_measurer *m, const nl_solve_plan *solve, int kernel,
                                      nl_measure_first_fn *measure);

#endif
