/** @file points.c  Samples sorted into points and seeds. */
#include "points.h"

#include <gsl/gsl_fit.h>
#include <math.h>
#include <stdlib.h>

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Standard deviation of log y among networks, where seeds do not tell: only points whose errors are
 * larger are then worth much less than others. */
static const double assumed_noise = 0.01;

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

/* Means of the known variances. */
static void take_errors(nl_points *p, int count, const nl_sample *samples)
{
    p->exact = true;
    for (int j = 0; j < p->count; j++) {
        double sum = 0.0;
        int used = 0;

        for (int k = 0; k < count; k++) {
            if (is_usable(&samples[k]) && samples[k].x == p->x[j]) {
                sum += samples[k].error > 0.0 ? pow(samples[k].error, 2.0) : 0.0;
                used++;
            }
        }
        p->known[j] = sum / used;
        p->exact = p->exact && !(p->known[j] > 0.0);
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
    p.place = nl_calloc((size_t)p.count, sizeof *p.place);
    p.known = nl_calloc((size_t)p.count, sizeof *p.known);
    p.y = nl_calloc((size_t)p.count * (size_t)p.seeds, sizeof *p.y);
    if (seeds == NULL || p.x == NULL || p.place == NULL || p.known == NULL || p.y == NULL) {
        free(seeds);
        nl_points_free(&p);
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a fit of %d samples", count);
    }
    for (int j = 0; j < p.count; j++) {
        p.place[j] = log(p.x[j]) - 0.5 * (log(p.x[0]) + log(p.x[p.count - 1]));
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
    free(seeds);
    take_errors(&p, count, samples);
    *out = p;
    return NL_OK;
}

void nl_points_free(nl_points *points)
{
    free(points->x);
    free(points->place);
    free(points->y);
    free(points->known);
    free(points->mean);
    free(points->variance);
    free(points->weight);
    free(points->covariance);
    free(points->scratch);
    *points = (nl_points){0};
}

bool nl_points_linked(const nl_points *points, int seed)
{
    const double *y = &points->y[(ptrdiff_t)seed * points->count];
    const int last = points->count - 1;
    double low = NAN;
    double high = NAN;

    for (int j = 0; j <= last; j++) {
        if (!isnan(y[j])) {
            low = isnan(low) ? log(points->x[j]) : low;
            high = log(points->x[j]);
        }
    }
    return high > low && high - low >= 0.5 * (log(points->x[last]) - log(points->x[0]));
}

/* Of a point in a seed's slope. */
static double weight_of(const nl_points *p, int point)
{
    const double noise = p->degrees > 0.0 ? p->variance[point] : pow(assumed_noise, 2.0);

    return p->exact ? 1.0 : 1.0 / (noise + p->known[point]);
}

double nl_points_known_slope(const nl_points *p)
{
    double weights = 0.0;
    double middle = 0.0;
    double length = 0.0;
    double variance = 0.0;

    for (int j = 0; j < p->count; j++) {
        weights += weight_of(p, j);
        middle += weight_of(p, j) * p->place[j];
    }
    for (int j = 0; j < p->count; j++) {
        length += weight_of(p, j) * pow(p->place[j] - middle / weights, 2.0);
    }
    for (int j = 0; j < p->count; j++) {
        variance +=
            pow(weight_of(p, j) * (p->place[j] - middle / weights) / length, 2.0) * p->known[j];
    }
    return p->exact ? 0.0 : variance;
}

int nl_points_slopes(const nl_points *points, double *slope, double *intercept)
{
    const int n = points->count;
    double *log_x = nl_calloc((size_t)n, sizeof *log_x);
    double *log_y = nl_calloc((size_t)n, sizeof *log_y);
    double *weight = nl_calloc((size_t)n, sizeof *weight);
    int found = 0;

    for (int s = 0; log_x && log_y && weight && s < points->seeds; s++) {
        double c[6] = {0};
        size_t used = 0;

        if (!nl_points_linked(points, s)) {
            continue;
        }
        for (int j = 0; j < n; j++) {
            if (!isnan(points->y[s * n + j])) {
                log_x[used] = log(points->x[j]);
                weight[used] = weight_of(points, j);
                log_y[used++] = log(points->y[s * n + j]);
            }
        }
        if (points->exact) { /* the same but for rounding */
            gsl_fit_linear(log_x, 1, log_y, 1, used, &c[0], &c[1], &c[2], &c[3], &c[4], &c[5]);
        } else {
            gsl_fit_wlinear(log_x, 1, weight, 1, log_y, 1, used, &c[0], &c[1], &c[2], &c[3], &c[4],
                            &c[5]);
        }
        slope[found] = c[1];
        intercept[found++] = c[0];
    }
    free(log_x);
    free(log_y);
    free(weight);
    return found;
}
