/** @file fits.h  Laws fitted to series. */
#ifndef NTKLENS_REPORT_FITS_H
#define NTKLENS_REPORT_FITS_H

#include "networks.h"
#include "series.h"

#include "ntklens/fit.h"

/** A tag's index, or one of these. */
enum {
    nl_ratio = -1, /* best / init */
    nl_base = -2,  /* init of the networks that have that ratio, so that slopes add up */
    nl_least = -3, /* least over training: the spectral reach */
};

typedef struct nl_series_fit {
    int series, quantity, kernel, tag; /* kernel -1: not of a kernel */
    nl_fit fit;
    double order;                                        /* of the kernel; NaN: unknown */
    int censored, diverged, untrained, collapsed, empty; /* networks that were left out, and why */
    int overdetermined; /* networks that count, but whose parameters bound this rank */
} nl_series_fit;

/** An exponent between two neighbouring scales. */
typedef struct nl_report_local {
    int fit; /* of which quantity */
    nl_local at;
} nl_report_local;

typedef struct nl_report_fits {
    int series_count, fits, joints, crossings, locals;
    nl_series *series;                   /* owned */
    nl_series_fit *fit;                  /* owned */
    struct nl_report_joint *joint;       /* owned */
    struct nl_report_crossing *crossing; /* owned */
    nl_report_local *local;              /* owned */
    double threshold;                    /* of the crossings */
} nl_report_fits;

/** A joint law where a setting's networks make a grid. */
typedef struct nl_report_joint {
    const char *setting;
    int quantity, kernel, tag;
    nl_joint_fit fit;
} nl_report_joint;

/** Where the kernel distance at best falls below the threshold, along a width group. */
typedef struct nl_report_crossing {
    int series, kernel;
    nl_crossing at;
} nl_report_crossing;
NL_MUST_CHECK nl_status nl_report_fits_create(const nl_report_networks *data, double threshold,
                                              nl_report_fits *out);
void nl_report_fits_free(nl_report_fits *fits);

/** The fit of a quantity in a group, NULL where there is none. */
const nl_series_fit *nl_report_fit(const nl_report_fits *fits, int series, const char *column,
                                   int kernel, int tag);

#endif
