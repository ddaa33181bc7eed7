/** @file points.c  Samples sorted into points and seeds. */
#include "points.h"

#include <gsl/gsl_fit.h>
#include <math.h>
#include <stdlib.h>

/* Seeds that measured the same to the last digits leave this relative deviation, that of the
 * numbers in a table read by people. */
static const double least_deviation = 1e-9;

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

static bool is_usable(const nl_sample *sample)
{
    return isfinite(sample->x) && isfinite(sample->y) && sample->x > 0.0 && sample->y > 0.0;
}

/* Sorts, and leaves each value once; returns how many are left. */
static int unique(double *values, int count)
{
    int kept = 0;

    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    for (int k = 0; k < count; k++) {
        if (kept == 0 || values[k] != values[kept - 1]) {
            values[kept++] = values[k];
        }
    }
    return kept;
}

static int find(const double *values, int count, double value)
{
    const double *at = bsearch(&value, values, (size_t)count, sizeof *values, compare_doubles);

    return (int)(at - values);
}

/* Mean, and the sum of squares of relative deviations from it, of one point. */
static void summarise_point(nl_points *p, int point, double *squares)
{
    double sum = 0.0;
    int count = 0;

    for (int s = 0; s < p->seeds; s++) {
        const double y = p->y[s * p->count + point];

        if (!isnan(y)) {
            sum += y;
            count++;
        }
    }
    p->mean[point] = sum / count;
    p->weight[point] = count;
    p->degrees += count - 1;
    for (int s = 0; s < p->seeds; s++) {
        const double y = p->y[s * p->count + point];

        if (!isnan(y)) {
            *squares += pow(y / p->mean[point] - 1.0, 2.0);
        }
    }
}

static void summarise(nl_points *p)
{
    double squares = 0.0;

    for (int j = 0; j < p->count; j++) {
        summarise_point(p, j, &squares);
    }
    p->variance = p->degrees > 0.0 ? fmax(squares / p->degrees, pow(least_deviation, 2.0)) : NAN;
    for (int j = 0; j < p->count; j++) {
        p->weight[j] /= pow(p->mean[j], 2.0) * (isnan(p->variance) ? 1.0 : p->variance);
    }
}

nl_status nl_points_create(int count, const nl_sample *samples, nl_points *out)
{
    nl_points p = {0};
    double *seeds = nl_calloc((size_t)count, sizeof *seeds);
    int used = 0;

    *out = p;
    p.x = nl_calloc((size_t)count, sizeof *p.x);
    for (int k = 0; seeds != NULL && p.x != NULL && k < count; k++) {
        if (is_usable(&samples[k])) {
            p.x[used] = samples[k].x;
            seeds[used++] = (double)samples[k].seed;
        }
    }
    p.unused = count - used;
    if (seeds != NULL && p.x != NULL) {
        p.count = unique(p.x, used);
        p.seeds = unique(seeds, used);
    }
    p.y = nl_calloc((size_t)p.count * (size_t)p.seeds, sizeof *p.y);
    p.mean = nl_calloc((size_t)p.count, sizeof *p.mean);
    p.weight = nl_calloc((size_t)p.count, sizeof *p.weight);
    if (seeds == NULL || p.x == NULL || p.y == NULL || p.mean == NULL || p.weight == NULL) {
        free(seeds);
        nl_points_free(&p);
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a fit of %d samples", count);
    }
    for (int k = 0; k < p.count * p.seeds; k++) {
        p.y[k] = NAN;
    }
    for (int k = 0; k < count; k++) {
        if (is_usable(&samples[k])) {
            p.y[find(seeds, p.seeds, (double)samples[k].seed) * p.count +
                find(p.x, p.count, samples[k].x)] = samples[k].y;
        }
    }
    summarise(&p);
    free(seeds);
    *out = p;
    return NL_OK;
}

void nl_points_free(nl_points *points)
{
    free(points->x);
    free(points->y);
    free(points->mean);
    free(points->weight);
    *points = (nl_points){0};
}

int nl_points_slopes(const nl_points *points, double *slope, double *intercept)
{
    const int n = points->count;
    double *log_x = nl_calloc((size_t)n, sizeof *log_x);
    double *log_y = nl_calloc((size_t)n, sizeof *log_y);
    int found = 0;

    for (int s = 0; log_x != NULL && log_y != NULL && n > 1 && s < points->seeds; s++) {
        double c[6] = {0};
        size_t used = 0;

        for (int j = 0; j < n; j++) {
            if (!isnan(points->y[s * n + j])) {
                log_x[used] = log(points->x[j]);
                log_y[used++] = log(points->y[s * n + j]);
            }
        }
        if (used < 2 ||
            log_x[used - 1] - log_x[0] < 0.5 * (log(points->x[n - 1]) - log(points->x[0]))) {
            continue;
        }
        gsl_fit_linear(log_x, 1, log_y, 1, used, &c[0], &c[1], &c[2], &c[3], &c[4], &c[5]);
        slope[found] = c[1];
        intercept[found++] = c[0];
    }
    free(log_x);
    free(log_y);
    return found;
}
