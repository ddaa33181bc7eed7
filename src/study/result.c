/** @file result.c  Curve, states and measure plan of a cell. */
#include "result.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_longs(const void *a, const void *b)
{
    long x = *(const long *)a;
    long y = *(const long *)b;

    return (x > y) - (x < y);
}

static void add_kernels(nl_measure_plan *plan, nl_kernel_kind kind, int outputs, bool weighted)
{
    for (int output = 0; output < (kind == NL_KERNEL_CLASS ? outputs : 1); output++) {
        plan->kernel[plan->kernels++] = (nl_kernel_spec){kind, output, false};
        if (weighted) {
            plan->kernel[plan->kernels++] = (nl_kernel_spec){kind, output, true};
        }
    }
}

nl_status nl_measure_plan_create(const nl_study *study, int outputs, nl_measure_plan **out)
{
    /* Rates differ between layers in mup only; a grid with mup reports the weighted kernel of all.
     */
    const bool weighted = nl_study_is(study, NL_KEY_PARAMETRIZATION, "mup");
    nl_measure_plan *plan = calloc(1, sizeof *plan);

    *out = NULL;
    if (plan == NULL) {
        goto no_memory;
    }
    plan->kernel = nl_calloc(2 * (size_t)outputs + 4, sizeof *plan->kernel);
    plan->at_steps = study->value[NL_KEY_AT_STEPS].count;
    plan->at_losses = study->value[NL_KEY_AT_TRAIN_LOSS].count;
    plan->at_step = nl_calloc((size_t)plan->at_steps, sizeof *plan->at_step);
    plan->at_loss = nl_calloc((size_t)plan->at_losses, sizeof *plan->at_loss);
    if (plan->kernel == NULL || plan->at_step == NULL || plan->at_loss == NULL) {
        goto no_memory;
    }
    if (nl_study_is(study, NL_KEY_KERNELS, "traced")) {
        add_kernels(plan, NL_KERNEL_TRACED, outputs, weighted);
    }
    if (nl_study_is(study, NL_KEY_KERNELS, "full")) {
        add_kernels(plan, NL_KERNEL_FULL, outputs, weighted);
    }
    if (nl_study_is(study, NL_KEY_KERNELS, "class")) {
        add_kernels(plan, NL_KERNEL_CLASS, outputs, weighted);
    }
    for (int k = 0; k < plan->at_steps; k++) {
        plan->at_step[k] = (long)study->value[NL_KEY_AT_STEPS].item[k].number;
    }
    qsort(plan->at_step, (size_t)plan->at_steps, sizeof *plan->at_step, compare_longs);
    for (int k = 0; k < plan->at_losses; k++) {
        plan->at_loss[k] = study->value[NL_KEY_AT_TRAIN_LOSS].item[k].number;
    }
    plan->per_decade = (int)nl_study_number(study, NL_KEY_STEPS_PER_DECADE);
    plan->validated = nl_study_number(study, NL_KEY_VALIDATION_SIZE) > 0;
    plan->samples = (int)nl_study_number(study, NL_KEY_PROBE_SIZE);
    plan->classes = outputs;
    plan->auxiliary_full = nl_study_is(study, NL_KEY_AUXILIARY_SPECTRA, "all");
    plan->auxiliary_traced = !nl_study_is(study, NL_KEY_AUXILIARY_SPECTRA, "none");
    plan->eigenvectors = nl_study_number(study, NL_KEY_EIGENVECTORS) > 0;
    plan->regression_train = nl_study_word(study, NL_KEY_REGRESSION_TRAIN) != NULL
                                 ? INT_MAX /* all */
                                 : (int)nl_study_number(study, NL_KEY_REGRESSION_TRAIN);
    plan->regression_test = (int)fmin(nl_study_number(study, NL_KEY_REGRESSION_TEST),
                                      nl_study_number(study, NL_KEY_TEST_SIZE));
    plan->ridge = nl_study_number(study, NL_KEY_REGRESSION_RIDGE);
    plan->precision = nl_study_is(study, NL_KEY_PRECISION, "single") ? NL_SINGLE : NL_DOUBLE;
    *out = plan;
    return NL_OK;

no_memory:
    nl_measure_plan_destroy(&plan);
    return NL_FAIL(NL_ERR_NOMEM, "out of memory for the plan of measurements");
}

void nl_measure_plan_destroy(nl_measure_plan **plan)
{
    if (*plan != NULL) {
        free((*plan)->kernel);
        free((*plan)->at_step);
        free((*plan)->at_loss);
        free(*plan);
        *plan = NULL;
    }
}

nl_status nl_result_create(nl_result **out)
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
    free(measurement->kernel);
    free(measurement->directions.target_power);
    free(measurement->directions.gradient_power);
    measurement->lambda = measurement->kernel = NULL;
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

void nl_result_destroy(nl_result **result, int kernels)
{
    if (*result == NULL) {
        return;
    }
    for (int s = 0; s < (*result)->states; s++) {
        free_state(&(*result)->state[s], kernels);
    }
    free((*result)->state);
    free((*result)->curve.step);
    free((*result)->curve.losses);
    free(*result);
    *result = NULL;
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

nl_state *nl_result_find(const nl_result *result, long step)
{
    for (int s = 0; s < result->states; s++) {
        if (result->state[s].step == step) {
            return &result->state[s];
        }
    }
    return NULL;
}

nl_state *nl_result_state(nl_result *result, const nl_measure_plan *plan, long step)
{
    nl_state *state = nl_result_find(result, step);
    nl_measurement *kernels = NULL;
    int at = 0;

    if (state != NULL) {
        return state;
    }
    kernels = calloc((size_t)plan->kernels + 1, sizeof *kernels);
    state = realloc(result->state, ((size_t)result->states + 1) * sizeof *state);
    if (state != NULL) {
        result->state = state;
    }
    if (state == NULL || kernels == NULL) {
        free(kernels);
        (void)NL_FAIL(NL_ERR_NOMEM, "out of memory for state %d of a cell", result->states);
        return NULL;
    }
    while (at < result->states && state[at].step < step) {
        at++;
    }
    memmove(state + at + 1, state + at, (size_t)(result->states - at) * sizeof *state);
    state[at] = (nl_state){
        .step = step, .finite = true, .regression = nl_regression_unknown(), .kernels = kernels};
    result->states++;
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

static bool is_planned(const nl_result *result, const nl_measure_plan *plan, const long *log_steps,
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
        planned = planned || nl_curve_first_below(&result->curve, plan->at_loss[k]) == step;
    }
    return planned;
}

void nl_result_keep_states(nl_result *result, const nl_measure_plan *plan, long max_steps)
{
    long *log_steps = NULL;
    int log_count = 0;
    int kept = 0;

    if (plan->per_decade > 0 &&
        nl_log_steps(plan->per_decade, max_steps, &log_steps, &log_count) != NL_OK) {
        return; /* a state too many is measured: the rows do not show it */
    }
    for (int s = 0; s < result->states; s++) {
        if (is_planned(result, plan, log_steps, log_count, result->state[s].step)) {
            result->state[kept++] = result->state[s];
        } else {
            free_state(&result->state[s], plan->kernels);
        }
    }
    result->states = kept;
    free(log_steps);
}

nl_status nl_result_velocity_step(const nl_result *result, const nl_measure_plan *plan, long step,
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
        (step == result->final_step || is_planned(result, plan, log_steps, log_count, step))) {
        *previous = 0;
        for (int k = 0; k < log_count; k++) {
            *previous = log_steps[k] < step ? log_steps[k] : *previous;
        }
    }
    free(log_steps);
    return status;
}

bool nl_result_complete(const nl_result *result, const nl_measure_plan *plan)
{
    if (result->final_step < 0) {
        return false;
    }
    for (int s = 0; s < result->states; s++) {
        for (int k = 0; k < plan->kernels; k++) {
            if (result->state[s].finite && !result->state[s].kernels[k].done) {
                return false;
            }
        }
    }
    return true;
}
