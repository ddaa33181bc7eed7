/**
 * @file factors_real.h  Gradient factors in one floating-point format (ntklens/formats.h).
 *
 * Row-major [rows x cols] is column-major [cols x rows]: a product Y = X W^T of row-major matrices
 * is what BLAS sees as Y^T = W X^T.
 */

/* Rows of a layer's weights in `real`: the float weights themselves where that is the format. */
static const real *NAME(weight_rows)(const nl_factors *f, const nl_layer *layer, const float *theta,
                                     int first, int rows)
{
    const void *w = theta + layer->weights + (size_t)first * (size_t)layer->fan_in;

    return f->precision == NL_SINGLE ? w : weight_rows_in_double(f, layer, theta, first, rows);
}

/* h = phi(z), slope = phi'(z), from z in double; where `real` is double, h may be z. */
static void NAME(activate)(nl_activation activation, size_t size, double *z, void *h, void *slope)
{
    real *value = h;
    real *derivative = slope;

    for (size_t k = 0; k < size; k++) {
        const double at = z[k];

        z[k] = nl_activation_value(activation, at);
        value[k] = (real)z[k];
        derivative[k] = (real)nl_activation_slope(activation, at);
    }
}

/* delta^{L-1,a} = s_L W_L[a, :] o phi'(z_{L-1}): the rows of the output weights, no product needed.
 */
static void NAME(start_backward)(nl_factors *f, const float *theta)
{
    const nl_net *net = f->net;
    const nl_layer *output = &net->layer[net->layers - 1];
    const size_t width = (size_t)output->fan_in;
    const size_t outputs = (size_t)output->fan_out;
    real *delta = f->delta[net->layers - 2];
    const real *slope = f->slope[net->layers - 2];

    for (size_t i = 0; i < (size_t)f->samples; i++) {
        for (size_t a = 0; a < outputs; a++) {
            for (size_t k = 0; k < width; k++) {
                delta[(i * outputs + a) * width + k] =
                    (real)(output->s * (double)theta[output->weights + a * width + k]) *
                    slope[i * width + k];
            }
        }
    }
}

/* See nl_factors.joined. */
static void NAME(join_outputs)(nl_factors *f, const float *theta)
{
    const nl_layer *output = &f->net->layer[f->net->layers - 1];
    const size_t width = (size_t)output->fan_in;
    const real *slope = f->slope[f->net->layers - 2];
    real *joined = f->joined;

    for (size_t k = 0; k < width; k++) {
        double squares = 0.0;
        real length = 0;

        for (size_t a = 0; a < (size_t)output->fan_out; a++) {
            const double w = theta[output->weights + a * width + k];

            squares += w * w;
        }
        length = (real)(output->s * sqrt(squares));
        for (size_t i = 0; i < (size_t)f->samples; i++) {
            joined[i * width + k] = length * slope[i * width + k];
        }
    }
}

/* delta^l = s_{l+1} (delta^{l+1} W_{l+1}) o phi'(z_l), for layer index l (0-based) below L - 2 */
static void NAME(step_backward)(nl_factors *f, const float *theta, int l)
{
    const nl_layer *above = &f->net->layer[l + 1];
    const size_t outputs = (size_t)f->net->spec.outputs;
    const size_t width = (size_t)above->fan_in;
    const int rows = f->samples * f->net->spec.outputs;
    const real s = (real)above->s;
    const real *from = f->delta[l + 1];
    const real *slope = f->slope[l];
    real *delta = f->delta[l];

    for (int first = 0; first < above->fan_out; first += weight_rows_at_once(above)) {
        int part = nl_smaller(weight_rows_at_once(above), above->fan_out - first);
        const real *w = NAME(weight_rows)(f, above, theta, first, part);

        NAME(nl_gemm)
        (f->pieces, 'N', above->fan_in, rows, part, s, w, above->fan_in, from + first,
         above->fan_out, first > 0 ? 1 : 0, delta, above->fan_in);
    }
    for (size_t row = 0; row < (size_t)rows; row++) {
        const real *scale = slope + row / outputs * width;

        for (size_t k = 0; k < width; k++) {
            delta[row * width + k] *= scale[k];
        }
    }
}

static void NAME(backward)(nl_factors *f, const float *theta)
{
    NAME(start_backward)(f, theta);
    NAME(join_outputs)(f, theta);
    for (int l = f->net->layers - 3; l >= 0; l--) {
        NAME(step_backward)(f, theta, l);
    }
}

/* z_L, one sample at a time: the output layer is small. */
static void NAME(outputs)(const nl_factors *f, const float *theta, double *z)
{
    const nl_layer *layer = &f->net->layer[f->net->layers - 1];
    const size_t width = (size_t)layer->fan_in;
    const size_t outputs = (size_t)layer->fan_out;
    const real *h = f->activation[f->net->layers - 1];

    for (size_t i = 0; i < (size_t)f->samples; i++) {
        for (size_t a = 0; a < outputs; a++) {
            const float *w = theta + layer->weights + a * width;
            double sum = 0.0;

            for (size_t k = 0; k < width; k++) {
                sum += (double)w[k] * (double)h[i * width + k];
            }
            z[i * outputs + a] = layer->s * sum + layer->t * (double)theta[layer->biases + a];
        }
    }
}
