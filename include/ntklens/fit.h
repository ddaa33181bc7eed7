/** @file fit.h  Scaling laws: power laws with and without an offset, their intervals, the joint
 * law.  No MPI, no files: all Local. */
#ifndef NTKLENS_FIT_H
#define NTKLENS_FIT_H

#include "ntklens/base.h"

/** One measurement: y at scale x > 0 of one seed. */
typedef struct nl_point {
    double x, y;
    uint32_t seed;
} nl_point;

/** 95 % interval; NaN where there is none. */
typedef struct nl_interval {
    double low, high;
} nl_interval;

/*---------------------------------------------------------------------------------------------
 * Slope in log-log coordinates
 *-------------------------------------------------------------------------------------------*/

/** d ln y / d ln x. */
typedef struct nl_slope {
    double value;         /* mean over seeds; NaN: none, the note says why */
    nl_interval interval; /* t over per-seed slopes; NaN with one seed */
    double amplitude;     /* y = amplitude x^value, geometric mean over seeds */
    int points, seeds;    /* scales; seeds that have at least two of them */
    char note[96];        /* in words what is missing; empty when all is there */
} nl_slope;

/**
 * Least squares in ln x, ln y for each seed, then mean and t-interval over the seeds.  Points with
 * y <= 0 or not finite are left out.  A percentile bootstrap over 3 to 8 seeds would cover 63 to 90
 * % only.
 */
nl_slope nl_slope_fit(int count, const nl_point *points);

/** Slope of the difference ln y - ln z per seed and scale is the difference of the slopes: of two
 *  slopes from unrelated seeds, with Welch's interval. */
nl_slope nl_slope_difference(const nl_slope *a, const nl_slope *b);

/*---------------------------------------------------------------------------------------------
 * Law: y = amplitude x^-exponent, or y = offset + amplitude x^-exponent
 *-------------------------------------------------------------------------------------------*/

typedef enum nl_law_model { NL_LAW_NONE, NL_LAW_POWER, NL_LAW_OFFSET } nl_law_model;

/** "power", "offset", "none" */
const char *nl_law_name(nl_law_model model);

typedef struct nl_law {
    nl_law_model model; /* NONE: nothing could be fitted, the note says why */
    double exponent;    /* of y ~ x^-exponent */
    nl_interval interval;
    double amplitude, offset; /* offset 0: power */
    int points, seeds;
    char note[160];
} nl_law;

/**
 * The law that describes the points.
 *
 * Power: nl_slope_fit().  Offset: weighted least squares on seed means, residuals relative to the
 * mean, their variance pooled over all scales and divided by the seeds; t-interval with scales x
 * (seeds - 1) degrees of freedom.  The one with the lower AIC = chi^2 + 2 k is taken; where the two
 * differ by less than 4, the interval is the union of both.
 */
nl_law nl_law_fit(int count, const nl_point *points);

/** The joint law L(W, N) = offset + a W^-alpha + b N^-beta over a grid of both. */
typedef struct nl_joint_law {
    bool found;
    double alpha, beta; /* exponents of width and data */
    nl_interval alpha_interval, beta_interval;
    double a, b, offset;
    int points, seeds;
    char note[160];
} nl_joint_law;

/** @param[in] width, data, y, seed  [count] */
nl_joint_law nl_joint_law_fit(int count, const double *width, const double *data, const double *y,
                              const uint32_t *seed);

/** Where ln y, linear between neighbouring scales, of seed means crosses ln level: geometric mean
 *  and t-interval over the seeds that cross inside the range; never extrapolated. */
typedef struct nl_crossing {
    double x; /* NaN: none */
    nl_interval interval;
    int seeds; /* that cross */
    char note[96];
} nl_crossing;

nl_crossing nl_crossing_find(int count, const nl_point *points, double level);

#endif
