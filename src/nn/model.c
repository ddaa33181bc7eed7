/** @file model.c  A network in training: forward, backward, one step. */
#include "ntklens/blas.h"

#include "loops.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#ifdef __SSE2__
#include <xmmintrin.h>
#endif

enum {
    panel_size = 64 * 1024, /* floats of a weight gradient that are made and used up at a time: they
                               stay in the L2 cache */
    least_width = 48,       /* where transposing the samples pays */
    most_transposed = 64    /* rows of samples; more gain nothing */
};

struct nl_model {
    const nl_net *net; /* borrowed */
    nl_train_spec spec;
    int batch;         /* most rows */
    float *theta;      /* owned, [net->size] */
    float *state;      /* owned, [state_size]: momentum v; adam m, then v */
    size_t state_size; /* floats */
    bool pieces;       /* nl_blas_likes_pieces() */
    /* Scratch, owned.  All but the logits lie unit by unit, [units x rows] (see loops.h). */
    float *hidden;         /* h_1 .. h_depth, each with room for [width x batch] */
    float *slopes;         /* phi' likewise; NULL where it follows from h */
    float *delta, *below;  /* [widest x batch]: gradient by z_l, and by z_{l-1} in the making */
    float *samples;        /* x, unit by unit: [inputs x rows_transposed()] */
    float *logits, *error; /* [batch x outputs]: f, and the gradient by f */
    float *gradient;       /* [a panel of weights, at least a unit's; or the biases] */
};

/* Activations as BLAS takes them: op(data) is [rows x units], column-major. */
typedef struct matrix {
    const float *data;
    char op; /* 'N': unit by unit; 'T': row by row, as the samples come */
    int ld;
} matrix;

static void gemm(const nl_model *model, char op_a, char op_b, int m, int n, int k, double alpha,
                 const float *a, int lda, const float *b, int ldb, double beta, float *c, int ldc)
{
    const float alpha_f = (float)alpha;
    const float beta_f = (float)beta;

    if (op_a == 'N') {
        nl_gemm_single(model->pieces, op_b, m, n, k, alpha_f, a, lda, b, ldb, beta_f, c, ldc);
    } else {
        sgemm_(&op_a, &op_b, &m, &n, &k, &alpha_f, a, &lda, b, &ldb, &beta_f, c, &ldc);
    }
}

/* Rows of samples up to which they are transposed for the first product; 0: never. */
static int rows_transposed(const nl_model *model)
{
    return model->pieces && model->net->spec.width >= least_width
               ? nl_smaller(model->batch, most_transposed)
               : 0;
}

static nl_status check_spec(const nl_net *net, const nl_train_spec *spec, int batch)
{
    if (spec->optimizer != net->optimizer) {
        return NL_FAIL(NL_ERR_ARG, "network made for %s, training with %s: expected the same",
                       nl_optimizer_name(net->optimizer), nl_optimizer_name(spec->optimizer));
    }
    if (spec->loss >= NL_LOSS_COUNT || spec->schedule >= NL_SCHEDULE_COUNT) {
        return NL_FAIL(NL_ERR_ARG, "training: unknown loss or schedule");
    }
    if (batch < 1 || !isfinite(spec->learning_rate) || !isfinite(spec->momentum) ||
        !isfinite(spec->weight_decay)) {
        return NL_FAIL(NL_ERR_ARG, "training: expected a positive batch and finite rates");
    }
    if (spec->schedule == NL_COSINE && spec->max_steps < 1) {
        return NL_FAIL(NL_ERR_ARG, "cosine schedule over %ld steps: expected at least one",
                       spec->max_steps);
    }
    return NL_OK;
}

static nl_status allocate(nl_model *model)
{
    const nl_net_spec *net = &model->net->spec;
    const size_t batch = (size_t)model->batch;
    const size_t hidden = (size_t)net->depth * (size_t)net->width * batch;
    const size_t widest = (size_t)nl_larger(net->width, net->outputs);
    const size_t unit = (size_t)nl_larger(net->inputs, net->width);
    const bool stores_slopes = !nl_slope_follows_from_value(net->activation);

    model->theta = nl_calloc(model->net->size, sizeof *model->theta);
    model->state = nl_calloc(model->state_size, sizeof *model->state);
    model->hidden = nl_calloc(hidden, sizeof *model->hidden);
    model->slopes = stores_slopes ? nl_calloc(hidden, sizeof *model->slopes) : NULL;
    model->delta = nl_calloc(widest * batch, sizeof *model->delta);
    model->below = nl_calloc(widest * batch, sizeof *model->below);
    model->samples =
        nl_calloc((size_t)net->inputs * (size_t)rows_transposed(model), sizeof *model->samples);
    model->logits = nl_calloc((size_t)net->outputs * batch, sizeof *model->logits);
    model->error = nl_calloc((size_t)net->outputs * batch, sizeof *model->error);
    model->gradient = nl_calloc(panel_size + unit + widest, sizeof *model->gradient);
    if (model->theta == NULL || model->state == NULL || model->hidden == NULL ||
        (stores_slopes && model->slopes == NULL) || model->delta == NULL || model->below == NULL ||
        model->samples == NULL || model->logits == NULL || model->error == NULL ||
        model->gradient == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "network of %zu parameters in training on batches of %d",
                       model->net->size, model->batch);
    }
    return NL_OK;
}

nl_status nl_model_create(const nl_net *net, const nl_train_spec *spec, int batch, nl_model **out)
{
    static const size_t states[NL_OPTIMIZER_COUNT] = {
        [NL_SGD] = 0, [NL_MOMENTUM] = 1, [NL_ADAM] = 2};
    nl_status status = check_spec(net, spec, batch);
    nl_model *model = NULL;

    *out = NULL;
    if (status != NL_OK) {
        return status;
    }
    model = calloc(1, sizeof *model);
    if (model == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "network in training");
    }
    *model =
        (nl_model){.net = net, .spec = *spec, .batch = batch, .pieces = nl_blas_likes_pieces()};
    model->state_size = states[spec->optimizer] * net->size;
    status = allocate(model);
    if (status != NL_OK) {
        nl_model_destroy(&model);
        return status;
    }
    *out = model;
    return NL_OK;
}

void nl_model_destroy(nl_model **model)
{
    nl_model *m = *model;

    if (m != NULL) {
        free(m->gradient);
        free(m->error);
        free(m->logits);
        free(m->samples);
        free(m->below);
        free(m->delta);
        free(m->slopes);
        free(m->hidden);
        free(m->state);
        free(m->theta);
        free(m);
        *model = NULL;
    }
}

float *nl_model_parameters(nl_model *model)
{
    return model->theta;
}

float *nl_model_optimizer_state(nl_model *model, size_t *size)
{
    *size = model->state_size;
    return model->state;
}

/* Offset in `hidden` and `slopes` of h_level, level = 1 .. depth. */
static size_t hidden_at(const nl_model *model, int level)
{
    return (size_t)(level - 1) * (size_t)model->net->spec.width * (size_t)model->batch;
}

/* phi' of level; NULL where it follows from h. */
static float *slopes_at(const nl_model *model, int level)
{
    return model->slopes != NULL ? model->slopes + hidden_at(model, level) : NULL;
}

/* h_level: the samples for level 0. */
static matrix activations(const nl_model *model, int level, int rows, const float *x)
{
    if (level == 0) {
        return (matrix){.data = x, .op = 'T', .ld = model->net->spec.inputs};
    }
    return (matrix){.data = model->hidden + hidden_at(model, level), .op = 'N', .ld = rows};
}

/* The samples, as the first product is quicker with them. */
static matrix samples_for_product(nl_model *model, int rows, const float *x)
{
    const int inputs = model->net->spec.inputs;

    if (rows > rows_transposed(model)) {
        return activations(model, 0, rows, x);
    }
    nl_transpose_single(rows, inputs, x, inputs, model->samples, rows);
    return (matrix){.data = model->samples, .op = 'N', .ld = rows};
}

/* Fill hidden activations and logits, and slopes where asked for. */
static void forward(nl_model *model, int rows, const float *x, bool with_slopes)
{
    const nl_net *net = model->net;

    assert(rows >= 1 && rows <= model->batch);
    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];
        const float *bias = model->theta + layer->biases;
        const bool output = l == net->layers - 1;
        const matrix h =
            l == 0 ? samples_for_product(model, rows, x) : activations(model, l, rows, x);
        float *z = output ? model->delta : model->hidden + hidden_at(model, l + 1);

        gemm(model, h.op, 'N', rows, layer->fan_out, layer->fan_in, layer->s, h.data, h.ld,
             model->theta + layer->weights, layer->fan_in, 0.0, z, rows);
        if (output) {
            nl_add_bias(layer->fan_out, rows, (float)layer->t, bias, z);
            nl_transpose_single(layer->fan_out, rows, z, rows, model->logits, layer->fan_out);
        } else {
            nl_activate(net->spec.activation, layer->fan_out, rows, (float)layer->t, bias, z,
                        with_slopes ? slopes_at(model, l + 1) : NULL);
        }
    }
}

const float *nl_model_forward(nl_model *model, int rows, const float *x)
{
    forward(model, rows, x, false);
    return model->logits;
}

/* Units of a panel of weights. */
static int panel_units(const nl_model *model, const nl_layer *layer)
{
    return model->spec.optimizer == NL_SGD
               ? layer->fan_out
               : nl_even_part(layer->fan_out, nl_larger(panel_size / layer->fan_in / 8 * 8, 1));
}

/* W -= rate s delta^T h and its kin.  The gradient of momentum and adam is made and used panel by
 * panel, a panel being the weights of as many units as fit; sgd's goes straight into W. */
static void update_weights(nl_model *model, const nl_layer *layer, const nl_update *update,
                           int rows, matrix h)
{
    const char op = h.op == 'N' ? 'T' : 'N';
    const int fan_in = layer->fan_in;
    const int panel = panel_units(model, layer);

    for (int unit = 0; unit < layer->fan_out; unit += panel) {
        const int units = layer->fan_out - unit < panel ? layer->fan_out - unit : panel;
        const size_t count = (size_t)units * (size_t)fan_in;
        const size_t at = layer->weights + (size_t)unit * (size_t)fan_in;
        const float *delta = model->delta + (size_t)unit * (size_t)rows;
        float *w = model->theta + at;

        switch (model->spec.optimizer) {
        case NL_SGD:
            gemm(model, op, 'N', fan_in, units, rows, -update->rate * layer->s, h.data, h.ld, delta,
                 rows, 1.0 - update->rate * update->decay, w, fan_in);
            break;
        case NL_MOMENTUM:
            gemm(model, op, 'N', fan_in, units, rows, layer->s, h.data, h.ld, delta, rows,
                 update->momentum, model->state + at, fan_in);
            nl_update_momentum(update, count, model->state + at, w);
            break;
        default:
            gemm(model, op, 'N', fan_in, units, rows, layer->s, h.data, h.ld, delta, rows, 0.0,
                 model->gradient, fan_in);
            nl_update_adam(update, count, model->gradient, model->state + at,
                           model->state + model->net->size + at, w);
            break;
        }
    }
}

static void update_biases(nl_model *model, const nl_layer *layer, const nl_update *update, int rows)
{
    const size_t count = (size_t)layer->fan_out;
    float *b = model->theta + layer->biases;
    float *v = NULL;

    nl_unit_sums(layer->fan_out, rows, (float)layer->t, model->delta, model->gradient);
    switch (model->spec.optimizer) {
    case NL_SGD:
        nl_update_sgd(update, count, model->gradient, b);
        break;
    case NL_MOMENTUM:
        v = model->state + layer->biases;
        for (size_t k = 0; k < count; k++) {
            v[k] = update->momentum * v[k] + model->gradient[k];
        }
        nl_update_momentum(update, count, v, b);
        break;
    default:
        nl_update_adam(update, count, model->gradient, model->state + layer->biases,
                       model->state + model->net->size + layer->biases, b);
        break;
    }
}

/* From delta = d loss / d z_l to d loss / d z_{l-1}, in `below`; l = 2 .. L. */
static void propagate(nl_model *model, int l, int rows)
{
    const nl_layer *layer = &model->net->layer[l - 1];

    gemm(model, 'N', 'T', rows, layer->fan_in, layer->fan_out, layer->s, model->delta, rows,
         model->theta + layer->weights, layer->fan_in, 0.0, model->below, rows);
    nl_activate_backward(model->net->spec.activation, (size_t)layer->fan_in * (size_t)rows,
                         model->hidden + hidden_at(model, l - 1), slopes_at(model, l - 1),
                         model->below);
}

/* From delta of the output layer down, each layer updated as soon as its old W has been used. */
static void backward(nl_model *model, long step, int rows, const float *x)
{
    for (int l = model->net->layers; l >= 1; l--) {
        const nl_layer *layer = &model->net->layer[l - 1];
        const nl_update weights = nl_update_of(&model->spec, step, layer->weight_rate);
        const nl_update biases = nl_update_of(&model->spec, step, layer->bias_rate);
        float *used = model->delta;

        if (l > 1) {
            propagate(model, l, rows);
        }
        update_weights(model, layer, &weights, rows, activations(model, l - 1, rows, x));
        if (layer->trains_bias) {
            update_biases(model, layer, &biases, rows);
        }
        model->delta = model->below;
        model->below = used;
    }
}

/* The moments of dead units decay into subnormal numbers and stay there, on which some CPUs are a
 * hundred times slower.  Round those to zero during a step; returns what restores the old mode. */
static unsigned flush_subnormals(void)
{
#ifdef __SSE2__
    const unsigned flush_results_and_operands = 0x8040;
    const unsigned mode = _mm_getcsr();

    _mm_setcsr(mode | flush_results_and_operands);
    return mode;
#else
    return 0;
#endif
}

static void restore_subnormals(unsigned mode)
{
#ifdef __SSE2__
    _mm_setcsr(mode);
#else
    (void)mode;
#endif
}

double nl_model_step(nl_model *model, long step, int rows, const float *x, const int *labels)
{
    const int outputs = model->net->spec.outputs;
    const unsigned mode = flush_subnormals();
    double loss = 0.0;

    forward(model, rows, x, true);
    loss = nl_loss_gradient(model->spec.loss, rows, outputs, model->logits, labels, model->error);
    nl_transpose_single(rows, outputs, model->error, outputs, model->delta, rows);
    backward(model, step, rows, x);
    restore_subnormals(mode);
    return loss;
}
