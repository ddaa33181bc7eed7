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

/** Some units, and of each the weights of some inputs. */
typedef struct nl_weight_block {
    int unit, units;   /* first, count */
    int input, inputs; /* first, count */
} nl_weight_block;

/** What a gradient is added to: sum = alpha gradient + beta sum. */
typedef struct nl_weight_sum {
    float *data; /* of the block's first unit and input; units lie `ld` apart */
    int ld;
    double alpha, beta;
} nl_weight_sum;

/** Products of this layer are taken a few units at a time: its weights do not fit into a cache, and
 *  rows are so few that reading them takes longer than multiplying. */
bool nl_dense_by_blocks(const nl_layer *layer, const nl_pass *pass);
enum { nl_block_units = 32, nl_block_inputs = 512, nl_block_rows = 64 /* at most */ };

/** Some units of a layer. */
typedef struct nl_unit_range {
    int first, count;
} nl_unit_range;

/** z = phi(s W h + t b) of some units where the layer activates, else without phi.  z, slope: of
 *  all units.  slope: receives phi'(z) where
 *  it does not follow from phi(z); NULL: it is not wanted. */
void nl_dense_forward(const nl_layer *layer, const nl_pass *pass, nl_unit_range units,
                      nl_activations h, float *z, float *slope);

/** below = d loss / d h of the block's inputs, phi' of the layer below not yet in it.  Of a block
 *  whose first unit is not 0 its units' part is added. */
void nl_dense_backward(const nl_layer *layer, const nl_pass *pass, const nl_weight_block *block,
                       const float *delta, float *below);

/** d loss / d W of a block, summed over rows. */
void nl_dense_weight_gradient(const nl_layer *layer, const nl_pass *pass,
                              const nl_weight_block *block, nl_activations h, const float *delta,
                              nl_weight_sum sum);

/** g [fan_out], summed over rows. */
void nl_dense_bias_gradient(const nl_layer *layer, const nl_pass *pass, const float *delta,
                            float *g);

#endif
