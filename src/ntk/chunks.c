/** @file chunks.c  Parameters in pieces. */
#include "chunks.h"
#include "joined.h"

#include <stdlib.h>

/* Numbers that a unit of a layer has in a row of J: its weights and its bias. */
static int columns_of_unit(const nl_layer *layer)
{
    return layer->fan_in + 1;
}

/* Units of a layer's chunks but the last: enough that adding their product costs little beside
 * making it, and whole vectors of them, but fewer for large kernels, whose rows are many. */
static int units_at_once(const nl_layer *layer, int order)
{
    const int vector = 16;
    const int wanted_columns = 4096;
    const int most_numbers = 8000000; /* of all rows */
    const int fewest_columns = 256;
    const int most_columns = nl_larger(most_numbers / nl_larger(order, 1), fewest_columns);
    const int fitting = nl_larger(most_columns / columns_of_unit(layer), 1);
    const int wanted = nl_larger(wanted_columns / columns_of_unit(layer), 1);
    const int vectors = nl_smaller((wanted + vector - 1) / vector, fitting / vector);

    if (layer->kind == NL_DENSE || layer->kind == NL_LAYER_NORM) {
        return layer->fan_out;
    }
    return nl_even_part(layer->fan_out, vectors > 0             ? vectors * vector
                                        : fitting >= vector / 2 ? vector / 2
                                                                : nl_smaller(fitting, wanted));
}

static nl_chunk chunk_of(const nl_net *net, const nl_kernel_view *view, int l, int first, int units)
{
    const nl_layer *layer = &net->layer[l];
    const size_t seeds = (size_t)nl_kernel_view_seeds(view);
    const int average = nl_joined_average(net, l);
    nl_chunk chunk = {.layer = l, .way = NL_WAY_ROWS, .first = first, .units = units, .lowest = l};

    chunk.columns = (size_t)units * (size_t)columns_of_unit(layer);
    chunk.in_size = seeds * chunk.columns;
    if (layer->kind == NL_DENSE) {
        chunk.way = NL_WAY_GRAM;
        chunk.in_size = (size_t)layer->fan_in;
        chunk.delta_size = layer->role == NL_ROLE_OUTPUT ? 0 : seeds * (size_t)layer->fan_out;
    } else if (average >= 0) {
        chunk.way = NL_WAY_JOINED;
        chunk.lowest = average;
        chunk.in_size = chunk.columns;
        chunk.delta_size = seeds * (size_t)units;
    }
    return chunk;
}

nl_status nl_chunks_create(const nl_net *net, const nl_kernel_view *view, int order,
                           nl_chunk **chunk, int *chunks)
{
    size_t count = 0;

    *chunks = 0;
    for (int l = 0; l < net->layers; l++) {
        count += (size_t)net->layer[l].fan_out; /* at most */
    }
    *chunk = nl_calloc(count, sizeof **chunk);
    if (*chunk == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a list of parameters");
    }
    for (int l = net->layers - 1; l >= 0; l--) {
        const nl_layer *layer = &net->layer[l];

        for (int first = 0; first < layer->fan_out; first += units_at_once(layer, order)) {
            const int units = nl_smaller(units_at_once(layer, order), layer->fan_out - first);

            (*chunk)[(*chunks)++] = chunk_of(net, view, l, first, units);
        }
    }
    return NL_OK;
}

bool nl_chunks_same(const nl_net *net, int order, int other)
{
    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];

        if (layer->fan_out > 0 && units_at_once(layer, order) != units_at_once(layer, other)) {
            return false;
        }
    }
    return true;
}

int nl_chunks_that_fit(const nl_chunk *chunk, int chunks, double numbers)
{
    double held = 0.0;
    int count = 0;

    while (count < chunks) {
        held += (double)(chunk[count].in_size + chunk[count].delta_size);
        if (count > 0 && held > numbers) {
            break;
        }
        count++;
    }
    return count;
}

int nl_chunks_lowest(const nl_chunk *chunk, int chunks)
{
    int lowest = chunk[0].lowest;

    for (int k = 1; k < chunks; k++) {
        lowest = nl_smaller(lowest, chunk[k].lowest);
    }
    return lowest;
}

size_t nl_chunks_joined_columns(const nl_chunk *chunk, int chunks)
{
    size_t most = 0;

    for (int k = 0; k < chunks; k++) {
        most = chunk[k].way == NL_WAY_JOINED && chunk[k].columns > most ? chunk[k].columns : most;
    }
    return most;
}

size_t nl_chunks_joined_units(const nl_chunk *chunk, int chunks)
{
    int most = 0;

    for (int k = 0; k < chunks; k++) {
        most = chunk[k].way == NL_WAY_JOINED ? nl_larger(most, chunk[k].units) : most;
    }
    return (size_t)most;
}
