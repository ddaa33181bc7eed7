/** @file sample.h  Points of one fit: sorted, grouped by scale and by seed. */
#ifndef NTKLENS_FIT_SAMPLE_H
#define NTKLENS_FIT_SAMPLE_H

#include "ntklens/fit.h"

/** Means over seeds at each scale. */
typedef struct nl_means {
    int count;         /* scales */
    int freedom;       /* of the pooled variance: sum of (seeds at a scale - 1) */
    double *x, *mean;  /* owned; [count] ascending x */
    int *seeds;        /* owned; [count] seeds at that scale */
    double relative;   /* pooled standard deviation of y over its mean; NaN with one seed */
    int seeds_at_most; /* seeds of the scale that has most */
} nl_means;

/** Copy of the points that can be fitted (finite, positive), ascending in x, then seed; NULL: out
 * of memory.  *kept: how many. */
nl_point *nl_points_sorted(int count, const nl_point *points, int *kept);

/** @param[in] points  ascending in x */
bool nl_means_create(int count, const nl_point *points, nl_means *out);
void nl_means_free(nl_means *means);

/** Standard deviation of the relative error of mean k. */
double nl_means_sigma(const nl_means *means, int k);

/** Half the width of a 95 % t-interval in standard errors. */
double nl_t_quantile(double freedom);

#endif
