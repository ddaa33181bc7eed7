/**
 * @file factors.h  Gradient factors: what a network's per-example output gradients are made of.  No
 * MPI.
 *
 * The gradient of output a at sample i with respect to layer l's weights is an outer product,
 *   d f_a(x_i) / d W_l = s_l delta_i^{l,a} (h_i^{l-1})^T,    d f_a(x_i) / d b_l = t_l
 * delta_i^{l,a}, so inner products of gradients need only activations h and back-signals delta,
 * never a Jacobian.
 */
#ifndef NTKLENS_FACTORS_H
#define NTKLENS_FACTORS_H

#include "ntklens/base.h"
#include "ntklens/blas.h"
#include "ntklens/nn.h"

/** Factors of up to `capacity` samples.  Fields are for reading; rows are contiguous. */
typedef struct nl_factors {
    const nl_net *net; /* borrowed; may be gone when they are destroyed */
    int layers;
    nl_precision precision;
    bool pieces; /* nl_blas_likes_pieces() */
    int capacity, samples;
    void **activation;  /* owned; [layers]: what a layer takes, h^{l-1} [samples x fan_in] */
    void **delta;       /* owned; [layers]: delta^l [samples x outputs x fan_out]; of the output
                           layer NULL: delta^L is the identity */
    void **slope;       /* owned; [layers]: phi'(z_l) [samples x fan_out]; of the output NULL */
    void *traced_delta; /* owned; [samples x width]: phi'(z_{L-1}) times the length of each unit's
                           output weights, s_L sqrt(sum_a W_L[a, k]^2); its products are those of
                           the last hidden layer's back-signals, summed over outputs */
    double *scratch;    /* owned; a few rows of weights; NULL: nothing is computed any more */
    double *pass[2];    /* owned; single precision: [samples x widest layer], the forward pass */
} nl_factors;

/** Bytes of the factors of one sample; those of so many, once nl_factors_close() was called, in the
 *  blocks that they take. */
double nl_factors_bytes(const nl_net *net, nl_precision precision);
double nl_factors_closed_bytes(const nl_net *net, nl_precision precision, int samples);

/** Floating-point operations of the factors of one sample: one pass forward, one backward per
 *  output. */
double nl_factors_flops(const nl_net *net);

/** Bytes beside those of the samples. */
double nl_factors_fixed_bytes(const nl_net *net);

NL_MUST_CHECK nl_status nl_factors_create(const nl_net *net, nl_precision precision, int capacity,
                                          nl_factors **out);
void nl_factors_destroy(nl_factors **factors);

/**
 * Forward pass, in double for every precision, and one backward pass per output.  Local.
 *
 * @param[in] theta    [net->size] parameters
 * @param[in] x        [any x inputs] samples as the network sees them
 * @param[in] samples  number of samples, <= capacity
 * @param[in] list     [samples] rows of x to take
 */
void nl_factors_compute(nl_factors *factors, const float *theta, const float *x, int samples,
                        const int *list);

/** Nothing more is computed: let go of what that takes. */
void nl_factors_close(nl_factors *factors);

/** f(x) of the samples whose factors were computed last, with the same theta: outputs
 *  [samples x outputs]. */
void nl_factors_outputs(const nl_factors *factors, const float *theta, double *outputs);

/**
 * Parts of the kernel's diagonal, summed over samples, one for each layer and output a:
 *   weights[l][a] = sum s_l^2 |h^{l-1}|^2 |delta^{l,a}|^2,  biases[l][a] = sum t_l^2
 * |delta^{l,a}|^2, both [layers x outputs]; added to what the arrays hold, so that panels of
 * samples can be summed.
 */
void nl_factors_add_layer_traces(const nl_factors *factors, double *weights, double *biases);

#endif
