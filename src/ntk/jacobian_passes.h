/** @file jacobian_passes.h  What products with the Jacobian share: activations, and the steps of a
 * pass.  All Local. */
#ifndef NTKLENS_NTK_JACOBIAN_PASSES_H
#define NTKLENS_NTK_JACOBIAN_PASSES_H

#include "ntklens/jacobian.h"
#include "ntklens/passes.h"

struct nl_jacobian {
    const nl_net *net;  /* borrowed */
    const float *theta; /* borrowed */
    int samples;
    double **activation; /* owned; [layers]: what a layer takes, h^{l-1} [samples x fan_in] */
    double **slope;      /* owned; [layers]: phi'(z_l) [samples x fan_out]; of the output NULL */
    double **gram; /* owned; [layers]: lower half of h h^T [samples x samples]; NULL: not made */
    double *signal[2]; /* owned; [samples x widest]: back-signals of two layers */
    double *pair;      /* owned; [samples x samples] */
    double *piece;     /* owned; weights, or their gradient */
    double *biases;    /* owned; [widest] */
    bool paired;       /* few enough samples for Gram matrices */
    nl_passes *passes; /* owned; networks that are no chains of dense layers: instead of all but
                          piece and biases */
    int batch;         /* samples that go through these at a time */
    const float *x;    /* borrowed; [samples x inputs]; NULL: all went through */
    double *sum;       /* owned; [net->size] J^T v of the batches so far, where there are several */
};

/** Units of a layer whose weights fit into j->piece. */
int nl_jacobian_rows_at_once(const nl_layer *layer);

/** Weights of units first .. first + rows in double, in j->piece. */
double *nl_jacobian_weights(const nl_jacobian *j, const nl_layer *layer, int first, int rows);

/** Back-signals [samples x fan_in] below a layer, from those of the layer: s (d W) o phi'. */
void nl_jacobian_step_backward(nl_jacobian *j, int layer, const double *from, double *to);

/** Lower half of h h^T of a layer's inputs, made once. */
NL_MUST_CHECK nl_status nl_jacobian_make_gram(nl_jacobian *j, int layer);

/** D = or += signal signal^T into j->pair, rows `lead` apart. */
void nl_jacobian_pair_up(const nl_jacobian *j, int width, const double *signal, int lead,
                         double beta);

/** sum_ij u_i u_j D_ij (rate s^2 <h_i, h_j> + rate t^2), D in j->pair; u: NULL: ones. */
double nl_jacobian_pair_sum(const nl_jacobian *j, int layer, const double *u, bool rate_weighted);

#endif
