/** @file training_step.c  A network in training: forward, backward, one step. */
#include "dense.h"
#include "sample_batch.h"
#include "unit_batch.h"

#include <math.h>
#include <stdlib.h>

#ifdef __SSE2__
#include <xmmintrin.h>
#endif

struct nl_model {
    nl_trained trained;         /* its arrays owned */
    nl_unit_batch *by_unit;     /* owned; networks of dense layers alone, else NULL */
    nl_sample_batch *by_sample; /* owned; others */
    float *logits, *error;      /* owned; [batch x outputs]: f, and the gradient by f */
};

int nl_step_cores(const nl_net *net, int batch)
{
    const double operations_per_core = 5e7;
    const double cores = 3.0 * nl_net_forward_flops(net) * batch / operations_per_core;
    /* The way back has as many pieces as there are blocks of inputs, the way forward more. */
    const double pieces = nl_net_is_dense(net)
                              ? 2.0 * ceil((double)nl_net_widest(net) / nl_block_inputs)
                              : nl_sample_batch_parts(net, batch);

    return nl_larger((int)fmin(fmin(cores, pieces), nl_most_of_crew), 1);
}

double nl_model_floats(const nl_net *net, int batch)
{
    return 2.0 * batch * net->spec.outputs + (nl_net_is_dense(net)
                                                  ? batch * nl_unit_batch_row_floats(net)
                                                  : nl_sample_batch_floats(net));
}

double nl_model_shared_floats(const nl_net *net, int batch, int cores)
{
    return nl_net_is_dense(net) ? nl_unit_batch_shared_floats(net, cores)
                                : nl_sample_batch_shared_floats(net, batch, cores);
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

static nl_status allocate(nl_model *model, int batch)
{
    nl_trained *trained = &model->trained;
    const nl_net *net = trained->net;
    const size_t outputs = (size_t)net->spec.outputs * (size_t)batch;

    trained->theta = nl_calloc(net->size, sizeof *trained->theta);
    trained->state = nl_calloc(trained->state_size, sizeof *trained->state);
    model->logits = nl_calloc(outputs, sizeof *model->logits);
    model->error = nl_calloc(outputs, sizeof *model->error);
    if (trained->theta == NULL || trained->state == NULL || model->logits == NULL ||
        model->error == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "network of %zu parameters in training on batches of %d",
                       net->size, batch);
    }
    return nl_net_is_dense(net)
               ? nl_unit_batch_create(net, trained->spec.optimizer, batch, &model->by_unit)
               : nl_sample_batch_create(net, batch, &model->by_sample);
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
    model->trained =
        (nl_trained){.net = net, .spec = *spec, .state_size = states[spec->optimizer] * net->size};
    status = allocate(model, batch);
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
        nl_unit_batch_destroy(&m->by_unit);
        nl_sample_batch_destroy(&m->by_sample);
        free(m->error);
        free(m->logits);
        free(m->trained.state);
        free(m->trained.theta);
        free(m);
        *model = NULL;
    }
}

nl_status nl_model_set_crew(nl_model *model, nl_crew *crew)
{
    if (model->by_sample != NULL) {
        nl_sample_batch_set_crew(model->by_sample, crew);
        return NL_OK;
    }
    return nl_unit_batch_set_crew(model->by_unit, crew);
}

float *nl_model_parameters(nl_model *model)
{
    return model->trained.theta;
}

float *nl_model_optimizer_state(nl_model *model, size_t *size)
{
    *size = model->trained.state_size;
    return model->trained.state;
}

static void forward(nl_model *model, int rows, const float *x, bool with_slopes)
{
    const float *theta = model->trained.theta;

    if (model->by_unit != NULL) {
        nl_unit_batch_forward(model->by_unit, theta, rows, x, with_slopes, model->logits);
    } else {
        nl_sample_batch_forward(model->by_sample, theta, rows, x, model->logits);
    }
}

const float *nl_model_forward(nl_model *model, int rows, const float *x)
{
    forward(model, rows, x, false);
    return model->logits;
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
    const nl_trained *trained = &model->trained;
    const unsigned mode = flush_subnormals();
    double loss = 0.0;

    if (model->by_sample != NULL) {
        loss = nl_sample_batch_step(model->by_sample, &model->trained, step, rows, x, labels);
    } else {
        forward(model, rows, x, true);
        loss = nl_loss_gradient(trained->spec.loss, rows, trained->net->spec.outputs, model->logits,
                                labels, model->error);
        nl_unit_batch_backward(model->by_unit, &model->trained, step, rows, x, model->error);
    }
    restore_subnormals(mode);
    return loss;
}
