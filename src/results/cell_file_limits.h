/** @file cell_file_limits.h  What a cell's file can hold at most, whoever wrote it. */
#ifndef NTKLENS_RESULTS_CELL_FILE_LIMITS_H
#define NTKLENS_RESULTS_CELL_FILE_LIMITS_H

#include "ntklens/study.h"

typedef struct nl_cell_file_limits {
    long max_steps;
    int curve;  /* evaluated states */
    int states; /* measured ones */
} nl_cell_file_limits;

/** what: as of nl_cell_file_read(); a file that was measured under another plan may hold more. */
nl_cell_file_limits nl_cell_file_limits_of(const nl_cell *cell, const nl_measure_plan *plan,
                                           int what);

#endif
