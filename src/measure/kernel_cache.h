/** @file kernel_cache.h  What stays in memory of a cell's kernels while it is measured.
 *
 * A state is compared with the initial and the previous one, and its own kernel is needed once more
 * where related spectra are asked for.  Where kernels are small, keeping three of them (their lower
 * halves) costs less than filling them again; where they are large, the solve takes so much longer
 * than a fill that they are filled again, and a rank needs one matrix only.  So it is where a team
 * shares them.  Of what is filled again the squared norm is noted in any case.
 */
#ifndef NTKLENS_MEASURE_KERNEL_CACHE_H
#define NTKLENS_MEASURE_KERNEL_CACHE_H

#include "ntklens/measure.h"

/** @param[in] plan   borrowed, outlives it
 *  @param[in] keeps  kernels stay where they are small; else only their norms are noted */
NL_MUST_CHECK nl_status nl_kernel_cache_create(const nl_measure_plan *plan, bool keeps,
                                               nl_kernel_cache **out);
void nl_kernel_cache_destroy(nl_kernel_cache **cache);

/** Another cell begins. */
void nl_kernel_cache_forget(nl_kernel_cache *cache);

/** The packed kernel of a step; NULL: it is not kept.  NULL-safe. */
const void *nl_kernel_cache_at(const nl_kernel_cache *cache, int kernel, long step);

/**
 * Room for the packed kernel of a step, which counts as kept from now on; what is there of steps 0
 * and `also` stays.
 *
 * @param[out] room  NULL: kernels of that size are not kept, or kept is NULL
 */
NL_MUST_CHECK nl_status nl_kernel_cache_room(nl_kernel_cache *cache, int kernel, long step,
                                             long also, void **room);

/** Note the squared Frobenius norm of a kernel, kept or not: of one that was checked, or of an
 * earlier state's dual.  Those of steps 0 and `also` stay.  NULL-safe. */
void nl_kernel_cache_note(nl_kernel_cache *cache, int kernel, long step, long also,
                          double frobenius2);

/** What was noted; NaN: nothing.  NULL-safe. */
double nl_kernel_cache_noted(const nl_kernel_cache *cache, int kernel, long step);

/** The kernel of that step is not kept any more.  NULL-safe. */
void nl_kernel_cache_drop(nl_kernel_cache *cache, int kernel, long step);

#endif
