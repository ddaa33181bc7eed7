/** @file mlp.h  A slow, plain float64 network: what the fast code is tested against.
 *
 * Shares with the program the layout of the parameters and the multipliers of nl_net, nothing
 * else: its own activations, its own loops, no BLAS.  For tests, so it ends the process where
 * memory runs out. */
#ifndef NTKLENS_TESTS_REFERENCE_MLP_H
#define NTKLENS_TESTS_REFERENCE_MLP_H

#include "ntklens/nn.h"

double reference_phi(nl_activation activation, double z);

/** Logits of one sample: theta [net->size], x [inputs], f [outputs]. */
void reference_forward(const nl_net *net, const double *theta, const double *x, double *f);

/** Smallest |z| of a hidden unit at x: how far relu is from its kink, where differences mislead. */
double reference_margin(const nl_net *net, const double *theta, const double *x);

/** Explicit Jacobian of one sample: jacobian [outputs x net->size], d f_a / d theta_k, one backward
 *  pass an output; zero for parameters that are not trained. */
void reference_jacobian(const nl_net *net, const double *theta, const double *x, double *jacobian);

/** Loss of one sample from its logits (mse: mean over classes). */
double reference_loss(nl_loss loss, int outputs, const double *f, int label);

/** Gradient of the mean loss over rows samples, from explicit Jacobians: x [rows x inputs],
 *  gradient [net->size]; returns the mean loss. */
double reference_gradient(const nl_net *net, nl_loss loss, int rows, const double *theta,
                          const double *x, const int *labels, double *gradient);

#endif
