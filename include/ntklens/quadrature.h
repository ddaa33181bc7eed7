/** @file quadrature.h  The entropy of a spectrum that is never computed: deflation, then stochastic
 * Lanczos quadrature of the rest, with an error that is stated. */
#ifndef NTKLENS_QUADRATURE_H
#define NTKLENS_QUADRATURE_H

#include "ntklens/base.h"

#include <mpi.h>

/** Y = A X, X and Y [n x columns] column-major, A symmetric and positive semidefinite, in single
 *  precision or better; the same bits on every rank.  Collective. */
typedef nl_status nl_block_operator_fn(int columns, const double *x, double *y, void *context);

/** What is asked of an operator. */
typedef struct nl_quadrature_request {
    MPI_Comm comm; /* of the operator */
    int n;         /* its order */
    double trace;  /* known exactly */
    double wanted; /* 95 % half width of the entropy */
    uint32_t seed; /* of start vectors and probes: the same ones for all operators of an order */
    nl_block_operator_fn *apply;
    void *context; /* borrowed */
} nl_quadrature_request;

enum { nl_quadrature_top = 64 };

/** What quadrature says of p_i = lambda_i / trace. */
typedef struct nl_quadrature {
    double entropy;             /* -sum p ln p, nats */
    double entropy_error;       /* half width of its 95 % interval */
    double participation_ratio; /* 1 / sum p^2, to some tenths of a percent */
    double lambda_max;
    int top_count; /* leading eigenvalues that are right to 1e-3 */
    double top[nl_quadrature_top];
    int kept;      /* Ritz vectors that were deflated */
    int probes;    /* random vectors, and */
    int steps;     /* Lanczos steps of each */
    int products;  /* with vectors, in all */
    bool repeated; /* a product failed its check and was made again */
} nl_quadrature;

/**
 * Block Krylov deflation: A is pinched to Q Q^T A Q Q^T + (I - Q Q^T) A (I - Q Q^T), Q the leading
 * Ritz vectors; half of what that adds to the entropy, to second order, is taken off, half counts
 * as error.  The rest: z^T f(.) z of probes z on a sphere by Lanczos on the deflated operator with
 * full reorthogonalisation: Gauss quadrature bounds it from above, Gauss-Radau with a node at zero
 * from below (Golub & Meurant 1994); the middle is taken, half the gap counts as error.  The trace
 * of the rest is known, and serves as control variate; the variance is that of a quadratic form on
 * a sphere, from the nodes of all probes.  Probes, steps and depth grow until the half width is as
 * wanted (or 256 probes are spent: then the error says so).
 *
 * A product is symmetric, x^T A y = y^T A x; one that is not is made again.
 *
 * Every rank works on its own but for the products.  Collective over request->comm.
 *
 * @return NL_ERR_NUMERIC where a product failed its check twice
 */
NL_MUST_CHECK nl_status nl_quadrature_compute(const nl_quadrature_request *request,
                                              nl_quadrature *out);

/** Vectors of order n that it holds at a time, at most. */
double nl_quadrature_vectors(void);

/** Products with vectors that it usually takes for that half width. */
double nl_quadrature_products(double wanted);

#endif
