/** @file block_krylov.h  Orthonormal vectors of a block Krylov space, and what is made of them. */
#ifndef NTKLENS_EIGEN_BLOCK_KRYLOV_H
#define NTKLENS_EIGEN_BLOCK_KRYLOV_H

#include "slices.h"

#include "ntklens/quadrature.h"

enum { nl_krylov_block = 16, nl_most_krylov_steps = 12, nl_most_references = 4 };

/** A request, products counted and checked.  Vectors are slices, `n` stands for their lead. */
typedef struct nl_checked_operator {
    const nl_quadrature_request *request; /* borrowed */
    nl_slices slices;                     /* owned */
    double *all;                          /* owned; [n x 2 blocks] of several ranks: a product */
    int products;
    bool repeated;
    int references;            /* vectors of the first block that are kept */
    double *reference, *image; /* owned; [n x references] they, and what A made of them */
} nl_checked_operator;

/** Y = A X, held against its own symmetry and that with the first block: an operator that is not
 *  what it was is found by that.  Made again where it fails. */
NL_MUST_CHECK nl_status nl_checked_apply(nl_checked_operator *a, int columns, const double *x,
                                         double *y);

/** Local. */
NL_MUST_CHECK nl_status nl_checked_create(const nl_quadrature_request *request,
                                          nl_checked_operator *out);
void nl_checked_free(nl_checked_operator *a);

/** Take out of x [n x columns] what lies along q [n x kept], orthonormal, twice; m: scratch,
 *  kept x columns. */
void nl_project_out(const nl_slices *s, int kept, const double *q, int columns, double *x,
                    double *m);

/** Standard normal vectors [n x columns], first .. first + columns of those of `what`.  Local. */
void nl_draw_normal(const nl_checked_operator *a, uint32_t what, int first, int columns, double *x);

/** An orthonormal basis and its products. */
typedef struct nl_krylov {
    int count, last; /* vectors; first of those whose products are not known yet */
    double *v, *av;  /* owned; [n x most] */
    bool whole;      /* the space is invariant: nothing is left */
} nl_krylov;

NL_MUST_CHECK nl_status nl_krylov_create(const nl_checked_operator *a, nl_krylov *out);
void nl_krylov_free(nl_krylov *space);

/** One more block of products. */
NL_MUST_CHECK nl_status nl_krylov_grow(nl_checked_operator *a, nl_krylov *space);

/** Ritz pairs of a space, in units of the trace. */
typedef struct nl_ritz {
    int count;
    double *theta;    /* owned; [count] descending */
    double *residual; /* owned; [count] |A q - theta q|^2 */
    double *u;        /* owned; [count x count], columns as theta: q = V u */
} nl_ritz;

/** Collective. */
NL_MUST_CHECK nl_status nl_ritz_compute(const nl_checked_operator *a, const nl_krylov *space,
                                        nl_ritz *out);
void nl_ritz_free(nl_ritz *ritz);

#endif
