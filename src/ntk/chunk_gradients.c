/** @file chunk_gradients.c  Gradients of some samples, chunk by chunk of the parameters. */
#include "chunk_gradients.h"
#include "joined.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/*---------------------------------------------------------------------------------------------
 * Samples
 *-------------------------------------------------------------------------------------------*/

static int by_number(const void *a, const void *b)
{
    const int x = *(const int *)a;
    const int y = *(const int *)b;

    return (x > y) - (x < y);
}

/* Which of `samples` [n] each sample of the list is. */
static void find_places(const nl_chunk_gradients *g, const int *samples, int n, int *place)
{
    for (int k = 0, at = 0; k < g->count; k++) {
        const bool is_there = at < n && samples[at] == g->list[k];

        place[k] = is_there ? at : -1;
        at += is_there;
    }
}

/* The samples of local rows and columns, each once. */
static nl_status list_samples(nl_chunk_gradients *g, const nl_local_samples *s)
{
    const size_t most = (size_t)s->rows + (size_t)s->cols;
    int *list = nl_calloc(most, sizeof *list);

    g->list = list;
    g->place[0] = nl_calloc(most, sizeof *g->place[0]);
    g->place[1] = nl_calloc(most, sizeof *g->place[1]);
    if (list == NULL || g->place[0] == NULL || g->place[1] == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the list of local samples");
    }
    memcpy(list, s->row, (size_t)s->rows * sizeof *list);
    memcpy(list + s->rows, s->col, (size_t)s->cols * sizeof *list);
    qsort(list, most, sizeof *list, by_number);
    for (size_t k = 0; k < most; k++) {
        if (k == 0 || list[k] != list[g->count - 1]) {
            list[g->count++] = list[k];
        }
    }
    find_places(g, s->row, s->rows, g->place[0]);
    find_places(g, s->col, s->cols, g->place[1]);
    g->places[0] = s->rows;
    g->places[1] = s->cols;
    g->square = s->rows == s->cols && g->count == s->rows;
    return NL_OK;
}

void nl_chunk_gradients_move(nl_chunk_gradients *g, int first, int count)
{
    for (int k = 0; k < count; k++) {
        g->list[k] = first + k;
        g->place[0][k] = g->place[1][k] = k;
    }
    g->count = g->places[0] = g->places[1] = count;
    g->square = true;
    g->held = 0;
}

/*---------------------------------------------------------------------------------------------
 * Memory
 *-------------------------------------------------------------------------------------------*/

static nl_status prepare(nl_chunk_gradients *g, const nl_kernel_input *input,
                         const nl_local_samples *samples)
{
    const size_t size = nl_precision_bytes(g->precision);
    const size_t widest = (size_t)nl_net_widest(g->net);
    nl_status status = list_samples(g, samples);

    if (status == NL_OK) {
        status = nl_chunks_create(g->net, &g->view, g->order, &g->chunk, &g->chunks);
    }
    if (status == NL_OK) {
        status = nl_output_passes_create(input, g->precision, &g->view, g->count, &g->by_output);
    }
    if (status == NL_OK) {
        g->row = nl_alloc(nl_chunks_joined_columns(g->chunk, g->chunks), size);
        g->mask = nl_alloc(widest, sizeof *g->mask);
        g->rounded = nl_alloc(widest, size);
        g->outputs = nl_alloc((size_t)g->count * (size_t)g->view.outputs, sizeof *g->outputs);
        status = g->row != NULL && g->mask != NULL && g->rounded != NULL && g->outputs != NULL
                     ? NL_OK
                     : NL_FAIL(NL_ERR_NOMEM, "out of memory for gradients");
    }
    return status;
}

nl_status nl_chunk_gradients_open(const nl_kernel_input *input, nl_kernel_spec spec,
                                  nl_precision precision, int order,
                                  const nl_local_samples *samples, nl_chunk_gradients **out)
{
    nl_chunk_gradients *g = calloc(1, sizeof *g);
    nl_status status = NL_OK;

    *out = g;
    if (g == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for gradients");
    }
    *g = (nl_chunk_gradients){.net = input->net,
                              .precision = precision,
                              .view = nl_kernel_view_of(spec, input->net->spec.outputs),
                              .rate_weighted = spec.rate_weighted,
                              .order = order};
    g->seeds = nl_kernel_view_seeds(&g->view);
    status = prepare(g, input, samples);
    if (status != NL_OK) {
        nl_chunk_gradients_destroy(out);
    }
    return status;
}

void nl_chunk_gradients_destroy(nl_chunk_gradients **gradients)
{
    nl_chunk_gradients *g = *gradients;

    if (g == NULL) {
        return;
    }
    nl_output_passes_free(&g->by_output);
    nl_kept_memory_free(&g->memory);
    free(g->list);
    free(g->place[0]);
    free(g->place[1]);
    free(g->chunk);
    free(g->outputs);
    free(g->row);
    free(g->mask);
    free(g->rounded);
    free(g);
    *gradients = NULL;
}

/* Bytes of some numbers, so that what lies behind them is aligned as they are. */
static size_t aligned_bytes(size_t count, nl_precision precision)
{
    const size_t line = 64;

    return (count * nl_precision_bytes(precision) + line - 1) / line * line;
}

/* What the chunks that are held take of samples that are rows and, where those differ, columns. */
static size_t part_bytes(const nl_chunk *part, int held, nl_precision precision,
                         const size_t samples[2])
{
    size_t bytes = 0;

    for (int k = 0; k < held; k++) {
        for (int side = 0; side < 2; side++) {
            bytes += aligned_bytes(samples[side] * part[k].in_size, precision) +
                     aligned_bytes(samples[side] * part[k].delta_size, precision);
        }
    }
    return bytes;
}

static nl_status make_room(nl_kept_memory *memory, size_t bytes, int samples)
{
    if (memory->bytes >= bytes) {
        return NL_OK;
    }
    nl_kept_memory_free(memory);
    memory->data = nl_alloc(bytes, 1);
    if (memory->data == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for gradients of %d samples", samples);
    }
    memory->bytes = bytes;
    return NL_OK;
}

void nl_kept_memory_free(nl_kept_memory *kept)
{
    free(kept->data);
    *kept = (nl_kept_memory){0};
}

/* Places of what is stored, one behind the other. */
static nl_status lay_out(nl_chunk_gradients *g, nl_kept_memory *memory)
{
    const size_t samples[2] = {(size_t)g->places[0], g->square ? 0 : (size_t)g->places[1]};
    const nl_status status =
        make_room(memory, part_bytes(g->chunk + g->part, g->held, g->precision, samples), g->count);
    char *at = memory->data;

    for (int k = g->part; status == NL_OK && k < g->part + g->held; k++) {
        nl_chunk *chunk = &g->chunk[k];

        for (int side = 0; side < 2; side++) {
            const bool same = side == 1 && g->square;

            chunk->in[side] = same ? chunk->in[0] : at;
            at += aligned_bytes(samples[side] * chunk->in_size, g->precision);
            chunk->delta[side] = same ? chunk->delta[0] : at;
            at += aligned_bytes(samples[side] * chunk->delta_size, g->precision);
        }
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Passes
 *-------------------------------------------------------------------------------------------*/

/** Sums of a chunk's gradients, as in nl_chunk_gradients_square(). */
typedef struct gradient_sums {
    const nl_chunk *chunk;
    const double *w, *u;
    double *scratch; /* [sums_size()] */
} gradient_sums;

#define TEMPLATE "ntk/chunk_gradients_real.h"
#include "ntklens/formats.h"

/* Back-signals of a layer have come: its chunks take what they need. */
static void take_layer(int l, const void *delta, void *context)
{
    nl_chunk_gradients *g = context;

    for (int k = g->part; k < g->part + g->held; k++) {
        if (g->chunk[k].lowest == l && g->precision == NL_DOUBLE) {
            store_double(g, &g->chunk[k], delta);
        } else if (g->chunk[k].lowest == l) {
            store_single(g, &g->chunk[k], delta);
        }
    }
}

nl_status nl_chunk_gradients_hold(nl_chunk_gradients *g, int first, const nl_kernel_input *input,
                                  nl_kept_memory *memory)
{
    const double element = (double)nl_precision_bytes(g->precision);
    const double samples = g->places[0] + (g->square ? 0.0 : (double)g->places[1]);
    const int batch = g->by_output.batch;
    const size_t outputs = (size_t)g->view.outputs;
    nl_status status = NL_OK;
    int lowest = 0;

    assert(g->chunk != NULL); /* it was opened */
    g->part = first;
    g->held = nl_chunks_that_fit(g->chunk + first, g->chunks - first,
                                 input->panel_bytes / (element * samples));
    lowest = nl_chunks_lowest(g->chunk + first, g->held);
    status = lay_out(g, memory);
    for (g->first = 0; status == NL_OK && g->first < g->count; g->first += batch) {
        const int rows = nl_smaller(batch, g->count - g->first);

        if (nl_interrupted(input->interrupt)) {
            return NL_STOPPED;
        }
        nl_passes_forward(g->by_output.passes, rows, input->probe, g->list + g->first);
        memcpy(g->outputs + (size_t)g->first * outputs,
               nl_passes_exact_outputs(g->by_output.passes),
               (size_t)rows * outputs * sizeof *g->outputs);
        nl_passes_backward(g->by_output.passes, g->by_output.signal, lowest, take_layer, g);
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Of all samples, for one kernel after the other
 *-------------------------------------------------------------------------------------------*/

static const nl_kernel_spec of_all_outputs = {.kind = NL_KERNEL_FULL};

bool nl_chunk_gradients_serve(const nl_chunk_gradients *g, nl_kernel_spec spec,
                              nl_precision precision, int order, int samples)
{
    return g != NULL && g->precision == precision && g->held == g->chunks && g->square &&
           g->count == samples && spec.kind != NL_KERNEL_CLASS && !spec.rate_weighted &&
           nl_chunks_same(g->net, g->order, order);
}

static bool all_fit(const nl_net *net, nl_precision precision, int samples, double panel_bytes)
{
    const nl_kernel_view view = nl_kernel_view_of(of_all_outputs, net->spec.outputs);
    const double element = (double)nl_precision_bytes(precision);
    nl_chunk *chunk = NULL;
    int chunks = 0;
    bool fit = false;

    if (nl_net_is_dense(net) ||
        nl_chunks_create(net, &view, samples * view.outputs, &chunk, &chunks) != NL_OK) {
        return false;
    }
    fit = nl_chunks_that_fit(chunk, chunks, panel_bytes / (element * samples)) == chunks;
    free(chunk);
    return fit;
}

bool nl_kernel_gradients_fit(const nl_kernel_input *input, nl_precision precision)
{
    return all_fit(input->net, precision, input->samples, input->panel_bytes);
}

double nl_kernel_gradients_bytes(const nl_net *net, nl_precision precision, int samples,
                                 double panel_bytes)
{
    const nl_kernel_view view = nl_kernel_view_of(of_all_outputs, net->spec.outputs);

    return all_fit(net, precision, samples, panel_bytes)
               ? nl_chunk_gradients_bytes(net, precision, samples * view.outputs, samples,
                                          panel_bytes) +
                     nl_output_passes_bytes(net, precision, &view, samples)
               : 0.0;
}

/* Class kernels have gradients of one output; rate-weighted kernels are those of mup. */
double nl_kernel_beside_bytes(const nl_net *net, nl_precision precision, int order, int samples,
                              double panel_bytes)
{
    const int outputs = net->spec.outputs;
    const double own = nl_chunk_gradients_bytes(net, precision, order, samples, panel_bytes);

    if (nl_net_is_dense(net)) {
        return 0.0;
    }
    return !all_fit(net, precision, samples, panel_bytes) || net->spec.parametrization == NL_MUP ||
                   !nl_chunks_same(net, samples * outputs, order)
               ? own
           : order == samples ? own / outputs
                              : 0.0;
}

nl_status nl_chunk_gradients_open_all(const nl_kernel_input *input, nl_precision precision,
                                      nl_chunk_gradients **out)
{
    const int order = input->samples * input->net->spec.outputs;
    nl_local_samples all = {0};
    nl_status status = nl_local_samples_first(input->samples, &all);

    if (status == NL_OK) {
        status = nl_chunk_gradients_open(input, of_all_outputs, precision, order, &all, out);
    }
    nl_local_samples_free(&all);
    return status;
}

nl_status nl_kernel_gradients(const nl_kernel_input *input, nl_precision precision,
                              nl_chunk_gradients **gradients)
{
    nl_chunk_gradients *g = *gradients;
    nl_kernel_input whole = *input;
    nl_status status = NL_OK;

    whole.interrupt = NULL;
    if (g != NULL &&
        (g->net != input->net || g->precision != precision || g->count != input->samples)) {
        nl_chunk_gradients_destroy(gradients);
    }
    if (*gradients == NULL) {
        status = nl_chunk_gradients_open_all(input, precision, gradients);
    } else {
        nl_passes_set_parameters(g->by_output.passes, input->theta);
    }
    if (status == NL_OK) {
        status = nl_chunk_gradients_hold(*gradients, 0, &whole, &(*gradients)->memory);
    }
    if (status != NL_OK) {
        nl_chunk_gradients_destroy(gradients);
    }
    return status;
}

/* As if all outputs had their rows: those of class kernels take less. */
double nl_chunk_gradients_bytes(const nl_net *net, nl_precision precision, int order,
                                double samples, double panel_bytes)
{
    const nl_kernel_view view = nl_kernel_view_of(of_all_outputs, net->spec.outputs);
    const double of_samples = samples * (double)nl_precision_bytes(precision);
    const size_t all[2] = {(size_t)samples, 0};
    nl_chunk *chunk = NULL;
    int chunks = 0;
    int held = 0;
    double most = 0.0;

    if (nl_chunks_create(net, &view, order, &chunk, &chunks) != NL_OK) {
        return panel_bytes;
    }
    for (int k = 0; k < chunks; k += held) {
        held = nl_chunks_that_fit(chunk + k, chunks - k, panel_bytes / of_samples);
        most = fmax(most, (double)part_bytes(chunk + k, held, precision, all));
    }
    free(chunk);
    return most;
}

/*---------------------------------------------------------------------------------------------
 * Sums
 *-------------------------------------------------------------------------------------------*/

void nl_chunk_gradients_add_traces(const nl_chunk_gradients *g, double *weights, double *biases)
{
    for (int k = g->part; k < g->part + g->held; k++) {
        const size_t at = (size_t)k * (size_t)g->seeds;

        if (g->precision == NL_DOUBLE) {
            add_squares_double(g, &g->chunk[k], weights + at, biases + at);
        } else {
            add_squares_single(g, &g->chunk[k], weights + at, biases + at);
        }
    }
}

/* Numbers of scratch for sums of a chunk: of each output and of all, and what a product takes. */
static size_t sums_size(const nl_chunk_gradients *g, const nl_chunk *chunk)
{
    const nl_layer *layer = &g->net->layer[chunk->layer];
    const size_t in = (size_t)layer->fan_in;
    const size_t out = (size_t)layer->fan_out;

    return chunk->way == NL_WAY_GRAM ? in * out + (size_t)g->count * (in + out)
                                     : ((size_t)g->seeds + 1) * chunk->columns;
}

nl_status nl_chunk_gradients_square(const nl_chunk_gradients *g, const double *w, const double *u,
                                    nl_gradient_squares *out)
{
    size_t most = 0;
    gradient_sums sums = {.w = w, .u = u};

    *out = (nl_gradient_squares){0};
    for (int k = 0; k < g->chunks; k++) {
        const size_t size = sums_size(g, &g->chunk[k]);

        most = size > most ? size : most;
    }
    sums.scratch = nl_alloc(most, sizeof *sums.scratch);
    if (sums.scratch == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for sums of gradients");
    }
    for (int k = 0; k < g->chunks; k++) {
        sums.chunk = &g->chunk[k];
        if (g->precision == NL_DOUBLE) {
            square_sums_double(g, &sums, out);
        } else {
            square_sums_single(g, &sums, out);
        }
    }
    out->by_output /= g->seeds;
    free(sums.scratch);
    return NL_OK;
}
