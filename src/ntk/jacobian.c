/** @file jacobian.c  Products with the Jacobian that need no Jacobian. */
#include "jacobian_passes.h"

#include <string.h>

/*---------------------------------------------------------------------------------------------
 * J^T v
 *-------------------------------------------------------------------------------------------*/

/* A layer's part of J^T v from its back-signals: s d^T h and t d^T 1. */
static nl_status hand_out(nl_jacobian *j, int l, const double *signal, nl_jacobian_piece_fn *take,
                          void *context)
{
    const nl_layer *layer = &j->net->layer[l];
    const double zero = 0.0;
    nl_status status = NL_OK;

    for (int first = 0; status == NL_OK && first < layer->fan_out;
         first += nl_jacobian_rows_at_once(layer)) {
        const int rows = nl_smaller(nl_jacobian_rows_at_once(layer), layer->fan_out - first);

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

/** Pieces of networks that are no chains: whole layers. */
typedef struct layer_pieces {
    nl_jacobian *jacobian;
    nl_jacobian_piece_fn *take;
    void *context;
    int rows; /* samples that went through, where not all do at once */
    nl_status status;
} layer_pieces;

static void take_layer(int l, const void *delta, void *context)
{
    layer_pieces *p = context;
    nl_jacobian *j = p->jacobian;
    const nl_layer *layer = &j->net->layer[l];

    if (p->status != NL_OK || layer->fan_out == 0) {
        return;
    }
    if (delta != NULL) {
        nl_passes_gradient(j->passes, l, 0, j->samples, delta, j->piece, j->biases);
    } else {
        memset(j->piece, 0, nl_layer_weights(layer) * sizeof *j->piece);
        memset(j->biases, 0, (size_t)layer->fan_out * sizeof *j->biases);
    }
    p->status = p->take(l, 0, layer->fan_out, j->piece, j->biases, p->context);
}

/* A layer's part of the samples that went through, added to that of the others. */
static void add_layer(int l, const void *delta, void *context)
{
    const layer_pieces *p = context;
    nl_jacobian *j = p->jacobian;
    const nl_layer *layer = &j->net->layer[l];
    double *weights = j->sum + layer->weights;
    double *biases = j->sum + layer->biases;

    if (layer->fan_out == 0) {
        return;
    }
    nl_passes_gradient(j->passes, l, 0, p->rows, delta, j->piece, j->biases);
    for (size_t k = 0; k < nl_layer_weights(layer); k++) {
        weights[k] += j->piece[k];
    }
    for (int unit = 0; unit < layer->fan_out; unit++) {
        biases[unit] += j->biases[unit];
    }
}

/* A few samples at a time, forward and back. */
static nl_status transposed_by_batches(nl_jacobian *j, const double *v, nl_jacobian_piece_fn *take,
                                       void *context)
{
    layer_pieces pieces = {.jacobian = j};
    nl_status status = NL_OK;

    memset(j->sum, 0, j->net->size * sizeof *j->sum);
    for (int first = 0; first < j->samples; first += j->batch) {
        pieces.rows = nl_smaller(j->batch, j->samples - first);
        nl_passes_forward(j->passes, pieces.rows,
                          j->x + (size_t)first * (size_t)j->net->spec.inputs, NULL);
        nl_passes_backward(j->passes, v + (size_t)first * (size_t)j->net->spec.outputs, 0,
                           add_layer, &pieces);
    }
    for (int l = j->net->layers - 1; status == NL_OK && l >= 0; l--) {
        const nl_layer *layer = &j->net->layer[l];

        if (layer->fan_out > 0) {
            status = take(l, 0, layer->fan_out, j->sum + layer->weights, j->sum + layer->biases,
                          context);
        }
    }
    return status;
}

/* Without samples the pieces are zero, but come all the same. */
static nl_status transposed_by_passes(nl_jacobian *j, const double *v, nl_jacobian_piece_fn *take,
                                      void *context)
{
    layer_pieces pieces = {.jacobian = j, .take = take, .context = context};

    if (j->samples > 0) {
        nl_passes_backward(j->passes, v, 0, take_layer, &pieces);
    }
    for (int l = j->net->layers - 1; j->samples == 0 && l >= 0; l--) {
        take_layer(l, NULL, &pieces);
    }
    return pieces.status;
}

nl_status nl_jacobian_transposed(nl_jacobian *j, const double *v, nl_jacobian_piece_fn *take,
                                 void *context)
{
    const double *signal = v; /* of the output layer */
    nl_status status = NL_OK;

    if (j->passes != NULL) {
        return (j->x != NULL ? transposed_by_batches : transposed_by_passes)(j, v, take, context);
    }
    for (int l = nl_net_output(j->net); status == NL_OK && l >= 0; l--) {
        status = hand_out(j, l, signal, take, context);
        if (j->net->layer[l].from >= 0) {
            nl_jacobian_step_backward(j, l, signal, j->signal[l % 2]);
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

static nl_status paired_square(nl_jacobian *j, const double *v, bool rate_weighted, double *square)
{
    const double *signal = v;
    nl_status status = NL_OK;

    *square = 0.0;
    for (int l = nl_net_output(j->net); status == NL_OK && l >= 0; l--) {
        status = nl_jacobian_make_gram(j, l);
        if (status == NL_OK) {
            nl_jacobian_pair_up(j, j->net->layer[l].fan_out, signal, j->net->layer[l].fan_out, 0.0);
            *square += nl_jacobian_pair_sum(j, l, NULL, rate_weighted);
        }
        if (j->net->layer[l].from >= 0) {
            nl_jacobian_step_backward(j, l, signal, j->signal[l % 2]);
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
 * J w
 *-------------------------------------------------------------------------------------------*/

/* dz = s (D h + W dh) + t c, D and c the layer's part of w; dh: NULL: of the images, which stay;
 * then dh' = phi'(z) o dz.  out [samples x fan_out]. */
static void step_forward(nl_jacobian *j, int l, const double *w, const double *below, double *out)
{
    const nl_layer *layer = &j->net->layer[l];
    const double *s = &layer->weight_scale;
    const double zero = 0.0;
    const double one = 1.0;

    dgemm_("T", "N", &layer->fan_out, &j->samples, &layer->fan_in, s, w + layer->weights,
           &layer->fan_in, j->activation[l], &layer->fan_in, &zero, out, &layer->fan_out);
    for (int first = 0; below != NULL && first < layer->fan_out;
         first += nl_jacobian_rows_at_once(layer)) {
        const int rows = nl_smaller(nl_jacobian_rows_at_once(layer), layer->fan_out - first);

        dgemm_("T", "N", &rows, &j->samples, &layer->fan_in, s,
               nl_jacobian_weights(j, layer, first, rows), &layer->fan_in, below, &layer->fan_in,
               &one, out + first, &layer->fan_out);
    }
    for (size_t i = 0, at = 0; i < (size_t)j->samples; i++) {
        for (size_t unit = 0; unit < (size_t)layer->fan_out; unit++, at++) {
            out[at] += layer->trains_bias ? layer->bias_scale * w[layer->biases + unit] : 0.0;
            out[at] *= layer->activates ? j->slope[l][at] : 1.0;
        }
    }
}

void nl_jacobian_product(nl_jacobian *j, const double *w, double *out)
{
    const int last = nl_net_output(j->net);

    if (j->passes != NULL) {
        nl_passes_tangent(j->passes, w, out);
        return;
    }
    for (int l = 0; j->samples > 0 && l <= last; l++) {
        const bool on_image = j->net->layer[l].from < 0;

        step_forward(j, l, w, on_image ? NULL : j->signal[(l + 1) % 2],
                     l == last ? out : j->signal[l % 2]);
    }
}
