/**
 * @file dense.c  Fully connected layers: forward, backward, gradient.
 *
 * Shapes, n rows of a batch, column-major as BLAS sees them: h [n x fan_in], z and delta
 * [n x fan_out], W^T [fan_in x fan_out].  s: weight_scale, t: bias_scale.
 */
#include "dense.h"

#include "activation.h"

#include "ntklens/blas.h"

#include <string.h>

/* c = alpha op(a) op(b) + beta c */
static void gemm(const nl_pass *pass, char op_a, char op_b, int m, int n, int k, double alpha,
                 const float *a, int lda, const float *b, int ldb, double beta, float *c, int ldc)
{
    const float alpha_f = (float)alpha;
    const float beta_f = (float)beta;

    if (op_a == 'N') {
        nl_gemm_single(pass->pieces, op_b, m, n, k, alpha_f, a, lda, b, ldb, beta_f, c, ldc);
    } else {
        sgemm_(&op_a, &op_b, &m, &n, &k, &alpha_f, a, &lda, b, &ldb, &beta_f, c, &ldc);
    }
}

bool nl_dense_by_blocks(const nl_layer *layer, const nl_pass *pass)
{
    enum { in_cache = 600000 };

    return pass->pieces && pass->rows <= nl_block_rows &&
           (double)layer->fan_in * layer->fan_out >= in_cache;
}

/* z = s h W^T, then phi(z + t b), or z + t b */
void nl_dense_forward(const nl_layer *layer, const nl_pass *pass, nl_unit_range units,
                      nl_activations h, float *z, float *slope)
{
    const nl_bias bias = {(float)layer->bias_scale, pass->biases + units.first};
    const int rows = pass->rows;
    const int step = nl_dense_by_blocks(layer, pass) ? nl_block_units : units.count;
    const size_t first = (size_t)units.first * (size_t)rows;

    for (int unit = units.first; unit < units.first + units.count; unit += step) {
        gemm(pass, h.op, 'N', rows, nl_smaller(step, units.first + units.count - unit),
             layer->fan_in, layer->weight_scale, h.data, h.ld,
             pass->weights + (size_t)unit * (size_t)layer->fan_in, layer->fan_in, 0.0,
             z + (size_t)unit * (size_t)rows, rows);
    }
    if (layer->activates) {
        nl_activate(pass->activation, units.count, rows, bias, z + first,
                    slope != NULL ? slope + first : NULL);
    } else {
        nl_add_bias(units.count, rows, bias, z + first);
    }
}

/* d loss / d h = s delta W */
void nl_dense_backward(const nl_layer *layer, const nl_pass *pass, const nl_weight_block *block,
                       const float *delta, float *below)
{
    const size_t rows = (size_t)pass->rows;
    const float *weights =
        pass->weights + (size_t)block->unit * (size_t)layer->fan_in + (size_t)block->input;

    gemm(pass, 'N', 'T', pass->rows, block->inputs, block->units, layer->weight_scale,
         delta + (size_t)block->unit * rows, pass->rows, weights, layer->fan_in,
         block->unit > 0 ? 1.0 : 0.0, below + (size_t)block->input * rows, pass->rows);
}

/* d loss / d W = s delta^T h */
void nl_dense_weight_gradient(const nl_layer *layer, const nl_pass *pass,
                              const nl_weight_block *block, nl_activations h, const float *delta,
                              nl_weight_sum sum)
{
    const size_t input = (size_t)block->input;

    gemm(pass, h.op == 'N' ? 'T' : 'N', 'N', block->inputs, block->units, pass->rows,
         sum.alpha * layer->weight_scale, h.data + (h.op == 'N' ? input * (size_t)h.ld : input),
         h.ld, delta + (size_t)block->unit * (size_t)pass->rows, pass->rows, sum.beta, sum.data,
         sum.ld);
}

/* d loss / d b = t delta^T 1 */
void nl_dense_bias_gradient(const nl_layer *layer, const nl_pass *pass, const float *delta,
                            float *g)
{
    nl_unit_sums(layer->fan_out, pass->rows, (float)layer->bias_scale, delta, g);
}

/*---------------------------------------------------------------------------------------------
 * Sample by sample
 *-------------------------------------------------------------------------------------------*/

#define TEMPLATE "nn/dense_real.h"
#include "ntklens/formats.h"

#define OPS(format)                                                                                \
    {                                                                                              \
        .forward = forward_##format, .backward = backward_##format, .gradient = gradient_##format, \
        .tangent = tangent_##format,                                                               \
    }

static int weight_shape(const nl_layer *layer, size_t shape[nl_most_weight_dimensions])
{
    shape[0] = (size_t)layer->fan_out;
    shape[1] = (size_t)layer->fan_in;
    return 2;
}

/* Columns: (channel, row, column) to (row, column, channel). */
static size_t place(const nl_layer *layer, size_t k)
{
    const size_t fan_in = (size_t)layer->fan_in;
    const size_t channels = (size_t)layer->in.channels;
    const size_t positions = fan_in / channels;
    const size_t column = k % fan_in;

    return k - column + column % positions * channels + column / positions;
}

static double forward_flops(const nl_layer *layer)
{
    return 2.0 * layer->fan_in * layer->fan_out;
}

const nl_layer_ops nl_dense_ops = {
    .by_sample = {OPS(double), OPS(single)},
    .weight_shape = weight_shape,
    .place = place,
    .forward_flops = forward_flops,
};
