/**
 * @file pool_layer_real.h  Pools as layers, in one floating-point format (ntklens/formats.h).
 *
 * Symbols: h [rows x in], out [rows x out], positions times channels.
 */

static void NAME(average_pool)(const nl_layer *layer, const nl_sample_pass *pass, const void *h,
                               const void *plus, void *out)
{
    (void)plus;
    NAME(nl_average_pool)(layer->in, layer->kernel, pass->rows, h, out);
}

static void NAME(average_pool_back)(const nl_layer *layer, const nl_sample_pass *pass, int input,
                                    const void *in, const void *delta, void *below)
{
    const size_t in_size = (size_t)nl_shape_size(layer->in);
    const size_t out_size = (size_t)nl_shape_size(layer->out);
    const size_t seeds = (size_t)pass->seeds;

    (void)input;
    (void)in;
    if (pass->relu_below == NULL) {
        NAME(nl_average_pool_back)(layer->in, layer->kernel, pass->rows * pass->seeds, delta,
                                   below);
        return;
    }
    for (size_t i = 0; i < (size_t)pass->rows; i++) {
        NAME(nl_average_pool_back_relu)
        (layer->in, layer->kernel, pass->seeds, (const real *)pass->relu_below + i * in_size,
         (const real *)delta + i * seeds * out_size, (real *)below + i * seeds * in_size);
    }
}

static void NAME(average_pool_tangent)(const nl_layer *layer, const nl_sample_pass *pass,
                                       const nl_sample_pass *change, const void *h,
                                       const void *d_in, const void *d_plus, void *out)
{
    (void)change;
    (void)h;
    NAME(average_pool)(layer, pass, d_in, d_plus, out);
}

static void NAME(max_pool)(const nl_layer *layer, const nl_sample_pass *pass, const void *h,
                           const void *plus, void *out)
{
    (void)plus;
    NAME(nl_max_pool)(layer->in, layer->kernel, pass->rows, h, out, pass->kept);
}

/* Each sample's back-signals go to the same winners. */
static void NAME(max_pool_back)(const nl_layer *layer, const nl_sample_pass *pass, int input,
                                const void *in, const void *delta, void *below)
{
    const size_t in_size = (size_t)nl_shape_size(layer->in);
    const size_t out_size = (size_t)nl_shape_size(layer->out);

    (void)input;
    (void)in;
    for (size_t row = 0; row < (size_t)pass->rows * (size_t)pass->seeds; row++) {
        const uint8_t *winner = (const uint8_t *)pass->kept + row / (size_t)pass->seeds * out_size;

        NAME(nl_max_pool_back)(layer->in, layer->kernel, 1, winner,
                               (const real *)delta + row * out_size, (real *)below + row * in_size);
    }
}

/* What changes at the winners. */
static void NAME(max_pool_tangent)(const nl_layer *layer, const nl_sample_pass *pass,
                                   const nl_sample_pass *change, const void *h, const void *d_in,
                                   const void *d_plus, void *out)
{
    const uint8_t *winner = pass->kept;
    const real *d = d_in;
    real *to = out;
    const int side = layer->kernel;
    const int c = layer->out.channels;

    (void)change;
    (void)h;
    (void)d_plus;
    for (int i = 0; i < pass->rows; i++, d += nl_shape_size(layer->in)) {
        for (int y = 0; y < layer->out.height; y++) {
            for (int x = 0; x < layer->out.width; x++) {
                for (int k = 0; k < c; k++, winner++, to++) {
                    const int row = y * side + *winner / side;
                    const int column = x * side + *winner % side;

                    *to = d[(size_t)(row * layer->in.width + column) * (size_t)c + (size_t)k];
                }
            }
        }
    }
}

static void NAME(global_average)(const nl_layer *layer, const nl_sample_pass *pass, const void *in,
                                 const void *plus, void *out)
{
    const size_t c = (size_t)layer->in.channels;
    const size_t positions = (size_t)layer->in.height * (size_t)layer->in.width;
    const real share = (real)(1.0 / (double)positions);
    const real *h = in;
    real *mean = out;

    (void)plus;
    for (int i = 0; i < pass->rows; i++, mean += c) {
        memset(mean, 0, c * sizeof *mean);
        for (size_t p = 0; p < positions; p++, h += c) {
            for (size_t k = 0; k < c; k++) {
                mean[k] += h[k];
            }
        }
        for (size_t k = 0; k < c; k++) {
            mean[k] *= share;
        }
    }
}

static void NAME(global_average_back)(const nl_layer *layer, const nl_sample_pass *pass, int input,
                                      const void *in, const void *delta, void *below)
{
    const size_t c = (size_t)layer->in.channels;
    const size_t positions = (size_t)layer->in.height * (size_t)layer->in.width;
    const real share = (real)(1.0 / (double)positions);
    const real *d = delta;
    real *to = below;

    (void)input;
    (void)in;
    for (int row = 0; row < pass->rows * pass->seeds; row++, d += c) {
        for (size_t p = 0; p < positions; p++, to += c) {
            for (size_t k = 0; k < c; k++) {
                to[k] = share * d[k];
            }
        }
    }
}

static void NAME(global_average_tangent)(const nl_layer *layer, const nl_sample_pass *pass,
                                         const nl_sample_pass *change, const void *h,
                                         const void *d_in, const void *d_plus, void *out)
{
    (void)change;
    (void)h;
    NAME(global_average)(layer, pass, d_in, d_plus, out);
}
