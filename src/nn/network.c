/** @file network.c  Layout of a network's parameters, its multipliers, rates and initial draw. */
#include "build_cnn.h"
#include "build_mlp.h"
#include "build_resnet.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    ntk_streams = 65536, /* added to the layer: ntk draws other numbers than standard */
    kind_streams = 2 * ntk_streams
};

const char *nl_parametrization_name(nl_parametrization parametrization)
{
    static const char *const names[NL_PARAMETRIZATION_COUNT] = {"standard", "ntk", "mup"};

    return parametrization < NL_PARAMETRIZATION_COUNT ? names[parametrization] : "unknown";
}

const char *nl_net_kind_name(nl_net_kind kind)
{
    static const char *const names[NL_NET_KIND_COUNT] = {"mlp", "cnn", "resnet"};

    return kind < NL_NET_KIND_COUNT ? names[kind] : "unknown";
}

/* Largest number of units of a layer of a cnn or resnet, but for the outputs. */
static double widest_layer(const nl_net_spec *spec)
{
    const nl_convolutional_spec *c = &spec->convolutional;

    return (double)spec->width *
           fmax(pow(c->channel_growth, nl_larger(c->stages - 1, 0)), c->dense_multiple);
}

static nl_status check_convolutional(const nl_net_spec *spec)
{
    const nl_convolutional_spec *c = &spec->convolutional;
    double blocks = 0.0;

    if (c->image.height < 1 || c->image.width < 1 || c->image.channels < 1 ||
        (double)c->image.height * c->image.width * c->image.channels != spec->inputs) {
        return NL_FAIL(NL_ERR_ARG, "%s on images of %d x %d with %d channels: expected %d numbers",
                       nl_net_kind_name(spec->kind), c->image.height, c->image.width,
                       c->image.channels, spec->inputs);
    }
    if (c->stages < 1 || c->stages > nl_most_stages) {
        return NL_FAIL(NL_ERR_ARG, "%d stages: expected 1 to %d", c->stages, nl_most_stages);
    }
    for (int stage = 0; stage < c->stages; stage++) {
        blocks += c->blocks[stage] < 1 ? NAN : (double)c->blocks[stage] * spec->depth;
    }
    if (!(blocks <= nl_most_blocks)) {
        return NL_FAIL(NL_ERR_ARG, "stages: expected positive numbers, at most %d in all",
                       nl_most_blocks);
    }
    if (c->kernel_size < 1 || c->kernel_size % 2 == 0 || c->channel_growth < 1 ||
        c->dense_multiple < 0 || !(c->branch_scale >= 0.0) || isinf(c->branch_scale) ||
        !(widest_layer(spec) <= nl_most_channels)) {
        return NL_FAIL(NL_ERR_ARG,
                       "%s: expected an odd kernel, positive growth of channels, at most %d "
                       "channels, a branch scale >= 0",
                       nl_net_kind_name(spec->kind), nl_most_channels);
    }
    if (c->downsampling >= NL_DOWNSAMPLING_COUNT || c->head >= NL_HEAD_COUNT ||
        c->normalization >= NL_NORMALIZATION_COUNT ||
        (c->pool_last && c->downsampling == NL_STRIDE)) {
        return NL_FAIL(NL_ERR_ARG,
                       "%s: unknown downsampling, head or normalization, or a last "
                       "pool where nothing is pooled",
                       nl_net_kind_name(spec->kind));
    }
    return NL_OK;
}

static nl_status check_spec(const nl_net_spec *spec, nl_optimizer optimizer)
{
    if (spec->inputs < 1 || spec->outputs < 1 || spec->width < 1 || spec->depth < 1 ||
        spec->depth >= ntk_streams - 1) {
        return NL_FAIL(NL_ERR_ARG,
                       "network %d-%d-%d of depth %d: sizes must be positive, depth below %d",
                       spec->inputs, spec->width, spec->outputs, spec->depth, ntk_streams - 1);
    }
    if (spec->kind >= NL_NET_KIND_COUNT || spec->activation >= NL_ACTIVATION_COUNT ||
        optimizer >= NL_OPTIMIZER_COUNT || spec->parametrization >= NL_PARAMETRIZATION_COUNT) {
        return NL_FAIL(NL_ERR_ARG,
                       "network: unknown kind, activation, parametrization or optimizer");
    }
    if (spec->parametrization == NL_MUP && spec->base_width < 1) {
        return NL_FAIL(NL_ERR_ARG, "mup: base width %d must be positive", spec->base_width);
    }
    if (!(spec->weight_variance > 0.0 && spec->bias_variance >= 0.0) ||
        isinf(spec->weight_variance) || isinf(spec->bias_variance)) {
        return NL_FAIL(NL_ERR_ARG,
                       "variances %g of weights and %g of biases: expected > 0 and >= 0",
                       spec->weight_variance, spec->bias_variance);
    }
    return spec->kind == NL_MLP ? NL_OK : check_convolutional(spec);
}

static void set_standard(const nl_net_spec *spec, nl_layer *layer)
{
    const bool is_norm = layer->kind == NL_LAYER_NORM; /* begins as the identity */

    layer->trains_bias = layer->fan_out > 0;
    layer->weight_scale = 1.0;
    layer->bias_scale = 1.0;
    layer->weight_mean = is_norm ? 1.0 : 0.0;
    layer->weight_std = is_norm ? 0.0 : sqrt(spec->weight_variance / layer->fan_in);
    layer->bias_std = is_norm ? 0.0 : sqrt(spec->bias_variance);
    layer->weight_rate = 1.0;
    layer->bias_rate = 1.0;
    if (spec->kind != NL_MLP && !spec->convolutional.biases) {
        layer->trains_bias = false;
        layer->bias_scale = 0.0;
        layer->bias_std = 0.0;
    }
}

/* Jacot et al. 2018: unit draws, the variances in the forward pass. */
static void set_ntk(const nl_net_spec *spec, nl_layer *layer)
{
    set_standard(spec, layer);
    if (layer->kind == NL_LAYER_NORM) {
        return;
    }
    layer->trains_bias = layer->trains_bias && spec->bias_variance > 0.0;
    layer->weight_scale = sqrt(spec->weight_variance / layer->fan_in);
    layer->bias_scale = layer->trains_bias ? sqrt(spec->bias_variance) : 0.0;
    layer->weight_std = 1.0;
    layer->bias_std = layer->trains_bias ? 1.0 : 0.0;
}

/* Yang & Hu 2021 (Tensor Programs IV, V), in the one form that nn.h tells; r = width / base_width.
 */
static void set_mup(const nl_net_spec *spec, nl_optimizer optimizer, nl_layer *layer)
{
    const double r = (double)spec->width / spec->base_width;
    const bool output = layer->role == NL_ROLE_OUTPUT;
    const bool hidden = layer->role == NL_ROLE_HIDDEN && /* width x width weights */
                        layer->kind != NL_LAYER_NORM;

    set_standard(spec, layer);
    if (output) {
        const int base_fan_in = layer->fan_in / spec->width * spec->base_width;

        layer->weight_scale = 1.0 / r;
        layer->weight_std = sqrt(spec->weight_variance / base_fan_in);
    }
    if (optimizer == NL_ADAM) {
        layer->weight_rate = hidden ? 1.0 / r : 1.0;
    } else {
        layer->weight_rate = hidden ? 1.0 : r;
        layer->bias_rate = output ? 1.0 : r; /* biases of all hidden units */
    }
}

/* Where the parameters of each layer lie, and how they are scaled. */
static void lay_out(nl_net *net)
{
    const nl_net_spec *spec = &net->spec;

    for (int l = 0; l < net->layers; l++) {
        nl_layer *layer = &net->layer[l];

        layer->weights = net->size;
        layer->biases = layer->weights + (size_t)layer->fan_in * (size_t)layer->fan_out;
        net->size = layer->biases + (size_t)layer->fan_out;
        if (spec->parametrization == NL_NTK) {
            set_ntk(spec, layer);
        } else if (spec->parametrization == NL_MUP) {
            set_mup(spec, net->optimizer, layer);
        } else {
            set_standard(spec, layer);
        }
        net->trained += nl_layer_weights(layer);
        net->trained += layer->trains_bias ? (size_t)layer->fan_out : 0;
    }
}

nl_status nl_net_create(const nl_net_spec *spec, nl_optimizer optimizer, nl_net **out)
{
    static nl_status (*const builders[NL_NET_KIND_COUNT])(nl_net *) = {
        [NL_MLP] = nl_build_mlp, [NL_CNN] = nl_build_cnn, [NL_RESNET] = nl_build_resnet};
    nl_net *net = NULL;
    nl_status status = check_spec(spec, optimizer);

    *out = NULL;
    if (status != NL_OK) {
        return status;
    }
    net = calloc(1, sizeof *net);
    if (net == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "network");
    }
    *net = (nl_net){.spec = *spec, .optimizer = optimizer};
    status = builders[spec->kind](net);
    if (status != NL_OK) {
        nl_net_destroy(&net);
        return status;
    }
    lay_out(net);
    *out = net;
    return NL_OK;
}

void nl_net_destroy(nl_net **net)
{
    if (*net != NULL) {
        free((*net)->layer);
        free(*net);
        *net = NULL;
    }
}

static bool same_convolutional(const nl_convolutional_spec *a, const nl_convolutional_spec *b)
{
    return a->image.height == b->image.height && a->image.width == b->image.width &&
           a->image.channels == b->image.channels && a->stages == b->stages &&
           memcmp(a->blocks, b->blocks, (size_t)a->stages * sizeof *a->blocks) == 0 &&
           a->channel_growth == b->channel_growth && a->kernel_size == b->kernel_size &&
           a->downsampling == b->downsampling && a->pool_last == b->pool_last &&
           a->head == b->head && a->dense_multiple == b->dense_multiple &&
           a->normalization == b->normalization && a->branch_scale == b->branch_scale &&
           a->biases == b->biases;
}

bool nl_net_spec_equal(const nl_net_spec *a, const nl_net_spec *b)
{
    return a->kind == b->kind &&
           (a->kind == NL_MLP || same_convolutional(&a->convolutional, &b->convolutional)) &&
           a->inputs == b->inputs && a->outputs == b->outputs && a->width == b->width &&
           a->depth == b->depth && a->activation == b->activation &&
           a->parametrization == b->parametrization && a->base_width == b->base_width &&
           a->weight_variance == b->weight_variance && a->bias_variance == b->bias_variance;
}

bool nl_net_is_dense(const nl_net *net)
{
    for (int l = 0; l < net->layers; l++) {
        if (net->layer[l].kind != NL_DENSE || net->layer[l].from != l - 1) {
            return false;
        }
    }
    return true;
}

/* Layers are in the order of the forward pass and all have a part in the outputs: a way round layer
 * l is a layer behind it that takes from one before it. */
bool nl_net_needs(const nl_net *net, int l)
{
    for (int k = l + 1; k < net->layers; k++) {
        const nl_layer *layer = &net->layer[k];

        if (layer->from < l || (layer->kind == NL_ADD && layer->plus < l)) {
            return false;
        }
    }
    return true;
}

int nl_net_output(const nl_net *net)
{
    return net->layers - 1;
}

int nl_net_last_hidden(const nl_net *net)
{
    return net->layer[nl_net_output(net)].from;
}

int nl_net_widest(const nl_net *net)
{
    int most = 0;

    for (int l = 0; l < net->layers; l++) {
        most = nl_larger(most, nl_shape_size(net->layer[l].out));
    }
    return most;
}

size_t nl_net_largest_layer(const nl_net *net)
{
    size_t most = 0;

    for (int l = 0; l < net->layers; l++) {
        const size_t size = nl_layer_weights(&net->layer[l]) + (size_t)net->layer[l].fan_out;

        most = size > most ? size : most;
    }
    return most;
}

double nl_net_forward_flops(const nl_net *net)
{
    double flops = 0.0;

    for (int l = 0; l < net->layers; l++) {
        flops += nl_layer_forward_flops(&net->layer[l]);
    }
    return flops;
}

/* In PyTorch's order. */
static void draw(nl_rng *rng, const nl_layer *layer, float *w)
{
    const size_t n = nl_layer_weights(layer);

    for (size_t k = 0; k < n; k++) {
        const double deviation =
            layer->weight_std > 0.0 ? layer->weight_std * nl_rng_normal(rng) : 0.0;

        w[nl_layer_place(layer, k)] = (float)(layer->weight_mean + deviation);
    }
    for (size_t k = 0; k < (size_t)layer->fan_out; k++) {
        w[n + k] = layer->bias_std > 0.0 ? (float)(layer->bias_std * nl_rng_normal(rng)) : 0.0F;
    }
}

void nl_net_initialize(const nl_net *net, uint32_t seed, float *theta)
{
    const nl_net_spec *spec = &net->spec;
    const uint32_t first =
        (uint32_t)spec->kind * kind_streams + (spec->parametrization == NL_NTK ? ntk_streams : 0);
    uint32_t nth = 0; /* of the layers with parameters, from 1 */

    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];
        nl_rng rng = {0};

        if (layer->fan_out == 0) {
            continue;
        }
        rng = nl_rng_open(seed, NL_PURPOSE_INIT, (uint32_t)spec->width, (uint32_t)spec->depth,
                          first + ++nth);
        draw(&rng, layer, theta + layer->weights);
    }
}
