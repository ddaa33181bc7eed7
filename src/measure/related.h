/** @file related.h  What needs another solve: eigenvectors, spectra of related kernels. */
#ifndef NTKLENS_MEASURE_RELATED_H
#define NTKLENS_MEASURE_RELATED_H

#include "observe.h"

/**
 * What needs another solve: eigenvectors (measure.eigenvectors) and spectra of related kernels, as
 * measure.auxiliary_spectra asks: centred, cosine-normalised, on half and on a quarter of the
 * probe. The kernel's own spectrum is in view->out already.  Collective over the measurer's grid.
 *
 * @param[in,out] a  scratch: a matrix of the kernel's shape; may be destroyed and NULL afterwards
 */
NL_MUST_CHECK nl_status nl_observe_related(const nl_kernel_task *task, const nl_solve_plan *solve,
                                           nl_dmat **a);

#endif
