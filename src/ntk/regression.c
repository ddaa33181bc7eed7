/** @file regression.c  Kernel ridge regression. */
#include "ntklens/ntk.h"

#include <math.h>
#include <stdlib.h>

static void add_ridge(int train, double *kernel, int ld, double ridge)
{
    const size_t step = (size_t)ld + 1;
    double trace = 0.0;

    for (int i = 0; i < train; i++) {
        trace += kernel[(size_t)i * step];
    }
    for (int i = 0; i < train; i++) {
        kernel[(size_t)i * step] += ridge * trace / train;
    }
}

/* alpha [train x outputs], column-major; false: the matrix is not positive definite. */
static bool solve(int train, const double *kernel, int ld, int outputs, const int *labels,
                  double *alpha)
{
    int info = 0;

    for (int i = 0; i < train; i++) {
        for (int a = 0; a < outputs; a++) {
            alpha[(size_t)a * (size_t)train + (size_t)i] =
                (labels[i] == a ? 1.0 : 0.0) - 1.0 / outputs;
        }
    }
    dpotrs_("L", &train, &outputs, kernel, &ld, alpha, &train, &info, 1);
    return info == 0;
}

/* prediction [test x outputs], column-major, of the centred targets. */
static nl_regression judge(int test, int outputs, const double *prediction, const int *labels)
{
    double sum = 0.0;
    long correct = 0;

    for (int i = 0; i < test; i++) {
        int best = 0;
        bool told = true; /* NaN is no prediction */

        for (int a = 0; a < outputs; a++) {
            const double f = prediction[(size_t)a * (size_t)test + (size_t)i];
            const double miss = f + 1.0 / outputs - (labels[i] == a ? 1.0 : 0.0);

            sum += miss * miss;
            told = told && !isnan(f);
            best = f > prediction[(size_t)best * (size_t)test + (size_t)i] ? a : best;
        }
        correct += told && best == labels[i];
    }
    return (nl_regression){.test_loss = sum / test / outputs,
                           .test_accuracy = (double)correct / test};
}

nl_status nl_kernel_regression(int train, int test, double *kernel, int ld, int outputs,
                               const int *labels, double ridge, nl_regression *out)
{
    const double one = 1.0;
    const double zero = 0.0;
    double *alpha = nl_calloc((size_t)train * (size_t)outputs, sizeof *alpha);
    double *prediction = nl_calloc((size_t)test * (size_t)outputs, sizeof *prediction);
    int info = 0;

    *out = (nl_regression){.test_loss = NAN, .test_accuracy = NAN};
    if (alpha == NULL || prediction == NULL) {
        free(alpha);
        free(prediction);
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a kernel regression");
    }
    add_ridge(train, kernel, ld, ridge);
    dpotrf_("L", &train, kernel, &ld, &info, 1);
    if (info == 0 && solve(train, kernel, ld, outputs, labels, alpha)) {
        dgemm_("N", "N", &test, &outputs, &train, &one, kernel + train, &ld, alpha, &train, &zero,
               prediction, &test);
        *out = judge(test, outputs, prediction, labels + train);
    }
    free(alpha);
    free(prediction);
    return NL_OK;
}
