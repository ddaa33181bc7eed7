/** @file scatter.h  Means of points, effects of seeds, and the variance of each point's noise. */
#ifndef NTKLENS_FIT_SCATTER_H
#define NTKLENS_FIT_SCATTER_H

#include "points.h"

/**
 * Means of the points and how far to trust them.  Where two seeds or more have points for a slope
 * and most of the samples, seeds are paired: each has an effect of its own on log y, the same at
 * all points.  Of the noise, the logarithm of the variance is a line in log x (REML, with a weak
 * prior on its slope), to which those of the points are shrunk (Smyth, Statistical Applications in
 * Genetics and Molecular Biology 3, 2004).
 */
NL_MUST_CHECK nl_status nl_points_scatter(nl_points *points);

/** Of a variance to which each point gives a share ([count], of sum 1): degrees of freedom after
 *  Satterthwaite, and by what factor it is larger than it seems, as weights that were estimated are
 *  not the best ones (Kenward & Roger, Biometrics 53, 1997). */
double nl_points_degrees(const nl_points *points, const double *share, double *inflation);

/** Probability of residuals this large, if a law with so many parameters holds; NaN where there is
 *  no variance or nothing left to be tested.  *ratio: chi-square a degree of freedom. */
double nl_points_lack_of_fit(const nl_points *points, double chi2, int parameters, double *ratio);

#endif
