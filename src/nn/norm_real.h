/**
 * @file norm_real.h  Layer norm in one floating-point format (ntklens/formats.h).
 *
 * Symbols, of one sample of m = positions times channels numbers:
 *   h          what the layer takes;  x = (h - mean) r,  r = 1 / sqrt(variance + epsilon)
 *   g, b       gain and shift of each channel;  z = g x + b
 *   d          g delta: d loss / d x
 * d loss / d h = r (d - <d> - x <d x>), <> the mean over the m numbers; the derivative of x along
 * dh is the same expression with dh for d.
 */

/** Mean of a sample and r. */
typedef struct NAME(moments) {
    real mean, r;
} NAME(moments);

static size_t NAME(size_of)(const nl_layer *layer)
{
    return (size_t)nl_shape_size(layer->in);
}

static NAME(moments) NAME(moments_of)(size_t m, const real *h)
{
    double sum = 0.0;
    double squares = 0.0;
    double mean = 0.0;

    for (size_t k = 0; k < m; k++) {
        sum += (double)h[k];
    }
    mean = sum / (double)m;
    for (size_t k = 0; k < m; k++) {
        const double distance = (double)h[k] - mean;

        squares += distance * distance;
    }
    return (NAME(moments)){.mean = (real)mean,
                           .r = (real)(1.0 / sqrt(squares / (double)m + nl_norm_epsilon))};
}

static void NAME(forward)(const nl_layer *layer, const nl_sample_pass *pass, const void *in,
                          const void *plus, void *out)
{
    const size_t m = NAME(size_of)(layer);
    const size_t channels = (size_t)layer->fan_out;
    const real *g = pass->weights;
    const real *b = pass->biases;
    const real t = (real)layer->bias_scale;

    (void)plus;
    for (int i = 0; i < pass->rows; i++) {
        const real *h = (const real *)in + (size_t)i * m;
        real *z = (real *)out + (size_t)i * m;
        const NAME(moments) of = NAME(moments_of)(m, h);

        ((NAME(moments) *)pass->kept)[i] = of;
        for (size_t p = 0; p < m; p += channels) {
            for (size_t k = 0; k < channels; k++) {
                z[p + k] = g[k] * (h[p + k] - of.mean) * of.r + t * b[k];
            }
        }
    }
}

/* to [m] = r (d - <d> - x <d x>), d given in `to` */
static void NAME(project)(size_t m, NAME(moments) of, const real *h, real *to)
{
    double sum = 0.0;
    double along = 0.0;
    real mean = 0;
    real share = 0;

    for (size_t k = 0; k < m; k++) {
        sum += (double)to[k];
        along += (double)to[k] * (double)((h[k] - of.mean) * of.r);
    }
    mean = (real)(sum / (double)m);
    share = (real)(along / (double)m);
    for (size_t k = 0; k < m; k++) {
        to[k] = of.r * (to[k] - mean - (h[k] - of.mean) * of.r * share);
    }
}

static void NAME(backward)(const nl_layer *layer, const nl_sample_pass *pass, int input,
                           const void *in, const void *delta, void *below)
{
    const size_t m = NAME(size_of)(layer);
    const size_t channels = (size_t)layer->fan_out;
    const real *g = pass->weights;

    (void)input;
    for (size_t row = 0; row < (size_t)pass->rows * (size_t)pass->seeds; row++) {
        const size_t i = row / (size_t)pass->seeds;
        const real *d = (const real *)delta + row * m;
        real *to = (real *)below + row * m;

        for (size_t p = 0; p < m; p += channels) {
            for (size_t k = 0; k < channels; k++) {
                to[p + k] = g[k] * d[p + k];
            }
        }
        NAME(project)(m, ((const NAME(moments) *)pass->kept)[i], (const real *)in + i * m, to);
    }
}

/* Of gain: sum of delta x; of shift: of delta. */
static void NAME(gradient)(const nl_layer *layer, const nl_sample_pass *pass, const void *in,
                           const void *delta, void *weights, void *biases)
{
    const size_t m = NAME(size_of)(layer);
    const size_t channels = (size_t)layer->fan_out;
    const real t = (real)layer->bias_scale;
    real *gain = weights;
    real *shift = biases;

    memset(gain, 0, channels * sizeof *gain);
    memset(shift, 0, channels * sizeof *shift);
    for (int i = 0; i < pass->rows; i++) {
        const NAME(moments) of = ((const NAME(moments) *)pass->kept)[i];
        const real *h = (const real *)in + (size_t)i * m;
        const real *d = (const real *)delta + (size_t)i * m;

        for (size_t p = 0; p < m; p += channels) {
            for (size_t k = 0; k < channels; k++) {
                gain[k] += d[p + k] * (h[p + k] - of.mean) * of.r;
                shift[k] += t * d[p + k];
            }
        }
    }
}

/* Rows of J: of all channels. */
static void NAME(rows)(const nl_layer *layer, const nl_sample_pass *pass, const nl_row_range *range,
                       const void *in, const void *delta, void *g)
{
    const size_t m = NAME(size_of)(layer);
    nl_sample_pass one = *pass;
    real *row = g;

    one.rows = 1;
    for (int a = 0; a < pass->seeds; a++, row += range->apart) {
        NAME(gradient)(layer, &one, in, (const real *)delta + (size_t)a * m, row,
                       row + layer->fan_out);
    }
}

/* dz = g dx + x dg + t db */
static void NAME(tangent)(const nl_layer *layer, const nl_sample_pass *pass,
                          const nl_sample_pass *change, const void *in, const void *d_in,
                          const void *d_plus, void *out)
{
    const size_t m = NAME(size_of)(layer);
    const size_t channels = (size_t)layer->fan_out;
    const real *g = pass->weights;
    const real *dg = change->weights;
    const real *db = change->biases;
    const real t = (real)layer->bias_scale;

    (void)d_plus;
    for (int i = 0; i < pass->rows; i++) {
        const NAME(moments) of = ((const NAME(moments) *)pass->kept)[i];
        const real *h = (const real *)in + (size_t)i * m;
        real *z = (real *)out + (size_t)i * m;

        memcpy(z, (const real *)d_in + (size_t)i * m, m * sizeof *z);
        NAME(project)(m, of, h, z);
        for (size_t p = 0; p < m; p += channels) {
            for (size_t k = 0; k < channels; k++) {
                z[p + k] = g[k] * z[p + k] + dg[k] * (h[p + k] - of.mean) * of.r + t * db[k];
            }
        }
    }
}
