/** @file probe.c  What a network does on the probe, beside its kernel. */
#include "joined.h"
#include "output_passes.h"

#include "ntklens/ntk.h"
#include "ntklens/par.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

enum { panel_samples = 64 }; /* whose factors are held at once */

static nl_status allocate(const nl_kernel_input *input, nl_loss loss, const int *labels,
                          nl_probe_state **out)
{
    nl_probe_state *state = calloc(1, sizeof *state);
    const size_t outputs = (size_t)input->net->spec.outputs;
    const size_t layers = (size_t)input->net->layers;

    *out = state;
    if (state == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the probe's outputs");
    }
    *state = (nl_probe_state){.net = input->net,
                              .samples = input->samples,
                              .outputs = (int)outputs,
                              .layers = (int)layers,
                              .labels = labels,
                              .loss = loss};
    state->gradient = nl_calloc((size_t)input->samples * outputs, sizeof(double));
    state->probability = nl_calloc((size_t)input->samples * outputs, sizeof(double));
    state->weight_trace = nl_calloc(layers * outputs, sizeof(double));
    state->bias_trace = nl_calloc(layers * outputs, sizeof(double));
    if (state->gradient == NULL || state->probability == NULL || state->weight_trace == NULL ||
        state->bias_trace == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the probe's outputs");
    }
    return NL_OK;
}

/* Outputs, for a start, stand where the probabilities will. */
static void add_factors(const nl_factors *factors, const float *theta, int first,
                        nl_probe_state *state)
{
    nl_factors_outputs(factors, theta, state->probability + (size_t)first * (size_t)state->outputs);
    nl_factors_add_layer_traces(factors, state->weight_trace, state->bias_trace);
}

static nl_status compute_factors(const nl_kernel_input *input, nl_probe_state *state)
{
    const int panel = input->samples < panel_samples ? input->samples : panel_samples;
    int list[panel_samples] = {0};
    nl_factors *factors = NULL;
    nl_status status = nl_factors_create(input->net, NL_DOUBLE, panel, &factors);

    for (int first = 0; status == NL_OK && first < input->samples; first += panel) {
        const int count = input->samples - first < panel ? input->samples - first : panel;

        for (int k = 0; k < count; k++) {
            list[k] = first + k;
        }
        nl_factors_compute(factors, input->theta, input->probe, count, list);
        add_factors(factors, input->theta, first, state);
    }
    nl_factors_destroy(&factors);
    return status;
}

/** Traces of the samples that go through passes. */
typedef struct trace_job {
    nl_passes *passes;
    nl_probe_state *state;
    int rows;
    double *gradient; /* [outputs x parameters of the largest layer] */
    double *mask;     /* [largest output of a layer] */
} trace_job;

static void add_squares(const trace_job *job, int l, int output, double weights, double biases)
{
    job->state->weight_trace[l * job->state->outputs + output] += weights;
    job->state->bias_trace[l * job->state->outputs + output] += biases;
}

/* Dense: (s^2 |h|^2 + t^2) |delta|^2 */
static void add_dense(const trace_job *job, int l, int sample, const double *delta)
{
    const nl_layer *layer = &job->state->net->layer[l];
    const size_t in = (size_t)layer->fan_in;
    const size_t out = (size_t)layer->fan_out;
    const double *h = nl_passes_input(job->passes, l);
    const double h2 = nl_squares_double(in, h + (size_t)sample * in);

    for (int a = 0; a < job->state->outputs; a++) {
        const double d2 = nl_squares_double(out, delta + (size_t)a * out);

        add_squares(job, l, a, layer->weight_scale * layer->weight_scale * h2 * d2,
                    layer->bias_scale * layer->bias_scale * d2);
    }
}

/* Rows of J, made and squared. */
static void add_rows(const trace_job *job, int l, int sample, const double *delta)
{
    const nl_layer *layer = &job->state->net->layer[l];
    const size_t weights = nl_layer_weights(layer);
    const size_t units = (size_t)layer->fan_out;
    const nl_row_range range = {
        .deltas = job->state->outputs, .count = layer->fan_out, .apart = weights + units};
    const double *row = job->gradient;

    nl_passes_rows(job->passes, l, sample, &range, delta, job->gradient);
    for (int a = 0; a < job->state->outputs; a++, row += range.apart) {
        add_squares(job, l, a, nl_squares_double(weights, row),
                    nl_squares_double(units, row + weights));
    }
}

/* joined.h: sum_o u^a[o]^2 |M[:, o]|^2; delta: of the average. */
static void add_joined(const trace_job *job, int l, int sample, const double *delta)
{
    const nl_layer *layer = &job->state->net->layer[l];
    const size_t units = (size_t)layer->fan_out;
    const size_t K = (size_t)layer->fan_in;
    const double share = 1.0 / ((double)layer->out.height * layer->out.width);
    const nl_row_range range = {.deltas = 1, .count = layer->fan_out};

    nl_joined_mask(job->passes, job->state->net, l, sample, job->mask);
    nl_passes_rows(job->passes, l, sample, &range, job->mask, job->gradient);
    for (size_t o = 0; o < units; o++) {
        const double bias = job->gradient[K * units + o];
        double squares = 0.0;

        for (size_t q = 0; q < K; q++) {
            squares += job->gradient[q * units + o] * job->gradient[q * units + o];
        }
        for (size_t a = 0; a < (size_t)job->state->outputs; a++) {
            const double u = share * delta[a * units + o];

            add_squares(job, l, (int)a, u * u * squares, u * u * bias * bias);
        }
    }
}

typedef void add_sample_fn(const trace_job *job, int l, int sample, const double *delta);

/* Of layer l, from back-signals of layer `from`. */
static void add_layer(const trace_job *job, int l, int from, const double *delta,
                      add_sample_fn *add)
{
    const size_t apart =
        (size_t)job->state->outputs * (size_t)nl_shape_size(job->state->net->layer[from].out);

    for (int sample = 0; sample < job->rows; sample++) {
        add(job, l, sample, delta + (size_t)sample * apart);
    }
}

/* Squared gradients of each sample and output, of all layers whose back-signals are known now. */
static void add_gradient_squares(int l, const void *delta, void *context)
{
    const trace_job *job = context;
    const nl_net *net = job->state->net;

    if (net->layer[l].kind == NL_DENSE) {
        add_layer(job, l, l, delta, add_dense);
    } else if (net->layer[l].fan_out > 0 && nl_joined_average(net, l) < 0) {
        add_layer(job, l, l, delta, add_rows);
    }
    for (int k = 0; net->layer[l].kind == NL_GLOBAL_AVERAGE && k < l; k++) {
        if (nl_joined_average(net, k) == l) {
            add_layer(job, k, l, delta, add_joined);
        }
    }
}

/* Parameters of the largest layer whose gradients are made. */
static size_t largest_convolution(const nl_net *net)
{
    size_t most = 0;

    for (int l = 0; l < net->layers; l++) {
        const size_t size = nl_layer_weights(&net->layer[l]) + (size_t)net->layer[l].fan_out;

        most = net->layer[l].kind != NL_DENSE && size > most ? size : most;
    }
    return most;
}

/* The same of networks that are no chains of dense layers. */
static nl_status compute_passes(const nl_kernel_input *input, nl_probe_state *state)
{
    const nl_kernel_view view =
        nl_kernel_view_of((nl_kernel_spec){.kind = NL_KERNEL_FULL}, state->outputs);
    const size_t C = (size_t)state->outputs;
    nl_output_passes by_output;
    trace_job job = {.state = state};
    nl_status status = nl_output_passes_create(input, NL_DOUBLE, &view, input->samples, &by_output);

    job.passes = by_output.passes;
    job.gradient = nl_alloc(C * largest_convolution(input->net), sizeof *job.gradient);
    job.mask = nl_alloc((size_t)nl_net_widest(input->net), sizeof *job.mask);
    if (status == NL_OK && (job.gradient == NULL || job.mask == NULL)) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the probe's gradients");
    }
    for (int first = 0; status == NL_OK && first < input->samples; first += by_output.batch) {
        const size_t at = (size_t)first * (size_t)input->net->spec.inputs;

        job.rows = nl_smaller(by_output.batch, input->samples - first);
        nl_passes_forward(by_output.passes, job.rows, input->probe + at, NULL);
        memcpy(state->probability + (size_t)first * C, nl_passes_outputs(by_output.passes),
               (size_t)job.rows * C * sizeof *state->probability);
        nl_passes_backward(by_output.passes, by_output.signal, 0, add_gradient_squares, &job);
    }
    nl_output_passes_free(&by_output);
    free(job.gradient);
    free(job.mask);
    return status;
}

static nl_status compute(const nl_kernel_input *input, nl_probe_state *state)
{
    nl_status status = NL_OK;

    if (!nl_net_is_dense(input->net)) {
        status = compute_passes(input, state);
    } else if (input->ready != NULL) {
        add_factors(input->ready, input->theta, 0, state);
    } else {
        status = compute_factors(input, state);
    }
    if (status == NL_OK) {
        nl_loss_gradient_exact(state->loss, state->samples, state->outputs, state->labels,
                               state->probability, state->gradient);
    }
    return status;
}

nl_status nl_probe_state_create(MPI_Comm comm, const nl_kernel_input *input, nl_loss loss,
                                const int *labels, nl_probe_state **out)
{
    nl_probe_state *state = NULL;
    nl_status status = allocate(input, loss, labels, &state);
    int rank = 0;

    *out = NULL;
    MPI_Comm_rank(comm, &rank);
    if (status == NL_OK && rank == 0) {
        status = compute(input, state);
    }
    status = nl_agree(comm, status);
    if (status != NL_OK) {
        nl_probe_state_destroy(&state);
        return status;
    }
    MPI_Bcast(state->gradient, state->samples * state->outputs, MPI_DOUBLE, 0, comm);
    MPI_Bcast(state->probability, state->samples * state->outputs, MPI_DOUBLE, 0, comm);
    MPI_Bcast(state->weight_trace, state->layers * state->outputs, MPI_DOUBLE, 0, comm);
    MPI_Bcast(state->bias_trace, state->layers * state->outputs, MPI_DOUBLE, 0, comm);
    *out = state;
    return NL_OK;
}

void nl_probe_state_destroy(nl_probe_state **state)
{
    if (*state != NULL) {
        free((*state)->gradient);
        free((*state)->probability);
        free((*state)->weight_trace);
        free((*state)->bias_trace);
        free(*state);
        *state = NULL;
    }
}

bool nl_probe_state_collapsed(const nl_probe_state *state)
{
    double all_weights = 0.0;
    double all_biases = 0.0;
    bool dead = false;

    for (int l = nl_net_output(state->net); l >= 0; l--) {
        double weights = 0.0;

        for (int a = 0; a < state->outputs; a++) {
            weights += state->weight_trace[l * state->outputs + a];
            all_biases += state->bias_trace[l * state->outputs + a];
        }
        /* nothing comes in, or nothing goes on, where there is no way round */
        dead = dead ||
               (weights == 0.0 && state->net->layer[l].fan_out > 0 && nl_net_needs(state->net, l));
        all_weights += weights;
    }
    return dead || all_weights <= FLT_EPSILON * (all_weights + all_biases);
}

void nl_observe_layers(const nl_probe_state *state, nl_kernel_spec spec, nl_observables *out)
{
    const int first = spec.kind == NL_KERNEL_CLASS ? spec.output : 0;
    const int end = spec.kind == NL_KERNEL_CLASS ? spec.output + 1 : state->outputs;
    const double rows = (double)state->samples * (end - first);

    out->trace_first = out->trace_hidden = out->trace_output = 0.0;
    for (int l = 0; l < state->layers; l++) {
        const nl_layer *layer = &state->net->layer[l];
        double *part = layer->role == NL_ROLE_INPUT    ? &out->trace_first
                       : layer->role == NL_ROLE_OUTPUT ? &out->trace_output
                                                       : &out->trace_hidden;

        for (int a = first; a < end; a++) {
            const int at = l * state->outputs + a;

            *part += state->weight_trace[at] * (spec.rate_weighted ? layer->weight_rate : 1.0);
            *part += state->bias_trace[at] * (spec.rate_weighted ? layer->bias_rate : 1.0);
        }
    }
    out->trace_first /= rows;
    out->trace_hidden /= rows;
    out->trace_output /= rows;
}
