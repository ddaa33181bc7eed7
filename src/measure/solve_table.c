/** @file solve_table.c  Plans of the solves of all kernels of a study's networks. */
#include "ntklens/measure.h"

#include <stdlib.h>

/* The network of a cell among those that are known, or a new one. */
static nl_status add_network(nl_solve_table *table, const nl_cell *cell, int index,
                             const nl_dataset_info *info)
{
    nl_net *net = NULL;
    int k = 0;
    nl_status status = nl_cell_net_create(cell, info, &net);

    if (status != NL_OK) {
        return status;
    }
    while (k < table->networks && !nl_net_spec_equal(&table->net[k]->spec, &net->spec)) {
        k++;
    }
    table->network[index] = k;
    if (k == table->networks) {
        table->net[table->networks++] = net;
    } else {
        nl_net_destroy(&net);
    }
    return NL_OK;
}

nl_status nl_solve_table_create(const nl_study_spec *spec, const nl_measure_plan *measure,
                                const nl_cell *cells, int count, const nl_dataset_info *info,
                                nl_solve_table *out)
{
    nl_status status = NL_OK;

    *out = (nl_solve_table){.spec = spec, .measure = measure, .cells = count, .team_size = 1};
    out->network = nl_calloc((size_t)count, sizeof *out->network);
    out->net = nl_calloc((size_t)count, sizeof(void *));
    if (out->network == NULL || out->net == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the networks of %d cells", count);
    }
    for (int k = 0; status == NL_OK && k < count; k++) {
        status = add_network(out, &cells[k], k, info);
    }
    if (status == NL_OK) {
        out->plan = nl_calloc((size_t)out->networks * (size_t)measure->kernels, sizeof *out->plan);
        if (out->plan == NULL) {
            status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the plan of solves");
        }
    }
    if (status != NL_OK) {
        nl_solve_table_free(out);
    }
    return status;
}

void nl_solve_table_free(nl_solve_table *table)
{
    for (int k = 0; table->net != NULL && k < table->networks; k++) {
        nl_net_destroy(&table->net[k]);
    }
    free(table->network);
    free(table->net);
    free(table->plan);
    *table = (nl_solve_table){0};
}

static nl_status plan_all(nl_solve_table *table, int ranks, double memory, bool silent)
{
    const nl_measure_plan *measure = table->measure;
    nl_status status = NL_OK;

    table->team_size = 1;
    for (int k = 0; status == NL_OK && k < table->networks * measure->kernels; k++) {
        const nl_net *net = table->net[k / measure->kernels];
        const nl_solve_room room = {net->spec.outputs, ranks, memory, net};
        nl_solve_plan *plan = &table->plan[k];

        if (silent) {
            status =
                nl_solve_plan_fits(&table->spec->solve, measure, k % measure->kernels, &room, plan)
                    ? NL_OK
                    : NL_ERR_STUDY;
        } else {
            status =
                nl_solve_plan_make(&table->spec->solve, measure, k % measure->kernels, &room, plan);
        }
        table->team_size = nl_larger(table->team_size, plan->team);
    }
    return status;
}

nl_status nl_solve_table_make(nl_solve_table *table, int ranks, double memory)
{
    return plan_all(table, ranks, memory, false);
}

bool nl_solve_table_fits(nl_solve_table *table, int ranks, double memory)
{
    return plan_all(table, ranks, memory, true) == NL_OK;
}

const nl_solve_plan *nl_solve_table_of(const nl_solve_table *table, int cell)
{
    return table->plan + (size_t)table->network[cell] * (size_t)table->measure->kernels;
}
