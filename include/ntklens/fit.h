/** @file fit.h  Power laws with honest intervals.  No MPI: all Local, and pure but for memory.
 *
 * Every interval is one of 95 %.  What cannot be said is NaN, and a note says in words why. */
#ifndef NTKLENS_FIT_H
#define NTKLENS_FIT_H

#include "ntklens/base.h"

enum { nl_fit_note_size = 320 };

/** A value with its interval; low and high are NaN where there is none, infinite where the data do
 *  not bound it on that side. */
typedef struct nl_interval {
    double value, low, high;
} nl_interval;

/** One measured value: `y` of `seed` at scale `x`.  Not finite or not positive: not used. */
typedef struct nl_sample {
    double x, y;
    long seed;
    double error; /* standard error of log y that is known beforehand; 0: it is exact */
} nl_sample;

/** Quantile of Student's t for a two-sided interval of 95 %. */
double nl_student_quantile(double degrees);

/** Mean of `count` values and its t-interval (none for one value). */
nl_interval nl_student_mean(int count, const double *values);

/** Difference a - b of independent estimates, its interval from theirs, which need not be
 *  symmetric: MOVER (Zou & Donner, Statistics in Medicine 27, 2008).  NaN where one has none. */
nl_interval nl_interval_difference(nl_interval a, nl_interval b);

typedef enum nl_law {
    NL_LAW_NONE,   /* nothing can be fitted: the note says why */
    NL_LAW_POWER,  /* y = amplitude x^-exponent */
    NL_LAW_OFFSET, /* y = offset + amplitude x^-exponent */
    NL_LAW_JOINT,  /* y = offset + a W^-alpha + b N^-beta */
} nl_law;

/** Where an offset can lie: what the quantity allows. */
typedef struct nl_offset_range {
    double least, most; /* infinite: no bound */
    bool floor;         /* where y falls, nor above the smallest mean: y stays above it */
} nl_offset_range;

/** "none", "power", "offset", "joint". */
const char *nl_law_name(nl_law law);

typedef struct nl_fit {
    nl_law law;
    nl_interval exponent;     /* of the chosen law */
    nl_interval slope;        /* of log y against log x, mean over seeds: whatever the law */
    double slope_p;           /* two-sided, of no slope; NaN: not tested */
    double amplitude;         /* of the chosen law */
    nl_interval offset;       /* of the chosen law; 0 without an interval of a pure power */
    double chi2_power;        /* of the means of log y, NaN where seeds give no variance */
    double chi2_offset;       /* NaN where it was not fitted */
    double power_p, offset_p; /* of residuals this large if that law holds; NaN: not tested */
    bool identified;          /* the exponent is: it has an interval with two ends */
    bool ran_away;            /* an offset beyond its range fits better: neither law holds */
    double first, last;       /* least and largest x that were used */
    int points, seeds;        /* that were used */
    int unused;               /* samples that are not finite or not positive */
    bool constant;            /* y is the same at all x, seed by seed */
    double turn; /* x of a peak or dip of the means between the ends that seeds tell from
                    both ends; NaN: none */
    bool turn_is_peak;
    char note[nl_fit_note_size]; /* in words what the numbers do not say; may be empty */
} nl_fit;

/**
 * Fit y against x.
 *
 * The slope is that of log y against log x, one a seed, with a t-interval over seeds; where no two
 * seeds have points for one, that of the means of log y, with an interval from their variances.
 *
 * The power law with an offset is fitted to the means of log y.  Seeds that are common to the
 * points are paired: what a seed does to all points alike is taken out.  Variances are those of
 * each point, shrunk to a line through their logarithms, with degrees of freedom after
 * Satterthwaite.  The offset lies within `range`.  For each exponent, of either sign, chi-square is
 * least over the rest; intervals are where it exceeds its minimum by less than t^2.  AIC =
 * chi-square + 2 x parameters chooses; where the two differ by less than 1, the interval is the
 * union of both.  With fewer than four points no exponent has an interval: an offset, which would
 * change it, cannot be tested.  Where an offset beyond its range fits better, by more than chance
 * gives in 95 %, no exponent has one either: neither law holds.
 *
 * Errors that are known of samples weigh the points, and widen intervals as if seeds shared them:
 * estimates by the same random vectors do.  Where seeds do not tell how networks differ, points are
 * weighed as if by 0.01.
 *
 * @return NL_ERR_NOMEM, or NL_OK also where nothing can be fitted
 */
NL_MUST_CHECK nl_status nl_fit_power_law(int count, const nl_sample *samples, nl_offset_range range,
                                         nl_fit *out);

/** Exponent between neighbouring points: y ~ x^-exponent there. */
typedef struct nl_local {
    double from, to; /* x */
    nl_interval exponent;
    int seeds; /* that have both points; of points without common seeds, samples of both */
} nl_local;

/** Local exponents along x: by seed where seeds are common, with a t-interval over them; else of
 *  the means, with an interval after Welch.  out: [count].  *found: how many. */
NL_MUST_CHECK nl_status nl_fit_local(int count, const nl_sample *samples, nl_local *out,
                                     int *found);

/** One value of a grid in width and data. */
typedef struct nl_grid_sample {
    double width, data, y;
    long seed;
    double error; /* as in nl_sample */
} nl_grid_sample;

/** y = offset + width_amplitude W^-alpha + data_amplitude N^-beta. */
typedef struct nl_joint_fit {
    nl_law law; /* NL_LAW_JOINT or NL_LAW_NONE */
    nl_interval alpha, beta;
    double width_amplitude, data_amplitude, offset;
    double chi2, p; /* p: of residuals this large if the law holds; NaN: not tested */
    int points, seeds, unused;
    char note[nl_fit_note_size];
} nl_joint_fit;

/** Fit the joint law to the seed means of a grid, with relative residuals and the variance among
 *  seeds, pooled over the grid; intervals from the linearised problem.  An offset that leaves its
 *  range is held at the end of it, and the note says so.  Needs three widths and three sizes. */
NL_MUST_CHECK nl_status nl_fit_joint_law(int count, const nl_grid_sample *samples,
                                         nl_offset_range range, nl_joint_fit *out);

/** Where a quantity falls below a threshold. */
typedef struct nl_crossing {
    nl_interval x;    /* geometric mean over seeds; NaN where there is none */
    int crossed;      /* seeds that fall below it within the scales measured, and stay there */
    int below, above; /* seeds that are below it, or above it, at every scale */
    int seeds;
    char note[nl_fit_note_size];
} nl_crossing;

/** Scale at which y falls below `threshold`, interpolated in log x and log y, seed by seed, never
 *  extrapolated: a number is given only where every seed crosses. */
NL_MUST_CHECK nl_status nl_fit_crossing(int count, const nl_sample *samples, double threshold,
                                        nl_crossing *out);

#endif
