/** @file step_grid.c  The steps at which a training is looked at. */
#include "step_grid.h"

#include <stdlib.h>

static int compare_steps(const void *a, const void *b)
{
    const nl_grid_step *x = a;
    const nl_grid_step *y = b;

    return (x->step > y->step) - (x->step < y->step);
}

/* Unite looks at the same step. */
static int unite_steps(nl_grid_step *grid, int count)
{
    int kept = 0;

    qsort(grid, (size_t)count, sizeof *grid, compare_steps);
    for (int k = 0; k < count; k++) {
        if (kept > 0 && grid[kept - 1].step == grid[k].step) {
            grid[kept - 1].evaluated |= grid[k].evaluated;
            grid[kept - 1].measured |= grid[k].measured;
            grid[kept - 1].logged |= grid[k].logged;
        } else {
            grid[kept++] = grid[k];
        }
    }
    return kept;
}

nl_status nl_step_grid_create(const nl_cell *cell, const nl_measure_plan *plan, nl_step_grid *out)
{
    const long max_steps = nl_cell_train_spec(cell).max_steps;
    const int per_decade = nl_cell_evaluation_spec(cell).per_decade;
    long *evaluated = NULL;
    long *measured = NULL;
    int evaluations = 0;
    int measurements = 0;
    int count = 0;
    nl_grid_step *at = NULL;
    nl_status status = nl_log_steps(per_decade, max_steps, &evaluated, &evaluations);

    *out = (nl_step_grid){0};
    if (status == NL_OK && plan->per_decade > 0) {
        status = nl_log_steps(plan->per_decade, max_steps, &measured, &measurements);
    }
    if (status != NL_OK) {
        goto done;
    }
    at = nl_calloc((size_t)(evaluations + measurements + plan->at_steps) + 2, sizeof *at);
    if (at == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the schedule of a cell");
        goto done;
    }
    at[count++] = (nl_grid_step){.step = 0, .evaluated = true, .measured = true};
    at[count++] = (nl_grid_step){.step = max_steps, .measured = true};
    for (int k = 0; k < evaluations; k++) {
        at[count++] = (nl_grid_step){.step = evaluated[k], .evaluated = true};
    }
    for (int k = 0; k < measurements; k++) {
        at[count++] = (nl_grid_step){.step = measured[k], .measured = true, .logged = true};
    }
    for (int k = 0; k < plan->at_steps; k++) {
        if (plan->at_step[k] <= max_steps) {
            at[count++] = (nl_grid_step){.step = plan->at_step[k], .measured = true};
        }
    }
    *out = (nl_step_grid){.at = at, .count = unite_steps(at, count)};

done:
    free(evaluated);
    free(measured);
    return status;
}

void nl_step_grid_free(nl_step_grid *grid)
{
    free(grid->at);
    *grid = (nl_step_grid){0};
}

bool nl_step_grid_evaluated(const nl_step_grid *grid, long step)
{
    for (int k = 0; k < grid->count; k++) {
        if (grid->at[k].step == step) {
            return grid->at[k].evaluated;
        }
    }
    return false;
}

long nl_step_grid_logged_before(const nl_step_grid *grid, long step)
{
    long last = -1;

    for (int k = 0; k < grid->count && grid->at[k].step < step; k++) {
        last = grid->at[k].logged ? grid->at[k].step : last;
    }
    return last;
}
