/** @file regression.c  Kernel regression with a cell's training and test images. */
#include "regression.h"

#include <math.h>
#include <stdlib.h>

int nl_regression_train(const nl_measure_plan *plan, int n_train)
{
    return nl_smaller(plan->regression_train, n_train);
}

double nl_regression_bytes(const nl_measure_plan *plan, int n_train, int inputs, const nl_net *net)
{
    const int train = nl_regression_train(plan, n_train);
    const int samples = train + plan->regression_test;
    const nl_solve_plan solve = {.n = samples, .block = samples, .team = 1}; /* no eigensolve */

    if (train == 0) {
        return 0.0;
    }
    return (net != NULL ? nl_measure_memory(&solve, samples, NL_DOUBLE, net)
                        : nl_solve_memory(&solve, NL_DOUBLE)) +
           (double)sizeof(float) * samples * inputs;
}

nl_status nl_regression_check(const nl_study *study, const nl_measure_plan *plan,
                              const nl_dataset_info *info, double memory)
{
    double need = 0.0;
    char needed[32];
    char have[32];

    for (int k = 0; k < study->value[NL_KEY_TRAIN_SIZES].count; k++) {
        const int n_train = (int)study->value[NL_KEY_TRAIN_SIZES].item[k].number;

        need = fmax(need, nl_regression_bytes(plan, n_train, info->inputs, NULL));
    }
    if (need > memory) {
        return NL_FAIL(NL_ERR_STUDY,
                       "%s: a kernel regression on %d + %d images needs %s on a rank, "
                       "measure.memory_per_rank is %s; make measure.regression.train_images or "
                       "test_images smaller",
                       study->file, plan->regression_train, plan->regression_test,
                       nl_format_bytes(need, needed), nl_format_bytes(memory, have));
    }
    return NL_OK;
}

static void take(const nl_splits *splits, const nl_subset *from, int count, float *x, int *labels)
{
    nl_images_gather(splits->info, from->images, &splits->scaling, count, from->index, x);
    for (int k = 0; k < count; k++) {
        labels[k] = from->labels[k];
    }
}

nl_status nl_regression_set_create(const nl_measure_plan *plan, const nl_splits *splits,
                                   const nl_cell_data *data, nl_regression_set *out)
{
    const size_t inputs = (size_t)splits->info->inputs;
    const int train = nl_regression_train(plan, data->train.count);
    const int test = plan->regression_test;

    *out = (nl_regression_set){.train = train, .test = test};
    out->x = nl_calloc(((size_t)train + (size_t)test) * inputs, sizeof *out->x);
    out->labels = nl_calloc((size_t)train + (size_t)test, sizeof *out->labels);
    if (out->x == NULL || out->labels == NULL) {
        nl_regression_set_free(out);
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the %d images of a kernel regression",
                       train + test);
    }
    take(splits, &data->train, train, out->x, out->labels);
    take(splits, &splits->test, test, out->x + (size_t)train * inputs, out->labels + train);
    return NL_OK;
}

void nl_regression_set_free(nl_regression_set *set)
{
    free(set->x);
    free(set->labels);
    *set = (nl_regression_set){0};
}

/* One matrix of all images: its lower half holds train x train and, below, test x train.  What it
 * has of test x test is not needed. */
nl_status nl_regress_network(const nl_grid *grid, const nl_measure_plan *plan,
                             const nl_regression_set *set, const nl_net *net, const float *theta,
                             nl_regression *out)
{
    const nl_kernel_spec spec = {.kind = NL_KERNEL_TRACED};
    const nl_kernel_input input = {.net = net,
                                   .theta = theta,
                                   .probe = set->x,
                                   .samples = set->train + set->test,
                                   .panel_bytes = nl_panel_bytes};
    nl_dmat *a = NULL;
    nl_status status = nl_dmat_create(grid, input.samples, input.samples, NL_DOUBLE, &a);

    if (status == NL_OK) {
        status = nl_kernel_fill(a, spec, &input);
    }
    if (status == NL_OK) {
        status = nl_kernel_regression(set->train, set->test, a->local, a->ld, net->spec.outputs,
                                      set->labels, plan->ridge, out);
    }
    nl_dmat_destroy(&a);
    return status;
}

nl_status nl_regress_infinite(const nl_measure_plan *plan, const nl_regression_set *set,
                              const nl_net *net, nl_infinite_kind kind, nl_regression *out)
{
    const int samples = set->train + set->test;
    double *kernel = nl_calloc((size_t)samples * (size_t)set->train, sizeof *kernel);
    int *list = nl_calloc((size_t)samples, sizeof *list);
    nl_infinite *infinite = NULL;
    nl_status status =
        kernel == NULL || list == NULL
            ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a kernel regression")
            : nl_infinite_create(net, NL_INFINITE_LIMIT, false, samples, set->x, &infinite);

    if (status == NL_OK) {
        for (int k = 0; k < samples; k++) {
            list[k] = k;
        }
        nl_infinite_block(infinite, kind, samples, list, set->train, list, kernel, samples);
        status = nl_kernel_regression(set->train, set->test, kernel, samples, net->spec.outputs,
                                      set->labels, plan->ridge, out);
    }
    nl_infinite_destroy(&infinite);
    free(kernel);
    free(list);
    return status;
}
