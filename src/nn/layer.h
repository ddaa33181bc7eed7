/**
 * @file layer.h  What a kind of layer can do.  A new kind: a source that defines its nl_layer_ops,
 * and a line in layer_kinds.c.
 *
 * Samples go one after the other, [rows x height x width x channels], in either precision.
 * (Networks of dense layers alone are trained unit by unit, by functions of dense.h.)
 *
 * A back-signal delta of a layer is d loss / d z, z the layer's output before phi.
 */
#ifndef NTKLENS_NN_LAYER_H
#define NTKLENS_NN_LAYER_H

#include "ntklens/blas.h"
#include "ntklens/passes.h"

/** One layer's pass over some samples.  Arrays in the precision of the pass.  Borrowed. */
typedef struct nl_sample_pass {
    const void *weights, *biases; /* the layer's */
    const void *packed[2];        /* its weights by pack(), for forward and backward */
    int rows;                     /* samples */
    int seeds;                    /* back-signals of each sample */
    bool relu;                    /* forward: of a kind that applies it: z goes through relu */
    const void *relu_below; /* backward, of such a kind: [rows x in] zeros of `below` are where
                               this is not positive, too; NULL: nowhere */
    void *kept;             /* [rows x kept bytes]: what forward leaves for backward */
    void *scratch;
    int vector_bytes; /* nl_vector_bytes() */
} nl_sample_pass;

/** All Local; NULL where there is nothing to be done.  No phi, but relu where the pass says so. */
typedef struct nl_sample_ops {
    /** Weights as forward (back: backward) reads them, [packed elements]. */
    void (*pack)(const nl_layer *layer, const nl_sample_pass *pass, bool back, void *packed);
    /** out [rows x out] = z; plus: the second input. */
    void (*forward)(const nl_layer *layer, const nl_sample_pass *pass, const void *in,
                    const void *plus, void *out);
    /** below [rows x seeds x in] = d loss / d h, h the output of `from` (input 0) or `plus` (1);
     * in: as forward had it, delta [rows x seeds x out]. */
    void (*backward)(const nl_layer *layer, const nl_sample_pass *pass, int input, const void *in,
                     const void *delta, void *below);
    /** weights and biases, laid out as the parameters: d loss / d W and d loss / d b, summed over
     *  rows of one seed each. */
    void (*gradient)(const nl_layer *layer, const nl_sample_pass *pass, const void *in,
                     const void *delta, void *weights, void *biases);
    /** The gradient of each back-signal of one sample, without a sum: weights [fan_in x count],
     * biases [count], zeros where they are not trained.  NULL: dense. */
    void (*rows)(const nl_layer *layer, const nl_sample_pass *pass, const nl_row_range *range,
                 const void *in, const void *delta, void *g);
    /** dz [rows x out] along the direction that changes parameters by those of `change` and inputs
     *  by d_in, d_plus [rows x in] (NULL: not at all). */
    void (*tangent)(const nl_layer *layer, const nl_sample_pass *pass, const nl_sample_pass *change,
                    const void *in, const void *d_in, const void *d_plus, void *out);
} nl_sample_ops;

/** Those of a source that has each function under its name with _double and _single behind. */
#define NL_SAMPLE_OPS(format)                                                                      \
    {                                                                                              \
        .forward = forward_##format, .backward = backward_##format, .gradient = gradient_##format, \
        .rows = rows_##format, .tangent = tangent_##format,                                        \
    }

/** The table of functions of a kind. */
typedef struct nl_layer_ops {
    nl_sample_ops by_sample[2]; /* by nl_precision */
    /** Shape of W as PyTorch has it, and where its k-th weight lies in ours; NULL: no weights. */
    int (*weight_shape)(const nl_layer *layer, size_t shape[nl_most_weight_dimensions]);
    size_t (*place)(const nl_layer *layer, size_t k);
    /** Of one sample.  NULL: none. */
    double (*forward_flops)(const nl_layer *layer);
    /** What forward leaves of so many samples, from double to single precision. */
    void (*narrow)(const nl_layer *layer, int rows, const void *kept, void *narrowed);
    /** Bytes that forward leaves of one sample, and elements of scratch.  NULL: none. */
    size_t (*kept)(const nl_layer *layer, nl_precision precision);
    size_t (*scratch)(const nl_layer *layer);
    /** Elements of packed weights, of either way.  NULL: none. */
    size_t (*packed)(const nl_layer *layer);
    bool applies_relu[2]; /* forward; backward, that of the layer below */
} nl_layer_ops;

#endif
