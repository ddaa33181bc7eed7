/** @file observe.h  Observables beside those of a kernel's own spectrum. */
#ifndef NTKLENS_STUDY_OBSERVE_H
#define NTKLENS_STUDY_OBSERVE_H

#include "measure.h"

/**
 * What a filled kernel says before the solve destroys it: moments, layers, labels, gradient of the
 * loss, and how far it is from the kernels of the initial and the previous state.  Collective over
 * the measurer's grid.
 *
 * @param[out] curvature  full kernels and cross-entropy: nl_observe_curvature(); else NaN
 */
NL_MUST_CHECK nl_status nl_observe_before(const nl_measurer *m, nl_kernel_spec spec,
                                          const nl_kernel_input *input, const nl_dmat *a,
                                          nl_observables *out, double *curvature);

/**
 * What needs another solve: eigenvectors (measure.eigenvectors) and spectra of related kernels, as
 * measure.auxiliary_spectra asks: centred, cosine-normalised, on half and on a quarter of the
 * probe. Collective over the measurer's grid.
 *
 * @param[in,out] a    scratch: a matrix of the kernel's shape; may be destroyed and NULL afterwards
 * @param[in,out] out  with the kernel's own spectrum in place
 */
NL_MUST_CHECK nl_status nl_observe_related(const nl_measurer *m, const nl_solve_plan *solve,
                                           nl_kernel_spec spec, const nl_kernel_input *input,
                                           nl_dmat **a, nl_measurement *out);

#endif
