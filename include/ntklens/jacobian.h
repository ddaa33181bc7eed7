/**
 * @file jacobian.h  The Jacobian of a network's outputs by its parameters, as an operator.  No MPI.
 *
 * J [samples * outputs x net->size]: row i*C + a is the gradient of output a at sample i; columns
 * are parameters, layer by layer.  It is never formed.  All in double, from forward and backward
 * passes of its own: neither gradient factors nor a kernel have a part in it, so that they can be
 * held against it.
 */
#ifndef NTKLENS_JACOBIAN_H
#define NTKLENS_JACOBIAN_H

#include "ntklens/factors.h"

/** Opaque.  Holds activations and slopes of its samples. */
typedef struct nl_jacobian nl_jacobian;

/** Bytes of one sample, and beside samples. */
double nl_jacobian_bytes(const nl_net *net);
double nl_jacobian_fixed_bytes(const nl_net *net, int samples);

/**
 * A forward pass.  Local.
 *
 * @param[in]  net, theta  borrowed
 * @param[in]  x           [samples x inputs]
 * @param[out] out         NULL on failure
 */
NL_MUST_CHECK nl_status nl_jacobian_create(const nl_net *net, const float *theta, const float *x,
                                           int samples, nl_jacobian **out);
void nl_jacobian_destroy(nl_jacobian **jacobian);

/** One for a few products J^T v and no others: of networks that are no chains of dense layers
 *  samples go through a few at a time, forward anew for each product.  x is borrowed. */
NL_MUST_CHECK nl_status nl_jacobian_create_lean(const nl_net *net, const float *theta,
                                                const float *x, int samples, nl_jacobian **out);

/** Its bytes. */
double nl_jacobian_lean_bytes(const nl_net *net, int samples);

/** A piece of J^T v: of layer `layer` (from 0) the units first .. first + rows: weights [rows x
 * fan_in], biases [rows], zeros where they are not trained.  Of networks that are no chains of
 * dense layers a piece is a whole layer, its weights in the order of the parameters.  May change
 * them. */
typedef nl_status nl_jacobian_piece_fn(int layer, int first, int rows, double *weights,
                                       double *biases, void *context);

/**
 * J^T v: one backward pass with contracted seeds; pieces go to `take`, in the same order for any
 * number of samples.  Local.
 *
 * @param[in] v  [samples x outputs]
 */
NL_MUST_CHECK nl_status nl_jacobian_transposed(nl_jacobian *jacobian, const double *v,
                                               nl_jacobian_piece_fn *take, void *context);

/**
 * J w: one forward pass of the outputs' derivatives along w.  Local.
 *
 * @param[in]  w    [net->size] laid out as the parameters
 * @param[out] out  [samples x outputs]
 */
void nl_jacobian_product(nl_jacobian *jacobian, const double *w, double *out);

/** |J^T v|^2 in the making, of the pieces that came so far. */
typedef struct nl_jacobian_norm {
    const nl_net *net;  /* borrowed */
    bool rate_weighted; /* each layer's part times its learning rate over the base rate */
    double square;
} nl_jacobian_norm;

/** Adds a piece; context: an nl_jacobian_norm. */
nl_jacobian_piece_fn nl_jacobian_add_squares;

/** |J^T v|^2, rate-weighted: each layer's part times its learning rate over the base rate.  Up to
 * some hundred samples by way of samples x samples matrices, without J^T v.  Local. */
NL_MUST_CHECK nl_status nl_jacobian_square(nl_jacobian *jacobian, const double *v,
                                           bool rate_weighted, double *square);

/**
 * The mean over outputs a of |J_a^T u|^2, J_a the rows of output a: u^T Theta u of the traced
 * kernel. Back-signals of layers below the last hidden one are taken from `factors` where there are
 * any, after a random contraction of each sample's was found to be that of this Jacobian.  Local.
 *
 * @param[in]  u         [samples]
 * @param[in]  factors   of all samples in their order, or of more; NULL: they are computed
 * @param[out] mismatch  largest deviation of those contractions, over the length of a sample's
 *                       back-signals of all outputs: what cancels with these signs does not count
 */
NL_MUST_CHECK nl_status nl_jacobian_traced_square(nl_jacobian *jacobian, const double *u,
                                                  const nl_factors *factors, bool rate_weighted,
                                                  double *square, double *mismatch);

#endif
