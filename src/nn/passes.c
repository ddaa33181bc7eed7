/** @file passes.c  Forward, backward and tangent passes of any network, sample by sample. */
#include "ntklens/passes.h"

#include "activation.h"
#include "back_signals.h"
#include "layer_kinds.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct nl_passes {
    const nl_net *net; /* borrowed; may be gone when the passes are destroyed */
    int layers;
    nl_passes_spec spec;
    size_t element; /* bytes of a number */
    int rows;       /* of the last forward pass */
    const void *theta;
    void *own_theta; /* owned; double: the parameters */
    void *sample;    /* owned; [rows x inputs], channels last */
    void **out;      /* owned; [layers] outputs, phi applied where the layer activates */
    void **slope;    /* owned; [layers] phi', NULL where it follows from phi or there is none */
    void **kept;     /* owned; [layers] what a kind keeps for the way back */
    void **d_out;    /* owned; [layers] tangents of outputs, where wanted */
    void *
        *packed[2]; /* owned; [layers] weights for forward and backward, of kinds that pack them */
    int *slot;      /* owned; [layers] where the back-signals of a layer's output are */
    int *taker;     /* owned; [layers] the last on the way down that adds to them */
    bool *begun;    /* owned; [layers] whether some are there */
    int slots;
    void *delta[nl_slots_at_most]; /* owned; [rows x seeds x largest output that it serves] */
    void *added;                   /* owned; what is added to a slot that is in use; NULL: never */
    void *scratch;                 /* owned */
    int vector_bytes;
    nl_passes *exact; /* owned; the forward pass in double, where that is asked for */
};

/* In single precision, that of training, some slopes are had from the values. */
static bool keeps_slope(const nl_net *net, const nl_passes_spec *spec, const nl_layer *layer)
{
    return layer->activates &&
           (spec->precision == NL_DOUBLE || !nl_slope_follows_from_value(net->spec.activation));
}

static size_t kept_bytes(const nl_layer *layer, nl_precision precision)
{
    const nl_layer_ops *ops = nl_layer_ops_of(layer);

    return ops->kept != NULL ? ops->kept(layer, precision) : 0;
}

/* Elements of a layer's weights for forward (0) or backward (1). */
static size_t packed_size(const nl_passes_spec *spec, const nl_layer *layer, int way)
{
    const nl_layer_ops *ops = nl_layer_ops_of(layer);
    const bool wanted = way == 0 || (spec->seeds > 0 && layer->from >= 0);

    return ops->packed != NULL && wanted ? ops->packed(layer) : 0;
}

static size_t scratch_size(const nl_net *net)
{
    size_t most = 0;

    for (int l = 0; l < net->layers; l++) {
        const nl_layer_ops *ops = nl_layer_ops_of(&net->layer[l]);
        const size_t size = ops->scratch != NULL ? ops->scratch(&net->layer[l]) : 0;

        most = size > most ? size : most;
    }
    return most;
}

/*---------------------------------------------------------------------------------------------
 * Memory
 *-------------------------------------------------------------------------------------------*/

/* The forward pass in double that passes in single precision may have. */
static nl_passes_spec exact_spec(const nl_passes_spec *spec)
{
    return (nl_passes_spec){.precision = NL_DOUBLE, .rows = spec->rows};
}

double nl_passes_bytes(const nl_net *net, const nl_passes_spec *spec)
{
    const nl_passes_spec exact = exact_spec(spec);
    double elements = net->spec.inputs;
    double bytes = 0.0;

    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];

        elements +=
            nl_shape_size(layer->out) * (1.0 + keeps_slope(net, spec, layer) + spec->tangents);
        bytes += (double)kept_bytes(layer, spec->precision);
    }
    elements += spec->seeds > 0 ? spec->seeds * nl_back_signal_numbers(net) : 0.0;
    bytes += spec->double_forward ? nl_passes_bytes(net, &exact) : 0.0;
    return bytes + elements * (double)nl_precision_bytes(spec->precision);
}

int nl_passes_rows_within(const nl_net *net, const nl_passes_spec *spec, double bytes)
{
    const double fitting = bytes / nl_passes_bytes(net, spec);

    return fitting >= spec->rows ? spec->rows : nl_larger((int)fitting, 1);
}

double nl_passes_fixed_bytes(const nl_net *net, const nl_passes_spec *spec)
{
    const nl_passes_spec exact = exact_spec(spec);
    double elements =
        (double)scratch_size(net) + (spec->precision == NL_DOUBLE ? (double)net->size : 0.0);

    for (int l = 0; l < net->layers; l++) {
        elements += (double)packed_size(spec, &net->layer[l], 0) +
                    (double)packed_size(spec, &net->layer[l], 1);
    }
    return elements * (double)nl_precision_bytes(spec->precision) +
           (spec->double_forward ? nl_passes_fixed_bytes(net, &exact) : 0.0);
}

static bool allocate_lists(nl_passes *p)
{
    const size_t layers = (size_t)p->net->layers;

    p->out = nl_calloc(layers, sizeof *p->out);
    p->slope = nl_calloc(layers, sizeof *p->slope);
    p->kept = nl_calloc(layers, sizeof *p->kept);
    p->d_out = nl_calloc(layers, sizeof *p->d_out);
    p->packed[0] = nl_calloc(layers, sizeof *p->packed[0]);
    p->packed[1] = nl_calloc(layers, sizeof *p->packed[1]);
    p->slot = nl_calloc(layers, sizeof *p->slot);
    p->taker = nl_calloc(layers, sizeof *p->taker);
    p->begun = nl_calloc(layers, sizeof *p->begun);
    return p->out != NULL && p->slope != NULL && p->kept != NULL && p->d_out != NULL &&
           p->packed[0] != NULL && p->packed[1] != NULL && p->slot != NULL && p->taker != NULL &&
           p->begun != NULL;
}

static bool allocate_layers(nl_passes *p)
{
    const size_t rows = (size_t)p->spec.rows;
    bool complete = true;

    for (int l = 0; complete && l < p->net->layers; l++) {
        const nl_layer *layer = &p->net->layer[l];
        const size_t size = (size_t)nl_shape_size(layer->out);

        p->out[l] = nl_alloc(rows * size, p->element);
        p->kept[l] = nl_calloc(rows, kept_bytes(layer, p->spec.precision));
        p->d_out[l] = nl_alloc(p->spec.tangents ? rows * size : 0, p->element);
        for (int way = 0; way < 2; way++) {
            p->packed[way][l] = nl_alloc(packed_size(&p->spec, layer, way), p->element);
            complete = complete && p->packed[way][l] != NULL;
        }
        complete = complete && p->out[l] != NULL && p->kept[l] != NULL && p->d_out[l] != NULL;
        if (complete && keeps_slope(p->net, &p->spec, layer)) {
            p->slope[l] = nl_alloc(rows * size, p->element);
            complete = p->slope[l] != NULL;
        }
    }
    return complete;
}

static bool allocate_back_signals(nl_passes *p)
{
    const nl_slot_plan plan = nl_slots_plan(p->net, p->slot, p->taker);
    const size_t signals = (size_t)p->spec.rows * (size_t)p->spec.seeds;
    bool complete = true;

    p->slots = plan.slots;
    for (int k = 0; complete && k < plan.slots; k++) {
        p->delta[k] = nl_alloc(signals * plan.size[k], p->element);
        complete = p->delta[k] != NULL;
    }
    p->added = complete ? nl_alloc(signals * plan.added, p->element) : NULL;
    return p->added != NULL;
}

nl_status nl_passes_create(const nl_net *net, const nl_passes_spec *spec, nl_passes **out)
{
    nl_passes *p = calloc(1, sizeof *p);

    *out = p;
    if (p != NULL) {
        *p = (nl_passes){.net = net,
                         .layers = net->layers,
                         .spec = *spec,
                         .element = nl_precision_bytes(spec->precision),
                         .vector_bytes = nl_vector_bytes()};
        p->sample = nl_alloc((size_t)spec->rows * (size_t)net->spec.inputs, p->element);
        p->scratch = nl_alloc(scratch_size(net), p->element);
        p->own_theta = nl_alloc(spec->precision == NL_DOUBLE ? net->size : 0, p->element);
    }
    if (p == NULL || p->sample == NULL || p->scratch == NULL || p->own_theta == NULL ||
        !allocate_lists(p) || !allocate_layers(p) ||
        (spec->seeds > 0 && !allocate_back_signals(p))) {
        nl_passes_destroy(out);
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for passes over %d samples", spec->rows);
    }
    if (spec->double_forward) {
        const nl_passes_spec exact = exact_spec(spec);
        const nl_status status = nl_passes_create(net, &exact, &p->exact);

        if (status != NL_OK) {
            nl_passes_destroy(out);
            return status;
        }
    }
    return NL_OK;
}

/* A list and the array of each layer. */
static void free_list(const nl_passes *p, void **list)
{
    for (int l = 0; list != NULL && l < p->layers; l++) {
        free(list[l]);
    }
    free(list);
}

void nl_passes_destroy(nl_passes **passes)
{
    nl_passes *p = *passes;

    if (p == NULL) {
        return;
    }
    nl_passes_destroy(&p->exact);
    free_list(p, p->out);
    free_list(p, p->slope);
    free_list(p, p->kept);
    free_list(p, p->d_out);
    free_list(p, p->packed[0]);
    free_list(p, p->packed[1]);
    for (int k = 0; k < p->slots; k++) {
        free(p->delta[k]);
    }
    free(p->slot);
    free(p->taker);
    free(p->begun);
    free(p->added);
    free(p->scratch);
    free(p->own_theta);
    free(p->sample);
    free(p);
    *passes = NULL;
}

/*---------------------------------------------------------------------------------------------
 * Parameters, samples
 *-------------------------------------------------------------------------------------------*/

static void activate_double(nl_activation activation, size_t n, double *h, double *slope)
{
    assert(slope != NULL); /* kept in double */
    nl_activate_double(activation, n, h, slope);
}

static void activate_single(nl_activation activation, size_t n, float *h, float *slope)
{
    const float zero = 0.0F;

    nl_activate(activation, 1, (int)n, (nl_bias){.t = 0.0F, .values = &zero}, h, slope);
}

NL_VECTOR_CLONES
static void multiply_slope_double(nl_activation activation, size_t n, const double *restrict h,
                                  const double *restrict slope, double *restrict delta)
{
    (void)activation;
    (void)h;
    assert(slope != NULL); /* kept in double */
    for (size_t k = 0; k < n; k++) {
        delta[k] *= slope[k];
    }
}

static void multiply_slope_single(nl_activation activation, size_t n, const float *h,
                                  const float *slope, float *delta)
{
    nl_activate_backward(activation, n, h, slope, delta);
}

/** Samples of a pass, with so many back-signals each. */
typedef struct row_part {
    int first, rows, seeds;
} row_part;

#define TEMPLATE "nn/passes_real.h"
#include "ntklens/formats.h"

/* `numbers` elements behind an array. */
static void *behind(const nl_passes *p, const void *array, size_t numbers)
{
    return (char *)(uintptr_t)array + numbers * p->element;
}

static const void *input_of(const nl_passes *p, int from)
{
    return from < 0 ? p->sample : p->out[from];
}

/* Of layer l over the samples from `first` on. */
static nl_sample_pass pass_of(const nl_passes *p, int l, int first, int rows)
{
    const nl_layer *layer = &p->net->layer[l];

    return (nl_sample_pass){
        .weights = behind(p, p->theta, layer->weights),
        .biases = behind(p, p->theta, layer->biases),
        .packed = {p->packed[0][l], p->packed[1][l]},
        .rows = rows,
        .seeds = p->spec.seeds,
        .kept = (char *)p->kept[l] + (size_t)first * kept_bytes(layer, p->spec.precision),
        .scratch = p->scratch,
        .vector_bytes = p->vector_bytes,
    };
}

static const nl_sample_ops *ops_of(const nl_passes *p, int l)
{
    return &nl_layer_ops_of(&p->net->layer[l])->by_sample[p->spec.precision];
}

static void pack_weights(nl_passes *p)
{
    for (int l = 0; l < p->net->layers; l++) {
        const nl_sample_pass pass = pass_of(p, l, 0, 0);

        for (int way = 0; way < 2; way++) {
            if (packed_size(&p->spec, &p->net->layer[l], way) > 0) {
                ops_of(p, l)->pack(&p->net->layer[l], &pass, way == 1, p->packed[way][l]);
            }
        }
    }
}

void nl_passes_set_parameters(nl_passes *passes, const float *theta)
{
    double *copy = passes->own_theta;

    passes->theta = theta;
    if (passes->spec.precision == NL_DOUBLE) {
        for (size_t k = 0; k < passes->net->size; k++) {
            copy[k] = (double)theta[k];
        }
        passes->theta = copy;
    }
    pack_weights(passes);
    if (passes->exact != NULL) {
        nl_passes_set_parameters(passes->exact, theta);
    }
}

/*---------------------------------------------------------------------------------------------
 * Forward
 *-------------------------------------------------------------------------------------------*/

/* Samples whose results in layer l, so many of each, are made and go through phi at a time: they
 * are still in the cache then. */
static int rows_at_once(const nl_passes *p, int l, int results)
{
    const int cached = 256 * 1024; /* bytes */
    const size_t bytes = (size_t)results * (size_t)nl_shape_size(p->net->layer[l].out) * p->element;

    return nl_smaller(nl_larger((int)((size_t)cached / bytes), 1), p->rows);
}

/* Whether relu is done by the kind of a layer: its own (0), or that of the layer below (1). */
static bool relu_is_in(const nl_passes *p, int l, int way, int of)
{
    return p->net->spec.activation == NL_RELU && p->net->layer[of].activates &&
           nl_layer_ops_of(&p->net->layer[l])->applies_relu[way];
}

/* Layer l of some samples. */
static void forward_rows(nl_passes *p, int l, int first, int rows)
{
    const nl_layer *layer = &p->net->layer[l];
    const size_t in_size = (size_t)nl_shape_size(layer->in);
    const size_t size = (size_t)nl_shape_size(layer->out);
    const size_t at = (size_t)first * size;
    void *out = behind(p, p->out[l], at);
    void *slope = p->slope[l] != NULL ? behind(p, p->slope[l], at) : NULL;
    const void *plus = layer->kind == NL_ADD ? behind(p, input_of(p, layer->plus), at) : NULL;
    nl_sample_pass pass = pass_of(p, l, first, rows);

    pass.relu = relu_is_in(p, l, 0, l);
    ops_of(p, l)->forward(layer, &pass,
                          behind(p, input_of(p, layer->from), (size_t)first * in_size), plus, out);
    if (layer->activates && p->spec.precision == NL_DOUBLE) {
        activate_double(p->net->spec.activation, (size_t)rows * size, out, slope);
    } else if (layer->activates && !pass.relu) {
        activate_single(p->net->spec.activation, (size_t)rows * size, out, slope);
    }
}

static void round_all(size_t n, const double *from, float *to)
{
    for (size_t k = 0; k < n; k++) {
        to[k] = (float)from[k];
    }
}

/* What the forward pass in double left, rounded. */
static void take_exact(nl_passes *p, const float *x, const int *list)
{
    const size_t rows = (size_t)p->rows;

    take_samples_single(p, x, list);
    for (int l = 0; l < p->net->layers; l++) {
        const nl_layer *layer = &p->net->layer[l];
        const size_t n = rows * (size_t)nl_shape_size(layer->out);
        const nl_layer_ops *ops = nl_layer_ops_of(layer);

        round_all(n, p->exact->out[l], p->out[l]);
        if (p->slope[l] != NULL) {
            round_all(n, p->exact->slope[l], p->slope[l]);
        }
        if (ops->narrow != NULL) {
            ops->narrow(layer, p->rows, p->exact->kept[l], p->kept[l]);
        }
    }
}

void nl_passes_forward(nl_passes *p, int rows, const float *x, const int *list)
{
    assert(rows <= p->spec.rows);
    if (p->exact != NULL) {
        p->rows = rows;
        nl_passes_forward(p->exact, rows, x, list);
        take_exact(p, x, list);
        return;
    }
    p->rows = rows;
    if (p->spec.precision == NL_DOUBLE) {
        take_samples_double(p, x, list);
    } else {
        take_samples_single(p, x, list);
    }
    for (int l = 0; rows > 0 && l < p->net->layers; l++) {
        const int step = p->net->layer[l].kind == NL_DENSE ? rows : rows_at_once(p, l, 1);

        for (int first = 0; first < rows; first += step) {
            forward_rows(p, l, first, nl_smaller(step, rows - first));
        }
    }
}

const void *nl_passes_outputs(const nl_passes *passes)
{
    return passes->out[nl_net_output(passes->net)];
}

const double *nl_passes_exact_outputs(const nl_passes *passes)
{
    return nl_passes_outputs(passes->exact != NULL ? passes->exact : passes);
}

const void *nl_passes_input(const nl_passes *passes, int l)
{
    return input_of(passes, passes->net->layer[l].from);
}

const double *nl_passes_slope(const nl_passes *passes, int l)
{
    return passes->exact != NULL ? passes->exact->slope[l] : passes->slope[l];
}

/*---------------------------------------------------------------------------------------------
 * Backward
 *-------------------------------------------------------------------------------------------*/

/* delta [rows x seeds x out] of some samples of layer l times phi': from d loss / d output to d
 * loss / d z. */
static void through_activation(const nl_passes *p, int l, row_part part, void *delta)
{
    if (p->net->layer[l].activates && p->spec.precision == NL_DOUBLE) {
        multiply_slopes_double(p, l, part, delta);
    } else if (p->net->layer[l].activates) {
        multiply_slopes_single(p, l, part, delta);
    }
}

/* Back-signals of some samples of layer `to`, += what comes through layer l. */
static void hand_down_rows(nl_passes *p, int l, int input, int to, int first, int rows)
{
    const nl_layer *layer = &p->net->layer[l];
    const size_t seeds = (size_t)p->spec.seeds;
    const size_t size = (size_t)nl_shape_size(p->net->layer[to].out);
    const size_t at = (size_t)first * seeds * size;
    void *slot = behind(p, p->delta[p->slot[to]], at);
    const bool complete = p->taker[to] == l;
    const bool relu = complete && !p->begun[to] && relu_is_in(p, l, 1, to);
    nl_sample_pass pass = pass_of(p, l, first, rows);

    pass.relu_below = relu ? behind(p, p->out[to], (size_t)first * size) : NULL;
    ops_of(p, l)->backward(
        layer, &pass, input,
        behind(p, input_of(p, layer->from), (size_t)first * (size_t)nl_shape_size(layer->in)),
        behind(p, p->delta[p->slot[l]], (size_t)first * seeds * (size_t)nl_shape_size(layer->out)),
        p->begun[to] ? p->added : slot);
    if (p->begun[to] && p->spec.precision == NL_DOUBLE) {
        add_double((size_t)rows * seeds * size, p->added, slot);
    } else if (p->begun[to]) {
        add_single((size_t)rows * seeds * size, p->added, slot);
    }
    if (complete && !relu) {
        through_activation(p, to, (row_part){first, rows, p->spec.seeds}, slot);
    }
}

static void hand_down(nl_passes *p, int l, int input, int to)
{
    const int step =
        p->net->layer[l].kind == NL_DENSE ? p->rows : rows_at_once(p, to, p->spec.seeds);

    for (int first = 0; first < p->rows; first += step) {
        hand_down_rows(p, l, input, to, first, nl_smaller(step, p->rows - first));
    }
    p->begun[to] = true;
}

void nl_passes_backward(nl_passes *p, const void *signal, int lowest, nl_layer_signal_fn *take,
                        void *context)
{
    const nl_net *net = p->net;
    const int last = nl_net_output(net);
    const size_t signals = (size_t)p->rows * (size_t)p->spec.seeds;

    memset(p->begun, 0, (size_t)net->layers * sizeof *p->begun);
    memcpy(p->delta[p->slot[last]], signal, signals * (size_t)net->spec.outputs * p->element);
    through_activation(p, last, (row_part){0, p->rows, p->spec.seeds}, p->delta[p->slot[last]]);
    for (int l = last; p->rows > 0 && l >= lowest; l--) {
        const nl_layer *layer = &net->layer[l];

        if (layer->from >= lowest) {
            hand_down(p, l, 0, layer->from);
        }
        if (layer->kind == NL_ADD && layer->plus >= lowest) {
            hand_down(p, l, 1, layer->plus);
        }
        take(l, p->delta[p->slot[l]], context);
    }
}

void nl_passes_gradient(nl_passes *p, int l, int first, int rows, const void *delta, void *weights,
                        void *biases)
{
    const nl_layer *layer = &p->net->layer[l];
    const nl_sample_pass pass = pass_of(p, l, first, rows);
    const size_t size = (size_t)nl_shape_size(layer->in);

    ops_of(p, l)->gradient(layer, &pass, behind(p, input_of(p, layer->from), (size_t)first * size),
                           delta, weights, biases);
}

void nl_passes_rows(nl_passes *p, int l, int sample, const nl_row_range *range, const void *delta,
                    void *g)
{
    const nl_layer *layer = &p->net->layer[l];
    const size_t at = (size_t)sample * (size_t)nl_shape_size(layer->in);
    nl_sample_pass pass = pass_of(p, l, sample, 1);

    pass.seeds = range->deltas;

    ops_of(p, l)->rows(layer, &pass, range, behind(p, input_of(p, layer->from), at), delta, g);
}

/*---------------------------------------------------------------------------------------------
 * Tangent
 *-------------------------------------------------------------------------------------------*/

static const void *tangent_of(const nl_passes *p, int from)
{
    return from < 0 ? NULL : p->d_out[from];
}

void nl_passes_tangent(nl_passes *p, const void *direction, void *out)
{
    const nl_net *net = p->net;
    const size_t outputs = (size_t)net->spec.outputs;

    for (int l = 0; p->rows > 0 && l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];
        const nl_sample_pass pass = pass_of(p, l, 0, p->rows);
        nl_sample_pass change = pass;

        change.weights = behind(p, direction, layer->weights);
        change.biases = behind(p, direction, layer->biases);
        ops_of(p, l)->tangent(
            layer, &pass, &change, input_of(p, layer->from), tangent_of(p, layer->from),
            layer->kind == NL_ADD ? tangent_of(p, layer->plus) : NULL, p->d_out[l]);
        through_activation(p, l, (row_part){0, p->rows, 1}, p->d_out[l]);
    }
    memcpy(out, p->d_out[nl_net_output(net)], (size_t)p->rows * outputs * p->element);
}
