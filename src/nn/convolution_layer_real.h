/**
 * @file convolution_layer_real.h  Convolutional layers in one floating-point format
 * (ntklens/formats.h).
 *
 * Symbols: h [rows x in], z and delta [rows x out], positions times channels; W
 * [kernel x kernel x in.channels x channels], b [channels].
 */

NL_VECTOR_CLONES
static void NAME(scale)(size_t n, real s, real *restrict v)
{
    for (size_t k = 0; s != 1 && k < n; k++) {
        v[k] *= s;
    }
}

static void NAME(pack)(const nl_layer *layer, const nl_sample_pass *pass, bool back, void *packed)
{
    const nl_convolution c = convolution_of(layer, pass->vector_bytes);

    NAME(nl_convolution_pack)(&c, back ? NL_BACKWARD : NL_FORWARD, pass->weights, packed,
                              pass->scratch);
}

static void NAME(forward)(const nl_layer *layer, const nl_sample_pass *pass, const void *h,
                          const void *plus, void *z)
{
    const nl_convolution c = convolution_of(layer, pass->vector_bytes);
    const nl_convolving job = {.way = NL_FORWARD,
                               .samples = pass->rows,
                               .packed = pass->packed[0],
                               .ending = {.scale = layer->weight_scale,
                                          .shift = layer->bias_scale,
                                          .bias = pass->biases,
                                          .relu = pass->relu},
                               .scratch = pass->scratch};

    (void)plus;
    NAME(nl_convolution_pass)(&c, &job, h, z);
}

static void NAME(backward)(const nl_layer *layer, const nl_sample_pass *pass, int input,
                           const void *in, const void *delta, void *below)
{
    const nl_convolution c = convolution_of(layer, pass->vector_bytes);
    const nl_convolving job = {
        .way = NL_BACKWARD,
        .samples = pass->rows * pass->seeds,
        .packed = pass->packed[1],
        .ending = {.scale = layer->weight_scale, .mask = pass->relu_below, .repeats = pass->seeds},
        .scratch = pass->scratch};

    (void)input;
    (void)in;
    NAME(nl_convolution_pass)(&c, &job, delta, below);
}

static void NAME(gradient)(const nl_layer *layer, const nl_sample_pass *pass, const void *h,
                           const void *delta, void *weights, void *biases)
{
    const nl_convolution c = convolution_of(layer, pass->vector_bytes);
    const nl_gradient_range all = {
        .samples = pass->rows, .deltas = 1, .channels = {.count = layer->fan_out}, .sums = biases};

    NAME(nl_convolution_gradient)(&c, &all, h, delta, weights, pass->scratch);
    NAME(scale)(nl_layer_weights(layer), (real)layer->weight_scale, weights);
    NAME(scale)((size_t)layer->fan_out, (real)layer->bias_scale, biases);
}

/* Rows of J: gradients of each back-signal of one sample, by some channels. */
static void NAME(rows)(const nl_layer *layer, const nl_sample_pass *pass, const nl_row_range *range,
                       const void *h, const void *delta, void *g)
{
    const nl_convolution c = convolution_of(layer, pass->vector_bytes);
    const size_t weights = (size_t)layer->fan_in * (size_t)range->count;
    const nl_gradient_range some = {.samples = 1,
                                    .deltas = pass->seeds,
                                    .channels = {range->first, range->count},
                                    .apart = range->apart,
                                    .sums = (real *)g + weights};
    real *row = g;

    NAME(nl_convolution_gradient)(&c, &some, h, delta, g, pass->scratch);
    for (int a = 0; a < pass->seeds; a++, row += range->apart) {
        NAME(scale)(weights, (real)layer->weight_scale, row);
        NAME(scale)((size_t)range->count, (real)layer->bias_scale, row + weights);
    }
}

/* dz = s (D * h + W * dh) + t c, D and c the changes of W and b */
static void NAME(tangent)(const nl_layer *layer, const nl_sample_pass *pass,
                          const nl_sample_pass *change, const void *h, const void *d_in,
                          const void *d_plus, void *out)
{
    const nl_convolution c = convolution_of(layer, pass->vector_bytes);
    const size_t size = (size_t)nl_shape_size(layer->out);
    real *packed = (real *)pass->scratch + nl_convolution_scratch(&c); /* D */
    real *row = packed + nl_convolution_packed(&c);                    /* of W * dh */
    nl_sample_pass changed = *change;
    nl_convolving job = {.way = NL_FORWARD,
                         .samples = 1,
                         .packed = pass->packed[0],
                         .ending = {.scale = layer->weight_scale},
                         .scratch = pass->scratch};
    real *z = out;

    (void)d_plus;
    NAME(pack)(layer, change, false, packed);
    changed.packed[0] = packed;
    NAME(forward)(layer, &changed, h, NULL, out);
    for (int i = 0; d_in != NULL && i < pass->rows; i++, z += size) {
        NAME(nl_convolution_pass)
        (&c, &job, (const real *)d_in + (size_t)i * (size_t)nl_shape_size(layer->in), row);
        for (size_t k = 0; k < size; k++) {
            z[k] += row[k];
        }
    }
}
