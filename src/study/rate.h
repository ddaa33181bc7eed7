/** @file rate.h  How long work takes: measured here in about a second, or told by an earlier run.
 */
#ifndef NTKLENS_STUDY_RATE_H
#define NTKLENS_STUDY_RATE_H

#include "cost.h"
#include "measure.h"

/** A unit of work of so many operations took so long. */
typedef struct nl_rate_point {
    double flops, seconds;
} nl_rate_point;

enum { nl_rate_points = 64 };

/** Points in ascending flops. */
typedef struct nl_rate {
    int count;
    nl_rate_point point[nl_rate_points];
} nl_rate;

/** Seconds of one unit of work.  0: step; of one sample; fill of one kernel; solve of one kernel.
 */
typedef struct nl_rates {
    nl_rate effort[NL_EFFORT_KINDS];
    nl_rate gram[3];      /* the fills again, by nl_kernel_kind; empty: not told apart */
    nl_rate shared_solve; /* of a distributed solver, on one rank */
    char source[256];     /* "measured on <host>", or the timings file */
} nl_rates;

/** Insert a point; what is measured twice is averaged.  A full table drops it. */
void nl_rate_add(nl_rate *rate, double flops, double seconds);

/** Expected seconds of a unit of `flops`.  Seconds per operation are interpolated linearly in
 *  flops^(-1/3): small units pay for overhead, large ones come near the machine's rate.  Pure. */
double nl_rate_seconds(const nl_rate *rate, double flops);

/** Time steps, evaluations and kernels of a few of the study's cells on random images.  Local to
 *  this process; needs MPI.
 *  @param shared  solver of shared kernels; NULL: there are none */
NL_MUST_CHECK nl_status nl_rates_measure(const nl_study *study, const nl_cell *cells, int count,
                                         const nl_dataset_info *info, const nl_measure_plan *plan,
                                         const nl_solver *shared, nl_rates *out);

/** From the timings.csv of an earlier run, its study.yaml being beside it. */
NL_MUST_CHECK nl_status nl_rates_read(const char *path, nl_rates *out);

#endif
