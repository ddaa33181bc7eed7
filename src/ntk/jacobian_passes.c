/** @file jacobian_passes.c  What products with the Jacobian share: activations, and the steps of a
 * pass. */
#include "jacobian_passes.h"

#include <stdlib.h>

enum {
    piece_elements = 1 << 20, /* of weights or their gradient at a time */
    most_paired_samples = 512 /* whose activations' Gram matrices are kept */
};

int nl_jacobian_rows_at_once(const nl_layer *layer)
{
    return nl_smaller(nl_larger(piece_elements / layer->fan_in, 1), layer->fan_out);
}

static size_t largest_piece(const nl_net *net)
{
    size_t most = 0;

    for (int l = 0; l < net->layers; l++) {
        const size_t piece =
            (size_t)nl_jacobian_rows_at_once(&net->layer[l]) * (size_t)net->layer[l].fan_in;

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

static nl_passes_spec passes_spec(int samples)
{
    return (nl_passes_spec){.precision = NL_DOUBLE, .rows = samples, .seeds = 1, .tangents = true};
}

double nl_jacobian_bytes(const nl_net *net)
{
    const nl_passes_spec spec = passes_spec(1);
    double elements = 2.0 * nl_net_widest(net);

    if (!nl_net_is_dense(net)) {
        return nl_passes_bytes(net, &spec);
    }
    for (int l = 0; l < net->layers; l++) {
        elements += net->layer[l].fan_in + (net->layer[l].activates ? net->layer[l].fan_out : 0);
    }
    return elements * (double)sizeof(double);
}

double nl_jacobian_fixed_bytes(const nl_net *net, int samples)
{
    const nl_passes_spec spec = passes_spec(samples);
    const double grams = samples <= most_paired_samples ? net->layers + 1.0 : 0.0;

    if (!nl_net_is_dense(net)) {
        return nl_passes_fixed_bytes(net, &spec) +
               (double)((nl_net_largest_layer(net) + (size_t)nl_net_widest(net)) * sizeof(double));
    }
    return ((double)piece_size(net, samples) + nl_net_widest(net) + grams * samples * samples) *
           (double)sizeof(double);
}

double *nl_jacobian_weights(const nl_jacobian *j, const nl_layer *layer, int first, int rows)
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

    for (int first = 0; first < layer->fan_out; first += nl_jacobian_rows_at_once(layer)) {
        const int rows = nl_smaller(nl_jacobian_rows_at_once(layer), layer->fan_out - first);

        dgemm_("T", "N", &rows, &j->samples, &layer->fan_in, &layer->weight_scale,
               nl_jacobian_weights(j, layer, first, rows), &layer->fan_in, j->activation[l],
               &layer->fan_in, &zero, next + first, &layer->fan_out);
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

/* Of samples that go through a few at a time. */
static nl_passes_spec lean_spec(const nl_net *net, int samples)
{
    nl_passes_spec spec = {.precision = NL_DOUBLE, .rows = samples, .seeds = 1};

    spec.rows = nl_passes_rows_within(net, &spec, nl_passes_batch_bytes);
    return spec;
}

static nl_status create_passes(nl_jacobian *j, const nl_passes_spec *spec, size_t sums)
{
    nl_status status = nl_passes_create(j->net, spec, &j->passes);

    j->batch = spec->rows;
    j->piece = nl_calloc(nl_net_largest_layer(j->net), sizeof *j->piece);
    j->biases = nl_calloc((size_t)nl_net_widest(j->net), sizeof *j->biases);
    j->sum = nl_calloc(sums, sizeof *j->sum);
    if (status == NL_OK && (j->piece == NULL || j->biases == NULL || j->sum == NULL)) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the Jacobian of %d samples", j->samples);
    }
    if (status == NL_OK) {
        nl_passes_set_parameters(j->passes, j->theta);
    }
    return status;
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
                           .paired = nl_net_is_dense(net) && samples <= most_paired_samples};
    }
    if (j != NULL && !nl_net_is_dense(net)) {
        const nl_passes_spec spec = passes_spec(samples);
        const nl_status status = create_passes(j, &spec, 0);

        if (status != NL_OK) {
            nl_jacobian_destroy(out);
            return status;
        }
        nl_passes_forward(j->passes, samples, x, NULL);
        return NL_OK;
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

double nl_jacobian_lean_bytes(const nl_net *net, int samples)
{
    const nl_passes_spec spec = lean_spec(net, samples);

    if (nl_net_is_dense(net)) {
        return nl_jacobian_bytes(net) * samples + nl_jacobian_fixed_bytes(net, samples);
    }
    return nl_passes_bytes(net, &spec) * spec.rows + nl_passes_fixed_bytes(net, &spec) +
           (double)((net->size + nl_net_largest_layer(net) + (size_t)nl_net_widest(net)) *
                    sizeof(double));
}

nl_status nl_jacobian_create_lean(const nl_net *net, const float *theta, const float *x,
                                  int samples, nl_jacobian **out)
{
    const nl_passes_spec spec = lean_spec(net, samples);
    nl_jacobian *j = NULL;
    nl_status status = NL_OK;

    if (nl_net_is_dense(net)) {
        return nl_jacobian_create(net, theta, x, samples, out);
    }
    j = calloc(1, sizeof *j);
    *out = j;
    if (j == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the Jacobian of %d samples", samples);
    }
    *j = (nl_jacobian){.net = net, .theta = theta, .samples = samples, .x = x};
    status = create_passes(j, &spec, net->size);
    if (status != NL_OK) {
        nl_jacobian_destroy(out);
    }
    return status;
}

void nl_jacobian_destroy(nl_jacobian **jacobian)
{
    nl_jacobian *j = *jacobian;

    if (j == NULL) {
        return;
    }
    nl_passes_destroy(&j->passes);
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
    free(j->sum);
    free(j);
    *jacobian = NULL;
}

void nl_jacobian_step_backward(nl_jacobian *j, int l, const double *from, double *to)
{
    const nl_layer *layer = &j->net->layer[l];
    const double *slope = j->slope[layer->from];

    for (int first = 0; first < layer->fan_out; first += nl_jacobian_rows_at_once(layer)) {
        const int rows = nl_smaller(nl_jacobian_rows_at_once(layer), layer->fan_out - first);
        const double beta = first > 0 ? 1.0 : 0.0;

        dgemm_("N", "N", &layer->fan_in, &j->samples, &rows, &layer->weight_scale,
               nl_jacobian_weights(j, layer, first, rows), &layer->fan_in, from + first,
               &layer->fan_out, &beta, to, &layer->fan_in);
    }
    for (size_t k = 0; k < (size_t)j->samples * (size_t)layer->fan_in; k++) {
        to[k] *= slope[k];
    }
}

nl_status nl_jacobian_make_gram(nl_jacobian *j, int l)
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

double nl_jacobian_pair_sum(const nl_jacobian *j, int l, const double *u, bool rate_weighted)
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

void nl_jacobian_pair_up(const nl_jacobian *j, int width, const double *signal, int lead,
                         double beta)
{
    const double one = 1.0;

    dsyrk_("L", "T", &j->samples, &width, &one, signal, &lead, &beta, j->pair, &j->samples);
}
