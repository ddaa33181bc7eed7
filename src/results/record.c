/** @file record.c  Curve, states and measure plan of a cell. */
#include "ntklens/record.h"

#include <stdlib.h>
#include <string.h>

nl_status nl_record_create(nl_record **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a cell's result");
    }
    (*out)->best_step = -1;
    (*out)->final_step = -1;
    return NL_OK;
}

void nl_continuation_free(nl_continuation *continuation)
{
    free(continuation->theta);
    free(continuation->optimizer);
    free(continuation->best_theta);
    free(continuation->previous_theta);
    *continuation = (nl_continuation){.best_step = -1};
}

void nl_measurement_free(nl_measurement *measurement)
{
    free(measurement->lambda);
    free(measurement->rank_curve);
    free(measurement->kernel);
    free(measurement->directions.target_power);
    free(measurement->directions.gradient_power);
    measurement->lambda = measurement->rank_curve = measurement->kernel = NULL;
    measurement->values = measurement->points = 0;
    measurement->directions = (nl_directions){0};
}

static void free_state(nl_state *state, int kernels)
{
    for (int k = 0; state->kernels != NULL && k < kernels; k++) {
        nl_measurement_free(&state->kernels[k]);
    }
    free(state->kernels);
    free(state->theta);
}

void nl_record_destroy(nl_record **record, int kernels)
{
    if (*record == NULL) {
        return;
    }
    for (int s = 0; s < (*record)->states; s++) {
        free_state(&(*record)->state[s], kernels);
    }
    free((*record)->state);
    free((*record)->curve.step);
    free((*record)->curve.losses);
    free(*record);
    *record = NULL;
}

nl_status nl_curve_append(nl_curve *curve, long step, const nl_losses *losses)
{
    if (curve->count == curve->capacity) {
        int capacity = curve->capacity > 0 ? 2 * curve->capacity : 64;
        long *steps = realloc(curve->step, (size_t)capacity * sizeof *steps);
        nl_losses *all = NULL;

        if (steps != NULL) {
            curve->step = steps;
            all = realloc(curve->losses, (size_t)capacity * sizeof *all);
        }
        if (all == NULL) {
            return NL_FAIL(NL_ERR_NOMEM, "out of memory for a training curve of %d points",
                           capacity);
        }
        curve->losses = all;
        curve->capacity = capacity;
    }
    curve->step[curve->count] = step;
    curve->losses[curve->count] = *losses;
    curve->count++;
    return NL_OK;
}

nl_state *nl_record_find(const nl_record *record, long step)
{
    for (int s = 0; s < record->states; s++) {
        if (record->state[s].step == step) {
            return &record->state[s];
        }
    }
    return NULL;
}

nl_state *nl_record_state(nl_record *record, const nl_measure_plan *plan, long step)
{
    nl_state *state = nl_record_find(record, step);
    nl_measurement *kernels = NULL;
    int at = 0;

    if (state != NULL) {
        return state;
    }
    kernels = calloc((size_t)plan->kernels + 1, sizeof *kernels);
    state = realloc(record->state, ((size_t)record->states + 1) * sizeof *state);
    if (state != NULL) {
        record->state = state;
    }
    if (state == NULL || kernels == NULL) {
        free(kernels);
        (void)NL_FAIL(NL_ERR_NOMEM, "out of memory for state %d of a cell", record->states);
        return NULL;
    }
    while (at < record->states && state[at].step < step) {
        at++;
    }
    memmove(state + at + 1, state + at, (size_t)(record->states - at) * sizeof *state);
    state[at] = (nl_state){
        .step = step, .finite = true, .regression = nl_regression_unknown(), .kernels = kernels};
    record->states++;
    return &state[at];
}

long nl_curve_first_below(const nl_curve *curve, double train_loss)
{
    for (int c = 0; c < curve->count; c++) {
        if (curve->losses[c].train_loss <= train_loss) {
            return curve->step[c];
        }
    }
    return -1;
}

static bool is_planned(const nl_record *record, const nl_measure_plan *plan, const long *log_steps,
                       int log_count, long step)
{
    bool planned = step == 0;

    for (int k = 0; k < log_count; k++) {
        planned = planned || log_steps[k] == step;
    }
    for (int k = 0; k < plan->at_steps; k++) {
        planned = planned || plan->at_step[k] == step;
    }
    for (int k = 0; k < plan->at_losses; k++) {
        planned = planned || nl_curve_first_below(&record->curve, plan->at_loss[k]) == step;
    }
    return planned;
}

void nl_record_keep_states(nl_record *record, const nl_measure_plan *plan, long max_steps)
{
    long *log_steps = NULL;
    int log_count = 0;
    int kept = 0;

    if (plan->per_decade > 0 &&
        nl_log_steps(plan->per_decade, max_steps, &log_steps, &log_count) != NL_OK) {
        return; /* a state too many is measured: the rows do not show it */
    }
    for (int s = 0; s < record->states; s++) {
        if (is_planned(record, plan, log_steps, log_count, record->state[s].step)) {
            record->state[kept++] = record->state[s];
        } else {
            free_state(&record->state[s], plan->kernels);
        }
    }
    record->states = kept;
    free(log_steps);
}

nl_status nl_record_velocity_step(const nl_record *record, const nl_measure_plan *plan, long step,
                                  long *previous)
{
    long *log_steps = NULL;
    int log_count = 0;
    nl_status status = NL_OK;

    *previous = -1;
    if (step > 0 && plan->per_decade > 0) {
        status = nl_log_steps(plan->per_decade, step, &log_steps, &log_count);
    }
    if (status == NL_OK && step > 0 &&
        (step == record->final_step || is_planned(record, plan, log_steps, log_count, step))) {
        *previous = 0;
        for (int k = 0; k < log_count; k++) {
            *previous = log_steps[k] < step ? log_steps[k] : *previous;
        }
    }
    free(log_steps);
    return status;
}

bool nl_record_complete(const nl_record *record, const nl_measure_plan *plan)
{
    if (record->final_step < 0) {
        return false;
    }
    for (int s = 0; s < record->states; s++) {
        for (int k = 0; k < plan->kernels; k++) {
            if (record->state[s].finite && !record->state[s].kernels[k].done) {
                return false;
            }
        }
    }
    return true;
}
