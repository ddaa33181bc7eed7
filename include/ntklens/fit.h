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

/** "none", "power", "offset", "joint". */
const char *nl_law_name(nl_law law);

typedef struct nl_fit {
    nl_law law;
    nl_interval exponent;     /* of the chosen law */
    nl_interval slope;        /* of log y against log x, mean over seeds: whatever the law */
    double amplitude, offset; /* of the chosen law */
    double chi2_power;        /* of the seed means, NaN where seeds give no variance */
    double chi2_offset;       /* NaN where it was not fitted */
    double first, last;       /* least and largest x that were used */
    int points, seeds;        /* that were used */
    int unused;               /* samples that are not finite or not positive */
    bool constant;            /* y is the same at all x, seed by seed */
    double turn;              /* x of a peak or dip of the seed means between the ends that seeds
                                 tell from both ends; NaN: none */
    bool turn_is_peak;
    char note[nl_fit_note_size]; /* in words what the numbers do not say; may be empty */
} nl_fit;

/**
 * Fit y against x.
 *
 * The slope is that of log y against log x, one a seed, with a t-interval over seeds.  The power
 * law with an offset is fitted to seed means with relative residuals; their variance is that among
 * seeds, pooled over points, and its degrees of freedom are points x (seeds - 1).  For each
 * exponent the law is linear in the rest, so the chi-square is profiled over the exponent, of
 * either sign and through 0 (where it is a logarithm); the interval is where it exceeds its
 * minimum by less than t^2.  AIC = chi-square + 2 x parameters chooses; where the two differ by
 * less than 2, the interval is the union of both.
 *
 * @return NL_ERR_NOMEM, or NL_OK also where nothing can be fitted
 */
NL_MUST_CHECK nl_status nl_fit_power_law(int count, const nl_sample *samples, nl_fit *out);

/** One value of a grid in width and data. */
typedef struct nl_grid_sample {
    double width, data, y;
    long seed;
} nl_grid_sample;

/** y = offset + width_amplitude W^-alpha + data_amplitude N^-beta. */
typedef struct nl_joint_fit {
    nl_law law; /* NL_LAW_JOINT or NL_LAW_NONE */
    nl_interval alpha, beta;
    double width_amplitude, data_amplitude, offset;
    double chi2;
    int points, seeds, unused;
    char note[nl_fit_note_size];
} nl_joint_fit;

/** Fit the joint law to the seed means of a grid, with relative residuals and the pooled variance
 *  among seeds as above; intervals from the linearised problem.  Needs three widths and three
 *  sizes. */
NL_MUST_CHECK nl_status nl_fit_joint_law(int count, const nl_grid_sample *samples,
                                         nl_joint_fit *out);

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
