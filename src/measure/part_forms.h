/** @file part_forms.h  Kernels of the first samples of a probe, held against that of all of it.
 *
 * The kernel of the first samples is a corner of the whole one: with signs v among its rows, v^T
 * Theta v of the part, filled by itself, is that of the corner, to rounding.  The whole one has
 * been held against the Jacobian, so no pass through the network is needed.
 */
#ifndef NTKLENS_MEASURE_PART_FORMS_H
#define NTKLENS_MEASURE_PART_FORMS_H

#include "kernel_task.h"

/** Are ranks of related kernels told, those of parts among them?  Pure. */
bool nl_parts_wanted(const nl_measure_plan *plan, nl_kernel_spec spec);

/** Samples of part 0 (half of them), 1 (a quarter); 0: too few.  Pure. */
int nl_part_samples(int samples, int part);

/** Note the forms of the parts of a kernel that was checked, where they are wanted.  Collective. */
NL_MUST_CHECK nl_status nl_part_forms_note(const nl_kernel_task *task, const nl_dmat *a);

/** Is this the kernel of the first `samples` samples?  Yes where nothing was noted.  Collective;
 * the same answer on every rank. */
NL_MUST_CHECK nl_status nl_part_form_holds(const nl_kernel_task *task, const nl_dmat *a,
                                           int samples, bool *holds);

#endif
