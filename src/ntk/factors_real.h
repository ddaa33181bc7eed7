/**
 * @file factors_real.h  Gradient factors in one floating-point format (ntklens/formats.h).
 *
 * Symbols, of layer l = 1 .. L (net->layer[l - 1]):
 *   W, b   weights [fan_out x fan_in], biases;  s, t: their scales
 *   h      activations: what a layer takes, h^{l-1} [samples x fan_in]
 *   z      z^l = s W h^{l-1} + t b; h^l = phi(z^l); slope = phi'(z^l)
 *   C      outputs; a is one of them
 *   delta  delta^{l,a} = d f_a / d z^l [samples x C x fan_out]
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
    const nl_layer *output = &net->layer[nl_net_output(net)];
    const size_t width = (size_t)output->fan_in;
    const size_t outputs = (size_t)output->fan_out;
    real *delta = f->delta[output->from];
    const real *slope = f->slope[output->from];

    for (size_t i = 0; i < (size_t)f->samples; i++) {
        for (size_t a = 0; a < outputs; a++) {
            for (size_t k = 0; k < width; k++) {
                delta[(i * outputs + a) * width + k] =
                    (real)(output->weight_scale * (double)theta[output->weights + a * width + k]) *
                    slope[i * width + k];
            }
        }
    }
}

/* traced_delta[k] = s_L sqrt(sum_a W_L[a, k]^2) phi'(z_{L-1})[k] */
static void NAME(make_traced_delta)(nl_factors *f, const float *theta)
{
    const nl_layer *output = &f->net->layer[nl_net_output(f->net)];
    const size_t width = (size_t)output->fan_in;
    const real *slope = f->slope[output->from];
    real *traced_delta = f->traced_delta;

    for (size_t k = 0; k < width; k++) {
        double squares = 0.0;
        real length = 0;

        for (size_t a = 0; a < (size_t)output->fan_out; a++) {
            const double w = theta[output->weights + a * width + k];

            squares += w * w;
        }
        length = (real)(output->weight_scale * sqrt(squares));
        for (size_t i = 0; i < (size_t)f->samples; i++) {
            traced_delta[i * width + k] = length * slope[i * width + k];
        }
    }
}

/* delta^l = s_{l+1} (delta^{l+1} W_{l+1}) o phi'(z_l), l being what layer l + 1 takes from. */
static void NAME(step_backward)(nl_factors *f, const float *theta, int next)
{
    const nl_layer *above = &f->net->layer[next];
    const size_t outputs = (size_t)f->net->spec.outputs;
    const size_t width = (size_t)above->fan_in;
    const int rows = f->samples * f->net->spec.outputs;
    const real s = (real)above->weight_scale;
    const real *from = f->delta[next];
    const real *slope = f->slope[above->from];
    real *delta = f->delta[above->from];

    for (int first = 0; first < above->fan_out; first += weight_rows_at_once(above)) {
        int part = nl_smaller(weight_rows_at_once(above), above->fan_out - first);
        const real *w = NAME(weight_rows)(f, above, theta, first, part);

        NAME(nl_gemm)(f->pieces, 'N', above->fan_in, rows, part, s, w, above->fan_in, from + first,
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
    NAME(make_traced_delta)(f, theta);
    for (int l = nl_net_last_hidden(f->net); f->net->layer[l].from >= 0;
         l = f->net->layer[l].from) {
        NAME(step_backward)(f, theta, l);
    }
}

/* z_L, one sample at a time: the output layer is small. */
static void NAME(outputs)(const nl_factors *f, const float *theta, double *z)
{
    const int output = nl_net_output(f->net);
    const nl_layer *layer = &f->net->layer[output];
    const size_t width = (size_t)layer->fan_in;
    const size_t outputs = (size_t)layer->fan_out;
    const real *h = f->activation[output];

    for (size_t i = 0; i < (size_t)f->samples; i++) {
        for (size_t a = 0; a < outputs; a++) {
            const float *w = theta + layer->weights + a * width;
            double sum = 0.0;

            for (size_t k = 0; k < width; k++) {
                sum += (double)w[k] * (double)h[i * width + k];
            }
            z[i * outputs + a] =
                layer->weight_scale * sum + layer->bias_scale * (double)theta[layer->biases + a];
        }
    }
}
