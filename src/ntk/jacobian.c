/** @file jacobian.c  Products with the Jacobian that need no Jacobian. */
#include "ntklens/jacobian.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    piece_elements = 1 << 20, /* of weights or their gradient at a time */
    most_paired_samples = 512 /* whose activations' Gram matrices are kept */
};

struct nl_jacobian {
    const nl_net *net;  /* borrowed */
    const float *theta; /* borrowed */
    int samples;
    double **activation; /* owned; [layers]: what a layer takes, h^{l-1} [samples x fan_in] */
    double **slope;      /* owned; [layers]: phi'(z_l) [samples x fan_out]; of the output NULL */
    double **gram; /* owned; [layers]: lower half of h h^T [samples x samples]; NULL: not made */
    double *signal[2]; /* owned; [samples x widest]: back-signals of two layers */
    double *pair;      /* owned; [samples x samples] */
    double *piece;     /* owned; weights, or their gradient */
    double *biases;    /* owned; [widest] */
    bool paired;       /* few enough samples for Gram matrices */
};

static int rows_at_once(const nl_layer *layer)
{
    return nl_smaller(nl_larger(piece_elements / layer->fan_in, 1), layer->fan_out);
}

static size_t largest_piece(const nl_net *net)
{
    size_t most = 0;

    for (int l = 0; l < net->layers; l++) {
        const size_t piece = (size_t)rows_at_once(&net->layer[l]) * (size_t)net->layer[l].fan_in;

        most = piece > most ? piece : most;
    }
    return most;
}

/* Elements of a piece, which also has to hold a layer's back-signals. */
static size_t piece_size(const nl_net *net, int samples)
{
    const size_t signals =
        samples <= most_paired_samples ? (size_t)samples * (size_t)nl_net_widest(net) : 0;

    return largest_piece(net) > signals ? largest_piece(net) : signals;
}

double nl_jacobian_bytes(const nl_net *net)
{
    double elements = 2.0 * nl_net_widest(net);

    for (int l = 0; l < net->layers; l++) {
        elements += net->layer[l].fan_in + (net->layer[l].activates ? net->layer[l].fan_out : 0);
    }
    return elements * (double)sizeof(double);
}

double nl_jacobian_fixed_bytes(const nl_net *net, int samples)
{
    const double grams = samples <= most_paired_samples ? net->layers + 1.0 : 0.0;

    return ((double)piece_size(net, samples) + nl_net_widest(net) + grams * samples * samples) *
           (double)sizeof(double);
}

static double *weights_of(const nl_jacobian *j, const nl_layer *layer, int first, int rows)
{
    const float *from = j->theta + layer->weights + (size_t)first * (size_t)layer->fan_in;

    for (size_t k = 0; k < (size_t)rows * (size_t)layer->fan_in; k++) {
        j->piece[k] = (double)from[k];
    }
    return j->piece;
}

/* h and phi'(z) of layer l, h into what another one takes. */
static void forward_layer(nl_jacobian *j, int l, double *next)
{
    const nl_layer *layer = &j->net->layer[l];
    const double zero = 0.0;

    for (int first = 0; first < layer->fan_out; first += rows_at_once(layer)) {
        const int rows = nl_smaller(rows_at_once(layer), layer->fan_out - first);

        dgemm_("T", "N", &rows, &j->samples, &layer->fan_in, &layer->weight_scale,
               weights_of(j, layer, first, rows), &layer->fan_in, j->activation[l], &layer->fan_in,
               &zero, next + first, &layer->fan_out);
    }
    for (size_t i = 0, at = 0; i < (size_t)j->samples; i++) {
        for (size_t unit = 0; unit < (size_t)layer->fan_out; unit++, at++) {
            const double z = next[at] + layer->bias_scale * (double)j->theta[layer->biases + unit];

            next[at] = nl_activation_value(j->net->spec.activation, z);
            j->slope[l][at] = nl_activation_slope(j->net->spec.activation, z);
        }
    }
}

static bool allocate(nl_jacobian *j)
{
    const size_t samples = (size_t)j->samples;
    const size_t layers = (size_t)j->net->layers;
    const size_t pairs = j->paired ? samples * samples : 0;
    bool complete = false;

    j->activation = nl_calloc(layers, sizeof *j->activation);
    j->slope = nl_calloc(layers, sizeof *j->slope);
    j->gram = nl_calloc(layers, sizeof *j->gram);
    j->signal[0] = nl_calloc(samples * (size_t)nl_net_widest(j->net), sizeof(double));
    j->signal[1] = nl_calloc(samples * (size_t)nl_net_widest(j->net), sizeof(double));
    j->pair = nl_calloc(pairs, sizeof *j->pair);
    j->piece = nl_calloc(piece_size(j->net, j->samples), sizeof *j->piece);
    j->biases = nl_calloc((size_t)nl_net_widest(j->net), sizeof *j->biases);
    complete = j->activation != NULL && j->slope != NULL && j->gram != NULL &&
               j->signal[0] != NULL && j->signal[1] != NULL && j->pair != NULL &&
               j->piece != NULL && j->biases != NULL;
    for (size_t l = 0; complete && l < layers; l++) {
        const nl_layer *layer = &j->net->layer[l];

        j->activation[l] = nl_calloc(samples * (size_t)layer->fan_in, sizeof(double));
        j->slope[l] =
            layer->activates ? nl_calloc(samples * (size_t)layer->fan_out, sizeof(double)) : NULL;
        complete = j->activation[l] != NULL && (!layer->activates || j->slope[l] != NULL);
    }
    return complete;
}

nl_status nl_jacobian_create(const nl_net *net, const float *theta, const float *x, int samples,
                             nl_jacobian **out)
{
    nl_jacobian *j = calloc(1, sizeof *j);

    *out = j;
    if (j != NULL) {
        *j = (nl_jacobian){.net = net,
                           .theta = theta,
                           .samples = samples,
                           .paired = samples <= most_paired_samples};
    }
    if (j == NULL || !allocate(j)) {
        nl_jacobian_destroy(out);
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the Jacobian of %d samples", samples);
    }
    for (size_t k = 0; k < (size_t)samples * (size_t)net->spec.inputs; k++) {
        j->activation[0][k] = (double)x[k];
    }
    for (int l = 0; samples > 0 && l < net->layers; l++) {
        const int from = net->layer[l].from;

        if (from >= 0) {
            forward_layer(j, from, j->activation[l]);
        }
    }
    return NL_OK;
}

void nl_jacobian_destroy(nl_jacobian **jacobian)
{
    nl_jacobian *j = *jacobian;

    if (j == NULL) {
        return;
    }
    for (int l = 0; l < j->net->layers; l++) {
        free(j->activation != NULL ? j->activation[l] : NULL);
        free(j->slope != NULL ? j->slope[l] : NULL);
        free(j->gram != NULL ? j->gram[l] : NULL);
    }
    free(j->activation);
    free(j->slope);
    free(j->gram);
    free(j->signal[0]);
    free(j->signal[1]);
    free(j->pair);
    free(j->piece);
    free(j->biases);
    free(j);
    *jacobian = NULL;
}

/* Back-signals [samples x fan_in] below a layer, from those of the layer: s (d W) o phi'. */
static void step_backward(nl_jacobian *j, int l, const double *from, double *to)
{
    const nl_layer *layer = &j->net->layer[l];
    const double *slope = j->slope[layer->from];

    for (int first = 0; first < layer->fan_out; first += rows_at_once(layer)) {
        const int rows = nl_smaller(rows_at_once(layer), layer->fan_out - first);
        const double beta = first > 0 ? 1.0 : 0.0;

        dgemm_("N", "N", &layer->fan_in, &j->samples, &rows, &layer->weight_scale,
               weights_of(j, layer, first, rows), &layer->fan_in, from + first, &layer->fan_out,
               &beta, to, &layer->fan_in);
    }
    for (size_t k = 0; k < (size_t)j->samples * (size_t)layer->fan_in; k++) {
        to[k] *= slope[k];
    }
}

/* A layer's part of J^T v from its back-signals: s d^T h and t d^T 1. */
static nl_status hand_out(nl_jacobian *j, int l, const double *signal, nl_jacobian_piece_fn *take,
                          void *context)
{
    const nl_layer *layer = &j->net->layer[l];
    const double zero = 0.0;
    nl_status status = NL_OK;

    for (int first = 0; status == NL_OK && first < layer->fan_out; first += rows_at_once(layer)) {
        const int rows = nl_smaller(rows_at_once(layer), layer->fan_out - first);

        memset(j->piece, 0, (size_t)rows * (size_t)layer->fan_in * sizeof *j->piece);
        memset(j->biases, 0, (size_t)rows * sizeof *j->biases);
        if (j->samples > 0) {
            dgemm_("N", "T", &layer->fan_in, &rows, &j->samples, &layer->weight_scale,
                   j->activation[l], &layer->fan_in, signal + first, &layer->fan_out, &zero,
                   j->piece, &layer->fan_in);
        }
        for (int i = 0; layer->trains_bias && i < j->samples; i++) {
            for (int r = 0; r < rows; r++) {
                j->biases[r] += layer->bias_scale *
                                signal[(size_t)i * (size_t)layer->fan_out + (size_t)(first + r)];
            }
        }
        status = take(l, first, rows, j->piece, j->biases, context);
    }
    return status;
}

nl_status nl_jacobian_transposed(nl_jacobian *j, const double *v, nl_jacobian_piece_fn *take,
                                 void *context)
{
    const double *signal = v; /* of the output layer */
    nl_status status = NL_OK;

    for (int l = nl_net_output(j->net); status == NL_OK && l >= 0; l--) {
        status = hand_out(j, l, signal, take, context);
        if (j->net->layer[l].from >= 0) {
            step_backward(j, l, signal, j->signal[l % 2]);
            signal = j->signal[l % 2];
        }
    }
    return status;
}

nl_status nl_jacobian_add_squares(int layer, int first, int rows, double *weights, double *biases,
                                  void *context)
{
    nl_jacobian_norm *norm = context;
    const nl_layer *l = &norm->net->layer[layer];
    const size_t count = (size_t)rows * (size_t)l->fan_in;

    (void)first;
    norm->square +=
        (norm->rate_weighted ? l->weight_rate : 1.0) * nl_squares_double(count, weights);
    norm->square +=
        (norm->rate_weighted ? l->bias_rate : 1.0) * nl_squares_double((size_t)rows, biases);
    return NL_OK;
}

/* Lower half of h h^T of a layer's inputs, made once. */
static nl_status make_gram(nl_jacobian *j, int l)
{
    const double one = 1.0;
    const double zero = 0.0;
    const int fan_in = j->net->layer[l].fan_in;

    if (j->gram[l] != NULL) {
        return NL_OK;
    }
    j->gram[l] = nl_calloc((size_t)j->samples * (size_t)j->samples, sizeof(double));
    if (j->gram[l] == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for products of %d samples", j->samples);
    }
    dsyrk_("L", "T", &j->samples, &fan_in, &one, j->activation[l], &fan_in, &zero, j->gram[l],
           &j->samples);
    return NL_OK;
}

/* sum_ij u_i u_j D_ij (rate s^2 <h_i, h_j> + rate t^2), D in j->pair; u: NULL: ones. */
static double pair_sum(const nl_jacobian *j, int l, const double *u, bool rate_weighted)
{
    const nl_layer *layer = &j->net->layer[l];
    const double w =
        layer->weight_scale * layer->weight_scale * (rate_weighted ? layer->weight_rate : 1.0);
    const double b = layer->trains_bias ? layer->bias_scale * layer->bias_scale *
                                              (rate_weighted ? layer->bias_rate : 1.0)
                                        : 0.0;
    const size_t n = (size_t)j->samples;
    double sum = 0.0;

    for (size_t c = 0; c < n; c++) {
        const double *d = j->pair + c * n;
        const double *h = j->gram[l] + c * n;
        double column = -0.5 * (u != NULL ? u[c] : 1.0) * d[c] * (w * h[c] + b);

        for (size_t r = c; r < n; r++) {
            column += (u != NULL ? u[r] : 1.0) * d[r] * (w * h[r] + b);
        }
        sum += 2.0 * (u != NULL ? u[c] : 1.0) * column;
    }
    return sum;
}

/* D = or += signal signal^T, rows `lead` apart. */
static void pair_up(const nl_jacobian *j, int width, const double *signal, int lead, double beta)
{
    const double one = 1.0;

    dsyrk_("L", "T", &j->samples, &width, &one, signal, &lead, &beta, j->pair, &j->samples);
}

static nl_status paired_square(nl_jacobian *j, const double *v, bool rate_weighted, double *square)
{
    const double *signal = v;
    nl_status status = NL_OK;

    *square = 0.0;
    for (int l = nl_net_output(j->net); status == NL_OK && l >= 0; l--) {
        status = make_gram(j, l);
        if (status == NL_OK) {
            pair_up(j, j->net->layer[l].fan_out, signal, j->net->layer[l].fan_out, 0.0);
            *square += pair_sum(j, l, NULL, rate_weighted);
        }
        if (j->net->layer[l].from >= 0) {
            step_backward(j, l, signal, j->signal[l % 2]);
            signal = j->signal[l % 2];
        }
    }
    return status;
}

nl_status nl_jacobian_square(nl_jacobian *j, const double *v, bool rate_weighted, double *square)
{
    nl_jacobian_norm norm = {.net = j->net, .rate_weighted = rate_weighted};
    nl_status status = NL_OK;

    if (j->paired) {
        return paired_square(j, v, rate_weighted, square);
    }
    status = nl_jacobian_transposed(j, v, nl_jacobian_add_squares, &norm);
    *square = norm.square;
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Summed over outputs
 *-------------------------------------------------------------------------------------------*/

/* One backward pass an output. */
static nl_status square_by_outputs(nl_jacobian *j, const double *u, bool rate_weighted,
                                   double *square)
{
    const size_t outputs = (size_t)j->net->spec.outputs;
    double *seeds = nl_calloc((size_t)j->samples * outputs, sizeof *seeds);
    nl_status status = NL_OK;

    *square = 0.0;
    if (seeds == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for seeds of %d samples", j->samples);
    }
    for (size_t a = 0; status == NL_OK && a < outputs; a++) {
        double part = 0.0;

        for (size_t i = 0; i < (size_t)j->samples; i++) {
            seeds[i * outputs + a] = u[i];
            seeds[i * outputs + (a + outputs - 1) % outputs] = outputs > 1 ? 0.0 : u[i];
        }
        status = nl_jacobian_square(j, seeds, rate_weighted, &part);
        *square += part / (double)outputs;
    }
    free(seeds);
    return status;
}

/* Products of the last hidden layer's back-signals, summed over outputs: s W[a, :] o phi'. */
static void pair_last_hidden(nl_jacobian *j)
{
    const nl_layer *output = &j->net->layer[nl_net_output(j->net)];
    const size_t width = (size_t)output->fan_in;
    const double *slope = j->slope[output->from];
    double *traced_delta = j->signal[1];

    for (size_t k = 0; k < width; k++) {
        double squares = 0.0;

        for (size_t a = 0; a < (size_t)output->fan_out; a++) {
            const double w = (double)j->theta[output->weights + a * width + k];

            squares += w * w;
        }
        for (size_t i = 0; i < (size_t)j->samples; i++) {
            traced_delta[i * width + k] =
                output->weight_scale * sqrt(squares) * slope[i * width + k];
        }
    }
    pair_up(j, (int)width, traced_delta, (int)width, 0.0);
}

/* +1 or -1 of row `row` of the Jacobian: bits of a multiplicative hash. */
static double sign_of(size_t row)
{
    return ((uint64_t)(row + 1) * UINT64_C(0x9E3779B97F4A7C15)) >> 63 != 0 ? -1.0 : 1.0;
}

NL_VECTOR_CLONES
static void add_signed_double(size_t n, double sign, const double *restrict from,
                              double *restrict to)
{
    for (size_t k = 0; k < n; k++) {
        to[k] += sign * from[k];
    }
}

NL_VECTOR_CLONES
static void add_signed_single(size_t n, double sign, const float *restrict from,
                              double *restrict to)
{
    for (size_t k = 0; k < n; k++) {
        to[k] += sign * (double)from[k];
    }
}

/* Each sample's back-signals in the factors, summed over outputs with signs.  Returns the largest
 * length that a sum over a sample's outputs typically has, whatever cancels with these signs. */
static double contract(const nl_jacobian *j, const nl_factors *factors, int l, double *contracted)
{
    const size_t width = (size_t)j->net->layer[l].fan_out;
    const size_t outputs = (size_t)j->net->spec.outputs;
    double most = 0.0;
    double squares = 0.0;

    memset(contracted, 0, (size_t)j->samples * width * sizeof *contracted);
    for (size_t row = 0; row < (size_t)j->samples * outputs; row++) {
        double *to = contracted + row / outputs * width;

        squares = row % outputs == 0 ? 0.0 : squares;
        if (factors->precision == NL_DOUBLE) {
            const double *delta = (const double *)factors->delta[l] + row * width;

            add_signed_double(width, sign_of(row), delta, to);
            squares += nl_squares_double(width, delta);
        } else {
            const float *delta = (const float *)factors->delta[l] + row * width;

            add_signed_single(width, sign_of(row), delta, to);
            squares += nl_squares_single(width, delta);
        }
        most = !(squares <= most) ? squares : most;
    }
    return sqrt(most);
}

/* Products of a layer's back-signals in the factors, summed over outputs. */
static void pair_factors(nl_jacobian *j, int l, const nl_factors *factors)
{
    const int width = j->net->layer[l].fan_out;
    const int outputs = j->net->spec.outputs;

    for (int a = 0; a < outputs; a++) {
        const size_t first = (size_t)a * (size_t)width;
        const double beta = a > 0 ? 1.0 : 0.0;

        if (factors->precision == NL_DOUBLE) {
            pair_up(j, width, (const double *)factors->delta[l] + first, outputs * width, beta);
            continue;
        }
        memset(j->piece, 0, (size_t)j->samples * (size_t)width * sizeof *j->piece);
        for (size_t i = 0; i < (size_t)j->samples; i++) {
            add_signed_single((size_t)width, 1.0,
                              (const float *)factors->delta[l] + i * (size_t)(outputs * width) +
                                  first,
                              j->piece + i * (size_t)width);
        }
        pair_up(j, width, j->piece, width, beta);
    }
}

/* The largest distance of a sample's vector from its own. */
static double worst_distance(size_t samples, size_t width, const double *got, const double *own)
{
    double worst = 0.0;

    for (size_t i = 0; i < samples; i++) {
        double difference = 0.0;

        for (size_t k = i * width; k < (i + 1) * width; k++) {
            difference += (got[k] - own[k]) * (got[k] - own[k]);
        }
        worst = !(difference <= worst) ? difference : worst; /* a NaN stays */
    }
    return sqrt(worst);
}

/* D = 1 for every pair: each output's back-signal of its own layer is 1. */
static void pair_outputs(nl_jacobian *j)
{
    for (size_t k = 0; k < (size_t)j->samples * (size_t)j->samples; k++) {
        j->pair[k] = j->net->spec.outputs;
    }
}

static bool serves(const nl_jacobian *j, const nl_factors *factors)
{
    return j->paired && (j->net->layer[nl_net_last_hidden(j->net)].from < 0 ||
                         (factors != NULL && factors->samples >= j->samples));
}

nl_status nl_jacobian_traced_square(nl_jacobian *j, const double *u, const nl_factors *factors,
                                    bool rate_weighted, double *square, double *mismatch)
{
    const int last = nl_net_output(j->net);
    const size_t outputs = (size_t)j->net->spec.outputs;
    double *scratch = NULL;
    nl_status status = NL_OK;

    *mismatch = 0.0;
    if (!serves(j, factors)) {
        return square_by_outputs(j, u, rate_weighted, square);
    }
    *square = 0.0;
    scratch =
        nl_calloc((size_t)j->samples * ((size_t)nl_net_widest(j->net) + outputs), sizeof *scratch);
    if (scratch == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for back-signals of %d samples", j->samples);
    }
    for (size_t row = 0; row < (size_t)j->samples * outputs; row++) {
        scratch[row] = sign_of(row);
    }
    for (int l = last, above = last; status == NL_OK && l >= 0;
         above = l, l = j->net->layer[l].from) {
        status = make_gram(j, l);
        if (status != NL_OK) {
            break;
        }
        if (l == last) {
            pair_outputs(j);
        } else if (l == nl_net_last_hidden(j->net)) {
            pair_last_hidden(j);
            step_backward(j, last, scratch, j->signal[0]);
        } else {
            const int to = (last - l) % 2 == 0;
            double *contracted = scratch + (size_t)j->samples * outputs;
            double scale = 0.0;
            double worst = 0.0;

            step_backward(j, above, j->signal[!to], j->signal[to]);
            scale = contract(j, factors, l, contracted);
            worst = worst_distance((size_t)j->samples, (size_t)j->net->layer[l].fan_out, contracted,
                                   j->signal[to]);
            worst = scale > 0.0 || worst > 0.0 || isnan(worst) ? worst / scale : 0.0;
            pair_factors(j, l, factors);
            *mismatch = !(worst <= *mismatch) ? worst : *mismatch;
        }
        *square += pair_sum(j, l, u, rate_weighted) / (double)outputs;
    }
    free(scratch);
    return status;
}
