/** @file regression.c  Kernel ridge regression, and what theory expects of it. */
#include "ntklens/ntk.h"

#include <math.h>
#include <stdlib.h>

nl_regression nl_regression_unknown(void)
{
    return (nl_regression){NAN, NAN, NAN, NAN, NAN};
}

/* The ridge in the kernel's own units. */
static double ridge_of(const nl_regression_task *task, const double *kernel, int ld)
{
    double trace = 0.0;

    for (int i = 0; i < task->train; i++) {
        trace += kernel[(size_t)i * ((size_t)ld + 1)];
    }
    return task->ridge * trace / task->train;
}

static void add_to_diagonal(int n, double *kernel, int ld, double value)
{
    for (int i = 0; i < n; i++) {
        kernel[(size_t)i * ((size_t)ld + 1)] += value;
    }
}

/* Centred targets of the first n samples, [n x outputs], column-major. */
static void set_targets(const nl_regression_task *task, int n, double *y)
{
    for (int a = 0; a < task->outputs; a++) {
        for (int i = 0; i < n; i++) {
            y[(size_t)a * (size_t)n + (size_t)i] =
                (task->labels[i] == a ? 1.0 : 0.0) - 1.0 / task->outputs;
        }
    }
}

/* x <- A^-1 x, [n x columns]; `kernel` becomes its Cholesky factor.  false: A is not positive
 * definite. */
static bool solve(int n, double *kernel, int ld, int columns, double *x)
{
    int info = 0;

    dpotrf_("L", &n, kernel, &ld, &info, 1);
    if (info == 0) {
        dpotrs_("L", &n, &columns, kernel, &ld, x, &n, &info, 1);
    }
    return info == 0;
}

/* prediction [test x outputs], column-major, of the centred targets. */
static void judge(const nl_regression_task *task, const double *prediction, nl_regression *out)
{
    const int *labels = task->labels + task->train;
    const size_t test = (size_t)task->test;
    double sum = 0.0;
    long correct = 0;

    for (size_t i = 0; i < test; i++) {
        int best = 0;
        bool told = true; /* NaN is no prediction */

        for (int a = 0; a < task->outputs; a++) {
            const double f = prediction[(size_t)a * test + i];
            const double miss = f + 1.0 / task->outputs - (labels[i] == a ? 1.0 : 0.0);

            sum += miss * miss;
            told = told && !isnan(f);
            best = f > prediction[(size_t)best * test + i] ? a : best;
        }
        correct += told && best == labels[i];
    }
    out->test_loss = sum / task->test / task->outputs;
    out->test_accuracy = (double)correct / task->test;
}

/* Trace of A^-1 = |L^-1|_F^2; the factor L is overwritten. */
static double inverse_trace(int n, double *factor, int ld)
{
    double sum = 0.0;
    int info = 0;

    dtrtri_("L", "N", &n, factor, &ld, &info, 1, 1);
    for (int j = 0; j < n; j++) {
        const double *column = factor + (size_t)j * (size_t)ld;

        for (int i = j; i < n; i++) {
            sum += column[i] * column[i];
        }
    }
    return info == 0 ? sum : NAN;
}

nl_status nl_kernel_regression(const nl_regression_task *task, double *kernel, int ld,
                               nl_regression *out)
{
    const int train = task->train;
    const int test = task->test;
    const int outputs = task->outputs;
    const size_t targets = (size_t)train * (size_t)outputs;
    const double one = 1.0;
    const double zero = 0.0;
    double *alpha = nl_calloc(targets, sizeof *alpha);
    double *prediction = nl_calloc((size_t)test * (size_t)outputs, sizeof *prediction);

    out->test_loss = out->test_accuracy = out->kare = NAN;
    if (alpha == NULL || prediction == NULL) {
        free(alpha);
        free(prediction);
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a kernel regression");
    }
    set_targets(task, train, alpha);
    add_to_diagonal(train, kernel, ld, ridge_of(task, kernel, ld));
    if (solve(train, kernel, ld, outputs, alpha)) {
        const double power = nl_squares_double(targets, alpha);
        double trace = 0.0;

        dgemm_("N", "N", &test, &outputs, &train, &one, kernel + train, &ld, alpha, &train, &zero,
               prediction, &test);
        judge(task, prediction, out);
        trace = inverse_trace(train, kernel, ld);
        out->kare = train * power / (outputs * trace * trace);
    }
    free(alpha);
    free(prediction);
    return NL_OK;
}

/*---------------------------------------------------------------------------------------------
 * Eigenlearning
 *-------------------------------------------------------------------------------------------*/

/* sum of L_i^power, L_i = lambda_i / (lambda_i + M kappa) */
static double sum_learnabilities(int M, const double *lambda, double kappa, bool squared)
{
    double sum = 0.0;

    for (int i = M - 1; i >= 0; i--) {
        const double positive = fmax(lambda[i], 0.0);
        const double L = positive / (positive + M * kappa);

        sum += squared ? L * L : L;
    }
    return sum;
}

/* kappa of n = sum L_i + delta / kappa, whose right side falls from infinity, or from the rank
 * where there is no ridge: NaN where that is below n. */
static double find_kappa(int M, const double *lambda, int n, double delta)
{
    double trace = 0.0;
    double low = 0.0;
    double high = 0.0;

    for (int i = M - 1; i >= 0; i--) {
        trace += fmax(lambda[i], 0.0);
    }
    high = (trace / M + delta) / n; /* as L_i <= lambda_i / (M kappa) */
    low = high;
    for (int k = 0; k < 400 && sum_learnabilities(M, lambda, low, false) + delta / low < n; k++) {
        high = low;
        low *= 0.125;
    }
    if (!(sum_learnabilities(M, lambda, low, false) + delta / low >= n)) {
        return NAN;
    }
    while (high / low > 1.0 + 4e-16) {
        const double middle = sqrt(low) * sqrt(high);

        if (middle <= low || middle >= high) {
            break;
        }
        if (sum_learnabilities(M, lambda, middle, false) + delta / middle >= n) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

nl_status nl_eigenlearning(const nl_regression_task *task, const double *lambda, double *kernel,
                           nl_regression *out)
{
    const int n = task->train;
    const int M = task->train + task->test;
    const size_t size = (size_t)M * (size_t)task->outputs;
    const double delta = ridge_of(task, kernel, M);
    const double kappa = find_kappa(M, lambda, n, delta);
    double *y = nl_calloc(size, sizeof *y);
    double *z = nl_calloc(size, sizeof *z);

    out->predicted_loss = out->learnability = NAN;
    if (y == NULL || z == NULL) {
        free(y);
        free(z);
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a kernel's learnabilities");
    }
    set_targets(task, M, y);
    set_targets(task, M, z);
    if (kappa > 0.0) {
        add_to_diagonal(M, kernel, M, M * kappa);
    }
    if (kappa > 0.0 && solve(M, kernel, M, task->outputs, z)) { /* z = u_i (1 - L_i) .. / M kappa */
        const double over = n / (n - sum_learnabilities(M, lambda, kappa, true));
        const double ratio = delta / (n * kappa);
        const double all = over * M * kappa * kappa * nl_squares_double(size, z) / task->outputs;
        double along = 0.0;

        for (size_t k = 0; k < size; k++) {
            along += y[k] * z[k];
        }
        out->predicted_loss = all * (M - n * ratio * ratio) / (M - n);
        out->learnability = 1.0 - M * kappa * along / nl_squares_double(size, y);
    }
    free(y);
    free(z);
    return NL_OK;
}
