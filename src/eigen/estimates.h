/** @file estimates.h  What Lanczos runs of random vectors say of a spectrum. */
#ifndef NTKLENS_EIGEN_ESTIMATES_H
#define NTKLENS_EIGEN_ESTIMATES_H

#include "probes.h"

/** What is known of the spectrum that probes see; in units of the trace of the whole. */
typedef struct nl_rest {
    int size;       /* eigenvalues */
    double trace;   /* their sum */
    double squares; /* the sum of their squares; NaN: not known */
} nl_rest;

/** What probes say of it. */
typedef struct nl_estimate {
    double entropy, deviation; /* of the mean; of one probe */
    double gap;                /* half of it: Gauss above, Gauss-Radau below; of the longer runs */
    double refinement_error;   /* 95 % half width of what the longer runs added */
    double squares, squares_deviation;
} nl_estimate;

/** Entropy and sum of squares: middles of both rules of so many steps, with what is known of the
 *  rest as control variates.  To the entropy comes what the middles of longer runs changed, on
 *  average over these (two levels, as Giles 2008): that differs little from probe to probe, so that
 *  a few runs spare all others their last steps.  Pure. */
nl_estimate nl_estimate_of(const nl_rest *rest, int steps, int probes, const nl_probe *probe);

/** Ritz values that are kept and nodes of a few probes: what a counting function is made of. */
typedef struct nl_counted {
    int kept;
    const double *theta; /* [kept], one eigenvalue each */
    int probes;          /* nl_counted_probes at most */
    const nl_probe *probe;
} nl_counted;

enum {
    nl_counted_probes = 4,
    nl_counted_steps = 60, /* of each, at most */
    nl_most_counted = nl_krylov_block * nl_most_krylov_steps + nl_counted_probes * nl_counted_steps
};

/**
 * The counting function of a spectrum: positive eigenvalues, descending, and the place of each,
 * from 1: those above it and half of the ones it stands for.  Pure.
 *
 * @param[out] value, rank  [nl_most_counted]
 * @return how many there are
 */
int nl_count_eigenvalues(const nl_counted *of, double *value, double *rank);

#endif
