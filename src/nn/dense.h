/**
 * @file dense.h  Fully connected layers: their table, and how they are trained where a network has
 * no others.
 *
 * Activations and back-signals of `rows` samples lie unit by unit there, [units x rows]
 * (activation.h).
 */
#ifndef NTKLENS_NN_DENSE_H
#define NTKLENS_NN_DENSE_H

#include "layer.h"

extern const nl_layer_ops nl_dense_ops;

/** Activations as BLAS takes them: op(data) is [rows x units], column-major.  Borrowed. */
typedef struct nl_activations {
    const float *data;
    char op; /* 'N': unit by unit; 'T': row by row, as the samples come */
    int ld;
} nl_activations;

/** One layer's pass over a batch.  Borrowed. */
typedef struct nl_pass {
    const float *weights, *biases; /* the layer's */
    nl_activation activation;
    int rows;
    bool pieces; /* nl_blas_likes_pieces() */
} nl_pass;

/** A piece of g = alpha d loss / d W + beta g: units first .. first + count. */
typedef struct nl_unit_range {
    int first, count;
    double alpha, beta;
} nl_unit_range;

/** z = phi(s W h + t b) where the layer activates, else without phi.  slope: receives phi'(z) where
 *  it does not follow from phi(z); NULL: it is not wanted. */
void nl_dense_forward(const nl_layer *layer, const nl_pass *pass, nl_activations h, float *z,
                      float *slope);

/** below = d loss / d h, phi' of the layer below not yet in it. */
void nl_dense_backward(const nl_layer *layer, const nl_pass *pass, const float *delta,
                       float *below);

/** Of some units, summed over rows; g points at the first of them. */
void nl_dense_weight_gradient(const nl_layer *layer, const nl_pass *pass,
                              const nl_unit_range *units, nl_activations h, const float *delta,
                              float *g);

/** g [fan_out], summed over rows. */
void nl_dense_bias_gradient(const nl_layer *layer, const nl_pass *pass, const float *delta,
                            float *g);

#endif
