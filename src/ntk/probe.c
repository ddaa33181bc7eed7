/** @file probe.c  What a network does on the probe, beside its kernel. */
#include "chunk_gradients.h"

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

/** Traces of chunks of the parameters, and of layers. */
typedef struct chunk_traces {
    double *weights, *biases; /* owned; [chunks x outputs] */
} chunk_traces;

static nl_status create_traces(const nl_chunk_gradients *g, chunk_traces *traces)
{
    const size_t count = (size_t)g->chunks * (size_t)g->view.outputs;

    traces->weights = nl_calloc(count, sizeof *traces->weights);
    traces->biases = nl_calloc(count, sizeof *traces->biases);
    return traces->weights != NULL && traces->biases != NULL
               ? NL_OK
               : NL_FAIL(NL_ERR_NOMEM, "out of memory for the probe's gradients");
}

static void take_traces(const nl_chunk_gradients *g, const chunk_traces *traces,
                        nl_probe_state *state)
{
    for (int k = 0, at = 0; k < g->chunks; k++) {
        const int layer = g->chunk[k].layer * state->outputs;

        for (int a = 0; a < state->outputs; a++, at++) {
            state->weight_trace[layer + a] += traces->weights[at];
            state->bias_trace[layer + a] += traces->biases[at];
        }
    }
}

static void take_outputs(const nl_chunk_gradients *g, int first, nl_probe_state *state)
{
    const size_t C = (size_t)state->outputs;

    memcpy(state->probability + (size_t)first * C, g->outputs,
           (size_t)g->count * C * sizeof *state->probability);
}

/* A few samples at a time, whose gradients serve nobody else. */
static nl_status add_panels(const nl_kernel_input *input, nl_chunk_gradients *g,
                            const chunk_traces *traces, nl_probe_state *state)
{
    const int panel = g->by_output.batch;
    nl_kept_memory own = {0};
    nl_kept_memory *memory = input->kept != NULL ? input->kept : &own;
    nl_kernel_input whole = *input;
    nl_status status = NL_OK;

    whole.interrupt = NULL;
    for (int first = 0; status == NL_OK && first < input->samples; first += panel) {
        nl_chunk_gradients_move(g, first, nl_smaller(panel, input->samples - first));
        for (int k = 0; status == NL_OK && k < g->chunks; k += g->held) {
            status = nl_chunk_gradients_hold(g, k, &whole, memory);
            if (status == NL_OK) {
                nl_chunk_gradients_add_traces(g, traces->weights, traces->biases);
            }
        }
        take_outputs(g, first, state);
    }
    nl_kept_memory_free(&own);
    return status;
}

/* The same of networks that are no chains of dense layers. */
static nl_status compute_gradients(const nl_kernel_input *input, nl_probe_state *state)
{
    nl_chunk_gradients *own = NULL;
    const nl_chunk_gradients *g = input->gradients;
    chunk_traces traces = {0};
    nl_status status = NL_OK;

    if (g == NULL) {
        status = nl_chunk_gradients_open_all(input, NL_DOUBLE, &own);
        g = own;
    }
    if (status == NL_OK) {
        status = create_traces(g, &traces);
    }
    if (status == NL_OK && own != NULL) {
        status = add_panels(input, own, &traces, state);
    } else if (status == NL_OK) {
        nl_chunk_gradients_add_traces(g, traces.weights, traces.biases);
        take_outputs(g, 0, state);
    }
    if (status == NL_OK) {
        take_traces(g, &traces, state);
    }
    nl_chunk_gradients_destroy(&own);
    free(traces.weights);
    free(traces.biases);
    return status;
}

static nl_status compute(const nl_kernel_input *input, nl_probe_state *state)
{
    nl_status status = NL_OK;

    if (!nl_net_is_dense(input->net)) {
        status = compute_gradients(input, state);
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
