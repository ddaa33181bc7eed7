/** @file result_limits.h  What a cell's file can hold at most, whoever wrote it. */
#ifndef NTKLENS_STUDY_RESULT_LIMITS_H
#define NTKLENS_STUDY_RESULT_LIMITS_H

#include "result.h"

typedef struct nl_result_limits {
    long max_steps;
    int curve;  /* evaluated states */
    int states; /* measured ones */
} nl_result_limits;

/** what: as of nl_result_read(); a file that was measured under another plan may hold more. */
nl_result_limits nl_result_limits_of(const nl_cell *cell, const nl_measure_plan *plan, int what);

/**
 * Bytes that the file of a cell may have: several times what the present plan makes of it with all
 * that a study can keep, or a quarter of the machine's memory if that is more, for other plans kept
 * more.  What is larger is not read: it would end as "out of memory" each time.
 */
size_t nl_cell_file_limit(const nl_study *study, const nl_cell *cell, const nl_measure_plan *plan);

#endif
