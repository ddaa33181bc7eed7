/**
 * @file chunk_gradients_real.h  Gradients of samples in one floating-point format
 * (ntklens/formats.h).
 *
 * Symbols: A rows of J by a chunk's parameters, [samples x seeds x columns]; M, u as in joined.h;
 * h activations, delta back-signals of a dense layer.
 */

/* v [n] *= scale */
static void NAME(scale)(size_t n, double scale, real *v)
{
    for (size_t k = 0; scale != 1.0 && k < n; k++) {
        v[k] *= (real)scale;
    }
}

/* Gradients of sample `at` of the batch, weighted with the roots of the learning rates where they
 * count. */
static void NAME(make_rows)(nl_chunk_gradients *g, const nl_chunk *chunk, int at,
                            const nl_row_range *range, const real *delta, real *rows)
{
    const nl_layer *layer = &g->net->layer[chunk->layer];
    const size_t weights = (size_t)layer->fan_in * (size_t)chunk->units;

    nl_passes_rows(g->by_output.passes, chunk->layer, at, range, delta, rows);
    for (int a = 0; g->rate_weighted && a < range->deltas; a++) {
        real *row = rows + (size_t)a * chunk->columns;

        NAME(scale)(weights, sqrt(layer->weight_rate), row);
        NAME(scale)(chunk->columns - weights, sqrt(layer->bias_rate), row + weights);
    }
}

static void NAME(store_rows)(nl_chunk_gradients *g, const nl_chunk *chunk, int at,
                             const real *delta, real *to)
{
    const nl_row_range range = {
        .deltas = g->seeds, .first = chunk->first, .count = chunk->units, .apart = chunk->columns};

    NAME(make_rows)(g, chunk, at, &range, delta, to);
}

/* M, unit by unit, each with its bias behind; and u [units x seeds] from back-signals of the
 * average [seeds x channels]. */
static void NAME(store_joined)(nl_chunk_gradients *g, const nl_chunk *chunk, int at,
                               const real *delta, real *to, real *u)
{
    const nl_net *net = g->net;
    const nl_layer *layer = &net->layer[chunk->layer];
    const size_t K = (size_t)layer->fan_in;
    const size_t units = (size_t)chunk->units;
    const size_t channels = (size_t)layer->fan_out;
    const real share = (real)(1.0 / ((double)layer->out.height * layer->out.width));
    real *row = g->row;
    real *mask = g->rounded;
    const nl_row_range range = {.deltas = 1, .first = chunk->first, .count = chunk->units};

    nl_joined_mask(g->by_output.passes, net, chunk->layer, at, g->mask);
    for (size_t k = 0; k < (size_t)nl_shape_size(layer->out); k++) {
        mask[k] = (real)g->mask[k];
    }
    NAME(make_rows)(g, chunk, at, &range, mask, row);
    for (size_t o = 0; o < units; o++) {
        for (size_t q = 0; q < K; q++) {
            to[o * (K + 1) + q] = row[q * units + o];
        }
        to[o * (K + 1) + K] = row[K * units + o];
        for (size_t a = 0; a < (size_t)g->seeds; a++) {
            u[o * (size_t)g->seeds + a] = share * delta[a * channels + (size_t)chunk->first + o];
        }
    }
}

/* Of sample `at` of the batch, to where it is among the rows or columns. */
static void NAME(store_sample)(nl_chunk_gradients *g, nl_chunk *chunk, int side, int at,
                               const real *delta)
{
    const nl_layer *layer = &g->net->layer[chunk->layer];
    const size_t place = (size_t)g->place[side][g->first + at];
    const real *in = nl_passes_input(g->by_output.passes, chunk->layer);
    real *to = (real *)chunk->in[side] + place * chunk->in_size;
    real *of_delta = (real *)chunk->delta[side] + place * chunk->delta_size;

    switch (chunk->way) {
    case NL_WAY_ROWS:
        NAME(store_rows)(g, chunk, at, delta, to);
        break;
    case NL_WAY_JOINED:
        NAME(store_joined)(g, chunk, at, delta, to, of_delta);
        break;
    case NL_WAY_GRAM:
    default:
        memcpy(to, in + (size_t)at * (size_t)nl_shape_size(layer->in), chunk->in_size * sizeof *to);
        memcpy(of_delta, delta, chunk->delta_size * sizeof *to);
        break;
    }
}

/* What a chunk needs of the batch that went through. */
static void NAME(store)(nl_chunk_gradients *g, nl_chunk *chunk, const real *delta)
{
    const nl_layer *layer = &g->net->layer[chunk->lowest];
    const size_t signals = (size_t)g->seeds * (size_t)nl_shape_size(layer->out);
    const int rows = nl_smaller(g->by_output.batch, g->count - g->first);

    for (int at = 0; at < rows; at++) {
        for (int side = 0; side < (g->square ? 1 : 2); side++) {
            if (g->place[side][g->first + at] >= 0) {
                NAME(store_sample)(g, chunk, side, at, delta + (size_t)at * signals);
            }
        }
    }
}

/*---------------------------------------------------------------------------------------------
 * Squares of gradients
 *-------------------------------------------------------------------------------------------*/

/* (s^2 |h|^2 + t^2) |delta^a|^2; of the output layer delta^a is 1 at a. */
static void NAME(square_dense)(const nl_chunk_gradients *g, const nl_chunk *chunk, size_t sample,
                               double *weights, double *biases)
{
    const nl_layer *layer = &g->net->layer[chunk->layer];
    const size_t out = (size_t)layer->fan_out;
    const real *h = (const real *)chunk->in[0] + sample * chunk->in_size;
    const real *delta = (const real *)chunk->delta[0] + sample * chunk->delta_size;
    const double h2 = NAME(nl_squares)((size_t)layer->fan_in, h);

    for (size_t a = 0; a < (size_t)g->seeds; a++) {
        const double d2 = chunk->delta_size > 0 ? NAME(nl_squares)(out, delta + a * out) : 1.0;

        weights[a] += layer->weight_scale * layer->weight_scale * h2 * d2;
        biases[a] += layer->bias_scale * layer->bias_scale * d2;
    }
}

static void NAME(square_rows)(const nl_chunk_gradients *g, const nl_chunk *chunk, size_t sample,
                              double *weights, double *biases)
{
    const size_t units = (size_t)chunk->units;
    const size_t of_weights = chunk->columns - units;
    const real *row = (const real *)chunk->in[0] + sample * chunk->in_size;

    for (size_t a = 0; a < (size_t)g->seeds; a++, row += chunk->columns) {
        weights[a] += NAME(nl_squares)(of_weights, row);
        biases[a] += NAME(nl_squares)(units, row + of_weights);
    }
}

/* sum_o u^a[o]^2 |M[:, o]|^2 */
static void NAME(square_joined)(const nl_chunk_gradients *g, const nl_chunk *chunk, size_t sample,
                                double *weights, double *biases)
{
    const size_t K = chunk->columns / (size_t)chunk->units - 1; /* and a bias */
    const size_t C = (size_t)g->seeds;
    const real *M = (const real *)chunk->in[0] + sample * chunk->in_size;
    const real *u = (const real *)chunk->delta[0] + sample * chunk->delta_size;

    for (size_t o = 0; o < (size_t)chunk->units; o++, M += K + 1, u += C) {
        const double squares = NAME(nl_squares)(K, M);
        const double bias = (double)M[K];

        for (size_t a = 0; a < C; a++) {
            const double u2 = (double)u[a] * (double)u[a];

            weights[a] += u2 * squares;
            biases[a] += u2 * bias * bias;
        }
    }
}

/* Of all samples, by outputs. */
static void NAME(add_squares)(const nl_chunk_gradients *g, const nl_chunk *chunk, double *weights,
                              double *biases)
{
    for (size_t sample = 0; sample < (size_t)g->count; sample++) {
        switch (chunk->way) {
        case NL_WAY_ROWS:
            NAME(square_rows)(g, chunk, sample, weights, biases);
            break;
        case NL_WAY_JOINED:
            NAME(square_joined)(g, chunk, sample, weights, biases);
            break;
        case NL_WAY_GRAM:
        default:
            NAME(square_dense)(g, chunk, sample, weights, biases);
            break;
        }
    }
}

/*---------------------------------------------------------------------------------------------
 * Squares of their sums
 *-------------------------------------------------------------------------------------------*/

/* to [n] += u v and whole [n] += w v */
NL_VECTOR_CLONES
static void NAME(add_to_both)(size_t n, const real *restrict v, double u, double *restrict to,
                              double w, double *restrict whole)
{
    for (size_t k = 0; k < n; k++) {
        to[k] += u * (double)v[k];
        whole[k] += w * (double)v[k];
    }
}

/* by_output [seeds x columns], whole [columns] */
static void NAME(sum_rows)(const nl_chunk_gradients *g, const gradient_sums *sums,
                           double *by_output, double *whole)
{
    const size_t C = (size_t)g->seeds;
    const size_t columns = sums->chunk->columns;
    const real *row = sums->chunk->in[0];

    for (size_t i = 0; i < (size_t)g->count; i++) {
        for (size_t a = 0; a < C; a++, row += columns) {
            NAME(add_to_both)
            (columns, row, sums->u[i], by_output + a * columns, sums->w[i * C + a], whole);
        }
    }
}

/* The same of u^a[o] M[:, o]. */
static void NAME(sum_joined)(const nl_chunk_gradients *g, const gradient_sums *sums,
                             double *by_output, double *whole)
{
    const nl_chunk *chunk = sums->chunk;
    const size_t C = (size_t)g->seeds;
    const size_t units = (size_t)chunk->units;
    const size_t parameters = chunk->columns / units;

    for (size_t i = 0; i < (size_t)g->count; i++) {
        const real *M = (const real *)chunk->in[0] + i * chunk->in_size;
        const real *of_average = (const real *)chunk->delta[0] + i * chunk->delta_size;

        for (size_t o = 0; o < units; o++) {
            for (size_t a = 0; a < C; a++) {
                const double u = (double)of_average[o * C + a];

                NAME(add_to_both)
                (parameters, M + o * parameters, u * sums->u[i],
                 by_output + a * chunk->columns + o * parameters, u * sums->w[i * C + a],
                 whole + o * parameters);
            }
        }
    }
}

/* |s sum_i d_i h_i^T|^2 + |t sum_i d_i|^2 of a dense layer, d_i = sum_a w_i^a delta_i^a of the
 * outputs first .. end; apart: weights of a sample.  At scratch are the h_i. */
static double NAME(square_of_signals)(const nl_chunk_gradients *g, const gradient_sums *sums,
                                      int first, int end, const double *w, int apart)
{
    const nl_chunk *chunk = sums->chunk;
    const nl_layer *layer = &g->net->layer[chunk->layer];
    const size_t out = (size_t)layer->fan_out;
    const size_t of_h = (size_t)g->count * (size_t)layer->fan_in;
    double *signal = sums->scratch + of_h;
    double *gradient = signal + (size_t)g->count * out;
    const double one = 1.0;
    const double zero = 0.0;
    double biases = 0.0;

    memset(signal, 0, (size_t)g->count * out * sizeof *signal);
    for (size_t i = 0; i < (size_t)g->count; i++) {
        const real *delta = (const real *)chunk->delta[0] + i * chunk->delta_size;

        for (int a = first; a < end; a++) {
            const double weight = w[i * (size_t)apart + (size_t)(apart > 1 ? a : 0)];

            for (size_t k = 0; chunk->delta_size > 0 && k < out; k++) {
                signal[i * out + k] += weight * (double)delta[(size_t)a * out + k];
            }
            signal[i * out + (size_t)a] += chunk->delta_size > 0 ? 0.0 : weight;
        }
    }
    dgemm_("N", "T", &layer->fan_in, &layer->fan_out, &g->count, &one, sums->scratch,
           &layer->fan_in, signal, &layer->fan_out, &zero, gradient, &layer->fan_in);
    for (size_t k = 0; k < out; k++) {
        double sum = 0.0;

        for (size_t i = 0; i < (size_t)g->count; i++) {
            sum += signal[i * out + k];
        }
        biases += sum * sum;
    }
    return layer->weight_scale * layer->weight_scale *
               nl_squares_double((size_t)layer->fan_in * out, gradient) +
           layer->bias_scale * layer->bias_scale * biases;
}

static void NAME(square_dense_sums)(const nl_chunk_gradients *g, const gradient_sums *sums,
                                    nl_gradient_squares *out)
{
    const real *h = sums->chunk->in[0];

    for (size_t k = 0; k < (size_t)g->count * sums->chunk->in_size; k++) {
        sums->scratch[k] = (double)h[k];
    }
    out->whole += NAME(square_of_signals)(g, sums, 0, g->seeds, sums->w, g->seeds);
    for (int a = 0; a < g->seeds; a++) {
        out->by_output += NAME(square_of_signals)(g, sums, a, a + 1, sums->u, 1);
    }
}

/* Of a chunk, added to what others gave. */
static void NAME(square_sums)(const nl_chunk_gradients *g, const gradient_sums *sums,
                              nl_gradient_squares *out)
{
    const nl_chunk *chunk = sums->chunk;
    const size_t of_outputs = (size_t)g->seeds * chunk->columns;
    double *whole = sums->scratch + of_outputs;

    if (chunk->way == NL_WAY_GRAM) {
        NAME(square_dense_sums)(g, sums, out);
        return;
    }
    memset(sums->scratch, 0, (of_outputs + chunk->columns) * sizeof *sums->scratch);
    if (chunk->way == NL_WAY_ROWS) {
        NAME(sum_rows)(g, sums, sums->scratch, whole);
    } else {
        NAME(sum_joined)(g, sums, sums->scratch, whole);
    }
    out->by_output += nl_squares_double(of_outputs, sums->scratch);
    out->whole += nl_squares_double(chunk->columns, whole);
}
