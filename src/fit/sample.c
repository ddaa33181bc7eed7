/** @file sample.c  Points of one fit: sorted, grouped by scale and by seed. */
#include "sample.h"

#include <gsl/gsl_cdf.h>

#include <math.h>
#include <stdlib.h>

static int compare_points(const void *a, const void *b)
{
    const nl_point *p = a;
    const nl_point *q = b;

    if (p->x != q->x) {
        return p->x < q->x ? -1 : 1;
    }
    return (p->seed > q->seed) - (p->seed < q->seed);
}

nl_point *nl_points_sorted(int count, const nl_point *points, int *kept)
{
    nl_point *copy = nl_calloc((size_t)count + 1, sizeof *copy);

    *kept = 0;
    for (int k = 0; copy != NULL && k < count; k++) {
        if (isfinite(points[k].y) && points[k].y > 0.0 && points[k].x > 0.0) {
            copy[(*kept)++] = points[k];
        }
    }
    if (copy != NULL) {
        qsort(copy, (size_t)*kept, sizeof *copy, compare_points);
    }
    return copy;
}

/* Mean of the points first .. end, and their squared deviations relative to it. */
static double add_scale(nl_means *means, const nl_point *points, int first, int end)
{
    double mean = 0.0;
    double squares = 0.0;

    for (int k = first; k < end; k++) {
        mean += points[k].y / (end - first);
    }
    for (int k = first; k < end; k++) {
        squares += pow(points[k].y / mean - 1.0, 2);
    }
    means->x[means->count] = points[first].x;
    means->mean[means->count] = mean;
    means->seeds[means->count] = end - first;
    means->count++;
    means->freedom += end - first - 1;
    if (end - first > means->seeds_at_most) {
        means->seeds_at_most = end - first;
    }
    return squares;
}

bool nl_means_create(int count, const nl_point *points, nl_means *out)
{
    const size_t room = (size_t)count + 1;
    double squares = 0.0;

    *out = (nl_means){.relative = NAN};
    out->x = nl_calloc(room, sizeof *out->x);
    out->mean = nl_calloc(room, sizeof *out->mean);
    out->seeds = nl_calloc(room, sizeof *out->seeds);
    if (out->x == NULL || out->mean == NULL || out->seeds == NULL) {
        nl_means_free(out);
        return false;
    }
    for (int first = 0; first < count;) {
        int end = first;

        while (end < count && points[end].x == points[first].x) {
            end++;
        }
        squares += add_scale(out, points, first, end);
        first = end;
    }
    if (out->freedom > 0) {
        out->relative = sqrt(squares / out->freedom);
    }
    return true;
}

void nl_means_free(nl_means *means)
{
    free(means->x);
    free(means->mean);
    free(means->seeds);
    *means = (nl_means){0};
}

double nl_means_sigma(const nl_means *means, int k)
{
    return means->relative / sqrt(means->seeds[k]);
}

double nl_t_quantile(double freedom)
{
    return gsl_cdf_tdist_Pinv(0.975, freedom);
}
