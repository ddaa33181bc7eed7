/** @file dual_parts.h  What a dual is filled from.  All Local. */
#ifndef NTKLENS_LARGE_DUAL_PARTS_H
#define NTKLENS_LARGE_DUAL_PARTS_H

#include "dual_blocks.h"

#include "ntklens/dual.h"

/** One layer's part.  Inputs are the live columns of what it takes: those that vary, then, where
 *  there is one, the one that all constant columns and the bias are merged into. */
typedef struct nl_dual_layer {
    const nl_layer *layer; /* borrowed */
    int inputs, varying;
    int units;
    int *column;     /* owned; [varying] of what the layer takes */
    int *unit;       /* owned; [units] those with back-signals */
    double scale;    /* of varying columns: s, times the root of the weights' rate */
    double bias;     /* t, times the root of the biases' rate */
    double constant; /* the merged column */
    int first;       /* row of G of its first input and unit */
    const float *x;  /* borrowed; the first layer's: [samples x fan_in]; NULL: h */
    void *h;         /* owned; [samples x fan_in] */
    void *delta;     /* owned; [fan_out x samples x outputs]; NULL: the identity */
    double *fixed;   /* owned; [fan_in] values of columns that are constant, else NaN */
} nl_dual_layer;

struct nl_dual {
    nl_dual_blocks *blocks; /* owned; all there is of networks that are no chains of dense layers */
    const nl_net *net;      /* borrowed */
    nl_precision precision;
    bool pieces; /* nl_blas_likes_pieces() */
    int samples;
    int outputs; /* that the kernel has rows of: C, class: 1 */
    int first_output;
    int order;
    int layers;
    nl_dual_layer *layer; /* owned; [layers] */
};

/** Units of a layer that have a part in the kernel, at most: of the output layer its outputs. */
int nl_dual_units(const nl_layer *layer, nl_kernel_spec spec);

#endif
