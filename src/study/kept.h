/** @file kept.h  Kernels of one rank that stay in memory while a cell is measured.
 *
 * A state is compared with the initial and the previous one, and its own kernel is needed once more
 * where related spectra are asked for.  Where kernels are small, keeping three of them (their lower
 * halves) costs less than filling them again; where they are large, the solve takes so much longer
 * than a fill that they are filled again, and a rank needs one matrix only.
 */
#ifndef NTKLENS_STUDY_KEPT_H
#define NTKLENS_STUDY_KEPT_H

#include "result.h"

/** Opaque. */
typedef struct nl_kept nl_kept;

/** @param[in] plan  borrowed, outlives it */
NL_MUST_CHECK nl_status nl_kept_create(const nl_measure_plan *plan, nl_kept **out);
void nl_kept_destroy(nl_kept **kept);

/** Bytes that are kept of a kernel; 0: it is too large.  A function of the plan alone, so that what
 *  is kept, and with it the last bits of related spectra, never depends on what came before. */
double nl_kept_bytes(const nl_measure_plan *plan, int kernel);

/** Another cell begins. */
void nl_kept_forget(nl_kept *kept);

/** The packed kernel of a step; NULL: it is not kept.  NULL-safe. */
const void *nl_kept_at(const nl_kept *kept, int kernel, long step);

/**
 * Room for the packed kernel of a step, which counts as kept from now on; what is there of steps 0
 * and `also` stays.
 *
 * @param[out] room  NULL: kernels of that size are not kept, or kept is NULL
 */
NL_MUST_CHECK nl_status nl_kept_room(nl_kept *kept, int kernel, long step, long also, void **room);

/** Note the squared Frobenius norm of a kernel that was checked, kept or not; those of steps 0 and
 * `also` stay.  NULL-safe. */
void nl_kept_note(nl_kept *kept, int kernel, long step, long also, double frobenius2);

/** What was noted; NaN: nothing.  NULL-safe. */
double nl_kept_noted(const nl_kept *kept, int kernel, long step);

/** The kernel of that step is not kept any more.  NULL-safe. */
void nl_kept_drop(nl_kept *kept, int kernel, long step);

#endif
