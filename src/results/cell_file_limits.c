/** @file cell_file_limits.c  What a cell's file can hold at most. */
#include "cell_file_limits.h"

#include "ntklens/cell_files.h"

#include <math.h>
#include <unistd.h>

enum { other_states = 10000 }; /* measure.at of another plan: more than anyone lists */

/* Log-spaced steps up to the last one, at most. */
static int most_log_steps(int per_decade, long max_steps)
{
    return (int)(per_decade * log10((double)max_steps)) + 2;
}

nl_cell_file_limits nl_cell_file_limits_of(const nl_cell *cell, const nl_measure_plan *plan,
                                           int what)
{
    const long last =
        nl_cell_train_spec(cell).max_steps > 1 ? nl_cell_train_spec(cell).max_steps : 1;
    const int evaluated = nl_cell_evaluation_spec(cell).per_decade;
    const int densest = nl_most_steps_per_decade();
    const int ends = 3; /* initial, best, final */
    nl_cell_file_limits limits = {.max_steps = last,
                                  .curve = most_log_steps(evaluated, last) + ends};

    limits.states = (what & NL_READ_MEASUREMENTS) != 0
                        ? most_log_steps(plan->per_decade, last) + plan->at_steps + plan->at_losses
                        : most_log_steps(densest, last) + other_states;
    limits.states += ends;
    return limits;
}

/* Of all layers, weights and biases. */
static double parameters_of(const nl_cell *cell, const nl_measure_plan *plan)
{
    nl_net *net = NULL;
    double size = 0.0;

    if (nl_cell_net_create(cell, &plan->images, &net) == NL_OK) {
        size = (double)net->size;
    }
    nl_net_destroy(&net);
    return size;
}

size_t nl_cell_file_limit(const nl_cell *cell, const nl_measure_plan *plan)
{
    const double room = 1024.0 * 1024 * 1024; /* for the probe, indices, columns */
    const double memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    const int states = nl_cell_file_limits_of(cell, plan, NL_READ_MEASUREMENTS).states;
    double kernels = 0.0;
    double bytes = 0.0;

    for (int k = 0; k < plan->kernels; k++) {
        const double n = nl_measure_order(plan, k);

        kernels += (double)sizeof(double) * n * (n + 3.0); /* spectrum and directions, too */
    }
    bytes = states * kernels + (states + 6.0) * (double)sizeof(float) * parameters_of(cell, plan);
    bytes = fmax(4.0 * bytes + room, 0.25 * memory);
    return bytes < 0x1p62 ? (size_t)bytes : (size_t)1 << 62;
}
