/** @file quadrature.h  The entropy of a spectrum that is never computed: deflation, then stochastic
 * Lanczos quadrature of the rest, with an error that is stated. */
#ifndef NTKLENS_QUADRATURE_H
#define NTKLENS_QUADRATURE_H

#include "ntklens/base.h"

#include <mpi.h>

/** Y = A X, X and Y [n x columns] column-major, A symmetric and positive semidefinite, in single
 *  precision or better; the same bits on every rank.  Collective. */
typedef nl_status nl_block_operator_fn(int columns, const double *x, double *y, void *context);

/** Make anew what products are made of, as one of them was wrong.  Collective. */
typedef nl_status nl_operator_renew_fn(void *context);

/** What is asked of an operator. */
typedef struct nl_quadrature_request {
    MPI_Comm comm;        /* of the operator */
    int n;                /* its order */
    double trace;         /* known exactly */
    double frobenius2;    /* |A|_F^2, where it is known exactly, too; else NaN */
    double wanted;        /* 95 % half width of the entropy */
    uint32_t seed;        /* of start vectors and probes: the same for all operators of an order */
    int targets;          /* vectors whose parts along the leading eigenvectors are wanted */
    const double *target; /* borrowed; [n x targets] */
    nl_block_operator_fn *apply;
    nl_operator_renew_fn *renew; /* NULL: nothing can be made anew */
    void *context;               /* borrowed; of both */
} nl_quadrature_request;

enum {
    nl_quadrature_top = 64,   /* leading eigenvalues that are told, at most */
    nl_quadrature_curve = 432 /* points of the counting function, at most */
};

/** What quadrature says of p_i = lambda_i / trace. */
typedef struct nl_quadrature {
    double entropy;             /* -sum p ln p, nats */
    double entropy_error;       /* half width of its 95 % interval */
    double participation_ratio; /* 1 / sum p^2, to some tenths of a percent */
    double squares_error;       /* 95 % half width of sum p^2 over itself; 0: known exactly */
    double lambda_max;
    int top_count; /* leading eigenvalues that are right to 1e-3 */
    double top[nl_quadrature_top];
    double power[nl_quadrature_top];   /* sum over the targets of (u_i^T target)^2 */
    double tilt[nl_quadrature_top];    /* sine of the largest angle between the space of the first i
                                          eigenvectors and what `power` took for it, about */
    int points;                        /* of the counting function: */
    double value[nl_quadrature_curve]; /* eigenvalues, descending, */
    double rank[nl_quadrature_curve];  /* and their places in the spectrum, from 1 */
    int kept;                          /* Ritz vectors that were deflated */
    int probes;                        /* random vectors, and */
    int steps;                         /* Lanczos steps of each */
    int products;                      /* with vectors, in all */
    bool repeated;                     /* a product failed its check and was made again */
} nl_quadrature;

/**
 * Block Krylov deflation: A is pinched to Q Q^T A Q Q^T + (I - Q Q^T) A (I - Q Q^T), Q the leading
 * Ritz vectors; half of what that adds to the entropy, to second order, is taken off, half counts
 * as error.  The rest: z^T f(.) z of probes z on a sphere by Lanczos on the deflated operator with
 * full reorthogonalisation: Gauss quadrature bounds it from above, Gauss-Radau with a node at zero
 * from below (Golub & Meurant 1994); the middle is taken.  The trace of the rest is known, and
 * serves as control variate, and so does its squared norm, where it is; the variance is that of a
 * quadratic form on a sphere, from the nodes of all probes.
 *
 * Most probes end after 6 steps.  Four go on to 30 at least, until their gap is small: what that
 * changes is added (an estimator of two levels: Giles 2008), half of their gap and the noise of
 * the change, by Student's t, count as error.  Their nodes are the counting function's, too, which
 * is right to 5 to 10 % of an eigenvalue where eigenvalues lie close.
 *
 * Probes, steps and depth grow until the half width is as wanted (or 256 probes are spent: then
 * the error says so).
 *
 * A product is symmetric, x^T A y = y^T A x, with others of its block and with the first block; one
 * that is not is made again.
 *
 * Each rank has a slice of all vectors but of those of a product; sums go over the ranks in their
 * order: the same bits on every rank, and again on as many.  Collective over request->comm.
 *
 * @return NL_ERR_NUMERIC where a product failed its check twice
 */
NL_MUST_CHECK nl_status nl_quadrature_compute(const nl_quadrature_request *request,
                                              nl_quadrature *out);

/** Vectors of order n that each of so many ranks holds at a time, at most. */
double nl_quadrature_vectors(int ranks);

/** Products with vectors that it usually takes of a kernel of order n for that half width: 310 to
 *  420 were counted at n = 3000 to 10,000 and a half width of 0.01, 620 at 60,000, 610 and 1000
 *  at 600,000. */
double nl_quadrature_products(int n, double wanted);

#endif
