/** @file probes.h  Lanczos runs of random vectors on an operator without its leading directions. */
#ifndef NTKLENS_EIGEN_PROBES_H
#define NTKLENS_EIGEN_PROBES_H

#include "block_krylov.h"
#include "gauss.h"

/** P A P, P = I - Q Q^T.  Borrows all. */
typedef struct nl_deflated {
    nl_checked_operator *a;
    int kept;
    const double *q; /* [n x kept], orthonormal */
    double *m;       /* scratch, kept x columns */
} nl_deflated;

/** One random vector z of the sphere |z|^2 = n - kept with P z = z: alpha, beta [steps] of its run
 *  on P A P, in units of the trace, are rules of z^T f(P A P) z. */
typedef struct nl_probe {
    int steps;
    double square; /* |z|^2 */
    double alpha[nl_most_lanczos_steps], beta[nl_most_lanczos_steps];
} nl_probe;

/** Runs side by side. */
typedef struct nl_probe_batch {
    int count, steps;
    double *basis; /* owned; [steps + 1][count] slices: of a step all probes' lie together */
    nl_probe *of;  /* borrowed; [count] */
} nl_probe_batch;

/** Probes first .. first + count of the request, written to `of`; nl_krylov_block at most.
 *  Collective. */
NL_MUST_CHECK nl_status nl_probes_begin(const nl_deflated *d, int first, int count, nl_probe *of,
                                        nl_probe_batch *out);

/** Go on to so many steps, full reorthogonalisation.  A run that ends before has a last beta of
 *  zero.  Collective. */
NL_MUST_CHECK nl_status nl_probes_continue(const nl_deflated *d, nl_probe_batch *b, int steps);

/** Let go of all runs but the first `count`.  Local. */
void nl_probes_narrow(const nl_deflated *d, nl_probe_batch *b, int count);

void nl_probes_free(nl_probe_batch *b);

#endif
