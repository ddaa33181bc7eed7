/** @file regression.c  Kernel regression with a cell's training and test images. */
#include "ntklens/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { most_images = 46340 }; /* whose square 32 bits count, as libraries do */

int nl_regression_train(const nl_measure_plan *plan, int n_train)
{
    return nl_smaller(plan->regression_train, n_train); /* all: the largest integer */
}

double nl_regression_bytes(const nl_measure_plan *plan, int n_train, int inputs, const nl_net *net)
{
    const int train = nl_regression_train(plan, n_train);
    const int samples = train + plan->regression_test;
    const nl_solve_plan solve = {.n = samples,
                                 .order = samples,
                                 .block = samples,
                                 .team = 1,
                                 .solver = nl_solver_find("lapack")};

    if (train == 0) {
        return 0.0;
    }
    /* The kernel, and a copy of it. */
    return (double)sizeof(double) * samples * samples +
           (net != NULL ? nl_measure_memory(&solve, samples, NL_DOUBLE, net)
                        : nl_solve_memory(&solve, NL_DOUBLE)) +
           (double)sizeof(float) * samples * inputs;
}

nl_status nl_regression_check(const nl_split_spec *split, const nl_measure_plan *plan,
                              const nl_dataset_info *info, double memory)
{
    const double need = nl_regression_bytes(plan, split->largest_train, info->inputs, NULL);
    int train = 0;
    char needed[32];
    char have[32];

    if (need > memory || (double)train + plan->regression_test > most_images) {
        return NL_FAIL(NL_ERR_STUDY,
                       "%s: a kernel regression on %d + %d images needs %s on a rank, "
                       "measure.memory_per_rank is %s, and a rank can count %d images; make "
                       "measure.regression.train_images or test_images smaller",
                       split->file, train, plan->regression_test, nl_format_bytes(need, needed),
                       nl_format_bytes(memory, have), most_images);
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

/** The kernel of all images of a regression, filled by one of two ways.  All borrowed. */
typedef struct source {
    const nl_kernel_input *input; /* of a network */
    nl_infinite *infinite;        /* NULL: it is a network's */
    nl_infinite_kind kind;
    double *copy; /* [samples x samples] of what was filled last */
} source;

static nl_status fill(nl_dmat *a, void *context)
{
    const source *from = context;
    const nl_kernel_spec spec = {.kind = NL_KERNEL_TRACED};
    const nl_status status = from->infinite != NULL
                                 ? nl_infinite_fill(a, from->infinite, from->kind)
                                 : nl_kernel_fill(a, spec, from->input);

    for (int j = 0; status == NL_OK && j < a->n; j++) {
        memcpy(from->copy + (size_t)j * (size_t)a->n,
               (const double *)a->local + (size_t)j * (size_t)a->ld, (size_t)a->n * sizeof(double));
    }
    return status;
}

/* Eigenvalues of the kernel of all images, then the regression from its first columns, then what
 * theory expects: each destroys the matrix. */
static nl_status regress(const nl_grid *grid, const nl_regression_task *task, source *from,
                         nl_regression *out)
{
    const int samples = task->train + task->test;
    const size_t bytes = (size_t)samples * (size_t)samples * sizeof(double);
    nl_dmat *a = NULL;
    nl_spectrum *spectrum = NULL;
    nl_status status = NL_OK;

    from->copy = nl_calloc((size_t)samples * (size_t)samples, sizeof(double));
    if (from->copy == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a kernel regression on %d images", samples);
    }
    status = nl_dmat_create(grid, samples, samples, NL_DOUBLE, &a);
    if (status == NL_OK) {
        status = nl_spectrum_compute(a, nl_solver_find("lapack"), fill, from, &spectrum);
    }
    nl_dmat_destroy(&a);
    if (status == NL_OK) {
        double *kernel = nl_calloc((size_t)samples * (size_t)samples, sizeof *kernel);

        status =
            kernel == NULL ? NL_FAIL(NL_ERR_NOMEM, "out of memory for a kernel regression") : NL_OK;
        if (status == NL_OK) {
            memcpy(kernel, from->copy, bytes);
            status = nl_kernel_regression(task, kernel, samples, out);
        }
        free(kernel);
    }
    if (status == NL_OK) {
        status = nl_eigenlearning(task, spectrum->lambda, from->copy, out);
    }
    nl_spectrum_destroy(&spectrum);
    free(from->copy);
    from->copy = NULL;
    return status;
}

static nl_regression_task task_of(const nl_measure_plan *plan, const nl_regression_set *set,
                                  const nl_net *net)
{
    return (nl_regression_task){.train = set->train,
                                .test = set->test,
                                .outputs = net->spec.outputs,
                                .labels = set->labels,
                                .ridge = plan->ridge};
}

nl_status nl_regress_network(const nl_grid *grid, const nl_measure_plan *plan,
                             const nl_regression_set *set, const nl_net *net, const float *theta,
                             nl_regression *out)
{
    const nl_kernel_input input = {.net = net,
                                   .theta = theta,
                                   .probe = set->x,
                                   .samples = set->train + set->test,
                                   .panel_bytes = nl_fill_memory(net)};
    const nl_regression_task task = task_of(plan, set, net);
    source from = {.input = &input};

    *out = nl_regression_unknown();
    return regress(grid, &task, &from, out);
}

nl_status nl_regress_infinite(const nl_measure_plan *plan, const nl_regression_set *set,
                              const nl_net *net, nl_infinite_kind kind, nl_regression *out)
{
    const nl_regression_task task = task_of(plan, set, net);
    source from = {.kind = kind};
    nl_grid *grid = NULL;
    nl_status status = nl_grid_create(MPI_COMM_SELF, 1, 1, &grid);

    *out = nl_regression_unknown();
    if (status == NL_OK) {
        status = nl_infinite_create(net, NL_INFINITE_LIMIT, false, set->train + set->test, set->x,
                                    &from.infinite);
    }
    if (status == NL_OK) {
        status = regress(grid, &task, &from, out);
    }
    nl_infinite_destroy(&from.infinite);
    nl_grid_destroy(&grid);
    return status;
}
