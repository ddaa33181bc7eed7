/** @file observe.h  Observables beside those of a kernel's own spectrum. */
#ifndef NTKLENS_STUDY_OBSERVE_H
#define NTKLENS_STUDY_OBSERVE_H

#include "measure.h"

/** Moments of a kernel that was checked: whoever fills it again, gets the same bits. */
typedef struct nl_checked {
    bool known;
    double trace, frobenius2;
} nl_checked;

/** A kernel in work.  All borrowed. */
typedef struct nl_view {
    nl_measurer *measurer;
    int kernel; /* index in the plan */
    nl_kernel_spec spec;
    nl_measurement *out;
    nl_checked *checked;
} nl_view;

/** Fill a matrix with the kernel of the subject's first `samples` samples; one that fails its check
 * is filled once more from the beginning, and the row flagged.  Of all samples, the kernel is held
 * against the Jacobian by nl_observe_before() and then against its own moments.  Collective. */
NL_MUST_CHECK nl_status nl_fill_checked(const nl_view *view, int samples, nl_dmat *a);

/**
 * What a filled kernel says before the solve destroys it: moments, layers, labels, gradient of the
 * loss, and how far it is from the kernels of the initial and the previous state.  Collective over
 * the measurer's grid.
 *
 * @param[out] holds  false: the kernel is not that of the state, nothing more was observed
 */
NL_MUST_CHECK nl_status nl_observe_before(const nl_view *view, const nl_dmat *a, bool *holds);

/**
 * What needs another solve: eigenvectors (measure.eigenvectors) and spectra of related kernels, as
 * measure.auxiliary_spectra asks: centred, cosine-normalised, on half and on a quarter of the
 * probe. The kernel's own spectrum is in view->out already.  Collective over the measurer's grid.
 *
 * @param[in,out] a  scratch: a matrix of the kernel's shape; may be destroyed and NULL afterwards
 */
NL_MUST_CHECK nl_status nl_observe_related(const nl_view *view, const nl_solve_plan *solve,
                                           nl_dmat **a);

#endif
