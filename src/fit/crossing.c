/** @file crossing.c  The scale at which a quantity falls below a level. */
#include "sample.h"

#include <gsl/gsl_statistics_double.h>

#include <math.h>
#include <stdlib.h>

/* First fall from above the level to or below it between neighbouring scales of one seed, in ln x;
 * NaN: none. */
static double cross_seed(int count, const nl_point *points, uint32_t seed, double level)
{
    const nl_point *last = NULL;

    for (int k = 0; k < count; k++) {
        const nl_point *p = &points[k];

        if (p->seed != seed) {
            continue;
        }
        if (last != NULL && last->y > level && p->y <= level) {
            const double share = log(last->y / level) / log(last->y / p->y);

            return log(last->x) + share * log(p->x / last->x);
        }
        last = p;
    }
    return NAN;
}

static bool seen_before(const nl_point *points, int k)
{
    for (int j = 0; j < k; j++) {
        if (points[j].seed == points[k].seed) {
            return true;
        }
    }
    return false;
}

nl_crossing nl_crossing_find(int count, const nl_point *points, double level)
{
    nl_crossing out = {.x = NAN, .interval = {NAN, NAN}};
    int kept = 0;
    int seeds = 0;
    nl_point *sorted = nl_points_sorted(count, points, &kept);
    double *at = nl_calloc((size_t)count + 1, sizeof *at);

    for (int k = 0; sorted != NULL && at != NULL && k < kept; k++) {
        if (!seen_before(sorted, k)) {
            at[out.seeds] = cross_seed(kept, sorted, sorted[k].seed, level);
            seeds++;
            out.seeds += !isnan(at[out.seeds]);
        }
    }
    if (out.seeds > 0) {
        out.x = exp(gsl_stats_mean(at, 1, (size_t)out.seeds));
    }
    if (out.seeds < seeds || seeds == 0) {
        snprintf(out.note, sizeof out.note, "%d of %d seeds cross within the scales at hand",
                 out.seeds, seeds);
        if (out.seeds == 0) {
            free(sorted);
            free(at);
            return out;
        }
    }
    if (out.seeds > 1 && out.seeds == seeds) { /* a part of the seeds is no fair sample */
        const double half = nl_t_quantile(out.seeds - 1.0) *
                            gsl_stats_sd(at, 1, (size_t)out.seeds) / sqrt(out.seeds);

        out.interval = (nl_interval){out.x * exp(-half), out.x * exp(half)};
    } else if (seeds == 1) {
        snprintf(out.note, sizeof out.note, "one seed: no interval");
    }
    free(sorted);
    free(at);
    return out;
}
