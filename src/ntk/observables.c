/** @file observables.c  What a spectrum says. */
#include "ntklens/observables.h"

#include <stddef.h>

enum { fewest_fitted = 5 };

nl_observables nl_observables_unknown(void)
{
    nl_observables o = {.trace = NAN,
                        .entropy = NAN,
                        .effective_rank = NAN,
                        .participation_ratio = NAN,
                        .lambda_max = NAN,
                        .lambda_min = NAN};

#define UNKNOWN(name, meaning) o.name = NAN;
    NL_OBSERVED(UNKNOWN)
#undef UNKNOWN
    return o;
}

/* From the small end: the many small eigenvalues are not lost against the large ones. */
static void observe_sums(int n, const double *descending, int leading, nl_observables *o)
{
    double sum = 0.0;
    double positive = 0.0;
    double squares = 0.0;
    double first = 0.0;

    for (int i = n - 1; i >= 0; i--) {
        const double lambda = descending[i];

        sum += lambda;
        if (!(lambda <= 0.0)) { /* a NaN goes on to the sums */
            positive += lambda;
            squares += lambda * lambda;
            first += i < leading ? lambda : 0.0;
        }
    }
    o->trace = sum / n;
    o->entropy = o->effective_rank = o->participation_ratio = NAN;
    o->trace_ratio = o->trace_ratio_1 = o->stable_rank = o->entropy_density = NAN;
    if (!(positive > 0.0)) {
        return;
    }
    o->entropy = 0.0;
    for (int i = n - 1; i >= 0; i--) {
        const double p = descending[i] / positive;

        if (p > 0.0) {
            o->entropy -= p * log(p);
        }
    }
    o->effective_rank = exp(o->entropy);
    o->participation_ratio = positive * positive / squares;
    o->trace_ratio = first / positive;
    o->trace_ratio_1 = descending[0] / positive;
    o->stable_rank = positive / descending[0];
    o->entropy_density = n > 1 ? o->entropy / log(n) : NAN;
}

/** Where eigenvalues are from: all of them, or some places of a spectrum. */
typedef struct eigenvalues {
    int points;
    const double *rank; /* NULL: all are known */
    const double *value;
} eigenvalues;

/* ln lambda_i, i from 1; between known places as a power law. */
static double log_eigenvalue(const eigenvalues *e, int i, int *near)
{
    double share = 0.0;
    int k = *near;

    if (e->rank == NULL) {
        return log(e->value[i - 1]);
    }
    while (k + 2 < e->points && e->rank[k + 1] <= i) {
        k++;
    }
    *near = k;
    share = log(i / e->rank[k]) / log(e->rank[k + 1] / e->rank[k]);
    return log(e->value[k]) + share * log(e->value[k + 1] / e->value[k]);
}

/* Slope of ln lambda_i against ln i, i of from .. to.  The first eigenvalues are outliers that the
 * classes make, the last ones bend down because the probe is finite. */
static void fit_exponent(const eigenvalues *e, int from, int to, nl_observables *o)
{
    double x_mean = 0.0;
    double y_mean = 0.0;
    double xx = 0.0;
    double xy = 0.0;
    int near = 0;

    if (to - from + 1 < fewest_fitted) {
        return;
    }
    for (int i = from; i <= to; i++) {
        x_mean += log(i) / (to - from + 1);
        y_mean += log_eigenvalue(e, i, &near) / (to - from + 1);
    }
    near = 0;
    for (int i = from; i <= to; i++) {
        xx += (log(i) - x_mean) * (log(i) - x_mean);
        xy += (log(i) - x_mean) * (log_eigenvalue(e, i, &near) - y_mean);
    }
    o->spectral_exponent = -xy / xx - 1.0;
    o->spectral_exponent_from = from;
    o->spectral_exponent_to = to;
}

static int first_fitted(int n)
{
    return n / 50 > 2 ? n / 50 : 2;
}

static void fit_spectrum(int n, const double *descending, double floor, nl_observables *o)
{
    const eigenvalues all = {n, NULL, descending};
    int to = n / 4;

    while (to >= first_fitted(n) && !(descending[to - 1] > floor)) {
        to--;
    }
    fit_exponent(&all, first_fitted(n), to, o);
}

/* Of products in single precision: below, an eigenvalue is rounding. */
void nl_observe_rank_curve(int n, int points, const double *rank, const double *value,
                           nl_observables *out)
{
    const double floor = 0x1p-23;
    const eigenvalues all = {points, rank, value};
    int last = points;

    while (last > 0 && !(value[last - 1] > floor * value[0])) {
        last--;
    }
    if (last > 1) {
        const int quarter = n / 4;

        fit_exponent(&all, first_fitted(n), (int)fmin(quarter, rank[last - 1]), out);
    }
}

/* tr Theta (Theta + z)^-1: directions whose eigenvalue is above z, softly counted. */
static double effective_dimension(int n, const double *descending, double z)
{
    double sum = 0.0;

    for (int i = n - 1; i >= 0; i--) {
        sum += descending[i] > 0.0 ? descending[i] / (descending[i] + z) : 0.0;
    }
    return sum;
}

/* Where in a descending spectrum `value` lies, from 1; ends where the positive eigenvalues end. */
static double spectral_index(int n, const double *descending, double value)
{
    int i = 0;

    if (!(value <= descending[0])) {
        return isnan(value) ? NAN : 1.0; /* a Rayleigh quotient, beyond by rounding */
    }
    while (i + 1 < n && descending[i + 1] >= value) {
        i++;
    }
    if (i + 1 == n || !(descending[i + 1] > 0.0)) {
        return i + 1.0;
    }
    return i + 1.0 + log(descending[i] / value) / log(descending[i] / descending[i + 1]);
}

/* Eigenvalues that stand out of the rounding of the largest. */
static void observe_tail(int n, const double *descending, double floor, nl_observables *o)
{
    int rank = 0;

    while (rank < n && descending[rank] > floor) {
        rank++;
    }
    o->numerical_rank = rank;
    o->condition_number = rank > 0 ? descending[0] / descending[rank - 1] : NAN;
}

void nl_observe_spectrum(int n, const double *descending, int leading, double eps,
                         nl_observables *out)
{
    const double floor = (double)n * eps * descending[0];

    out->lambda_max = descending[0];
    out->lambda_min = descending[n - 1];
    out->lambda_max_over_n = descending[0] / n;
    out->negative = out->lambda_min < -floor;
    out->spectral_exponent = out->spectral_exponent_from = out->spectral_exponent_to = NAN;
    out->numerical_rank = out->condition_number = out->spectral_index = NAN;
    out->effective_dimension = out->effective_dimension_tenth = NAN;
    out->effective_dimension_hundredth = NAN;
    observe_sums(n, descending, leading, out);
    if (descending[0] > 0.0) {
        observe_tail(n, descending, floor, out);
        out->spectral_index = spectral_index(n, descending, out->spectral_position * out->trace);
        out->effective_dimension = effective_dimension(n, descending, out->trace);
        out->effective_dimension_tenth = effective_dimension(n, descending, 0.1 * out->trace);
        out->effective_dimension_hundredth = effective_dimension(n, descending, 0.01 * out->trace);
        fit_spectrum(n, descending, floor, out);
    }
}

nl_observables nl_observe(int n, const double *descending, double eps)
{
    nl_observables o = nl_observables_unknown();

    nl_observe_spectrum(n, descending, 1, eps, &o);
    return o;
}
