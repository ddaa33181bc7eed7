/** @file slope.c  Slopes in log-log coordinates, one a seed, and their mean. */
#include "sample.h"

#include <gsl/gsl_fit.h>
#include <gsl/gsl_statistics_double.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const nl_interval no_interval = {NAN, NAN};

static void set_note(nl_slope *slope, const char *text)
{
    snprintf(slope->note, sizeof slope->note, "%s", text);
}

static int compare_seeds(const void *a, const void *b)
{
    const nl_point *p = a;
    const nl_point *q = b;

    if (p->seed != q->seed) {
        return p->seed < q->seed ? -1 : 1;
    }
    return (p->x > q->x) - (p->x < q->x);
}

/* Least squares of one seed's points in logarithms.  False: fewer than two scales. */
static bool fit_seed(int count, const nl_point *points, double *scratch, double *slope,
                     double *intercept)
{
    double *x = scratch;
    double *y = scratch + count;
    double unused[4];

    if (points[0].x == points[count - 1].x) {
        return false;
    }
    for (int k = 0; k < count; k++) {
        x[k] = log(points[k].x);
        y[k] = log(points[k].y);
    }
    gsl_fit_linear(x, 1, y, 1, (size_t)count, intercept, slope, &unused[0], &unused[1], &unused[2],
                   &unused[3]);
    return true;
}

/* slopes, intercepts: [count], one a seed that has two scales; returns how many. */
static int fit_seeds(int count, const nl_point *points, double *scratch, double *slopes,
                     double *intercepts)
{
    int fitted = 0;

    for (int first = 0; first < count;) {
        int end = first;

        while (end < count && points[end].seed == points[first].seed) {
            end++;
        }
        if (fit_seed(end - first, points + first, scratch, &slopes[fitted], &intercepts[fitted])) {
            fitted++;
        }
        first = end;
    }
    return fitted;
}

static void summarise(nl_slope *out, int seeds, const double *slopes, const double *intercepts)
{
    double half = 0.0;

    out->seeds = seeds;
    if (seeds == 0) {
        set_note(out, "fewer than two scales");
        return;
    }
    out->value = gsl_stats_mean(slopes, 1, (size_t)seeds);
    out->amplitude = exp(gsl_stats_mean(intercepts, 1, (size_t)seeds));
    if (seeds == 1) {
        set_note(out, "one seed: no interval");
        return;
    }
    half = nl_t_quantile(seeds - 1.0) * gsl_stats_sd(slopes, 1, (size_t)seeds) / sqrt(seeds);
    out->interval = (nl_interval){out->value - half, out->value + half};
}

static int count_scales(int count, const nl_point *ascending)
{
    int scales = 0;

    for (int k = 0; k < count; k++) {
        scales += k == 0 || ascending[k].x != ascending[k - 1].x;
    }
    return scales;
}

nl_slope nl_slope_fit(int count, const nl_point *points)
{
    nl_slope slope = {.value = NAN, .amplitude = NAN, .interval = no_interval};
    int kept = 0;
    nl_point *sorted = nl_points_sorted(count, points, &kept);
    double *room = nl_calloc(4 * ((size_t)kept + 1), sizeof *room);

    if (sorted == NULL || room == NULL) {
        set_note(&slope, "out of memory");
    } else {
        slope.points = count_scales(kept, sorted);
        qsort(sorted, (size_t)kept, sizeof *sorted, compare_seeds);
        summarise(&slope, fit_seeds(kept, sorted, room + 2 * (size_t)kept, room, room + kept), room,
                  room + kept);
    }
    free(room);
    free(sorted);
    return slope;
}

/* Squared standard error of a slope's mean, from its interval. */
static double squared_error(const nl_slope *s)
{
    const double error = 0.5 * (s->interval.high - s->interval.low) / nl_t_quantile(s->seeds - 1.0);

    return error * error;
}

nl_slope nl_slope_difference(const nl_slope *a, const nl_slope *b)
{
    nl_slope d = {.value = a->value - b->value, .amplitude = NAN, .interval = no_interval};
    double va = 0.0;
    double vb = 0.0;
    double half = 0.0;

    d.points = a->points < b->points ? a->points : b->points;
    d.seeds = a->seeds < b->seeds ? a->seeds : b->seeds;
    if (d.seeds < 2) {
        set_note(&d, isnan(d.value) ? "one of the slopes is missing" : "one seed: no interval");
        return d;
    }
    va = squared_error(a);
    vb = squared_error(b);
    if (va + vb > 0.0) { /* Welch and Satterthwaite */
        const double freedom =
            (va + vb) * (va + vb) / (va * va / (a->seeds - 1.0) + vb * vb / (b->seeds - 1.0));

        half = nl_t_quantile(freedom) * sqrt(va + vb);
    }
    d.interval = (nl_interval){d.value - half, d.value + half};
    return d;
}
