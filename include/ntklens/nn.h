/** @file nn.h  Networks, losses, optimisers, one training step.  No MPI, no files: all Local. */
#ifndef NTKLENS_NN_H
#define NTKLENS_NN_H

#include "ntklens/base.h"
#include "ntklens/crew.h"

typedef enum nl_net_kind { NL_MLP, NL_CNN, NL_RESNET, NL_NET_KIND_COUNT } nl_net_kind;
typedef enum nl_activation { NL_RELU, NL_TANH, NL_ERF, NL_GELU, NL_ACTIVATION_COUNT } nl_activation;
typedef enum nl_parametrization {
    NL_STANDARD,
    NL_NTK,
    NL_MUP,
    NL_PARAMETRIZATION_COUNT
} nl_parametrization;
typedef enum nl_loss { NL_CROSS_ENTROPY, NL_MSE, NL_LOSS_COUNT } nl_loss;
typedef enum nl_optimizer { NL_SGD, NL_MOMENTUM, NL_ADAM, NL_OPTIMIZER_COUNT } nl_optimizer;
typedef enum nl_schedule { NL_CONSTANT, NL_COSINE, NL_SCHEDULE_COUNT } nl_schedule;

/** Names as in the study file ("relu", "standard", "sgd"). */
const char *nl_activation_name(nl_activation activation);
const char *nl_parametrization_name(nl_parametrization parametrization);
const char *nl_optimizer_name(nl_optimizer optimizer);
const char *nl_net_kind_name(nl_net_kind kind);

/** phi(z) and phi'(z) in double: the definition, which the fast float loops are tested against. */
double nl_activation_value(nl_activation activation, double z);
double nl_activation_slope(nl_activation activation, double z);

/*---------------------------------------------------------------------------------------------
 * Network (mlp): h_0 = x; z_l = s_l W_l h_{l-1} + t_l b_l; h_l = phi(z_l); f = z_L.
 * l = 1 .. L = depth + 1; nl_net.layer[0] is l = 1; s_l: nl_layer.weight_scale, t_l: bias_scale
 *
 * standard: W ~ N(0, sigma_w^2 / fan_in), b ~ N(0, sigma_b^2), s = t = 1; biases are trained
 *   even where sigma_b = 0.
 * ntk: W, b ~ N(0, 1), s = sigma_w / sqrt(fan_in), t = sigma_b (Jacot et al. 2018); without a bias
 *   where sigma_b = 0.
 * mup (Yang & Hu 2021, Tensor Programs IV and V): of its equivalent forms this one, r = width /
 *   base_width: as standard, but W_L ~ N(0, sigma_w^2 / base_width) and s_L = 1 / r.  Learning
 *   rates: sgd and momentum: eta r for input and output weights and for hidden biases, eta for
 *   hidden weights and the output bias; adam: eta / r for hidden weights, eta elsewhere.  Width =
 *   base_width is standard bit for bit.  Forms that are equal in training differ in their plain
 *   kernel, hence the rate-weighted one, sum_l (eta_l / eta) (...).  For adam neither is the
 *   preconditioned kernel.  Convolutional networks: all channels scale with width; fan_in of
 *   W_L at base_width stands for base_width; gain and shift of a norm go as hidden biases.
 *-------------------------------------------------------------------------------------------*/

typedef enum nl_downsampling {
    NL_AVERAGE_POOLING,
    NL_MAX_POOLING,
    NL_STRIDE,
    NL_DOWNSAMPLING_COUNT
} nl_downsampling;

typedef enum nl_head { NL_GLOBAL_AVERAGE_HEAD, NL_FLATTEN_HEAD, NL_HEAD_COUNT } nl_head;

typedef enum nl_normalization {
    NL_NO_NORMALIZATION,
    NL_LAYER_NORMALIZATION, /* over channels and positions of a sample, then gain and shift of
                               each channel */
    NL_NORMALIZATION_COUNT
} nl_normalization;

/** Activations of one sample, channels last; what has no positions is 1 x 1 x units. */
typedef struct nl_shape {
    int height, width, channels;
} nl_shape;

/** height * width * channels. */
int nl_shape_size(nl_shape shape);

enum { nl_most_stages = 16 };

/**
 * What cnn and resnet ask beside width and depth.  There are `stages` stages, stage k with depth *
 * blocks[k] convolutions (cnn) or residual blocks (resnet) of width * channel_growth^k channels;
 * then the head, a dense layer of width * dense_multiple units where that is not 0, and the output
 * layer.  All zero-padded.
 *
 * cnn: a convolution is followed by the norm, if any, and phi; stages end with a pool (the last one
 *   only where pool_last), or begin with a convolution of stride 2.
 * resnet: a first convolution of `width` channels without phi; blocks
 *   h + branch_scale conv(phi(norm(conv(phi(norm(h)))))), pre-activation (He et al. 2016), where
 *   channels or sides change with a 1 x 1 convolution of phi(norm(h)) instead of h; then norm and
 *   phi.  Sides are halved from stage to stage.
 */
typedef struct nl_convolutional_spec {
    nl_shape image; /* of a sample, which comes as planes [channels x height x width] */
    int stages;
    int blocks[nl_most_stages]; /* of a stage, times depth */
    int channel_growth;
    int kernel_size; /* odd */
    nl_downsampling downsampling;
    bool pool_last; /* downsampling behind the last stage, too */
    nl_head head;
    int dense_multiple; /* 0: no dense layer before the output */
    nl_normalization normalization;
    double branch_scale; /* of residual branches; 0: 1 / sqrt(blocks of the network) */
    bool biases;         /* false: of no layer */
} nl_convolutional_spec;

/** What convolutional networks may have at most: channels, or units of a dense layer; inputs of a
 *  dense layer; convolutions or residual blocks. */
enum {
    nl_most_channels = 1000000,
    nl_most_features = 1000000000,
    nl_most_blocks = 8000 /* layers have random streams of their own: 2^16 */
};

typedef struct nl_net_spec {
    nl_net_kind kind;
    int inputs, outputs;
    int width, depth; /* mlp: depth hidden layers of `width` units; depth >= 1 */
    nl_activation activation;
    nl_parametrization parametrization;
    int base_width;                        /* mup: the width at which it equals standard */
    double weight_variance, bias_variance; /* sigma_w^2 (per fan-in), sigma_b^2 */
    nl_convolutional_spec convolutional;   /* cnn, resnet; inputs = size of the image */
} nl_net_spec;

/*---------------------------------------------------------------------------------------------
 * Layers: a network is a list of them, in the order of the forward pass
 *-------------------------------------------------------------------------------------------*/

typedef enum nl_layer_kind {
    NL_DENSE,        /* z = s W h + t b; h: all numbers of what it takes */
    NL_CONVOLUTION,  /* z = s W * h + t b, zero padding kernel / 2 */
    NL_APPLY,        /* phi alone */
    NL_AVERAGE_POOL, /* over windows of `kernel` x `kernel` side by side; what fills no window is */
    NL_MAX_POOL,     /* dropped; the first of equal maxima, by row, then column */
    NL_GLOBAL_AVERAGE, /* over all positions */
    NL_LAYER_NORM,     /* W o (h - mean) / sqrt(variance + nl_norm_epsilon) + b, over channels and
                          positions of a sample; W and b: one number a channel */
    NL_ADD,            /* branch_scale h + the output of `plus` */
    NL_LAYER_KIND_COUNT
} nl_layer_kind;

static const double nl_norm_epsilon = 1e-5; /* as torch.nn.functional.layer_norm */

/** What a layer is to the network: mup's rates and the columns trace_first, trace_hidden and
 *  trace_output go by it.  NONE: it has no parameters. */
typedef enum nl_role { NL_ROLE_INPUT, NL_ROLE_HIDDEN, NL_ROLE_OUTPUT, NL_ROLE_NONE } nl_role;

/** One layer: an operation on the output of another one. */
typedef struct nl_layer {
    nl_layer_kind kind;
    nl_role role;
    int from;            /* index of the layer whose output it takes; -1: the sample */
    int plus;            /* likewise, the second input of NL_ADD; of others it means nothing */
    nl_shape in, out;    /* of one sample */
    int kernel, stride;  /* convolution, pools */
    bool activates;      /* phi follows at once; false: the output layer, among others */
    double branch_scale; /* NL_ADD: multiplier of what comes `from` */
    int fan_in, fan_out; /* inputs of a unit; units.  Convolution: kernel^2 in.channels, channels;
                            norm: 1, channels; 0, 0: it has no parameters */
    size_t weights;      /* offset of W in the flat vector: dense [fan_out x fan_in], row-major;
                            convolution [kernel x kernel x in.channels x out.channels] */
    size_t biases;       /* offset of b [fan_out]; always stored, zeros where not trained */
    bool trains_bias;    /* false: ntk with bias_variance = 0, networks without biases */
    double weight_scale; /* s, the multiplier of W in the forward pass */
    double bias_scale;   /* t, of b; 0 where b is not trained */
    double weight_mean;  /* of the initial draw */
    double weight_std;
    double bias_std;
    double weight_rate; /* learning rate over `learning_rate` (mup; 1 elsewhere) */
    double bias_rate;
} nl_layer;

/** Weights of a layer, without biases. */
size_t nl_layer_weights(const nl_layer *layer);

/** Shape of its weights as PyTorch has them: dense [fan_out x fan_in], convolution [out.channels x
 *  in.channels x kernel x kernel], norm [channels].  Returns how many dimensions; 0: it has none.
 */
enum { nl_most_weight_dimensions = 4 };
int nl_layer_weight_shape(const nl_layer *layer, size_t shape[nl_most_weight_dimensions]);

/** Where the k-th weight in PyTorch's order lies in W: convolutions are [kernel x kernel x
 *  in.channels x out.channels] here, and what a dense layer takes of an image is (row, column,
 *  channel), in PyTorch (channel, row, column). */
size_t nl_layer_place(const nl_layer *layer, size_t k);

/** Floating-point operations of a sample's way through the weights; a multiply-add is two. */
double nl_layer_forward_flops(const nl_layer *layer);

typedef struct nl_net {
    nl_net_spec spec;
    nl_optimizer optimizer; /* decides the mup rates */
    int layers;             /* L */
    nl_layer *layer;        /* [layers], owned; each takes from an earlier one; the last is the
                               output layer */
    size_t size;            /* floats in the flat parameter vector: the layers' in order, weights
                               before biases */
    size_t trained;         /* of which trained: column `parameters` */
} nl_net;

/** Convolutions (cnn) or residual blocks (resnet) of all stages. */
int nl_net_blocks(const nl_net_spec *spec);

/** Are these the same networks, but for their learning rates? */
bool nl_net_spec_equal(const nl_net_spec *a, const nl_net_spec *b);

NL_MUST_CHECK nl_status nl_net_create(const nl_net_spec *spec, nl_optimizer optimizer,
                                      nl_net **out);
void nl_net_destroy(nl_net **net);

/** Are all layers dense, each on the one before it?  Such networks have passes of their own. */
bool nl_net_is_dense(const nl_net *net);

/** Do all ways from the sample to the outputs lead through layer l? */
bool nl_net_needs(const nl_net *net, int l);

/** Index of the output layer. */
int nl_net_output(const nl_net *net);

/** Index of the layer whose output the output layer takes. */
int nl_net_last_hidden(const nl_net *net);

/** Numbers in the largest output of a layer, for one sample. */
int nl_net_widest(const nl_net *net);

/** Weights and biases of the layer that has most. */
size_t nl_net_largest_layer(const nl_net *net);

/** Floating-point operations of one sample's forward pass. */
double nl_net_forward_flops(const nl_net *net);

/** Draw initial parameters: theta [net->size], a function of (seed, kind, width, depth,
 * parametrisation); standard and mup share their draws, so that mup at width = base_width is
 * standard bit for bit.
 */
void nl_net_initialize(const nl_net *net, uint32_t seed, float *theta);

/*---------------------------------------------------------------------------------------------
 * Training
 *-------------------------------------------------------------------------------------------*/

typedef struct nl_train_spec {
    nl_loss loss;
    nl_optimizer optimizer;
    double learning_rate;
    double momentum;     /* used by momentum only */
    double weight_decay; /* added to the gradient, g += weight_decay * w, as torch.optim does */
    nl_schedule schedule;
    long max_steps; /* end of the cosine */
} nl_train_spec;

/** A network in training: parameters, optimiser state, scratch for `batch` rows.  Opaque. */
typedef struct nl_model nl_model;

/**
 * @param[in] net    borrowed, outlives the model
 * @param[in] batch  most rows of one nl_model_step() or nl_model_forward()
 */
NL_MUST_CHECK nl_status nl_model_create(const nl_net *net, const nl_train_spec *spec, int batch,
                                        nl_model **out);
void nl_model_destroy(nl_model **model);

/** Let others share what a model computes; crew: borrowed, outlives the model, and is limited to as
 *  many threads as there shall be scratch for. */
NL_MUST_CHECK nl_status nl_model_set_crew(nl_model *model, nl_crew *crew);

/** Cores that a step makes use of, at least 1: one more gains nothing below half a millisecond of
 *  work for each.  Pure. */
int nl_step_cores(const nl_net *net, int batch);

/** Floats of scratch that a model has for batches of so many rows, but for the samples. */
double nl_model_floats(const nl_net *net, int batch);

/** The same that comes to that where `cores` share its steps.  Pure. */
double nl_model_shared_floats(const nl_net *net, int batch, int cores);

/** Parameters [net->size]; the model's own, for reading, snapshots and restoring. */
float *nl_model_parameters(nl_model *model);

/** Optimiser state [*size floats] (none: sgd; v: momentum; m, then v: adam; net->size each, laid
 * out as the parameters); for checkpoints. */
float *nl_model_optimizer_state(nl_model *model, size_t *size);

/**
 * One step on `rows` samples: forward, loss, backward, update.  No allocation.  Deterministic for
 * one BLAS thread.  Where the CPU can, subnormal numbers count as zero during the step.
 *
 * @param[in] step    number of this step, from 0: decides schedule and adam's bias correction
 * @param[in] x       [rows x inputs], row-major
 * @param[in] labels  [rows]
 * @return loss of this batch before the update, accumulated in double; NaN or inf when diverged
 */
double nl_model_step(nl_model *model, long step, int rows, const float *x, const int *labels);

/** f(x): logits [rows x outputs], borrowed, valid until the next call. */
const float *nl_model_forward(nl_model *model, int rows, const float *x);

/** Sums over samples. */
typedef struct nl_loss_sum {
    double loss;  /* cross-entropy; mse: of the mean over classes */
    long correct; /* hits of argmax (the first of equal maxima; a row with a NaN is no hit) */
} nl_loss_sum;

/** Add `rows` samples, in double from float logits. */
void nl_loss_add(nl_loss loss, int rows, int outputs, const float *logits, const int *labels,
                 nl_loss_sum *sum);

/** d(mean loss over `rows`)/d logits into gradient [rows x outputs]; returns the mean loss. */
double nl_loss_gradient(nl_loss loss, int rows, int outputs, const float *logits, const int *labels,
                        float *gradient);

/** The same gradient in double.  probability [rows x outputs] holds the logits and becomes their
 *  softmax, whatever the loss. */
void nl_loss_gradient_exact(nl_loss loss, int rows, int outputs, const int *labels,
                            double *probability, double *gradient);

#endif
