/** @file timings.h  timings.csv of an earlier run: seconds by cell and phase. */
#ifndef NTKLENS_STUDY_TIMINGS_H
#define NTKLENS_STUDY_TIMINGS_H

#include "cost.h"

/** First line of the table. */
extern const char nl_timings_header[];

/** All lines of a cell, summed. */
typedef struct nl_timing {
    char id[64];
    double seconds[NL_EFFORT_KINDS];
    double other; /* write, and phases that are not known here */
} nl_timing;

/**
 * Read timings.csv.  Lines that make no sense (a table cut short) are passed over.
 *
 * @param[out] timings  sorted by id, each once, free()
 * @return NL_ERR_IO where it cannot be read, NL_ERR_DATA where it is no such table
 */
NL_MUST_CHECK nl_status nl_timings_read(const char *path, nl_timing **timings, int *count);

/** The timing of a cell in such a table, NULL: none. */
const nl_timing *nl_timing_find(const nl_timing *timings, int count, const char *id);

#endif
