/** @file throughput.h  How long work takes: measured here in about a second, or told by an earlier
 * run.
 */
#ifndef NTKLENS_PLAN_THROUGHPUT_H
#define NTKLENS_PLAN_THROUGHPUT_H

#include "ntklens/eigen.h"
#include "ntklens/folder.h"
#include "ntklens/nn.h"

/** A unit of work of so many operations took so long. */
typedef struct nl_throughput_point {
    double flops, seconds;
} nl_throughput_point;

enum { nl_throughput_points = 64 };

/** Points in ascending flops. */
typedef struct nl_throughput {
    int count;
    nl_throughput_point point[nl_throughput_points];
} nl_throughput;

/** Of the rate of large products, what those of gradients run at. */
static const double nl_products_share = 0.6;

/** Seconds of one unit of work: a step; evaluation of one sample; fill of one kernel, also by
 *  nl_kernel_kind (empty: not told apart), and there, of networks that are no chains of dense
 *  layers, the passes of one sample, nl_sample_passes(). */
typedef struct nl_net_throughputs {
    nl_throughput effort[NL_EFFORT_SOLVE];
    nl_throughput gram[3];
    double shared; /* of a large network's step, 0 to 1, what other cores take a share of */
} nl_net_throughputs;

typedef struct nl_throughputs {
    nl_net_throughputs of[NL_NET_KIND_COUNT]; /* operations of one kind run at another rate */
    nl_throughput solve;                      /* of one kernel on one rank */
    nl_throughput shared_solve;               /* of a distributed solver, on one rank */
    char source[256];                         /* "measured on <host>", or the timings file */
} nl_throughputs;

/** Insert a point; what is measured twice is averaged.  A full table drops it. */
void nl_throughput_add(nl_throughput *throughput, double flops, double seconds);

/** Expected seconds of a unit of `flops`.  Seconds per operation are interpolated linearly in
 *  flops^(-1/3): small units pay for overhead, large ones come near the machine's rate.  Pure. */
double nl_throughput_seconds(const nl_throughput *throughput, double flops);

/** `shared` as it usually is, where it is not measured. */
void nl_throughputs_share_usually(nl_throughputs *throughputs);

/** Whose work is timed.  All borrowed. */
typedef struct nl_throughputs_request {
    const nl_study *study;
    const nl_cell *cells; /* [count] */
    int count;
    const nl_dataset_info *info;
    const nl_measure_plan *plan;
    const nl_solver *shared; /* of shared kernels; NULL: there are none */
} nl_throughputs_request;

/** Time steps, evaluations and kernels of a few of the study's cells on random images.  Local to
 *  this process; needs MPI. */
NL_MUST_CHECK nl_status nl_throughputs_measure(const nl_throughputs_request *of,
                                               nl_throughputs *out);

#endif
