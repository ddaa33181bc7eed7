/** @file ntk.h  Neural Tangent Kernels: tiles, observables of a spectrum, infinite width. */
#ifndef NTKLENS_NTK_H
#define NTKLENS_NTK_H

#include "ntklens/factors.h"
#include "ntklens/linalg.h"

/*---------------------------------------------------------------------------------------------
 * Kernels
 *-------------------------------------------------------------------------------------------*/

typedef enum nl_kernel_kind {
    NL_KERNEL_FULL,   /* NC x NC, row i*C + a */
    NL_KERNEL_TRACED, /* N x N: mean over outputs of the diagonal blocks */
    NL_KERNEL_CLASS,  /* N x N: one output's block */
} nl_kernel_kind;

/** Which kernel of a network. */
typedef struct nl_kernel_spec {
    nl_kernel_kind kind;
    int output;         /* CLASS: which */
    bool rate_weighted; /* each layer's part times its learning rate over the base rate (mup) */
} nl_kernel_spec;

/** "full", "traced", "class3", with "-rate-weighted" behind; out holds 32 bytes. */
const char *nl_kernel_name(nl_kernel_spec spec, char out[32]);

/** Order of the kernel of `samples` probe samples. */
int nl_kernel_order(nl_kernel_spec spec, int samples, int outputs);

/** Block size for its matrix: the smallest multiple of the rows a sample has that is at least
 *  `wanted`, so that a rank's local rows are whole samples. */
int nl_kernel_block(nl_kernel_spec spec, int outputs, int wanted);

/** The state of a network and the probe it is looked at with.  All borrowed. */
typedef struct nl_kernel_input {
    const nl_net *net;
    const float *theta; /* [net->size] */
    const float *probe; /* [samples x inputs] */
    int samples;
    double panel_bytes; /* memory for factors; more local samples than fit are taken in panels */
} nl_kernel_input;

/**
 * Fill the local part, on and below the diagonal, of a block-cyclic kernel:
 *   Theta[(i,a),(j,b)] = sum_l (s_l^2 <h_i^{l-1}, h_j^{l-1}> + t_l^2) <delta_i^{l,a},
 * delta_j^{l,b}>. No communication: every rank has parameters and probe.  Local.
 *
 * @param[in] a  order nl_kernel_order(), block a multiple of the rows a sample has; its precision
 *               is that of the computation
 */
NL_MUST_CHECK nl_status nl_kernel_fill(nl_dmat *a, nl_kernel_spec spec,
                                       const nl_kernel_input *input);

/*---------------------------------------------------------------------------------------------
 * Observables
 *-------------------------------------------------------------------------------------------*/

/** Of a spectrum lambda_1 >= ... >= lambda_n; p_i = lambda_i / sum lambda. */
typedef struct nl_observables {
    double trace;               /* (1/n) sum lambda */
    double entropy;             /* S = -sum p ln p, nats */
    double effective_rank;      /* exp(S); Roy & Vetterli, EUSIPCO 2007 */
    double participation_ratio; /* (sum lambda)^2 / sum lambda^2 */
    double lambda_max, lambda_min;
    bool negative; /* an eigenvalue below -n eps lambda_max: more than rounding */
} nl_observables;

/** Negative eigenvalues count as zero; beyond rounding they also set `negative`.  A spectrum with a
 *  NaN, or without a positive eigenvalue, has NaN where there is no answer.  Pure. */
nl_observables nl_observe(int n, const double *descending, double eps);

/*---------------------------------------------------------------------------------------------
 * Infinite width
 *-------------------------------------------------------------------------------------------*/

/** What is asked for.  z is the network's output f. */
typedef enum nl_infinite_kind {
    NL_INFINITE_NNGP, /* covariance of f(x) and f(x') over draws: the Gaussian process */
    NL_INFINITE_NTK,  /* mean of Theta */
} nl_infinite_kind;

/** At which width. */
typedef enum nl_infinite_scale {
    NL_INFINITE_AT_WIDTH, /* what Theta of networks of the given width is, but for corrections that
                             vanish as 1/width against it */
    NL_INFINITE_LIMIT,    /* ntk: the same; standard, whose Theta grows with the width: Theta/width;
                             mup: NL_ERR_ARG */
} nl_infinite_scale;

/** Opaque.  The closed-form kernel of an MLP on some samples, which it borrows. */
typedef struct nl_infinite nl_infinite;

/** Is there a closed form for this activation?  (relu, erf) */
bool nl_infinite_is_known(nl_activation activation);

/**
 * Kernels of wide networks as they are drawn, any depth (Neal 1996; Lee et al. 2018; Jacot et al.
 * 2018; relu: Cho & Saul 2009; erf: Williams 1997).  With q^0 = <x,x'>/d, q^l = E[phi(z_l)
 * phi(z'_l)] and g^l = E[phi'(z_l) phi'(z'_l)], (z_l, z'_l) normal with covariance K^l,
 *   K^l = sw2 q^{l-1} + sb2;   Theta^1 = A^1,   Theta^{l+1} = A^{l+1} + sw2 g^l Theta^l.
 * A^l is what layer l's own parameters add, s_l^2 <h^{l-1},h'^{l-1}> + t_l^2:
 *   ntk:       A^l = K^l
 *   standard:  A^1 = <x,x'> + 1,  A^l = width q^{l-1} + 1;  the limit of Theta/width: 0 and q^{l-1}
 * mup at a width likewise, from its multipliers and variances: at width = base_width as standard.
 * One output; outputs are independent, so the full kernel is this one times the identity.
 * Numbers are those of double; near duplicates, at an angle a, g has an error of 1e-16/a.
 *
 * @param[in]  net            shapes, multipliers and variances; not its parameters
 * @param[in]  rate_weighted  as in nl_kernel_spec
 * @param[in]  x              [samples x inputs], borrowed
 * @param[out] out            NL_ERR_ARG where no closed form is known
 */
NL_MUST_CHECK nl_status nl_infinite_create(const nl_net *net, nl_infinite_scale scale,
                                           bool rate_weighted, int samples, const float *x,
                                           nl_infinite **out);
void nl_infinite_destroy(nl_infinite **infinite);

/**
 * Entries of samples rows x cols.  The diagonal is exact, (i, j) and (j, i) agree to rounding.
 * Uses scratch of the object: one caller at a time.
 *
 * @param[in]  rows, cols  [m], [n] samples
 * @param[out] out         [m x n], column-major, leading dimension ld >= m
 */
void nl_infinite_block(nl_infinite *infinite, nl_infinite_kind kind, int m, const int *rows, int n,
                       const int *cols, double *out, int ld);

/** Fill the local part, on and below the diagonal, of a block-cyclic matrix in double whose order
 *  is the number of samples.  Local. */
NL_MUST_CHECK nl_status nl_infinite_fill(nl_dmat *a, nl_infinite *infinite, nl_infinite_kind kind);

/*---------------------------------------------------------------------------------------------
 * Kernel regression
 *-------------------------------------------------------------------------------------------*/

/** How well a kernel alone predicts; NaN where its matrix is not positive definite. */
typedef struct nl_regression {
    double test_loss;     /* mean over test samples and classes of (f - onehot)^2 */
    double test_accuracy; /* share of argmax hits, the first of equal maxima */
} nl_regression;

/**
 * Kernel ridge regression on centred one-hot targets, y = onehot - 1/C, one kernel for all outputs:
 *   alpha = (K + ridge tr(K)/n I)^-1 y,   f = K_test,train alpha + 1/C
 * (Lee et al. 2020, "Finite versus infinite neural networks": the ridge relative to the mean
 * diagonal, so that it means the same at any scale of the kernel).  Cholesky; Local.
 *
 * @param[in,out] kernel  column-major [train + test rows x train columns], leading dimension ld;
 *                        of the train rows only those on and below the diagonal; destroyed
 * @param[in]     labels  [train + test]
 */
NL_MUST_CHECK nl_status nl_kernel_regression(int train, int test, double *kernel, int ld,
                                             int outputs, const int *labels, double ridge,
                                             nl_regression *out);

#endif
