/** @file local.c  Exponents between neighbouring points. */
#include "points.h"

#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>

/* Logarithms of y at a point, of all seeds, or the differences of those that have both points. */
static int logs_of(const nl_points *p, int point, bool differences, double *out)
{
    int found = 0;

    for (int s = 0; s < p->seeds; s++) {
        const double here = log(p->y[s * p->count + point]);
        const double next = differences ? log(p->y[s * p->count + point + 1]) : 0.0;

        if (!isnan(here) && !isnan(next)) {
            out[found++] = here - next;
        }
    }
    return found;
}

/* Difference of the means of two samples, with degrees of freedom after Welch. */
static nl_interval welch(int n, const double *a, int m, const double *b)
{
    const double value = gsl_stats_mean(a, 1, (size_t)n) - gsl_stats_mean(b, 1, (size_t)m);
    double va = 0.0;
    double vb = 0.0;
    double half = NAN;

    if (n > 1 && m > 1) {
        va = gsl_stats_variance(a, 1, (size_t)n) / n;
        vb = gsl_stats_variance(b, 1, (size_t)m) / m;
        half = nl_student_quantile(pow(va + vb, 2.0) / (va * va / (n - 1) + vb * vb / (m - 1))) *
               sqrt(va + vb);
    }
    return (nl_interval){value, value - half, value + half};
}

static nl_local between(const nl_points *p, int point, double *a, double *b)
{
    const double length = log(p->x[point + 1] / p->x[point]);
    nl_local l = {.from = p->x[point], .to = p->x[point + 1], .seeds = logs_of(p, point, true, a)};

    if (l.seeds > 1 || p->seeds == 1) {
        l.exponent = nl_student_mean(l.seeds, a);
    } else {
        const int n = logs_of(p, point, false, a);
        const int m = logs_of(p, point + 1, false, b);

        l.exponent = welch(n, a, m, b);
        l.seeds = n + m;
    }
    l.exponent.value /= length;
    l.exponent.low /= length;
    l.exponent.high /= length;
    return l;
}

nl_status nl_fit_local(int count, const nl_sample *samples, nl_local *out, int *found)
{
    nl_points p = {0};
    double *a = NULL;
    double *b = NULL;
    nl_status status = nl_points_create(count, samples, &p);

    *found = 0;
    if (status != NL_OK) {
        return status;
    }
    a = nl_calloc((size_t)p.seeds, sizeof *a);
    b = nl_calloc((size_t)p.seeds, sizeof *b);
    if (a == NULL || b == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for %d seeds", p.seeds);
    }
    for (int j = 0; status == NL_OK && j + 1 < p.count; j++) {
        out[(*found)++] = between(&p, j, a, b);
    }
    free(a);
    free(b);
    nl_points_free(&p);
    return status;
}
