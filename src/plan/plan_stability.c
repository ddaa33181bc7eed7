/** @file plan_stability.c  Do the trainings of a study begin below their own stability? */
#include "plan_stability.h"
#include "plan.h"

#include <stdlib.h>
#include <string.h>

enum { most_order = 1000 }; /* of a kernel: lambda_max / N hardly changes with more samples */

/* The grid is a product: networks of the first size and seed are one of each kind and width. */
static bool is_candidate(const nl_plan *plan, const nl_cell *cell)
{
    return cell->n_train == plan->cells[0].n_train && cell->seed == plan->cells[0].seed &&
           nl_cell_train_spec(cell).optimizer == NL_SGD;
}

/* Is it neither the narrowest nor the widest of its kind? */
static bool is_between(const nl_cell *const *candidates, int count, int k)
{
    bool narrower = false;
    bool wider = false;

    for (int j = 0; j < count && !(narrower && wider); j++) {
        if (nl_cell_same_kind(candidates[j], candidates[k])) {
            narrower = narrower || candidates[j]->width < candidates[k]->width;
            wider = wider || candidates[j]->width > candidates[k]->width;
        }
    }
    return narrower && wider;
}

static nl_status choose(nl_plan *plan)
{
    const nl_cell **candidates = nl_calloc((size_t)plan->count, sizeof(const nl_cell *));
    int count = 0;

    plan->start = nl_calloc((size_t)plan->count, sizeof *plan->start);
    if (candidates == NULL || plan->start == NULL) {
        free(candidates);
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %d networks", plan->count);
    }
    for (int k = 0; k < plan->count; k++) {
        if (is_candidate(plan, &plan->cells[k])) {
            candidates[count++] = &plan->cells[k];
        }
    }
    for (int k = 0; k < count; k++) {
        if (!is_between(candidates, count, k)) {
            plan->start[plan->starts++].cell = candidates[k];
        }
    }
    free(candidates);
    return NL_OK;
}

/** One network, its parameters and the full kernel of its samples.  Owns them. */
typedef struct trial {
    nl_net *net;
    float *theta;
    nl_grid *grid;
    nl_dmat *a;
    nl_probe_state *state;
} trial;

static void trial_free(trial *t)
{
    nl_probe_state_destroy(&t->state);
    nl_dmat_destroy(&t->a);
    nl_grid_destroy(&t->grid);
    nl_net_destroy(&t->net);
    free(t->theta);
}

static nl_status trial_create(const nl_plan *plan, const nl_cell *cell, trial *t)
{
    const int n = plan->start_samples * plan->info.classes;
    nl_status status = nl_cell_net_create(cell, &plan->info, &t->net);

    if (status == NL_OK) {
        t->theta = nl_calloc(t->net->size, sizeof *t->theta);
        status = t->theta != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "out of memory for a network");
    }
    if (status == NL_OK) {
        nl_net_initialize(t->net, cell->seed, t->theta);
        status = nl_grid_create(MPI_COMM_SELF, 1, 1, &t->grid);
    }
    return status == NL_OK ? nl_dmat_create(t->grid, n, n, NL_DOUBLE, &t->a) : status;
}

/* The rates of mup's layers belong to the kernel; those of the others are 1. */
static nl_status measure(const nl_plan *plan, const nl_cell *cell, const nl_cell_data *data,
                         double *rate)
{
    const nl_kernel_spec spec = {.kind = NL_KERNEL_FULL, .rate_weighted = true};
    const nl_loss loss = nl_cell_train_spec(cell).loss;
    double largest = 0.0;
    trial t = {0};
    nl_status status = trial_create(plan, cell, &t);
    const nl_kernel_input input = {.net = t.net,
                                   .theta = t.theta,
                                   .probe = data->probe_inputs,
                                   .samples = plan->start_samples,
                                   .panel_bytes = nl_fill_memory(t.net)};

    if (status == NL_OK) {
        status = nl_kernel_fill(t.a, spec, &input);
    }
    if (status == NL_OK) {
        status = nl_probe_state_create(MPI_COMM_SELF, &input, loss, data->probe.labels, &t.state);
    }
    if (status == NL_OK) {
        status = nl_observe_curvature(t.a, t.state, &largest);
    }
    if (status == NL_OK) {
        *rate = nl_stability_rate(t.state, largest);
    }
    trial_free(&t);
    return status;
}

static nl_status find_one(const nl_plan *plan, const nl_splits *splits, int k)
{
    nl_plan_start *start = &plan->start[k];
    nl_cell_data *data = NULL;
    nl_status status = NL_OK;
    int earlier = 0;

    while (earlier < k && !nl_cell_same_start(start->cell, plan->start[earlier].cell)) {
        earlier++;
    }
    start->stability_rate = plan->start[earlier].stability_rate;
    if (earlier == k) {
        status = nl_cell_data_create(&plan->study->spec.split, splits, start->cell->n_train,
                                     start->cell->seed, &data);
        if (status == NL_OK) {
            status = measure(plan, start->cell, data, &start->stability_rate);
        }
        nl_cell_data_destroy(&data);
    }
    start->rate_ratio = nl_cell_train_spec(start->cell).learning_rate / start->stability_rate;
    return status;
}

nl_status nl_plan_find_starts(nl_plan *plan)
{
    char *folder = NULL;
    nl_team *team = NULL;
    nl_splits *splits = NULL;
    nl_status status = choose(plan);

    plan->start_samples =
        nl_larger(1, nl_smaller(plan->measure->samples, most_order / plan->info.classes));
    if (status != NL_OK || plan->starts == 0) {
        return status;
    }
    status = nl_study_data_folder(plan->study, &folder);
    if (status == NL_OK) {
        status = nl_team_create(MPI_COMM_SELF, &team);
    }
    if (status == NL_OK) {
        status = nl_splits_create(&plan->study->spec.split, folder, team, &splits);
    }
    for (int k = 0; status == NL_OK && k < plan->starts; k++) {
        status = find_one(plan, splits, k);
    }
    nl_splits_destroy(&splits);
    nl_team_destroy(&team);
    free(folder);
    return status;
}
