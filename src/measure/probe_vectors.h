/** @file probe_vectors.h  Vectors of a kernel's order that say how it lies to labels and loss, and
 * what the Jacobian makes of them: of methods that form no kernel. */
#ifndef NTKLENS_MEASURE_PROBE_VECTORS_H
#define NTKLENS_MEASURE_PROBE_VECTORS_H

#include "ntklens/gradients.h"

/** Columns, in this order: `constants` that are the same for all samples, one an output; centred
 *  one-hot `targets`; the loss's gradient.  Full: one target, vec Y; class: targets of each class,
 *  the gradient of its own output. */
typedef struct nl_probe_vectors {
    const nl_probe_state *state; /* borrowed */
    nl_kernel_spec spec;         /* full or class; of a traced one the targets are those of class */
    size_t n;                    /* order of the kernel */
    int constants, targets, columns;
    /* of filled ones: */
    double gradient2; /* |g|^2 */
    double targets2;  /* sum of the targets' squares */
    double target4;   /* |T|_F^2 of the sum of targets' outer products */
} nl_probe_vectors;

/** Pure. */
nl_probe_vectors nl_probe_vectors_of(const nl_probe_state *state, nl_kernel_spec spec);

/** The targets alone, of any kernel, x [n x targets], and their norms.  Local. */
NL_MUST_CHECK nl_status nl_probe_vectors_targets(nl_probe_vectors *v, double *x);

/** The columns themselves, x [n x columns], and their norms.  Local. */
NL_MUST_CHECK nl_status nl_probe_vectors_fill(nl_probe_vectors *v, double *x);

/** W = R^1/2 J^T X [net->size x columns + more], the further columns zeros; owned by the caller.
 *  Collective over the gradients' grid. */
NL_MUST_CHECK nl_status nl_probe_vectors_gradients(nl_probe_vectors *v, const nl_gradients *g,
                                                   int more, double **w);

/** X^T Theta X = W^T W [columns x columns], of W in any basis of `order` vectors.  Local. */
void nl_probe_vectors_gram(const nl_probe_vectors *v, size_t order, const double *w, double *gram);

/** What is said of a kernel beside its eigenvalues. */
typedef struct nl_kernel_norms {
    double trace, frobenius2; /* NaN: no alignment is told */
    double constants2;        /* sum over the constants of |Theta e_a|^2 */
} nl_kernel_norms;

/** Alignment with the labels, and the columns of the loss's gradient.  Pure. */
void nl_probe_vectors_observe(const nl_probe_vectors *v, const double *gram,
                              const nl_kernel_norms *norms, nl_observables *out);

/** |H Theta H|_F^2 of the kernel centred on the samples.  Pure. */
double nl_probe_vectors_centred2(const nl_probe_vectors *v, const double *gram,
                                 const nl_kernel_norms *norms);

#endif
