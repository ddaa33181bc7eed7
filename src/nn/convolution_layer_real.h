/**
 * @file convolution_layer_real.h  Convolutional layers in one floating-point format
 * (ntklens/formats.h).
 *
 * Symbols: h [rows x in], z and delta [rows x out], positions times channels; W
 * [kernel x kernel x in.channels x channels], b [channels].
 */

/* z [pixels x channels] = s z + t b */
NL_VECTOR_CLONES
static void NAME(scale_and_shift)(size_t pixels, size_t channels, real s, real t,
                                  const real *restrict b, real *restrict z)
{
    for (size_t p = 0; p < pixels; p++, z += channels) {
        for (size_t k = 0; k < channels; k++) {
            z[k] = s * z[k] + t * b[k];
        }
    }
}

NL_VECTOR_CLONES
static void NAME(scale)(size_t n, real s, real *restrict v)
{
    for (size_t k = 0; s != 1 && k < n; k++) {
        v[k] *= s;
    }
}

static void NAME(forward)(const nl_layer *layer, const nl_sample_pass *pass, const void *h,
                          const void *plus, void *z)
{
    const nl_convolution c = convolution_of(layer, pass->vector_bytes);
    const size_t pixels = (size_t)pass->rows * positions_of(layer);

    (void)plus;
    NAME(nl_convolution_forward)(&c, pass->rows, pass->weights, h, z, pass->scratch);
    if (layer->weight_scale != 1.0 || layer->bias_scale != 0.0) {
        NAME(scale_and_shift)(pixels, (size_t)layer->fan_out, (real)layer->weight_scale,
                              (real)layer->bias_scale, pass->biases, z);
    }
}

static void NAME(backward)(const nl_layer *layer, const nl_sample_pass *pass, int input,
                           const void *in, const void *delta, void *below)
{
    const nl_convolution c = convolution_of(layer, pass->vector_bytes);
    const int rows = pass->rows * pass->seeds;

    (void)input;
    (void)in;
    NAME(nl_convolution_backward)(&c, rows, pass->weights, delta, below, pass->scratch);
    NAME(scale)((size_t)rows * (size_t)nl_shape_size(layer->in), (real)layer->weight_scale, below);
}

/* g [count] += sum of channels of delta [pixels x channels] */
NL_VECTOR_CLONES
static void NAME(add_channels)(size_t pixels, size_t channels, size_t count,
                               const real *restrict delta, real *restrict g)
{
    for (size_t p = 0; p < pixels; p++, delta += channels) {
        for (size_t k = 0; k < count; k++) {
            g[k] += delta[k];
        }
    }
}

/* d loss / d b of some channels: t times the sum of delta [pixels x channels] over pixels. */
static void NAME(bias_gradient)(size_t pixels, const nl_layer *layer, int first, int count,
                                const real *delta, real *g)
{
    memset(g, 0, (size_t)count * sizeof *g);
    NAME(add_channels)(pixels, (size_t)layer->fan_out, (size_t)count, delta + first, g);
    NAME(scale)((size_t)count, (real)layer->bias_scale, g);
}

static void NAME(gradient)(const nl_layer *layer, const nl_sample_pass *pass, const void *h,
                           const void *delta, void *weights, void *biases)
{
    const nl_convolution c = convolution_of(layer, pass->vector_bytes);
    const nl_gradient_range all = {
        .samples = pass->rows, .deltas = 1, .channels = {.count = layer->fan_out}};
    const size_t pixels = (size_t)pass->rows * positions_of(layer);

    NAME(nl_convolution_gradient)(&c, &all, h, delta, weights, pass->scratch);
    NAME(scale)(nl_layer_weights(layer), (real)layer->weight_scale, weights);
    NAME(bias_gradient)(pixels, layer, 0, layer->fan_out, delta, biases);
}

/* Rows of J: gradients of each back-signal of one sample, by some channels. */
static void NAME(rows)(const nl_layer *layer, const nl_sample_pass *pass, const nl_row_range *range,
                       const void *h, const void *delta, void *g)
{
    const nl_convolution c = convolution_of(layer, pass->vector_bytes);
    const nl_gradient_range some = {.samples = 1,
                                    .deltas = pass->seeds,
                                    .channels = {range->first, range->count},
                                    .apart = range->apart};
    const size_t weights = (size_t)layer->fan_in * (size_t)range->count;
    const size_t size = (size_t)nl_shape_size(layer->out);
    real *row = g;

    NAME(nl_convolution_gradient)(&c, &some, h, delta, g, pass->scratch);
    for (int a = 0; a < pass->seeds; a++, row += range->apart) {
        NAME(scale)(weights, (real)layer->weight_scale, row);
        NAME(bias_gradient)(positions_of(layer), layer, range->first, range->count,
                            (const real *)delta + (size_t)a * size, row + weights);
    }
}

/* dz = s (D * h + W * dh) + t c, D and c the changes of W and b */
static void NAME(tangent)(const nl_layer *layer, const nl_sample_pass *pass,
                          const nl_sample_pass *change, const void *h, const void *d_in,
                          const void *d_plus, void *out)
{
    const nl_convolution c = convolution_of(layer, pass->vector_bytes);
    const size_t size = (size_t)nl_shape_size(layer->out);
    real *row = (real *)pass->scratch + nl_convolution_scratch(&c); /* of W * dh */
    real *z = out;

    (void)d_plus;
    NAME(forward)(layer, change, h, NULL, out);
    for (int i = 0; d_in != NULL && i < pass->rows; i++, z += size) {
        NAME(nl_convolution_forward)(
            &c, 1, pass->weights, (const real *)d_in + (size_t)i * (size_t)nl_shape_size(layer->in),
            row, pass->scratch);
        for (size_t k = 0; k < size; k++) {
            z[k] += (real)layer->weight_scale * row[k];
        }
    }
}
