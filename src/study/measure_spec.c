/** @file measure_spec.c  Which states are measured, with which kernels. */
#include "ntklens/study.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

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

/* Once more, of the first samples of the probe each. */
static void add_prefixes(nl_measure_plan *plan, const nl_values *prefixes)
{
    plan->whole = plan->kernels;
    for (int p = 0; p < prefixes->count; p++) {
        for (int k = 0; k < plan->whole; k++) {
            plan->prefix[plan->kernels] = (int)prefixes->item[p].number;
            plan->kernel[plan->kernels++] = plan->kernel[k];
        }
    }
}

nl_status nl_measure_plan_create(const nl_study *study, const nl_dataset_info *images,
                                 nl_measure_plan **out)
{
    const int outputs = images->classes;
    /* Rates differ between layers in mup only; a grid with mup reports the weighted kernel of all.
     */
    const bool weighted = study->spec.weighted;
    const nl_values *prefixes = &study->value[NL_KEY_PROBE_PREFIXES];
    const size_t most = (2 * (size_t)outputs + 4) * ((size_t)prefixes->count + 1);
    nl_measure_plan *plan = calloc(1, sizeof *plan);

    *out = NULL;
    if (plan == NULL) {
        goto no_memory;
    }
    plan->kernel = nl_calloc(most, sizeof *plan->kernel);
    plan->prefix = nl_calloc(most, sizeof *plan->prefix);
    plan->at_steps = study->value[NL_KEY_AT_STEPS].count;
    plan->at_losses = study->value[NL_KEY_AT_TRAIN_LOSS].count;
    plan->at_step = nl_calloc((size_t)plan->at_steps, sizeof *plan->at_step);
    plan->at_loss = nl_calloc((size_t)plan->at_losses, sizeof *plan->at_loss);
    if (plan->kernel == NULL || plan->prefix == NULL || plan->at_step == NULL ||
        plan->at_loss == NULL) {
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
    add_prefixes(plan, prefixes);
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
    plan->seed = (uint32_t)nl_study_number(study, NL_KEY_DATA_SEED);
    plan->images = *images;
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
        free((*plan)->prefix);
        free((*plan)->at_step);
        free((*plan)->at_loss);
        free(*plan);
        *plan = NULL;
    }
}

int nl_measure_samples(const nl_measure_plan *plan, int kernel)
{
    const int prefix = plan->prefix != NULL ? plan->prefix[kernel] : 0;

    return prefix > 0 ? prefix : plan->samples;
}

int nl_measure_order(const nl_measure_plan *plan, int kernel)
{
    return nl_kernel_order(plan->kernel[kernel], nl_measure_samples(plan, kernel), plan->classes);
}

const char *nl_measure_name(const nl_measure_plan *plan, int kernel, char out[nl_measure_name_size])
{
    char name[32];

    nl_kernel_name(plan->kernel[kernel], name);
    if (plan->prefix != NULL && plan->prefix[kernel] > 0) {
        snprintf(out, nl_measure_name_size, "%s@%d", name, plan->prefix[kernel]);
    } else {
        snprintf(out, nl_measure_name_size, "%s", name);
    }
    return out;
}
