/** @file memory_model.c  Memory and disk that a cell needs. */
#include "memory_model.h"

#include "ntklens/train.h"

#include <math.h>
#include <string.h>
#include <zlib.h>

static const double fixed_file = 80e3;        /* groups, attributes, curve, columns */
static const double deflated_share = 0.25;    /* of the probe and the indices once deflated */
static const double training_scratch = 0.5e6; /* panels of gradients, lists */

static double optimizer_states(const nl_cell *cell)
{
    static const double states[NL_OPTIMIZER_COUNT] = {
        [NL_SGD] = 0.0, [NL_MOMENTUM] = 1.0, [NL_ADAM] = 2.0};

    return states[nl_cell_train_spec(cell).optimizer];
}

/* Parameters, optimiser, best, initial and previous state, and scratch of the larger of batch and
 * evaluation. */
static double training_bytes(const nl_memory_terms *terms, const nl_cell *cell, const nl_net *net)
{
    const double rows = fmax(nl_cell_batch(cell), nl_evaluation_rows);
    const double inputs = net->spec.inputs;
    const double compared =
        terms->measure->per_decade > 0 ? 2.0 : 1.0; /* initial, previous state */
    const double numbers = (2.0 + compared + optimizer_states(cell)) * (double)net->size +
                           nl_model_floats(net, (int)rows) + rows * inputs +
                           (double)terms->info->train_count + 3.0 * cell->n_train;
    const double probe = nl_probe_depends_on_seed(&terms->asked->split)
                             ? nl_probe_bytes(&terms->asked->split, terms->info)
                             : 0.0; /* else it is the node's */

    return (double)sizeof(float) * numbers + probe + training_scratch;
}

/* Closed forms that the states of a cell are compared with. */
static double infinite_bytes(const nl_memory_terms *terms, const nl_net *net)
{
    const bool weighted = terms->asked->weighted;
    const int samples = nl_infinite_samples(terms->measure, terms->solve);

    return samples > 0 && nl_infinite_is_known(&net->spec)
               ? (weighted ? 2.0 : 1.0) * nl_infinite_bytes(samples, net->spec.inputs)
               : 0.0;
}

/* Matrices that output.kernels keeps until the cell is written. */
static double kept_kernels(const nl_memory_terms *terms, const nl_cost *cost)
{
    double bytes = 0.0;

    for (int k = 0; k < terms->measure->kernels; k++) {
        bytes += (double)sizeof(double) * terms->solve[k].n * terms->solve[k].n * cost->states;
    }
    return terms->asked->keep_kernels ? bytes : 0.0;
}

static double kept_spectra(const nl_memory_terms *terms, const nl_cost *cost)
{
    double bytes = 0.0;

    for (int k = 0; k < terms->measure->kernels; k++) {
        bytes += (double)sizeof(double) * terms->solve[k].n * cost->states;
    }
    return terms->asked->keep_spectra ? bytes : 0.0;
}

/* Small kernels that a rank that measures alone keeps, each in three states. */
static double kept_bytes(const nl_memory_terms *terms)
{
    double bytes = 0.0;

    for (int k = 0; k < terms->measure->kernels; k++) {
        if (terms->solve[k].team == 1) {
            bytes += 3.0 * nl_block_bytes(terms->solve[k].cached / 3.0);
        }
    }
    return bytes;
}

/* What the next state finds there beside them: the largest of their matrices, the factors. */
static double found_bytes(const nl_memory_terms *terms, const nl_net *net)
{
    const nl_precision precision = terms->measure->precision;
    double factors = 0.0;
    double matrix = 0.0;
    double parts = 0.0; /* others keep gradients */

    for (int k = 0; k < terms->measure->kernels; k++) {
        const nl_solve_plan *solve = &terms->solve[k];
        const double bytes = nl_net_is_dense(net) ? nl_factors_bytes(net, precision) *
                                                        nl_measure_samples(terms->measure, k)
                                                  : 0.0;

        if (solve->team == 1 && bytes <= nl_panel_bytes) {
            factors = fmax(factors, bytes);
        }
        if (solve->team == 1 && solve->method == NL_METHOD_PRIMAL) {
            const int samples = nl_measure_samples(terms->measure, k);
            const double fill = nl_fill_memory(net);

            parts =
                fmax(parts, nl_kernel_gradients_bytes(net, precision, samples, fill) +
                                nl_kernel_beside_bytes(net, precision, solve->n, samples, fill));
        }
        if (solve->team == 1 && solve->cached > 0.0) {
            matrix =
                fmax(matrix, (double)solve->n * solve->n * (double)nl_precision_bytes(precision));
        }
    }
    return nl_block_bytes(matrix) + factors + nl_block_bytes(parts);
}

static double shared_bytes(const nl_cell *cell, const nl_net *net, int cores)
{
    return (double)sizeof(float) * nl_model_shared_floats(net, nl_cell_batch(cell), cores);
}

/* Add the scratch of cores that share steps, as many as there is room for. */
static void add_sharing(const nl_memory_terms *terms, const nl_cell *cell, const nl_net *net,
                        nl_cell_memory *memory)
{
    const double room = terms->bytes - memory->training - fmax(memory->kernel, memory->image);

    memory->cores = terms->asked->share_cores
                        ? nl_smaller(nl_step_cores(net, nl_cell_batch(cell)), terms->cores)
                        : 1;
    while (memory->cores > 1 && shared_bytes(cell, net, memory->cores) > fmax(room, 0.0)) {
        memory->cores--;
    }
    memory->cores = nl_larger(memory->cores, 1);
    memory->training += shared_bytes(cell, net, memory->cores);
}

int nl_sharing_cores(const nl_memory_terms *terms, const nl_cell *cell, const nl_net *net,
                     const nl_cost *cost)
{
    return nl_cell_memory_model(terms, cell, net, cost).cores;
}

nl_cell_memory nl_cell_memory_model(const nl_memory_terms *terms, const nl_cell *cell,
                                    const nl_net *net, const nl_cost *cost)
{
    const bool all = terms->asked->snapshots == NL_SNAPSHOTS_MEASURED;
    const bool none = terms->asked->snapshots == NL_SNAPSHOTS_NONE;
    const double arrays = kept_spectra(terms, cost) + kept_kernels(terms, cost);
    const double theta = (double)net->size * (double)sizeof(float);
    /* What a longer training would start from. */
    const double going_on =
        theta * (2.0 + (terms->measure->per_decade > 0) + optimizer_states(cell));
    /* Snapshots while the cell is in work. */
    const double held = theta * (all || terms->team_size > 1 ? cost->states : none ? 0.0 : 1.0);
    /* Parameters of states whose kernels other ranks measure. */
    const double kept_for_offload = theta * fmin(terms->ranks - 1, nl_most_offloads);
    const double found = found_bytes(terms, net);     /* by the next state */
    const double staying = kept_bytes(terms) + found; /* from state to state */
    const double rest = fixed_file + arrays +
                        deflated_share * sizeof(float) *
                            ((double)terms->measure->samples * terms->info->inputs +
                             2.0 * cell->n_train + terms->asked->split.test);
    nl_cell_memory out = {0};
    double shared = 0.0;

    out.file = rest + (none ? 0.0 : going_on) + theta * (all ? cost->states : none ? 0.0 : 1.0);
    out.checkpoint = rest + going_on + held;
    out.training = training_bytes(terms, cell, net) + fmax(held, kept_for_offload) + arrays +
                   infinite_bytes(terms, net) + staying;
    out.kernel = nl_regression_bytes(terms->measure, cell->n_train, net->spec.inputs, net);
    /* The image is built, copied, and read back to be verified: two are held at once. */
    out.image = 2.0 * (terms->team_size > 1 ? out.checkpoint : out.file);
    for (int k = 0; k < terms->measure->kernels; k++) {
        const double bytes =
            nl_measure_memory(&terms->solve[k], nl_measure_samples(terms->measure, k),
                              terms->measure->precision, net);

        if (terms->solve[k].team > 1) {
            shared = fmax(shared, bytes);
        } else {
            out.kernel = fmax(out.kernel, bytes - terms->solve[k].cached - found);
        }
    }
    if (shared > 0.0) { /* the team's first rank holds the states, but trains no longer */
        out.kernel = fmax(out.kernel, shared + 2.0 * theta + held + staying - out.training);
    }
    add_sharing(terms, cell, net, &out);
    return out;
}
