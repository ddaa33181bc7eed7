/** @file probe.c  What a network does on the probe, beside its kernel. */
#include "joined.h"

#include "ntklens/ntk.h"
#include "ntklens/par.h"
#include "ntklens/passes.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

enum { panel_samples = 64 }; /* whose factors are held at once */

static const double pass_bytes = 32e6; /* of samples that go through the network at a time */

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

/* Squared gradients of each sample and output, of all layers whose back-signals are known now. */
static void add_gradient_squares(int l, const void *delta, void *context)
{
    const trace_job *job = context;
    const nl_net *net = job->state->net;
    const size_t apart = (size_t)job->state->outputs * (size_t)nl_shape_size(net->layer[l].out);

    for (int sample = 0; sample < job->rows; sample++) {
        const double *of_sample = (const double *)delta + (size_t)sample * apart;

        if (net->layer[l].kind == NL_DENSE) {
            add_dense(job, l, sample, of_sample);
        } else if (net->layer[l].fan_out > 0 && nl_joined_average(net, l) < 0) {
            add_rows(job, l, sample, of_sample);
        }
        for (int k = 0; net->layer[l].kind == NL_GLOBAL_AVERAGE && k < l; k++) {
            if (nl_joined_average(net, k) == l) {
                add_joined(job, k, sample, of_sample);
            }
        }
    }
}

static void pass_all(trace_job *job, const nl_kernel_input *input, int batch, const double *seeds)
{
    const size_t inputs = (size_t)input->net->spec.inputs;
    const size_t C = (size_t)input->net->spec.outputs;

    nl_passes_set_parameters(job->passes, input->theta);
    for (int first = 0; first < input->samples; first += batch) {
        job->rows = nl_smaller(batch, input->samples - first);
        nl_passes_forward(job->passes, job->rows, input->probe + (size_t)first * inputs, NULL);
        memcpy(job->state->probability + (size_t)first * C, nl_passes_outputs(job->passes),
               (size_t)job->rows * C * sizeof *job->state->probability);
        nl_passes_backward(job->passes, seeds, 0, add_gradient_squares, job);
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
    const size_t C = (size_t)input->net->spec.outputs;
    nl_passes_spec spec = {.precision = NL_DOUBLE, .rows = 1, .seeds = (int)C};
    trace_job job = {.state = state};
    double *seeds = NULL;
    nl_status status = NL_OK;

    spec.rows = nl_smaller(nl_larger((int)(pass_bytes / nl_passes_bytes(input->net, &spec)), 1),
                           input->samples);
    seeds = nl_calloc((size_t)spec.rows * C * C, sizeof *seeds);
    job.gradient = nl_calloc(C * largest_convolution(input->net), sizeof *job.gradient);
    job.mask = nl_calloc((size_t)nl_net_widest(input->net), sizeof *job.mask);
    if (seeds == NULL || job.gradient == NULL || job.mask == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the probe's gradients");
    } else {
        for (size_t row = 0; row < (size_t)spec.rows * C; row++) {
            seeds[row * C + row % C] = 1.0;
        }
        status = nl_passes_create(input->net, &spec, &job.passes);
    }
    if (status == NL_OK) {
        pass_all(&job, input, spec.rows, seeds);
    }
    nl_passes_destroy(&job.passes);
    free(seeds);
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
