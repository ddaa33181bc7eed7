/** @file points.h  Samples sorted into points and seeds; private to the room. */
#ifndef NTKLENS_FIT_POINTS_H
#define NTKLENS_FIT_POINTS_H

#include "ntklens/fit.h"

/** Samples of one quantity: a table of points by seeds. */
typedef struct nl_points {
    int count, seeds, unused;
    double *x;       /* owned, [count]: ascending */
    double *y;       /* owned, [seeds x count]: NaN where there is no sample */
    double *mean;    /* owned, [count]: over seeds */
    double *weight;  /* owned, [count]: samples in the mean, over (mean^2 x variance) */
    double variance; /* relative, among seeds, pooled over points; NaN where no point has two */
    double degrees;  /* of freedom of the variance */
} nl_points;

/** Sort.  Samples at the same x and seed: the last one counts. */
NL_MUST_CHECK nl_status nl_points_create(int count, const nl_sample *samples, nl_points *out);
void nl_points_free(nl_points *points);

/** Slopes of log y against log x, one per seed that has two points or more and half of the range.
 *  slope, intercept: [seeds].  Returns how many. */
int nl_points_slopes(const nl_points *points, double *slope, double *intercept);

/** Exponents that are looked at, of either sign; beyond them a law is a step at one end of the
 * data. */
static const double nl_steepest = 4.0;

/** y = offset + amplitude x^-exponent, or with offset 0, against the seed means. */
typedef struct nl_profile {
    nl_interval exponent;
    double amplitude, offset, chi2;
} nl_profile;

/** Least chi-square over the exponent, and the interval where it is within `rise` of it. */
nl_profile nl_profile_fit(const nl_points *points, bool offset, double rise);

/** Append to a note, with "; " between. */
void nl_note(char note[nl_fit_note_size], const char *format, ...) NL_PRINTF(2, 3);

#endif
