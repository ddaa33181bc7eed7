/**
 * @file dense_real.h  Fully connected layers sample by sample, in one floating-point format
 * (ntklens/formats.h).
 *
 * Symbols: h [rows x fan_in] what the layer takes, W [fan_out x fan_in], b [fan_out], z and delta
 * [rows x fan_out], all row-major, which BLAS sees as their transposes.
 */

/* z = s W h + t b */
static void NAME(forward)(const nl_layer *layer, const nl_sample_pass *pass, const void *h,
                          const void *plus, void *out)
{
    const real s = (real)layer->weight_scale;
    const real t = (real)layer->bias_scale;
    const real zero = 0;
    const real *b = pass->biases;
    real *z = out;

    (void)plus;
    BLAS(gemm)("T", "N", &layer->fan_out, &pass->rows, &layer->fan_in, &s, pass->weights,
               &layer->fan_in, h, &layer->fan_in, &zero, z, &layer->fan_out);
    for (int i = 0; i < pass->rows; i++, z += layer->fan_out) {
        for (int k = 0; k < layer->fan_out; k++) {
            z[k] += t * b[k];
        }
    }
}

/* d loss / d h = s delta W */
static void NAME(backward)(const nl_layer *layer, const nl_sample_pass *pass, int input,
                           const void *in, const void *delta, void *below)
{
    const real s = (real)layer->weight_scale;
    const real zero = 0;
    const int rows = pass->rows * pass->seeds;

    (void)input;
    (void)in;
    BLAS(gemm)("N", "N", &layer->fan_in, &rows, &layer->fan_out, &s, pass->weights, &layer->fan_in,
               delta, &layer->fan_out, &zero, below, &layer->fan_in);
}

/* d loss / d W = s delta^T h, d loss / d b = t delta^T 1 */
static void NAME(gradient)(const nl_layer *layer, const nl_sample_pass *pass, const void *h,
                           const void *delta, void *weights, void *biases)
{
    const real s = (real)layer->weight_scale;
    const real t = (real)layer->bias_scale;
    const real zero = 0;
    const real *d = delta;
    real *gb = biases;

    BLAS(gemm)("N", "T", &layer->fan_in, &layer->fan_out, &pass->rows, &s, h, &layer->fan_in, delta,
               &layer->fan_out, &zero, weights, &layer->fan_in);
    memset(gb, 0, (size_t)layer->fan_out * sizeof *gb);
    for (int i = 0; i < pass->rows; i++, d += layer->fan_out) {
        for (int k = 0; k < layer->fan_out; k++) {
            gb[k] += t * d[k];
        }
    }
}

/* dz = s (D h + W dh) + t c, D and c the changes of W and b */
static void NAME(tangent)(const nl_layer *layer, const nl_sample_pass *pass,
                          const nl_sample_pass *change, const void *h, const void *d_in,
                          const void *d_plus, void *out)
{
    const real s = (real)layer->weight_scale;
    const real one = 1;

    (void)d_plus;
    NAME(forward)(layer, change, h, NULL, out);
    if (d_in != NULL) {
        BLAS(gemm)("T", "N", &layer->fan_out, &pass->rows, &layer->fan_in, &s, pass->weights,
                   &layer->fan_in, d_in, &layer->fan_in, &one, out, &layer->fan_out);
    }
}
