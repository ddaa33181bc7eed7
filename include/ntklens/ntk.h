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

/**
 * Closed-form NTK of an infinitely wide MLP in ntk parametrisation (Jacot et al. 2018; relu: Cho &
 * Saul 2009; erf: Williams 1997), any depth:
 *   K^1 = sw2 <x,x'>/d + sb2,  K^{l+1} = sw2 E[phi phi'] + sb2,  Theta^{l+1} = K^{l+1} + sw2
 * E[phidot phidot'] Theta^l.
 *
 * @param[in]  spec   activation relu or erf, else NL_ERR_ARG
 * @param[in]  x      [samples x inputs]
 * @param[out] theta  [samples x samples]
 */
NL_MUST_CHECK nl_status nl_infinite_ntk(const nl_net_spec *spec, int samples, const float *x,
                                        double *theta);

#endif
