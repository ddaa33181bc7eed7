/**
 * @file layer.h  What a kind of layer can do in training.  A new kind: a source that defines its
 * nl_layer_ops, and a line in layer_kinds.c.
 *
 * Activations and back-signals of `rows` samples lie unit by unit, [units x rows] (activation.h).
 * A back-signal delta of a layer is d loss / d z, z the layer's output before phi.
 */
#ifndef NTKLENS_NN_LAYER_H
#define NTKLENS_NN_LAYER_H

#include "ntklens/nn.h"

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

/** A piece of g = alpha d loss / d W + beta g: slices first .. first + count. */
typedef struct nl_slices {
    int first, count;
    double alpha, beta;
} nl_slices;

/** The table of functions of a kind.  All Local. */
typedef struct nl_layer_ops {
    /** out = phi(z) where the layer activates, else z.  slope: receives phi'(z) where it does not
     *  follow from phi(z); NULL: it is not wanted. */
    void (*forward)(const nl_layer *layer, const nl_pass *pass, nl_activations in, float *out,
                    float *slope);
    /** below = d loss / d in, phi' of the layer below not yet in it. */
    void (*backward)(const nl_layer *layer, const nl_pass *pass, const float *delta, float *below);
    /** Of some slices, summed over rows; g points at the first of them. */
    void (*weight_gradient)(const nl_layer *layer, const nl_pass *pass, const nl_slices *slices,
                            nl_activations in, const float *delta, float *g);
    /** g [fan_out], summed over rows. */
    void (*bias_gradient)(const nl_layer *layer, const nl_pass *pass, const float *delta, float *g);
    /** Weights lie as so many slices of equal size; a slice is the least whose gradient is made
     *  alone (dense: a unit's). */
    int (*slices)(const nl_layer *layer);
    int (*weight_shape)(const nl_layer *layer, size_t shape[nl_most_weight_dimensions]);
    double (*forward_flops)(const nl_layer *layer);
} nl_layer_ops;

#endif
