/** @file observables.c  What a spectrum says. */
#include "ntklens/ntk.h"

#include <math.h>

nl_observables nl_observe(int n, const double *descending, double eps)
{
    nl_observables o = {.lambda_max = descending[0], .lambda_min = descending[n - 1]};
    double sum = 0.0;
    double positive = 0.0;
    double squares = 0.0;

    /* From the small end: the many small eigenvalues are not lost against the large ones. */
    for (int i = n - 1; i >= 0; i--) {
        const double lambda = descending[i];

        sum += lambda;
        if (!(lambda <= 0.0)) { /* a NaN goes on to the sums */
            positive += lambda;
            squares += lambda * lambda;
        }
    }
    o.trace = sum / n;
    o.negative = o.lambda_min < -(double)n * eps * o.lambda_max;
    if (!(positive > 0.0)) {
        o.entropy = o.effective_rank = o.participation_ratio = NAN;
        return o;
    }
    for (int i = n - 1; i >= 0; i--) {
        const double p = descending[i] / positive;

        if (p > 0.0) {
            o.entropy -= p * log(p);
        }
    }
    o.effective_rank = exp(o.entropy);
    o.participation_ratio = positive * positive / squares;
    return o;
}
