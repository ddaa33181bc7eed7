/** @file timings_rates.c  timings.csv of an earlier run, and the rates it tells. */
#include "timings_rates.h"
#include "cost.h"

#include "ntklens/io.h"
#include "ntklens/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/*---------------------------------------------------------------------------------------------
 * Rates
 *-------------------------------------------------------------------------------------------*/

/** An earlier study, as far as its costs need it. */
typedef struct earlier {
    nl_study *study;
    nl_measure_plan *plan;
    nl_dataset_info info;
    nl_cell *cells;
    int count;
} earlier;

static nl_status earlier_study_open(const char *timings, earlier *e)
{
    const char *slash = strrchr(timings, '/');
    char *folder = slash != NULL ? strndup(timings, (size_t)(slash - timings)) : strdup(".");
    char *data = NULL;
    nl_status status = NL_OK;

    *e = (earlier){0};
    if (folder == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a path");
    }
    status = nl_study_in(folder, 0, NULL, &e->study);
    if (status == NL_OK && e->study == NULL) {
        status = NL_FAIL(NL_ERR_DATA,
                         "%s: the study.yaml of that run is expected beside it: it tells what the "
                         "times were for",
                         timings);
    }
    free(folder);
    if (status == NL_OK) {
        status = nl_study_data_folder(e->study, &data);
    }
    if (status == NL_OK) {
        status = nl_dataset_probe(e->study->spec.split.source, data, &e->info);
    }
    free(data);
    if (status == NL_OK) {
        status = nl_measure_plan_create(e->study, &e->info, &e->plan);
    }
    if (status == NL_OK) {
        status = nl_study_cells(e->study, &e->cells, &e->count);
    }
    return status;
}

static void earlier_study_close(earlier *e)
{
    nl_measure_plan_destroy(&e->plan);
    free(e->cells);
    nl_study_destroy(&e->study);
}

/* Seconds of all kernels of a state are told together: the largest has its share of operations. */
static void add_largest_kernel(const earlier *e, const nl_net *net, const nl_cost *cost,
                               const nl_timing *timing, nl_throughputs *throughputs)
{
    double gram = 0.0;
    double solve = 0.0;

    for (int k = 0; k < e->plan->kernels; k++) {
        const nl_kernel_spec spec = e->plan->kernel[k];

        gram = fmax(gram, nl_kernel_flops(net, spec, nl_measure_samples(e->plan, k)));
        solve = fmax(solve, nl_solve_flops(nl_measure_order(e->plan, k)));
    }
    nl_throughput_add(&throughputs->of[net->spec.kind].effort[NL_EFFORT_GRAM], gram,
                      timing->seconds[NL_EFFORT_GRAM] / cost->states * gram /
                          cost->effort[NL_EFFORT_GRAM].unit);
    if (cost->effort[NL_EFFORT_SOLVE].unit > 0.0) {
        nl_throughput_add(&throughputs->solve, solve,
                          timing->seconds[NL_EFFORT_SOLVE] / cost->states * solve /
                              cost->effort[NL_EFFORT_SOLVE].unit);
    }
}

static nl_status add_cell(const earlier *e, const nl_cell *cell, const nl_timing *timing,
                          nl_throughputs *throughputs)
{
    nl_net *net = NULL;
    nl_status status = nl_cell_net_create(cell, &e->info, &net);

    if (status == NL_OK) {
        const nl_cost cost = nl_cell_cost(e->study, cell, net, e->plan, NULL);

        for (int k = 0; k < NL_EFFORT_GRAM; k++) {
            nl_throughput_add(&throughputs->of[net->spec.kind].effort[k], cost.effort[k].unit,
                              timing->seconds[k] / cost.effort[k].units);
        }
        add_largest_kernel(e, net, &cost, timing, throughputs);
    }
    nl_net_destroy(&net);
    return status;
}

static int steps_known(const nl_throughputs *throughputs)
{
    int known = 0;

    for (int kind = 0; kind < NL_NET_KIND_COUNT; kind++) {
        known += throughputs->of[kind].effort[NL_EFFORT_TRAIN].count;
    }
    return known;
}

nl_status nl_throughputs_read(const char *path, nl_throughputs *out)
{
    earlier e;
    nl_timing *timings = NULL;
    int count = 0;
    nl_status status = nl_timings_read(path, &timings, &count);

    *out = (nl_throughputs){0};
    nl_throughputs_share_usually(out);
    snprintf(out->source, sizeof out->source, "%s", path);
    if (status == NL_OK) {
        status = earlier_study_open(path, &e);
        for (int c = 0; status == NL_OK && c < e.count; c++) {
            const nl_timing *t = nl_timing_find(timings, count, e.cells[c].id);

            status = t != NULL ? add_cell(&e, &e.cells[c], t, out) : NL_OK;
        }
        earlier_study_close(&e);
    }
    free(timings);
    if (status == NL_OK && steps_known(out) == 0) {
        status = NL_FAIL(NL_ERR_DATA, "%s: has no times of finished cells of its study", path);
    }
    return status;
}
