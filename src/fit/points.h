/** @file points.h  Samples sorted into points and seeds; private to the room. */
#ifndef NTKLENS_FIT_POINTS_H
#define NTKLENS_FIT_POINTS_H

#include "ntklens/fit.h"

/** Samples of one quantity: a table of points by seeds, and what scatter.c makes of it. */
typedef struct nl_points {
    int count, seeds, unused;
    double *x;     /* owned, [count]: ascending */
    double *place; /* owned, [count]: log x, less the middle of the first and the last */
    double *y;     /* owned, [seeds x count]: NaN where there is no sample */
    double *known; /* owned, [count]: variance of log y that is known, mean over the samples */
    bool exact;    /* all of these are 0 */

    /* Of nl_points_scatter(): log y = mean of its point + effect of its seed + noise. */
    bool paired;        /* seeds link the points; else there are no effects of seeds */
    int loose;          /* seeds of a paired table that have too few points, so are not used */
    double *mean;       /* owned, [count]: of log y, seeds' effects taken out */
    double *variance;   /* owned, [count]: of the noise of one sample */
    double *weight;     /* owned, [count]: 1 / variance of `mean`, but for what all points share */
    double *covariance; /* owned, [count x count]: of the logarithms of `variance` */
    double *scratch;    /* owned, [count]: for whoever computes with the points */
    double shared;      /* variance that the means have in common: of the mean effect of a seed */
    double degrees;     /* of freedom in all variances; 0: there are none, weights are 1 */
} nl_points;

/** Sort.  Samples at the same x and seed: the last one counts. */
NL_MUST_CHECK nl_status nl_points_create(int count, const nl_sample *samples, nl_points *out);
void nl_points_free(nl_points *points);

/** Slopes of log y against log x, one per seed that has two points or more and half of the range.
 *  Of points that are not exact, weighed by their variance: after nl_points_scatter().  slope,
 *  intercept: [seeds].  Returns how many. */
int nl_points_slopes(const nl_points *points, double *slope, double *intercept);

/** Variance that known errors give to a slope of all points, were they the same for all seeds. */
double nl_points_known_slope(const nl_points *points);

/** Has a seed the points for a slope? */
bool nl_points_linked(const nl_points *points, int seed);

/** Exponents that are looked at, of either sign; beyond them a law is a step at one end of the
 * data. */
static const double nl_steepest = 4.0;

/** y = offset + amplitude x^-exponent against the means; the interval of each is where chi-square,
 *  least over the rest, is within `rise` of its minimum. */
typedef struct nl_profile {
    nl_interval exponent, offset;
    double amplitude, chi2;
    double rise; /* of chi-square, up to which an interval of 95 % for the exponent extends */
} nl_profile;

#endif
